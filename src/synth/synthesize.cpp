// SPDX-License-Identifier: Apache-2.0
// Drives the stages.
#include "synth/synthesize.h"

#include <algorithm>
#include <deque>
#include <set>
#include <sstream>

#include "base/check.h"
#include "base/journal.h"
#include "base/processes.h"
#include "synth/candidates.h"

namespace tessera::synth {
namespace {

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
    test();
    derive();
    leave_out();
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
  enum class Outcome : uint8_t { open, derivable, refused, unproved, stuck, known, rule };
  void test();
  size_t look_ahead(size_t from);
  void find_derivable(size_t from, size_t to);
  std::vector<std::string> in_children(size_t count, const std::function<std::string(size_t)>& job);
  Outcome test_one(size_t k);
  size_t count(Outcome outcome) const {
    return static_cast<size_t>(std::count(outcomes_.begin(), outcomes_.end(), outcome));
  }
  void derive();
  void leave_out();
  void keep(LearnedRule rule, const rules::Certificate& certificate);
  void report();
  std::vector<std::pair<Equation, Equation>> merge_candidates(const std::vector<Equation>& from);
  void merge_outputs(const std::vector<Equation>& equations);
  void count_statuses();
  SettleOptions settle_options() const {
    SettleOptions o = options_.settle;
    o.judge.proved_only = !options_.keep_unproved;
    return o;
  }

  /// A rule that stands, and what was found of it.
  struct Standing {
    LearnedRule rule;
    rules::Certificate certificate;
  };

