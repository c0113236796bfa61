// SPDX-License-Identifier: Apache-2.0
// Boxes that remain when boxes that overlap a better one are dropped.
#include <algorithm>
#include <array>

#include "ops/pool_form.h"

namespace tessera::ops::records {
namespace {

struct SuppressionBox {
  double top, left, bottom, right;
};

SuppressionBox suppression_box(const Tensor& boxes, int64_t at, bool centred) {
  std::array<double, 4> v{};
  for (int64_t k = 0; k < 4; ++k) v[static_cast<size_t>(k)] = boxes.float_at(at * 4 + k);
  if (centred)  // x and y of the centre, width, height
    return {v[1] - v[3] / 2, v[0] - v[2] / 2, v[1] + v[3] / 2, v[0] + v[2] / 2};
  return {std::min(v[0], v[2]), std::min(v[1], v[3]), std::max(v[0], v[2]), std::max(v[1], v[3])};
}

bool suppression_overlap(const SuppressionBox& a, const SuppressionBox& b, double threshold) {
  const double height = std::min(a.bottom, b.bottom) - std::max(a.top, b.top);
  const double width = std::min(a.right, b.right) - std::max(a.left, b.left);
  if (height <= 0 || width <= 0) return false;
  const double common = height * width;
  const double total =
      (a.bottom - a.top) * (a.right - a.left) + (b.bottom - b.top) * (b.right - b.left) - common;
  return total > 0 && common / total > threshold;
}

double suppression_number(const Opaque::Context& c, size_t k, double fallback) {
  if (k >= c.inputs.size() || c.inputs[k] == nullptr || c.values[k]->size() == 0) return fallback;
  const Tensor& t = *c.values[k];
  return is_float(t.type()) ? t.float_at(0) : static_cast<double>(t.integer_at(0));
}

// Triples batch, class, box; within a class the better score first, equal ones by index.
std::vector<Tensor> evaluate_non_max_suppression(const Opaque::Context& c) {
  const Tensor &boxes = *c.values[0], &scores = *c.values[1];
  const bool centred = c.attrs.flag("center_point_box");
  const auto limit = static_cast<int64_t>(suppression_number(c, 2, 0));
  const double overlap = suppression_number(c, 3, 0);
  const bool bounded = c.inputs.size() > 4 && c.inputs[4] != nullptr;
  const double least = suppression_number(c, 4, 0);
  const int64_t batches = scores.shape()[0], classes = scores.shape()[1], count = scores.shape()[2];
  std::vector<int64_t> triples;
  for (int64_t batch = 0; batch < batches; ++batch) {
    for (int64_t kind = 0; kind < classes; ++kind) {
      const auto score = [&](int64_t i) {
        return scores.float_at((batch * classes + kind) * count + i);
      };
      std::vector<int64_t> order;
      for (int64_t i = 0; i < count; ++i)
        if (!bounded || score(i) > least) order.push_back(i);
      std::stable_sort(order.begin(), order.end(),
                       [&](int64_t i, int64_t j) { return score(i) > score(j); });
      std::vector<SuppressionBox> kept;
      for (int64_t i : order) {
        if (static_cast<int64_t>(kept.size()) >= limit) break;
        const SuppressionBox box = suppression_box(boxes, batch * count + i, centred);
        const bool hidden = std::any_of(kept.begin(), kept.end(), [&](const SuppressionBox& k) {
          return suppression_overlap(k, box, overlap);
        });
        if (hidden) continue;
        kept.push_back(box);
        triples.insert(triples.end(), {batch, kind, i});
      }
    }
  }
  return {Tensor::from_integers(triples, {static_cast<int64_t>(triples.size()) / 3, 3})};
}

std::vector<ir::ValueType> infer_non_max_suppression(const Opaque::Context& c) {
  const ir::ValueType &boxes = *c.inputs[0], &scores = *c.inputs[1];
  TESSERA_USER_CHECK(boxes.rank() == 3 && scores.rank() == 3 && boxes.shape[2] == sym::Expr(4) &&
                         boxes.shape[0] == scores.shape[0] && boxes.shape[1] == scores.shape[2],
                     "non_max_suppression: boxes {} do not fit scores {}", boxes.to_string(),
                     scores.to_string());
  for (size_t k = 0; k < c.inputs.size(); ++k)
    if (c.inputs[k] != nullptr && c.values[k] == nullptr)
      fail_user(ErrorKind::needs_value, "non_max_suppression: the number of boxes depends on data");
  const Tensor result = evaluate_non_max_suppression(c)[0];
  return {{DType::i64, {result.shape()[0], 3}}};
}

std::vector<Val> import_non_max_suppression(OnnxImport& c) {
  std::vector<Val> inputs;
  for (int k = 0; k < c.input_count(); ++k)
    inputs.push_back(c.has_input(k) ? c.builder().constant(c.value(k)) : Val{});
  return {c.op("non_max_suppression", inputs,
               {{"center_point_box", c.attr_int("center_point_box", 0)}})};
}

}  // namespace

OpDef non_max_suppression() {
  return {
      .name = "non_max_suppression",
      .doc = "Triples (batch, class, box) of boxes that no better box of their class overlaps.",
      .inputs = {{"boxes"},
                 {"scores"},
                 {"max_output_boxes_per_class", true},
                 {"iou_threshold", true},
                 {"score_threshold", true}},
      .attrs = {{.name = "center_point_box", .default_value = int64_t{0}}},
      .opaque =
          Opaque{.infer = infer_non_max_suppression, .evaluate = evaluate_non_max_suppression},
      .onnx = {{.op = "NonMaxSuppression",
                .since = 10,
                .import = import_non_max_suppression,
                .export_ = [](OnnxExport& c) { export_as(c, "NonMaxSuppression"); }}},
      .samples = {{{{DType::f32, {1, 4, 4}}, {DType::f32, {1, 2, 4}}, {DType::i64, {1}}}}},
  };
}

}  // namespace tessera::ops::records
