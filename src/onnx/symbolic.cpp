// SPDX-License-Identifier: Apache-2.0
// The walk of a meaning over symbolic elements.
#include "onnx/symbolic.h"

#include <cmath>
#include <limits>
#include <unordered_map>

#include "base/check.h"
#include "ir/scalar_eval.h"
#include "onnx/limits.h"

namespace tessera::onnx {
namespace {

using ir::ExprId;
using ir::ExprKind;
using ir::ExprNode;
using ir::Prim;
using ir::Scalar;
using Result = std::optional<Element>;

// Sizes are never negative; nor is a polynomial of them without negative coefficients.
bool is_non_negative(const sym::Expr& e) {
  if (e.constant_part() < 0) return false;
  for (const sym::Term& term : e.terms()) {
    if (term.coefficient < 0) return false;
    for (const sym::Atom& atom : term.factors)
      for (const sym::Expr& arg : atom.args)
        if (!is_non_negative(arg)) return false;
  }
  return true;
}

// The sign of an expression when it is the same for all sizes: -1, 0, 1; or whether it is >= 0.
enum class Sign : uint8_t { unknown, negative, zero, positive, non_negative, non_positive };

Sign sign_of(const sym::Expr& e) {
  if (const auto value = e.constant())
    return *value < 0 ? Sign::negative : *value > 0 ? Sign::positive : Sign::zero;
  if (is_non_negative(e)) return e.constant_part() > 0 ? Sign::positive : Sign::non_negative;
  const sym::Expr minus = -e;
  if (is_non_negative(minus))
    return minus.constant_part() > 0 ? Sign::negative : Sign::non_positive;
  return Sign::unknown;
}

std::optional<bool> compare(Prim prim, const sym::Expr& a, const sym::Expr& b) {
  const Sign sign = sign_of(a - b);
  switch (prim) {
    case Prim::eq:
    case Prim::ne:
      if (sign == Sign::zero) return prim == Prim::eq;
      if (sign == Sign::negative || sign == Sign::positive) return prim == Prim::ne;
      return std::nullopt;
    case Prim::lt:
      if (sign == Sign::negative) return true;
      if (sign == Sign::zero || sign == Sign::positive || sign == Sign::non_negative) return false;
      return std::nullopt;
    case Prim::le:
      if (sign == Sign::positive) return false;
      if (sign == Sign::zero || sign == Sign::negative || sign == Sign::non_positive) return true;
      return std::nullopt;
    default: return std::nullopt;
  }
}

class SymbolicWalker {
 public:
  SymbolicWalker(const ir::ExprPool& pool, const std::vector<const SymbolicTensor*>& inputs,
                 double& budget)
      : pool_(pool), inputs_(inputs), budget_(budget) {}

  std::vector<int64_t> output_index;

  Result eval(ExprId id) {
    if (++steps_ > max_steps || --budget_ < 0) return std::nullopt;
    const ExprNode& n = pool_.node(id);
    switch (n.kind) {
      case ExprKind::constant:
        return is_float(n.type) ? from_real(ir::real_value(n)) : Element::of(n.bits);
      case ExprKind::size: return Element::of(pool_.sizes()[n.size]);
      case ExprKind::variable:
        return Element::of(n.var.kind == ir::Var::Kind::output ? output_index[n.var.number]
                                                               : bound_.at(n.var.number));
      case ExprKind::read: return read(n);
      case ExprKind::cast: return cast(n);
      case ExprKind::primitive: return primitive(n);
      case ExprKind::reduce: return reduce(n);
    }
    return std::nullopt;
  }

 private:
  static constexpr int64_t max_steps = 100'000;

  // Integral floats are kept exact, so that sizes survive a detour through floats.
  static Element from_real(double value) {
    if (std::abs(value) <= 0x1p53 && value == std::trunc(value) &&
        !(value == 0 && std::signbit(value)))
      return Element::of(static_cast<int64_t>(value));
    return {false, 0, value};
  }

  static std::optional<Scalar> plain(const Element& e, DType type) {
    if (!e.exact) return Scalar::of(e.real);
    const auto value = e.integer.constant();
    if (!value) return std::nullopt;
    return is_float(type) ? Scalar::of(static_cast<double>(*value)) : Scalar::of_integer(*value);
  }
  static Element element(Scalar value, DType type) {
    return is_float(type) ? from_real(value.real) : Element::of(value.integer);
  }

  Result read(const ExprNode& n) {
    const SymbolicTensor* tensor = n.input < inputs_.size() ? inputs_[n.input] : nullptr;
    if (tensor == nullptr) return std::nullopt;
    int64_t offset = 0;
    for (size_t axis = 0; axis < n.args.size(); ++axis) {
      const Result index = eval(n.args[axis]);
      const auto at = index ? index->integer.constant() : std::nullopt;
      if (!at || *at < 0 || *at >= tensor->shape[axis]) return std::nullopt;
      offset = offset * tensor->shape[axis] + *at;
    }
    return tensor->elements[static_cast<size_t>(offset)];
  }

