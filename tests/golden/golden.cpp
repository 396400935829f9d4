#include "tests/golden/golden.h"

#include <algorithm>

#include "models/checkpoint.h"

namespace skua::test {

std::unique_ptr<CausalLM> load_lm(const std::filesystem::path& path,
                                  Precision precision) {
  const Numerics numerics(mx::float32, precision);
  Checkpoint checkpoint = std::filesystem::is_directory(path)
                              ? open_folder(path, numerics)
                              : open_gguf(GgufFile(path), numerics, {});
  const Config& config = checkpoint.config;
  const auto& architecture =
      find_architecture(config.text("model_type"), config.where());
  auto model = architecture.build(config, checkpoint.weights);
  checkpoint.weights.check_all_taken();
  return model;
}

std::vector<float> to_host(mx::array a) {
  a = mx::contiguous(a);
  a.eval();
  return {a.data<float>(), a.data<float>() + a.size()};
}

std::int32_t argmax(const std::vector<float>& values) {
  return static_cast<std::int32_t>(std::ranges::max_element(values) -
                                   values.begin());
}

}  // namespace skua::test
