// SPDX-License-Identifier: Apache-2.0
// On what a rule is tried while it is learned: sample clauses of the rule language, with free
// extents where the operators leave them free, and adverse ones meant to refute it.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ops/registry.h"
#include "synth/generalize.h"

namespace tessera::synth {

/// The numbers and names that a rule's sides share.
struct Sides {
  TermPool& pool;
  std::map<int, int> numbering;           ///< pool's variable -> rule's variable
  std::map<std::string, int> parameters;  ///< "axis=1" -> its variable
  std::map<std::string, int> rests;       ///< "conv[…]" -> its variable
  int next_name = 0;
};

/// How the tensors of a sample clause differ from those of the equation: free extents, and one
/// axis more, in front or behind.
enum class Extension : uint8_t { none, leading, trailing };

/// Extents that the operators force to be equal, as letters.
class Letters {
 public:
  /// `group`: of all operators that have such a parameter, if not 0.
  Letters(const TermPool& pool, std::span<const int> variables, int64_t group = 0)
      : pool_(pool), group_(group) {
    for (int v : variables) {
      order_.push_back(v);
      auto& own = symbols_[v];
      for (size_t k = 0; k < pool.variables()[static_cast<size_t>(v)].type.shape.size(); ++k) {
        own.push_back(static_cast<int>(parent_.size()));
        parent_.push_back(own.back());
      }
    }
  }
  void add(TermId id) { (void)shape_of(id); }
  void equal_shapes(TermId a, TermId b) {
    const auto x = shape_of(a), y = shape_of(b);
    if (x && y && x->size() == y->size())
      for (size_t k = 0; k < x->size(); ++k) unify((*x)[k], (*y)[k]);
  }
  std::string dims(int variable) const {
    std::string text;
    for (int s : symbols_.at(variable)) text += (text.empty() ? "" : ",") + letter(s);
    return text;
  }
  std::string letter_at(int variable, size_t axis) const {
    return letter(symbols_.at(variable)[axis]);
  }

  /// The shape in terms of symbols; nothing where the records do not tell.
  std::optional<ir::Dims> shape_of(TermId id);
  /// (variable, axis) of the symbols that add up to an extent, in the order of the variables;
  /// nothing if it is no such sum.
  std::optional<std::vector<std::pair<int, int>>> summands(const sym::Expr& extent) const;

 private:
  int root(int s) const {
    while (parent_[static_cast<size_t>(s)] != s) s = parent_[static_cast<size_t>(s)];
    return s;
  }
  std::string letter(int s) const {
    std::vector<int> roots;
    for (size_t k = 0; k < parent_.size(); ++k)
      if (root(static_cast<int>(k)) == static_cast<int>(k)) roots.push_back(static_cast<int>(k));
    const auto at = std::find(roots.begin(), roots.end(), root(s)) - roots.begin();
    // Multiples of each other have no letters: 2 and as many times 2.
    for (const auto& [multiple, base] : multiples_) {
      if (root(multiple) == root(s)) return std::to_string(2 * base.second);
      if (root(base.first) == root(s)) return "2";
    }
    return std::string(1, static_cast<char>('a' + at % 26));
  }
  static std::optional<int> symbol(const sym::Expr& e) {
    const auto name = e.as_symbol();
    if (!name) return {};
    return std::stoi(name->substr(1));
  }
  void unify(const sym::Expr& a, const sym::Expr& b) {
    const auto x = symbol(a), y = symbol(b);
    if (x && !y) note_multiple(*x, b);
    if (y && !x) note_multiple(*y, a);
    if (!x || !y) return;
    const int p = root(*x), q = root(*y);
    parent_[static_cast<size_t>(std::max(p, q))] = std::min(p, q);
  }

  void note_multiple(int symbol, const sym::Expr& of) {
    if (of.constant_part() != 0 || of.terms().size() != 1) return;
    const sym::Term& t = of.terms()[0];
    if (t.factors.size() == 1 && t.factors[0].kind == sym::AtomKind::symbol)
      multiples_[symbol] = {std::stoi(t.factors[0].name.substr(1)), t.coefficient};
  }

  const TermPool& pool_;
  int64_t group_;
  std::map<int, std::pair<int, int64_t>> multiples_;  ///< symbol -> (symbol, factor)
  std::vector<int> order_;
  std::map<int, std::vector<int>> symbols_;
  std::vector<int> parent_;
};

void unify_pointwise(const TermPool& pool, Letters& letters, TermId id);
/// A parameter's value when all tensors get one axis more.
std::string extended(const std::string& name, const std::string& value, Extension extension);

/// Writes the clauses that say on what a rule is tried.
class SampleWriter {
 public:
  SampleWriter(Sides& sides, std::span<const Equation> equations)
      : s_(sides), variables_(sides.numbering.size()) {
    for (const auto& [own, number] : s_.numbering) variables_[static_cast<size_t>(number)] = own;
    letters_.emplace(s_.pool, variables_);
    grouped_.emplace(s_.pool, variables_, 2);
    for (Letters* letters : {&*letters_, &*grouped_})
      for (int round = 0; round < 2; ++round)
        for (const Equation& e : equations)
          for (TermId side : {e.left, e.right}) {
            letters->add(side);
            unify_pointwise(s_.pool, *letters, side);
          }
  }
  /// With letters for extents that may differ.
  std::string free(Extension extension) const {
    return shapes(extension, false) + parameters(true, extension) + rests();
  }
  /// With every parameter at other values, on tensors whose extents are all equal as well: there
  /// wrong parameters often fit. Only to refute with. `any_rank`: with an axis more, too;
  /// `own_ranks`: in one tensor alone.
  std::vector<std::string> adverse(bool any_rank, bool own_ranks) const;
  /// Two groups: the images have twice the channels of the weights. `once`: a clause that may be
  /// the rule's own, and no others to refute it with.
  void add_grouped(std::vector<std::string>& clauses, bool once) const;
  /// The shapes of the equation.
  std::string found() const {
    std::string text;
    for (size_t k = 0; k < variables_.size(); ++k) {
      std::string dims;
      for (const sym::Expr& d : shape(k)) dims += (dims.empty() ? "" : ",") + d.to_string();
      text += (k == 0 ? "?" : " ?") + variable_name(static_cast<int>(k)) + "[" + dims + "]";
    }
    return text + parameters(false, Extension::none) + rests();
  }

