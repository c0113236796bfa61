// SPDX-License-Identifier: Apache-2.0
// Grows the bank level by level.
#include "synth/bank.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "base/hash.h"
#include "base/rng.h"
#include "ops/registry.h"
#include "synth/term.h"

namespace tessera::synth {
namespace {

// Inputs are integers of 17 bits with sign: few enough bits that products of three stay whole, many
// enough that two different polynomials of degree d agree in an element with probability d / 2^17.
constexpr int64_t input_range = 65536;

const Compiled illegal{Instance::empty(), {}, {}};

uint64_t salt_of(const ir::ValueType& type) {
  Hasher hasher;
  hasher.add(to_string(type.dtype));
  for (int64_t d : type.concrete_shape()) hasher.add(d);
  return hasher.finish().low;
}

int64_t size_of(const ir::ValueType& type) {
  int64_t size = 1;
  for (int64_t d : type.concrete_shape()) size *= d;
  return size;
}

// What is zero everywhere equals all else that is: nothing is to be learned from it.
bool is_zero(const Residues& r) {
  return std::all_of(r.data, r.data + lanes * r.size, [](uint64_t e) { return e == 0; });
}

}  // namespace

Bank::Bank(const Vocabulary& vocabulary, Growth growth, uint64_t seed)
    : vocabulary_(&vocabulary), growth_(growth), seed_(seed) {
  for (const Template& t : vocabulary.templates)
    table_.emplace_back(t.arity == 1 ? max_types : max_types * max_types);
  Rng rng(mix_bits(seed));
  for (int64_t k = 0; k < lanes * vocabulary.max_elements; ++k)
    weights_.push_back(rng.next() % (field_prime - 1) + 1);
  level_begin_ = {0};
  for (const InputClass& cls : vocabulary.inputs)
    for (int k = 0; k < cls.count; ++k) add_input(cls, k);
  TESSERA_CHECK(values_.size() <= 20, "{} inputs", values_.size());
  prefix_.assign(size_t{1} << values_.size(), 1);
  for (size_t mask = 0; mask < prefix_.size(); ++mask) {
    size_t begin = 0;
    for (const InputClass& cls : vocabulary.inputs) {
      const size_t own = (mask >> begin) & ((size_t{1} << cls.count) - 1);
      if ((own & (own + 1)) != 0) prefix_[mask] = 0;
      begin += static_cast<size_t>(cls.count);
    }
  }
  level_begin_.push_back(static_cast<ValueId>(values_.size()));
  index_level(0);
}

uint16_t Bank::intern(const ir::ValueType& type) {
  for (size_t k = 0; k < types_.size(); ++k)
    if (types_[k] == type) return static_cast<uint16_t>(k);
  TESSERA_USER_CHECK(types_.size() < max_types, "vocabulary {}: more than {} types of values",
                     vocabulary_->name, max_types);
  types_.push_back(type);
  return static_cast<uint16_t>(types_.size() - 1);
}

void Bank::add_input(const InputClass& cls, int number) {
  const ir::ValueType type{DType::f32, ir::Dims(cls.shape.begin(), cls.shape.end())};
  const int64_t size = size_of(type);
  auto data = std::make_unique<uint64_t[]>(static_cast<size_t>(lanes * size));
  Rng rng(mix_bits(seed_ + 1000 * (values_.size() + 1)));
  double bound = 0;
  for (int64_t i = 0; i < lanes * size; ++i) {
    int64_t element = rng.integer(-input_range, input_range);
    if (cls.fill) element = static_cast<int64_t>(*cls.fill);
    if (cls.identity) {
      // Element (r, c, middle …) of row-major data.
      int64_t rest = i % size, inner = 1;
      for (size_t a = 2; a < cls.shape.size(); ++a) inner *= cls.shape[a];
      element =
          rest / inner % cls.shape[1] == rest / inner / cls.shape[1] && rest % inner == inner / 2;
    }
    data[static_cast<size_t>(i)] = field_from_integer(element);
    bound = std::max(bound, std::abs(static_cast<double>(element)));
  }
  Value v;
  v.type = intern(type);
  v.alive = true;
  v.inputs = uint32_t{1} << values_.size();
  v.residues = {data.get(), size, bound};
  v.fingerprint = fingerprint(data.get(), size, salt_of(type));
  known_.insert(v.fingerprint);
  values_.push_back(v);
  input_types_.push_back(type);
  input_names_.push_back(cls.count == 1 ? cls.name : fmt::format("{}{}", cls.name, number + 1));
  blocks_.push_back(std::move(data));
}

uint64_t Bank::fingerprint(const uint64_t* data, int64_t size, uint64_t salt) const {
  Wide total = 0;
  const int64_t count = lanes * size;
  for (int64_t i = 0; i < count;) {
    const int64_t end = std::min(count, i + 60);
    for (; i < end; ++i) total += static_cast<Wide>(data[i]) * weights_[static_cast<size_t>(i)];
    total = field_reduce_sum(total);
  }
  return mix_bits(static_cast<uint64_t>(total) ^ salt);
}

double Bank::evaluate(const Application& application, size_t k, uint64_t* out,
                      Scratch& scratch) const {
  const Residues operands[] = {
      values_[application.a].residues,
      application.b == none ? Residues{} : values_[application.b].residues};
  return application.compiled->instance.run({operands, application.b == none ? 1u : 2u}, k, seed_,
                                            out, scratch);
}

const Compiled* Bank::compiled(uint16_t tmpl, ValueId a, ValueId b) const {
  const uint16_t type_a = values_[a].type, type_b = b == none ? uint16_t{0} : values_[b].type;
  const size_t slot = b == none ? type_a : type_a * max_types + type_b;
  const Compiled* c = table_[tmpl][slot].load(std::memory_order_acquire);
  if (!c) c = compile(tmpl, type_a, type_b);
  return c == &illegal ? nullptr : c;
}

const Compiled* Bank::compile(uint16_t tmpl, uint16_t type_a, uint16_t type_b) const {
  const std::lock_guard lock(mutex_);
  const Template& t = vocabulary_->templates[tmpl];
  Slot& slot = table_[tmpl][t.arity == 1 ? type_a : type_a * max_types + type_b];
  if (const Compiled* c = slot.load()) return c;
  std::vector<ir::ValueType> types{types_[type_a]};
  if (t.arity == 2) types.push_back(types_[type_b]);
  const Compiled* result = &illegal;
  try {
    if (const auto attrs = t.attributes(types)) {
      ops::InputTypes refs;
      for (const auto& type : types) refs.push_back(&type);
      bool fits = true;
      for (const ir::ValueType& type : ops::infer(*t.def, refs, *attrs))
        fits = fits && size_of(type) <= vocabulary_->max_elements && size_of(type) > 0 &&
               type.rank() <= vocabulary_->max_rank;
      if (fits) {
        auto made = std::make_unique<Compiled>(Compiled{Instance(*t.def, *attrs, types), {}, {}});
        for (const ir::ValueType& type : made->instance.types()) {
          made->salts.push_back(salt_of(type));
          made->sizes.push_back(size_of(type));
        }
        result = made.get();
        all_compiled_.push_back(std::move(made));
      }
    }
  } catch (const UserError&) {
    // The record does not take these operands.
  }
  slot.store(result, std::memory_order_release);
  return result;
}

bool Bank::combines(ValueId u, ValueId v) const {
  for (uint16_t t = 0; t < vocabulary_->templates.size(); ++t)
    if (vocabulary_->templates[t].arity == 2 && (compiled(t, u, v) || compiled(t, v, u)))
      return true;
  return false;
}

int Bank::union_size(const Value& u, const Value& v) const {
  const Node &a = nodes_[u.node], &b = nodes_[v.node];
  int shared = 0;
  for (int i = 0, j = 0; i < a.level && j < b.level;) {
    const NodeId p = a.cone[static_cast<size_t>(i)], q = b.cone[static_cast<size_t>(j)];
    shared += p == q;
    i += p <= q;
    j += q <= p;
  }
  return a.level + b.level - shared;
}

// Whether two different nodes of the cones compute one value: such graphs hold a redundancy that a
// smaller graph shows. Representatives are all different.
bool Bank::cones_clash(const Value& u, const Value& v) const {
  if (growth_ == Growth::representatives) return false;
  const Node &a = nodes_[u.node], &b = nodes_[v.node];
  for (int i = 0; i < a.level; ++i)
    for (int j = 0; j < b.level; ++j) {
      const NodeId p = a.cone[static_cast<size_t>(i)], q = b.cone[static_cast<size_t>(j)];
      if (p == q) continue;
      const Node &m = nodes_[p], &n = nodes_[q];
      for (ValueId x = m.first; x < m.first + m.outputs; ++x)
        for (ValueId y = n.first; y < n.first + n.outputs; ++y)
          if (values_[x].fingerprint == values_[y].fingerprint) return true;
    }
  return false;
}

bool Bank::is_alive(const Node& node, const Value& v) const {
  const uint64_t fingerprint = v.fingerprint;
  if (growth_ == Growth::representatives)
    return !is_zero(v.residues) && !known_.contains(fingerprint);
  for (ValueId v = 0; v < level_end(0); ++v)
    if (values_[v].fingerprint == fingerprint) return false;
  for (int k = 0; k + 1 < node.level; ++k) {
    const Node& n = nodes_[node.cone[static_cast<size_t>(k)]];
    for (ValueId v = n.first; v < n.first + n.outputs; ++v)
      if (values_[v].fingerprint == fingerprint) return false;
  }
  return true;
}

void Bank::add_node(const Application& application, Scratch& scratch) {
  Node node;
  node.tmpl = application.tmpl;
  node.a = application.a;
  node.b = application.b;
  std::vector<NodeId> cone;
  for (ValueId operand : {application.a, application.b}) {
    if (operand == none || values_[operand].node == none) continue;
    const Node& n = nodes_[values_[operand].node];
    cone.insert(cone.end(), n.cone.begin(), n.cone.begin() + n.level);
  }
  std::sort(cone.begin(), cone.end());
  cone.erase(std::unique(cone.begin(), cone.end()), cone.end());
  cone.push_back(static_cast<NodeId>(nodes_.size()));
  node.level = static_cast<uint8_t>(cone.size());
  std::copy(cone.begin(), cone.end(), node.cone.begin());
  node.first = static_cast<ValueId>(values_.size());
  const auto& types = application.compiled->instance.types();
  node.outputs = static_cast<uint8_t>(types.size());
  for (size_t k = 0; k < types.size(); ++k) {
    constexpr size_t block = size_t{1} << 20;
    const int64_t size = size_of(types[k]);
    const auto words = static_cast<size_t>(lanes * size);
    if (blocks_.size() == input_types_.size() || block_used_ + words > block) {
      blocks_.push_back(std::make_unique<uint64_t[]>(block));
      block_used_ = 0;
    }
    uint64_t* data = blocks_.back().get() + block_used_;
    Value v;
    v.residues = {data, size, evaluate(application, k, data, scratch)};
    v.node = static_cast<NodeId>(nodes_.size());
    v.type = intern(types[k]);
    v.output = static_cast<uint8_t>(k);
    v.level = node.level;
    v.inputs = inputs_of(application);
    v.fingerprint = fingerprint(data, size, application.compiled->salts[k]);
    v.alive = is_alive(node, v);
    if (v.alive) block_used_ += words;
    else v.residues.data = nullptr;
    known_.insert(v.fingerprint);
    values_.push_back(v);
  }
  nodes_.push_back(node);
}

void Bank::grow() {
  const int operators = levels();
  TESSERA_CHECK(operators <= max_operators, "{} operators", operators);
  Scratch scratch;
  const ValueId end = level_begin_.back();
  std::vector<Application> found;
  for (ValueId u = 0; u < end; ++u) {
    found.clear();
    for_each_application(operators, u, [&](const Application& a) { found.push_back(a); });
    for (const Application& a : found) add_node(a, scratch);
  }
  level_begin_.push_back(static_cast<ValueId>(values_.size()));
  index_level(operators);
}

void Bank::index_level(int level) {
  auto& lists = by_type_.emplace_back();
  containing_.resize(nodes_.size());
  for (ValueId v = level_begin(level); v < level_end(level); ++v) {
    if (!values_[v].alive) continue;
    if (lists.size() <= values_[v].type) lists.resize(values_[v].type + size_t{1});
    lists[values_[v].type].push_back(v);
    if (values_[v].node == none) continue;
    const Node& n = nodes_[values_[v].node];
    for (int k = 0; k < n.level; ++k) containing_[n.cone[static_cast<size_t>(k)]].push_back(v);
  }
}

std::string Bank::text(ValueId id) const {
  const Value& v = values_[id];
  if (v.node == none) return "?" + input_names_[id];
  const Node& n = nodes_[v.node];
  return text(Application{n.tmpl, n.a, n.b, compiled(n.tmpl, n.a, n.b)}, v.output);
}

std::string Bank::text(const Application& a, size_t k) const {
  const Template& t = vocabulary_->templates[a.tmpl];
  std::vector<ir::ValueType> types{type(values_[a.a])};
  if (a.b != none) types.push_back(type(values_[a.b]));
  const auto attrs = t.attributes(types);
  std::string result = "(" + t.def->name + attributes_text(attrs.value()) + " " + text(a.a);
  if (a.b != none) result += " " + text(a.b);
  result += ")";
  if (a.compiled->instance.types().size() > 1) result += fmt::format(".{}", k);
  return result;
}

}  // namespace tessera::synth