  Result cast(const ExprNode& n) {
    const Result value = eval(n.args[0]);
    if (!value) return std::nullopt;
    const DType from = pool_.node(n.args[0]).type;
    if (const auto number = plain(*value, from))
      return element(ir::convert(*number, from, n.type), n.type);
    if (n.type == DType::boolean) {
      const auto zero = compare(Prim::eq, value->integer, 0);
      return zero ? Result(Element::of(*zero ? 0 : 1)) : std::nullopt;
    }
    // A symbolic size is taken to fit every wide enough type.
    return is_float(n.type) || bit_width(n.type) >= 32 ? value : std::nullopt;
  }

  Result primitive(const ExprNode& n) {
    const Result a = eval(n.args[0]);
    if (!a) return std::nullopt;
    const DType type = pool_.node(n.args[0]).type;
    if (n.prim == Prim::select) {
      const auto condition = a->integer.constant();
      if (!condition) return std::nullopt;
      return eval(n.args[*condition ? 1 : 2]);
    }
    if (n.prim == Prim::logical_and && a->integer == sym::Expr(0)) return a;
    if (n.prim == Prim::logical_or && a->integer.constant().value_or(0) != 0) return a;
    if (n.args.size() == 1) {
      if (const auto number = plain(*a, type))
        return element(ir::apply(n.prim, type, *number, {}), n.type);
      return unary(n.prim, a->integer);
    }
    const Result b = eval(n.args[1]);
    if (!b) return std::nullopt;
    const auto x = plain(*a, type), y = plain(*b, type);
    if (x && y) return element(ir::apply(n.prim, type, *x, *y), n.type);
    if (!a->exact || !b->exact) return std::nullopt;
    return binary(n.prim, type, a->integer, b->integer);
  }

  static Result unary(Prim prim, const sym::Expr& a) {
    switch (prim) {
      case Prim::neg: return Element::of(-a);
      case Prim::abs: return is_non_negative(a) ? Result(Element::of(a)) : std::nullopt;
      case Prim::floor:
      case Prim::ceil:
      case Prim::round:
      case Prim::trunc: return Element::of(a);
      case Prim::is_nan: return Element::of(0);
      default: return std::nullopt;
    }
  }

  static Result binary(Prim prim, DType type, const sym::Expr& a, const sym::Expr& b) {
    const auto divisor = b.constant();
    switch (prim) {
      case Prim::add: return Element::of(a + b);
      case Prim::sub: return Element::of(a - b);
      case Prim::mul: return Element::of(a * b);
      case Prim::min: return Element::of(sym::min(a, b));
      case Prim::max: return Element::of(sym::max(a, b));
      case Prim::div:
        if (is_float(type)) return divisor == 1 ? Result(Element::of(a)) : std::nullopt;
        // Truncation is flooring where nothing is negative; a divisor may not be zero.
        if (!is_non_negative(a) || sign_of(b) != Sign::positive) {
          const sym::Expr whole = divisor && *divisor != 0 ? sym::floor_div(a, b) : sym::Expr(0);
          return divisor && *divisor != 0 && whole * b == a ? Result(Element::of(whole))
                                                            : std::nullopt;
        }
        return Element::of(sym::floor_div(a, b));
      case Prim::floor_div:
        return !is_float(type) && sign_of(b) == Sign::positive
                   ? Result(Element::of(sym::floor_div(a, b)))
                   : std::nullopt;
      case Prim::mod:
        return !is_float(type) && sign_of(b) == Sign::positive
                   ? Result(Element::of(sym::modulo(a, b)))
                   : std::nullopt;
      case Prim::eq:
      case Prim::ne:
      case Prim::lt:
      case Prim::le: {
        const auto holds = compare(prim, a, b);
        return holds ? Result(Element::of(*holds ? 1 : 0)) : std::nullopt;
      }
      default: return std::nullopt;
    }
  }

  Result reduce(const ExprNode& n) {
    const Result extent = eval(n.args[0]);
    const auto count = extent ? extent->integer.constant() : std::nullopt;
    if (!count || *count > max_symbolic_elements) return std::nullopt;
    const Prim combine = ir::combiner(n.reduction);
    Element total = element(ir::identity(n.reduction, n.type), n.type);
    for (int64_t i = 0; i < *count; ++i) {
      bound_[n.var.number] = i;
      const Result next = eval(n.args[1]);
      if (!next) return std::nullopt;
      const auto x = plain(total, n.type), y = plain(*next, n.type);
      Result sum;
      if (x && y) sum = element(ir::apply(combine, n.type, *x, *y), n.type);
      else if (i == 0 && (combine == Prim::min || combine == Prim::max)) sum = next;
      else if (total.exact && next->exact)
        sum = binary(combine, n.type, total.integer, next->integer);
      if (!sum) return std::nullopt;
      total = *sum;
    }
    return total;
  }

