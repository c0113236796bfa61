// SPDX-License-Identifier: Apache-2.0
// Random instances of left sides.
#include "rules/sample.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "base/check.h"
#include "ops/builder.h"
#include "rules/bindings.h"

namespace tessera::rules {
namespace {

/// The drawn instance does not fit together; another is tried.
struct Unfit {};

void fill(Tensor& t, Rng& rng, bool positive, bool special) {
  const double inf = std::numeric_limits<double>::infinity();
  const double odd[] = {std::numeric_limits<double>::quiet_NaN(), inf, -inf, -0.0, 0.0, 1.0};
  for (int64_t i = 0; i < t.size(); ++i) {
    if (is_float(t.type())) {
      const double v = rng.normal();
      const bool use_odd = special && !positive && rng.uniform() < 0.3;
      t.set_float(i, use_odd ? odd[rng.integer(0, 5)] : positive ? std::abs(v) + 0.1 : v);
    } else if (t.type() == DType::boolean) {
      t.set_integer(i, rng.integer(0, 1));
    } else {
      int64_t v = rng.integer(0, positive ? 1 : 5);
      if (special && rng.uniform() < 0.3)
        v = rng.integer(0, 3) ? static_cast<int64_t>(rng.next())
                              : INT64_MIN >> (64 - bit_width(t.type()));
      t.set_integer(i, wrap_integer(v, t.type()));
    }
  }
}

void collect_constants(const Term& t, std::set<int>& slots) {
  const bool needs = t.kind == Term::Kind::call &&
                     (t.name == "const" || t.name == "value" || t.name == "elements");
  for (const Term& a : t.args) {
    if (needs && a.kind == Term::Kind::variable) slots.insert(a.slot);
    collect_constants(a, slots);
  }
}

bool asks_positive(const Term& t, int slot) {
  if (t.name == "positive" && !t.args.empty() && t.args[0].slot == slot) return true;
  return std::any_of(t.args.begin(), t.args.end(),
                     [&](const Term& a) { return asks_positive(a, slot); });
}

class Instance {
 public:
  Instance(const Rule& rule, Rng& rng, bool wild)
      : rule_(rule), rng_(rng), wild_(wild), builder_(rule.name) {
    if (!rule.samples.empty())
      sample_ = &rule.samples[rng.integer(0, static_cast<int64_t>(rule.samples.size()) - 1)];
    for (const Term& c : rule.conditions) collect_constants(c, constants_);
    square_ = chance(0.15);
    equal_parts_ = chance(0.3);
    reshaped_ = chance(0.08) ? rng.integer(0, 2) : -1;
    // Rules over the reals are about floats; not every record refuses integers.
    const DType others[] = {DType::f64, DType::f32, DType::i32, DType::u8};
    if (chance(0.08)) retyped_ = others[rng.integer(0, rule.mode == Mode::real ? 1 : 3)];
    dtype_ = draw_dtype();
    count_ = static_cast<int>(rng.integer(2, 4));
    const int rank = static_cast<int>(rng.integer(1, 3));
    for (int k = 0; k < rank; ++k) common_.push_back(draw_size());
  }

  ir::Graph build() {
    int k = 0;
    const int copies = rule_.is_group() ? count_ : 1;
    for (int i = 0; i < copies; ++i)
      for (const Pattern& p : rule_.lhs)
        builder_.output(fmt::format("y{}", k++), value(p, rule_.is_group() ? i : -1, dtype_));
    return std::move(builder_).finish();
  }

 private:
  DType draw_dtype() {
    if (rule_.mode == Mode::real) return DType::f32;
    const DType types[] = {DType::f32, DType::f32,     DType::i32, DType::f64,
                           DType::u8,  DType::boolean, DType::i64};
    return types[rng_.integer(0, 6)];
  }
  int64_t draw_size() { return rng_.uniform() < 0.2 ? 1 : rng_.integer(2, 4); }

  const SampleSpec* spec(int slot, bool tensor) const {
    if (sample_)
      for (const SampleSpec& s : *sample_)
        if (s.slot == slot && s.is_tensor == tensor && s.attr.empty()) return &s;
    return nullptr;
  }

  bool chance(double probability) { return wild_ && rng_.uniform() < probability; }

