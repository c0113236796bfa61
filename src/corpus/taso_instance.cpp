// SPDX-License-Identifier: Apache-2.0
// Ranks, then sizes, then graphs: three walks over both sides of a rule.
#include "corpus/taso_instance.h"

#include <memory>

#include "base/check.h"
#include "corpus/size_system.h"
#include "ops/builder.h"

namespace tessera::corpus {
namespace {

using Id = SizeSystem::Id;

/// Where an axis was joined. Two trees of equal form share their sizes once somebody divides there.
struct Tree {
  Id size = -1;
  std::shared_ptr<const Tree> left, right;
  std::vector<std::pair<Id, Id>> equal;
};
using TreePtr = std::shared_ptr<const Tree>;

TreePtr leaf(Id size) { return std::make_shared<Tree>(Tree{size, nullptr, nullptr, {}}); }

// The tree of an elementwise result: joined where both operands are.
TreePtr common(const TreePtr& a, const TreePtr& b) {
  if (a == b || !a->left) return a;
  if (!b->left) return b;
  Tree t{a->size, common(a->left, b->left), common(a->right, b->right), a->equal};
  t.equal.insert(t.equal.end(), b->equal.begin(), b->equal.end());
  t.equal.push_back({a->left->size, b->left->size});
  t.equal.push_back({a->right->size, b->right->size});
  return std::make_shared<Tree>(std::move(t));
}

struct Typed {
  std::vector<TreePtr> axes;
  std::vector<Id> parts;  ///< of a split: the sizes of both
  Id size(int axis) const { return axes[axis]->size; }
  int rank() const { return static_cast<int>(axes.size()); }
};

class Shapes {
 public:
  Shapes(const TasoRule& rule, Rng& rng, const TasoDraw& options)
      : rule_(rule), rng_(rng), options_(options) {
    for (size_t k = 0; k < rule.left.size(); ++k)
      ranks_.unify(rank(rule.left[k]), rank(rule.right[k]));
    draw_ranks();
    for (size_t k = 0; k < rule.left.size(); ++k) {
      const Typed a = typed(rule.left[k]), b = typed(rule.right[k]);
      if (!options.same_outputs) continue;
      for (int axis = 0; axis < a.rank(); ++axis) sizes_.unify(a.size(axis), b.size(axis));
    }
    if (options.symbolic) {
      const auto symbols = sizes_.symbols();
      if (!symbols) throw Illegal{};
      values_ = *symbols;
      return;
    }
    const auto drawn = sizes_.draw(rng, options.low, options.high, options.one_group);
    if (!drawn) throw Illegal{};
    values_.assign(drawn->begin(), drawn->end());
  }

  ir::Dims shape(const Typed& t) const {
    ir::Dims s;
    for (const TreePtr& axis : t.axes) s.push_back(values_[axis->size]);
    return s;
  }
  sym::Expr value(Id id) const { return values_[id]; }
  const Typed& of(const TasoTerm& t) const {
    return t.is_variable() ? variables_.at(t.variable) : terms_.at(&t);
  }
  const std::map<std::string, Typed>& variables() const { return variables_; }

 private:
  // ---- ranks
  Id rank(const TasoTerm& t) {
    if (t.is_variable()) {
      const auto [it, added] = variable_ranks_.try_emplace(t.variable, -1);
      if (added) it->second = ranks_.fresh();
      return it->second;
    }
    std::vector<Id> args;
    for (const TasoTerm& a : t.args) args.push_back(rank(a));
    const auto need = [&](size_t count) {
      TESSERA_USER_CHECK(args.size() == count, "rule {}: {} has {} operands, expected {}",
                         rule_.name, t.op, args.size(), count);
    };
    Id r = -1;
    if (t.op == "matmul") {
      need(2);
      ranks_.unify(args[0], args[1]);
      products_.push_back(r = args[0]);
    } else if (t.op == "conv2d") {
      need(2);
      ranks_.fix(args[0], 4), ranks_.fix(args[1], 4);
      r = args[0];
    } else if (t.op == "ewadd" || t.op == "ewmul") {
      need(2);
      ranks_.unify(args[0], args[1]);
      r = args[0];
    } else if (t.op == "mul") {
      need(2);
      ranks_.fix(args[1], 0);
      r = args[0];
    } else if (t.op == "concat") {
      need(2);
      for (Id a : args) ranks_.fix(a, t.integer("ndim"));
      r = args[0];
    } else if (t.op == "relu" || t.op == "split") {
      need(1);
      r = args[0];
    } else if (t.op == "transpose") {
      need(1);
      ranks_.fix(r = args[0], t.integer("ndim"));
    } else if (t.op == "enlarge" || t.op == "avgpool2d" || t.op == "maxpool2d") {
      need(1);
      ranks_.fix(r = args[0], 4);
    } else if (t.op == "identity_conv" || t.op == "pool_weight") {
      r = ranks_.fixed(4);
    } else if (t.op == "identity_matrix") {
      r = ranks_.fixed(2);
    } else if (t.op == "ones") {
      r = ranks_.fresh();
    } else {
      fail_user(ErrorKind::unsupported, "rule {}: unknown operator {}", rule_.name, t.op);
    }
    term_ranks_[&t] = r;
    return r;
  }

