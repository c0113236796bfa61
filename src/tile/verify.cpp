// SPDX-License-Identifier: Apache-2.0
// What makes a tile program legal beyond the types of its nodes.
#include <algorithm>
#include <set>

#include "base/check.h"
#include "tile/program.h"

namespace tessera::tile {
namespace {

class Verifier {
 public:
  explicit Verifier(const Program& p) : p_(p), defined_(p.variables.size(), false) {}

  int line() const { return line_; }

  void run() {
    TESSERA_USER_CHECK(p_.inputs < p_.params.size(), "{} has no result", p_.name);
    for (size_t k = 0; k < p_.inputs; ++k)
      for (const sym::Expr& d : p_.params[k].shape) d.collect_symbols(sizes_);
    for (const Axis& a : p_.axes) known_size(a.extent);
    for (size_t k = p_.inputs; k < p_.params.size(); ++k)
      for (const sym::Expr& d : p_.params[k].shape) known_size(d);
    for (AxisId a : p_.grid)
      TESSERA_USER_CHECK(open_.insert(a).second, "axis '{}' is in the grid twice", p_.axes[a].name);
    block(p_.body);
    line_ = 1;
    for (size_t k = p_.inputs; k < p_.params.size(); ++k)
      TESSERA_USER_CHECK(stored_.contains(static_cast<uint32_t>(k)), "result '{}' is never stored",
                         p_.params[k].name);
  }

 private:
  void block(const std::vector<Statement>& body) {
    for (const Statement& s : body) {
      line_ = s.line;
      switch (s.kind) {
        case Statement::Kind::define:
          variable(s, p_.variables[s.target]);
          defined_[s.target] = true;
          break;
        case Statement::Kind::assign: {
          const Variable& v = p_.variables[s.target];
          TESSERA_USER_CHECK(defined_[s.target], "'{}' is assigned before it is defined", v.name);
          variable(s, v);
          break;
        }
        case Statement::Kind::store: store(s); break;
        case Statement::Kind::loop: loop(s); break;
      }
    }
  }

  void loop(const Statement& s) {
    const std::string& name = p_.axes[s.target].name;
    TESSERA_USER_CHECK(open_.insert(s.target).second, "a loop over '{}' inside another", name);
    const std::vector<bool> before = defined_;
    block(s.body);
    defined_ = before;  // a loop may run no iteration, and its variables are its own
    open_.erase(s.target);
  }

  void variable(const Statement& s, const Variable& v) {
    use(s.value);
    const Node& n = p_.nodes[s.value];
    TESSERA_USER_CHECK(n.type == v.type, "'{}' is {}, its value {}", v.name, to_string(v.type),
                       to_string(n.type));
    for (AxisId a : v.axes) in_scope(a, v.name);
    within(n.axes, v.axes, v.name);
  }

  void store(const Statement& s) {
    const Param& param = p_.params[s.target];
    TESSERA_USER_CHECK(s.target >= p_.inputs, "'{}' is an input and cannot be stored", param.name);
    stored_.insert(s.target);
    use(s.value);
    TESSERA_USER_CHECK(p_.nodes[s.value].type == param.type, "'{}' is {}, its value {}", param.name,
                       to_string(param.type), to_string(p_.nodes[s.value].type));
    TESSERA_USER_CHECK(s.indices.size() == param.shape.size(), "'{}' has {} axes, found {} indices",
                       param.name, param.shape.size(), s.indices.size());
    std::vector<AxisId> covered;
    for (NodeId id : s.indices) {
      use(id);
      TESSERA_USER_CHECK(p_.nodes[id].type == DType::i64, "an index of '{}' is {}", param.name,
                         to_string(p_.nodes[id].type));
      for (AxisId a : p_.nodes[id].axes) covered.push_back(a);
    }
    std::sort(covered.begin(), covered.end());
    within(p_.nodes[s.value].axes, covered, param.name);
    if (s.mask != none) {
      use(s.mask);
      TESSERA_USER_CHECK(p_.nodes[s.mask].type == DType::boolean, "the mask of '{}' is {}",
                         param.name, to_string(p_.nodes[s.mask].type));
      within(p_.nodes[s.mask].axes, covered, param.name);
    }
    for (AxisId a : p_.grid)
      TESSERA_USER_CHECK(s.mask != none || has_one_block(a) ||
                             std::binary_search(covered.begin(), covered.end(), a),
                         "programs along '{}' would store the same elements of '{}'",
                         p_.axes[a].name, param.name);
  }

  bool has_one_block(AxisId a) const { return p_.axes[a].extent == sym::Expr(1); }

  void within(const std::vector<AxisId>& axes, const std::vector<AxisId>& allowed,
              const std::string& name) const {
    for (AxisId a : axes)
      TESSERA_USER_CHECK(std::binary_search(allowed.begin(), allowed.end(), a),
                         "a value along '{}' does not fit '{}'", p_.axes[a].name, name);
  }

  void in_scope(AxisId a, const std::string& user) const {
    TESSERA_USER_CHECK(open_.contains(a), "{} uses axis '{}' outside of its loop", user,
                       p_.axes[a].name);
  }

  // Symbols are sizes of inputs.
  void known_size(const sym::Expr& size) const {
    std::map<std::string, sym::Expr> names;
    size.collect_symbols(names);
    for (const auto& [name, symbol] : names)
      TESSERA_USER_CHECK(sizes_.contains(name), "'{}' is no size of an input", name);
  }

  void use(NodeId root) const {
    std::set<NodeId> seen;
    std::vector<NodeId> open{root};
    while (!open.empty()) {
      const NodeId id = open.back();
      open.pop_back();
      if (!seen.insert(id).second) continue;
      const Node& n = p_.nodes[id];
      open.insert(open.end(), n.args.begin(), n.args.end());
      check(n);
    }
  }

  void check(const Node& n) const {
    if (n.kind == Kind::index || n.kind == Kind::program_id) in_scope(n.target, "an expression");
    for (AxisId a : n.reduced) in_scope(a, "a reduction");
    if (n.kind == Kind::size) known_size(n.size);
    if (n.kind == Kind::variable)
      TESSERA_USER_CHECK(defined_[n.target], "'{}' is used outside of where it is defined",
                         p_.variables[n.target].name);
    if (n.kind == Kind::load)
      TESSERA_USER_CHECK(n.target < p_.inputs, "result '{}' is read", p_.params[n.target].name);
  }

  const Program& p_;
  std::map<std::string, sym::Expr> sizes_;  // symbols
  std::set<AxisId> open_;
  std::vector<bool> defined_;
  std::set<uint32_t> stored_;
  int line_ = 1;
};

}  // namespace

void verify(const Program& program, const std::string& file) {
  Verifier verifier(program);
  try {
    verifier.run();
  } catch (const UserError& e) {
    if (file.empty()) throw;
    fail_user(e.kind(), "{}:{}: {}", file, verifier.line(), e.what());
  }
}

}  // namespace tessera::tile
