#include "api/state.h"
#include "base/model_path.h"
#include "generate/model_options.h"
#include "generate/options.h"
#include "models/load.h"
#include "skua/skua.h"
#include "text/utf8.h"

namespace skua {

namespace {

void check_utf8(std::string_view text, const std::string& what) {
  const std::size_t at = find_invalid_utf8(text);
  if (at != text.npos) {
    throw InvalidInput(what, "is not UTF-8 at byte " + std::to_string(at + 1) +
                                 "; convert it, for example with iconv");
  }
}

}  // namespace

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
  load_options.precision = options.precision;
  auto state = std::make_shared<State>();
  state->loaded = load_model(resolve_model(name, pull_options), load_options);
  const int most = state->loaded->context;
  if (options.context < 0 || (most != 0 && options.context > most)) {
    throw InvalidInput(
        "options",
        "context is " + std::to_string(options.context) + ", expected " +
            (most == 0 ? "0 or more"
                       : "0 to the model's " + std::to_string(most)));
  }
  state->context = options.context != 0 ? options.context : most;
  state->cache = std::make_shared<Cache>(
      state->loaded->model->make_cache(options.kv_type));
  return Model(std::move(state));
}

GenerationOptions Model::default_options() const {
  return model_options(*state_->loaded);
}

int Model::context() const {
  return state_->context;
}

std::unique_ptr<Model::Answer> Model::answer(
    const Chat& chat, const GenerationOptions& options) const {
  const LoadedModel& loaded = *state_->loaded;
  const bool bos_in_text = loaded.chat_template.has_value();
  std::vector<std::int32_t> prompt = loaded.need_tokenizer().encode(
      chat.prompt(), {.add_special = !bos_in_text});
  std::optional<Session>& session = chat.memory_->session;
  if (!session) session.emplace(state_->new_session());
  auto sequence = std::make_shared<Sequence>(
      state_->loaded, std::move(*session), std::move(prompt), options);
  session.reset();
  return std::unique_ptr<Answer>(new Answer{std::move(sequence), chat.memory_});
}

std::unique_ptr<Model::Answer> Model::answer(
    std::string_view text, const GenerationOptions& options) const {
  check_utf8(text, "prompt");
  return std::unique_ptr<Answer>(new Answer{
      std::make_shared<Sequence>(state_->loaded, state_->new_session(),
                                 state_->loaded->need_tokenizer().encode(text),
                                 options, TextStart::kContinues),
      nullptr});
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

Chat::Chat(const Model& model)
    : model_(model), memory_(std::make_shared<Memory>()) {}

Chat& Chat::add(std::string role, std::string text) {
  check_utf8(text, role + " message");
  messages_.push_back({std::move(role), std::move(text)});
  return *this;
}

std::string Chat::prompt() const {
  Json messages = Json::array();
  for (const Message& m : messages_)
    messages.push_back({{"role", m.role}, {"content", m.content}});
  return model_.state_->loaded->render_chat(messages);
}

}  // namespace skua
