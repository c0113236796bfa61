// SPDX-License-Identifier: Apache-2.0
// Conversion of tensors from and to their ONNX messages.
#include "onnx/tensor_proto.h"

#include <sys/mman.h>

#include <array>
#include <charconv>
#include <cstring>

#include "base/check.h"
#include "onnx/limits.h"

namespace tessera::onnx {
namespace {

struct TypeRow {
  pb::DataType onnx;
  DType type;
};
constexpr std::array<TypeRow, dtype_count> type_table{{{pb::FLOAT, DType::f32},
                                                       {pb::FLOAT16, DType::f16},
                                                       {pb::BFLOAT16, DType::bf16},
                                                       {pb::DOUBLE, DType::f64},
                                                       {pb::INT8, DType::i8},
                                                       {pb::INT16, DType::i16},
                                                       {pb::INT32, DType::i32},
                                                       {pb::INT64, DType::i64},
                                                       {pb::UINT8, DType::u8},
                                                       {pb::UINT16, DType::u16},
                                                       {pb::UINT32, DType::u32},
                                                       {pb::UINT64, DType::u64},
                                                       {pb::BOOL, DType::boolean}}};

constexpr std::array<std::string_view, 27> type_names{
    "undefined",      "float32",  "uint8",        "int8",           "uint16",
    "int16",          "int32",    "int64",        "string",         "bool",
    "float16",        "float64",  "uint32",       "uint64",         "complex64",
    "complex128",     "bfloat16", "float8e4m3fn", "float8e4m3fnuz", "float8e5m2",
    "float8e5m2fnuz", "uint4",    "int4",         "float4e2m1",     "float8e8m0",
    "uint2",          "int2"};

Shape checked_shape(const google::protobuf::RepeatedField<int64_t>& dims, const std::string& what) {
  TESSERA_USER_CHECK(dims.size() <= max_rank, "{} has rank {}, the limit is {}", what, dims.size(),
                     max_rank);
  Shape shape(dims.begin(), dims.end());
  for (int64_t d : shape)
    TESSERA_USER_CHECK(d >= 0, "{} has a negative dimension: {}", what, shape_to_string(shape));
  const auto count = element_count(shape);
  TESSERA_USER_CHECK(count && *count <= max_value_bytes / 8, "{} is too large: {}", what,
                     shape_to_string(shape));
  return shape;
}

int64_t parse_integer(const std::string& text, const std::string& what) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  TESSERA_USER_CHECK(error == std::errc() && end == text.data() + text.size() && value >= 0,
                     "{} has the malformed external offset or length '{}'", what, text);
  return value;
}

// A bool byte must hold 0 or 1, whatever the file says.
Tensor normalized_bool(const Tensor& tensor) {
  if (tensor.type() != DType::boolean) return tensor;
  Tensor copy(DType::boolean, tensor.shape());
  for (int64_t i = 0; i < copy.size(); ++i) copy.set_integer(i, tensor.data()[i] != std::byte{0});
  return copy;
}

Tensor external_tensor(const pb::TensorProto& proto, DType type, Shape shape, ExternalFiles& files,
                       const std::string& what) {
  std::string location;
  int64_t offset = 0;
  std::optional<int64_t> length;
  for (const auto& entry : proto.external_data()) {
    if (entry.key() == "location") location = entry.value();
    else if (entry.key() == "offset") offset = parse_integer(entry.value(), what);
    else if (entry.key() == "length") length = parse_integer(entry.value(), what);
    else
      TESSERA_USER_CHECK(entry.key() == "checksum", "{} has the unknown external data key '{}'",
                         what, entry.key());
  }
  const int64_t bytes = *element_count(shape) * static_cast<int64_t>(size_of(type));
  TESSERA_USER_CHECK(!length || *length == bytes, "{} needs {} bytes of external data, found {}",
                     what, bytes, *length);
  try {
    return normalized_bool(files.tensor(location, offset, type, std::move(shape)));
  } catch (const UserError& e) {
    throw UserError(e.kind(), fmt::format("{}: {}", what, e.what()));
  }
}

// Copies a typed field; half types travel as bit patterns in integers.
template <typename Field>
void copy_field(const Field& field, Tensor& tensor, const std::string& what) {
  TESSERA_USER_CHECK(field.size() == tensor.size(), "{} has {} elements, expected {} for shape {}",
                     what, field.size(), tensor.size(), shape_to_string(tensor.shape()));
  for (int64_t i = 0; i < tensor.size(); ++i) {
    const auto value = field.Get(static_cast<int>(i));
    if (tensor.type() == DType::f16 || tensor.type() == DType::bf16)
      tensor.mutable_as<uint16_t>()[i] = static_cast<uint16_t>(value);
    else if (is_float(tensor.type())) tensor.set_float(i, static_cast<double>(value));
    else tensor.set_integer(i, static_cast<int64_t>(value));
  }
}

void copy_typed(const pb::TensorProto& proto, Tensor& tensor, const std::string& what) {
  switch (tensor.type()) {
    case DType::f32: return copy_field(proto.float_data(), tensor, what);
    case DType::f64: return copy_field(proto.double_data(), tensor, what);
    case DType::i64: return copy_field(proto.int64_data(), tensor, what);
    case DType::u32:
    case DType::u64: return copy_field(proto.uint64_data(), tensor, what);
    default: return copy_field(proto.int32_data(), tensor, what);
  }
}

int64_t typed_elements(const pb::TensorProto& proto) {
  return int64_t{proto.float_data_size()} + proto.double_data_size() + proto.int64_data_size() +
         proto.uint64_data_size() + proto.int32_data_size();
}

}  // namespace

