// SPDX-License-Identifier: Apache-2.0
// From syntax to graph: names are looked up, functions inlined, repetitions unrolled, operators
// applied through their records. Internal to parse.h.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "lang/item.h"
#include "lang/syntax.h"
#include "ops/op_def.h"

namespace tessera::lang {

/// Runs one program. Not thread-safe; used once.
class Elaborator {
 public:
  Elaborator(std::string file, std::map<std::string, int64_t> bind)
      : file_(std::move(file)), bind_(std::move(bind)), builder_("main") {}

  ir::Graph run(const std::vector<Statement>& program);

 private:
  using Scope = std::map<std::string, Item>;
  /// A function call or a region: names inside do not touch the caller's.
  struct Frame {
    std::vector<Scope> scopes{1};
    ops::Builder* builder;
    bool region = false;  ///< sees the numbers and sizes around it, too
    bool finished = false;
    std::vector<Item> results;
  };
  struct Call {
    const Syntax& syntax;
    const ops::OpDef& def;
    std::vector<Item> inputs;
    ir::AttrMap attrs;
  };

  // elaborate.cpp: statements
  void execute(const std::vector<Statement>& statements);
  void execute(const Statement& s);
  void declare_sizes(const Statement& s);
  void declare_input(const Statement& s);
  void declare_param(const Statement& s);
  void assign(const Statement& s);
  std::optional<std::vector<ir::ValueType>> stated_types(const Statement& s);
  void assign_one(const Target& target, Item item);
  void output(const Statement& s);
  void repeat(const Statement& s);
  /// Bounds the work and memory that a short program can ask for.
  void charge(Place place, const Item& item);
  void charge_weights(Place place, DType type, const Shape& shape);
  void set(const std::string& name, Item item);
  const Item* find(const std::string& name) const;
  Item lookup(const Syntax& e);
  Item call_function(const Statement& function, const Syntax& call);
  std::shared_ptr<const ir::Graph> region(const RegionSyntax& syntax,
                                          const std::vector<ir::ValueType>& types, Place place);

  // expression.cpp
  Item eval(const Syntax& e);
  Item unary(const Syntax& e);
  Item binary(const Syntax& e);
  Item compile_time(const Syntax& e, const Item& a, const Item& b);
  Item member(const Syntax& e);
  Item subscript(const Syntax& e);
  Item slice(const Syntax& e, ops::Val x);
  ir::ValueType type(const Syntax& e, const List& dims, DType dtype);
  ir::ValueType eval_type(const Syntax& e);
  sym::Expr eval_size(const Syntax& e, std::string_view what);
  int64_t eval_integer(const Syntax& e, std::string_view what);

  // call.cpp
  Item call(const Syntax& e);
  bool builtin(const Syntax& e, Item& result);
  Item call_record(const ops::OpDef& def, const Syntax& e);
  void bind_positional(Call& call, Item item, Place place);
  void bind_named(Call& call, const std::string& name, Item item, Place place);
  ir::AttrValue attribute(const ops::AttrDef& def, const Item& item, Place place) const;
  std::vector<ir::ValueType> scan_types(const Call& call);
  std::vector<ops::Val> add_stated(std::string_view op, const std::vector<ops::Val>& inputs,
                                   ir::AttrMap attrs, Place place);
  Item apply(std::string_view op, const std::vector<Item>& inputs, ir::AttrMap attrs, Place place,
             std::vector<std::shared_ptr<const ir::Graph>> regions = {});
  ops::Val to_value(const Item& given, std::optional<DType> type, Place place);

  // weights.cpp
  Tensor initial_value(const Statement& s, const ir::ValueType& type, int64_t index);
  Tensor random_value(const Statement& s, DType dtype, const Shape& shape, int64_t index);
  Tensor base64_value(const Statement& s, DType dtype, const Shape& shape);
  Tensor file_value(const Statement& s, DType dtype, const Shape& shape);
  std::string text_argument(const Statement& s, size_t k);

  [[noreturn]] void fail(Place place, const std::string& message,
                         const std::string& hint = {}) const {
    fail_at(file_, place, message, hint);
  }
  Frame& frame() { return frames_.back(); }
  ops::Builder& builder() { return *frames_.back().builder; }

  std::string file_;
  std::map<std::string, int64_t> bind_;  ///< sizes given from outside, taken out when declared
  /// The types that a statement states for the results of the call at `stated_at_`, or null.
  const std::vector<ir::ValueType>* stated_ = nullptr;
  Place stated_at_;
  ops::Builder builder_;
  std::vector<Frame> frames_;
  std::map<std::string, const Statement*> functions_;
  std::set<std::string> inputs_, outputs_;
  std::map<std::string, int64_t> params_;  ///< how many weights of a name there are
  std::map<std::string, std::map<std::string, Tensor>> files_;
  int64_t steps_ = 0, weight_bytes_ = 0;
  int depth_ = 0;
};

}  // namespace tessera::lang
