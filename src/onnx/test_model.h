// SPDX-License-Identifier: Apache-2.0
// Small models for tests, built by hand.
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "onnx/onnx.pb.h"

namespace tessera::onnx {

/// A dimension: a number, or a name.
struct TestDim {
  int64_t value = 0;
  std::string name = {};
  TestDim(int v) : value(v) {}  // implicit: dimensions read as numbers
  TestDim(int64_t v) : value(v) {}
  TestDim(const char* n) : name(n) {}
};

struct TestModel {
  pb::ModelProto proto;

  explicit TestModel(int opset = 17) {
    proto.set_ir_version(8);
    proto.add_opset_import()->set_version(opset);
    proto.mutable_graph()->set_name("test");
  }

  pb::GraphProto& graph() { return *proto.mutable_graph(); }

  TestModel& input(const std::string& name, std::vector<TestDim> dims, int type = pb::FLOAT) {
    pb::ValueInfoProto& info = *graph().add_input();
    info.set_name(name);
    auto& tensor = *info.mutable_type()->mutable_tensor_type();
    tensor.set_elem_type(type);
    tensor.mutable_shape();
    for (const TestDim& d : dims) {
      auto& dim = *tensor.mutable_shape()->add_dim();
      if (d.name.empty()) dim.set_dim_value(d.value);
      else dim.set_dim_param(d.name);
    }
    return *this;
  }
  TestModel& output(const std::string& name) {
    graph().add_output()->set_name(name);
    return *this;
  }
  TestModel& integers(const std::string& name, std::vector<int64_t> values,
                      std::vector<int64_t> dims) {
    pb::TensorProto& t = *graph().add_initializer();
    t.set_name(name);
    t.set_data_type(pb::INT64);
    for (int64_t d : dims) t.add_dims(d);
    for (int64_t v : values) t.add_int64_data(v);
    return *this;
  }
  pb::NodeProto& node(const std::string& op, std::vector<std::string> inputs,
                      std::vector<std::string> outputs) {
    pb::NodeProto& n = *graph().add_node();
    n.set_op_type(op);
    for (const std::string& name : inputs) n.add_input(name);
    for (const std::string& name : outputs) n.add_output(name);
    return n;
  }
  std::string bytes() const { return proto.SerializeAsString(); }
};

inline void set_int(pb::NodeProto& node, const std::string& name, int64_t value) {
  pb::AttributeProto& a = *node.add_attribute();
  a.set_name(name);
  a.set_type(pb::ATTR_INT);
  a.set_i(value);
}

}  // namespace tessera::onnx
