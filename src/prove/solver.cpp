// SPDX-License-Identifier: Apache-2.0
// The child process and the encoding of queries.
#include "prove/solver.h"

#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <z3++.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include "base/check.h"

namespace tessera::prove {
namespace {

int calls = 0;

Answer in_child(const SolverLimits& limits, const std::function<Answer()>& solve) {
  if (limits.steps == 0) return Answer::unknown;
  ++calls;
  int ends[2];
  if (pipe(ends) != 0) return Answer::unknown;
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    rlimit memory{};
    memory.rlim_cur = memory.rlim_max = size_t{limits.megabytes + 2048} << 20;
    setrlimit(RLIMIT_AS, &memory);
    char answer = static_cast<char>(Answer::unknown);
    try {
      answer = static_cast<char>(solve());
    } catch (...) {
      // Memory or an encoding that Z3 refuses: the answer stays unknown.
    }
    const ssize_t written = write(ends[1], &answer, 1);
    _exit(written == 1 ? 0 : 1);
  }
  close(ends[1]);
  Answer result = Answer::unknown;
  if (child > 0) {
    pollfd wait_for{ends[0], POLLIN, 0};
    char answer = 0;
    if (poll(&wait_for, 1, static_cast<int>(limits.seconds) * 1000) > 0 &&
        read(ends[0], &answer, 1) == 1)
      result = static_cast<Answer>(answer);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
  }
  close(ends[0]);
  return result;
}

Answer checked(z3::solver& s, const SolverLimits& limits) {
  z3::params p(s.ctx());
  p.set("rlimit", limits.steps);
  p.set("random_seed", 1u);
  s.set(p);
  switch (s.check()) {
    case z3::unsat: return Answer::unsatisfiable;
    case z3::sat: return Answer::satisfiable;
    default: return Answer::unknown;
  }
}

class Integers {
 public:
  /// `opaque`: products of symbols are numbers of their own.
  Integers(z3::context& c, z3::solver& s, bool opaque) : c_(c), s_(s), opaque_(opaque) {}

  z3::expr value(const Index& e) {
    z3::expr total = c_.int_val(static_cast<int64_t>(e.constant_part()));
    for (const sym::Term& t : e.terms()) total = total + monomial(t);
    return total;
  }
  z3::expr guard(const Guard& g) {
    const z3::expr v = value(g.value);
    return g.equal ? v == 0 : v >= 0;
  }
  z3::expr all(const std::vector<Guard>& guards) {
    z3::expr r = c_.bool_val(true);
    for (const Guard& g : guards) r = r && guard(g);
    return r;
  }

 private:
  z3::expr monomial(const sym::Term& t) {
    const z3::expr coefficient = c_.int_val(t.coefficient);
    if (opaque_ && t.factors.size() > 1) {
      sym::Term bare = t;
      bare.coefficient = 1;
      return coefficient * c_.int_const(term_value(bare).to_string().c_str());
    }
    z3::expr product = coefficient;
    for (const sym::Atom& f : t.factors) product = product * atom(f);
    return product;
  }

  z3::expr atom(const sym::Atom& a) {
    if (a.kind == sym::AtomKind::symbol) {
      const z3::expr v = c_.int_const(a.name.c_str());
      if (!is_variable(a.name)) s_.add(v >= 1);
      return v;
    }
    const z3::expr x = value(a.args[0]), y = value(a.args[1]);
    if (a.kind == sym::AtomKind::minimum) return z3::ite(x <= y, x, y);
    if (a.kind == sym::AtomKind::maximum) return z3::ite(x >= y, x, y);
    const std::string name = "(" + a.args[0].to_string() + ")/(" + a.args[1].to_string() + ")";
    const z3::expr q = c_.int_const(name.c_str());
    const z3::expr yq = opaque_ && !a.args[1].is_constant()
                            ? value(sym::floor_div(a.args[0], a.args[1]) * a.args[1])
                            : y * q;
    if (!opaque_ || a.args[1].is_constant()) {
      s_.add(y >= 1);
      s_.add(yq <= x && x < yq + y);
    }
    return a.kind == sym::AtomKind::floor_div ? q : x - y * q;
  }

  z3::context& c_;
  z3::solver& s_;
  bool opaque_;
};

// Instances of one rule ask the same again and again: what was asked is kept.
Answer ask_integers(const SolverLimits& limits, const std::string& text,
                    const std::function<void(z3::context&, z3::solver&, Integers&)>& state) {
  constexpr size_t most_kept = 100'000;
  static thread_local std::map<std::string, Answer> kept;
  const std::string key = fmt::format("{}|{}", limits.steps, text);
  if (const auto at = kept.find(key); at != kept.end()) return at->second;
  Answer answer = Answer::unknown;
  // With opaque products first: this closes most queries at once, and unsatisfiable stays so.
  for (const bool opaque : {true, false}) {
    answer = in_child(limits, [&] {
      z3::context c;
      z3::solver s(c);
      Integers integers(c, s, opaque);
      state(c, s, integers);
      return checked(s, limits);
    });
    if (answer == Answer::unsatisfiable) break;
  }
  if (kept.size() >= most_kept) kept.clear();
  return kept[key] = answer;
}

std::string text_of(const std::vector<Guard>& guards) {
  std::string text;
  for (const Guard& g : guards) text += (g.equal ? "0=" : "0<=") + g.value.to_string() + "]";
  return text;
}

class Reals {
 public:
  Reals(z3::context& c, z3::solver& s) : c_(c), s_(s) {}

