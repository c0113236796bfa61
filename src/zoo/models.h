// SPDX-License-Identifier: Apache-2.0
// The built-in models: architectures as PyTorch exports them, with seeded weights.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph.h"

namespace tessera::zoo {

/// What may be chosen; 0 means the model's default.
struct Settings {
  int64_t batch = 1;
  int64_t seq = 0;     ///< tokens, or steps of a recurrence
  int64_t layers = 0;  ///< blocks of a transformer, cells of a stage
  int64_t image = 0;   ///< height and width
  uint64_t seed = 1;   ///< of the weights
};

struct Model {
  std::string name;
  std::string doc;
  /// Defaults of the settings the model heeds; 0: it has no such thing.
  int64_t seq = 0, layers = 0, image = 0;
  ir::Graph (*build)(const Settings&) = nullptr;
};

/// All models, sorted by name.
const std::vector<Model>& models();

/// Builds a model. Throws UserError for an unknown name, for a setting that the model does not
/// heed, and for an image that is too small.
ir::Graph build(std::string_view name, Settings settings);

// One file for each family; settings are complete.
ir::Graph bert_base(const Settings& settings);
ir::Graph gpt2(const Settings& settings);
ir::Graph inception_v3(const Settings& settings);
ir::Graph llama(const Settings& settings);
ir::Graph nasnet_a(const Settings& settings);
ir::Graph nasrnn(const Settings& settings);
ir::Graph resnet50(const Settings& settings);
ir::Graph resnext50(const Settings& settings);
ir::Graph squeezenet1_1(const Settings& settings);
ir::Graph unet(const Settings& settings);
ir::Graph vgg19(const Settings& settings);
ir::Graph vit_b_16(const Settings& settings);

}  // namespace tessera::zoo
