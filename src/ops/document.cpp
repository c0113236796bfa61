// SPDX-License-Identifier: Apache-2.0
// Prints the registry as Markdown.
#include "ops/document.h"

#include <map>
#include <set>

#include "ops/registry.h"

namespace tessera::ops {
namespace {

std::string_view kind_of(const OpDef& def) {
  if (def.structural) return "structural";
  if (def.meaning) return "meaning";
  return def.decompose ? "decomposition" : def.impure ? "impure" : "opaque";
}

std::string_view name_of(Trait trait) {
  switch (trait) {
    case Trait::commutative: return "commutative";
    case Trait::associative: return "associative";
    case Trait::idempotent: return "idempotent";
    case Trait::involution: return "involution";
    case Trait::monotone: return "monotone";
    case Trait::even: return "even";
    case Trait::odd: return "odd";
  }
  return "";
}

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& p : parts) text += (text.empty() ? "" : ", ") + p;
  return text;
}

/// "(x, y?, args…; axis: int, keepdims: int?)": a question mark where a value may be left out.
std::string signature(const OpDef& def) {
  std::vector<std::string> inputs, attrs;
  for (const InputDef& in : def.inputs)
    inputs.push_back(in.name + (in.variadic ? "…" : in.optional ? "?" : ""));
  for (const AttrDef& a : def.attrs)
    attrs.push_back(fmt::format("{}: {}{}", a.name, ir::to_string(a.kind),
                                a.default_value || a.optional ? "?" : ""));
  const std::string text = joined(inputs);
  return "(" + text + (attrs.empty() ? "" : (text.empty() ? "" : "; ") + joined(attrs)) + ")";
}

std::string qualified(const OnnxForm& form) {
  return form.domain.empty() ? form.op : form.domain + ":" + form.op;
}

/// Whether the form can write nodes: both mappings are the default ones, or it has its own.
bool writes(const OnnxForm& form) { return form.export_ || !form.import; }

std::string forms(const OpDef& def) {
  std::vector<std::string> parts;
  for (const OnnxForm& f : def.onnx)
    parts.push_back(fmt::format("{}-{}{}", qualified(f), f.since, writes(f) ? "" : " (import)"));
  return joined(parts);
}

std::string in_table(std::string text) {
  for (size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2)
    text.insert(at, "\\");
  return text;
}

std::string record_rows() {
  std::string text;
  for (const OpDef& def : registry().all()) {
    std::vector<std::string> traits;
    for (Trait t : def.traits) traits.emplace_back(name_of(t));
    text += fmt::format("| `{}` | {} | {} | {} | {} | {} |\n", def.name, in_table(signature(def)),
                        kind_of(def), in_table(def.doc), joined(traits), forms(def));
  }
  return text;
}

std::string import_rows() {
  std::map<std::string, std::pair<std::set<int>, std::set<std::string>>> operators;
  for (const OpDef& def : registry().all())
    for (const OnnxForm& form : def.onnx) {
      auto& [versions, records] = operators[qualified(form)];
      versions.insert(form.since);
      records.insert(def.name);
    }
  std::string text;
  for (const auto& [name, entry] : operators) {
    std::vector<std::string> versions, records;
    for (int v : entry.first) versions.push_back(std::to_string(v));
    for (const std::string& r : entry.second) records.push_back("`" + r + "`");
    text += fmt::format("| {} | {} | {} |\n", name, joined(versions), joined(records));
  }
  return text;
}

}  // namespace

std::string operators_document() {
  std::map<std::string_view, int> counts;
  for (const OpDef& def : registry().all()) ++counts[kind_of(def)];
  std::string text =
      "# Operators\n\nWritten by `tools/gen_ops_doc` from the records in `src/ops`; do not "
      "edit.\n\n"
      "A record states what an operator computes in one of four ways: a *meaning* (a scalar\n"
      "expression over indices, `docs/design/meaning.md`), a *decomposition* into other "
      "operators,\n"
      "an *opaque* reference written by hand where no expression exists, or *structural*, known\n"
      "to the evaluators by name. *Impure* ones are random. A question mark marks what may be "
      "left\n"
      "out; ONNX forms carry the operator set that introduced them.\n\n";
  for (const auto& [kind, count] : counts) text += fmt::format("- {}: {}\n", kind, count);
  text +=
      "\n| operator | signature | kind | computes | traits | ONNX |\n|---|---|---|---|---|---|\n";
  text += record_rows();
  text +=
      "\n## ONNX operators that can be imported\n\nBesides these the importer knows `Constant`, "
      "`If` and `Loop` by name.\n\n| ONNX operator | forms since operator set | records |\n"
      "|---|---|---|\n";
  return text + import_rows();
}

}  // namespace tessera::ops
