// SPDX-License-Identifier: Apache-2.0
// Quotas as text, and the affinity of a thread.
#include "base/processors.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <thread>

namespace tessera {
namespace {

TEST(Processors, reads_quotas_of_both_versions) {
  EXPECT_EQ(processors_of_quota("max 100000"), std::nullopt);
  EXPECT_EQ(processors_of_quota("-1 100000"), std::nullopt);
  EXPECT_EQ(processors_of_quota(""), std::nullopt);
  EXPECT_EQ(processors_of_quota(" "), std::nullopt);
  EXPECT_EQ(processors_of_quota("400000 100000"), 4);
  EXPECT_EQ(processors_of_quota("250000 100000"), 2);
  EXPECT_EQ(processors_of_quota("50000 100000"), 1);
}

TEST(Processors, honours_the_affinity_of_the_thread) {
  const int before = usable_processors();
  EXPECT_GE(before, 1);
  std::thread([] {
    cpu_set_t set;
    CPU_ZERO(&set);
    ASSERT_EQ(sched_getaffinity(0, sizeof set, &set), 0);
    for (int cpu = 0, kept = 0; cpu < CPU_SETSIZE; ++cpu)
      if (CPU_ISSET(cpu, &set) && kept++ > 0) CPU_CLR(cpu, &set);
    ASSERT_EQ(sched_setaffinity(0, sizeof set, &set), 0);
    EXPECT_EQ(usable_processors(), 1);
  }).join();
  EXPECT_EQ(usable_processors(), before);
}

}  // namespace
}  // namespace tessera
