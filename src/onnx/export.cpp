// SPDX-License-Identifier: Apache-2.0
// Choice of the operator set and writing of files.
#include "onnx/export.h"

#include <fcntl.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/check.h"
#include "onnx/exporter.h"
#include "onnx/tensor_proto.h"

namespace tessera::onnx {
namespace {

struct Exported {
  pb::ModelProto model;
  std::vector<Tensor> tensors;
  int64_t bytes = 0;
};

Exported export_proto(const ir::Graph& graph, const ExportOptions& options) {
  TESSERA_USER_CHECK(options.opset == 0 || options.opset >= 7,
                     "operator set {} is too old; 7 or newer", options.opset);
  int opset = options.opset;
  while (true) {
    Exporter exporter(graph, opset);
    try {
      Exported result;
      result.model = exporter.run();
      result.tensors = exporter.tensors();
      for (const Tensor& t : result.tensors) result.bytes += static_cast<int64_t>(t.bytes());
      return result;
    } catch (const NeedsOpset& e) {
      if (options.opset != 0)
        fail_user(ErrorKind::unsupported,
                  "operator '{}' needs operator set {} or newer, asked for {}", e.op, e.version,
                  options.opset);
      TESSERA_CHECK(e.version > exporter.opset());
      opset = e.version;
    }
  }
}

// A file that gets its name when it is complete, and disappears otherwise.
class NewFile {
 public:
  explicit NewFile(const std::string& path) : path_(path) {
    temporary_ = path + ".XXXXXX";
    fd_ = mkostemp(temporary_.data(), O_CLOEXEC);
    if (fd_ < 0) fail("create");
    fchmod_default();
  }
  ~NewFile() {
    if (fd_ >= 0) close(fd_);
    if (!temporary_.empty()) unlink(temporary_.c_str());
  }
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  int descriptor() const { return fd_; }

  void write(const void* data, size_t bytes) {
    const auto* at = static_cast<const char*>(data);
    while (bytes > 0) {
      const ssize_t done = ::write(fd_, at, bytes);
      if (done < 0 && errno == EINTR) continue;
      if (done <= 0) fail("write");
      at += done;
      bytes -= static_cast<size_t>(done);
    }
  }

  void finish() {
    if (fsync(fd_) != 0) fail("write");
    if (rename(temporary_.c_str(), path_.c_str()) != 0) fail("write");
    temporary_.clear();
  }

  [[noreturn]] void fail(const char* what) const {
    fail_user(ErrorKind::invalid_input, "cannot {} '{}': {}", what, path_, std::strerror(errno));
  }

 private:
  // mkstemp makes private files; a model gets the rights that any new file gets.
  void fchmod_default() const {
    const mode_t mask = umask(0);
    umask(mask);
    (void)fchmod(fd_, 0666 & ~mask);
  }

  std::string path_, temporary_;
  int fd_ = -1;
};

void add_external_data(Exported& exported, NewFile& file, const std::string& location) {
  constexpr int64_t alignment = 4096;  // a page, so that the tensors can be mapped
  const std::vector<char> padding(alignment, 0);
  int64_t offset = 0;
  for (size_t k = 0; k < exported.tensors.size(); ++k) {
    const Tensor& tensor = exported.tensors[k];
    pb::TensorProto& proto =
        *exported.model.mutable_graph()->mutable_initializer(static_cast<int>(k));
    if (tensor.bytes() < 1024) {
      proto.set_raw_data(tensor.data(), tensor.bytes());
      continue;
    }
    const int64_t pad = (alignment - offset % alignment) % alignment;
    file.write(padding.data(), static_cast<size_t>(pad));
    offset += pad;
    file.write(tensor.data(), tensor.bytes());
    proto.set_data_location(1);
    const std::array<std::pair<const char*, std::string>, 3> entries{
        {{"location", location},
         {"offset", std::to_string(offset)},
         {"length", std::to_string(tensor.bytes())}}};
    for (const auto& [key, value] : entries) {
      auto& entry = *proto.add_external_data();
      entry.set_key(key);
      entry.set_value(value);
    }
    offset += static_cast<int64_t>(tensor.bytes());
  }
}

void add_raw_data(Exported& exported) {
  for (size_t k = 0; k < exported.tensors.size(); ++k) {
    const Tensor& tensor = exported.tensors[k];
    exported.model.mutable_graph()
        ->mutable_initializer(static_cast<int>(k))
        ->set_raw_data(tensor.data(), tensor.bytes());
  }
}

}  // namespace

std::string export_model_bytes(const ir::Graph& graph, const ExportOptions& options) {
  Exported exported = export_proto(graph, options);
  add_raw_data(exported);
  std::string bytes;
  TESSERA_USER_CHECK(exported.model.SerializeToString(&bytes), "the model is larger than 2 GB");
  return bytes;
}

void export_model(const ir::Graph& graph, const std::string& path, const ExportOptions& options) {
  Exported exported = export_proto(graph, options);
  if (exported.bytes > options.external_above) {
    NewFile data(path + ".data");
    add_external_data(exported, data, std::filesystem::path(path + ".data").filename().string());
    data.finish();
  } else {
    add_raw_data(exported);
  }
  NewFile file(path);
  google::protobuf::io::FileOutputStream stream(file.descriptor());
  if (!exported.model.SerializeToZeroCopyStream(&stream) || !stream.Flush()) file.fail("write");
  file.finish();
}

}  // namespace tessera::onnx