  z3::expr value(const Sum& sum) {
    z3::expr total = c_.real_val(0);
    for (const Term& t : sum.terms) total = total + value(t);
    return total;
  }

 private:
  z3::expr value(const Term& t) {
    if (!t.bound.empty() || !t.guards.empty()) {
      Term bare = t;
      bare.coefficient = 1;
      return number(t.coefficient) * c_.real_const(print(bare).c_str());
    }
    z3::expr product = number(t.coefficient);
    for (const Factor& f : t.factors) {
      const z3::expr base = atom(*f.atom);
      z3::expr factor = base;
      if (f.power < 0) {
        factor = c_.real_const(("1/" + f.atom->key).c_str());
        s_.add(factor * base == 1);
      }
      for (int k = 0; k < std::abs(f.power); ++k) product = product * factor;
    }
    return product;
  }

  // A fraction of small numbers where there is one; else twelve digits.
  z3::expr number(double v) {
    constexpr int most = 1000;
    for (int q = 1; q <= most; ++q) {
      const double p = std::round(v * q);
      if (std::abs(p) < 1e15 && std::abs(v * q - p) <= 1e-9 * std::abs(v * q))
        return c_.real_val(fmt::format("{:.0f}/{}", p, q).c_str());
    }
    const int digits =
        std::clamp(12 - static_cast<int>(std::floor(std::log10(std::abs(v)))), 0, 60);
    return c_.real_val(fmt::format("{:.{}f}", v, digits).c_str());
  }

  z3::expr atom(const Atom& a) {
    const z3::expr v = c_.real_const(a.key.c_str());
    if (!met_.insert(a.key).second) return v;
    if (a.boolean) s_.add(v == 0 || v == 1);
    if (is_scalar(a) && (a.head == "positive" || a.head == "zero")) {
      const z3::expr d = value(a.entries[0].body);
      s_.add(z3::implies(a.head == "zero" ? d == 0 : d > 0, v == 1));
      s_.add(z3::implies(a.head == "zero" ? d != 0 : d <= 0, v == 0));
    }
    if (is_scalar(a) && a.head == "max") {
      z3::expr attained = c_.bool_val(false);
      for (const Entry& e : a.entries) {
        const z3::expr x = value(e.body);
        s_.add(v >= x);
        attained = attained || v == x;
      }
      s_.add(attained);
    }
    if (is_scalar(a) && a.head == "sqrt") {
      const z3::expr x = value(a.entries[0].body);
      s_.add(v >= 0);
      s_.add(v * v == x);
    }
    if (a.head == "exp" || a.head == "int") s_.add(v > 0 || a.head == "int");
    if (is_scalar(a) && a.head == "paren") s_.add(v == value(a.entries[0].body));
    return v;
  }

  static bool is_scalar(const Atom& a) {
    for (const Entry& e : a.entries)
      if (!e.bound.empty() || !e.guards.empty()) return false;
    return true;
  }

  z3::context& c_;
  z3::solver& s_;
  std::set<std::string> met_;
};

}  // namespace

Answer can_differ(const Counting& counting, const SolverLimits& limits) {
  double scale = 0;
  for (const auto& [c, guards] : counting.terms) scale = std::max(scale, std::abs(c));
  std::string text = text_of(counting.facts);
  for (const auto& [c, guards] : counting.terms)
    text += fmt::format("+{:.12f}*", c / scale) + text_of(guards);
  return ask_integers(limits, text, [&](z3::context& c, z3::solver& s, Integers& integers) {
    for (const Guard& g : counting.facts) s.add(integers.guard(g));
    z3::expr total = c.real_val(0);
    for (const auto& [coefficient, guards] : counting.terms) {
      const z3::expr weight = c.real_val(fmt::format("{:.12f}", coefficient / scale).c_str());
      total = total + z3::ite(integers.all(guards), weight, c.real_val(0));
    }
    const z3::expr tiny = c.real_val("0.000000001");
    s.add(total > tiny || total < -tiny);
  });
}

Answer can_fail(const std::vector<Guard>& facts, const Guard& guard, const SolverLimits& limits) {
  const std::string text = text_of(facts) + "=>" + text_of({guard});
  return ask_integers(limits, text, [&](z3::context&, z3::solver& s, Integers& integers) {
    for (const Guard& g : facts) s.add(integers.guard(g));
    s.add(!integers.guard(guard));
  });
}

Answer can_differ(const Sum& sum, const std::vector<Sum>& nonnegative, const SolverLimits& limits) {
  return in_child(limits, [&] {
    z3::context c;
    z3::solver s(c);
    Reals reals(c, s);
    for (const Sum& n : nonnegative) s.add(reals.value(n) >= 0);
    const z3::expr total = reals.value(sum);
    const z3::expr tiny = c.real_val("0.0000001");
    s.add(total > tiny || total < -tiny);
    return checked(s, limits);
  });
}

int solver_calls() { return calls; }

}  // namespace tessera::prove