  // Products are of matrices, or of batches where no other operator objects.
  void draw_ranks() {
    for (Id r : products_)
      if (!ranks_.known(r)) ranks_.fix(r, rng_.uniform() < 0.25 ? 3 : 2);
      else if (*ranks_.known(r) < 2) throw Illegal{};
    const auto drawn = ranks_.draw(rng_, 1, 4, false);
    if (!drawn) throw Illegal{};
    rank_values_ = *drawn;
  }

  // ---- sizes
  Typed fresh(int64_t rank) {
    Typed t;
    for (int64_t k = 0; k < rank; ++k) t.axes.push_back(leaf(sizes_.fresh()));
    return t;
  }

  const Typed& typed(const TasoTerm& t) {
    if (t.is_variable()) {
      const auto [it, added] = variables_.try_emplace(t.variable);
      if (added) it->second = fresh(rank_values_[variable_ranks_.at(t.variable)]);
      return it->second;
    }
    std::vector<Typed> args;
    for (const TasoTerm& a : t.args) args.push_back(typed(a));
    return terms_[&t] = apply(t, args);
  }

  Typed elementwise(const Typed& a, const Typed& b) {
    Typed r;
    for (int k = 0; k < a.rank(); ++k) {
      sizes_.unify(a.size(k), b.size(k));
      r.axes.push_back(common(a.axes[k], b.axes[k]));
    }
    return r;
  }

  Typed apply(const TasoTerm& t, const std::vector<Typed>& x) {
    if (t.op == "matmul") {
      const int n = x[0].rank();
      Typed r = x[0];
      for (int k = 0; k < n - 2; ++k) sizes_.unify(x[0].size(k), x[1].size(k));
      sizes_.unify(x[0].size(n - 1), x[1].size(n - 2));
      r.axes[n - 1] = x[1].axes[n - 1];
      return r;
    }
    if (t.op == "conv2d") {
      sizes_.fix(x[1].size(2), t.integer("kernel_h"));
      sizes_.fix(x[1].size(3), t.integer("kernel_w"));
      sizes_.grouped(x[0].size(1), x[1].size(1), x[1].size(0));
      // Constant kernels are made for the channels they meet.
      if (const TasoTerm* c = constant_kernel(t.args[1]))
        sizes_.unify(x[0].size(1), terms_.at(c).size(0));
      Typed r = x[0];
      r.axes[1] = x[1].axes[0];
      return r;
    }
    if (t.op == "ewadd" || t.op == "ewmul") return elementwise(x[0], x[1]);
    if (t.op == "mul" || t.op == "relu" || t.op == "avgpool2d" || t.op == "maxpool2d") return x[0];
    if (t.op == "concat") return joined(t, x[0], x[1]);
    if (t.op == "split") return divided(t, x[0]);
    if (t.op == "transpose") {
      if (x[0].rank() != 2 || t.integer("perm") != 2) throw Illegal{};
      return {{x[0].axes[1], x[0].axes[0]}, {}};
    }
    if (t.op == "enlarge") {
      Typed r = x[0];
      r.axes[2] = leaf(sizes_.fixed(t.integer("kernel_h")));
      r.axes[3] = leaf(sizes_.fixed(t.integer("kernel_w")));
      for (int k = 2; k < 4; ++k) sizes_.centred(x[0].size(k), r.size(k));
      return r;
    }
    if (t.op == "ones") return fresh(rank_values_[term_ranks_.at(&t)]);
    const TreePtr n = leaf(sizes_.fresh());
    if (t.op == "identity_matrix") return {{n, n}, {}};
    const TreePtr h = leaf(sizes_.fixed(t.integer("kernel_h"))),
                  w = leaf(sizes_.fixed(t.integer("kernel_w")));
    return {{n, t.op == "pool_weight" ? leaf(sizes_.fixed(1)) : n, h, w}, {}};
  }

  static const TasoTerm* constant_kernel(const TasoTerm& t) {
    if (t.op == "identity_conv" || t.op == "pool_weight") return &t;
    const bool keeps_channels = t.op == "enlarge" || t.op == "avgpool2d" || t.op == "maxpool2d" ||
                                t.op == "mul" || t.op == "relu";
    return keeps_channels ? constant_kernel(t.args[0]) : nullptr;
  }