  int64_t size_named(const std::string& name, int repetition = -1) {
    if (chance(0.04)) return rng_.integer(0, 5);
    if (std::isdigit(static_cast<unsigned char>(name[0]))) {
      const int64_t written = std::stoll(name);
      if (!wild_) return written;
      const auto [it, added] = sizes_.try_emplace(name, written);
      if (added && rng_.uniform() < 0.4) it->second = rng_.integer(1, 6);
      return it->second;
    }
    const bool starred = name.ends_with('*');
    const std::string key = square_                    ? "n"
                            : starred && !equal_parts_ ? fmt::format("{}{}", name, repetition)
                                                       : name;
    const auto [it, added] = sizes_.try_emplace(key, 0);
    if (added) it->second = draw_size();
    return it->second;
  }

  // A term of the sample clause, in which names are sizes.
  TermValue constant_term(Term t) {
    replace_names(t);
    if (wild_) perturb(t);
    static const WorkGraph empty{ir::Graph{}};
    const Bindings none(rule_.variables.size());
    const auto v = rules::evaluate(t, {empty, rule_, none});
    TESSERA_USER_CHECK(v.has_value(), "rule {}: a sample value cannot be computed", rule_.name);
    return *v;
  }
  void perturb(Term& t) {
    if (t.kind == Term::Kind::integer && rng_.uniform() < 0.12)
      t.integer += rng_.integer(0, 1) ? 1 : -1;
    if (t.kind == Term::Kind::real && rng_.uniform() < 0.12) t.real += 0.5;
    if (t.kind == Term::Kind::symbol && dtype_from_string(t.name) && rng_.uniform() < 0.15)
      t.name = rng_.integer(0, 1) ? "i32" : "f16";
    if (t.name == "list" && rng_.uniform() < 0.05) {
      if (!t.args.empty() && rng_.integer(0, 1)) t.args.pop_back();
      else t.args.insert(t.args.begin(), Term{});
    }
    for (Term& a : t.args) perturb(a);
  }
  void replace_names(Term& t) {
    const bool is_name = t.kind == Term::Kind::symbol && t.name.size() == 1;
    if (is_name) {
      t.kind = Term::Kind::integer;
      t.integer = size_named(t.name);
    }
    for (Term& a : t.args) replace_names(a);
  }

  // Keeps two blocks on the diagonal of the first two axes, or makes an identity.
  static void clear_off_diagonal(Tensor& t, bool eye) {
    if (t.rank() < 2) throw Unfit{};
    const int64_t rows = t.shape()[0], columns = t.shape()[1];
    if (rows == 0 || columns == 0) throw Unfit{};
    const int64_t taps = t.size() / (rows * columns);
    for (int64_t i = 0; i < t.size(); ++i) {
      const int64_t r = i / taps / columns, c = i / taps % columns;
      if (eye) t.set_float(i, r % columns == c && i % taps == taps / 2 ? 1 : 0);
      else if (2 * r / rows != 2 * c / columns) t.set_float(i, 0);
    }
  }

