// SPDX-License-Identifier: Apache-2.0
// Expressions other than calls: arithmetic on tensors and on what is known while reading, types,
// members, indexing.
#include <cmath>

#include "lang/elaborate.h"

namespace tessera::lang {
namespace {

constexpr int deepest_evaluation = 1000;

struct OperatorName {
  std::string_view symbol, op;
};
constexpr OperatorName operator_names[] = {{"+", "add"},     {"-", "sub"},
                                           {"*", "mul"},     {"/", "div"},
                                           {"@", "matmul"},  {"**", "pow"},
                                           {"<", "less"},    {"<=", "less_or_equal"},
                                           {">", "greater"}, {">=", "greater_or_equal"},
                                           {"==", "equal"},  {"!=", "equal"}};

}  // namespace

Item Elaborator::eval(const Syntax& e) {
  struct Deeper {
    int& depth;
    ~Deeper() { --depth; }
  } deeper{depth_};
  if (++depth_ > deepest_evaluation) fail(e.place, "nested too deeply");
  switch (e.kind) {
    case Syntax::Kind::name: return lookup(e);
    case Syntax::Kind::integer: return {e.integer};
    case Syntax::Kind::real: return {e.real};
    case Syntax::Kind::string: return {e.text};
    case Syntax::Kind::absent: return {Absent{}};
    case Syntax::Kind::unary: return unary(e);
    case Syntax::Kind::binary: return binary(e);
    case Syntax::Kind::call: return call(e);
    case Syntax::Kind::subscript: return subscript(e);
    case Syntax::Kind::member: return member(e);
    case Syntax::Kind::list: {
      List list;
      for (const SyntaxPtr& operand : e.operands) list.push_back(eval(*operand));
      Item item{std::move(list)};
      charge(e.place, item);
      return item;
    }
  }
  return {};
}

Item Elaborator::unary(const Syntax& e) {
  const Item x = one_tensor(eval(*e.operands[0]));
  if (x.is_tensor()) return apply("neg", {x}, {}, e.place);
  if (const auto* real = x.as<double>()) return {-*real};
  if (const auto* integer = x.as<int64_t>())
    return {static_cast<int64_t>(uint64_t{0} - static_cast<uint64_t>(*integer))};
  if (x.is_size()) return Item::of(-x.size());
  fail(e.place, fmt::format("'-' of {}", x.describe()));
}

Item Elaborator::binary(const Syntax& e) {
  Item a = eval(*e.operands[0]), b = eval(*e.operands[1]);
  if (e.text != "++") a = Item(one_tensor(a)), b = Item(one_tensor(b));
  if (!a.is_tensor() && !b.is_tensor()) return compile_time(e, a, b);
  for (const OperatorName& name : operator_names) {
    if (name.symbol != e.text) continue;
    const Item result = apply(name.op, {a, b}, {}, e.place);
    return e.text == "!=" ? apply("logical_not", {result}, {}, e.place) : result;
  }
  fail(e.place, fmt::format("'{}' of {} and {}", e.text, a.describe(), b.describe()),
       e.text == "//"  ? "write floor(a / b)"
       : e.text == "%" ? "call the operator 'mod'"
                       : "");
}

Item Elaborator::compile_time(const Syntax& e, const Item& a, const Item& b) {
  const std::string& op = e.text;
  const auto refuse = [&]() {
    fail(e.place, fmt::format("'{}' of {} and {}", op, a.describe(), b.describe()));
  };
  if (op == "++") {
    const auto *x = a.as<List>(), *y = b.as<List>();
    if (!x || !y) refuse();
    List list = *x;
    list.insert(list.end(), y->begin(), y->end());
    Item item{std::move(list)};
    charge(e.place, item);
    return item;
  }
  const bool integral = a.is_size() && b.is_size();
  if (integral && op != "/" && op != "**") {
    const sym::Expr x = a.size(), y = b.size();
    if (op == "%" && y == sym::Expr(0)) fail(e.place, "division by 0");
    if (x.terms().size() * y.terms().size() > 1000)
      fail(e.place, "a symbolic size has too many terms");
    try {
      const Item result = Item::of(op == "+"    ? x + y
                                   : op == "-"  ? x - y
                                   : op == "*"  ? x * y
                                   : op == "//" ? sym::floor_div(x, y)
                                   : op == "%"  ? sym::modulo(x, y)
                                                : (refuse(), x));
      charge(e.place, result);
      return result;
    } catch (const UserError& error) {
      if (std::string_view(error.what()).starts_with(file_ + ":")) throw;
      fail(e.place, error.what());
    }
  }
  if (!a.is_number() || !b.is_number()) refuse();
  const double x = a.number(), y = b.number();
  if (op == "+") return {x + y};
  if (op == "-") return {x - y};
  if (op == "*") return {x * y};
  if (op == "/") return {x / y};
  if (op == "**") {
    const double power = std::pow(x, y);
    // 2 ** 10 may be a size.
    if (integral && y >= 0 && std::fabs(power) < 0x1p53) return {static_cast<int64_t>(power)};
    return {power};
  }
  refuse();
  return {};
}

Item Elaborator::member(const Syntax& e) {
  Item x = eval(*e.operands[0]);
  if (!x.is_tensor()) fail(e.place, fmt::format("'.{}' of {}", e.text, x.describe()));
  const ops::Val v = to_value(x, {}, e.place);
  if (e.text == "T") {
    const int rank = v.rank();
    if (rank < 2) fail(e.place, fmt::format("'.T' of a tensor of rank {}", rank));
    std::vector<int64_t> perm(rank);
    for (int k = 0; k < rank; ++k) perm[k] = k;
    std::swap(perm[rank - 1], perm[rank - 2]);
    return apply("transpose", {x}, {{"perm", perm}}, e.place);
  }
  if (e.text == "dtype") return {v.dtype()};
  if (e.text == "shape") {
    List list;
    for (const sym::Expr& d : v.shape()) list.push_back(Item::of(d));
    return {std::move(list)};
  }
  fail(e.place, fmt::format("a tensor has no '.{}'", e.text), "there are .T, .shape and .dtype");
}

ir::ValueType Elaborator::type(const Syntax& e, const List& dims, DType dtype) {
  ir::ValueType result{dtype, {}};
  for (const Item& d : dims) {
    if (!d.is_size())
      fail(e.place, fmt::format("a dimension is {}, expected an integer or a size", d.describe()));
    if (const auto known = d.size().constant(); known && *known < 0)
      fail(e.place, fmt::format("a dimension of {}", *known));
    result.shape.push_back(d.size());
  }
  return result;
}

ir::ValueType Elaborator::eval_type(const Syntax& e) {
  const Item item = eval(e);
  if (const auto* t = item.as<ir::ValueType>()) return *t;
  if (const auto* dtype = item.as<DType>()) return {*dtype, {}};
  fail(e.place, fmt::format("expected a type like f32[N, 4], found {}", item.describe()));
}

sym::Expr Elaborator::eval_size(const Syntax& e, std::string_view what) {
  const Item item = eval(e);
  if (!item.is_size())
    fail(e.place, fmt::format("{} is {}, expected an integer or a size", what, item.describe()));
  return item.size();
}

int64_t Elaborator::eval_integer(const Syntax& e, std::string_view what) {
  const auto known = eval_size(e, what).constant();
  if (!known) fail(e.place, fmt::format("{} is a symbolic size, expected an integer", what));
  return *known;
}

Item Elaborator::subscript(const Syntax& e) {
  Item x = eval(*e.operands[0]);
  const bool indices =
      std::all_of(e.subscripts.begin(), e.subscripts.end(),
                  [](const Subscript& s) { return s.kind == Subscript::Kind::index; });
  if (const auto* dtype = x.as<DType>()) {
    if (!indices) fail(e.place, "a type's dimensions are integers or sizes");
    List dims;
    for (const Subscript& s : e.subscripts) dims.push_back(eval(*s.start));
    return {type(e, dims, *dtype)};
  }
  if (const auto* list = x.as<List>()) {
    if (!indices || e.subscripts.size() != 1) fail(e.place, "a list takes one index");
    int64_t index = eval_integer(*e.subscripts[0].start, "an index");
    const auto size = static_cast<int64_t>(list->size());
    if (index < -size || index >= size)
      fail(e.place, fmt::format("index {} into a list of {}", index, size));
    return (*list)[index < 0 ? index + size : index];
  }
  if (x.is_tensor()) return slice(e, to_value(x, {}, e.place));
  fail(e.place, fmt::format("{} cannot be indexed", x.describe()));
}

Item Elaborator::slice(const Syntax& e, ops::Val x) {
  int given = 0, axis = 0;
  for (const Subscript& s : e.subscripts) given += s.kind != Subscript::Kind::rest;
  if (given > x.rank())
    fail(e.place, fmt::format("{} indices into a tensor of rank {}", given, x.rank()));
  if (given + 1 < static_cast<int>(e.subscripts.size())) fail(e.place, "'...' is given twice");
  std::vector<int64_t> axes, steps, dropped;
  ir::Dims starts, ends;
  for (const Subscript& s : e.subscripts) {
    if (s.kind == Subscript::Kind::rest) {
      axis += x.rank() - given;
      continue;
    }
    const sym::Expr extent = x.dim(axis);
    if (s.kind == Subscript::Kind::index) {
      const Item item = eval(*s.start);
      if (!item.is_size())
        fail(s.start->place, fmt::format("an index is {}", item.describe()),
             "elements chosen by a tensor are read with gather(x, indices, axis=…)");
      sym::Expr start = item.size();
      if (const auto known = start.constant(); known && *known < 0) start = start + extent;
      const auto room = (extent - start).constant();
      if ((room && *room <= 0) || (start.is_constant() && start.constant_part() < 0))
        fail(s.start->place, fmt::format("index {} into an axis of {}", item.size().to_string(),
                                         extent.to_string()));
      axes.push_back(axis), starts.push_back(start), ends.push_back(start + 1);
      steps.push_back(1);
      dropped.push_back(axis);
    } else if (s.start || s.end || s.step) {
      const int64_t step = s.step ? eval_integer(*s.step, "a step") : 1;
      if (step == 0) fail(e.place, "a step of 0");
      const bool up = step > 0;
      axes.push_back(axis), steps.push_back(step);
      starts.push_back(s.start ? eval_size(*s.start, "a bound") : up ? sym::Expr(0) : extent - 1);
      ends.push_back(s.end ? eval_size(*s.end, "a bound") : up ? extent : -extent - 1);
    }
    ++axis;
  }
  if (axes.empty()) return {x};
  ir::AttrMap attrs{{"axes", axes}, {"starts", starts}, {"ends", ends}};
  if (std::any_of(steps.begin(), steps.end(), [](int64_t s) { return s != 1; }))
    attrs.emplace("steps", steps);
  const Item part = apply("slice", {{x}}, std::move(attrs), e.place);
  return dropped.empty() ? part : apply("squeeze", {part}, {{"axes", dropped}}, e.place);
}

}  // namespace tessera::lang
