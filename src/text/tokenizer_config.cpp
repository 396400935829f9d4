#include "text/tokenizer_config.h"

#include <charconv>

#include "base/json.h"
#include "base/quote.h"
#include "skua/error.h"

namespace skua {
namespace {

namespace fs = std::filesystem;

// One of the files; its members are absent where they are null.
class Config {
 public:
  explicit Config(const fs::path& path)
      : where_(path.string()), root_(read_json(path)) {
    if (!root_.is_object()) throw InvalidInput(where_, "is not a JSON object");
  }

  const Json* find(const char* key) const {
    const auto found = root_.find(key);
    return found == root_.end() || found->is_null() ? nullptr : &*found;
  }

  [[noreturn]] void fail(const char* key, const std::string& what) const {
    throw InvalidInput(where_ + "." + key, what);
  }

 private:
  std::string where_;
  Json root_;
};

// A token named as text or as {"content": text}; others are left alone.
void read_special(const Config& config, const char* key,
                  const TokenizerParts& parts,
                  std::optional<std::int32_t>& id) {
  const Json* value = config.find(key);
  if (!value) return;
  if (value->is_object() && value->contains("content"))
    value = &value->at("content");
  if (!value->is_string())
    config.fail(key, "is of the wrong kind, expected a token");
  const auto text = value->get<std::string>();
  if (const AddedToken* added = parts.added.find(text))
    id = added->id;
  else if (const auto found = parts.vocabulary->find(text))
    id = found;
}

// The classes whose add_bos_token and add_eos_token replace the template.
bool builds_own_template(const Config& config) {
  const Json* name = config.find("tokenizer_class");
  if (!name || !name->is_string()) return false;
  for (const char* prefix : {"Llama", "CodeLlama", "Gemma", "Cohere"})
    if (name->get<std::string>().starts_with(prefix)) return true;
  return false;
}

std::string spelling_of(const TokenizerParts& parts, std::int32_t id) {
  if (const AddedToken* added = parts.added.by_id(id)) return added->content;
  return std::string(parts.vocabulary->piece(id));
}

// What stands in front of the text or behind it, as the flag says.
void apply_flag(const Config& config, const char* key,
                std::optional<std::int32_t> id, bool in_front,
                TokenizerParts& parts) {
  const Json* flag = config.find(key);
  if (!flag) return;
  if (!flag->is_boolean())
    config.fail(key, "is of the wrong kind, expected true or false");
  if (flag->get<bool>() && !id)
    config.fail(key, "is true, but there is no such token");
  TemplatePiece token;
  if (flag->get<bool>()) {
    token.ids = {*id};
    token.tokens = {spelling_of(parts, *id)};
  }
  parts.post_processor.surround(token, in_front);
}

}  // namespace

std::vector<AddedToken> read_config_tokens(const fs::path& folder) {
  constexpr std::int32_t kMaxId = 1 << 24;
  const fs::path path = folder / "tokenizer_config.json";
  std::vector<AddedToken> tokens;
  if (!fs::exists(path)) return tokens;
  const Config config(path);
  constexpr const char* kKey = "added_tokens_decoder";
  const Json* list = config.find(kKey);
  if (!list) return tokens;
  if (!list->is_object()) config.fail(kKey, "is no object");
  for (const auto& [id, item] : list->items()) {
    AddedToken token;
    const auto [end, error] =
        std::from_chars(id.data(), id.data() + id.size(), token.id);
    const auto flag = [&](const char* name, bool fallback) {
      const auto found = item.find(name);
      return found != item.end() && found->is_boolean() ? found->get<bool>()
                                                        : fallback;
    };
    if (error != std::errc() || end != id.data() + id.size() || token.id < 0 ||
        token.id >= kMaxId || !item.is_object() ||
        !item.value("content", Json()).is_string())
      config.fail(kKey, "has at " + quote(id) + " no token");
    token.content = item["content"].get<std::string>();
    token.single_word = flag("single_word", false);
    token.lstrip = flag("lstrip", false);
    token.rstrip = flag("rstrip", false);
    token.special = flag("special", false);
    token.normalized = flag("normalized", !token.special);
    tokens.push_back(std::move(token));
  }
  return tokens;
}

void read_tokenizer_config(const fs::path& folder, bool flags_count,
                           TokenizerParts& parts) {
  for (const char* name :
       {"special_tokens_map.json", "tokenizer_config.json"}) {
    if (!fs::exists(folder / name)) continue;
    const Config config(folder / name);
    SpecialTokens& special = parts.special;
    read_special(config, "bos_token", parts, special.bos);
    read_special(config, "eos_token", parts, special.eos);
    read_special(config, "unk_token", parts, special.unk);
    read_special(config, "pad_token", parts, special.pad);
    if (!flags_count && !builds_own_template(config)) continue;
    apply_flag(config, "add_bos_token", special.bos, true, parts);
    apply_flag(config, "add_eos_token", special.eos, false, parts);
  }
}

}  // namespace skua
