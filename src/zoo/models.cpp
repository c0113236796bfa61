// SPDX-License-Identifier: Apache-2.0
// The table of built-in models.
#include "zoo/models.h"

#include "base/check.h"

namespace tessera::zoo {
namespace {

void complete(const Model& model, const char* option, int64_t& setting, int64_t own) {
  TESSERA_USER_CHECK(setting == 0 || own != 0, "{} has no --{}", model.name, option);
  TESSERA_USER_CHECK(setting >= 0, "--{} must be positive, found {}", option, setting);
  if (setting == 0) setting = own;
}

}  // namespace

const std::vector<Model>& models() {
  static const std::vector<Model> table{
      {"bert_base", "encoder, 12 layers of width 768 (Devlin 2018)", 128, 12, 0, bert_base},
      {"gpt2", "decoder, 12 layers of width 768 (Radford 2019)", 128, 12, 0, gpt2},
      {"inception_v3", "convolutions in parallel branches (Szegedy 2015)", 0, 0, 299, inception_v3},
      {"llama", "decoder with RMSNorm, RoPE, grouped queries and SwiGLU (Touvron 2023), width 1024",
       128, 4, 0, llama},
      {"nasnet_a", "NASNet-A large, 6 cells a stage (Zoph 2018)", 0, 6, 331, nasnet_a},
      {"nasrnn", "a searched recurrent cell, width 512 (Zoph 2017)", 5, 0, 0, nasrnn},
      {"resnet50", "residual, with BatchNormalization (He 2015)", 0, 0, 224, resnet50},
      {"resnext50", "residual with grouped convolutions, 32x4d (Xie 2016)", 0, 0, 224, resnext50},
      {"squeezenet1_1", "fire modules (Iandola 2016)", 0, 0, 224, squeezenet1_1},
      {"unet", "latent diffusion U-Net with cross-attention (Rombach 2022), small", 77, 0, 32,
       unet},
      {"vgg19", "plain convolutions (Simonyan 2014)", 0, 0, 224, vgg19},
      {"vit_b_16", "vision transformer, 12 layers of width 768 (Dosovitskiy 2020)", 0, 12, 224,
       vit_b_16},
  };
  return table;
}

ir::Graph build(std::string_view name, Settings settings) {
  for (const Model& model : models()) {
    if (model.name != name) continue;
    TESSERA_USER_CHECK(settings.batch >= 1, "--batch must be positive, found {}", settings.batch);
    complete(model, "seq", settings.seq, model.seq);
    complete(model, "layers", settings.layers, model.layers);
    complete(model, "image", settings.image, model.image);
    return model.build(settings);
  }
  std::string known;
  for (const Model& model : models()) known += (known.empty() ? "" : ", ") + model.name;
  fail_user(ErrorKind::invalid_input, "no model '{}' in the zoo (known: {})", name, known);
}

}  // namespace tessera::zoo
