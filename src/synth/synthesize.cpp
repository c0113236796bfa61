// SPDX-License-Identifier: Apache-2.0
// Drives the stages.
#include "synth/synthesize.h"

#include <algorithm>
#include <deque>
#include <set>
#include <sstream>

#include "base/check.h"
#include "base/processes.h"
#include "synth/candidates.h"

namespace tessera::synth {
namespace {

std::vector<LearnedRule*> pointers(std::deque<LearnedRule>& rules) {
  std::vector<LearnedRule*> all;
  for (LearnedRule& rule : rules) all.push_back(&rule);
  return all;
}

class Pipeline {
 public:
  Pipeline(const SynthesizeOptions& options, std::span<const LearnedRule> known)
      : options_(options),
        known_(known),
        bank_(vocabulary(options.vocabulary), options.growth, options.seed) {}

  Synthesis run() {
    enumerate();
    if (!options_.learn) {
      count_pairs(nullptr);
      return std::move(result_);
    }
    const std::vector<Equation> equations = prune();
    order(equations);
    while (true) {
      test();
      // Refuted rules must not stand for what they derive, so all is decided again without them.
      if (options_.test_all && judge_all(pointers(rules_)) < rules_.size()) continue;
      derive();
      if (confirm()) break;
    }
    report();
    merge_outputs(equations);
    count_statuses();
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
  void order(const std::vector<Equation>& equations);
  enum class Outcome : uint8_t { open, derivable, refused, known, rule };
  void test();
  size_t look_ahead(size_t from);
  bool look_at(const Equation& equation);
  Outcome test_one(const Equation& equation);
  size_t count(Outcome outcome) const {
    return static_cast<size_t>(std::count(outcomes_.begin(), outcomes_.end(), outcome));
  }
  void derive();
  bool confirm();
  size_t judge_all(const std::vector<LearnedRule*>& rules);
  void keep(LearnedRule rule);
  void report();
  void merge_outputs(const std::vector<Equation>& equations);
  void count_statuses();

  const SynthesizeOptions& options_;
  std::span<const LearnedRule> known_;
  Bank bank_;
  TermPool pool_;
  Generalizer generalizer_{pool_, options_.instances};
  Synthesis result_;
  RuleBase base_{pool_};
  std::deque<LearnedRule> rules_;  // the base points to them
  std::vector<LearnedRule*> kept_;
  std::vector<Equation> ordered_;
  std::map<std::string, Judgement> judged_;  // by statement and mode
  size_t refuted_by_instances_ = 0, refuted_by_prover_ = 0;
  std::vector<Outcome> outcomes_;     // of the ordered equations
  std::set<std::string> statements_;  // of the rules
};

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

// Smallest first, sides of equal size before others; then the one with more variables (it says
// more), then by text.
void Pipeline::order(const std::vector<Equation>& equations) {
  std::vector<std::tuple<int, int, std::string, size_t>> keys;
  for (size_t k = 0; k < equations.size(); ++k) {
    const Equation& e = equations[k];
    const int left = pool_.tree_size(e.left), right = pool_.tree_size(e.right);
    keys.emplace_back(100 * (left + right) + std::max(left, right),
                      -static_cast<int>(pool_.variables_of(e.left).size()),
                      pool_.text(e.left) + " = " + pool_.text(e.right), k);
  }
  std::sort(keys.begin(), keys.end());
  for (const auto& key : keys) ordered_.push_back(equations[std::get<3>(key)]);
}

// What an equation becomes, smaller ones first. Rules are judged in batches: if one is refuted, all
// is decided again from its equation on, since it may have stood for what it derives.
void Pipeline::test() {
  rules_.clear();
  statements_.clear();
  base_.clear();
  for (const LearnedRule& rule : known_)
    if (!rule.second_left) base_.add(rule);
  outcomes_.assign(ordered_.size(), Outcome::open);
  constexpr size_t batch = 64;
  size_t judged = 0, ahead = 0;
  std::vector<size_t> places;  // of the rules
  for (size_t k = 0; k < ordered_.size() || judged < rules_.size();) {
    if (k < ordered_.size()) {
      if (k % 50 == 0)
        progress(fmt::format("generalizing and testing: {} of {}, {} rules", k, ordered_.size(),
                             rules_.size()));
      if (k >= ahead) ahead = look_ahead(k);
      // What was derivable before more rules were known still is.
      if (outcomes_[k] != Outcome::derivable) outcomes_[k] = test_one(ordered_[k]);
      if (outcomes_[k] == Outcome::rule) places.push_back(k);
      ++k;
    }
    if (options_.test_all || (k < ordered_.size() && rules_.size() < judged + batch)) {
      if (options_.test_all && k == ordered_.size()) break;
      continue;
    }
    std::vector<LearnedRule*> fresh;
    for (size_t r = judged; r < rules_.size(); ++r) fresh.push_back(&rules_[r]);
    const size_t good = judge_all(fresh);
    judged += good;
    if (good == fresh.size()) continue;
    k = ahead = places[judged];
    std::fill(outcomes_.begin() + static_cast<long>(k), outcomes_.end(), Outcome::open);
    while (rules_.size() > judged) {
      base_.remove(rules_.back());
      statements_.erase(rules_.back().statement());
      rules_.pop_back();
    }
    places.resize(judged);
  }
}

// The next equations in several processes: those that are derivable already, and what else takes
// time. Returns where it ended. The outcome depends on the stride but not on the processes.
size_t Pipeline::look_ahead(size_t from) {
  constexpr size_t stride = 128;
  const size_t to = std::min(from + stride, ordered_.size());
  const auto parts = static_cast<size_t>(std::max(1, options_.judge.processes));
  const auto job = [&](size_t part) {
    std::string derivable;
    (void)generalizer_.take_news();
    for (size_t k = from + part; k < to; k += parts)
      if (look_at(ordered_[k])) derivable += fmt::format("{} ", k);
    return derivable + "\n" + generalizer_.take_news();
  };
  for (const auto& text : in_processes(parts, job, {.at_a_time = static_cast<int>(parts)})) {
    TESSERA_USER_CHECK(text.has_value(), "a process that generalizes equations died");
    const size_t line = text->find('\n');
    std::istringstream derivable(text->substr(0, line));
    for (size_t k = 0; derivable >> k;) outcomes_[k] = Outcome::derivable;
    generalizer_.learn(text->substr(line + 1));
  }
  return to;
}

// True if it is derivable; else the generalizer hears of it.
bool Pipeline::look_at(const Equation& e) {
  if (options_.test_all) {
    (void)generalizer_.one(e);
    return false;
  }
  if (base_.derives(e, options_.limits)) return true;
  auto rule = generalizer_.one(e);
  while (rule && !generalizer_.confirm(*rule, options_.kept_instances)) rule = generalizer_.one(e);
  return false;
}

Pipeline::Outcome Pipeline::test_one(const Equation& e) {
  if (!options_.test_all && base_.derives(e, options_.limits)) return Outcome::derivable;
  auto rule = generalizer_.one(e);
  // What others will be derived from must stand many instances; a form that falls is not tried
  // again.
  while (!options_.test_all && rule && !generalizer_.confirm(*rule, options_.kept_instances))
    rule = generalizer_.one(e);
  if (!rule) return Outcome::refused;
  if (!statements_.insert(rule->statement()).second) return Outcome::known;
  rules_.push_back(std::move(*rule));
  if (!options_.test_all) base_.add(rules_.back());
  return Outcome::rule;
}

// Smaller ones first; then whatever the rest implies goes, larger ones first.
void Pipeline::derive() {
  std::vector<LearnedRule*> found;
  for (LearnedRule& rule : rules_) {
    if (options_.test_all) {
      if (base_.derives({rule.left_term, rule.right_term}, options_.limits)) continue;
      base_.add(rule);
    }
    found.push_back(&rule);
  }
  progress("dropping what the others imply");
  std::set<const LearnedRule*> dropped;
  for (auto it = found.rbegin(); it != found.rend(); ++it) {
    base_.remove(**it);
    if (base_.derives({(*it)->left_term, (*it)->right_term}, options_.limits)) dropped.insert(*it);
    else base_.add(**it);
  }
  kept_.clear();
  for (LearnedRule* rule : found)
    if (!dropped.contains(rule)) kept_.push_back(rule);
}

// How many stand before the first that is refuted; what was judged is not judged again.
size_t Pipeline::judge_all(const std::vector<LearnedRule*>& rules) {
  std::vector<const LearnedRule*> open;
  for (const LearnedRule* rule : rules)
    if (!judged_.contains(rule->identity())) open.push_back(rule);
  JudgeOptions options = options_.judge;
  options.progress = [&](size_t done, size_t count) {
    progress(fmt::format("judging rules: {} of {}", done, count));
  };
  const std::vector<Judgement> judgements = judge(open, options);
  for (size_t k = 0; k < open.size(); ++k) {
    const Judgement& j = judgements[k];
    judged_[open[k]->identity()] = j;
    if (j.refuted == Judgement::By::nobody) continue;
    generalizer_.ban(*open[k], j.backward);
    const bool by_prover = j.refuted == Judgement::By::prover;
    ++(by_prover ? refuted_by_prover_ : refuted_by_instances_);
    say(fmt::format("  refuted by {}: {}\n    {}", by_prover ? "the prover" : "strange instances",
                    open[k]->text(), j.counterexample));
  }
  size_t standing = 0;
  while (standing < rules.size() &&
         judged_.at(rules[standing]->identity()).refuted == Judgement::By::nobody)
    ++standing;
  return standing;
}

// Kept rules imply others, so each must stand many instances and the prover; if one falls, all is
// decided again without it.
bool Pipeline::confirm() {
  progress("testing the kept rules on many instances");
  size_t fallen = 0;
  for (LearnedRule* rule : kept_) fallen += !generalizer_.confirm(*rule, options_.kept_instances);
  if (fallen > 0) say(fmt::format("{:>10}  kept ones fell on more instances", fallen));
  return fallen == 0 && judge_all(kept_) == kept_.size();
}

void Pipeline::keep(LearnedRule rule) {
  result_.certificates.push_back(judged_.at(rule.identity()).certificate);
  result_.certificates.back().name = rule.name;
  result_.kept.push_back(std::move(rule));
}

void Pipeline::count_statuses() {
  std::map<rules::Status, size_t> kept, all;
  for (const rules::Certificate& c : result_.certificates) ++kept[c.status];
  for (const auto& [identity, j] : judged_)
    if (j.refuted == Judgement::By::nobody) ++all[j.certificate.status];
  using rules::Status;
  for (const Status s : {Status::proved, Status::bounded, Status::tested}) {
    const auto name = to_string(s);
    if (options_.test_all) stage(fmt::format("{}, before derivability", name), all[s]);
    stage(fmt::format("{}, of the kept", name), kept[s]);
  }
}

void Pipeline::report() {
  result_.tested = rules_.size();
  say(fmt::format("{:>10}  hold on their shapes only, or have no spelling",
                  count(Outcome::refused)));
  if (!options_.test_all) stage("derivable from smaller rules", count(Outcome::derivable));
  stage("rules after generalizing parameters and shapes, tested", rules_.size());
  stage("refuted by strange instances on the way", refuted_by_instances_);
  stage("refuted by the prover on the way", refuted_by_prover_);
  stage("kept: the others do not derive them", kept_.size());
  std::map<std::string, int> numbers;
  for (LearnedRule* rule : kept_) {
    std::string stem = options_.vocabulary;
    for (TermId t : pool_.subterms(rule->left_term)) stem += "-" + pool_.term(t).def->name;
    std::replace(stem.begin(), stem.end(), '_', '-');
    rule->name = fmt::format("{}-{}", stem, ++numbers[stem]);
    keep(*rule);
  }
}

// `split(f(concat(v, w)))` has the results f(v) and f(w). From right to left neither binds all
// variables, but both patterns together do.
void Pipeline::merge_outputs(const std::vector<Equation>& equations) {
  std::map<std::string, int> numbers;
  std::set<std::string> statements;
  size_t merged = 0;
  for (Equation e : equations) {
    if (pool_.tree_size(e.left) < pool_.tree_size(e.right)) std::swap(e.left, e.right);
    const Term whole = pool_.term(e.left);
    if (!whole.def || whole.output != 0 || pool_.tree_size(e.right) != 1) continue;
    const ir::AttrMap attrs = pool_.attrs(whole);
    const auto other = pool_.apply(*whole.def, attrs, 1, whole.args);
    if (!other) continue;
    const auto all = pool_.variables_of(e.left), bound = pool_.variables_of(e.right);
    std::vector<int> missing;
    for (int v : all)
      if (std::find(bound.begin(), bound.end(), v) == bound.end()) missing.push_back(v);
    if (missing.size() != 1 || all.size() != bound.size() + 1) continue;
    const auto term = [&](int v) { return pool_.variables()[static_cast<size_t>(v)].term; };
    for (int v : bound) {
      const auto part = pool_.replace(e.right, {{term(v), term(missing[0])}});
      if (!part || !pool_.equal(*part, *other, 4)) continue;
      auto rule = generalizer_.pair({e.right, e.left}, {*part, *other});
      if (!rule || !generalizer_.confirm(*rule, options_.kept_instances) ||
          !statements.insert(rule->statement()).second || judge_all({&*rule}) == 0)
        continue;
      std::string stem = options_.vocabulary + "-merge-" + pool_.term(e.right).def->name;
      std::replace(stem.begin(), stem.end(), '_', '-');
      rule->name = fmt::format("{}-{}", stem, ++numbers[stem]);
      keep(std::move(*rule));
      ++merged;
      break;
    }
    pool_.forget_values();
  }
  stage("rules that merge two results", merged);
}

}  // namespace

Synthesis synthesize(const SynthesizeOptions& options, std::span<const LearnedRule> known) {
  TESSERA_USER_CHECK(options.operators >= 1 && options.operators <= max_operators,
                     "graphs of 1 to {} operators can be enumerated, not of {}", max_operators,
                     options.operators);
  return Pipeline(options, known).run();
}

std::string rule_file(const SynthesizeOptions& options, const Synthesis& synthesis) {
  std::string text =
      fmt::format("# Written by `tessera rules synthesize {} --operators {}`; do not edit.\n",
                  options.vocabulary, options.operators);
  for (const StageCount& s : synthesis.stages)
    text += fmt::format("#  {:>8}  {}\n", s.count, s.stage);
  for (const LearnedRule& rule : synthesis.kept) text += rule.text() + "\n";
  return text;
}

}  // namespace tessera::synth