  const ir::ExprPool& pool_;
  const std::vector<const SymbolicTensor*>& inputs_;
  std::unordered_map<uint32_t, int64_t> bound_;
  int64_t steps_ = 0;
  double& budget_;
};

std::optional<SymbolicTensor> evaluate_output(const ir::Meaning& meaning, size_t k,
                                              const std::vector<const SymbolicTensor*>& inputs,
                                              double& steps) {
  const ir::ValueType type = meaning.output_type(k);
  const auto shape = sym::constants(type.shape);
  const auto count = shape ? element_count(*shape) : std::nullopt;
  if (!count || *count > max_symbolic_elements) return std::nullopt;
  SymbolicTensor result{type.dtype, *shape, {}};
  SymbolicWalker walker(*meaning.pool, inputs, steps);
  walker.output_index.assign(shape->size(), 0);
  for (int64_t i = 0; i < *count; ++i) {
    Result value = walker.eval(meaning.outputs[k].body.id);
    if (!value) return std::nullopt;
    result.elements.push_back(std::move(*value));
    for (size_t axis = shape->size(); axis-- > 0;) {
      if (++walker.output_index[axis] < (*shape)[axis]) break;
      walker.output_index[axis] = 0;
    }
  }
  return result;
}

}  // namespace

SymbolicTensor SymbolicTensor::from(const Tensor& tensor) {
  SymbolicTensor result{tensor.type(), tensor.shape(), {}};
  for (int64_t i = 0; i < tensor.size(); ++i) {
    if (!is_float(tensor.type())) result.elements.push_back(Element::of(tensor.integer_at(i)));
    else {
      const double value = tensor.float_at(i);
      const bool integral = std::abs(value) <= 0x1p53 && value == std::trunc(value) &&
                            !(value == 0 && std::signbit(value));
      result.elements.push_back(integral ? Element::of(static_cast<int64_t>(value))
                                         : Element{false, 0, value});
    }
  }
  return result;
}

std::optional<Tensor> SymbolicTensor::constant() const {
  for (const Element& e : elements)
    if (e.exact && !e.integer.is_constant()) return std::nullopt;
  Tensor tensor(type, shape);
  for (size_t i = 0; i < elements.size(); ++i) {
    const Element& e = elements[i];
    const auto at = static_cast<int64_t>(i);
    if (!is_float(type)) tensor.set_integer(at, *e.integer.constant());
    else tensor.set_float(at, e.exact ? static_cast<double>(*e.integer.constant()) : e.real);
  }
  return tensor;
}

std::vector<std::optional<SymbolicTensor>> evaluate_symbolic(
    const ir::Meaning& meaning, const std::vector<const SymbolicTensor*>& inputs, double& steps) {
  std::vector<std::optional<SymbolicTensor>> results(meaning.outputs.size());
  for (size_t k = 0; k < results.size(); ++k) {
    try {
      results[k] = evaluate_output(meaning, k, inputs, steps);
    } catch (const UserError&) {
      results[k].reset();  // symbolic arithmetic overflowed: the value is not known
    }
  }
  return results;
}

double evaluation_steps(const ir::Meaning& meaning) {
  std::vector<double> steps(meaning.pool->size(), 1);
  for (ExprId id = 0; id < steps.size(); ++id) {
    const ExprNode& n = meaning.pool->node(id);
    if (n.kind == ExprKind::reduce) {
      const ExprNode& extent = meaning.pool->node(n.args[0]);
      std::optional<int64_t> count;
      if (extent.kind == ExprKind::constant) count = extent.bits;
      if (extent.kind == ExprKind::size) count = meaning.pool->sizes()[extent.size].constant();
      // An extent that varies is bounded only by the evaluator; take it to be long.
      steps[id] = 1 + static_cast<double>(count.value_or(100'000)) * steps[n.args[1]];
    } else {
      for (ExprId arg : n.args) steps[id] += steps[arg];
    }
  }
  double total = 0;
  for (const ir::MeaningOutput& output : meaning.outputs) {
    const auto shape = sym::constants(output.shape);
    const auto count = shape ? element_count(*shape) : std::nullopt;
    if (!count) return std::numeric_limits<double>::infinity();
    total += static_cast<double>(*count) * (1 + steps[output.body.id]);
  }
  return total;
}

}  // namespace tessera::onnx
