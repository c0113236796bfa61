// SPDX-License-Identifier: Apache-2.0
// Dimensions that a model leaves open: how they are named, bound and written.
#include <gtest/gtest.h>

#include "base/check.h"
#include "onnx/export.h"
#include "onnx/import.h"
#include "onnx/test_model.h"
#include "ops/evaluate.h"

namespace tessera::onnx {
namespace {

std::string output_type(const ir::Graph& graph) {
  return graph.type(graph.outputs()[0].value).to_string();
}

std::string imported_type(const TestModel& m, const ImportOptions& options) {
  return output_type(import_model_bytes(m.bytes(), {}, options));
}

TestModel relu_of(std::vector<TestDim> dims) {
  TestModel m;
  m.input("x", std::move(dims));
  m.node("Relu", {"x"}, {"y"});
  m.output("y");
  return m;
}

// y = x + 1 if `mode` is 16, else x · x.
TestModel choice() {
  TestModel m;
  m.input("x", {"N"}).input("mode", {}, pb::INT64).integers("sixteen", {16}, {});
  m.node("Equal", {"mode", "sixteen"}, {"yes"});
  pb::NodeProto& node = m.node("If", {"yes"}, {"y"});
  for (const char* branch : {"then_branch", "else_branch"}) {
    TestModel inner;
    inner.node(branch[0] == 't' ? "Add" : "Mul", {"x", "x"}, {"r"});
    inner.output("r");
    pb::AttributeProto& a = *node.add_attribute();
    a.set_name(branch);
    a.set_type(pb::ATTR_GRAPH);
    *a.mutable_g() = inner.graph();
  }
  m.output("y");
  return m;
}

TEST(DynamicShapes, unnamed_dimensions_are_called_after_their_axis_and_need_not_be_equal) {
  EXPECT_EQ(imported_type(relu_of({-1, "?", "?", 4}), {}), "f32[x_d0,x_d1,x_d2,4]");
  EXPECT_EQ(imported_type(relu_of({-1, "?", "?"}), {.bind = {{"x_d0", 2}, {"x_d2", 5}}}),
            "f32[2,x_d1,5]");
}

TEST(DynamicShapes, are_bound_by_the_name_in_the_model) {
  EXPECT_EQ(imported_type(relu_of({"p2o.Dim.0"}), {.bind = {{"p2o.Dim.0", 3}}}), "f32[3]");
  EXPECT_EQ(imported_type(relu_of({"p2o.Dim.0"}), {.bind = {{"p2o_Dim_0", 3}}}), "f32[3]");
  EXPECT_THROW(imported_type(relu_of({"N"}), {.bind = {{"M", 3}}}), UserError);
  std::set<std::string> bound;
  imported_type(relu_of({"N"}), {.bind = {{"M", 3}, {"N", 4}}, .bound = &bound});
  EXPECT_EQ(bound, std::set<std::string>{"N"});
}

TEST(DynamicShapes, take_the_sizes_of_given_inputs) {
  TestModel m = relu_of({"N", "?"});
  EXPECT_EQ(imported_type(m, {.shapes = {{"x", {3, 7}}}}), "f32[3,7]");
  m.input("z", {"N"});
  EXPECT_THROW(imported_type(m, {.shapes = {{"x", {3, 7}}, {"z", {4}}}}), UserError);
}

TEST(DynamicShapes, an_input_of_one_element_can_be_bound_to_its_value) {
  EXPECT_THROW(imported_type(choice(), {}), UserError);
  const std::vector<double> x{3};
  for (const auto& [mode, expected] : {std::pair{16, 6.0}, {8, 9.0}}) {
    const ir::Graph graph =
        import_model_bytes(choice().bytes(), {}, {.bind = {{"mode", mode}, {"N", 1}}});
    ASSERT_EQ(graph.inputs().size(), 2u);  // the signature stays
    const std::vector<int64_t> any{0};
    const auto y = ops::evaluate(
        graph, std::vector<Tensor>{Tensor::from_floats(x, {1}), Tensor::from_integers(any, {})});
    EXPECT_EQ(y[0].float_at(0), expected);
  }
  EXPECT_THROW(imported_type(relu_of({2}), {.bind = {{"x", 1}}}), UserError);
}

TEST(DynamicShapes, a_range_may_reach_a_size_that_went_through_floats) {
  TestModel m;
  m.input("x", {"N", 3});
  m.node("Shape", {"x"}, {"s"});
  m.integers("zero", {0}, {}).integers("one", {1}, {});
  set_int(m.node("Gather", {"s", "zero"}, {"n"}), "axis", 0);
  for (const auto& [from, to] : {std::pair{"n", "limit"}, {"zero", "start"}, {"one", "delta"}})
    set_int(m.node("Cast", {from}, {to}), "to", pb::FLOAT);
  m.node("Range", {"start", "limit", "delta"}, {"y"});
  m.output("y");
  EXPECT_EQ(imported_type(m, {}), "f32[N]");
  const ir::Graph again = import_model_bytes(
      export_model_bytes(import_model_bytes(m.bytes(), {}, {}), {}), {}, {.bind = {{"N", 3}}});
  const auto y = ops::evaluate(again, std::vector<Tensor>{Tensor(DType::f32, {3, 3})});
  EXPECT_EQ(y[0].float_at(2), 2);
}

TEST(DynamicShapes, sizes_that_an_unknown_operator_makes_are_read_from_its_result) {
  TestModel m = relu_of({"N"});
  m.graph().clear_output();
  m.node("Odd", {"y"}, {"z"}).set_domain("custom");
  m.proto.add_opset_import()->set_domain("custom");
  m.proto.mutable_opset_import(1)->set_version(1);
  TestModel types;
  types.input("z", {"K", 2});
  *m.graph().add_value_info() = types.graph().input(0);
  m.node("Shape", {"z"}, {"s"});
  m.integers("first", {0}, {}).integers("one", {1}, {});
  set_int(m.node("Gather", {"s", "first"}, {"k"}), "axis", 0);
  m.node("Range", {"first", "k", "one"}, {"e"});
  m.output("z");
  m.output("e");
  ImportOptions options;
  options.allow_barriers = true;
  const ir::Graph graph = import_model_bytes(m.bytes(), {}, options);
  EXPECT_EQ(graph.type(graph.outputs()[1].value).to_string(), "i64[K]");
  const ir::Graph again = import_model_bytes(export_model_bytes(graph, {}), {}, options);
  EXPECT_EQ(again.type(again.outputs()[1].value).to_string(), "i64[K]");
}

}  // namespace
}  // namespace tessera::onnx