std::optional<DType> dtype_from_onnx(int64_t number) {
  for (const TypeRow& row : type_table)
    if (row.onnx == number) return row.type;
  return std::nullopt;
}

int32_t dtype_to_onnx(DType type) {
  for (const TypeRow& row : type_table)
    if (row.type == type) return row.onnx;
  TESSERA_CHECK(false, "element type without an ONNX number");
}

std::string onnx_type_name(int64_t number) {
  if (number >= 0 && number < static_cast<int64_t>(type_names.size()))
    return std::string(type_names[static_cast<size_t>(number)]);
  return fmt::format("element type {}", number);
}

Tensor tensor_from_proto(const pb::TensorProto& proto, ExternalFiles& files,
                         const std::string& what) {
  TESSERA_USER_CHECK(!proto.has_segment(), "{} is stored in segments", what);
  const auto type = dtype_from_onnx(proto.data_type());
  if (!type)
    fail_user(proto.data_type() == 0 ? ErrorKind::invalid_input : ErrorKind::unsupported,
              "{} has the element type {}, which is not supported", what,
              onnx_type_name(proto.data_type()));
  Shape shape = checked_shape(proto.dims(), what);
  if (proto.data_location() == 1) return external_tensor(proto, *type, shape, files, what);
  const int64_t bytes = *element_count(shape) * static_cast<int64_t>(size_of(*type));
  if (proto.has_raw_data()) {
    TESSERA_USER_CHECK(static_cast<int64_t>(proto.raw_data().size()) == bytes,
                       "{} has {} raw bytes, expected {} for {}{}", what, proto.raw_data().size(),
                       bytes, to_string(*type), shape_to_string(shape));
    Tensor tensor(*type, std::move(shape));
    if (bytes > 0) std::memcpy(tensor.mutable_data(), proto.raw_data().data(), tensor.bytes());
    return normalized_bool(tensor);
  }
  TESSERA_USER_CHECK(*element_count(shape) == 0 || typed_elements(proto) > 0,
                     "{} of type {}{} holds no data", what, to_string(*type),
                     shape_to_string(shape));
  TESSERA_USER_CHECK(*element_count(shape) <= typed_elements(proto),
                     "{} has {} elements, expected {}", what, typed_elements(proto),
                     *element_count(shape));
  Tensor tensor(*type, std::move(shape));
  copy_typed(proto, tensor, what);
  return tensor;
}

