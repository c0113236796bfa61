// SPDX-License-Identifier: Apache-2.0
// Statements, names, functions and regions.
#include "lang/elaborate.h"

#include <algorithm>

#include "base/atomic_file.h"
#include "lang/parse.h"
#include "ops/registry.h"

namespace tessera::lang {
namespace {

// Far above any real model; bounds what a short hostile program can unroll.
constexpr int64_t most_steps = 200'000;
constexpr int64_t items_per_step = 16;
constexpr int64_t most_size_parts = 1000;
constexpr int64_t most_weight_bytes = int64_t{4} << 30;
constexpr size_t deepest_calls = 60;
constexpr int64_t longest_list = 100'000;

int64_t items_in(const Item& item) {
  const List* list = item.as<List>();
  int64_t count = 1;
  if (list)
    for (const Item& part : *list) count += items_in(part);
  return count;
}

// Terms and factors of a size, counted up to a limit.
void count_parts(const sym::Expr& size, int64_t& count) {
  for (const sym::Term& term : size.terms())
    for (const sym::Atom& f : term.factors) {
      if (++count > most_size_parts) return;
      for (const sym::Expr& arg : f.args) count_parts(arg, count);
    }
}

}  // namespace

void Elaborator::charge(Place place, const Item& item) {
  if (const auto* size = item.as<sym::Expr>()) {
    int64_t parts = 0;
    count_parts(*size, parts);
    if (parts > most_size_parts) fail(place, "a symbolic size has too many terms");
  }
  steps_ += items_in(item) / items_per_step;
  if (steps_ > most_steps) fail(place, "the program unrolls to too much");
}

void Elaborator::charge_weights(Place place, DType type, const Shape& shape) {
  const auto count = element_count(shape);
  int64_t bytes = 0;
  if (!count || __builtin_mul_overflow(*count, static_cast<int64_t>(size_of(type)), &bytes) ||
      __builtin_add_overflow(weight_bytes_, bytes, &weight_bytes_) ||
      weight_bytes_ > most_weight_bytes)
    fail_at(file_, place, "the weights are too large to be made up", "keep them in a file",
            ErrorKind::missing_resource);
}

ir::Graph Elaborator::run(const std::vector<Statement>& program) {
  frames_.push_back({.builder = &builder_});
  execute(program);
  const Place end = program.empty() ? Place{} : program.back().place;
  if (frame().finished) fail(end, "'return' outside a function or region");
  if (outputs_.empty()) fail(end, "the program has no outputs", "add 'output NAME'");
  if (!bind_.empty()) fail(end, fmt::format("the program has no size '{}'", bind_.begin()->first));
  return ir::without_dead_nodes(std::move(builder_).finish());
}

void Elaborator::execute(const std::vector<Statement>& statements) {
  for (const Statement& s : statements) {
    if (frame().finished) fail(s.place, "a statement after 'return' is never reached");
    if (++steps_ > most_steps) fail(s.place, "the program unrolls to too much");
    execute(s);
  }
}

void Elaborator::execute(const Statement& s) {
  const bool top = frames_.size() == 1 && frame().scopes.size() == 1;
  const auto only_at_top = [&](std::string_view what) {
    if (!top) fail(s.place, fmt::format("{} belongs at the top of the program", what));
  };
  switch (s.kind) {
    case Statement::Kind::program:
      only_at_top("'program'");
      builder_.raw().set_name(s.name);
      return;
    case Statement::Kind::property:
      only_at_top("'property'");
      builder_.raw().set_property(s.name, s.text);
      return;
    case Statement::Kind::sizes: only_at_top("'sizes'"); return declare_sizes(s);
    case Statement::Kind::input: only_at_top("'input'"); return declare_input(s);
    case Statement::Kind::param: return declare_param(s);
    case Statement::Kind::assign: return assign(s);
    case Statement::Kind::output: only_at_top("'output'"); return output(s);
    case Statement::Kind::loop: return repeat(s);
    case Statement::Kind::function:
      only_at_top("a function");
      if (!functions_.emplace(s.name, &s).second)
        fail(s.place, fmt::format("function '{}' is defined twice", s.name));
      return;
    case Statement::Kind::result:
      if (frames_.size() == 1) fail(s.place, "'return' outside a function or region");
      if (frame().scopes.size() > 1) fail(s.place, "'return' inside a repetition");
      for (const SyntaxPtr& value : s.values) {
        Item item = eval(*value);
        if (const List* list = item.as<List>(); list && s.values.size() == 1)
          frame().results = *list;
        else frame().results.push_back(std::move(item));
      }
      frame().finished = true;
      return;
  }
}

void Elaborator::declare_sizes(const Statement& s) {
  for (const Target& target : s.targets) {
    if (find(target.name)) fail(target.place, fmt::format("'{}' is already defined", target.name));
    const auto bound = bind_.extract(target.name);
    if (bound && bound.mapped() < 0)
      fail(target.place, fmt::format("size '{}' is bound to {}", target.name, bound.mapped()));
    set(target.name, bound ? Item{bound.mapped()} : Item{sym::Expr::symbol(target.name)});
  }
}

void Elaborator::declare_input(const Statement& s) {
  const Target& target = s.targets[0];
  if (!inputs_.insert(target.name).second)
    fail(s.place, fmt::format("input '{}' is declared twice", target.name));
  if (find(target.name)) fail(s.place, fmt::format("'{}' is already defined", target.name));
  set(target.name, {builder_.input(target.name, eval_type(*target.type))});
}

void Elaborator::declare_param(const Statement& s) {
  const Target& target = s.targets[0];
  const ir::ValueType type = eval_type(*target.type);
  const auto make = [&](int64_t index, const std::string& name) -> Item {
    return {builder().constant(initial_value(s, type, index), name)};
  };
  if (!s.count) return set(target.name, make(0, target.name));
  const int64_t count = eval_integer(*s.count, "the length of a list of weights");
  if (count < 0 || count > longest_list) fail(s.place, fmt::format("a list of {} weights", count));
  List list;
  for (int64_t k = 0; k < count; ++k) {
    frame().scopes.push_back({{"index", Item{k}}});  // for seeds: normal(seed=10 + index)
    list.push_back(make(k, fmt::format("{}_{}", target.name, k)));
    frame().scopes.pop_back();
  }
  set(target.name, {std::move(list)});
}

void Elaborator::assign(const Statement& s) {
  const size_t before = builder().graph().node_count();
  const auto stated = stated_types(s);
  stated_ = stated ? &*stated : nullptr;
  stated_at_ = s.value->place;
  Item item = eval(*s.value);
  stated_ = nullptr;
  if (s.targets.size() == 1) {
    if (const auto* v = item.as<ops::Val>(); v && v->value.node >= before && v->value.index == 0) {
      ir::Node& node = builder().raw().mutable_node(v->value.node);
      if (node.name.empty()) node.name = s.targets[0].name;
    }
    return assign_one(s.targets[0], std::move(item));
  }
  const List* list = item.as<List>();
  if (list == nullptr || list->size() != s.targets.size())
    fail(s.place,
         fmt::format("{} names for {}", s.targets.size(),
                     list ? fmt::format("{} values", list->size()) : std::string(item.describe())));
  for (size_t k = 0; k < list->size(); ++k) assign_one(s.targets[k], (*list)[k]);
}

// The types of a barrier, and those that depend on data, are known to nobody but the program.
std::optional<std::vector<ir::ValueType>> Elaborator::stated_types(const Statement& s) {
  std::vector<ir::ValueType> types;
  if (s.value->kind != Syntax::Kind::call) return std::nullopt;
  for (const Target& target : s.targets) {
    if (!target.type) return std::nullopt;
    types.push_back(eval_type(*target.type));
  }
  return types;
}

void Elaborator::assign_one(const Target& target, Item item) {
  if (target.name == "_") return;
  if (target.type) item = Item(one_tensor(item));
  if (item.as<Tensor>()) item = {to_value(item, {}, target.place)};
  if (target.type) {
    const ir::ValueType stated = eval_type(*target.type);
    const auto* v = item.as<ops::Val>();
    if (v == nullptr)
      fail(target.place, fmt::format("'{}' states a type but is {}", target.name, item.describe()));
    if (v->type() != stated)
      fail(target.place, fmt::format("'{}' is stated as {} but is {}", target.name,
                                     stated.to_string(), v->type().to_string()));
  }
  set(target.name, std::move(item));
}

void Elaborator::output(const Statement& s) {
  const auto add = [&](const Target& target, const Item& given) {
    const Item& item = one_tensor(given);
    if (!item.is_tensor())
      fail(target.place, fmt::format("output '{}' is {}", target.name, item.describe()));
    if (!outputs_.insert(target.name).second)
      fail(target.place, fmt::format("output '{}' is declared twice", target.name));
    builder_.output(target.name, to_value(item, {}, target.place));
  };
  if (!s.value) {
    for (const Target& target : s.targets) {
      const Item* item = find(target.name);
      if (item == nullptr)
        fail(target.place, fmt::format("unknown name '{}'", target.name),
             "write 'output NAME = expression'");
      add(target, *item);
    }
    return;
  }
  const Item item = eval(*s.value);
  if (s.targets.size() == 1) return add(s.targets[0], item);
  const List* list = item.as<List>();
  if (list == nullptr || list->size() != s.targets.size())
    fail(s.place, fmt::format("{} outputs for {}", s.targets.size(), item.describe()));
  for (size_t k = 0; k < list->size(); ++k) add(s.targets[k], (*list)[k]);
}

void Elaborator::repeat(const Statement& s) {
  const int64_t from = eval_integer(*s.value, "the first index of a repetition");
  const int64_t to = eval_integer(*s.count, "the end of a repetition");
  for (int64_t i = from; i < to; ++i) {
    if (++steps_ > most_steps) fail(s.place, "the program unrolls to too much");
    frame().scopes.push_back({{s.name, Item{i}}});
    execute(s.body);
    frame().scopes.pop_back();
  }
}

// A variable of an enclosing repetition is carried; any other is new in the innermost scope.
void Elaborator::set(const std::string& name, Item item) {
  for (auto scope = frame().scopes.rbegin(); scope != frame().scopes.rend(); ++scope)
    if (auto at = scope->find(name); at != scope->end()) {
      at->second = std::move(item);
      return;
    }
  frame().scopes.back().emplace(name, std::move(item));
}

// The own frame first, then for a region what surrounds it, then the top level of the program.
const Item* Elaborator::find(const std::string& name) const {
  for (size_t k = frames_.size(); k-- > 0;) {
    const Frame& f = frames_[k];
    for (auto scope = f.scopes.rbegin(); scope != f.scopes.rend(); ++scope)
      if (auto at = scope->find(name); at != scope->end()) return &at->second;
    if (!f.region && k > 0) k = 1;
  }
  return nullptr;
}

Item Elaborator::lookup(const Syntax& e) {
  if (const auto dtype = dtype_from_string(e.text); dtype && !e.quoted) return {*dtype};
  if (e.text == "opaque" && !e.quoted) {
    ir::ValueType unknown;
    unknown.opaque = true;
    return {unknown};
  }
  if (const Item* item = find(e.text)) {
    const auto* v = item->as<ops::Val>();
    if (v && v->builder != frames_.back().builder)
      fail(e.place, fmt::format("the region uses '{}' of its surroundings", e.text),
           "pass it as a further input of the call");
    if (item->as<List>()) charge(e.place, *item);  // it is copied
    return *item;
  }
  std::vector<std::string> known;
  for (const Frame* f : {&frames_.back(), &frames_.front()})
    for (const Scope& scope : f->scopes)
      for (const auto& [name, item] : scope) known.push_back(name);
  const std::string near = nearest_name(e.text, known);
  fail(e.place, fmt::format("unknown name '{}'", e.text),
       near.empty() ? "sizes are declared with 'sizes'" : fmt::format("did you mean '{}'?", near));
}

Item Elaborator::call_function(const Statement& function, const Syntax& call) {
  if (frames_.size() > deepest_calls)
    fail(call.place, fmt::format("calls of '{}' are nested too deeply", function.name),
         "functions are inlined and cannot call themselves");
  Scope arguments;
  size_t position = 0;
  for (const Argument& a : call.arguments) {
    const auto& parameters = function.parameters;
    auto at = parameters.begin() + static_cast<long>(std::min(position, parameters.size()));
    if (a.name.empty()) ++position;
    else
      at = std::find_if(parameters.begin(), parameters.end(),
                        [&](const Parameter& p) { return p.name == a.name; });
    if (at == parameters.end())
      fail(a.place, a.name.empty()
                        ? fmt::format("'{}' takes {} arguments", function.name, parameters.size())
                        : fmt::format("'{}' has no parameter '{}'", function.name, a.name));
    if (!arguments.emplace(at->name, eval(*a.value)).second)
      fail(a.place, fmt::format("argument '{}' is given twice", at->name));
  }
  ops::Builder* current = &builder();
  frames_.push_back({.builder = current});
  for (const Parameter& p : function.parameters) {
    if (arguments.contains(p.name)) continue;
    if (!p.fallback)
      fail(call.place, fmt::format("argument '{}' of '{}' is missing", p.name, function.name));
    arguments.emplace(p.name, eval(*p.fallback));
  }
  frame().scopes.back() = std::move(arguments);
  execute(function.body);
  if (!frame().finished)
    fail(function.place, fmt::format("function '{}' returns nothing", function.name));
  List results = std::move(frame().results);
  frames_.pop_back();
  if (results.size() == 1) return std::move(results[0]);
  return {std::move(results)};
}

std::shared_ptr<const ir::Graph> Elaborator::region(const RegionSyntax& syntax,
                                                    const std::vector<ir::ValueType>& types,
                                                    Place place) {
  if (frames_.size() > deepest_calls) fail(place, "regions are nested too deeply");
  ops::Builder body("body");
  Frame inner{.builder = &body, .region = true};
  for (size_t k = 0; k < syntax.parameters.size(); ++k) {
    const Parameter& p = syntax.parameters[k];
    if (!p.type && k >= types.size())
      fail(p.place, fmt::format("the type of '{}' does not follow from the call", p.name),
           "state it: NAME: f32[…]");
    const ir::ValueType type = p.type ? eval_type(*p.type) : types[k];
    if (!inner.scopes.back().emplace(p.name, Item{body.input(p.name, type)}).second)
      fail(p.place, fmt::format("parameter '{}' is named twice", p.name));
  }
  frames_.push_back(std::move(inner));
  execute(syntax.body);
  if (!frame().finished) fail(place, "the region returns nothing");
  for (size_t k = 0; k < frame().results.size(); ++k)
    body.output(fmt::format("out{}", k), to_value(frame().results[k], {}, place));
  frames_.pop_back();
  return std::make_shared<const ir::Graph>(ir::without_dead_nodes(std::move(body).finish()));
}

ir::Graph parse_program(std::string_view text, const std::string& file_name,
                        const std::map<std::string, int64_t>& bind) {
  return Elaborator(file_name, bind).run(parse_syntax(text, file_name));
}

ir::Graph parse_file(const std::string& path, const std::map<std::string, int64_t>& bind) {
  return parse_program(read_file(path), path, bind);
}

}  // namespace tessera::lang
