// SPDX-License-Identifier: Apache-2.0
// Members are the kernels of contractions whose rows are not joined across lines, run on the lines
// that the plan names. A window is memory in which line 0 of the image would lie before its start.
#include "backend/cpu/line_kernel.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "backend/cpu/contraction_form.h"
#include "backend/cpu/line_plan.h"
#include "backend/cpu/parallel.h"
#include "backend/cpu/winograd_kernel.h"
#include "base/check.h"
#include "codegen/loop_kernel.h"
#include "ops/attr_reader.h"
#include "ops/registry.h"
#include "runtime/aligned_buffer.h"

namespace tessera::backend::cpu {
namespace {

using codegen::Contraction;
using codegen::ContractionSchedule;
using codegen::ContractionTiles;
using codegen::LibraryRequest;
using codegen::LineRequest;

constexpr size_t most_members = 16, most_sources = 16;
// Windows and weights together, of a second-level cache of 1 MB.
constexpr int64_t usual_near_bytes = 640 << 10;

// Of the vertical axis.
struct Geometry {
  int64_t stride = 1, before = 0, span = 1;
};

Geometry geometry(const LibraryRequest& r) {
  const ops::AttrReader attrs(ops::registry().get("conv"), r.attrs);
  const auto first = [&](const char* name, int64_t fallback) {
    const std::vector<int64_t> list = attrs.integers(name);
    return list.empty() ? fallback : list[0];
  };
  return {first("strides", 1), first("pads", 0),
          (r.src[1].shape[2] - 1) * first("dilations", 1) + 1};
}

// The request as a contraction whose last two axes of rows are lines and the pixels of a line.
std::optional<ContractionForm> line_form(const LibraryRequest& r, codegen::VectorUnit unit) {
  if (r.op != "conv" || r.dst.shape.size() != 4 || !r.constants[1] ||
      r.precision != codegen::Precision::f32)
    return std::nullopt;
  std::optional<ContractionForm> form = contraction_form(r, false, true);
  if (!form || form->operands.size() + 2 > most_sources) return std::nullopt;
  Contraction& c = form->contraction;
  const size_t n = c.rows.size();
  if (!c.packed || c.reduction() == 0 || n < 2 || n > 3) return std::nullopt;
  const codegen::View &src = r.src[0], &dst = r.dst;
  const auto lies = [&](const Contraction::Axis& axis, size_t number) {
    const int64_t step = number == 2 ? geometry(r).stride : 1;
    return axis.extent == dst.shape[number] && axis.dst == dst.strides[number] &&
           axis.a == step * src.strides[number];
  };
  if (!lies(c.rows[n - 2], 2) || c.rows[n - 1].extent != dst.shape[3]) return std::nullopt;
  if (n == 3 ? !lies(c.rows[0], 0) : dst.shape[0] != 1) return std::nullopt;
  join_groups(c, unit.lanes);
  const int64_t least_columns = c.group > 0 ? unit.lanes : unit.lanes / 2;
  if (!c.batch.empty() || c.column.extent < least_columns) return std::nullopt;
  return form;
}

// One source of a member's code.
struct Source {
  int number = -1;                ///< of the kernel's sources, or
  int member = -1;                ///< whose window it is
  const float* packed = nullptr;  ///< or weights
};

struct Member {
  Code code;
  runtime::AlignedBuffer packed;
  std::vector<Source> sources;
  int64_t lines = 0, line_bytes = 0, image_bytes = 0;  ///< of the result
  int64_t line_tiles = 0, row_tiles = 0, panels = 0, strip_panels = 0;
  bool columns_outer = true;
};

class LineKernel : public runtime::Kernel {
 public:
  LineKernel(std::shared_ptr<codegen::Jit> jit, std::vector<Member> members, LinePlan plan,
             int64_t images, std::vector<bool> reads)
      : jit_(std::move(jit)),
        members_(std::move(members)),
        plan_(std::move(plan)),
        images_(images),
        reads_(std::move(reads)) {}