  ops::Val tensor(int slot, int repetition) {
    const bool list = rule_.is_list[slot];
    auto& known = tensors_[{slot, list ? repetition : -1}];
    if (known.present()) return known;
    Shape shape;
    DType type = dtype_;
    bool positive = false;
    if (const SampleSpec* s = spec(slot, true)) {
      for (const std::string& d : s->dims) shape.push_back(size_named(d, repetition));
      if (chance(0.06)) shape.insert(shape.begin(), rng_.integer(1, 3));
      else if (chance(0.06) && !shape.empty()) shape.erase(shape.begin());
      else if (chance(0.04)) shape.clear();
      if (s->dtype) type = *s->dtype;
      if (reshaped_ == 0) shape.insert(shape.begin(), size_named("2"));
      if (reshaped_ == 1) shape.push_back(size_named("1"));
      if (reshaped_ == 2 && !shape.empty()) shape.erase(shape.begin());
      if (retyped_ && type != DType::boolean) type = *retyped_;
      if (rule_.mode == Mode::exact && chance(0.02)) type = DType::i32;
      positive = s->positive && !chance(rule_.conditions.empty() ? 0 : 0.05);
    } else {
      shape = common_;
      // All extents equal, and fewer axes: there what mixes up axes fits together.
      if (square_ && !shape.empty()) shape.assign(shape.size(), shape.front());
      if (chance(0.2)) shape.erase(shape.begin(), shape.begin() + rng_.integer(0, 1));
      const double kind = rng_.uniform();
      if (kind < 0.15 || shape.empty()) shape.clear();
      else if (kind < 0.3)
        shape[static_cast<size_t>(rng_.integer(0, static_cast<int64_t>(shape.size()) - 1))] = 1;
    }
    const SampleSpec* s = spec(slot, true);
    const bool made = s && (s->twice || s->value || s->eye || s->blocks);
    if ((constants_.contains(slot) || made) && !chance(0.1)) {
      Tensor t(type, rng_.uniform() < 0.3 && !s ? Shape{} : shape);
      fill(t, rng_, positive, false);
      const bool changed = chance(0.15);  // breaks what the clause promises
      if (s && (s->eye || s->blocks) && is_float(type)) clear_off_diagonal(t, s->eye);
      if (changed && s && s->eye && t.size() > 0 && is_float(type)) t.set_float(0, 2);
      const int64_t n = t.rank() ? t.shape().back() : 1;
      for (int64_t i = 0; i < t.size(); ++i) {
        if (s && s->value && is_float(type)) t.set_float(i, *s->value + (changed ? 1 : 0));
        if (s && s->value && is_integer(type)) t.set_integer(i, static_cast<int64_t>(*s->value));
        if (s && s->twice && i % n >= n / 2 && !changed && is_float(type))
          t.set_float(i, t.float_at(i - n / 2));
        if (s) continue;  // without a spec: one value, for rules on scalars
        if (is_float(type)) t.set_float(i, t.float_at(0));
        else t.set_integer(i, t.integer_at(0));
      }
      return known = builder_.constant(std::move(t));
    }
    const std::string name =
        fmt::format("{}{}{}", rule_.variables[slot], tensors_.size(), positive ? "+" : "");
    known = builder_.input(name, {type, ir::Dims(shape.begin(), shape.end())});
    // An input is not known to be positive: its exponential is.
    const bool asked = std::any_of(rule_.conditions.begin(), rule_.conditions.end(),
                                   [&](const Term& c) { return asks_positive(c, slot); });
    return known = asked && !chance(0.1) ? ops::exp(known) : known;
  }

  ir::AttrValue attribute(const ops::AttrDef& def, const AttrPattern& a, int rank) {
    if (a.term.kind != Term::Kind::variable) {
      const auto v = to_attribute(constant_term(a.term), def.kind);
      if (!v) throw Unfit{};
      return *v;
    }
    auto& known = attrs_[a.term.slot];
    if (!known) known = drawn_attribute(def, a, rank);
    const auto v = to_attribute(*known, def.kind);
    if (!v) throw Unfit{};
    return *v;
  }

  TermValue drawn_attribute(const ops::AttrDef& def, const AttrPattern& a, int rank) {
    if (const SampleSpec* s = spec(a.term.slot, false)) return constant_term(*s->term);
    if (def.name == "perm" && chance(0.1)) return std::vector<sym::Expr>{};
    if (def.name == "perm") {
      std::vector<sym::Expr> perm;
      for (int k = 0; k < rank; ++k) perm.push_back(k);
      for (int k = rank; k-- > 1;) std::swap(perm[k], perm[rng_.integer(0, k)]);
      return perm;
    }
    if (def.name == "axis") return sym::Expr(rank ? rng_.integer(-rank, rank - 1) : 0);
    if (def.name == "axes") return std::vector<sym::Expr>{rank ? rng_.integer(0, rank - 1) : 0};
    if (def.name == "keepdims") return sym::Expr(rng_.integer(0, 1));
    if (def.name == "epsilon") return 1e-3 + 0.1 * rng_.uniform();
    if (def.kind == ir::AttrKind::dtype) {
      const DType types[] = {DType::f32, DType::f64,     DType::i32, DType::i64,
                             DType::f16, DType::boolean, DType::u8};
      return types[rng_.integer(0, 6)];
    }
    const auto fallback = def.default_value ? to_term_value(*def.default_value) : std::nullopt;
    TESSERA_USER_CHECK(fallback.has_value(), "rule {}: the sample clause does not say what ?{} is",
                       rule_.name, rule_.variables[a.term.slot]);
    return *fallback;
  }

  ir::AttrMap attributes(const Pattern& p, int rank) {
    ir::AttrMap attrs;
    for (const AttrPattern& a : p.attrs) {
      const auto def = std::find_if(p.def->attrs.begin(), p.def->attrs.end(),
                                    [&](const ops::AttrDef& d) { return d.name == a.name; });
      attrs[a.name] = attribute(*def, a, rank);
    }
    if (p.rest >= 0 && p.def->name == "conv" && !attrs.contains("group") && chance(0.1))
      attrs["group"] = rng_.integer(2, 3);
    if (p.rest < 0 || !sample_) return attrs;
    for (const SampleSpec& s : *sample_) {
      if (s.slot != p.rest || s.attr.empty()) continue;
      for (const ops::AttrDef& def : p.def->attrs) {
        if (def.name != s.attr || attrs.contains(def.name)) continue;
        if (auto v = to_attribute(constant_term(*s.term), def.kind)) attrs[def.name] = *v;
      }
    }
    return attrs;
  }

