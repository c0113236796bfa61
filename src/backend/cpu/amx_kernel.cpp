// SPDX-License-Identifier: Apache-2.0
// The kernels around the tiles of AMX.
#include "backend/cpu/pair_kernel.h"

#include <algorithm>
#include <array>

#include "backend/cpu/parallel.h"
#include "backend/cpu/row_rounding.h"
#include "base/check.h"
#include "codegen/loop_kernel.h"
#include "ops/attr_reader.h"
#include "ops/registry.h"
#include "runtime/aligned_buffer.h"

namespace tessera::backend::cpu {
namespace {

using codegen::LibraryRequest;
using codegen::View;

constexpr size_t most_operands = 14;
// Fewer rows or columns leave most of a tile empty.
constexpr int64_t fewest_rows = 4, fewest_columns = 8;

// The first operand as it lies in scratch memory: rows of numbers, which are the pixels of images
// with borders.
class RoundedImages {
 public:
  // The view's axes from the second on are those of images with `before` and `after` more pixels
  // along them; none are given for matrices.
  RoundedImages(const View& from, size_t inner, int64_t row, std::vector<int64_t> before,
                const std::vector<int64_t>& after)
      : rounding_(from, inner, row), before_(std::move(before)) {
    strides_ = rounding_.strides();
    elements_ = rounding_.rows() * rounding_.row_elements();
    const auto is_zero = [](int64_t n) { return n == 0; };
    if (std::all_of(before_.begin(), before_.end(), is_zero) &&
        std::all_of(after.begin(), after.end(), is_zero))
      return;
    int64_t stride = rounding_.row_elements();
    for (size_t k = before_.size(); k-- > 0;) {
      const int64_t extent = from.shape[2 + k];
      strides_[2 + k] = stride;
      origin_ += before_[k] * stride;
      extents_.insert(extents_.begin(), extent);
      bordered_.insert(bordered_.begin(), before_[k] + extent + after[k]);
      stride *= bordered_[0];
    }
    strides_[0] = stride;
    elements_ = from.shape[0] * stride;
    lines_ = elements_ / (bordered_.back() * rounding_.row_elements());
  }

  const RowRounding& rounding() const { return rounding_; }
  const std::vector<int64_t>& strides() const { return strides_; }
  int64_t elements() const { return elements_; }
  int64_t origin() const { return origin_; }  // where the first pixel lies

  // What can be rounded on its own: rows, or lines of images.
  int64_t parts() const { return lines_ == 0 ? rounding_.rows() : lines_; }
  void round(const float* from, uint16_t* to, int64_t begin, int64_t end) const {
    if (lines_ == 0) return rounding_.round(from, to, begin, end);
    for (int64_t line = begin; line < end; ++line) round_line(from, to, line);
  }

 private:
  // A line of an image, number `line` of all with those of the borders.
  void round_line(const float* from, uint16_t* to, int64_t line) const {
    const int64_t row = rounding_.row_elements(), pixels = bordered_.back();
    uint16_t* begin = to + line * pixels * row;
    int64_t rest = line, source = 0, scale = 1;  // the line's number without borders
    bool inside = true;
    for (size_t k = bordered_.size() - 1; k-- > 0;) {
      const int64_t at = rest % bordered_[k] - before_[k];
      inside = inside && at >= 0 && at < extents_[k];
      source += at * scale;
      scale *= extents_[k];
      rest /= bordered_[k];
    }
    if (!inside) return std::fill(begin, begin + pixels * row, uint16_t{0});
    const int64_t extent = extents_.back(), first = (source + rest * scale) * extent;
    uint16_t* inner = begin + before_.back() * row;
    std::fill(begin, inner, uint16_t{0});
    rounding_.round(from, inner - first * row, first, first + extent);
    std::fill(inner + extent * row, begin + pixels * row, uint16_t{0});
  }

  RowRounding rounding_;
  std::vector<int64_t> strides_, before_, extents_, bordered_;
  int64_t elements_ = 0, origin_ = 0, lines_ = 0;
};

class AmxKernel : public runtime::Kernel {
 public:
  AmxKernel(const KernelShop& shop, Code code, const amx::Form& form, RoundedImages images,
            std::vector<int> operands, int threads)
      : jit_(shop.jit),
        code_(std::move(code)),
        images_(std::move(images)),
        operands_(std::move(operands)),
        implementation_("bf16 amx " + form.to_string()) {
    scratch_ = static_cast<size_t>(images_.elements() + form.slack()) * 2;
    constexpr double speed = 8;  // of f32
    const double bytes = 2.0 * static_cast<double>(form.matrix_floats());
    threads_ =
        std::min(threads, useful_threads(product_nanoseconds(form.c.flops() / speed, bytes)));
  }

  void set_packed(runtime::AlignedBuffer packed) { packed_ = std::move(packed); }
  bool reads(size_t number) const override { return number != 1; }
  std::string implementation() const override { return implementation_; }
  size_t scratch_bytes() const override { return scratch_; }

