// SPDX-License-Identifier: Apache-2.0
// Drives the stages.
#include "synth/synthesize.h"

#include <algorithm>
#include <deque>
#include <set>

#include "base/check.h"
#include "synth/candidates.h"

namespace tessera::synth {
namespace {

class Pipeline {
 public:
  explicit Pipeline(const SynthesizeOptions& options)
      : options_(options), bank_(vocabulary(options.vocabulary), options.growth, options.seed) {}

  Synthesis run() {
    enumerate();
    if (!options_.learn) {
      count_pairs(nullptr);
      return std::move(result_);
    }
    const std::vector<Equation> equations = prune();
    test(equations);
    derive();
    return std::move(result_);
  }

 private:
  void say(const std::string& line) {
    if (options_.say) options_.say(line);
  }
  void progress(const std::string& line) {
    if (options_.progress) options_.progress(line);
  }
  void stage(const std::string& name, size_t count) {
    result_.stages.push_back({name, count});
    say(fmt::format("{:>10}  {}", count, name));
  }

  void enumerate() {
    for (int k = 1; k < options_.operators; ++k) {
      progress(fmt::format("graphs of {} operators", k));
      bank_.grow();
    }
    result_.graphs = count_graphs(bank_);
    ShardOptions shards = options_.shards;
    shards.progress = [&](int done, int total, uint64_t graphs) {
      progress(fmt::format("graphs of {} operators: shard {} of {}, {:.1f} million",
                           options_.operators, done, total, static_cast<double>(graphs) / 1e6));
    };
    const ShardTotals totals = write_shards(bank_, options_.operators, shards);
    result_.graphs.push_back(totals.graphs);
    uint64_t sum = 0;
    for (size_t k = 1; k < result_.graphs.size(); ++k) {
      say(fmt::format("{:>10}  graphs of {} operators", result_.graphs[k], k));
      sum += result_.graphs[k];
    }
    say(fmt::format("{:>10}  distinct graphs of up to {} operators", sum, options_.operators));
  }

  void count_pairs(const std::function<void(std::span<const Record>)>& group) {
    progress("grouping by fingerprint");
    const MergeTotals totals = merge_shards(bank_, options_.operators, options_.shards, group);
    result_.pairs = totals.pairs;
    say(fmt::format("{:>10}  different fingerprints", totals.distinct));
    stage("pairs of equal fingerprints", totals.pairs);
  }

  std::vector<Equation> prune();
  void test(const std::vector<Equation>& equations);
  void derive();
  void merge_outputs(std::map<std::string, int>& numbers);