  Typed joined(const TasoTerm& t, const Typed& a, const Typed& b) {
    const auto axis = static_cast<int>(t.integer("axis"));
    if (axis >= a.rank()) throw Illegal{};
    Typed r = a;
    for (int k = 0; k < a.rank(); ++k) {
      if (k != axis || options_.equal_parts) sizes_.unify(a.size(k), b.size(k));
      if (k != axis) r.axes[k] = common(a.axes[k], b.axes[k]);
    }
    const Id whole = sizes_.fresh();
    sizes_.sum(whole, {a.size(axis), b.size(axis)});
    r.axes[axis] = std::make_shared<Tree>(Tree{whole, a.axes[axis], b.axes[axis], {}});
    return r;
  }

  Typed divided(const TasoTerm& t, const Typed& x) {
    const auto axis = static_cast<int>(t.integer("axis"));
    if (axis >= x.rank() || t.output > 1) throw Illegal{};
    const TreePtr tree = x.axes[axis];
    if (!tree->left) throw Illegal{};
    for (const auto& [a, b] : tree->equal) sizes_.unify(a, b);
    Typed r = x;
    r.axes[axis] = t.output == 0 ? tree->left : tree->right;
    r.parts = {tree->left->size, tree->right->size};
    return r;
  }

  const TasoRule& rule_;
  Rng& rng_;
  const TasoDraw& options_;
  SizeSystem ranks_, sizes_;
  std::map<std::string, Id> variable_ranks_;
  std::map<const TasoTerm*, Id> term_ranks_;
  std::vector<Id> products_;
  std::vector<int64_t> rank_values_;
  std::vector<sym::Expr> values_;
  std::map<std::string, Typed> variables_;
  std::map<const TasoTerm*, Typed> terms_;
};

class Side {
 public:
  Side(const std::vector<TasoTerm>& outputs, const Shapes& shapes)
      : shapes_(shapes), builder_("rule") {
    for (const auto& [name, t] : shapes.variables())
      inputs_[name] = builder_.input(name, {DType::f64, shapes.shape(t)});
    for (size_t k = 0; k < outputs.size(); ++k)
      builder_.output(fmt::format("y{}", k), value(outputs[k]));
  }
  ir::Graph finish() && { return std::move(builder_).finish(); }
  const sym::Expr& groups() const { return groups_; }

 private:
  using Ints = std::vector<int64_t>;

  ops::Val constant(const TasoTerm& t) {
    const ir::Dims dims = shapes_.shape(shapes_.of(t));
    const auto sizes = sym::constants(dims);
    return sizes ? tensor(t, *sizes) : symbolic_tensor(t, dims);
  }

  ops::Val tensor(const TasoTerm& t, const Shape& s) {
    Tensor c(DType::f64, s);
    if (t.op == "ones" || t.op == "pool_weight") {
      for (int64_t k = 0; k < c.size(); ++k) c.set_float(k, 1);
    } else if (t.op == "identity_matrix") {
      for (int64_t k = 0; k < s[0]; ++k) c.set_float(k * s[0] + k, 1);
    } else {
      for (int64_t k = 0; k < s[0]; ++k)
        c.set_float(((k * s[0] + k) * s[2] + s[2] / 2) * s[3] + s[3] / 2, 1);
    }
    return builder_.constant(std::move(c));
  }

  ops::Val symbolic_tensor(const TasoTerm& t, const ir::Dims& s) {
    const auto filled = [&](double v, const ir::Dims& shape) {
      return ops::expand(builder_.scalar(v, DType::f64), shape);
    };
    if (t.op == "ones" || t.op == "pool_weight") return filled(1, s);
    const ops::Val unit = builder_.op("eye_like", {filled(0, {s[0], s[0]})});
    if (t.op == "identity_matrix") return unit;
    const sym::Expr h = sym::floor_div(s[2], 2), w = sym::floor_div(s[3], 2);
    return builder_.op("pad", {ops::reshape(unit, {s[0], s[0], 1, 1})},
                       {{"pads", ir::Dims{0, 0, h, w, 0, 0, s[2] - 1 - h, s[3] - 1 - w}}});
  }

  ops::Val activated(const TasoTerm& t, ops::Val v) {
    const auto it = t.attrs.find("acti");
    if (it == t.attrs.end() || it->second == "none") return v;
    TESSERA_USER_CHECK(it->second == "relu", "{}: unknown activation {}", t.op, it->second);
    return builder_.op("relu", {v});
  }

