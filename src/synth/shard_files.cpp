// SPDX-License-Identifier: Apache-2.0
// Writes and merges shard files.
#include "synth/shard_files.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>

#include "base/check.h"
#include "base/hash.h"

namespace tessera::synth {
namespace {

namespace fs = std::filesystem;

struct Header {
  char magic[8] = {'T', 'S', 'Y', 'N', 'T', 'H', '0', '1'};
  uint64_t identity_high = 0, identity_low = 0;  ///< of vocabulary, seed, growth and operators
  uint64_t shard = 0, shards = 0, records = 0, applications = 0;
  bool operator==(const Header&) const = default;
};

Header header_of(const Bank& bank, int operators, int shard, int shards) {
  Hasher hasher;
  hasher.add(std::string_view(bank.vocabulary().name)).add(static_cast<int64_t>(bank.seed()));
  hasher.add(int64_t{operators}).add(bank.vocabulary().max_elements);
  for (const Template& t : bank.vocabulary().templates) hasher.add(std::string_view(t.to_string()));
  // The last value depends on all that came before it.
  hasher.add(static_cast<int64_t>(bank.values().size()));
  hasher.add(static_cast<int64_t>(bank.values().back().fingerprint));
  const Hash128 identity = hasher.finish();
  Header h;
  h.identity_high = identity.high;
  h.identity_low = identity.low;
  h.shard = static_cast<uint64_t>(shard);
  h.shards = static_cast<uint64_t>(shards);
  return h;
}

fs::path path_of(const ShardOptions& options, int shard) {
  return fs::path(options.folder) / fmt::format("shard-{}-of-{}.bin", shard, options.shards);
}

// The header of a complete file of this enumeration, or nothing.
std::optional<Header> read_header(const fs::path& path, Header expected) {
  std::ifstream in(path, std::ios::binary);
  Header h;
  if (!in.read(reinterpret_cast<char*>(&h), sizeof h)) return {};
  expected.records = h.records;
  expected.applications = h.applications;
  if (h != expected || fs::file_size(path) != sizeof h + h.records * sizeof(Record)) return {};
  return h;
}

Header write_shard(const Bank& bank, int operators, int k, const ShardOptions& options) {
  const Shard shard = enumerate_shard(bank, operators, k, options.shards);
  Header h = header_of(bank, operators, k, options.shards);
  h.records = shard.records.size();
  h.applications = shard.applications;
  const fs::path path = path_of(options, k), part = path.string() + ".part";
  {
    std::ofstream out(part, std::ios::binary);
    out.write(reinterpret_cast<const char*>(&h), sizeof h);
    out.write(reinterpret_cast<const char*>(shard.records.data()),
              static_cast<std::streamsize>(shard.records.size() * sizeof(Record)));
    TESSERA_USER_CHECK(out.good(), "cannot write '{}'", part.string());
  }
  fs::rename(part, path);
  return h;
}

// Reads the records of one shard in the range [begin, end] of fingerprints, from where the last
// range ended.
void read_range(std::ifstream& in, uint64_t& left, uint64_t end, std::vector<Record>& records,
                Record& ahead, bool& has_ahead) {
  while (true) {
    if (!has_ahead) {
      if (left == 0 || !in.read(reinterpret_cast<char*>(&ahead), sizeof ahead)) return;
      --left;
      has_ahead = true;
    }
    if (ahead.fingerprint > end) return;
    records.push_back(ahead);
    has_ahead = false;
  }
}

}  // namespace

ShardTotals write_shards(const Bank& bank, int operators, const ShardOptions& options) {
  fs::create_directories(options.folder);
  ShardTotals totals;
  std::mutex mutex;
  std::exception_ptr failure;
  const int begin = options.only < 0 ? 0 : options.only;
  const int end = options.only < 0 ? options.shards : options.only + 1;
  std::atomic<int> next = begin;
  int done = 0;
  const auto work = [&] {
    try {
      for (int k = next++; k < end; k = next++) {
        const auto known =
            read_header(path_of(options, k), header_of(bank, operators, k, options.shards));
        const Header h = known ? *known : write_shard(bank, operators, k, options);
        const std::lock_guard lock(mutex);
        totals.graphs += h.records;
        totals.applications += h.applications;
        totals.reused += known.has_value();
        ++done;
        if (options.progress) options.progress(done, end - begin, totals.graphs);
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      failure = std::current_exception();
      next = end;
    }
  };
  std::vector<std::thread> threads;
  for (int t = 1; t < std::min(options.threads, end - begin); ++t) threads.emplace_back(work);
  work();
  for (std::thread& t : threads) t.join();
  if (failure) std::rethrow_exception(failure);
  return totals;
}

MergeTotals merge_shards(const Bank& bank, int operators, const ShardOptions& options,
                         const std::function<void(std::span<const Record>)>& group) {
  struct Source {
    std::ifstream in;
    uint64_t left = 0;
    Record ahead;
    bool has_ahead = false;
  };
  std::vector<Source> sources(static_cast<size_t>(options.shards));
  MergeTotals totals;
  for (int k = 0; k < options.shards; ++k) {
    const fs::path path = path_of(options, k);
    const auto h = read_header(path, header_of(bank, operators, k, options.shards));
    TESSERA_USER_CHECK(h.has_value(), "'{}' is missing or belongs to another enumeration",
                       path.string());
    Source& s = sources[static_cast<size_t>(k)];
    s.in.open(path, std::ios::binary);
    s.in.seekg(sizeof(Header));
    s.left = h->records;
    totals.graphs += h->records;
  }
  std::vector<Record> own;
  for (ValueId v = 0; v < bank.values().size(); ++v)
    if (bank.uses_first_inputs(bank.values()[v].inputs))
      own.push_back({bank.values()[v].fingerprint, Recipe{bank_template, v, none, 0}.pack()});
  std::sort(own.begin(), own.end());
  totals.graphs += own.size();
  // Some two million records at a time.
  const uint64_t ranges = totals.graphs / 2'000'000 + 1;
  const uint64_t step = ~uint64_t{0} / ranges;
  std::vector<Record> records;
  size_t own_next = 0;
  for (uint64_t r = 0; r < ranges; ++r) {
    const uint64_t end = r + 1 == ranges ? ~uint64_t{0} : (r + 1) * step - 1;
    records.clear();
    for (; own_next < own.size() && own[own_next].fingerprint <= end; ++own_next)
      records.push_back(own[own_next]);
    for (Source& s : sources) read_range(s.in, s.left, end, records, s.ahead, s.has_ahead);
    std::sort(records.begin(), records.end(), [](const Record& a, const Record& b) {
      const bool a_own = Recipe::unpack(a.recipe).tmpl == bank_template;
      const bool b_own = Recipe::unpack(b.recipe).tmpl == bank_template;
      if (a.fingerprint != b.fingerprint) return a.fingerprint < b.fingerprint;
      if (a_own != b_own) return a_own;
      return a.recipe < b.recipe;
    });
    for (size_t i = 0; i < records.size();) {
      size_t j = i + 1;
      while (j < records.size() && records[j].fingerprint == records[i].fingerprint) ++j;
      ++totals.distinct;
      totals.pairs += j - i - 1;
      if (j - i > 1 && group) group(std::span(records).subspan(i, j - i));
      i = j;
    }
  }
  return totals;
}

}  // namespace tessera::synth
