// SPDX-License-Identifier: Apache-2.0
// Builds graphs out of operator records: types are inferred, errors name the node. `Val` is a value
// that can be computed with, for decompositions and built-in models.
#pragma once

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph.h"

namespace tessera::ops {

class Builder;

/// A value of a Builder's graph; a default-constructed one is an absent optional input.
struct Val {
  Builder* builder = nullptr;
  ir::Value value;

  bool present() const { return builder != nullptr && value.present(); }
  // By value: adding a node moves the types that the graph holds.
  ir::ValueType type() const;
  DType dtype() const { return type().dtype; }
  ir::Dims shape() const { return type().shape; }
  int rank() const { return type().rank(); }
  /// Extent of an axis; negative axes count from the end.
  sym::Expr dim(int axis) const;
};

/// Graph construction with inference. Not thread-safe.
class Builder {
 public:
  explicit Builder(std::string name = "main") : graph_(std::move(name)) {}

  Val input(std::string name, ir::ValueType type);
  Val constant(Tensor tensor, std::string name = {});
  /// A rank-0 constant of the given type.
  Val scalar(double value, DType type);
  Val integers(std::span<const int64_t> values, DType type = DType::i64);

  /// Adds a node; throws UserError naming `name` and the operator when the record refuses it.
  std::vector<Val> op_n(std::string_view op, std::vector<Val> inputs, ir::AttrMap attrs = {},
                        std::vector<std::shared_ptr<const ir::Graph>> regions = {},
                        std::string name = {});
  /// The same, for the first output.
  Val op(std::string_view op, std::vector<Val> inputs, ir::AttrMap attrs = {},
         std::string name = {});

  void output(std::string name, Val value) { graph_.output(std::move(name), value.value); }
  Val wrap(ir::Value v) { return {this, v}; }
  ir::GraphBuilder& raw() { return graph_; }
  const ir::Graph& graph() const { return graph_.graph(); }
  ir::Graph finish() && { return std::move(graph_).finish(); }
  /// Expression nodes that inference has made so far (see infer in registry.h).
  int64_t work() const { return work_; }
  /// Counts what another builder made for this one, for instance a region.
  void add_work(int64_t work) { work_ += work; }

 private:
  ir::GraphBuilder graph_;
  int64_t work_ = 0;
};

// Arithmetic with NumPy broadcasting; a number takes the other operand's type.
Val operator+(Val a, Val b);
Val operator-(Val a, Val b);
Val operator*(Val a, Val b);
Val operator/(Val a, Val b);
Val operator+(Val a, double b);
Val operator-(Val a, double b);
Val operator*(Val a, double b);
Val operator/(Val a, double b);
Val operator+(double a, Val b);
Val operator-(double a, Val b);
Val operator*(double a, Val b);
Val operator/(double a, Val b);
Val operator-(Val a);

Val matmul(Val a, Val b);
Val reshape(Val x, ir::Dims shape);
Val expand(Val x, ir::Dims shape);
Val transpose(Val x, std::vector<int64_t> perm);
Val cast(Val x, DType type);
Val reduce(std::string_view op, Val x, std::vector<int64_t> axes, bool keepdims = true);
Val concat(std::vector<Val> parts, int64_t axis);
/// x[starts, ends) along `axes` with positive step 1; negative bounds count from the end.
Val slice(Val x, std::vector<int64_t> axes, ir::Dims starts, ir::Dims ends);
Val unsqueeze(Val x, std::vector<int64_t> axes);
Val squeeze(Val x, std::vector<int64_t> axes);
Val exp(Val x);
Val log(Val x);
Val sqrt(Val x);
Val tanh(Val x);
Val sigmoid(Val x);
Val where(Val condition, Val a, Val b);

}  // namespace tessera::ops
