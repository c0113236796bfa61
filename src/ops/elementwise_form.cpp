// SPDX-License-Identifier: Apache-2.0
// Shared parts of the elementwise records.
#include "ops/elementwise_form.h"

namespace tessera::ops {
namespace {

bool contains(Domain domain, DType type) {
  switch (domain) {
    case Domain::any: return true;
    case Domain::floats: return is_float(type);
    case Domain::numbers: return type != DType::boolean;
    case Domain::signed_numbers: return is_float(type) || is_signed_integer(type);
    case Domain::integers: return is_integer(type);
    case Domain::booleans: return type == DType::boolean;
  }
  return false;
}

std::string_view describe(Domain domain) {
  switch (domain) {
    case Domain::any: return "any type";
    case Domain::floats: return "a float type";
    case Domain::numbers: return "a number type";
    case Domain::signed_numbers: return "a float or signed integer type";
    case Domain::integers: return "an integer type";
    case Domain::booleans: return "bool";
  }
  return "";
}

/// Types beside the usual one that samples should show.
std::vector<DType> sample_types(Domain domain) {
  switch (domain) {
    case Domain::any: return {DType::f32, DType::i64, DType::boolean};
    case Domain::floats: return {DType::f32, DType::f16, DType::f64, DType::bf16};
    case Domain::numbers: return {DType::f32, DType::f16, DType::i32, DType::u8};
    case Domain::signed_numbers: return {DType::f32, DType::f16, DType::i32};
    case Domain::integers: return {DType::i32, DType::u8, DType::i64};
    case Domain::booleans: return {DType::boolean};
  }
  return {};
}

OpDef record(ElementwiseSpec& spec) {
  OpDef def;
  def.name = std::move(spec.name);
  def.doc = std::move(spec.doc);
  def.attrs = std::move(spec.attrs);
  def.traits = std::move(spec.traits);
  if (!spec.onnx_op.empty()) def.onnx = {{.op = std::move(spec.onnx_op), .since = spec.since}};
  return def;
}

}  // namespace

void check_domain(const MeaningBuilder& b, DType type, Domain domain) {
  b.check(contains(domain, type), "expected {}, found {}", describe(domain), to_string(type));
}

OpDef unary_record(ElementwiseSpec spec, UnaryFn f) {
  return unary_record(std::move(spec),
                      [f = std::move(f)](MeaningBuilder&, Expr x) { return f(x); });
}

OpDef unary_record(ElementwiseSpec spec, UnaryAttrFn f) {
  OpDef def = record(spec);
  def.inputs = {{"x"}};
  def.meaning = [f = std::move(f), domain = spec.domain](MeaningBuilder& b) {
    const TensorArg x = b.in(0);
    check_domain(b, x.type(), domain);
    b.output(x.shape(), [&](std::span<const Expr> i) { return f(b, x(i)); });
  };
  const std::vector<DType> types = sample_types(spec.domain);
  def.samples = {sample({}, types[0]), sample({0, 2}, types[0])};
  for (DType type : types) def.samples.push_back(sample({3, 5}, type));
  return def;
}

OpDef binary_record(ElementwiseSpec spec, BinaryFn f) {
  OpDef def = record(spec);
  def.inputs = {{"x"}, {"y"}};
  def.meaning = [f = std::move(f), domain = spec.domain](MeaningBuilder& b) {
    check_domain(b, b.common_type(), domain);
    b.output(broadcast_inputs(b), [&](std::span<const Expr> i) {
      return f(b.in(0).broadcast_at(i), b.in(1).broadcast_at(i));
    });
  };
  const std::vector<DType> types = sample_types(spec.domain);
  def.samples = {sample({{3, 1}, {5}}, {}, types[0]), sample({{0, 4}, {1, 4}}, {}, types[0])};
  for (DType type : types) def.samples.push_back(sample({{3, 5}, {3, 5}}, {}, type));
  return def;
}

OpDef variadic_record(ElementwiseSpec spec, BinaryFn f, std::function<Expr(Expr, int)> finish) {
  OpDef def = record(spec);
  def.inputs = {{.name = "args", .variadic = true}};
  def.meaning = [f = std::move(f), finish = std::move(finish),
                 domain = spec.domain](MeaningBuilder& b) {
    check_domain(b, b.common_type(), domain);
    b.output(broadcast_inputs(b), [&](std::span<const Expr> i) {
      Expr total = b.in(0).broadcast_at(i);
      for (int k = 1; k < b.input_count(); ++k) total = f(total, b.in(k).broadcast_at(i));
      return finish ? finish(total, b.input_count()) : total;
    });
  };
  def.samples = {sample({3, 5}), sample({{3, 5}, {3, 5}}), sample({{3, 1}, {5}, {2, 3, 5}}),
                 sample({{0, 4}, {1, 4}})};
  if (spec.domain != Domain::floats) def.samples.push_back(sample({{7}, {7}, {7}}, {}, DType::i32));
  return def;
}

AttrDef real_attr(std::string name, double default_value) {
  return {.name = std::move(name), .kind = ir::AttrKind::real, .default_value = default_value};
}

AttrDef int_attr(std::string name, int64_t default_value) {
  return {.name = std::move(name), .default_value = default_value};
}

}  // namespace tessera::ops
