// SPDX-License-Identifier: Apache-2.0
// Importing of small models made in the test.
#include "onnx/import.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/check.h"
#include "onnx/export.h"
#include "onnx/limits.h"
#include "onnx/test_model.h"
#include "ops/evaluate.h"
#include "ops/verify.h"

namespace tessera::onnx {
namespace {

namespace fs = std::filesystem;

// The message of the UserError that importing gives, or "imported".
std::string refusal(const TestModel& model, const ImportOptions& options = {},
                    const std::string& folder = {}) {
  try {
    import_model_bytes(model.bytes(), folder, options);
  } catch (const UserError& e) {
    return e.what();
  }
  return "imported";
}

void expect_refusal(const TestModel& model, const std::string& part) {
  const std::string message = refusal(model);
  EXPECT_NE(message.find(part), std::string::npos) << message;
}

size_t count(const ir::Graph& graph, const std::string& op) {
  size_t n = 0;
  for (const ir::Node& node : graph.nodes()) n += node.op == op;
  return n;
}

TestModel relu() {
  TestModel m;
  m.input("x", {2, 3});
  m.node("Relu", {"x"}, {"y"});
  m.output("y");
  return m;
}

// x of [N,4] reshaped to [N·2, 2] by shape arithmetic inside the model.
TestModel shape_chain() {
  TestModel m;
  m.input("x", {"N", 4}).integers("zero", {0}, {1}).integers("two", {2}, {1});
  m.node("Shape", {"x"}, {"s"});
  m.node("Gather", {"s", "zero"}, {"n"});
  m.node("Mul", {"n", "two"}, {"m"});
  set_int(m.node("Concat", {"m", "two"}, {"t"}), "axis", 0);
  m.node("Reshape", {"x", "t"}, {"y"});
  m.output("y");
  return m;
}

TEST(Import, folds_shape_subgraphs_over_symbols) {
  const ir::Graph graph = import_model_bytes(shape_chain().bytes(), {}, {});
  EXPECT_EQ(graph.node_count(), 2u);
  EXPECT_EQ(graph.type(graph.outputs()[0].value).to_string(), "f32[2*N,2]");
  const ir::Graph bound = import_model_bytes(shape_chain().bytes(), {}, {.bind = {{"N", 3}}});
  EXPECT_EQ(bound.type(bound.outputs()[0].value).to_string(), "f32[6,2]");
}

TEST(Import, keeps_symbolic_dimensions_through_export) {
  const ir::Graph graph = import_model_bytes(shape_chain().bytes(), {}, {});
  const ir::Graph again = import_model_bytes(export_model_bytes(graph, {}), {}, {});
  EXPECT_EQ(again.node_count(), graph.node_count());
  EXPECT_EQ(again.type(again.outputs()[0].value), graph.type(graph.outputs()[0].value));
  EXPECT_EQ(again.outputs()[0].name, "y");
  ops::verify(again);
}

TEST(Import, names_the_input_whose_value_a_shape_needs) {
  TestModel m;
  m.input("x", {4}).input("shape", {2}, pb::INT64);
  m.node("Reshape", {"x", "shape"}, {"y"});
  m.output("y");
  expect_refusal(m, "depends on the graph input 'shape'");
  const std::vector<int64_t> shape{2, 2};
  const ir::Graph graph =
      import_model_bytes(m.bytes(), {}, {.values = {{"shape", Tensor::from_integers(shape, {2})}}});
  EXPECT_EQ(graph.type(graph.outputs()[0].value).to_string(), "f32[2,2]");
}

TEST(Import, inlines_the_branch_of_a_constant_condition) {
  TestModel m = relu();
  m.graph().clear_output();
  pb::TensorProto& yes = *m.graph().add_initializer();
  yes.set_name("yes");
  yes.set_data_type(pb::BOOL);
  yes.add_int32_data(1);
  pb::NodeProto& node = m.node("If", {"yes"}, {"z"});
  for (const char* branch : {"then_branch", "else_branch"}) {
    pb::AttributeProto& a = *node.add_attribute();
    a.set_name(branch);
    a.set_type(pb::ATTR_GRAPH);
    pb::NodeProto& inner = *a.mutable_g()->add_node();
    inner.set_op_type(branch[0] == 't' ? "Exp" : "Log");
    inner.add_input("y");
    inner.add_output("r");
    a.mutable_g()->add_output()->set_name("r");
  }
  m.output("z");
  const ir::Graph graph = import_model_bytes(m.bytes(), {}, {});
  EXPECT_EQ(count(graph, "exp"), 1u);
  EXPECT_EQ(count(graph, "log"), 0u);
}

TEST(Import, turns_a_loop_with_a_known_trip_count_into_a_scan) {
  TestModel m;
  m.input("x", {2}).integers("trips", {5}, {});
  pb::NodeProto& node = m.node("Loop", {"trips", "", "x"}, {"last"});
  pb::AttributeProto& a = *node.add_attribute();
  a.set_name("body");
  a.set_type(pb::ATTR_GRAPH);
  TestModel body;
  body.input("i", {}, pb::INT64).input("go", {}, pb::BOOL).input("s", {2});
  body.node("Identity", {"go"}, {"more"});
  body.node("Add", {"s", "x"}, {"t"});
  body.output("more").output("t");
  *a.mutable_g() = body.graph();
  m.output("last");
  const ir::Graph graph = import_model_bytes(m.bytes(), {}, {});
  EXPECT_EQ(count(graph, "scan"), 1u);
  const std::vector<double> x{1, -2};
  const ir::Graph again = import_model_bytes(export_model_bytes(graph, {}), {}, {});
  for (const ir::Graph* g : {&graph, &again}) {
    const auto y = ops::evaluate(*g, std::vector<Tensor>{Tensor::from_floats(x, {2})});
    EXPECT_EQ(y[0].float_at(0), 6);
    EXPECT_EQ(y[0].float_at(1), -12);
  }
}

TEST(Import, keeps_unknown_operators_only_when_asked) {
  TestModel m = relu();
  m.graph().clear_output();
  pb::NodeProto& odd = m.node("Odd", {"y"}, {"z"});
  odd.set_domain("custom");
  odd.set_name("the odd one");
  set_int(odd, "knob", 3);
  m.node("Exp", {"z"}, {"e"});
  m.output("e");
  m.proto.add_opset_import()->set_domain("custom");
  m.proto.mutable_opset_import(1)->set_version(2);
  expect_refusal(m, "node 'the odd one' (Odd): operator custom:Odd version 2 is not supported");

  std::vector<std::string> warnings;
  ImportOptions options;
  options.allow_barriers = true;
  options.warn = [&](const std::string& text) { warnings.push_back(text); };
  const ir::Graph graph = import_model_bytes(m.bytes(), {}, options);
  EXPECT_EQ(warnings.size(), 2u);  // the operator, and the one that uses its result
  pb::ModelProto written;
  ASSERT_TRUE(written.ParseFromString(export_model_bytes(graph, {})));
  ASSERT_EQ(written.graph().node_size(), 3);
  EXPECT_EQ(written.graph().node(1).op_type(), "Odd");
  EXPECT_EQ(written.graph().node(1).domain(), "custom");
  EXPECT_EQ(written.graph().node(1).attribute(0).i(), 3);
  EXPECT_EQ(written.graph().node(2).output(0), "e");
}

TEST(Import, refuses_malformed_graphs) {
  TestModel cycle;
  cycle.input("x", {2});
  cycle.node("Add", {"x", "b"}, {"a"});
  cycle.node("Add", {"x", "a"}, {"b"});
  expect_refusal(cycle.output("b"), "is used before it is computed");

  TestModel twice = relu();
  twice.node("Relu", {"x"}, {"y"});
  expect_refusal(twice, "value 'y' is defined twice");
  expect_refusal(relu().output("y"), "two graph outputs named 'y'");
  expect_refusal(relu().output("nothing"), "value 'nothing' does not exist");
  expect_refusal(relu().input("x", {2}), "value 'x' is defined twice");
  expect_refusal(relu().input("n", {-2}), "negative dimension -2");
  expect_refusal(relu().input("n", {int64_t{1} << 62, 16}), "too large");
  expect_refusal(relu().input("n", std::vector<TestDim>(max_rank + 1, TestDim(1))), "has rank 33");
  expect_refusal(relu().input("s", {2}, pb::STRING), "value 's' has the element type string");
  expect_refusal(relu().input("s", {2}, 99), "element type 99");
  TestModel name;
  name.input(std::string("\xff\xfe"), {1});
  expect_refusal(name.output("\xff\xfe"), "no printable UTF-8");
  EXPECT_THROW(import_model_bytes("", {}, {}), UserError);
  const std::string bytes = relu().bytes();
  EXPECT_THROW(import_model_bytes(bytes.substr(0, bytes.size() / 2), {}, {}), UserError);
}

TEST(Import, refuses_tensors_that_do_not_hold_what_they_say) {
  const auto with = [](const std::function<void(pb::TensorProto&)>& change) {
    TestModel m;
    m.input("x", {2}, pb::INT64).integers("w", {1, 2}, {2});
    m.node("Add", {"x", "w"}, {"y"});
    change(*m.graph().mutable_initializer(0));
    return m.output("y");
  };
  expect_refusal(with([](auto& t) { t.set_raw_data("abc"); }), "3 raw bytes, expected 16");
  expect_refusal(with([](auto& t) { t.set_dims(0, 3); }), "has 2 elements, expected 3");
  expect_refusal(with([](auto& t) { t.set_dims(0, -2); }), "negative dimension");
  expect_refusal(with([](auto& t) { t.set_dims(0, INT64_MAX); }), "too large");
  expect_refusal(with([](auto& t) { t.set_data_type(pb::INT4); }), "int4, which is not supported");
  expect_refusal(with([](auto& t) { t.mutable_segment(); }), "segments");
}

TEST(Import, bounds_nesting_and_recursion) {
  TestModel recursive = relu();
  recursive.proto.add_opset_import()->set_domain("local");
  recursive.proto.mutable_opset_import(1)->set_version(1);
  pb::FunctionProto& f = *recursive.proto.add_functions();
  f.set_name("Again");
  f.set_domain("local");
  f.add_input("a");
  f.add_output("b");
  pb::NodeProto& call = *f.add_node();
  call.set_op_type("Again");
  call.set_domain("local");
  call.add_input("a");
  call.add_output("b");
  recursive.node("Again", {"y"}, {"z"}).set_domain("local");
  expect_refusal(recursive.output("z"), "nested more than 64 deep");
}

// Two calls at each of `depth` levels, and `op` at the bottom.
TestModel doubling(const std::string& op, const std::vector<std::string>& inputs, int depth) {
  TestModel m;
  m.proto.add_opset_import()->set_domain("local");
  m.proto.mutable_opset_import(1)->set_version(1);
  for (int k = 0; k < depth; ++k) {
    pb::FunctionProto& f = *m.proto.add_functions();
    f.set_name(fmt::format("f{}", k));
    f.set_domain("local");
    for (const std::string& name : inputs) f.add_input(name);
    f.add_output("y");
    for (const char* result : {"y", "unused"}) {
      pb::NodeProto& call = *f.add_node();
      call.set_op_type(k + 1 < depth ? fmt::format("f{}", k + 1) : op);
      if (k + 1 < depth) call.set_domain("local");
      for (const std::string& name : inputs) call.add_input(name);
      call.add_output(result);
    }
  }
  m.node("f0", inputs, {"z"}).set_domain("local");
  m.output("z");
  return m;
}

TEST(Import, bounds_what_functions_expand_into) {
  TestModel many = doubling("Relu", {"x"}, 40);
  expect_refusal(many.input("x", {2}), "the model has more than");
  // Fewer nodes, each of which is much work.
  TestModel heavy = doubling("LSTM", {"x", "w", "r"}, 11);
  for (auto& node : *heavy.proto.mutable_functions(10)->mutable_node()) {
    set_int(node, "hidden_size", 3);
    pb::AttributeProto& direction = *node.add_attribute();
    direction.set_name("direction");
    direction.set_type(pb::ATTR_STRING);
    direction.set_s("bidirectional");
  }
  heavy.input("x", {5, 2, 4}).input("w", {2, 12, 4}).input("r", {2, 12, 3});
  expect_refusal(heavy, "the model expands too far");
}

// Sizes that square themselves are not tracked to the end, and harm nothing.
TEST(Import, bounds_symbolic_sizes) {
  TestModel m;
  m.input("x", {"N", "M"}).integers("swap", {1, 0}, {2}).integers("one", {1, 3}, {2});
  m.node("Shape", {"x"}, {"s0"});
  for (int k = 0; k < 100; ++k) {
    const std::string s = fmt::format("s{}", k), a = fmt::format("a{}", k);
    m.node("Gather", {s, "swap"}, {a + "g"});
    m.node("Add", {a + "g", "one"}, {a});
    m.node("Mul", {s, a}, {fmt::format("s{}", k + 1)});
  }
  m.output("s100");
  const ir::Graph graph = import_model_bytes(m.bytes(), {}, {});
  EXPECT_GT(graph.node_count(), 100u);
}

class ExternalData : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / fmt::format("tessera_external_{}", getpid());
    fs::create_directories(folder_ / "in");
    std::ofstream(folder_ / "outside") << std::string(64, '\1');
    std::ofstream(folder_ / "in" / "data") << std::string(64, '\1');
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string message(const std::string& location, const std::string& offset = "0",
                      const std::string& length = "16") {
    TestModel m;
    m.input("x", {2}, pb::INT64).integers("w", {}, {2});
    pb::TensorProto& t = *m.graph().mutable_initializer(0);
    t.set_data_location(1);
    for (const auto& [key, value] : std::map<std::string, std::string>{
             {"location", location}, {"offset", offset}, {"length", length}}) {
      auto& entry = *t.add_external_data();
      entry.set_key(key);
      entry.set_value(value);
    }
    m.node("Add", {"x", "w"}, {"y"});
    return refusal(m.output("y"), {}, (folder_ / "in").string());
  }
  fs::path folder_;
};

TEST_F(ExternalData, lies_in_the_folder_and_within_the_file) {
  EXPECT_EQ(message("data"), "imported");
  EXPECT_EQ(message("data", "48"), "imported");
  EXPECT_EQ(message("./data", "3"), "imported");  // unaligned
  EXPECT_NE(message("data", "49").find("has 64 bytes, expected 16 from offset 49"),
            std::string::npos);
  EXPECT_NE(message("data", "-1").find("malformed"), std::string::npos);
  EXPECT_NE(message("data", "9223372036854775807").find("has 64 bytes"), std::string::npos);
  EXPECT_NE(message("data", "0", "8").find("needs 16 bytes"), std::string::npos);
}

TEST_F(ExternalData, refuses_ways_out_of_the_folder) {
  for (const char* location : {"../outside", "in/../../outside", "/etc/passwd", "", ".", "missing"})
    EXPECT_NE(message(location).find("external data"), std::string::npos) << location;
  fs::create_symlink("../outside", folder_ / "in" / "soft");
  EXPECT_NE(message("soft").find("without links"), std::string::npos);
  fs::create_directory_symlink("..", folder_ / "in" / "up");
  EXPECT_NE(message("up/outside").find("without links"), std::string::npos);
  fs::create_hard_link(folder_ / "outside", folder_ / "in" / "hard");
  EXPECT_NE(message("hard").find("hard links"), std::string::npos);
  ASSERT_EQ(mkfifo((folder_ / "in" / "pipe").c_str(), 0600), 0);
  EXPECT_NE(message("pipe").find("not a regular file"), std::string::npos);
}

TEST_F(ExternalData, large_weights_are_exported_to_a_file_that_is_mapped) {
  TestModel m;
  m.input("x", {512}, pb::INT64).integers("w", std::vector<int64_t>(512, 7), {512});
  m.node("Add", {"x", "w"}, {"y"});
  const ir::Graph graph = import_model_bytes(m.output("y").bytes(), {}, {});
  const std::string path = (folder_ / "model.onnx").string();
  export_model(graph, path, {.external_above = 1000});
  EXPECT_EQ(fs::file_size(path + ".data"), 4096u);
  const ir::Graph again = import_model(path, {});
  ASSERT_EQ(count(again, "constant"), 1u);
  for (const ir::Node& n : again.nodes()) {
    if (n.op != "constant") continue;
    EXPECT_EQ(std::get<Tensor>(n.attrs.at("value")).integer_at(511), 7);
  }
}

TEST_F(ExternalData, a_failed_export_leaves_nothing_behind) {
  const ir::Graph graph = import_model_bytes(relu().bytes(), {}, {});
  EXPECT_THROW(export_model(graph, (folder_ / "none" / "m.onnx").string(), {}), UserError);
  EXPECT_THROW(export_model(graph, (folder_ / "in").string(), {}), UserError);  // a folder
  size_t files = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(folder_)) ++files;
  EXPECT_EQ(files, 2u);
}

TEST(Export, raises_the_operator_set_only_when_none_was_asked_for) {
  TestModel m(17);
  m.input("x", {2, 4}).input("s", {4}).input("b", {4});
  m.node("LayerNormalization", {"x", "s", "b"}, {"y"});
  const ir::Graph graph = import_model_bytes(m.output("y").bytes(), {}, {});
  pb::ModelProto written;
  ASSERT_TRUE(written.ParseFromString(export_model_bytes(graph, {})));
  EXPECT_EQ(written.opset_import(0).version(), 17);
  EXPECT_EQ(written.graph().node(0).op_type(), "LayerNormalization");
  // Before 17 the operator is written as what it is made of.
  ASSERT_TRUE(written.ParseFromString(export_model_bytes(graph, {.opset = 13})));
  EXPECT_EQ(written.opset_import(0).version(), 13);
  EXPECT_GT(written.graph().node_size(), 1);
  EXPECT_THROW(export_model_bytes(graph, {.opset = 3}), UserError);
}

}  // namespace
}  // namespace tessera::onnx
