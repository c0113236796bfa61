// SPDX-License-Identifier: Apache-2.0
// Views, constants and counts of library steps.
#include "plan/request.h"

#include "plan/layout.h"

namespace tessera::plan {
namespace {

// A constant's memory from the value's first element on; null for what is not constant. What had
// to be made for it is added to `made`.
const Tensor* known(const Draft& d, ValueId v, std::deque<Tensor>& made) {
  if (v == no_value || !d.values[d.root(v)].constant) return nullptr;
  const Tensor& tensor = *d.values[d.root(v)].constant;
  const Value& value = d.values[v];
  if (!value.alias) return &tensor;
  const size_t offset = static_cast<size_t>(value.alias->offset) * size_of(value.dtype);
  made.emplace_back(value.dtype, value.shape, std::make_shared<Tensor>(tensor),
                    tensor.data() + offset);
  return &made.back();
}

// Of the scores of an attention.
double visible_share(const Step& s, double keys) {
  if (!s.hidden) return 1;
  double visible = 0;
  for (const int64_t n : s.hidden->visible) visible += static_cast<double>(n);
  return visible / (static_cast<double>(s.hidden->visible.size()) * keys);
}

}  // namespace

codegen::View view_of(const Draft& d, ValueId v) {
  if (v == no_value) return {};
  return {d.values[v].dtype, d.values[v].shape, strides_of(d, v)};
}

// A product of M×K and K×N or a convolution takes 2 operations per element of the destination and
// of what is summed for it.
void count_library(const Draft& d, Step& s) {
  const auto elements = static_cast<double>(d.values[s.dst[0]].elements());
  s.bytes = 0;
  for (const auto* list : {&s.src, &s.dst})
    for (ValueId v : *list)
      if (v != no_value) s.bytes += static_cast<double>(d.values[v].bytes());
  s.flops = elements * static_cast<double>(s.post.size());
  if (s.op == "attention") {
    // Two products, and five operations of the softmax, for each score.
    const auto size = static_cast<double>(d.values[s.src[0]].shape.back()),
               value_size = static_cast<double>(d.values[s.dst[0]].shape.back()),
               keys = static_cast<double>(d.values[s.src[1]].shape.back());
    s.flops =
        elements / value_size * keys * (2 * size + 2 * value_size + 5) * visible_share(s, keys);
  } else if (s.op == "matmul") {
    s.flops += 2 * elements * static_cast<double>(d.values[s.src[0]].shape.back());
  } else if (s.op == "conv" || s.op == "conv_transpose") {
    const Value& weights = d.values[s.src[1]];
    const bool transposed = s.op == "conv_transpose";
    const auto channels = static_cast<double>(weights.shape[0]);
    const double per_channel = static_cast<double>(weights.elements()) / channels;
    s.flops += 2 * per_channel *
               (transposed ? static_cast<double>(d.values[s.src[0]].elements()) : elements);
  }
}

std::string name_of(const Step& s) {
  std::string result;
  for (const std::string& name : s.names) result += (result.empty() ? "" : "+") + name;
  return result;
}

codegen::Precision precision_of(const Step& s, size_t launch, const CompileOptions& options) {
  const auto at = options.reduced.find(launch);
  const bool is_reduced = s.kind == Step::Kind::library && !s.integers &&
                          at != options.reduced.end() && at->second.is_for(name_of(s));
  return is_reduced ? at->second.precision : codegen::Precision::f32;
}

codegen::LibraryRequest library_request(const Draft& d, const Step& s,
                                        const CompileOptions& options, std::deque<Tensor>& made) {
  codegen::LibraryRequest request;
  request.op = s.op;
  request.attrs = s.attrs;
  request.post = s.post;
  request.kernel = s.kernel;
  request.integers = s.integers;
  request.score = s.score;
  request.scale = s.scale;
  request.hidden = s.hidden;
  request.threads = options.threads;
  request.generated_only = options.generated_only;
  request.own_products = options.own_products;
  request.flops = s.flops;
  request.bytes = s.bytes;
  for (ValueId v : s.src) {
    request.src.push_back(view_of(d, v));
    request.constants.push_back(known(d, v, made));
  }
  request.dst = view_of(d, s.dst[0]);
  return request;
}

}  // namespace tessera::plan
