// SPDX-License-Identifier: Apache-2.0
// Einstein summation.
#include <cctype>
#include <map>
#include <optional>

#include "ops/elementwise_form.h"

namespace tessera::ops::records {
namespace {

// Axis labels: letters, and the axes that an ellipsis stands for as 0, 1, … from the right.
struct EinsumTerm {
  std::vector<int> labels;
};

constexpr int einsum_first_letter = 64;  // below: the axes of an ellipsis

// The labels of one term of the equation; `ellipsis_rank` axes stand for "...".
EinsumTerm parse_einsum_term(const MeaningBuilder& b, std::string_view text, int ellipsis_rank) {
  EinsumTerm term;
  bool seen = false;
  for (size_t k = 0; k < text.size(); ++k) {
    if (std::isalpha(static_cast<unsigned char>(text[k]))) {
      term.labels.push_back(text[k]);
      continue;
    }
    b.check(text.substr(k, 3) == "..." && !seen, "the term '{}' is malformed", text);
    seen = true;
    k += 2;
    for (int axis = ellipsis_rank; axis-- > 0;) term.labels.push_back(axis);
  }
  return term;
}

struct EinsumEquation {
  std::vector<std::string> inputs;
  std::optional<std::string> output;
};

EinsumEquation split_einsum_equation(const MeaningBuilder& b) {
  std::string text;
  for (char c : b.string("equation"))
    if (c != ' ') text += c;
  EinsumEquation result;
  if (const size_t arrow = text.find("->"); arrow != std::string::npos) {
    result.output = text.substr(arrow + 2);
    text.resize(arrow);
  }
  for (size_t begin = 0;;) {
    const size_t comma = text.find(',', begin);
    result.inputs.push_back(text.substr(begin, comma - begin));
    if (comma == std::string::npos) break;
    begin = comma + 1;
  }
  b.check(static_cast<int>(result.inputs.size()) == b.input_count(),
          "'{}' has {} terms for {} inputs", b.string("equation"), result.inputs.size(),
          b.input_count());
  return result;
}

// The labels of the output: as stated, or the ellipsis and then every letter that appears once.
EinsumTerm einsum_output(const MeaningBuilder& b, const EinsumEquation& equation,
                         const std::map<int, int>& uses, int ellipsis_rank) {
  if (equation.output) return parse_einsum_term(b, *equation.output, ellipsis_rank);
  EinsumTerm term = parse_einsum_term(b, "...", ellipsis_rank);
  for (const auto& [label, count] : uses)
    if (label >= einsum_first_letter && count == 1) term.labels.push_back(label);
  return term;
}

void einsum_meaning(MeaningBuilder& b) {
  check_domain(b, b.common_type(), Domain::numbers);
  const EinsumEquation equation = split_einsum_equation(b);
  std::vector<EinsumTerm> terms;
  std::map<int, Size> extents;
  std::map<int, int> uses;
  int ellipsis_rank = 0;
  for (int k = 0; k < b.input_count(); ++k) {
    const std::string& text = equation.inputs[k];
    const bool has_ellipsis = text.find('.') != std::string::npos;
    const int letters = static_cast<int>(parse_einsum_term(b, text, 0).labels.size());
    const int own = has_ellipsis ? b.in(k).rank() - letters : 0;
    b.check(own >= 0 && own < einsum_first_letter, "the term '{}' is longer than rank {}", text,
            b.in(k).rank());
    terms.push_back(parse_einsum_term(b, text, own));
    b.check(static_cast<int>(terms.back().labels.size()) == b.in(k).rank(),
            "the term '{}' does not fit rank {}", text, b.in(k).rank());
    ellipsis_rank = std::max(ellipsis_rank, own);
    for (int axis = 0; axis < b.in(k).rank(); ++axis) {
      const int label = terms.back().labels[axis];
      ++uses[label];
      Size& extent = extents.try_emplace(label, 1).first->second;
      extent = broadcast(b, {extent}, {b.in(k).dim(axis)})[0];
    }
  }
  const EinsumTerm output = einsum_output(b, equation, uses, ellipsis_rank);
  Dims shape;
  std::map<int, size_t> place;
  for (int label : output.labels) {
    b.check(extents.contains(label), "the output has a label that no input has");
    b.check(place.emplace(label, shape.size()).second, "the output repeats a label");
    shape.push_back(extents.at(label));
  }
  std::vector<Size> summed;
  std::map<int, size_t> summed_place;
  for (const auto& [label, extent] : extents)
    if (!place.contains(label)) {
      summed_place.emplace(label, summed.size());
      summed.push_back(extent);
    }
  b.output(shape, [&](std::span<const Expr> i) {
    return b.reduce(ir::Reduction::sum, summed, [&](std::span<const Expr> r) {
      std::optional<Expr> product;
      for (int k = 0; k < b.input_count(); ++k) {
        Indices source;
        for (int axis = 0; axis < b.in(k).rank(); ++axis) {
          const int label = terms[k].labels[axis];
          source.push_back(b.in(k).dim(axis) == Size(1) ? b.integer(0)
                           : place.contains(label)      ? i[place.at(label)]
                                                        : r[summed_place.at(label)]);
        }
        const Expr factor = b.in(k)(source);
        product = product ? *product * factor : factor;
      }
      return *product;
    });
  });
}

}  // namespace

OpDef einsum() {
  const auto equation = [](const char* text) {
    return ir::AttrMap{{"equation", std::string(text)}};
  };
  return {
      .name = "einsum",
      .doc = "The sum of products that `equation` states, as NumPy's einsum.",
      .inputs = {{.name = "args", .variadic = true}},
      .attrs = {{.name = "equation", .kind = ir::AttrKind::string}},
      .meaning = einsum_meaning,
      .onnx = {{.op = "Einsum", .since = 12}},
      .samples = {sample({{2, 3, 4}, {2, 4, 5}}, equation("...ij, ...jk")),
                  sample({{3, 3}}, equation("ii->i")), sample({{3, 4}}, equation("ij->")),
                  sample({{2, 3}, {3, 4}, {4}}, equation("ab,bc,c->ba"))},
  };
}

}  // namespace tessera::ops::records