 private:
  const ir::Dims& shape(size_t k) const {
    return s_.pool.variables()[static_cast<size_t>(variables_[k])].type.shape;
  }
  // One of them may have an axis more or less in front.
  std::string shapes(Extension extension, bool square, int changed = -1, int change = 0) const {
    std::string text;
    for (size_t k = 0; k < variables_.size(); ++k) {
      std::string dims = letters_->dims(variables_[k]);
      if (!dims.empty() && extension == Extension::leading) dims = "z," + dims;
      if (!dims.empty() && extension == Extension::trailing) dims += ",z";
      if (static_cast<int>(k) == changed && !dims.empty())
        dims = change > 0 ? "z," + dims : dims.size() < 2 ? "" : dims.substr(2);
      if (square)
        for (char& c : dims) c = c == ',' ? c : 'z';
      text += (k == 0 ? "?" : " ?") + variable_name(static_cast<int>(k)) + "[" + dims + "]";
    }
    return text;
  }
  // One of them may get another value.
  std::string parameters(bool free, Extension extension, int changed = -1,
                         const std::string& other = {}) const {
    std::string text;
    for (const auto& [key, number] : s_.parameters) {
      const std::string name = key.substr(0, key.find('='));
      std::string value = key.substr(key.find('=') + 1);
      if (free && name == "sizes") value = as_letters(value);
      value = number == changed ? other : extended(name, value, extension);
      text += fmt::format(" ?p{}={}", number + 1, value);
    }
    return text;
  }
  // Other values of every parameter of a record, one at a time.
  static std::vector<std::string> set_alternatives(const std::string& record) {
    std::vector<std::string> values;
    for (const ops::AttrDef& def : ops::registry().get(record).attrs) {
      if (def.kind == ir::AttrKind::integer && def.default_value)
        values.push_back(fmt::format("{}={}", def.name, std::get<int64_t>(*def.default_value) + 1));
      if (def.name == "strides" || def.name == "dilations")
        values.insert(values.end(), {def.name + "={2, 2}", def.name + "={1, 2}"});
      if (def.name == "pads") values.push_back("pads={1, 0, 1, 1}");
      if (def.name == "kernel_shape") values.push_back("kernel_shape={2, 1}");
      if (def.name == "axes") values.insert(values.end(), {"axes={0}", "axes={1}"});
      if (def.name == "starts") values.push_back("starts={1}");
      if (def.name == "ends") values.insert(values.end(), {"ends={2}", "ends={-1}"});
      if (def.name == "steps") values.push_back("steps={2}");
    }
    return values;
  }
  static std::vector<std::string> alternatives(const std::string& parameter) {
    if (parameter == "axis") return {"0", "1", "2"};
    if (parameter == "axes") return {"{0}", "{1}", "{2}", "{0, 1}"};
    if (parameter == "keepdims") return {"0", "1"};
    if (parameter == "group") return {"1", "2", "3"};
    if (parameter == "perm") return {"{1, 0}", "{0, 2, 1}", "{1, 0, 2}", "{2, 0, 1}", "{1, 2, 0}"};
    if (parameter == "sizes") return {"{1, 2}", "{2, 1}", "{2, 2}", "{1, 3}"};
    return {};
  }
  // Sizes of a split that are extents of variables, as their letters.
  std::string as_letters(const std::string& sizes) const {
    std::string text, digits;
    std::vector<std::string> used;
    for (const char c : sizes) {
      if (c >= '0' && c <= '9') {
        digits += c;
        continue;
      }
      if (!digits.empty()) {
        const auto letter = letter_of(std::stoll(digits), used);
        text += letter.value_or(digits);
        if (letter) used.push_back(*letter);
        digits.clear();
      }
      text += c;
    }
    return text;
  }
  std::optional<std::string> letter_of(int64_t extent, const std::vector<std::string>& used) const {
    std::optional<std::string> again;
    for (size_t k = 0; k < variables_.size(); ++k)
      for (size_t axis = 0; axis < shape(k).size(); ++axis) {
        if (shape(k)[axis] != sym::Expr(extent)) continue;
        const std::string letter = letters_->letter_at(variables_[k], axis);
        if (std::find(used.begin(), used.end(), letter) == used.end()) return letter;
        again = letter;
      }
    return again;
  }
  // "[a=1, b={1, 2}]" of a whole set of parameters as " ?q1.a=1 ?q1.b={1, 2}".
  std::string rests() const {
    std::string text;
    for (const auto& [key, number] : s_.rests) {
      const size_t bracket = key.find('[');
      if (bracket == std::string::npos) continue;
      int depth = 0;
      std::string part;
      for (const char c : key.substr(bracket + 1, key.size() - bracket - 2) + ",") {
        depth += c == '{' ? 1 : c == '}' ? -1 : 0;
        if (c != ',' || depth != 0) {
          part += c;
          continue;
        }
        text += fmt::format(" ?q{}.{}", number + 1, part.substr(part.find_first_not_of(' ')));
        part.clear();
      }
    }
    return text;
  }

  Sides& s_;
  std::vector<int> variables_;
  std::optional<Letters> letters_, grouped_;
};

}  // namespace tessera::synth
