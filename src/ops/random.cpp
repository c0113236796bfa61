// SPDX-License-Identifier: Apache-2.0
// Random tensors, and the ONNX operators made of them.
#include <bit>

#include "base/rng.h"
#include "ops/elementwise_form.h"

namespace tessera::ops::records {
namespace {

std::vector<ir::ValueType> infer_random(const Opaque::Context& c) {
  const DType type = c.attrs.dtype("dtype");
  const std::string& kind = c.attrs.string("distribution");
  TESSERA_USER_CHECK(is_float(type), "random: expected a float type, found {}", to_string(type));
  TESSERA_USER_CHECK(kind == "uniform" || kind == "normal", "random: distribution = '{}'", kind);
  return {{type, c.attrs.dims("shape")}};
}

std::vector<Tensor> evaluate_random(const Opaque::Context& c) {
  const auto shape = sym::constants(c.attrs.dims("shape"));
  TESSERA_USER_CHECK(shape.has_value(), "random: a size is unbound");
  const bool normal = c.attrs.string("distribution") == "normal";
  const double offset = c.attrs.real("offset"), scale = c.attrs.real("scale");
  Rng rng(static_cast<uint64_t>(c.attrs.integer("seed")));
  Tensor result(c.attrs.dtype("dtype"), *shape);
  for (int64_t i = 0; i < result.size(); ++i)
    result.set_float(i, offset + scale * (normal ? rng.normal() : rng.uniform()));
  return {result};
}

// Without a seed every node gets its own, so that two of them differ.
Val random_value(OnnxImport& c, const char* distribution, ir::Dims shape, DType type, double offset,
                 double scale) {
  const auto own = static_cast<int64_t>(c.builder().graph().node_count());
  // Dropout's seed is an integer, that of the others a float.
  int64_t seed = own;
  if (c.has_attr("seed"))
    seed = c.op_type() == "Dropout" ? c.attr_int("seed", 0)
                                    : std::bit_cast<int64_t>(c.attr_float("seed", 0));
  return c.op("random", {},
              {{"distribution", std::string(distribution)},
               {"shape", std::move(shape)},
               {"dtype", type},
               {"offset", offset},
               {"scale", scale},
               {"seed", seed}});
}

// Shape and type from attributes, or those of the input (the Like operators).
std::vector<Val> import_random(OnnxImport& c, bool like, bool normal) {
  const ir::Dims stated = [&] {
    const auto ints = c.attr_ints("shape", {});
    return like ? c.input(0).shape() : ir::Dims(ints.begin(), ints.end());
  }();
  DType type = like ? c.input(0).dtype() : DType::f32;
  if (c.has_attr("dtype")) type = c.dtype_of(c.attr_int("dtype", 1));
  if (normal)
    return {
        random_value(c, "normal", stated, type, c.attr_float("mean", 0), c.attr_float("scale", 1))};
  const double low = c.attr_float("low", 0), high = c.attr_float("high", 1);
  return {random_value(c, "uniform", stated, type, low, high - low)};
}

std::vector<Val> import_bernoulli(OnnxImport& c) {
  const Val p = c.input(0);
  const DType type = c.has_attr("dtype") ? c.dtype_of(c.attr_int("dtype", 1)) : p.dtype();
  const Val draw = random_value(c, "uniform", p.shape(), p.dtype(), 0, 1);
  return {cast(c.op("less", {draw, p}), type)};
}

// Kept elements are scaled up, so that the mean stays.
std::vector<Val> import_dropout(OnnxImport& c) {
  const Val x = c.input(0);
  const auto number = [&](int k) {
    const Tensor value = c.value(k).converted(DType::f64);
    if (value.size() != 1) c.fail(fmt::format("input {} must be one number", k));
    return value.float_at(0);
  };
  const bool training = c.has_input(2) && number(2) != 0;
  const double ratio = c.has_input(1) ? number(1) : 0.5;
  if (!(ratio >= 0 && ratio < 1)) c.fail(fmt::format("ratio = {}", ratio));
  if (!training || ratio == 0)
    return {c.op("identity", {x}), expand(c.builder().scalar(1, DType::boolean), x.shape())};
  const Val draw = random_value(c, "uniform", x.shape(), DType::f32, 0, 1);
  const Val kept = c.op("greater_or_equal", {draw, c.builder().scalar(ratio, DType::f32)});
  return {where(kept, x / (1 - ratio), c.builder().scalar(0, x.dtype())), kept};
}

// Before operator set 12 the node was the identity unless a runtime trained.
std::vector<Val> import_dropout_7(OnnxImport& c) {
  const Val x = c.input(0);
  const DType mask = c.opset() < 10 ? x.dtype() : DType::boolean;
  return {c.op("identity", {x}), expand(c.builder().scalar(1, mask), x.shape())};
}

OnnxForm random_form(const char* op, bool like, bool normal) {
  return {.op = op, .import = [=](OnnxImport& c) { return import_random(c, like, normal); }};
}

void export_random(OnnxExport& c) {
  const auto real = [&](const char* name) { return std::get<double>(*c.attr(name)); };
  const bool normal = std::get<std::string>(*c.attr("distribution")) == "normal";
  const auto shape = sym::constants(c.attr_dims("shape"));
  if (!shape) c.unsupported("a random tensor of symbolic shape");
  ir::AttrMap attrs{{"shape", *shape}, {"dtype", c.onnx_type(std::get<DType>(*c.attr("dtype")))}};
  attrs.emplace(normal ? "mean" : "low", real("offset"));
  attrs.emplace(normal ? "scale" : "high", normal ? real("scale") : real("offset") + real("scale"));
  c.result(c.emit(normal ? "RandomNormal" : "RandomUniform", {}, std::move(attrs)));
}

}  // namespace

/// Impure: never folded, merged or reordered. The same seed gives the same numbers.
OpDef random() {
  return {
      .name = "random",
      .doc = "offset + scale · r with r standard normal, or uniform in [0, 1).",
      .inputs = {},
      .attrs = {{.name = "distribution", .kind = ir::AttrKind::string},
                {.name = "shape", .kind = ir::AttrKind::dims},
                {.name = "dtype", .kind = ir::AttrKind::dtype, .default_value = DType::f32},
                real_attr("offset", 0.0),
                real_attr("scale", 1.0),
                int_attr("seed", 0)},
      .opaque = Opaque{.infer = infer_random, .evaluate = evaluate_random},
      .impure = true,
      .onnx = {{.op = "RandomUniform",
                .import = [](OnnxImport& c) { return import_random(c, false, false); },
                .export_ = export_random},
               random_form("RandomNormal", false, true),
               random_form("RandomUniformLike", true, false),
               random_form("RandomNormalLike", true, true),
               {.op = "Bernoulli", .since = 15, .import = import_bernoulli},
               {.op = "Dropout", .since = 7, .import = import_dropout_7},
               {.op = "Dropout", .since = 12, .import = import_dropout}},
      .samples = {{{}, {{"distribution", std::string("uniform")}, {"shape", ir::Dims{3, 4}}}},
                  {{}, {{"distribution", std::string("normal")}, {"shape", ir::Dims{5}}}}},
  };
}

}  // namespace tessera::ops::records
