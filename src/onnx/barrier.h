// SPDX-License-Identifier: Apache-2.0
// Names inside a kept node.
#pragma once

#include <map>
#include <string>

#include "onnx/onnx.pb.h"

namespace tessera::onnx {

/// The node that a barrier keeps.
pb::NodeProto parse_kept_node(const std::string& bytes);

/// Renames what the node's subgraphs take from outside.
void rename_captures(pb::NodeProto& node, const std::map<std::string, std::string>& names);

}  // namespace tessera::onnx
