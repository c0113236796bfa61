// SPDX-License-Identifier: Apache-2.0
// What the planner asks of a backend: kernels for meanings, and kernels that a library implements.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ir/meaning.h"
#include "runtime/kernel.h"
#include "tile/program.h"
#include "types/tensor.h"

namespace tessera::codegen {

/// A tensor in memory: element (i0, i1, …) lies Σ i_k · strides[k] elements from the start.
struct View {
  DType dtype = DType::f32;
  Shape shape;
  std::vector<int64_t> strides;
};

/// The strides of a row-major tensor, and of one whose axes lie in memory in the order `order`
/// (outermost first).
std::vector<int64_t> dense_strides(const Shape& shape);
std::vector<int64_t> dense_strides(const Shape& shape, const std::vector<int>& order);

/// What is applied to each element that a library kernel computes, before it is stored.
struct PostOp {
  enum class Kind : uint8_t {
    relu,
    clip,
    linear,
    sigmoid,
    swish,
    hard_swish,
    tanh,
    leaky_relu,
    elu,
    gelu,       ///< through erf
    gelu_tanh,  ///< its approximation through tanh
    add,
    mul,
    quantize,  ///< x / alpha, rounded, + beta, saturated to the destination's type; the last
  };
  Kind kind = Kind::relu;
  double alpha = 0, beta = 0;  ///< clip: bounds; linear: alpha·x + beta; slopes
  int operand = -1;            ///< of add and mul: the number of the source tensor
  bool operator==(const PostOp&) const = default;
};

/// Products of integers of 8 bits: source 0 holds u8 or i8, source 1 i8, and sums of
/// (source 0 − zero_point) · source 1 are exact in i32. A bias is added to what the scales give.
struct IntegerProducts {
  int zero_point = 0;
  std::vector<float> scales;  ///< of sums, for each channel; empty: the destination holds the sums
  int number = 0;             ///< by which a refusal names it
};

/// Arithmetic of a library kernel: f32 throughout; products of operands rounded to bf16, whose sums
/// are f32; the same on the tile registers of AMX; products of operands rounded to integers of 16
/// bits in units of their rows and columns, or the same in shorter sums and smaller units.
enum class Precision : uint8_t { f32, bf16, bf16_amx, i16, i16_short };
inline constexpr Precision reduced_precisions[] = {Precision::bf16, Precision::bf16_amx,
                                                   Precision::i16, Precision::i16_short};
/// "f32", "bf16", "bf16-amx", "i16", "i16-short"
std::string_view to_string(Precision precision);
std::optional<Precision> precision_from_string(std::string_view name);

/// What a mask that is known beforehand hides in an attention: scores so low that their weights are
/// 0, unless numbers are out of the ordinary.
struct HiddenKeys {
  std::vector<int64_t> visible;  ///< by query: keys from this one on are hidden, in every batch
  /// The score of a hidden key is at most `score` + slope · |scaled product|.
  double score = 0, slope = 0;
};

/// An instance of an operator record to be computed by a library kernel. Sources are the operator's
/// inputs (an absent one has an empty view) followed by the operands of the epilogue, which
/// broadcast to the destination.
struct LibraryRequest {
  std::string op;
  ir::AttrMap attrs;
  std::vector<View> src;
  /// Per source: a tensor whose memory begins with the view's first element when it is known, or
  /// null.
  std::vector<const Tensor*> constants;
  View dst;
  std::vector<PostOp> post;
  int threads = 1;
  bool generated_only = false;  ///< no kernel of a library from outside
  bool own_products = false;    ///< those that the operator's meaning states: no Winograd
  double flops = 0, bytes = 0;  ///< of the whole work; 0: not known
  /// Of op "tile": the program that computes it, with known sizes. Sources and destination are
  /// row-major, and may have further leading axes.
  std::shared_ptr<const tile::File> kernel;
  Precision precision = Precision::f32;
  std::shared_ptr<const IntegerProducts> integers;  ///< of conv and matmul by constants, or null
  /// Of op "attention", softmax(f(scale · q·kᵀ)) · v with sources q, kᵀ, v and those of f, whose
  /// shapes broadcast to [batch…, keys, queries]: f of the scaled product, which is its input 0,
  /// and of a number of each further source. Null: the product itself.
  std::shared_ptr<const ir::Meaning> score;
  double scale = 1;
  std::shared_ptr<const HiddenKeys> hidden;  ///< null: nothing is known to be
};

/// Whether a product or convolution has a view of bf16.
bool is_rounded(const LibraryRequest& request);

/// Convolutions of which each reads what others computed, to be run a few lines of the image at a
/// time, so that what lies between them never exists as a whole. Lines are the second last axis.
struct LineRequest {
  struct Member {
    LibraryRequest request;
    /// By source: the number of the member whose result it is (an earlier one), or -1.
    std::vector<int> made_by;
  };
  /// Bytes of weights and of lines between members that are near at a time; 0: what suits the
  /// processor, if that gains anything.
  int64_t near_bytes = 0;
  /// In the order of execution. Only the last result is stored; sources of the kernel are the
  /// members' that are not made by others, one member after the other, absent ones included.
  std::vector<Member> members;
};

/// Thread-compatible: one thread at a time makes kernels.
class Target {
 public:
  virtual ~Target() = default;
  virtual std::string name() const = 0;
  /// A kernel for each meaning; sizes are known. Sources are the meaning's inputs (row-major;
  /// absent ones are never read), destinations its outputs.
  virtual std::vector<std::shared_ptr<const runtime::Kernel>> make_loops(
      std::vector<ir::Meaning> meanings) = 0;
  /// Null when no library implements the request (in its precision). The kernel may be run after
  /// the next call of make_loops(), which may be one for no meanings.
  virtual std::shared_ptr<const runtime::Kernel> make_library(const LibraryRequest& request) = 0;
  /// Whether make_library() computes a product or convolution, in the request's precision, with
  /// views of bf16: a result that is rounded as it is stored, or a first source that was.
  virtual bool takes_rounded(const LibraryRequest&) { return false; }
  /// Whether make_lines() can compute the request as a member.
  virtual bool has_lines(const LibraryRequest&) { return false; }
  /// Nanoseconds that make_lines() is expected to gain against members one after the other; not
  /// positive where it returns null.
  virtual double gain_of_lines(const LineRequest&) { return 0; }
  /// As for make_library(), the kernel may be run after the next call of make_loops().
  virtual std::shared_ptr<const runtime::Kernel> make_lines(const LineRequest&) { return nullptr; }
};

}  // namespace tessera::codegen
