// SPDX-License-Identifier: Apache-2.0
// Messages without their weights.
#include "onnx/weight_bytes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "onnx/import.h"
#include "onnx/onnx.pb.h"

namespace tessera::onnx {
namespace {

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

pb::ModelProto model_with(const std::vector<size_t>& sizes) {
  pb::ModelProto model;
  model.set_ir_version(8);
  model.set_producer_name("test");
  model.mutable_graph()->set_name("g");
  for (const size_t size : sizes) {
    pb::TensorProto& t = *model.mutable_graph()->add_initializer();
    t.set_name("w" + std::to_string(size));
    t.add_dims(static_cast<int64_t>(size));
    t.set_data_type(pb::UINT8);
    t.set_raw_data(std::string(size, static_cast<char>('a' + size % 26)));
  }
  model.mutable_graph()->add_output()->set_name("y");
  return model;
}

// A message as a field of another one.
std::string field(int number, const std::string& message) {
  std::string text(1, static_cast<char>(number << 3 | 2));
  size_t size = message.size();
  for (; size >= 0x80; size >>= 7) text.push_back(static_cast<char>(size | 0x80));
  text.push_back(static_cast<char>(size));
  return text + message;
}

TEST(WeightBytes, leaves_out_large_raw_data_only) {
  pb::ModelProto model = model_with({100, 3, 200});
  const std::string whole = model.SerializeAsString();
  const auto light = without_weights(bytes_of(whole), 50);
  ASSERT_TRUE(light);
  ASSERT_EQ(light->raw.size(), 3u);
  EXPECT_TRUE(light->raw[1].empty());
  for (const int k : {0, 2}) {
    std::string* raw = model.mutable_graph()->mutable_initializer(k)->mutable_raw_data();
    EXPECT_TRUE(std::ranges::equal(light->raw[static_cast<size_t>(k)], bytes_of(*raw)));
    model.mutable_graph()->mutable_initializer(k)->clear_raw_data();
  }
  pb::ModelProto parsed;
  ASSERT_TRUE(parsed.ParseFromString(light->bytes));
  EXPECT_EQ(parsed.SerializeAsString(), model.SerializeAsString());
}

TEST(WeightBytes, leaves_a_model_alone_that_is_small_or_odd) {
  EXPECT_FALSE(without_weights(bytes_of(model_with({10, 20}).SerializeAsString()), 50));
  EXPECT_FALSE(without_weights({}, 50));
  // Raw data twice: the last one counts, as the parser knows.
  pb::TensorProto twice;
  twice.set_raw_data(std::string(60, 'a'));
  const std::string one = twice.SerializeAsString();
  const std::string model = field(7, field(5, one + one));
  pb::ModelProto parsed;
  ASSERT_TRUE(parsed.ParseFromString(model));
  ASSERT_EQ(parsed.graph().initializer_size(), 1);
  EXPECT_FALSE(without_weights(bytes_of(model), 50));
}

TEST(WeightBytes, never_reads_beyond_a_damaged_message) {
  const std::string whole = model_with({100, 60}).SerializeAsString();
  for (size_t size = 0; size < whole.size(); ++size) {
    const std::string cut = whole.substr(0, size);
    const auto light = without_weights(bytes_of(cut), 50);
    pb::ModelProto parsed;
    EXPECT_EQ(light && parsed.ParseFromString(light->bytes), light && parsed.ParseFromString(cut));
  }
  for (size_t at = 0; at < whole.size(); ++at)
    for (const int flip : {0x01, 0x04, 0x80, 0xff}) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ flip);
      const auto light = without_weights(bytes_of(damaged), 50);
      if (!light) continue;
      pb::ModelProto a, b;
      const bool reads = a.ParseFromString(light->bytes);
      EXPECT_EQ(reads, b.ParseFromString(damaged)) << at << " ^ " << flip;
      if (!reads) continue;
      EXPECT_EQ(a.graph().initializer_size(), std::ssize(light->raw));
    }
}

TEST(WeightBytes, gives_the_values_that_the_file_holds) {
  pb::ModelProto model;
  model.set_ir_version(8);
  model.add_opset_import()->set_version(13);
  pb::GraphProto& graph = *model.mutable_graph();
  graph.set_name("g");
  constexpr int64_t count = 40000;
  std::vector<float> values(count);
  for (size_t k = 0; k < values.size(); ++k) values[k] = static_cast<float>(k) * 0.5f;
  pb::TensorProto& w = *graph.add_initializer();
  w.set_name("w");
  w.add_dims(count);
  w.set_data_type(pb::FLOAT);
  w.set_raw_data(values.data(), values.size() * sizeof(float));
  pb::NodeProto& node = *graph.add_node();
  node.set_op_type("Identity");
  node.add_input("w");
  node.add_output("y");
  graph.add_output()->set_name("y");
  // Names of all lengths put the weights at all alignments.
  for (const char* name : {"", "a", "ab", "abc"}) {
    model.set_producer_name(name);
    const std::string path =
        (std::filesystem::temp_directory_path() / "tessera_weight_bytes.onnx").string();
    std::ofstream(path, std::ios::binary) << model.SerializeAsString();
    const ir::Graph imported = import_model(path, {});
    std::filesystem::remove(path);
    const Tensor* found = nullptr;
    for (ir::NodeId id = 0; id < imported.node_count(); ++id)
      if (imported.node(id).op == "constant") found = imported.constant({id, 0});
    ASSERT_NE(found, nullptr);
    ASSERT_EQ(found->size(), count);
    for (int64_t k = 0; k < count; ++k)
      ASSERT_EQ(found->as<float>()[k], values[static_cast<size_t>(k)]);
  }
}

}  // namespace
}  // namespace tessera::onnx
