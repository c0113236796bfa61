// SPDX-License-Identifier: Apache-2.0
// Finds convolutions that are fed by convolutions alone: what lies between them then needs no
// memory of its own. A chain may branch (a residual connection) as long as everything but its last
// result is read inside of it.
#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>

#include "plan/passes.h"
#include "plan/request.h"

namespace tessera::plan {
namespace {

constexpr size_t most_members = 12;

class Chains {
 public:
  Chains(Draft& draft, codegen::Target& target, const CompileOptions& options)
      : d_(draft), target_(target), options_(options) {}

  void run() {
    find_readers();
    for (size_t k = 0; k < d_.steps.size(); ++k)
      if (can_be_member(k)) chain_from(k);
    std::erase_if(d_.steps, [](const Step& s) { return s.dead; });
  }

 private:
  using Members = std::vector<size_t>;

  void find_readers() {
    readers_.assign(d_.values.size(), {});
    for (size_t k = 0; k < d_.steps.size(); ++k)
      for (ValueId v : d_.steps[k].src)
        if (v != no_value && !d_.steps[k].dead) readers_[d_.root(v)].insert(k);
    for (ValueId v : d_.outputs) readers_[d_.root(v)].insert(d_.steps.size());
  }

  bool can_be_member(size_t k) {
    Step& s = d_.steps[k];
    if (s.dead || s.kind != Step::Kind::library || s.op != "conv" || s.integers) return false;
    const auto [at, inserted] = fits_.emplace(k, false);
    if (!inserted) return at->second;
    count_library(d_, s);
    std::deque<Tensor> made;
    return at->second = target_.has_lines(library_request(d_, s, options_, made));
  }

  // The chain that begins with step `first` and gains most.
  void chain_from(size_t first) {
    Members members{first}, best;
    double most = 0;
    while (members.size() < most_members) {
      const std::optional<size_t> next = next_reader(members);
      if (!next || !can_be_member(*next)) break;
      members.push_back(*next);
      if (!is_closed(members)) continue;
      std::deque<Tensor> constants;
      const auto request = request_of(members, constants);
      const double gain = request ? target_.gain_of_lines(*request) : 0;
      if (gain > most) most = gain, best = members;
    }
    if (!best.empty()) make(best);
  }

  // The first step after the members that reads what one of them made.
  std::optional<size_t> next_reader(const Members& members) const {
    std::optional<size_t> next;
    for (size_t m : members) {
      const std::set<size_t>& readers = readers_[d_.steps[m].dst[0]];
      const auto at = readers.upper_bound(members.back());
      if (at != readers.end() && *at < d_.steps.size() && (!next || *at < *next)) next = *at;
    }
    return next;
  }

  bool is_closed(const Members& members) const {
    const auto is_member = [&](size_t k) {
      return std::find(members.begin(), members.end(), k) != members.end();
    };
    return std::all_of(members.begin(), members.end() - 1, [&](size_t m) {
      const std::set<size_t>& readers = readers_[d_.steps[m].dst[0]];
      return std::all_of(readers.begin(), readers.end(), is_member);
    });
  }

  // Nothing where a member reads another one's result by a view, which is none of its lines.
  std::optional<codegen::LineRequest> request_of(const Members& members,
                                                 std::deque<Tensor>& constants) const {
    codegen::LineRequest request;
    std::map<ValueId, int> made_by;
    for (size_t m : members) {
      const Step& s = d_.steps[m];
      codegen::LineRequest::Member member{library_request(d_, s, options_, constants), {}};
      for (ValueId v : s.src) {
        const auto at = v == no_value ? made_by.end() : made_by.find(d_.root(v));
        if (at != made_by.end() && at->first != v) return std::nullopt;
        member.made_by.push_back(at == made_by.end() ? -1 : at->second);
      }
      made_by.emplace(s.dst[0], static_cast<int>(request.members.size()));
      request.members.push_back(std::move(member));
    }
    return request;
  }

  void make(const Members& members) {
    std::deque<Tensor> constants;
    const codegen::LineRequest request = *request_of(members, constants);
    Step chain;
    chain.kind = Step::Kind::lines;
    chain.op = "conv";
    chain.made = target_.make_lines(request);
    if (!chain.made) return;
    for (size_t m = 0; m < members.size(); ++m) {
      const Step& s = d_.steps[members[m]];
      chain.flops += s.flops;
      for (size_t k = 0; k < s.src.size(); ++k)
        if (request.members[m].made_by[k] < 0) chain.src.push_back(s.src[k]);
      chain.names.insert(chain.names.end(), s.names.begin(), s.names.end());
      chain.nodes.insert(chain.nodes.end(), s.nodes.begin(), s.nodes.end());
    }
    chain.dst = d_.steps[members.back()].dst;
    for (const auto* list : {&chain.src, &chain.dst})
      for (ValueId v : *list)
        if (v != no_value) chain.bytes += static_cast<double>(d_.values[v].bytes());
    for (size_t m : members) d_.steps[m].dead = true;
    d_.steps[members.back()] = std::move(chain);
  }

  Draft& d_;
  codegen::Target& target_;
  const CompileOptions& options_;
  std::vector<std::set<size_t>> readers_;  ///< by root; the number of steps for a graph's output
  std::map<size_t, bool> fits_;            ///< by step
};

}  // namespace

void chain_lines(Draft& draft, codegen::Target& target, const CompileOptions& options) {
  Chains(draft, target, options).run();
}

}  // namespace tessera::plan
