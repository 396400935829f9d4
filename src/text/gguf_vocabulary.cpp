#include "text/gguf_vocabulary.h"

#include <cmath>

#include "skua/error.h"

namespace skua {

std::string GgufVocabulary::where(const char* name) const {
  return file_.path().string() + " " + key(name);
}

void GgufVocabulary::check_length(const char* name, std::size_t n) const {
  if (n != size())
    throw InvalidInput(where(name), "has " + std::to_string(n) +
                                        " entries, expected one for each of " +
                                        std::to_string(size()) + " tokens");
}

void GgufVocabulary::read_tokens() {
  tokens_ = file_.strings(key("tokens"));
  if (tokens_.empty())
    throw InvalidInput(where("tokens"), "is missing or empty");
  for (auto& token : tokens_)
    if (token.empty()) token = {};
  types_ = file_.integers(key("token_type"));
  if (!types_.empty()) check_length("token_type", types_.size());
}

std::vector<float> GgufVocabulary::scores() const {
  std::vector<float> scores;
  for (const double score : file_.numbers(key("scores"))) {
    if (!std::isfinite(score))
      throw InvalidInput(where("scores"), "has a score that is no number");
    scores.push_back(static_cast<float>(score));
  }
  check_length("scores", scores.size());
  return scores;
}

std::optional<std::int32_t> GgufVocabulary::special_id(const char* name) const {
  if (!file_.has(key(name))) return std::nullopt;
  const std::int64_t id = file_.integer(key(name));
  if (id < 0 || static_cast<std::size_t>(id) >= size())
    throw InvalidInput(where(name),
                       "is out of range, got " + std::to_string(id) +
                           ", expected 0 to " + std::to_string(size() - 1));
  return static_cast<std::int32_t>(id);
}

bool GgufVocabulary::wants(const char* name, bool fallback,
                           std::optional<std::int32_t> id) const {
  if (!file_.has(key(name))) return fallback && id;
  if (!file_.boolean(key(name))) return false;
  if (!id)
    throw InvalidInput(where(name), "is true, but there is no such token");
  return true;
}

}  // namespace skua
