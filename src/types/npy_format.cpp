// SPDX-License-Identifier: Apache-2.0
// The header of .npy is a Python dictionary literal; only the three keys that NumPy writes are
// understood.
#include "types/npy_format.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "base/check.h"

namespace tessera {
namespace {

constexpr std::string_view magic = "\x93NUMPY";
constexpr size_t header_alignment = 64;  // NumPy pads so that the data is aligned in a mapped file

struct TypeCode {
  std::string_view code;
  DType type;
};
constexpr std::array<TypeCode, 13> type_codes = {{{"<f2", DType::f16},
                                                  {"<f4", DType::f32},
                                                  {"<f8", DType::f64},
                                                  {"|i1", DType::i8},
                                                  {"<i2", DType::i16},
                                                  {"<i4", DType::i32},
                                                  {"<i8", DType::i64},
                                                  {"|u1", DType::u8},
                                                  {"<u2", DType::u16},
                                                  {"<u4", DType::u32},
                                                  {"<u8", DType::u64},
                                                  {"|b1", DType::boolean},
                                                  {"<u2", DType::bf16}}};

struct Header {
  std::string descr;
  bool fortran_order = false;
  Shape shape;
};

class HeaderReader {
 public:
  HeaderReader(std::string_view text, const std::string& where) : text_(text), where_(where) {}

  Header read() {
    Header header;
    bool descr = false, order = false, shape = false;
    expect('{');
    while (!accept('}')) {
      const std::string key = quoted();
      expect(':');
      if (key == "descr") {
        if (peek() != '\'' && peek() != '"')
          fail_user(ErrorKind::unsupported, "{}: structured types are not supported", where_);
        header.descr = quoted();
        descr = true;
      } else if (key == "fortran_order") {
        header.fortran_order = boolean();
        order = true;
      } else if (key == "shape") {
        header.shape = tuple();
        shape = true;
      } else {
        fail("unknown key in the header");
      }
      if (!accept(',') && peek() != '}') fail("malformed header");
    }
    if (!descr || !order || !shape) fail("the header lacks descr, fortran_order or shape");
    return header;
  }

 private:
  [[noreturn]] void fail(std::string_view message) const {
    fail_user(ErrorKind::invalid_input, "{}: {}", where_, message);
  }
  char peek() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool accept(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail("malformed header");
  }
  std::string quoted() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') fail("malformed header");
    const size_t end = text_.find(quote, ++at_);
    if (end == std::string_view::npos) fail("malformed header");
    std::string result(text_.substr(at_, end - at_));
    at_ = end + 1;
    return result;
  }
  bool boolean() {
    peek();
    for (const auto& [word, value] : {std::pair{"True", true}, {"False", false}})
      if (text_.substr(at_).starts_with(word)) {
        at_ += std::strlen(word);
        return value;
      }
    fail("malformed header");
  }
  Shape tuple() {
    Shape shape;
    expect('(');
    while (!accept(')')) {
      int64_t value = 0;
      bool digits = false;
      for (peek(); at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
        digits = true;
        if (__builtin_mul_overflow(value, int64_t{10}, &value) ||
            __builtin_add_overflow(value, int64_t{text_[at_] - '0'}, &value))
          fail("the shape is too large");
      }
      if (!digits) fail("malformed shape");
      accept('L');  // written by Python 2
      shape.push_back(value);
      if (!accept(',') && peek() != ')') fail("malformed shape");
    }
    return shape;
  }

