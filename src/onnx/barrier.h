// SPDX-License-Identifier: Apache-2.0
// Names inside a kept node.
#pragma once

#include <map>
#include <string>

#include "onnx/onnx.pb.h"

namespace tessera::onnx {

/// Renames what the node's subgraphs take from outside.
void rename_captures(pb::NodeProto& node, const std::map<std::string, std::string>& names);

}  // namespace tessera::onnx