  void require_plain_windows(const TasoTerm& t) const {
    const auto pad = t.attrs.find("pad");
    TESSERA_USER_CHECK(t.integer("stride_h") == 1 && t.integer("stride_w") == 1 &&
                           pad != t.attrs.end() && pad->second == "same" &&
                           t.integer("kernel_h") % 2 == 1 && t.integer("kernel_w") % 2 == 1,
                       "{}: only strides of 1, odd kernels and pad=same are known", t.op);
  }

  ops::Val windows(const TasoTerm& t, const std::vector<ops::Val>& x) {
    require_plain_windows(t);
    const int64_t h = t.integer("kernel_h"), w = t.integer("kernel_w");
    ir::AttrMap attrs{{"pads", Ints{h / 2, w / 2, h / 2, w / 2}}};
    if (t.op == "conv2d") {
      const sym::Expr group = sym::floor_div(x[0].dim(1), x[1].dim(1));
      groups_ = sym::max(groups_, group);
      if (!group.is_constant()) attrs["group"] = ir::Dims{group};
      else if (group.constant_part() > 1) attrs["group"] = group.constant_part();
      return activated(t, builder_.op("conv", x, attrs));
    }
    attrs["kernel_shape"] = Ints{h, w};
    if (t.op == "maxpool2d") return activated(t, builder_.op("max_pool", x, attrs));
    // TASO's average is a sum over the window.
    attrs["count_include_pad"] = int64_t{1};
    return activated(t, builder_.op("average_pool", x, attrs) * static_cast<double>(h * w));
  }

  ops::Val value(const TasoTerm& t) {
    if (t.is_variable()) return inputs_.at(t.variable);
    std::vector<ops::Val> x;
    for (const TasoTerm& a : t.args) x.push_back(value(a));
    if (t.op == "matmul") return activated(t, ops::matmul(x[0], x[1]));
    if (t.op == "ewadd") return x[0] + x[1];
    if (t.op == "ewmul" || t.op == "mul") return x[0] * x[1];
    if (t.op == "relu") return builder_.op("relu", x);
    if (t.op == "concat") return ops::concat(x, t.integer("axis"));
    if (t.op == "transpose") return ops::transpose(x[0], {1, 0});
    if (t.op == "conv2d" || t.op == "avgpool2d" || t.op == "maxpool2d") return windows(t, x);
    if (t.op == "split") {
      const Typed& typed = shapes_.of(t);
      const ir::Dims sizes{shapes_.value(typed.parts[0]), shapes_.value(typed.parts[1])};
      return builder_.op_n("split", x, {{"axis", t.integer("axis")}, {"sizes", sizes}})[t.output];
    }
    if (t.op == "enlarge") {
      const sym::Expr h = sym::floor_div(t.integer("kernel_h") - x[0].dim(2), 2),
                      w = sym::floor_div(t.integer("kernel_w") - x[0].dim(3), 2);
      return builder_.op("pad", x, {{"pads", ir::Dims{0, 0, h, w, 0, 0, h, w}}});
    }
    return constant(t);
  }

  const Shapes& shapes_;
  ops::Builder builder_;
  std::map<std::string, ops::Val> inputs_;
  sym::Expr groups_ = 1;
};

bool has_shapeless_constant(const TasoTerm& t) {
  if (t.op == "ones" || t.op == "pool_weight" || t.op.starts_with("identity_")) return true;
  return std::any_of(t.args.begin(), t.args.end(),
                     [](const TasoTerm& a) { return has_shapeless_constant(a); });
}

}  // namespace

bool has_shapeless_constant(const TasoRule& rule) {
  for (const auto* side : {&rule.left, &rule.right})
    for (const TasoTerm& t : *side)
      if (has_shapeless_constant(t)) return true;
  return false;
}

std::string TasoInstance::to_string() const {
  std::string text;
  for (const auto& [name, shape] : shapes)
    text += (text.empty() ? "" : ", ") + name + sym::to_string(shape);
  return text + (groups == sym::Expr(1) ? "" : ", groups " + groups.to_string());
}

std::optional<TasoInstance> draw_taso_instance(const TasoRule& rule, Rng& rng,
                                               const TasoDraw& options) {
  try {
    const Shapes shapes(rule, rng, options);
    Side left(rule.left, shapes), right(rule.right, shapes);
    TasoInstance instance;
    for (const auto& [name, t] : shapes.variables()) instance.shapes[name] = shapes.shape(t);
    instance.groups = sym::max(left.groups(), right.groups());
    instance.left = std::move(left).finish();
    instance.right = std::move(right).finish();
    return instance;
  } catch (const Illegal&) {
    return std::nullopt;
  }
}

}  // namespace tessera::corpus
