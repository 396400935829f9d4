#include <chrono>

#include "api/state.h"
#include "base/model_path.h"
#include "base/quote.h"
#include "generate/cache_identity.h"
#include "generate/model_options.h"
#include "generate/options.h"
#include "generate/warm_up.h"
#include "models/load.h"
#include "skua/skua.h"
#include "text/chat_messages.h"
#include "text/tool_choice.h"
#include "text/utf8.h"

namespace skua {
namespace {

// Of a draft model or heads. More are seldom right, and each costs a step of
// it.
constexpr int kDraftTokens = 4;

void check_utf8(std::string_view text, const std::string& what) {
  const std::size_t at = find_invalid_utf8(text);
  if (at != text.npos) {
    throw InvalidInput(what, "is not UTF-8 at byte " + std::to_string(at + 1) +
                                 "; convert it, for example with iconv");
  }
}

Profile profile_of(const ModelOptions& options) {
  return {.precision = options.precision,
          .kv_type = options.kv_type,
          .max_kv_size = options.max_kv_size,
          .kv_keep = options.kv_keep,
          .kv_quantize_from = options.kv_quantize_from,
          .kv_quantized_type = options.kv_quantized_type,
          .context = options.context};
}

std::string identity_text(const LoadedModel& loaded) {
  const CacheIdentity identity = identity_of(loaded);
  return identity.model + ", " + identity.tokenizer;
}

// Returns the precision to load with.
std::optional<Precision> check_oracle(const ModelOptions& options) {
  if (!options.oracle) return options.precision;
  if (!options.draft.empty() || options.mtp) {
    throw InvalidInput("options",
                       "oracle is on, expected no draft and no mtp with it");
  }
  if (options.precision.value_or(Precision::kExact) != Precision::kExact) {
    throw InvalidInput("options",
                       "oracle is on, expected no precision but kExact");
  }
  return Precision::kExact;
}

// Null where there are no tools.
std::unique_ptr<MessageParser> parser_for(
    const LoadedModel& loaded, const GenerationOptions& options,
    const std::vector<std::int32_t>& prompt) {
  if (options.tools.empty()) return nullptr;
  check(options, loaded.model->vocab_size());
  const MessageFormat& format = *loaded.message_format;
  return std::make_unique<MessageParser>(
      format,
      MessageParserOptions{.tools = choose_tools(options.tools, "auto").tools,
                           .open_marker = loaded.open_marker(prompt)});
}

}  // namespace

std::unique_ptr<Model::Answer> Model::State::answer(
    std::vector<std::int32_t> prompt, const GenerationOptions& options,
    TextStart start, std::shared_ptr<PromptCache::State> memory) const {
  std::optional<Memory> none;
  std::optional<Memory>& from = memory ? memory->memory : none;
  if (from && &from->session.cache() != cache.get())
    throw InvalidInput("prompt cache", "is one of another model");
  if (!from) from.emplace(new_session());
  auto parser = parser_for(*loaded, options, prompt);
  auto sequence =
      std::make_shared<Sequence>(loaded, std::move(*from), std::move(prompt),
                                 options, start, draft ? &*draft : nullptr);
  from.reset();
  return std::make_unique<Answer>(std::move(sequence), std::move(memory),
                                  std::move(parser));
}

Model::Model(std::shared_ptr<const State> state) : state_(std::move(state)) {}

Model Model::load(const std::string& name, const ModelOptions& options) {
  PullOptions pull_options;
  LoadOptions load_options;
  pull_options.cancelled = options.cancelled;
  if (options.progress) {
    pull_options.progress = [&](const PullProgress& p) {
      options.progress(p.file, p.done_bytes, p.total_bytes);
    };
    load_options.progress = [&](std::uint64_t done, std::uint64_t total) {
      options.progress("weights", done, total);
    };
  }
  load_options.precision = check_oracle(options);
  if (options.mtp && !options.draft.empty())
    throw InvalidInput("options", "mtp is on, expected no draft with it");
  auto state = std::make_shared<State>();
  state->oracle = options.oracle;
  load_options.mtp = options.mtp;
  state->loaded = load_model(resolve_model(name, pull_options), load_options);
  load_options.mtp = false;
  state->profile = profile_of(options)
                       .over(state->loaded->profile.profile)
                       .over(default_profile());
  const Profile& profile = state->profile;
  const int most = state->loaded->context;
  const int context = *profile.context;
  if (context < 0 || (most != 0 && context > most)) {
    throw InvalidInput(
        "options",
        "context is " + std::to_string(context) + ", expected " +
            (most == 0 ? "0 or more"
                       : "0 to the model's " + std::to_string(most)));
  }
  state->context = context != 0 ? context : most;
  const CacheOptions cache_options = profile.cache_options();
  state->cache =
      std::make_shared<Cache>(state->loaded->model->make_cache(cache_options));
  if (!options.draft.empty()) {
    const auto draft =
        load_model(resolve_model(options.draft, pull_options), load_options);
    check_draft(*state->loaded, *draft);
    state->draft.emplace(draft, std::make_shared<Cache>(
                                    draft->model->make_cache(cache_options)));
  }
  return Model(std::move(state));
}

GenerationOptions Model::default_options() const {
  GenerationOptions options = model_options(*state_->loaded);
  const Profile& profile = state_->loaded->profile.profile;
  options.prefill_chunk = profile.prefill_chunk.value_or(options.prefill_chunk);
  if (state_->draft || state_->loaded->model->mtp() != nullptr)
    options.draft_tokens = kDraftTokens;
  return options;
}

int Model::context() const {
  return state_->context;
}

std::string Model::identity() const {
  return identity_text(*state_->loaded);
}

std::map<std::string, std::string> Model::settings() const {
  std::map<std::string, std::string> settings;
  for (const ProfileField& field : profile_fields())
    settings[field.name()] = field.text(state_->profile);
  if (const auto& chat_template = state_->loaded->chat_template)
    settings["chat_template"] = digest_of(chat_template->source());
  if (state_->draft) settings["draft"] = identity_text(*state_->draft->model);
  return settings;
}

double Model::warm_up() const {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  const auto warm = [](const LoadedModel& loaded, const auto& cache) {
    skua::warm_up(*loaded.model, cache);
    loaded.wait_for_weights();
  };
  warm(*state_->loaded, state_->cache);
  if (state_->draft) warm(*state_->draft->model, state_->draft->cache);
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

std::unique_ptr<Model::Answer> Model::answer(
    const Chat& chat, const GenerationOptions& options) const {
  if (chat.model_.state_ != state_)
    throw InvalidInput("chat", "is one of another model");
  const bool bos_in_text = state_->loaded->chat_template.has_value();
  return state_->answer(
      state_->loaded->need_tokenizer().encode(chat.prompt(options),
                                              {.add_special = !bos_in_text}),
      options, TextStart::kFresh, chat.cache_.state_);
}

std::unique_ptr<Model::Answer> Model::answer(
    std::string_view text, const GenerationOptions& options) const {
  check_utf8(text, "prompt");
  return state_->answer(state_->loaded->need_tokenizer().encode(text), options,
                        TextStart::kContinues, nullptr);
}

std::unique_ptr<Model::Answer> Model::answer(
    std::string_view text, const PromptCache& cache,
    const GenerationOptions& options) const {
  check_utf8(text, "prompt");
  return state_->answer(state_->loaded->need_tokenizer().encode(text), options,
                        TextStart::kContinues, cache.state_);
}

std::string Model::generate(const Chat& chat,
                            const GenerationOptions& options) const {
  std::string text;
  for (const Piece& piece : stream(chat, options)) text += piece.text;
  return text;
}

std::vector<std::int32_t> Model::tokenize(std::string_view text) const {
  return state_->loaded->need_tokenizer().encode(text);
}

std::string Model::detokenize(const std::vector<std::int32_t>& ids) const {
  return state_->loaded->need_tokenizer().decode(ids);
}

Chat::Chat(const Model& model) : model_(model), cache_(model) {}

Chat& Chat::add(std::string role, std::string text) {
  return add({.role = std::move(role), .content = std::move(text)});
}

Chat& Chat::add(Message message) {
  const std::string where = message.role + " message";
  for (const std::string* text : {&message.content, &message.reasoning,
                                  &message.tool_call_id, &message.name})
    check_utf8(*text, where);
  for (const ToolCall& call : message.tool_calls) {
    for (const std::string* text : {&call.id, &call.name})
      check_utf8(*text, where);
    parse_json(call.arguments, where + ": arguments of " + quote(call.name));
  }
  messages_.push_back(std::move(message));
  return *this;
}

Chat& Chat::assistant(ParsedMessage answer) {
  return add({.role = "assistant",
              .content = std::move(answer.content),
              .reasoning = std::move(answer.reasoning),
              .tool_calls = std::move(answer.calls)});
}

Chat& Chat::tool(const ToolCall& call, std::string result) {
  return add({.role = "tool",
              .content = std::move(result),
              .tool_call_id = call.id,
              .name = call.name});
}

std::string Chat::prompt(const GenerationOptions& options) const {
  const Json tools = options.tools.empty()
                         ? Json()
                         : choose_tools(options.tools, "auto").tools;
  return model_.state_->loaded->render_chat(messages_json(messages_), tools);
}

}  // namespace skua
