// SPDX-License-Identifier: Apache-2.0
// Order of results, and jobs that do not end well.
#include "base/processes.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <stdexcept>

namespace tessera {
namespace {

TEST(Processes, results_come_in_the_order_of_the_jobs) {
  int own = 0;
  const auto job = [&](size_t k) {
    ++own;  // of the child's copy
    return std::string(k * 1000, static_cast<char>('a' + k % 26)) + std::to_string(own);
  };
  for (const int at_a_time : {1, 3, 50}) {
    const auto results = in_processes(40, job, {.at_a_time = at_a_time});
    ASSERT_EQ(results.size(), 40u);
    for (size_t k = 0; k < results.size(); ++k)
      EXPECT_EQ(results[k], std::string(k * 1000, static_cast<char>('a' + k % 26)) + "1");
  }
  EXPECT_EQ(own, 0);
  EXPECT_TRUE(in_processes(0, job).empty());
}

TEST(Processes, one_that_dies_throws_or_hangs_leaves_the_others) {
  size_t reports = 0;
  const auto results =
      in_processes(5,
                   [](size_t k) -> std::string {
                     if (k == 1) std::abort();
                     if (k == 2) throw std::runtime_error("no");
                     if (k == 3)
                       while (true) usleep(1000);
                     return std::to_string(k);
                   },
                   {.at_a_time = 2, .seconds = 1, .progress = [&](size_t) { ++reports; }});
  EXPECT_EQ(results[0], "0");
  EXPECT_EQ(results[1], std::nullopt);
  EXPECT_EQ(results[2], std::nullopt);
  EXPECT_EQ(results[3], std::nullopt);
  EXPECT_EQ(results[4], "4");
  EXPECT_EQ(reports, 5u);
}

}  // namespace
}  // namespace tessera
