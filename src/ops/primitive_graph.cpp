// SPDX-License-Identifier: Apache-2.0
// Scalar expressions as graphs.
#include "ops/primitive_graph.h"

#include <map>

#include "ops/builder.h"

namespace tessera::ops {
namespace {

using ir::ExprId;
using ir::ExprKind;
using ir::ExprNode;
using ir::Prim;

// The record that applies one primitive, or null.
const char* record_of(Prim prim) {
  switch (prim) {
    case Prim::neg: return "neg";
    case Prim::abs: return "abs";
    case Prim::sign: return "sign";
    case Prim::floor: return "floor";
    case Prim::ceil: return "ceil";
    case Prim::round: return "round";
    case Prim::sqrt: return "sqrt";
    case Prim::exp: return "exp";
    case Prim::log: return "log";
    case Prim::sin: return "sin";
    case Prim::cos: return "cos";
    case Prim::asin: return "asin";
    case Prim::acos: return "acos";
    case Prim::atan: return "atan";
    case Prim::tanh: return "tanh";
    case Prim::erf: return "erf";
    case Prim::is_nan: return "is_nan";
    case Prim::logical_not: return "logical_not";
    case Prim::add: return "add";
    case Prim::sub: return "sub";
    case Prim::mul: return "mul";
    case Prim::div: return "div";
    case Prim::pow: return "pow";
    case Prim::min: return "min";
    case Prim::max: return "max";
    case Prim::eq: return "equal";
    case Prim::lt: return "less";
    case Prim::le: return "less_or_equal";
    case Prim::logical_and: return "logical_and";
    case Prim::logical_or: return "logical_or";
    case Prim::select: return "where";
    case Prim::expm1:
    case Prim::log1p:
    case Prim::trunc:
    case Prim::bit_not:
    case Prim::floor_div:
    case Prim::mod:
    case Prim::fmod:
    case Prim::ne:
    case Prim::bit_and:
    case Prim::bit_or:
    case Prim::bit_xor:
    case Prim::shift_left:
    case Prim::shift_right: return nullptr;
  }
  return nullptr;
}

class Unfolding {
 public:
  explicit Unfolding(const ir::Meaning& meaning) : meaning_(meaning), pool_(*meaning.pool) {
    for (size_t k = 0; k < meaning.inputs.size(); ++k)
      inputs_.push_back(meaning.inputs[k].opaque
                            ? Val{}
                            : builder_.input(fmt::format("in{}", k), meaning.inputs[k]));
  }

  std::optional<ir::Graph> run() {
    const Val result = value(meaning_.outputs[0].body.id);
    if (!result.present() || result.type() != meaning_.output_type(0)) return std::nullopt;
    builder_.output("out0", result);
    return std::move(builder_).finish();
  }

 private:
  // An absent Val where the expression is not elementwise.
  Val value(ExprId id) {
    if (const auto at = done_.find(id); at != done_.end()) return at->second;
    const ExprNode& n = pool_.node(id);
    Val result;
    switch (n.kind) {
      case ExprKind::constant:
        result = is_float(n.type)
                     ? builder_.scalar(ir::real_value(n), n.type)
                     : builder_.constant(Tensor::from_integers(std::vector{n.bits}, {}, n.type));
        break;
      case ExprKind::read:
        if (reads_own_element(n)) result = inputs_[n.input];
        break;
      case ExprKind::primitive: result = primitive(n); break;
      case ExprKind::cast:
        if (const Val x = value(n.args[0]); x.present()) result = cast(x, n.type);
        break;
      case ExprKind::size:
      case ExprKind::variable:
      case ExprKind::reduce: break;
    }
    return done_[id] = result;
  }

  Val primitive(const ExprNode& n) {
    const char* record = record_of(n.prim);
    std::vector<Val> args;
    for (ExprId a : n.args) args.push_back(value(a));
    for (const Val& arg : args)
      if (!arg.present()) return Val{};
    return record ? builder_.op(record, std::move(args)) : Val{};
  }

  bool reads_own_element(const ExprNode& read) const {
    const ir::Dims& shape = meaning_.inputs[read.input].shape;
    const size_t skip = meaning_.outputs[0].shape.size() - shape.size();
    for (size_t axis = 0; axis < shape.size(); ++axis) {
      const ExprNode& index = pool_.node(read.args[axis]);
      const bool own =
          index.kind == ExprKind::variable &&
          index.var == ir::Var{ir::Var::Kind::output, static_cast<uint32_t>(skip + axis)};
      const bool single = shape[axis] == sym::Expr(1) && index.kind == ExprKind::constant;
      if (!own && !single) return false;
    }
    return true;
  }

  const ir::Meaning& meaning_;
  const ir::ExprPool& pool_;
  Builder builder_;
  std::vector<Val> inputs_;
  std::map<ExprId, Val> done_;
};

}  // namespace

std::optional<ir::Graph> primitive_graph(const ir::Meaning& meaning) {
  if (meaning.outputs.size() != 1) return std::nullopt;
  return Unfolding(meaning).run();
}

}  // namespace tessera::ops
