// SPDX-License-Identifier: Apache-2.0
// Lookup of records; decomposition sub-object access.
#include "ops/registry.h"

#include "base/check.h"

namespace tessera::ops {

std::vector<OpDef> all_records();  // generated: one call per file of src/ops

Registry::Registry(std::vector<OpDef> records) : records_(std::move(records)) {
  for (size_t i = 0; i < records_.size(); ++i) {
    const OpDef& def = records_[i];
    const int kinds = (def.meaning ? 1 : 0) + (def.decompose ? 1 : 0) + (def.opaque ? 1 : 0);
    TESSERA_CHECK(kinds == 1, "{} must have a meaning, a decomposition or be opaque", def.name);
    TESSERA_CHECK(by_name_.emplace(def.name, i).second, "two records named {}", def.name);
    for (const OnnxForm& form : def.onnx)
      if (!form.export_only) by_onnx_.emplace(form.domain + ":" + form.op, FormRef{&def, &form});
  }
}

const OpDef* Registry::find(std::string_view name) const {
  const auto at = by_name_.find(name);
  return at == by_name_.end() ? nullptr : &records_[at->second];
}

const OpDef& Registry::get(std::string_view name) const {
  const OpDef* def = find(name);
  if (def == nullptr) fail_user(ErrorKind::unsupported, "unknown operator '{}'", name);
  return *def;
}

Registry::FormRef Registry::find_onnx(std::string_view domain, std::string_view op_type,
                                      int opset) const {
  FormRef best;
  const std::string key = fmt::format("{}:{}", domain, op_type);
  for (auto [at, end] = by_onnx_.equal_range(key); at != end; ++at)
    if (at->second.form->since <= opset &&
        (best.form == nullptr || at->second.form->since > best.form->since))
      best = at->second;
  return best;
}

const Registry& registry() {
  static const Registry instance(all_records());
  return instance;
}

Val Decomposition::in(int k) const {
  if (!has(k)) fail(fmt::format("input {} is missing", k));
  return inputs_[k];
}

void Decomposition::fail(const std::string& message) const {
  fail_user(ErrorKind::invalid_input, "{}: {}", def().name, message);
}

Sample sample(std::initializer_list<int64_t> shape, DType type, ir::AttrMap attrs) {
  return {{{type, ir::Dims(shape.begin(), shape.end())}}, std::move(attrs)};
}

Sample sample(std::vector<std::vector<int64_t>> shapes, ir::AttrMap attrs, DType type) {
  Sample result;
  for (const auto& shape : shapes)
    result.inputs.push_back({type, ir::Dims(shape.begin(), shape.end())});
  result.attrs = std::move(attrs);
  return result;
}

}  // namespace tessera::ops
