// SPDX-License-Identifier: Apache-2.0
// The initial values of weights: `param w: f32[4, 4] = normal(seed=1)`.
#include <filesystem>

#include "base/hash.h"
#include "lang/elaborate.h"
#include "lang/literal.h"
#include "types/npz.h"

namespace tessera::lang {

// `normal`, `uniform` and so on are words here, unless the program defines such a function.
Tensor Elaborator::initial_value(const Statement& s, const ir::ValueType& type, int64_t index) {
  const bool call =
      s.value && s.value->kind == Syntax::Kind::call && !functions_.contains(s.value->text);
  const std::string word = !s.value ? "normal" : call ? s.value->text : "";
  try {
    const Shape shape = type.concrete_shape();
    if (word != "file") charge_weights(s.place, type.dtype, shape);
    if (word == "normal" || word == "uniform") return random_value(s, type.dtype, shape, index);
    if (word == "zeros") return tensor_of({int64_t{0}}, type.dtype, shape);
    if (word == "ones") return tensor_of({int64_t{1}}, type.dtype, shape);
    if (word == "full" && s.value->arguments.size() == 1)
      return tensor_of(eval(*s.value->arguments[0].value), type.dtype, shape);
    if (word == "base64") return base64_value(s, type.dtype, shape);
    if (word == "file") return file_value(s, type.dtype, shape);
    return tensor_of(eval(*s.value), type.dtype, shape);
  } catch (const UserError& error) {
    if (std::string_view(error.what()).starts_with(file_ + ":")) throw;
    fail_at(file_, s.place, error.what(), {}, error.kind());
  }
}

Tensor Elaborator::random_value(const Statement& s, DType dtype, const Shape& shape,
                                int64_t index) {
  const bool normal = !s.value || s.value->text == "normal";
  if (normal && !is_float(dtype)) fail(s.place, "normal() gives floats", "use uniform()");
  double low = 0, high = 1;
  // By the name and how often one occurred, so that the values of the others depend on no edit.
  uint64_t seed =
      Hasher().add(s.targets[0].name).add(params_[s.targets[0].name]++).add(index).finish().low;
  std::set<std::string> given;
  if (s.value)
    for (const Argument& a : s.value->arguments) {
      const std::string name = a.name.empty() ? "seed" : a.name;
      const Item item = eval(*a.value);
      if (!item.is_number()) fail(a.place, fmt::format("'{}' is {}", name, item.describe()));
      if (!given.insert(name).second) fail(a.place, fmt::format("'{}' is given twice", name));
      if (name == "seed") {
        if (!item.as<int64_t>()) fail(a.place, "a seed is an integer");
        seed = static_cast<uint64_t>(*item.as<int64_t>());
      } else if (name == (normal ? "mean" : "low")) {
        low = item.number();
      } else if (name == (normal ? "scale" : "high")) {
        high = item.number();
      } else {
        fail(a.place, fmt::format("unknown argument '{}'", name),
             normal ? "normal(seed=1, mean=0, scale=1)" : "uniform(seed=1, low=0, high=1)");
      }
    }
  if (!is_float(dtype) && !(low <= high)) fail(s.place, "uniform() between 'high' and 'low'");
  return random_tensor(normal ? Distribution::normal : Distribution::uniform, dtype, shape, seed,
                       low, high);
}

std::string Elaborator::text_argument(const Statement& s, size_t k) {
  const auto& arguments = s.value->arguments;
  const Item item = k < arguments.size() ? eval(*arguments[k].value) : Item{};
  if (!item.as<std::string>())
    fail(s.place, fmt::format("argument {} of '{}' is {}, expected a string", k + 1, s.value->text,
                              item.describe()));
  return *item.as<std::string>();
}

Tensor Elaborator::base64_value(const Statement& s, DType dtype, const Shape& shape) {
  const auto bytes = from_base64(text_argument(s, 0));
  if (!bytes) fail(s.place, "base64() holds no base64 text");
  Tensor tensor(dtype, shape);
  if (bytes->size() != tensor.bytes())
    fail(s.place,
         fmt::format("base64() holds {} bytes, expected {}", bytes->size(), tensor.bytes()));
  std::copy(bytes->begin(), bytes->end(), tensor.mutable_as<char>());
  return tensor;
}

// Only files beside the program: a program from elsewhere may not read others.
Tensor Elaborator::file_value(const Statement& s, DType dtype, const Shape& shape) {
  const std::filesystem::path name(text_argument(s, 0));
  const std::string key = text_argument(s, 1);
  const auto path = std::filesystem::path(file_).parent_path() / name;
  if (name.empty() || name != name.filename() || name == ".." || name == "." ||
      std::filesystem::is_symlink(path))
    fail(s.place, "file() names a file in the program's folder");
  auto at = files_.find(name.string());
  if (at == files_.end()) at = files_.emplace(name.string(), read_npz(path.string())).first;
  const auto found = at->second.find(key);
  if (found == at->second.end()) fail(s.place, fmt::format("{} holds no '{}'", name.string(), key));
  const Tensor& tensor = found->second;
  if (tensor.type() != dtype || tensor.shape() != shape)
    fail(s.place, fmt::format("'{}' in {} is {}{}, expected {}{}", key, name.string(),
                              to_string(tensor.type()), shape_to_string(tensor.shape()),
                              to_string(dtype), shape_to_string(shape)));
  return tensor;
}

}  // namespace tessera::lang