  std::string_view text_;
  const std::string& where_;
  size_t at_ = 0;
};

DType dtype_of(const std::string& descr, const std::string& where) {
  std::string code = descr;
  if (code.size() == 3 && code[2] == '1') code[0] = '|';  // one byte has no order
  else if (!code.empty() && code[0] == '=') code[0] = '<';
  for (const TypeCode& t : type_codes)
    if (t.code == code) return t.type;
  if (descr.ends_with("O") || descr.find('O') != std::string::npos)
    fail_user(ErrorKind::unsupported, "{}: arrays of Python objects are refused", where);
  fail_user(ErrorKind::unsupported, "{}: elements of type '{}' are not supported{}", where, descr,
            descr.starts_with(">") ? "; convert to little-endian" : "");
}

// Reorders column-major data.
Tensor from_fortran(const Tensor& source) {
  Tensor result(source.type(), source.shape());
  const size_t width = size_of(source.type());
  const size_t rank = source.shape().size();
  std::vector<int64_t> index(rank, 0), stride(rank, 1);
  for (size_t axis = 1; axis < rank; ++axis)
    stride[axis] = stride[axis - 1] * source.shape()[axis - 1];
  for (int64_t i = 0; i < source.size(); ++i) {
    int64_t from = 0;
    for (size_t axis = 0; axis < rank; ++axis) from += index[axis] * stride[axis];
    std::memcpy(result.mutable_data() + i * width, source.data() + from * width, width);
    for (size_t axis = rank; axis-- > 0;) {
      if (++index[axis] < source.shape()[axis]) break;
      index[axis] = 0;
    }
  }
  return result;
}

}  // namespace

Tensor decode_npy(std::string_view bytes, const std::string& where) {
  const auto byte = [&](size_t i) { return static_cast<size_t>(static_cast<uint8_t>(bytes[i])); };
  TESSERA_USER_CHECK(bytes.size() >= 10 && bytes.starts_with(magic), "{}: not a .npy array", where);
  const size_t version = byte(6);
  TESSERA_USER_CHECK(version >= 1 && version <= 3, "{}: unknown .npy version {}", where, version);
  const size_t start = version == 1 ? 10 : 12;
  TESSERA_USER_CHECK(bytes.size() >= start, "{}: truncated header", where);
  size_t length = byte(8) | byte(9) << 8;
  if (version > 1) length |= byte(10) << 16 | byte(11) << 24;
  TESSERA_USER_CHECK(length <= bytes.size() - start, "{}: truncated header", where);
  const Header header = HeaderReader(bytes.substr(start, length), where).read();
  const DType type = dtype_of(header.descr, where);
  const std::string_view data = bytes.substr(start + length);
  const auto count = element_count(header.shape);
  TESSERA_USER_CHECK(count && data.size() / size_of(type) == static_cast<size_t>(*count) &&
                         data.size() % size_of(type) == 0,
                     "{}: shape {} of {} does not fit {} bytes of data", where,
                     shape_to_string(header.shape), to_string(type), data.size());
  Tensor result(type, header.shape);
  if (!data.empty()) std::memcpy(result.mutable_data(), data.data(), data.size());
  if (type == DType::boolean)
    for (int64_t i = 0; i < result.size(); ++i) result.set_integer(i, result.integer_at(i));
  return header.fortran_order && result.rank() > 1 ? from_fortran(result) : result;
}

std::string npy_header(const Tensor& tensor) {
  std::string_view code;
  for (const TypeCode& t : type_codes)
    if (t.type == tensor.type()) code = t.code;
  std::string shape;
  for (int64_t d : tensor.shape()) shape += fmt::format("{}, ", d);
  if (tensor.rank() > 1) shape.resize(shape.size() - 2);
  else if (tensor.rank() == 1) shape.resize(shape.size() - 1);
  std::string text =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", code, shape);
  size_t total = 10 + text.size() + 1;
  const bool wide = total + header_alignment > 65535;  // thousands of axes: version 2
  if (wide) total += 2;
  text.append((header_alignment - total % header_alignment) % header_alignment, ' ');
  text += '\n';
  std::string result(magic);
  result += wide ? '\2' : '\1';
  result += '\0';
  for (int k = 0; k < (wide ? 4 : 2); ++k) result += static_cast<char>(text.size() >> (8 * k));
  return result + text;
}

}  // namespace tessera
