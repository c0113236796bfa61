// SPDX-License-Identifier: Apache-2.0
// Calls: functions of the program, what is built in, and operators through their records.
#include <cmath>

#include "lang/elaborate.h"
#include "lang/literal.h"
#include "ops/registry.h"

namespace tessera::lang {
namespace {

struct NumberFunction {
  std::string_view name;
  double (*f)(double);
};
constexpr NumberFunction number_functions[] = {{"sqrt", std::sqrt}, {"exp", std::exp},
                                               {"log", std::log},   {"floor", std::floor},
                                               {"ceil", std::ceil}, {"abs", std::fabs}};

Item as_item(const std::vector<ops::Val>& results) {
  if (results.size() == 1) return {results[0]};
  List list;
  for (ops::Val v : results) list.push_back({v});
  return {std::move(list)};
}

bool is_attribute_like(const Item& item) {
  if (const List* list = item.as<List>())
    return std::none_of(list->begin(), list->end(), [](const Item& i) { return i.is_tensor(); });
  return item.as<std::string>() || item.as<DType>() || item.as<sym::Expr>();
}

}  // namespace

Item Elaborator::call(const Syntax& e) {
  if (const auto at = functions_.find(e.text); at != functions_.end()) {
    if (e.region) fail(e.place, "a function takes no region");
    return call_function(*at->second, e);
  }
  Item result;
  if (builtin(e, result)) return result;
  const ops::OpDef* def = ops::registry().find(e.text);
  if (def == nullptr || def->name == "input" || def->name == "constant") {
    std::vector<std::string> known;
    for (const ops::OpDef& other : ops::registry().all()) known.push_back(other.name);
    for (const auto& [name, function] : functions_) known.push_back(name);
    const std::string near = nearest_name(e.text, known);
    fail_at(file_, e.place, fmt::format("unknown function or operator '{}'", e.text),
            near.empty() ? "" : fmt::format("did you mean '{}'?", near), ErrorKind::unsupported);
  }
  return call_record(*def, e);
}

// len, dim, rank, data; div, mod, min, max of sizes; elementary functions of numbers.
bool Elaborator::builtin(const Syntax& e, Item& result) {
  if (e.region) return false;
  const auto named = [&] {
    for (const Argument& a : e.arguments)
      if (!a.name.empty()) return true;
    return false;
  };
  const auto argument = [&](size_t k) { return eval(*e.arguments[k].value); };
  const size_t count = e.arguments.size();
  if (e.text == "data" && count == 2 && !named()) {
    const ir::ValueType type = eval_type(*e.arguments[0].value);
    try {
      const Shape shape = type.concrete_shape();
      charge_weights(e.place, type.dtype, shape);
      result = {tensor_of(argument(1), type.dtype, shape)};
    } catch (const UserError& error) {
      if (std::string_view(error.what()).starts_with(file_ + ":")) throw;
      fail(e.place, error.what());
    }
    return true;
  }
  if (e.text == "len" && count == 1) {
    const Item item = argument(0);
    if (!item.as<List>()) fail(e.place, fmt::format("'len' of {}", item.describe()));
    result = {static_cast<int64_t>(item.as<List>()->size())};
    return true;
  }
  if ((e.text == "rank" && count == 1) || (e.text == "dim" && count == 2)) {
    const Item item = argument(0);
    if (!item.is_tensor()) fail(e.place, fmt::format("'{}' of {}", e.text, item.describe()));
    const ops::Val x = to_value(item, {}, e.place);
    if (e.text == "rank") result = {static_cast<int64_t>(x.rank())};
    else {
      const int64_t axis = eval_integer(*e.arguments[1].value, "an axis");
      if (axis < -x.rank() || axis >= x.rank())
        fail(e.place, fmt::format("axis {} of a tensor of rank {}", axis, x.rank()));
      result = Item::of(x.dim(static_cast<int>(axis)));
    }
    return true;
  }
  const bool of_sizes = e.text == "div" || e.text == "mod" || e.text == "min" || e.text == "max";
  if (of_sizes && count == 2 && !named()) {
    const Item a = argument(0), b = argument(1);
    if (!a.is_size() || !b.is_size()) return false;
    const sym::Expr x = a.size(), y = b.size();
    if ((e.text == "div" || e.text == "mod") && y == sym::Expr(0)) fail(e.place, "division by 0");
    result = Item::of(e.text == "div"   ? sym::floor_div(x, y)
                      : e.text == "mod" ? sym::modulo(x, y)
                      : e.text == "min" ? sym::min(x, y)
                                        : sym::max(x, y));
    charge(e.place, result);
    return true;
  }
  if (count != 1 || named()) return false;
  for (const NumberFunction& f : number_functions)
    if (f.name == e.text) {
      const Item x = argument(0);
      if (!x.is_number()) return false;
      result = {f.f(x.number())};
      return true;
    }
  return false;
}

Item Elaborator::call_record(const ops::OpDef& def, const Syntax& e) {
  Call call{e, def, {}, {}};
  for (const Argument& a : e.arguments) {
    Item item = eval(*a.value);
    if (a.name.empty()) bind_positional(call, std::move(item), a.place);
    else bind_named(call, a.name, std::move(item), a.place);
  }
  std::vector<std::shared_ptr<const ir::Graph>> regions;
  if (e.region) {
    std::vector<ir::ValueType> types;
    if (def.name == "scan") types = scan_types(call);
    regions.push_back(region(*e.region, types, e.place));
  }
  return apply(def.name, call.inputs, std::move(call.attrs), e.place, std::move(regions));
}

// Tensors and numbers are inputs; lists, strings, types and sizes fill attributes in the order of
// the record.
void Elaborator::bind_positional(Call& call, Item item, Place place) {
  const bool variadic = !call.def.inputs.empty() && call.def.inputs.back().variadic;
  if (const List* list = item.as<List>(); list && variadic && !is_attribute_like(item)) {
    call.inputs.insert(call.inputs.end(), list->begin(), list->end());
    return;
  }
  const bool full = !variadic && call.inputs.size() >= call.def.inputs.size();
  if (!is_attribute_like(item) && !full) {
    call.inputs.push_back(std::move(item));
    return;
  }
  for (const ops::AttrDef& attr : call.def.attrs) {
    if (call.attrs.contains(attr.name)) continue;
    const bool text = attr.kind == ir::AttrKind::string, dtype = attr.kind == ir::AttrKind::dtype;
    if (text != (item.as<std::string>() != nullptr) || dtype != (item.as<DType>() != nullptr))
      continue;
    call.attrs.emplace(attr.name, attribute(attr, item, place));
    return;
  }
  fail(place, fmt::format("'{}' takes no further {}", call.def.name, item.describe()),
       "attributes are given as name=value");
}

void Elaborator::bind_named(Call& call, const std::string& name, Item item, Place place) {
  for (const ops::AttrDef& attr : call.def.attrs)
    if (attr.name == name) {
      if (!call.attrs.emplace(name, attribute(attr, item, place)).second)
        fail(place, fmt::format("'{}' is given twice", name));
      return;
    }
  for (size_t k = 0; k < call.def.inputs.size(); ++k)
    if (call.def.inputs[k].name == name && !call.def.inputs[k].variadic) {
      if (call.inputs.size() <= k) call.inputs.resize(k + 1);
      else if (!call.inputs[k].as<Absent>()) fail(place, fmt::format("'{}' is given twice", name));
      call.inputs[k] = std::move(item);
      return;
    }
  std::string known;
  for (const ops::AttrDef& attr : call.def.attrs)
    known += (known.empty() ? "its attributes are " : ", ") + attr.name;
  fail(place, fmt::format("'{}' has no attribute '{}'", call.def.name, name), known);
}

ir::AttrValue Elaborator::attribute(const ops::AttrDef& def, const Item& item, Place place) const {
  const auto refuse = [&](const Item& found) {
    fail(place, fmt::format("attribute '{}' is {}, expected {}", def.name, found.describe(),
                            ir::to_string(def.kind)));
  };
  const List single{item};
  const List& list = item.as<List>() ? *item.as<List>() : single;
  const auto collect = [&]<typename T>(std::vector<T> result, auto accept, auto read) {
    for (const Item& part : list) {
      if (!accept(part)) refuse(part);
      result.push_back(read(part));
    }
    return ir::AttrValue(std::move(result));
  };
  switch (def.kind) {
    case ir::AttrKind::integer:
      if (!item.as<int64_t>()) refuse(item);
      return *item.as<int64_t>();
    case ir::AttrKind::real:
      if (!item.is_number()) refuse(item);
      return item.number();
    case ir::AttrKind::string:
      if (!item.as<std::string>()) refuse(item);
      return *item.as<std::string>();
    case ir::AttrKind::dtype:
      if (!item.as<DType>()) refuse(item);
      return *item.as<DType>();
    case ir::AttrKind::integers:
      return collect(
          std::vector<int64_t>{}, [](const Item& i) { return i.as<int64_t>() != nullptr; },
          [](const Item& i) { return *i.as<int64_t>(); });
    case ir::AttrKind::reals:
      return collect(
          std::vector<double>{}, [](const Item& i) { return i.is_number(); },
          [](const Item& i) { return i.number(); });
    case ir::AttrKind::strings:
      return collect(
          std::vector<std::string>{}, [](const Item& i) { return i.as<std::string>() != nullptr; },
          [](const Item& i) { return *i.as<std::string>(); });
    case ir::AttrKind::dims:
      return collect(
          ir::Dims{}, [](const Item& i) { return i.is_size(); },
          [](const Item& i) { return i.size(); });
    case ir::AttrKind::tensor:
      if (!item.as<Tensor>()) refuse(item);
      return *item.as<Tensor>();
  }
  return {};
}

// States, one step of each sequence, and invariants (src/ops/scan.cpp).
std::vector<ir::ValueType> Elaborator::scan_types(const Call& call) {
  const auto number = [&](const char* name) {
    const auto at = call.attrs.find(name);
    return at == call.attrs.end() ? int64_t{0} : std::get<int64_t>(at->second);
  };
  const int64_t states = number("states"), scans = number("scans");
  std::vector<ir::ValueType> types;
  for (size_t k = 0; k < call.inputs.size(); ++k) {
    ir::ValueType type = to_value(call.inputs[k], {}, call.syntax.place).type();
    const auto position = static_cast<int64_t>(k);
    if (position >= states && position < states + scans && !type.shape.empty())
      type.shape.erase(type.shape.begin());
    types.push_back(std::move(type));
  }
  return types;
}

Item Elaborator::apply(std::string_view op, const std::vector<Item>& inputs, ir::AttrMap attrs,
                       Place place, std::vector<std::shared_ptr<const ir::Graph>> regions) {
  // Numbers take the type of the tensors beside them; a condition is no model for one.
  std::optional<DType> type;
  for (const Item& input : inputs) {
    const Item& item = one_tensor(input);
    if (!item.is_tensor()) continue;
    const DType found =
        item.as<Tensor>() ? item.as<Tensor>()->type() : item.as<ops::Val>()->dtype();
    if (!type || *type == DType::boolean) type = found;
  }
  std::vector<ops::Val> values;
  for (const Item& item : inputs)
    values.push_back(item.as<Absent>() ? ops::Val{} : to_value(item, type, place));
  while (!values.empty() && !values.back().present()) values.pop_back();
  try {
    const auto results = op == "barrier" ? add_stated(op, values, attrs, place)
                                         : builder().op_n(op, values, attrs, std::move(regions));
    return as_item(results);
  } catch (const UserError& error) {
    // Where data decides on a type, the program's word counts.
    if (error.kind() == ErrorKind::needs_value && stated_ && place == stated_at_)
      return as_item(add_stated(op, values, std::move(attrs), place));
    if (std::string_view(error.what()).starts_with(file_ + ":")) throw;
    fail_at(file_, place, error.what(), {}, error.kind());
  }
}

// A node with the types that the statement states.
std::vector<ops::Val> Elaborator::add_stated(std::string_view op,
                                             const std::vector<ops::Val>& inputs, ir::AttrMap attrs,
                                             Place place) {
  if (stated_ == nullptr || place != stated_at_)
    fail(place, fmt::format("the types of the results of '{}' must be stated", op),
         fmt::format("NAME: TYPE = {}(…)", op));
  ir::Node node{.op = std::string(op), .attrs = std::move(attrs), .outputs = *stated_};
  for (ops::Val v : inputs) node.inputs.push_back(v.value);
  const ir::NodeId id = builder().raw().add(std::move(node));
  std::vector<ops::Val> results;
  for (uint32_t k = 0; k < stated_->size(); ++k) results.push_back(builder().wrap({id, k}));
  return results;
}

ops::Val Elaborator::to_value(const Item& given, std::optional<DType> type, Place place) {
  const Item& item = one_tensor(given);
  if (const auto* v = item.as<ops::Val>()) {
    if (v->builder != &builder())
      fail(place, "a region uses a tensor of its surroundings",
           "pass it as a further input of the call");
    return *v;
  }
  if (const auto* tensor = item.as<Tensor>()) return builder().constant(*tensor);
  if (item.as<sym::Expr>())
    fail_at(file_, place, "a symbolic size is no tensor", "bind the size to a number",
            ErrorKind::unsupported);
  if (!item.is_number()) fail(place, fmt::format("expected a tensor, found {}", item.describe()));
  if (!type)
    fail(place, "the type of a number does not follow from its surroundings",
         "write data(f32[], 1.0)");
  try {
    return builder().constant(tensor_of(item, *type, {}));
  } catch (const UserError& error) {
    fail(place, error.what());
  }
}

}  // namespace tessera::lang
