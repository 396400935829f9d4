#include "models/load.h"

#include <mlx/mlx.h>

#include <algorithm>

#include "base/cpu_level.h"
#include "base/thread_pool.h"
#include "kernels/primitive.h"
#include "skua/error.h"

namespace skua {
namespace {

namespace fs = std::filesystem;

Numerics numerics_for(Precision precision) {
  const bool exact = precision == Precision::kExact;
  return {exact || runs_on_cpu() ? mx::float32 : mx::bfloat16, precision};
}

// eos_token_id, one id or a list, of a config.json or generation_config.json.
void add_eos_ids(const Config& config, int vocab_size,
                 std::set<std::int32_t>& ids) {
  const Json* value = config.find("eos_token_id");
  if (value == nullptr) return;
  const auto add = [&](const Json& id) {
    if (!id.is_number_integer() || id.get<std::int64_t>() < 0 ||
        id.get<std::int64_t>() >= vocab_size) {
      throw InvalidInput(config.where(), "eos_token_id is " + dump_json(id) +
                                             ", expected 0 to " +
                                             std::to_string(vocab_size - 1));
    }
    ids.insert(id.get<std::int32_t>());
  };
  if (!value->is_array()) return add(*value);
  for (const Json& id : *value) add(id);
}

// Its end goes over that of config.json.
void read_generation_config(const fs::path& folder, LoadedModel& loaded) {
  const fs::path path = folder / "generation_config.json";
  if (!fs::exists(path)) return;
  loaded.generation_config = Config(read_json(path), path.string());
  std::set<std::int32_t> ids;
  add_eos_ids(loaded.generation_config, loaded.model->vocab_size(), ids);
  if (!ids.empty()) loaded.eos_ids = std::move(ids);
}

std::shared_ptr<const Tokenizer> find_tokenizer(const fs::path& folder) {
  return has_tokenizer(folder) ? load_tokenizer(folder) : nullptr;
}

void build(Checkpoint checkpoint, const LoadOptions& options,
           LoadedModel& loaded) {
  const Config& config = checkpoint.config;
  loaded.model = find_architecture(config.text("model_type"), config.where())
                     .build(config, checkpoint.weights);
  if (options.mtp && loaded.model->mtp() == nullptr) {
    throw InvalidInput(config.where(),
                       "model_type " + config.text("model_type") +
                           " has no heads for multi-token prediction here, "
                           "expected some for mtp; leave mtp out");
  }
  if (!options.allow_unused) checkpoint.weights.check_all_taken();
  loaded.audit = checkpoint.weights.audit();
  const Config text =
      config.has("text_config") ? config.section("text_config") : config;
  loaded.context = text.size_or("max_position_embeddings", 0);
  loaded.info = std::move(checkpoint.info);
  loaded.mover = checkpoint.weights.take_mover();
}

}  // namespace

const Tokenizer& LoadedModel::need_tokenizer() const {
  if (!tokenizer) {
    throw Unsupported(path.string(),
                      "has no tokenizer.json, tokenizer.model or *.tiktoken, "
                      "expected one beside the weights to turn text into "
                      "tokens");
  }
  return *tokenizer;
}

bool LoadedModel::may_reason() const {
  const auto& shown = tool_template ? tool_template : chat_template;
  return shown &&
         std::ranges::any_of(message_format->reasoning, [&](const auto& marks) {
           return shown->source().find(marks.close) != std::string::npos;
         });
}

std::string_view LoadedModel::open_marker(
    std::span<const std::int32_t> prompt) const {
  // Longer than every mark.
  constexpr std::size_t kTailTokens = 64;
  return skua::open_marker(
      *message_format, need_tokenizer().decode(
                           prompt.last(std::min(prompt.size(), kTailTokens))));
}

std::int32_t LoadedModel::n_tokens() const {
  return std::max(model->vocab_size(), need_tokenizer().size());
}

std::shared_ptr<const CompiledGrammar> LoadedModel::compile(
    const Grammar& grammar) const {
  std::call_once(grammars->once, [this] {
    grammars->compiler.emplace(need_tokenizer(), eos_ids, n_tokens());
  });
  return grammars->compiler->compile(grammar);
}

std::string LoadedModel::render_chat(const Json& messages,
                                     const Json& tools) const {
  const Tokenizer& tokens = need_tokenizer();
  if (!chat_template) {
    std::string text;
    for (const Json& message : messages) {
      if (!text.empty()) text += '\n';
      text += message.at("content").get<std::string>();
    }
    return text;
  }
  ChatTemplateOptions options = chat_template_options(tokens);
  options.tools = tools;
  const bool with_tools = !tools.is_null() && tool_template;
  return apply_chat_template(with_tools ? *tool_template : *chat_template,
                             messages, options);
}

std::shared_ptr<const LoadedModel> load_model(const fs::path& path,
                                              const LoadOptions& options) {
  // A bad setting is said before the weights are read.
  static_cast<void>(wants_huge_pages());
  if (runs_on_cpu()) {
    mx::set_compile_mode(mx::CompileMode::disabled);
    static_cast<void>(cpu_level());
    static_cast<void>(thread_count());
  }
  if (!fs::exists(path))
    throw NotFound(path.string(), "is neither a folder nor a file");
  ProfileFile profile = read_profile(path);
  const Numerics numerics = numerics_for(options.precision.value_or(
      profile.profile.precision.value_or(Precision::kDefault)));
  auto loaded =
      std::make_shared<LoadedModel>(LoadedModel{path,
                                                Config(Json::object(), ""),
                                                {},
                                                nullptr,
                                                nullptr,
                                                {},
                                                {},
                                                0,
                                                Config(Json::object(), "")});
  const auto read_text_side = [&](const auto& source) {
    const std::string name = path.string() + " chat template";
    const auto text = find_chat_template(source);
    const auto with_tools = find_chat_template(source, true);
    if (text) loaded->chat_template.emplace(*text, name);
    if (with_tools != text) loaded->tool_template.emplace(*with_tools, name);
    loaded->message_format = &choose_message_format(
        "", fs::is_directory(path) ? find_tool_parser_type(path) : "",
        with_tools.value_or(""));
  };
  if (fs::is_directory(path)) {
    if (!fs::exists(path / "config.json")) {
      throw NotFound(path.string(),
                     "has no config.json, expected a model's folder");
    }
    Checkpoint checkpoint =
        open_folder(path, numerics, options.progress, options.mtp);
    loaded->config = checkpoint.config;
    build(std::move(checkpoint), options, *loaded);
    loaded->tokenizer = find_tokenizer(path);
    add_eos_ids(loaded->config, loaded->model->vocab_size(), loaded->eos_ids);
    read_generation_config(path, *loaded);
    if (loaded->tokenizer) read_text_side(path);
  } else {
    const GgufFile file(path);
    Checkpoint checkpoint = open_gguf(file, numerics, options.progress);
    loaded->config = checkpoint.config;
    build(std::move(checkpoint), options, *loaded);
    loaded->tokenizer = load_tokenizer(file);
    read_text_side(file);
  }
  profile.check_context(loaded->context);
  loaded->profile = std::move(profile);
  if (loaded->tokenizer)
    loaded->eos_ids.merge(
        std::set<std::int32_t>(loaded->tokenizer->special().eos_ids));
  if (loaded->mover) loaded->mover->start();
  return loaded;
}

}  // namespace skua
