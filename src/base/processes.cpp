// SPDX-License-Identifier: Apache-2.0
// Children, and pipes to read their results from.
#include "base/processes.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>

#include "base/check.h"

namespace tessera {
namespace {

using Clock = std::chrono::steady_clock;

struct Child {
  size_t job = 0;
  pid_t id = -1;
  int pipe = -1;
  std::string text;
  Clock::time_point end;
};

[[noreturn]] void run_child(const std::function<std::string(size_t)>& job, size_t k, int pipe) {
  bool good = false;
  try {
    const std::string text = job(k);
    size_t sent = 0;
    while (sent < text.size()) {
      const ssize_t n = write(pipe, text.data() + sent, text.size() - sent);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) break;
      sent += static_cast<size_t>(n);
    }
    good = sent == text.size();
  } catch (...) {
    // The parent sees that there is no result.
  }
  _exit(good ? 0 : 1);
}

Child start(const std::function<std::string(size_t)>& job, size_t k, int seconds) {
  int ends[2];
  TESSERA_USER_CHECK(pipe(ends) == 0, "no pipe to a process can be made");
  std::fflush(nullptr);  // or the child would write again what waits here
  const pid_t id = fork();
  if (id == 0) {
    close(ends[0]);
    run_child(job, k, ends[1]);
  }
  close(ends[1]);
  if (id < 0) close(ends[0]);
  TESSERA_USER_CHECK(id > 0, "no process can be started");
  return {.job = k,
          .id = id,
          .pipe = ends[0],
          .text = {},
          .end = Clock::now() + std::chrono::seconds(seconds)};
}

// Reads what there is; false at the end.
bool receive(Child& child) {
  char buffer[4096];
  const ssize_t n = read(child.pipe, buffer, sizeof buffer);
  if (n < 0 && errno == EINTR) return true;
  if (n <= 0) return false;
  child.text.append(buffer, static_cast<size_t>(n));
  return true;
}

// True if it ended well.
bool finish(const Child& child) {
  close(child.pipe);
  int status = 0;
  while (waitpid(child.id, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// Those still running end with the caller, whatever ends it.
struct Children {
  std::vector<Child> all;
  ~Children() {
    for (const Child& c : all) {
      kill(c.id, SIGKILL);
      finish(c);
    }
  }
};

}  // namespace

std::vector<std::optional<std::string>> in_processes(size_t count,
                                                     const std::function<std::string(size_t)>& job,
                                                     const ProcessOptions& options) {
  std::vector<std::optional<std::string>> results(count);
  Children children;
  const auto most = static_cast<size_t>(std::max(1, options.at_a_time));
  size_t next = 0, done = 0;
  while (done < count) {
    while (children.all.size() < most && next < count)
      children.all.push_back(start(job, next++, options.seconds));
    std::vector<pollfd> waits;
    for (const Child& c : children.all) waits.push_back({c.pipe, POLLIN, 0});
    constexpr int tick_ms = 200;
    poll(waits.data(), waits.size(), tick_ms);
    for (size_t k = children.all.size(); k-- > 0;) {
      Child& c = children.all[k];
      const bool late = Clock::now() > c.end;
      if (late) kill(c.id, SIGKILL);
      if (!late && (waits[k].revents == 0 || receive(c))) continue;
      const Child over = std::move(c);
      children.all.erase(children.all.begin() + static_cast<long>(k));
      if (finish(over)) results[over.job] = over.text;
      if (options.progress) options.progress(++done);
      else ++done;
    }
  }
  return results;
}

}  // namespace tessera