  const SynthesizeOptions& options_;
  std::span<const LearnedRule> known_;
  Bank bank_;
  TermPool pool_;
  const SettleOptions settle_options_ = settle_options();
  Settler settler_{pool_, settle_options_};
  std::optional<Journal> notes_;
  Synthesis result_;
  RuleBase base_{pool_};
  std::deque<Standing> rules_, unproved_;  // the base points to them
  std::vector<Standing*> kept_;
  std::vector<Equation> ordered_;
  size_t wrong_forms_ = 0, left_out_ = 0;
  size_t base_size_ = 0;              // how many rules the base had when it was asked ahead
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

// What an equation becomes, smaller ones first.
void Pipeline::test() {
  for (const LearnedRule& rule : known_)
    if (!rule.second_left) base_.add(rule);
  if (!options_.notes.empty()) {
    const SettleOptions& o = settle_options_;
    notes_.emplace(options_.notes, fmt::format("{} {} {} {} {} {} {}", program_hash(), o.instances,
                                               o.kept_instances, o.judge.instances,
                                               o.judge.proved_only, o.most_wrong, o.most_weak));
    settler_.learn(notes_->texts());
  }
  outcomes_.assign(ordered_.size(), Outcome::open);
  for (size_t k = 0; k < ordered_.size();) {
    const size_t to = look_ahead(k);
    for (; k < to; ++k)
      if (outcomes_[k] == Outcome::open) outcomes_[k] = test_one(k);
  }
}

// Jobs in processes of their own; what they decided is known here afterwards. Their answers, which
// are one line: `stuck` where a process died or took too long.
std::vector<std::string> Pipeline::in_children(size_t count,
                                               const std::function<std::string(size_t)>& job) {
  std::vector<std::string> answers;
  const auto child = [&](size_t k) {
    (void)settler_.take_news();
    const std::string answer = job(k);
    return answer + "\n" + settler_.take_news();
  };
  const ProcessOptions processes{.at_a_time = std::max(1, options_.processes), .seconds = 120};
  for (const auto& result : in_processes(count, child, processes)) {
    const std::string text = result.value_or("stuck\n");
    const size_t line = text.find('\n');
    answers.push_back(text.substr(0, line));
    settler_.learn(text.substr(line + 1));
    if (notes_) notes_->add(text.substr(line + 1));
  }
  return answers;
}

// The next equations, in processes: whether the rules known by now derive them and, of a few that
// they do not derive, what they become. Each process starts from the same state, so that its answer
// does not depend on how many there are. Returns where it ended.
size_t Pipeline::look_ahead(size_t from) {
  constexpr size_t stride = 512;
  constexpr size_t most_settled = 32;  // fixed: what is asked must not depend on the machine
  const size_t most_open = options_.test_all ? stride : most_settled;
  size_t to = std::min(from + stride, ordered_.size());
  progress(fmt::format("generalizing and proving: {} of {}, {} rules", from, ordered_.size(),
                       rules_.size()));
  base_size_ = rules_.size();
  find_derivable(from, to);
  std::vector<size_t> open;
  for (size_t k = from; k < to; ++k) {
    if (outcomes_[k] != Outcome::open) continue;
    if (open.size() == most_open) to = k;
    else open.push_back(k);
  }
  const auto stuck = in_children(open.size(), [&](size_t k) {
    (void)settler_.one(ordered_[open[k]]);
    return std::string();
  });
  for (size_t k = 0; k < open.size(); ++k)
    if (!stuck[k].empty()) outcomes_[open[k]] = Outcome::stuck;
  return to;
}

// Few at a time, for a process takes longer to start than most of them.
void Pipeline::find_derivable(size_t from, size_t to) {
  if (options_.test_all) return;
  constexpr size_t chunk = 8;
  const auto job = [&](size_t part) {
    std::string all;
    for (size_t k = from + part * chunk; k < std::min(to, from + (part + 1) * chunk); ++k)
      if (outcomes_[k] == Outcome::open && base_.derives(ordered_[k], options_.limits))
        all += fmt::format("{} ", k);
    return all;
  };
  for (const std::string& text : in_children((to - from + chunk - 1) / chunk, job)) {
    std::istringstream numbers(text);
    for (size_t k = 0; numbers >> k;) outcomes_[k] = Outcome::derivable;
  }
}

Pipeline::Outcome Pipeline::test_one(size_t k) {
  const Equation& e = ordered_[k];
  if (!options_.test_all && rules_.size() > base_size_ && base_.derives(e, options_.limits))
    return Outcome::derivable;
  Settled settled = settler_.one(e);
  wrong_forms_ += static_cast<size_t>(settled.wrong);
  if (!settled.refutations.empty())
    say(settled.refutations.substr(0, settled.refutations.size() - 1));
  if (!settled.rule) return Outcome::refused;
  const bool rule = settled.kind == Settled::Kind::proved || options_.keep_unproved;
  if (rule && !statements_.insert(settled.rule->statement()).second) return Outcome::known;
  auto& list = rule ? rules_ : unproved_;
  list.push_back({std::move(*settled.rule), std::move(settled.certificate)});
  if (!rule) return Outcome::unproved;
  if (!options_.test_all) base_.add(list.back().rule);
  return Outcome::rule;
}

// Smaller ones first; then whatever the rest implies goes, larger ones first.
void Pipeline::derive() {
  std::vector<Standing*> found;
  for (Standing& s : rules_) {
    if (options_.test_all) {
      if (base_.derives({s.rule.left_term, s.rule.right_term}, options_.limits)) continue;
      base_.add(s.rule);
    }
    found.push_back(&s);
  }
  progress("dropping what the others imply");
  std::set<const Standing*> dropped;
  for (auto it = found.rbegin(); it != found.rend(); ++it) {
    const LearnedRule& rule = (*it)->rule;
    base_.remove(rule);
    if (base_.derives({rule.left_term, rule.right_term}, options_.limits)) dropped.insert(*it);
    else base_.add(rule);
  }
  for (Standing* s : found)
    if (!dropped.contains(s)) kept_.push_back(s);
}

// Of the rules without a proof, how many would be kept.
void Pipeline::leave_out() {
  for (const Standing& s : unproved_) {
    if (base_.derives({s.rule.left_term, s.rule.right_term}, options_.limits)) continue;
    base_.add(s.rule);
    ++left_out_;
  }
}

void Pipeline::keep(LearnedRule rule, const rules::Certificate& certificate) {
  result_.certificates.push_back(certificate);
  result_.certificates.back().name = rule.name;
  result_.kept.push_back(std::move(rule));
}

void Pipeline::count_statuses() {
  std::map<rules::Status, size_t> kept, all;
  for (const rules::Certificate& c : result_.certificates) ++kept[c.status];
  for (const Standing& s : rules_) ++all[s.certificate.status];
  using rules::Status;
  for (const Status s : {Status::proved, Status::bounded, Status::tested}) {
    if (options_.test_all) stage(fmt::format("{}, before derivability", to_string(s)), all[s]);
    stage(fmt::format("{}, of the kept", to_string(s)), kept[s]);
  }
}

void Pipeline::report() {
  result_.tested = rules_.size();
  say(fmt::format("{:>10}  hold on their shapes only, or have no spelling",
                  count(Outcome::refused)));
  if (!options_.test_all) stage("derivable from smaller rules", count(Outcome::derivable));
  if (count(Outcome::stuck) > 0) stage("neither proved nor refuted in time", count(Outcome::stuck));
  stage("forms that were refuted on the way", wrong_forms_);
  if (!options_.keep_unproved) {
    stage("hold on all instances, but are not proved", unproved_.size());
    stage("left out: such rules that no others derive", left_out_);
  }
  stage("rules after generalizing parameters and shapes", rules_.size());
  stage("kept: the others do not derive them", kept_.size());
  std::map<std::string, int> numbers;
  for (Standing* s : kept_) {
    std::string stem = options_.vocabulary;
    for (TermId t : pool_.subterms(s->rule.left_term)) stem += "-" + pool_.term(t).def->name;
    std::replace(stem.begin(), stem.end(), '_', '-');
    s->rule.name = fmt::format("{}-{}", stem, ++numbers[stem]);
    keep(s->rule, s->certificate);
  }
}

// `split(f(concat(v, w)))` has the results f(v) and f(w). From right to left neither binds all
// variables, but both patterns together do.
std::vector<std::pair<Equation, Equation>> Pipeline::merge_candidates(
    const std::vector<Equation>& from) {
  std::vector<std::pair<Equation, Equation>> found;
  for (Equation e : from) {
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
      if (part && pool_.equal(*part, *other, 4))
        found.push_back({{e.right, e.left}, {*part, *other}});
    }
    pool_.forget_values();
  }
  return found;
}

// `split(f(concat(v, w)))` has the results f(v) and f(w). From right to left neither binds all
// variables, but both patterns together do.
void Pipeline::merge_outputs(const std::vector<Equation>& equations) {
  progress("merging two results");
  const auto candidates = merge_candidates(equations);
  const auto stuck = in_children(candidates.size(), [&](size_t k) {
    (void)settler_.pair(candidates[k].first, candidates[k].second);
    return std::string();
  });
  std::map<std::string, int> numbers;
  std::set<std::string> statements;
  for (size_t k = 0; k < candidates.size(); ++k) {
    if (!stuck[k].empty()) continue;
    Settled settled = settler_.pair(candidates[k].first, candidates[k].second);
    const bool good = settled.kind == Settled::Kind::proved || options_.keep_unproved;
    if (!settled.rule || !good || !statements.insert(settled.rule->statement()).second) continue;
    std::string stem =
        options_.vocabulary + "-merge-" + pool_.term(candidates[k].first.left).def->name;
    std::replace(stem.begin(), stem.end(), '_', '-');
    settled.rule->name = fmt::format("{}-{}", stem, ++numbers[stem]);
    keep(std::move(*settled.rule), settled.certificate);
  }
  stage("rules that merge two results", statements.size());
}

}  // namespace

Synthesis synthesize(const SynthesizeOptions& options, std::span<const LearnedRule> known) {
  TESSERA_USER_CHECK(options.operators >= 1 && options.operators <= max_operators,
                     "graphs of 1 to {} operators can be enumerated, not of {}", max_operators,
                     options.operators);
  return Pipeline(options, known).run();
}

std::string rule_file(const SynthesizeOptions& options, const Synthesis& synthesis) {
  std::string text = fmt::format(
      "# Written by `tessera rules synthesize`, vocabulary {}, {} operators; do not edit.\n",
      options.vocabulary, options.operators);
  for (const StageCount& s : synthesis.stages)
    text += fmt::format("#  {:>8}  {}\n", s.count, s.stage);
  for (const LearnedRule& rule : synthesis.kept) text += rule.text() + "\n";
  return text;
}

}  // namespace tessera::synth
