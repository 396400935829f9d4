#include "generate/model_options.h"

#include "generate/options.h"
#include "skua/error.h"

namespace skua {

GenerationOptions model_options(const LoadedModel& model) {
  const Config& config = model.generation_config;
  Json given = Json::object();
  const auto take = [&](const char* theirs, const char* ours) {
    if (const Json* value = config.find(theirs)) given[ours] = *value;
  };
  if (config.flag_or("do_sample", false)) {
    given["temperature"] = 1;
    take("temperature", "temperature");
    take("top_p", "top_p");
    take("top_k", "top_k");
    take("min_p", "min_p");
    take("typical_p", "typical_p");
  }
  take("no_repeat_ngram_size", "no_repeat_ngram");
  take("suppress_tokens", "suppress_ids");
  take("min_new_tokens", "min_tokens");
  take("max_new_tokens", "max_tokens");
  if (config.has("repetition_penalty")) {
    take("repetition_penalty", "repetition_penalty");
    given["repetition_window"] = 0;
  }
  try {
    return read_options(given, {}, model.model->vocab_size());
  } catch (const InvalidInput& error) {
    throw InvalidInput(config.where(), error.what());
  }
}

}  // namespace skua
