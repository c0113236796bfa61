// SPDX-License-Identifier: Apache-2.0
// From equations to rules: renaming, generalization, derivability, files that repeat to the byte.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/check.h"
#include "corpus/soundness.h"
#include "ops/registry.h"
#include "rules/rule.h"
#include "rules/sample.h"
#include "synth/candidates.h"
#include "synth/synthesize.h"

namespace tessera::synth {
namespace {

struct Fixture {
  TermPool pool;
  TermId x = input("x", {2, 3}, 0), y = input("y", {2, 3}, 0), z = input("z", {2, 3}, 0);
  TermId v = input("v", {3, 4}, 1), w = input("w", {3, 4}, 1);

  TermId input(const std::string& name, ir::Dims shape, int group) {
    return pool.add_variable(
        {.name = name, .type = {DType::f32, std::move(shape)}, .group = group});
  }
  TermId op(std::string_view name, std::vector<TermId> args, ir::AttrMap attrs = {},
            int output = 0) {
    return pool.apply(ops::registry().get(name), attrs, output, std::move(args)).value();
  }
};

std::string scratch_folder(const std::string& name) {
  const auto path =
      std::filesystem::temp_directory_path() / fmt::format("tessera-synth-{}-{}", name, getpid());
  std::filesystem::remove_all(path);
  return path.string();
}

SynthesizeOptions options(const std::string& folder, int shards) {
  SynthesizeOptions o;
  o.vocabulary = "matrix";
  o.operators = 2;
  o.settle.instances = 30;
  o.settle.kept_instances = 60;
  o.settle.judge.instances = 20;
  o.processes = 2;
  o.shards = {.folder = folder, .shards = shards, .threads = 2};
  return o;
}

}  // namespace

TEST(Learn, terms_are_equal_when_they_compute_the_same) {
  Fixture f;
  const TermId left = f.op("matmul", {f.x, f.op("add", {f.v, f.w})});
  const TermId right = f.op("add", {f.op("matmul", {f.x, f.v}), f.op("matmul", {f.x, f.w})});
  EXPECT_TRUE(f.pool.equal(left, right, 4));
  EXPECT_FALSE(f.pool.equal(left, f.op("matmul", {f.x, f.v}), 1));
  EXPECT_EQ(f.op("add", {f.x, f.y}), f.op("add", {f.y, f.x}));
  EXPECT_TRUE(f.pool.is_zero(f.op("sub", {f.x, f.x})));
}

TEST(Learn, renamings_are_one_equation) {
  Fixture f;
  const auto distribute = [&](TermId a, TermId b, TermId c) {
    return Equation{f.op("mul", {a, f.op("add", {b, c})}),
                    f.op("add", {f.op("mul", {a, b}), f.op("mul", {a, c})})};
  };
  const Equation first = canonical(f.pool, distribute(f.x, f.y, f.z));
  for (const Equation& e : {distribute(f.z, f.x, f.y), distribute(f.y, f.z, f.x)}) {
    const Equation other = canonical(f.pool, e);
    EXPECT_EQ(std::minmax(other.left, other.right), std::minmax(first.left, first.right));
  }
  const Equation special = canonical(f.pool, distribute(f.x, f.y, f.y));
  EXPECT_NE(special.left, first.left);
}

TEST(Learn, common_subgraphs_become_variables_only_where_that_is_true) {
  Fixture f;
  const TermId shared = f.op("matmul", {f.x, f.v}), other = f.op("matmul", {f.x, f.w});
  const Equation sums = without_common_subgraphs(
      f.pool, {f.op("sub", {f.op("add", {shared, other}), shared}), other});
  EXPECT_EQ(f.pool.tree_size(sums.left), 2);  // (u + v) - u = v
  EXPECT_EQ(f.pool.term(sums.right).def, nullptr);
  const TermId once = f.op("relu", {f.x});
  const Equation idempotent = without_common_subgraphs(f.pool, {f.op("relu", {once}), once});
  EXPECT_EQ(idempotent.right, once);
}

TEST(Learn, generalizes_parameters_and_shapes) {
  Fixture f;
  const ir::AttrMap rows{{"axis", int64_t{0}}};
  const Equation e{f.op("relu", {f.op("concat", {f.x, f.y}, rows)}),
                   f.op("concat", {f.op("relu", {f.x}), f.op("relu", {f.y})}, rows)};
  const auto rule = Generalizer(f.pool).one(e);
  ASSERT_TRUE(rule.has_value());
  EXPECT_EQ(rule->statement(),
            "(relu (concat[axis=?p1] ?a ?b)) <=> (concat[axis=?p1] (relu ?a) (relu ?b))");
  EXPECT_TRUE(rule->exact);
  const Equation product{f.op("matmul", {f.x, f.op("add", {f.v, f.w})}),
                         f.op("add", {f.op("matmul", {f.x, f.v}), f.op("matmul", {f.x, f.w})})};
  const auto distribute = Generalizer(f.pool).one(product);
  ASSERT_TRUE(distribute.has_value());
  EXPECT_FALSE(distribute->exact);
  EXPECT_EQ(distribute->conditions.size(), 1u) << distribute->statement();
  const rules::Rule parsed = rules::parse_rule(distribute->text(), "learned", 1);
  EXPECT_TRUE(rules::check_rule(parsed, {.instances = 30, .seed = 99}).ok);
}

TEST(Learn, refuses_what_is_false) {
  Fixture f;
  const Equation sums{f.op("relu", {f.op("add", {f.x, f.y})}),
                      f.op("add", {f.op("relu", {f.x}), f.op("relu", {f.y})})};
  EXPECT_FALSE(Generalizer(f.pool).one(sums).has_value());
  const TermId s = f.input("s", {3, 3}, 2), t = f.input("t", {3, 3}, 2);
  EXPECT_FALSE(
      Generalizer(f.pool).one({f.op("matmul", {s, t}), f.op("matmul", {t, s})}).has_value());
}

TEST(Learn, judges_rules_by_strange_instances_and_by_proof) {
  Fixture f;
  Generalizer generalizer(f.pool);
  const auto rule = generalizer.one({f.op("neg", {f.op("neg", {f.x})}), f.x});
  const auto product =
      generalizer.one({f.op("matmul", {f.x, f.op("add", {f.v, f.w})}),
                       f.op("add", {f.op("matmul", {f.x, f.v}), f.op("matmul", {f.x, f.w})})});
  ASSERT_TRUE(rule && product);
  LearnedRule wrong = *rule;  // -(-x) as -x
  wrong.right = rule->left.args[0];
  wrong.both_ways = false;
  for (const LearnedRule* good : {&*rule, &*product}) {
    const Judgement j = judge_by_proof(*good);
    EXPECT_EQ(j.certificate.status, rules::Status::proved) << j.certificate.detail;
    EXPECT_EQ(judge_by_instances(*good, {.instances = 50}).refuted, Judgement::By::nobody);
    const Judgement again = judgement_from_text(to_text(j));
    EXPECT_EQ(again.certificate.status, j.certificate.status);
    EXPECT_EQ(again.certificate.detail, j.certificate.detail);
  }
  for (const Judgement& j : {judge_by_proof(wrong), judge_by_instances(wrong, {.instances = 50})}) {
    EXPECT_NE(j.refuted, Judgement::By::nobody);
    EXPECT_FALSE(j.counterexample.empty());
    EXPECT_EQ(judgement_from_text(to_text(j)).counterexample, j.counterexample);
  }
}

TEST(Learn, settles_for_what_is_proved_one_direction_if_need_be) {
  Fixture f;
  const SettleOptions options{.instances = 30, .kept_instances = 60, .judge = {.instances = 20}};
  Settler settler(f.pool, options);
  // x · (y / y) = x · 1: from right to left nothing says that y has no zero.
  const TermId quotient = f.op("div", {f.y, f.y});
  const Equation e{f.op("mul", {f.x, f.op("sub", {f.z, f.op("div", {f.x, f.x})})}),
                   f.op("sub", {f.op("mul", {f.x, f.z}), f.x})};
  const Settled settled = settler.one(e);
  ASSERT_EQ(settled.kind, Settled::Kind::proved);
  EXPECT_FALSE(settled.rule->both_ways) << settled.rule->statement();
  EXPECT_EQ(settled.certificate.status, rules::Status::proved);
  EXPECT_EQ(settler.one({f.op("mul", {f.x, quotient}), f.op("mul", {f.z, quotient})}).kind,
            Settled::Kind::refused);
  // Another one that hears of it decides the same.
  Settler other(f.pool, options);
  other.learn(settler.take_news());
  EXPECT_EQ(other.one(e).rule->text(), settled.rule->text());
  EXPECT_EQ(other.take_news(), "");
}

TEST(Learn, adverse_samples_refute_forms_that_are_too_general) {
  Fixture f;
  // At rank 2 every permutation is an involution; a cycle of three axes is none.
  const ir::AttrMap swap{{"perm", std::vector<int64_t>{1, 0}}};
  const Equation twice{f.op("transpose", {f.op("transpose", {f.x}, swap)}, swap), f.x};
  const auto rule = Generalizer(f.pool).one(twice);
  ASSERT_TRUE(rule.has_value());
  EXPECT_EQ(rule->statement(),
            "(transpose[perm=?p1] (transpose[perm=?p1] ?a)) => ?a if (= ?p1 (inverse ?p1))");
  // -(x - y) and y - x differ in the sign of zero.
  const auto negated = Generalizer(f.pool, 1000)
                           .one({f.op("neg", {f.op("sub", {f.x, f.y})}), f.op("sub", {f.y, f.x})});
  ASSERT_TRUE(negated.has_value());
  EXPECT_FALSE(negated->exact);
}

TEST(Learn, merges_two_products_of_unequal_widths) {
  Fixture f;
  const TermId u = f.input("u", {3, 5}, 2);
  const TermId merged = f.op("matmul", {f.x, f.op("concat", {f.v, u}, {{"axis", int64_t{1}}})});
  const ir::AttrMap parts{{"axis", int64_t{1}}, {"sizes", ir::Dims{4, 5}}};
  const auto rule =
      Generalizer(f.pool).pair({f.op("matmul", {f.x, f.v}), f.op("split", {merged}, parts, 0)},
                               {f.op("matmul", {f.x, u}), f.op("split", {merged}, parts, 1)});
  ASSERT_TRUE(rule.has_value());
  const std::string split =
      "(split[axis=1, sizes={(dim ?b 1), (dim ?c 1)}] (matmul ?a (concat[axis=1] ?b ?c)))";
  EXPECT_EQ(rule->statement(),
            "(matmul ?a ?b) & (matmul ?a ?c) => " + split + " & " + split + ".1");
  const rules::Rule parsed = rules::parse_rule(rule->text(), "learned", 1);
  EXPECT_TRUE(rules::check_rule(parsed, {.instances = 100, .seed = 99}).ok);
}

TEST(Learn, does_not_merge_grouped_convolutions) {
  Fixture f;
  const TermId image = f.input("i", {1, 2, 4, 3}, 3);
  const TermId k = f.input("k", {2, 2, 2, 3}, 4), r = f.input("r", {3, 2, 2, 3}, 5);
  const ir::AttrMap same{{"pads", std::vector<int64_t>{0, 1, 1, 1}}};
  const TermId both = f.op("conv", {image, f.op("concat", {k, r}, {{"axis", int64_t{0}}})}, same);
  const TermId apart =
      f.op("concat", {f.op("conv", {image, k}, same), f.op("conv", {image, r}, same)},
           {{"axis", int64_t{1}}});
  const auto rule = Generalizer(f.pool).one({apart, both});
  ASSERT_TRUE(rule.has_value());
  EXPECT_NE(rule->statement().find("group="), std::string::npos)
      << "group among the parameters: " << rule->statement();
  EXPECT_FALSE(rule->conditions.empty()) << rule->statement();
  const rules::Rule parsed = rules::parse_rule(rule->text(), "learned", 1);
  EXPECT_EQ(corpus::check_soundness(parsed, {.instances = 300}).failure, "");
}

TEST(Learn, derives_what_follows_and_nothing_else) {
  Fixture f;
  const ir::AttrMap swap{{"perm", std::vector<int64_t>{1, 0}}};
  const auto through = Generalizer(f.pool).one({f.op("relu", {f.op("transpose", {f.x}, swap)}),
                                                f.op("transpose", {f.op("relu", {f.x})}, swap)});
  const auto twice =
      Generalizer(f.pool).one({f.op("transpose", {f.op("transpose", {f.x}, swap)}, swap), f.x});
  ASSERT_TRUE(through && twice);
  RuleBase base(f.pool);
  base.add(*through);
  base.add(*twice);
  const TermId far = f.op("transpose", {f.op("relu", {f.op("transpose", {f.x}, swap)})}, swap);
  EXPECT_TRUE(base.derives({far, f.op("relu", {f.x})}, {}));
  EXPECT_FALSE(base.derives({far, f.op("relu", {f.y})}, {}));
  EXPECT_FALSE(base.derives({f.op("neg", {f.op("neg", {f.x})}), f.x}, {}));
}

TEST(Learn, repeats_to_the_byte_whatever_the_shards) {
  const std::string a = scratch_folder("a"), b = scratch_folder("b");
  auto first = options(a, 3), second = options(b, 7);
  first.processes = 3;
  second.notes = b + "/decided";
  const Synthesis one = synthesize(first), two = synthesize(second);
  EXPECT_EQ(rule_file(first, one), rule_file(second, two));
  EXPECT_GT(one.kept.size(), 40u);
  for (const rules::Certificate& c : one.certificates)
    EXPECT_EQ(c.status, rules::Status::proved) << c.name;
  EXPECT_EQ(rule_file(second, synthesize(second)), rule_file(first, one)) << "from its notes";
  // What took more steps than the limits allow, by way of rules that were dropped at last, may come
  // again.
  EXPECT_LT(synthesize(second, one.kept).kept.size(), one.kept.size() / 4);
  for (const LearnedRule& r : one.kept)
    EXPECT_NO_THROW((void)rules::parse_rule(r.text(), "learned", 1)) << r.text();

  Bank bank(vocabulary("matrix"), Growth::representatives, 1);
  bank.grow();
  EXPECT_EQ(write_shards(bank, 2, first.shards).reused, 3);
  std::filesystem::remove(std::filesystem::path(a) / "shard-1-of-3.bin");
  EXPECT_THROW((void)merge_shards(bank, 2, first.shards, {}), UserError);
  EXPECT_EQ(write_shards(bank, 2, first.shards).reused, 2);
  std::filesystem::remove_all(a);
  std::filesystem::remove_all(b);
}

}  // namespace tessera::synth