  const SynthesizeOptions& options_;
  Bank bank_;
  TermPool pool_;
  Generalizer generalizer_{pool_, options_.instances};
  Synthesis result_;
  RuleBase base_{pool_};
  std::deque<LearnedRule> rules_;  // the base points to them
};

// Smallest first, then the one with more variables (it says more), then by text.
std::vector<Equation> Pipeline::prune() {
  Terms terms(bank_, pool_);
  const auto size = [&](TermId t) {
    return std::pair(pool_.term(t).operators, pool_.tree_size(t));
  };
  std::vector<Equation> found;
  size_t unequal = 0, zeros = 0;
  count_pairs([&](std::span<const Record> group) {
    TermId smallest = terms.of(group[0]);
    std::vector<TermId> all;
    for (const Record& r : group) {
      all.push_back(terms.of(r));
      if (size(all.back()) < size(smallest)) smallest = all.back();
    }
    const auto vars = pool_.variables_of(all.front());
    const bool constant = std::all_of(vars.begin(), vars.end(), [&](int v) {
      return pool_.variables()[static_cast<size_t>(v)].elements.has_value();
    });
    if (constant || pool_.is_zero(smallest)) {
      zeros += all.size() - 1;
      return;
    }
    for (TermId t : all) {
      if (t == smallest) continue;
      if (pool_.equal(t, smallest, 4)) found.push_back({t, smallest});
      else ++unequal;
    }
    pool_.forget_values();
  });
  say(fmt::format("{:>10}  of them are zero or constant", zeros));
  if (unequal > 0) say(fmt::format("{:>10}  of them differ on further seeds", unequal));
  stage("equal on further seeds", found.size());

  progress("pruning by renaming");
  const auto unique = [&](std::vector<Equation> from) {
    std::vector<Equation> kept;
    std::set<std::pair<TermId, TermId>> seen;
    for (const Equation& e : from) {
      const Equation c = canonical(pool_, e);
      if (seen.insert(std::minmax(c.left, c.right)).second) kept.push_back(c);
    }
    return kept;
  };
  found = unique(std::move(found));
  stage("after renaming and symmetry", found.size());

  progress("pruning by common subgraphs");
  std::vector<Equation> general;
  for (const Equation& e : found) {
    const Equation g = without_common_subgraphs(pool_, e);
    if (!is_congruence(pool_, g)) general.push_back(g);
    pool_.forget_values();
  }
  found = unique(std::move(general));
  stage("after common subgraphs", found.size());
  return found;
}

void Pipeline::test(const std::vector<Equation>& equations) {
  const auto size = [&](const Equation& e) {
    return pool_.tree_size(e.left) + pool_.tree_size(e.right);
  };
  std::vector<std::tuple<int, int, std::string, size_t>> order;
  for (size_t k = 0; k < equations.size(); ++k) {
    const Equation& e = equations[k];
    order.emplace_back(size(e), -static_cast<int>(pool_.variables_of(e.left).size()),
                       pool_.text(e.left) + " = " + pool_.text(e.right), k);
  }
  std::sort(order.begin(), order.end());
  std::set<std::string> statements;
  size_t refused = 0, done = 0, derivable = 0;
  for (const auto& [operators, variables, text, k] : order) {
    const Equation& e = equations[k];
    if (++done % 50 == 0)
      progress(fmt::format("generalizing and testing: {} of {}, {} rules", done, equations.size(),
                           rules_.size()));
    if (!options_.test_all && base_.derives(e, options_.limits)) {
      ++derivable;
      continue;
    }
    auto rule = generalizer_.one(e);
    if (!rule) {
      ++refused;
      continue;
    }
    if (!statements.insert(rule->statement()).second) continue;
    rules_.push_back(std::move(*rule));
    if (!options_.test_all) base_.add(rules_.back());
  }
  result_.tested = rules_.size();
  say(fmt::format("{:>10}  hold on their shapes only, or have no spelling", refused));
  if (!options_.test_all) stage("derivable from smaller rules", derivable);
  stage("rules after generalizing parameters and shapes, tested", rules_.size());
}

// Smaller ones first; then whatever the rest implies goes, larger ones first.
void Pipeline::derive() {
  std::vector<LearnedRule*> kept;
  for (LearnedRule& rule : rules_) {
    if (options_.test_all) {
      if (base_.derives({rule.left_term, rule.right_term}, options_.limits)) continue;
      base_.add(rule);
    }
    kept.push_back(&rule);
  }
  progress("dropping what the others imply");
  std::set<const LearnedRule*> dropped;
  for (auto it = kept.rbegin(); it != kept.rend(); ++it) {
    base_.remove(**it);
    if (base_.derives({(*it)->left_term, (*it)->right_term}, options_.limits)) dropped.insert(*it);
    else base_.add(**it);
  }
  std::map<std::string, int> numbers;
  for (LearnedRule* rule : kept) {
    if (dropped.contains(rule)) continue;
    std::string stem = options_.vocabulary;
    for (TermId t : pool_.subterms(rule->left_term)) stem += "-" + pool_.term(t).def->name;
    std::replace(stem.begin(), stem.end(), '_', '-');
    rule->name = fmt::format("{}-{}", stem, ++numbers[stem]);
    result_.kept.push_back(*rule);
  }
  stage("kept: the others do not derive them", result_.kept.size());
  merge_outputs(numbers);
}

// `split(f(concat(w, v))).0 = f(w)` and the same of .1 with v: read from right to left, neither
// binds all variables, but both together do.
void Pipeline::merge_outputs(std::map<std::string, int>& numbers) {
  size_t merged = 0;
  std::set<std::string> statements;
  const std::vector<LearnedRule> singles = result_.kept;
  for (const LearnedRule& single : singles) {
    const TermId whole = single.left_term;
    const Term t = pool_.term(whole);
    if (t.output != 0) continue;
    const ir::AttrMap attrs = pool_.attrs(t);
    const auto other = pool_.apply(*t.def, attrs, 1, t.args);
    const auto part = other ? base_.simplified(*other) : std::nullopt;
    if (!part) continue;
    auto have = pool_.variables_of(single.right_term), need = pool_.variables_of(whole);
    const size_t alone = have.size();
    for (int v : pool_.variables_of(*part))
      if (std::find(have.begin(), have.end(), v) == have.end()) have.push_back(v);
    if (alone == need.size() || have.size() != need.size()) continue;
    if (!pool_.term(single.right_term).def || !pool_.term(*part).def) continue;
    auto rule = generalizer_.pair({single.right_term, whole}, {*part, *other});
    if (!rule || !statements.insert(rule->statement()).second) continue;
    std::string stem = options_.vocabulary + "-merge";
    for (TermId s : pool_.subterms(single.right_term)) stem += "-" + pool_.term(s).def->name;
    std::replace(stem.begin(), stem.end(), '_', '-');
    rule->name = fmt::format("{}-{}", stem, ++numbers[stem]);
    result_.kept.push_back(std::move(*rule));
    ++merged;
  }
  stage("rules that merge two results, from pairs of those", merged);
}

}  // namespace

Synthesis synthesize(const SynthesizeOptions& options) {
  TESSERA_USER_CHECK(options.operators >= 1 && options.operators <= max_operators,
                     "graphs of 1 to {} operators can be enumerated, not of {}", max_operators,
                     options.operators);
  return Pipeline(options).run();
}

std::string rule_file(const SynthesizeOptions& options, const Synthesis& synthesis) {
  std::string text = fmt::format(
      "# Written by `tessera rules synthesize --vocabulary {} --operators {}`; do not edit.\n",
      options.vocabulary, options.operators);
  for (const StageCount& s : synthesis.stages)
    text += fmt::format("#  {:>8}  {}\n", s.count, s.stage);
  for (const LearnedRule& rule : synthesis.kept) text += rule.text() + "\n";
  return text;
}

}  // namespace tessera::synth