  void run(const runtime::KernelArgs& args) const override {
    const auto work = [&](int64_t begin, int64_t end) {
      for (int64_t band = begin; band < end; ++band)
        for (int64_t image = 0; image < images_; ++image)
          run_band(args, static_cast<size_t>(band), image);
    };
    parallel_for(args.threads, static_cast<int64_t>(plan_.bands.size()), work);
  }

  size_t scratch_bytes() const override {
    return plan_.bands.size() * static_cast<size_t>(plan_.bytes);
  }
  bool reads(size_t number) const override { return reads_[number]; }
  std::string implementation() const override {
    return fmt::format("lines of {} convolutions, {} steps", members_.size(),
                       plan_.bands[0].size());
  }

 private:
  void run_band(const runtime::KernelArgs& args, size_t band, int64_t image) const {
    std::array<std::byte*, most_members> windows;
    std::array<int64_t, most_members> starts{};  // where line 0 of image 0 would lie, in bytes
    std::byte* next = args.scratch + band * static_cast<size_t>(plan_.bytes);
    for (size_t m = 0; m + 1 < members_.size(); ++m) {
      windows[m] = next;
      next += (plan_.windows[m] * members_[m].line_bytes + 63) / 64 * 64;
    }
    for (const LineStep& s : plan_.bands[band]) {
      const Member& m = members_[s.member];
      std::byte* dst = args.dst[0];
      if (s.member + 1 < members_.size()) {
        std::byte* const window = windows[s.member];
        if (s.kept > 0)
          std::memmove(window, window + s.from * m.line_bytes,
                       static_cast<size_t>(s.kept * m.line_bytes));
        starts[s.member] = image * m.image_bytes + s.window * m.line_bytes;
        dst = window - starts[s.member];
      }
      std::array<const std::byte*, most_sources> src;
      for (size_t k = 0; k < m.sources.size(); ++k) {
        const Source& source = m.sources[k];
        if (source.packed) src[k] = reinterpret_cast<const std::byte*>(source.packed);
        else if (source.member >= 0)
          src[k] = windows[static_cast<size_t>(source.member)] -
                   starts[static_cast<size_t>(source.member)];
        else src[k] = args.src[source.number];
      }
      run_lines(m, src.data(), &dst, image, s.first, s.end);
    }
  }

  static void run_lines(const Member& m, const std::byte* const* src, std::byte* const* dst,
                        int64_t image, int64_t first, int64_t end) {
    if (m.strip_panels > 0) return run_strips(m, src, dst, image, first, end);
    const int64_t begin_tile = (image * m.lines + first) * m.line_tiles,
                  end_tile = (image * m.lines + end) * m.line_tiles;
    if (!m.columns_outer) {
      m.code->run(src, dst, begin_tile * m.panels, end_tile * m.panels);
      return;
    }
    for (int64_t panel = 0; panel < m.panels; ++panel)
      m.code->run(src, dst, panel * m.row_tiles + begin_tile, panel * m.row_tiles + end_tile);
  }

  // (Of a strip the tiles of all lines follow each other.)
  static void run_strips(const Member& m, const std::byte* const* src, std::byte* const* dst,
                         int64_t image, int64_t first, int64_t end) {
    for (int64_t panel = 0; panel < m.panels; panel += m.strip_panels) {
      const int64_t task = panel * m.row_tiles, panels = std::min(m.strip_panels, m.panels - panel);
      for (int64_t strip = 0; strip < m.line_tiles; ++strip) {
        const int64_t tile = (image * m.line_tiles + strip) * m.lines;
        m.code->run(src, dst, task + (tile + first) * panels, task + (tile + end) * panels);
      }
    }
  }

