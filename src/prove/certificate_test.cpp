// SPDX-License-Identifier: Apache-2.0
// A sample of the certificates beside the rules, found again; all of them: tessera rules prove
// --check --all.
#include "prove/certificate.h"

#include <gtest/gtest.h>

namespace tessera::prove {
namespace {

constexpr size_t stride = 17;  // a sample that takes some seconds

TEST(Certificate, proofs_repeat) {
  const rules::Certificates certificates = rules::read_certificates("rules");
  const std::vector<rules::Rule> all = rules::read_rules("rules");
  int proved = 0;
  for (size_t k = 0; k < all.size(); k += stride) {
    const auto at = certificates.find(rules::certificate_hash(all[k]).to_string());
    if (at == certificates.end() || at->second.status == rules::Status::tested) continue;
    const auto again = certificate_of(prove_both_ways(all[k]));
    ASSERT_TRUE(again.has_value()) << all[k].name;
    EXPECT_EQ(again->status, at->second.status) << all[k].name;
    EXPECT_EQ(again->detail, at->second.detail) << all[k].name;
    ++proved;
  }
  EXPECT_GT(proved, 5);
}

TEST(Certificate, changes_with_the_rule) {
  const rules::Rule a = rules::parse_rule("a : (mul ?x 1) => ?x mode exact", "test", 1);
  const rules::Rule b = rules::parse_rule("a : (mul ?x 2) => ?x mode exact", "test", 1);
  EXPECT_NE(rules::certificate_hash(a).to_string(), rules::certificate_hash(b).to_string());
  EXPECT_TRUE(certificate_of(prove_both_ways(a)).has_value());
  EXPECT_FALSE(certificate_of(prove_both_ways(b)).has_value());
}

}  // namespace
}  // namespace tessera::prove
