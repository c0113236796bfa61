// SPDX-License-Identifier: Apache-2.0
// The checker agrees with true rules, sees false ones, and a sample of the certificates holds.
#include "audit/audit.h"

#include <gtest/gtest.h>

#include "audit/arithmetic.h"

namespace tessera::audit {
namespace {

AuditReport of(const std::string& text) {
  const rules::RuleSet set = rules::parse_rules(text, "test");
  return audit(set.rules().at(0), {});
}

TEST(Arithmetic, FieldNumbersFollowTheRationals) {
  const auto half = Field::of(0.5), three = Field::of_integer(3);
  EXPECT_EQ(Field::apply(ir::Prim::add, half, half), Field::of(1));
  EXPECT_EQ(Field::apply(ir::Prim::div, three, Field::of_integer(-6)), Field::of(-0.5));
  EXPECT_EQ(Field::of(-2.75), Field::apply(ir::Prim::neg, Field::of(2.75), 0));
  EXPECT_THROW(Field::apply(ir::Prim::max, half, three), NotDefined);
  EXPECT_THROW(Field::apply(ir::Prim::div, half, 0), NotDefined);
}

TEST(Audit, ConfirmsTrueRules) {
  const auto product =
      of("r : (matmul ?a (add ?b ?c)) => (add (matmul ?a ?b) (matmul ?a ?c)) "
         "mode real on ?a[n,k] ?b[k,m] ?c[k,m]");
  EXPECT_EQ(product.failure, "");
  EXPECT_GE(product.exact, 12);
  const auto ordered = of("r : (relu (relu ?x)) => (relu ?x) mode real");
  EXPECT_EQ(ordered.failure, "");
  EXPECT_GE(ordered.ordered, 12);
}

TEST(Audit, RefutesFalseRules) {
  EXPECT_NE(of("r : (matmul ?a ?b) => (matmul ?b ?a) mode real on ?a[n,n] ?b[n,n]").failure, "");
  EXPECT_NE(of("r : (relu (neg ?x)) => (neg (relu ?x)) mode real").failure, "");
  EXPECT_NE(of("r : (exp (add ?x ?y)) => (add (exp ?x) (exp ?y)) mode real").failure, "");
}

TEST(Audit, ARuleWhoseTextChangedHasNoCertificate) {
  const rules::RuleSet set = rules::parse_rules("r : (neg (neg ?x)) => ?x mode real", "test");
  EXPECT_NE(check_certificate(set.rules().at(0), {}, {}).problem, "");
}

// `build/release/tools/check_proofs` does all of them.
TEST(Audit, ASampleOfTheCertificatesHolds) {
  const std::string folder = "rules";
  const auto certificates = rules::read_certificates(folder);
  constexpr size_t stride = 12;
  const auto all = rules::read_rules(folder);
  for (size_t k = 0; k < all.size(); k += stride) {
    const auto r = check_certificate(all[k], certificates, {.instances = 4, .attempts = 200});
    EXPECT_EQ(r.problem, "") << r.name;
  }
}

}  // namespace
}  // namespace tessera::audit
