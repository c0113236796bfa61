// SPDX-License-Identifier: Apache-2.0
// Tensors as ONNX stores them: in typed fields, as raw bytes, sparse, or in files beside the model.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "onnx/onnx.pb.h"
#include "types/tensor.h"

namespace tessera::onnx {

/// ONNX's number of an element type and back; nothing for types that Tessera does not have.
std::optional<DType> dtype_from_onnx(int64_t number);
int32_t dtype_to_onnx(DType type);
/// "float8e4m3fn", "string", "element type 99".
std::string onnx_type_name(int64_t number);

/// Files that hold tensors, inside one folder, mapped read-only. Names that lead out of the folder,
/// symbolic links, and files with several hard links are refused.
class ExternalFiles {
 public:
  /// An empty folder holds no files.
  explicit ExternalFiles(std::string folder);
  ~ExternalFiles();
  ExternalFiles(const ExternalFiles&) = delete;
  ExternalFiles& operator=(const ExternalFiles&) = delete;

  /// The bytes [offset, offset + length) of a file as a tensor. The mapping lives as long as it.
  Tensor tensor(const std::string& location, int64_t offset, DType type, Shape shape);

  /// Raw bytes of a message that were left in the mapped model file (weight_bytes.h).
  struct Left {
    std::shared_ptr<const std::byte> file;  ///< mapped
    std::span<const std::byte> bytes;
  };
  void leave(const pb::TensorProto& proto, Left left) { left_.insert_or_assign(&proto, left); }
  /// Null when the message has all that belongs to it.
  const Left* left(const pb::TensorProto& proto) const {
    const auto at = left_.find(&proto);
    return at == left_.end() ? nullptr : &at->second;
  }

 private:
  struct File {
    std::shared_ptr<const std::byte> data;
    int64_t bytes = 0;
  };
  const File& open(const std::string& location);

  std::string folder_;
  int folder_fd_ = -1;
  std::map<std::string, File> files_;
  std::map<const pb::TensorProto*, Left> left_;
};

/// Throws UserError naming `what`.
Tensor tensor_from_proto(const pb::TensorProto& proto, ExternalFiles& files,
                         const std::string& what);
/// The same; raw bytes are moved out of `proto`, which saves a copy.
Tensor take_tensor(pb::TensorProto& proto, ExternalFiles& files, const std::string& what);
Tensor tensor_from_sparse(const pb::SparseTensorProto& proto, ExternalFiles& files,
                          const std::string& what);
/// Type, dimensions and raw bytes.
void tensor_to_proto(const Tensor& tensor, pb::TensorProto& proto);

/// A file's bytes, mapped read-only. Throws UserError(missing_resource) when it cannot be read.
struct MappedFile {
  std::shared_ptr<const std::byte> data;
  int64_t bytes = 0;
};
MappedFile map_file(const std::string& path);

}  // namespace tessera::onnx