  void run(const runtime::KernelArgs& args) const override {
    TESSERA_CHECK(code_->run, "a kernel is run before it is finished");
    const int threads = std::min(args.threads, threads_);
    const auto* from = reinterpret_cast<const float*>(args.src[0]);
    auto* to = reinterpret_cast<uint16_t*>(args.scratch);
    parallel_for(threads, images_.parts(),
                 [&](int64_t begin, int64_t end) { images_.round(from, to, begin, end); });
    std::array<const std::byte*, most_operands + 2> src{
        reinterpret_cast<const std::byte*>(to + images_.origin()),
        reinterpret_cast<const std::byte*>(packed_.get())};
    for (size_t k = 0; k < operands_.size(); ++k) src[k + 2] = args.src[operands_[k]];
    parallel_for(threads, code_->rows,
                 [&](int64_t begin, int64_t end) { code_->run(src.data(), args.dst, begin, end); });
  }

 private:
  std::shared_ptr<codegen::Jit> jit_;  // owns the code
  Code code_;
  RoundedImages images_;
  std::vector<int> operands_;
  runtime::AlignedBuffer packed_;
  std::string implementation_;
  size_t scratch_ = 0;
  int threads_ = 1;
};

// How a convolution looks at its images.
struct Windows {
  std::vector<int64_t> before, after;  // pixels beyond the image that windows see
  int64_t run = 1;  // taps along the last axis that are neighbours, if groups allow that
};

Windows windows_of(const LibraryRequest& r) {
  Windows w;
  if (r.op != "conv") return w;
  const ops::AttrReader attrs(ops::registry().get("conv"), r.attrs);
  const size_t axes = r.src[0].shape.size() - 2;
  const auto list = [&](const char* name, int64_t usual, size_t count) {
    std::vector<int64_t> values = attrs.integers(name);
    if (values.empty()) values.assign(count, usual);
    TESSERA_CHECK(values.size() == count);
    return values;
  };
  const auto strides = list("strides", 1, axes), dilations = list("dilations", 1, axes),
             pads = list("pads", 0, 2 * axes);
  for (size_t k = 0; k < axes; ++k) {
    const int64_t last = (r.dst.shape[2 + k] - 1) * strides[k] +
                         (r.src[1].shape[2 + k] - 1) * dilations[k] - pads[k];
    w.before.push_back(std::max<int64_t>(pads[k], 0));
    w.after.push_back(std::max<int64_t>(last - r.src[0].shape[2 + k] + 1, 0));
  }
  if (attrs.integer("group") == 1 && dilations.back() == 1) w.run = r.src[1].shape.back();
  return w;
}

bool is_f32(const LibraryRequest& r) {
  const auto plain = [](const View& v) { return v.shape.empty() || v.dtype == DType::f32; };
  return std::all_of(r.src.begin(), r.src.end(), plain) && plain(r.dst);
}

// Borders of a few pixels around small images would be most of the work.
bool is_mostly_border(const RoundedImages& images) {
  return images.elements() > 4 * images.rounding().rows() * images.rounding().row_elements();
}

std::string key_of_form(const amx::Form& f) {
  codegen::ContractionSchedule s;
  s.columns_outer = f.by_panels;
  return fmt::format("amx {} {} {} {} {} {}|", f.row, f.taps, f.steps, f.pairs, f.height, f.pitch) +
         key_of(f.c, s);
}

}  // namespace

std::shared_ptr<const runtime::Kernel> make_amx(const LibraryRequest& r, const KernelShop& shop,
                                                const amx::Machine* machine) {
  if ((!machine && !amx::is_usable()) || !shop.unit.has_bf16 || !r.constants[1] ||
      r.src[0].shape.empty() || !is_f32(r) || (r.op != "matmul" && r.op != "conv"))
    return nullptr;
  const Windows windows = windows_of(r);
  const size_t inner = r.op == "conv" ? 1 : r.src[0].shape.size() - 1;
  const int64_t numbers = r.src[0].shape[inner], row = amx::padded_row(numbers, windows.run);
  RoundedImages images(r.src[0], inner, row, windows.before, windows.after);
  LibraryRequest rounded = r;
  rounded.src[0].strides = images.strides();
  std::optional<ContractionForm> form = contraction_form(rounded);
  if (!form || form->operands.size() > most_operands || is_mostly_border(images)) return nullptr;
  if (form->contraction.row_count() < fewest_rows ||
      form->contraction.column.extent < fewest_columns)
    return nullptr;
  const std::optional<amx::Form> cut = amx::form_of(std::move(form->contraction), numbers, row);
  if (!cut) return nullptr;
  auto kernel =
      std::make_shared<AmxKernel>(shop, shop.compile(key_of_form(*cut), amx::kernel(*cut, machine)),
                                  *cut, std::move(images), std::move(form->operands), r.threads);
  const int64_t count = amx::packed_elements(*cut);
  runtime::AlignedBuffer packed = count > 0 ? runtime::allocate_aligned(count) : nullptr;
  amx::pack_b(*cut, codegen::loose_floats(*r.constants[1]), packed.get());
  kernel->set_packed(std::move(packed));
  return kernel;
}

}  // namespace tessera::backend::cpu