  ops::Val named(const Pattern& p, ops::Val v) {
    if (p.slot >= 0) tensors_[{p.slot, -1}] = v;
    return v;
  }

  ops::Val value(const Pattern& p, int repetition, DType literal_type) {
    switch (p.kind) {
      case Pattern::Kind::variable: return tensor(p.slot, repetition);
      case Pattern::Kind::number: return builder_.scalar(p.number, literal_type);
      case Pattern::Kind::any:
        if (p.slot >= 0 && tensors_[{p.slot, -1}].present()) return tensors_[{p.slot, -1}];
        return named(p, value(p.args[rng_.integer(0, static_cast<int64_t>(p.args.size()) - 1)],
                              repetition, literal_type));
      case Pattern::Kind::apply: break;
      case Pattern::Kind::scalar: throw Unfit{};
    }
    // A node that is named stands for itself wherever it occurs.
    if (p.slot >= 0 && tensors_[{p.slot, -1}].present()) return tensors_[{p.slot, -1}];
    std::vector<std::vector<ops::Val>> operands(p.args.size());
    DType type = literal_type;
    int rank = 0;
    for (const bool literals : {false, true})
      for (size_t k = 0; k < p.args.size(); ++k) {
        const Pattern& a = p.args[k];
        if ((a.kind == Pattern::Kind::number) != literals) continue;
        const int copies = a.repeated ? count_ : 1;
        for (int i = 0; i < copies; ++i)
          operands[k].push_back(value(a, a.repeated ? i : repetition, type));
        if (!literals) {
          type = operands[k].back().dtype();
          if (rank == 0) rank = operands[k].back().rank();
        }
      }
    std::vector<ops::Val> inputs;
    for (auto& group : operands) inputs.insert(inputs.end(), group.begin(), group.end());
    const bool commutes =
        inputs.size() == 2 && std::find(p.def->traits.begin(), p.def->traits.end(),
                                        ops::Trait::commutative) != p.def->traits.end();
    if (commutes && rng_.uniform() < 0.5) std::swap(inputs[0], inputs[1]);
    const auto results = builder_.op_n(p.def->name, inputs, attributes(p, rank));
    size_t output = static_cast<size_t>(p.output);
    if (p.output_slot >= 0) {
      output = static_cast<size_t>(rng_.integer(0, static_cast<int64_t>(results.size()) - 1));
    }
    if (output >= results.size()) throw Unfit{};
    return named(p, results[output]);
  }

  const Rule& rule_;
  Rng& rng_;
  const bool wild_;
  ops::Builder builder_;
  const RuleSample* sample_ = nullptr;
  std::set<int> constants_;
  std::map<std::string, int64_t> sizes_;
  std::map<std::pair<int, int>, ops::Val> tensors_;
  std::map<int, std::optional<TermValue>> attrs_;
  // Of wild instances: one size for all names, equal repetitions, how all shapes change (an axis
  // more in front or behind, one less in front), one element type for all.
  bool square_ = false, equal_parts_ = false;
  int64_t reshaped_ = -1;
  std::optional<DType> retyped_;
  DType dtype_ = DType::f32;
  Shape common_;
  int count_ = 2;
};

}  // namespace

std::optional<ir::Graph> sample_left_side(const Rule& rule, Rng& rng, bool wild) {
  try {
    return Instance(rule, rng, wild).build();
  } catch (const Unfit&) {
  } catch (const UserError& e) {
    if (!wild && std::string_view(e.what()).find("sample") != std::string_view::npos) throw;
  }
  return std::nullopt;
}

std::vector<Tensor> random_inputs(const ir::Graph& graph, Rng& rng, bool special) {
  std::vector<Tensor> tensors;
  for (ir::NodeId id : graph.inputs()) {
    const ir::Node& n = graph.node(id);
    Tensor t(n.outputs[0].dtype, n.outputs[0].concrete_shape());
    fill(t, rng, n.name.ends_with('+'), special);
    tensors.push_back(std::move(t));
  }
  return tensors;
}

}  // namespace tessera::rules
