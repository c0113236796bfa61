// SPDX-License-Identifier: Apache-2.0
// Affinity from the scheduler, quotas from the files of the control groups.
#include "base/processors.h"

#include <sched.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <thread>

namespace tessera {
namespace {

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

int processors_of_affinity() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

// The smallest quota of a group and its ancestors. `quota` reads that of one folder.
template <typename Quota>
int smallest(const std::string& root, std::string group, const Quota& quota) {
  int least = 1 << 20;
  while (true) {
    if (const auto q = processors_of_quota(quota(root + group))) least = std::min(least, *q);
    if (group.empty() || group == "/") return least;
    group.resize(group.rfind('/'));
  }
}

// Lines "number:controllers:path"; version 2 has number 0 and no controllers.
int processors_of_groups() {
  std::ifstream file("/proc/self/cgroup");
  int least = 1 << 20;
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const std::string group = line.substr(second + 1);
    if (controllers == ",,") {
      least = std::min(least, smallest("/sys/fs/cgroup", group, [](const std::string& folder) {
                         return first_line(folder + "/cpu.max");
                       }));
    } else if (controllers.find(",cpu,") != std::string::npos) {
      least = std::min(least, smallest("/sys/fs/cgroup/cpu", group, [](const std::string& folder) {
                         return first_line(folder + "/cpu.cfs_quota_us") + " " +
                                first_line(folder + "/cpu.cfs_period_us");
                       }));
    }
  }
  return least;
}

}  // namespace

std::optional<int> processors_of_quota(const std::string& text) {
  std::istringstream stream(text);
  double quota = 0, period = 0;
  if (!(stream >> quota >> period) || quota <= 0 || period <= 0) return std::nullopt;
  return static_cast<int>(std::clamp(quota / period, 1.0, 1e6));
}

int usable_processors() { return std::min(processors_of_affinity(), processors_of_groups()); }

}  // namespace tessera