namespace {

// Pages of a mapped file that are wholly within `bytes` need no memory any more; whoever reads them
// again gets them from the file.
void drop_pages(std::span<const std::byte> bytes) {
  constexpr uintptr_t page = 4096;
  const auto first = reinterpret_cast<uintptr_t>(bytes.data());
  const uintptr_t begin = (first + page - 1) / page * page,
                  end = (first + bytes.size()) / page * page;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

// Keeps the file mapped, and its pages no longer than the tensor.
std::shared_ptr<const void> lent(const ExternalFiles::Left& left) {
  return {left.bytes.data(), [left](const std::byte*) { drop_pages(left.bytes); }};
}

// Numbers stay in the file; those that do not lie where their type wants them are copied when
// somebody needs them there.
Tensor tensor_from_left(const ExternalFiles::Left& left, DType type, Shape shape,
                        const std::string& what) {
  const int64_t bytes = *element_count(shape) * static_cast<int64_t>(size_of(type));
  TESSERA_USER_CHECK(static_cast<int64_t>(left.bytes.size()) == bytes,
                     "{} has {} raw bytes, expected {} for {}{}", what, left.bytes.size(), bytes,
                     to_string(type), shape_to_string(shape));
  return normalized_bool(Tensor::loose(type, std::move(shape), lent(left), left.bytes.data(),
                                       [bytes = left.bytes] { drop_pages(bytes); }));
}

}  // namespace

Tensor take_tensor(pb::TensorProto& proto, ExternalFiles& files, const std::string& what) {
  const auto type = dtype_from_onnx(proto.data_type());
  if (const auto* left = files.left(proto);
      left && type && !proto.has_segment() && proto.data_location() != 1)
    return tensor_from_left(*left, *type, checked_shape(proto.dims(), what), what);
  const bool plain = type && *type != DType::boolean && proto.has_raw_data() &&
                     !proto.has_segment() && proto.data_location() != 1;
  if (!plain) return tensor_from_proto(proto, files, what);
  Shape shape = checked_shape(proto.dims(), what);
  const int64_t bytes = *element_count(shape) * static_cast<int64_t>(size_of(*type));
  if (bytes == 0 || static_cast<int64_t>(proto.raw_data().size()) != bytes)
    return tensor_from_proto(proto, files, what);
  auto owner = std::make_shared<const std::string>(std::move(*proto.mutable_raw_data()));
  const auto* data = reinterpret_cast<const std::byte*>(owner->data());
  return Tensor(*type, std::move(shape), std::move(owner), data);
}

Tensor tensor_from_sparse(const pb::SparseTensorProto& proto, ExternalFiles& files,
                          const std::string& what) {
  const Shape shape = checked_shape(proto.dims(), what);
  const Tensor values = tensor_from_proto(proto.values(), files, what);
  const Tensor indices = tensor_from_proto(proto.indices(), files, what + ": indices");
  TESSERA_USER_CHECK(values.rank() == 1 && indices.type() == DType::i64, "{} is malformed", what);
  const int64_t count = values.size(), rank = static_cast<int64_t>(shape.size());
  const bool linear = indices.shape() == Shape{count};
  TESSERA_USER_CHECK(linear || indices.shape() == (Shape{count, rank}),
                     "{} has indices of shape {} for {} values", what,
                     shape_to_string(indices.shape()), count);
  // A sparse tensor declares more than the file holds: the dense form is bounded.
  TESSERA_USER_CHECK(*element_count(shape) <= max_fold_bytes_total / 8, "{} is too large", what);
  Tensor dense(values.type(), shape);
  for (int64_t i = 0; i < count; ++i) {
    int64_t at = linear ? indices.integer_at(i) : 0;
    bool inside = true;
    for (int64_t axis = 0; !linear && axis < rank; ++axis) {
      const int64_t index = indices.integer_at(i * rank + axis);
      inside = inside && index >= 0 && index < shape[static_cast<size_t>(axis)];
      if (inside) at = at * shape[static_cast<size_t>(axis)] + index;
    }
    TESSERA_USER_CHECK(inside && at >= 0 && at < dense.size(), "{} has an index outside {}", what,
                       shape_to_string(shape));
    const size_t width = size_of(values.type());
    std::memcpy(dense.mutable_data() + static_cast<size_t>(at) * width,
                values.data() + static_cast<size_t>(i) * width, width);
  }
  return dense;
}

void tensor_to_proto(const Tensor& tensor, pb::TensorProto& proto) {
  proto.set_data_type(dtype_to_onnx(tensor.type()));
  for (int64_t d : tensor.shape()) proto.add_dims(d);
  if (tensor.bytes() > 0) proto.set_raw_data(tensor.data(), tensor.bytes());
  else proto.set_raw_data("");
}

}  // namespace tessera::onnx