  std::shared_ptr<codegen::Jit> jit_;  // owns the code
  std::vector<Member> members_;
  LinePlan plan_;
  int64_t images_ = 1;
  std::vector<bool> reads_;
};

// A chain while it is being made.
struct Draft {
  std::vector<ContractionForm> forms;
  std::vector<ContractionSchedule> schedules;
  std::vector<LineMember> lines;
  double nanoseconds = 0;  ///< of all members, without what moves between them
  int64_t weights = 0;     ///< bytes
};

std::optional<Draft> draft_of(const LineRequest& request, codegen::VectorUnit unit) {
  if (request.members.size() < 2 || request.members.size() > most_members) return std::nullopt;
  Draft draft;
  for (const LineRequest::Member& member : request.members) {
    const LibraryRequest& r = member.request;
    std::optional<ContractionForm> form = line_form(r, unit);
    if (!form) return std::nullopt;
    const Geometry g = geometry(r);
    LineMember lines{r.dst.shape[2], 4 * r.dst.strides[2], {}};
    for (size_t k = 0; k < member.made_by.size(); ++k) {
      if (member.made_by[k] < 0) continue;
      const auto from = static_cast<size_t>(member.made_by[k]);
      // An operand of the epilogue lies where the result does.
      if (k == 0) lines.links.push_back({from, g.stride, g.before, g.span});
      else if (k > 2 && r.src[k].shape == r.dst.shape) lines.links.push_back({from});
      else return std::nullopt;
    }
    ContractionSchedule s = choose_schedule(form->contraction, unit);
    s.prefetch = false;  // weights stay near
    s.prefetch_lines = s.prefetch_lines && s.strip_panels > 0;
    if (cut_tiles(form->contraction, s).fixed_outer) return std::nullopt;
    draft.nanoseconds += product_nanoseconds(form->contraction.flops(), 0);
    draft.weights += 4 * packed_elements(form->contraction, s);
    draft.schedules.push_back(s);
    draft.lines.push_back(std::move(lines));
    draft.forms.push_back(std::move(*form));
  }
  return draft;
}

// What a chain wins against its members one after the other, in nanoseconds: results that would be
// written to the outer caches and read from there, less what is moved, computed and started more
// often, and weights that are read again.
double gain(const Draft& draft, const LinePlan& plan, int64_t images) {
  // A byte from or to the third-level cache, from the second-level one, moved in it; one more call;
  // tiles that do not reach across lines.
  constexpr double far_byte = 0.009, near_byte = 0.003, moved_byte = 0.01, start = 150,
                   narrow_tiles = 0.02;
  constexpr int64_t second_level = 512 << 10, first_level = 32 << 10;
  double won = 0, lost = narrow_tiles * draft.nanoseconds / static_cast<double>(images);
  const double share = draft.nanoseconds / static_cast<double>(draft.lines.size() * images);
  for (size_t m = 0; m < draft.lines.size(); ++m) {
    const LineMember& line = draft.lines[m];
    const int64_t bytes = line.lines * line.line_bytes;
    if (m + 1 < draft.lines.size() && bytes > second_level)
      won += 2 * static_cast<double>(bytes - second_level) * far_byte;
    lost += share * static_cast<double>(plan.computed[m] - line.lines) /
            static_cast<double>(line.lines);
    const Contraction& c = draft.forms[m].contraction;
    const ContractionTiles t = cut_tiles(c, draft.schedules[m]);
    const int64_t weights = 4 * packed_elements(c, draft.schedules[m]);
    for (const auto& band : plan.bands)
      for (const LineStep& s : band) {
        if (s.member != m) continue;
        const bool by_panels = draft.schedules[m].columns_outer;
        lost += start * static_cast<double>(by_panels ? t.panels : 1);
        if (weights > first_level && by_panels) lost += static_cast<double>(weights) * near_byte;
      }
  }
  lost += static_cast<double>(plan.moved_bytes) * moved_byte;
  return (won - lost) * static_cast<double>(images);
}

// The plan with the largest blocks whose windows stay near.
std::optional<LinePlan> choose_plan(const Draft& draft, const LineRequest& request) {
  const bool is_free = request.near_bytes == 0;
  const int64_t most = is_free ? usual_near_bytes : request.near_bytes;
  const int wanted = request.members[0].request.threads,
            threads = is_free ? std::min(wanted, useful_threads(draft.nanoseconds)) : wanted;
  const int64_t lines = draft.lines.back().lines;
  for (int64_t block = (lines + threads - 1) / threads;; block = (block + 1) / 2) {
    LinePlan plan = plan_lines(draft.lines, threads, block);
    if (plan.bytes + draft.weights <= most) return plan;
    if (block == 1) return std::nullopt;
  }
}

// Appends to `reads` whether each source from outside the chain is read.
Member make_member(const LineRequest::Member& from, const ContractionForm& form,
                   const ContractionSchedule& s, const LineShop& shop, std::vector<bool>& reads) {
  const LibraryRequest& r = from.request;
  const Contraction& c = form.contraction;
  const ContractionTiles t = cut_tiles(c, s);
  Member member;
  member.code = shop.compile(key_of(c, s), contraction_kernel(c, s));
  member.packed = runtime::allocate_aligned(packed_elements(c, s));
  shop.packings.push_back([c, s, weights = *r.constants[1], to = member.packed.get(),
                           keep = member.packed.get_deleter().owner] {
    pack_b(c, s, codegen::loose_floats(weights), to);
  });
  std::vector<int> number_of(from.made_by.size(), -1);  // of the kernel's sources
  for (size_t k = 0; k < from.made_by.size(); ++k) {
    if (from.made_by[k] >= 0) continue;
    number_of[k] = static_cast<int>(reads.size());
    reads.push_back(k != 1);
  }
  const auto source = [&](int k) {
    const auto at = static_cast<size_t>(k);
    return Source{number_of[at], from.made_by[at], k == 1 ? member.packed.get() : nullptr};
  };
  member.sources = {source(form.a), source(form.b)};
  for (int k : form.operands) member.sources.push_back(source(k));
  member.lines = r.dst.shape[2];
  member.line_bytes = 4 * r.dst.strides[2];
  member.image_bytes = 4 * r.dst.strides[0];
  member.line_tiles = static_cast<int64_t>(t.inner.size());
  member.row_tiles = t.row_tiles();
  member.panels = t.panels;
  member.strip_panels = s.strip_panels;
  member.columns_outer = s.columns_outer;
  return member;
}

}  // namespace

bool fits_lines(const LibraryRequest& r, codegen::VectorUnit unit) {
  const auto form = line_form(r, unit);
  if (!form) return false;
  if (cut_tiles(form->contraction, choose_schedule(form->contraction, unit)).fixed_outer)
    return false;
  const bool is_square = r.src[1].shape[2] == 3 && r.src[1].shape[3] == 3;
  if (!is_square || r.own_products || form->contraction.group > 0) return true;
  const auto joined = contraction_form(r);
  return joined && !winograd_form(r, *joined);
}

double gain_of_lines(const LineRequest& request, codegen::VectorUnit unit) {
  const std::optional<Draft> draft = draft_of(request, unit);
  const std::optional<LinePlan> plan = draft ? choose_plan(*draft, request) : std::nullopt;
  return plan ? gain(*draft, *plan, request.members[0].request.dst.shape[0]) : 0;
}

std::shared_ptr<const runtime::Kernel> make_line_kernel(const LineRequest& request,
                                                        const LineShop& shop) {
  const std::optional<Draft> draft = draft_of(request, shop.unit);
  if (!draft) return nullptr;
  const std::optional<LinePlan> plan = choose_plan(*draft, request);
  const int64_t images = request.members[0].request.dst.shape[0];
  if (!plan || (request.near_bytes == 0 && gain(*draft, *plan, images) <= 0)) return nullptr;
  std::vector<Member> members;
  std::vector<bool> reads;
  for (size_t m = 0; m < draft->forms.size(); ++m)
    members.push_back(
        make_member(request.members[m], draft->forms[m], draft->schedules[m], shop, reads));
  return std::make_shared<LineKernel>(shop.jit, std::move(members), *plan, images,
                                      std::move(reads));
}

}  // namespace tessera::backend::cpu
