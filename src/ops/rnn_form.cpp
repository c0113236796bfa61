// SPDX-License-Identifier: Apache-2.0
// The decomposition of recurrent layers into scans.
#include "ops/rnn_form.h"

#include <algorithm>
#include <cctype>
#include <numeric>

#include "ops/pool_form.h"

namespace tessera::ops {
namespace {

Val constant_like(Val x, double value) { return x.builder->scalar(value, x.dtype()); }
Val maximum(Val a, Val b) { return a.builder->op("max", {a, b}); }
Val minimum(Val a, Val b) { return a.builder->op("min", {a, b}); }

struct NamedActivation {
  const char* name;
  bool takes_alpha, takes_beta;
  double alpha, beta;  // defaults
  Val (*apply)(Val x, double alpha, double beta);
};

const NamedActivation known_activations[] = {
    {"sigmoid", false, false, 0, 0, [](Val x, double, double) { return sigmoid(x); }},
    {"tanh", false, false, 0, 0, [](Val x, double, double) { return tanh(x); }},
    {"relu", false, false, 0, 0,
     [](Val x, double, double) { return maximum(x, constant_like(x, 0)); }},
    {"affine", true, true, 1, 0, [](Val x, double a, double b) { return x * a + b; }},
    {"leakyrelu", true, false, 0.01, 0,
     [](Val x, double a, double) {
       const Val zero = constant_like(x, 0);
       return where(x.builder->op("less", {x, zero}), x * a, x);
     }},
    {"thresholdedrelu", true, false, 1, 0,
     [](Val x, double a, double) {
       return where(x.builder->op("greater", {x, constant_like(x, a)}), x, constant_like(x, 0));
     }},
    {"scaledtanh", true, true, 1, 1, [](Val x, double a, double b) { return tanh(x * b) * a; }},
    {"hardsigmoid", true, true, 0.2, 0.5,
     [](Val x, double a, double b) {
       return maximum(minimum(x * a + b, constant_like(x, 1)), constant_like(x, 0));
     }},
    {"elu", true, false, 1, 0,
     [](Val x, double a, double) {
       const Val zero = constant_like(x, 0);
       const Val below = (exp(minimum(x, zero)) - 1.0) * a;
       return where(x.builder->op("less", {x, zero}), below, x);
     }},
    {"softsign", false, false, 0, 0,
     [](Val x, double, double) { return x / (x.builder->op("abs", {x}) + 1.0); }},
    {"softplus", false, false, 0, 0,
     [](Val x, double, double) {
       const Val zero = constant_like(x, 0);
       return maximum(x, zero) + log(exp(-x.builder->op("abs", {x})) + 1.0);
     }},
};

// Alphas and betas are consumed in order by the activations that take them.
std::vector<Activation> activations_of(const Decomposition& d, int directions, int count) {
  std::vector<std::string> names = d.strings("activations");
  if (names.empty()) {
    for (int k = 0; k < directions; ++k) {
      if (count > 1) names.emplace_back("Sigmoid");
      for (int j = std::min(count - 1, 1); j < count; ++j) names.emplace_back("Tanh");
    }
  }
  d.check(static_cast<int>(names.size()) == directions * count, "{} activations for {} gates",
          names.size(), directions * count);
  const auto alphas = d.reals("activation_alpha"), betas = d.reals("activation_beta");
  size_t next_alpha = 0, next_beta = 0;
  std::vector<Activation> result;
  for (std::string name : names) {
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    const auto* at = std::find_if(std::begin(known_activations), std::end(known_activations),
                                  [&](const NamedActivation& a) { return name == a.name; });
    d.check(at != std::end(known_activations), "unknown activation '{}'", name);
    const double alpha =
        at->takes_alpha && next_alpha < alphas.size() ? alphas[next_alpha++] : at->alpha;
    const double beta = at->takes_beta && next_beta < betas.size() ? betas[next_beta++] : at->beta;
    result.push_back([apply = at->apply, alpha, beta](Val x) { return apply(x, alpha, beta); });
  }
  return result;
}

Val swap_first_axes(Val x) {
  std::vector<int64_t> perm(static_cast<size_t>(x.rank()));
  std::iota(perm.begin(), perm.end(), 0);
  std::swap(perm[0], perm[1]);
  return transpose(x, perm);
}

struct Direction {
  std::vector<Val> states;  // initial ones
  Val projected;            // [steps, batch, gates · hidden]
  Val mask;                 // absent, or bool [steps, batch, 1]
  std::vector<Val> invariants;
  std::vector<Activation> activations;
  bool reverse = false;
};

// Beyond the end of a sequence the states stay and the result is 0.
std::vector<Val> run_direction(Decomposition& d, const RnnCell& cell, const Direction& way) {
  Builder body("step");
  const auto mirror = [&](Val outer, const std::string& name, bool step) {
    ir::ValueType type = outer.type();
    if (step) type.shape.erase(type.shape.begin());
    return body.input(name, type);
  };
  RnnStep step;
  for (size_t k = 0; k < way.states.size(); ++k)
    step.states.push_back(mirror(way.states[k], fmt::format("state{}", k), false));
  step.x = mirror(way.projected, "x", true);
  Val mask;
  if (way.mask.present()) mask = mirror(way.mask, "mask", true);
  std::vector<Val> arguments = way.states;
  arguments.push_back(way.projected);
  if (mask.present()) arguments.push_back(way.mask);
  for (const Val& v : way.invariants) {
    step.invariants.push_back(
        v.present() ? mirror(v, fmt::format("w{}", step.invariants.size()), false) : Val{});
    if (v.present()) arguments.push_back(v);
  }
  step.activations = way.activations;
  const double bound = d.real("clip");
  step.clip = [bound](Val x) {
    return bound <= 0 ? x : maximum(minimum(x, constant_like(x, bound)), constant_like(x, -bound));
  };
  std::vector<Val> next = cell.step(step);
  Val y = next[0];
  if (mask.present()) {
    y = where(mask, y, constant_like(y, 0));
    for (size_t k = 0; k < next.size(); ++k) next[k] = where(mask, next[k], step.states[k]);
  }
  for (size_t k = 0; k < next.size(); ++k) body.output(fmt::format("next{}", k), next[k]);
  body.output("y", y);
  ir::AttrMap attrs{{"states", static_cast<int64_t>(next.size())},
                    {"scans", int64_t{mask.present() ? 2 : 1}},
                    {"length", ir::Dims{way.projected.dim(0)}}};
  if (way.reverse) attrs.emplace("reverse", int64_t{1});
  d.builder().add_work(body.work());
  auto region = std::make_shared<const ir::Graph>(std::move(body).finish());
  return d.builder().op_n("scan", arguments, attrs, {region});
}

Val sequence_mask(Decomposition& d, Val lengths, const sym::Expr& steps) {
  const auto count = steps.constant();
  if (!count)
    fail_user(ErrorKind::unsupported, "{}: sequence_lens with a symbolic number of steps",
              d.def().name);
  std::vector<int64_t> numbers(static_cast<size_t>(*count));
  std::iota(numbers.begin(), numbers.end(), 0);
  const Val step =
      d.builder().constant(Tensor::from_integers(numbers, {*count, 1, 1}, lengths.dtype()));
  return d.op("less", {step, reshape(lengths, {1, lengths.dim(0), 1})});
}

}  // namespace

Val gate(Val x, int k, int count) {
  const sym::Expr width = sym::floor_div(x.dim(-1), count);
  return slice(x, {x.rank() - 1}, {width * k}, {width * (k + 1)});
}

std::vector<Val> decompose_rnn(Decomposition& d, const RnnCell& cell) {
  const bool batch_first = d.flag("layout");
  const auto given = [&](int k) {
    d.check(!batch_first || d.in(k).rank() == 3, "input {} needs rank 3", k);
    return batch_first ? swap_first_axes(d.in(k)) : d.in(k);
  };
  const Val x = given(0);
  const std::string& direction = d.string("direction");
  d.check(direction == "forward" || direction == "reverse" || direction == "bidirectional",
          "unknown direction '{}'", direction);
  const int directions = direction == "bidirectional" ? 2 : 1;
  d.check(x.rank() == 3 && d.in(1).rank() == 3 && d.in(2).rank() == 3, "x, w and r need rank 3");
  d.check(d.in(1).dim(0) == sym::Expr(directions), "direction {} needs {} sets of weights",
          direction, directions);
  const auto activations = activations_of(d, directions, cell.activations);
  const sym::Expr hidden = d.in(2).dim(2);
  std::vector<Val> stacked;
  std::vector<std::vector<Val>> finals(static_cast<size_t>(cell.states));
  for (int k = 0; k < directions; ++k) {
    const std::function<Val(int)> part = [&](int input) {
      if (!d.has(input)) return Val{};
      const Val v = d.in(input);
      return squeeze(directions == 1 ? v : slice(v, {0}, {k}, {k + 1}), {0});
    };
    Direction way;
    way.reverse = direction == "reverse" || k == 1;
    way.projected = matmul(x, transpose(part(1), {1, 0}));
    if (d.has(3)) {
      const Val b = part(3);
      way.projected = way.projected + cell.folded_bias(gate(b, 0, 2), gate(b, 1, 2));
    }
    if (d.has(4)) way.mask = sequence_mask(d, d.in(4), x.dim(0));
    for (int s = 0; s < cell.states; ++s) {
      const int input = 5 + s;
      if (!d.has(input)) {
        way.states.push_back(expand(d.scalar(0, x.dtype()), {x.dim(1), hidden}));
        continue;
      }
      const Val v = given(input);
      way.states.push_back(squeeze(directions == 1 ? v : slice(v, {0}, {k}, {k + 1}), {0}));
    }
    way.invariants = cell.invariants(part);
    way.activations.assign(activations.begin() + k * cell.activations,
                           activations.begin() + (k + 1) * cell.activations);
    const std::vector<Val> results = run_direction(d, cell, way);
    for (int s = 0; s < cell.states; ++s)
      finals[static_cast<size_t>(s)].push_back(unsqueeze(results[s], {0}));
    stacked.push_back(unsqueeze(results.back(), {1}));
  }
  const auto join = [&](const std::vector<Val>& parts, int64_t axis) {
    return parts.size() == 1 ? parts[0] : concat(parts, axis);
  };
  const Val y = join(stacked, 1);
  std::vector<Val> outputs{batch_first ? transpose(y, {2, 0, 1, 3}) : y};
  for (const auto& parts : finals) {
    const Val last = join(parts, 0);
    outputs.push_back(batch_first ? swap_first_axes(last) : last);
  }
  return outputs;
}

std::vector<AttrDef> rnn_attrs() {
  using ir::AttrKind;
  return {
      {.name = "direction", .kind = AttrKind::string, .default_value = std::string("forward")},
      {.name = "activations",
       .kind = AttrKind::strings,
       .default_value = std::vector<std::string>{}},
      {.name = "activation_alpha", .kind = AttrKind::reals, .default_value = std::vector<double>{}},
      {.name = "activation_beta", .kind = AttrKind::reals, .default_value = std::vector<double>{}},
      {.name = "clip", .kind = AttrKind::real, .default_value = 0.0},
      {.name = "layout", .default_value = int64_t{0}}};
}

OnnxForm rnn_onnx_form(const std::string& onnx_op) {
  OnnxForm form;
  form.op = onnx_op;
  form.since = 7;
  form.ignored = {"hidden_size"};
  form.export_ = [onnx_op](OnnxExport& c) {
    ir::AttrMap attrs = c.node().attrs;
    if (c.opset() < 14 && attrs.contains("layout")) c.unsupported("layout needs operator set 14");
    const auto hidden = c.input_type(2).shape.at(2).constant();
    if (!hidden) c.unsupported("recurrent weights of symbolic size");
    attrs.emplace("hidden_size", *hidden);
    c.result(c.emit(onnx_op, export_inputs(c), attrs, static_cast<int>(c.node().outputs.size())));
  };
  return form;
}

}  // namespace tessera::ops
