#pragma once

#include <cstddef>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "skua/error.h"
#include "skua/export.h"
#include "skua/generation.h"
#include "skua/kv_type.h"
#include "skua/message.h"
#include "skua/parsed_message.h"
#include "skua/precision.h"

/** Skua: load a language model and talk to it.
 *
 *    auto model = skua::Model::load("path, .gguf file or org/name");
 *    auto chat = skua::Chat(model).user("Why is the sky blue?");
 *    for (const auto& piece : model.stream(chat, {.max_tokens = 200}))
 *      std::cout << piece.text;
 *
 *  A Model and all that comes from it is to be used on the thread that loaded
 *  it. Every failure is an exception from skua/error.h. */
namespace skua {

class BatchStream;
class Chat;
class PromptCache;
class Stream;

struct ModelOptions {
  /** Called while a model is downloaded or read; both count bytes. */
  std::function<void(std::string_view what, std::uint64_t done,
                     std::uint64_t total)>
      progress = {};
  /** Polled during a download; true gives it up with an Error. */
  std::function<bool()> cancelled = {};
  // What is absent in the next seven is as the model's skua.toml says, or else
  // as their comments do.

  /** Most tokens of prompt and answer together; 0, the default: what the model
   *  allows. */
  std::optional<int> context = {};
  /** How keys and values of past tokens are stored: fewer bits take less
   *  memory and time, and round more. Default: kBf16. */
  std::optional<KvType> kv_type = {};
  /** Most past tokens that one sees: the first kv_keep (default: 4) and the
   *  newest. Memory stays bounded however long the text grows. 0, the default:
   *  all. */
  std::optional<int> max_kv_size = {};
  std::optional<int> kv_keep = {};
  /** Keys and values of tokens from this one on are stored as
   *  kv_quantized_type (kInt8, the default, or kInt4), on the CPU. -1, the
   *  default: as kv_type says. */
  std::optional<int> kv_quantize_from = {};
  std::optional<KvType> kv_quantized_type = {};
  /** How exactly weights are multiplied. Default: kDefault. */
  std::optional<Precision> precision = {};

  /** A smaller model with the same tokens, by its name, that guesses ahead
   *  where GenerationOptions::draft_tokens asks for it. */
  std::string draft = {};
  /** Loads the model's heads for multi-token prediction, which guess ahead in
   *  the place of a draft model. Only some models have them, and load() throws
   *  InvalidInput for others; without mtp they are left out. */
  bool mtp = false;
  /** Computes every token from the whole sequence anew, in float32, by plain
   *  operations and without a cache: very slow, to compare answers with. Takes
   *  no draft, no mtp and no precision but kExact. */
  bool oracle = false;
};

/** A loaded model. Copies share it. */
class SKUA_API Model {
 public:
  /** `name` is a folder with config.json and safetensors, a .gguf file, a hub
   *  name org/name[:file], or empty for the default model.
   *  A skua.toml beside the weights holds for what `options` does not say.
   *  Throws NotFound, InvalidInput, Unsupported, Error. */
  static Model load(const std::string& name, const ModelOptions& options = {});

  /** Answers the last message of `chat`, token by token. The chat keeps what
   *  the model has read, so that the next turn reads only what is new.
   *  Throws InvalidInput for options out of range, where prompt and max_tokens
   *  are more than the context, or for a chat of another model. */
  Stream stream(const Chat& chat, const GenerationOptions& options = {}) const;

  /** Continues raw text, without a chat template. */
  Stream complete(std::string_view text,
                  const GenerationOptions& options = {}) const;

  /** The same; reads only what `cache` does not hold, and leaves there what was
   *  read and written. */
  Stream complete(std::string_view text, PromptCache& cache,
                  const GenerationOptions& options = {}) const;

  /** The whole answer at once. */
  std::string generate(const Chat& chat,
                       const GenerationOptions& options = {}) const;

  /** A stream of many answers at once. */
  BatchStream batch() const;

  std::vector<std::int32_t> tokenize(std::string_view text) const;
  std::string detokenize(const std::vector<std::int32_t>& ids) const;

  /** Most tokens of prompt and answer together. */
  int context() const;

  /** Tells models apart: the architecture, and digests of configuration,
   * samples of the weights and tokenizer. The same wherever the files lie.
   * Throws NotFound or Error where they are gone. */
  std::string identity() const;

  /** What besides the weights and the options of an answer decides its text, by
   *  name: how the model is run (as skua.toml spells it: what was given, over
   *  that file, over the defaults), a digest of the chat template, and the
   *  identity of the draft model. Absent is what the model has not.
   *  Throws as identity(). */
  std::map<std::string, std::string> settings() const;

  /** Takes a step of a prompt and a step of an answer, so that later ones do
   *  not wait for weights to be read from the disk or moved to huge pages, or
   *  for threads to start.
   *  Leaves nothing behind. Returns how many seconds it took. */
  double warm_up() const;

  /** The defaults with what the model's generation_config.json says: how to
   *  sample where do_sample is true, penalties, and max_new_tokens; with the
   *  prefill_chunk of its skua.toml; and with a draft model or mtp, drafts of 4
   *  tokens. What the caller sets goes over them. */
  GenerationOptions default_options() const;

 private:
  friend class BatchStream;
  friend class Chat;
  friend class PromptCache;
  friend class Stream;
  struct State;
  struct Answer;
  std::unique_ptr<Answer> answer(const Chat& chat,
                                 const GenerationOptions& options) const;
  std::unique_ptr<Answer> answer(std::string_view text,
                                 const GenerationOptions& options) const;
  std::unique_ptr<Answer> answer(std::string_view text,
                                 const PromptCache& cache,
                                 const GenerationOptions& options) const;
  explicit Model(std::shared_ptr<const State> state);
  std::shared_ptr<const State> state_;
};

/** What a model has read of a text, for the next text that begins alike.
 *  Copies share it. */
class SKUA_API PromptCache {
 public:
  explicit PromptCache(const Model& model);

  int n_tokens() const;
  /** Writes a file that load() and mlx-lm read.
   *  Throws InvalidInput if nothing was read or a stream still reads,
   *  Unsupported for an oracle, which remembers nothing, Error. */
  void save(const std::string& path) const;
  /** Takes what save() or mlx-lm wrote in the place of what it held.
   *  Throws NotFound, Error, Unsupported for an oracle, or InvalidInput that
   *  names the difference where the file is damaged or of another model,
   *  tokenizer or cache, or a stream still reads; what it held is then still
   *  there. */
  void load(const std::string& path);

 private:
  friend class Chat;
  friend class Model;
  struct State;
  void check_free() const;
  Model model_;
  std::shared_ptr<State> state_;
};

/** The messages of a conversation, and what the model has read of it. Copies
 *  go their own ways, but share what was read: of two that go on in turn, each
 *  reads again from where they part. */
class SKUA_API Chat {
 public:
  explicit Chat(const Model& model);

  Chat& system(std::string text) { return add("system", std::move(text)); }
  Chat& user(std::string text) { return add("user", std::move(text)); }
  Chat& assistant(std::string text) {
    return add("assistant", std::move(text));
  }
  /** An answer in its parts, as Stream::parts() has it. A chat template gets
   *  its calls in the form that it shows; one that shows none loses them, and
   *  is better given the answer's whole text. */
  Chat& assistant(ParsedMessage answer);
  /** What came of a call of the last answer. */
  Chat& tool(const ToolCall& call, std::string result);
  /** These throw InvalidInput where a text is no UTF-8, or a call's arguments
   *  are no JSON. */
  Chat& add(std::string role, std::string text);
  Chat& add(Message message);

  const std::vector<Message>& messages() const { return messages_; }
  /** What the model has read of the messages. */
  PromptCache& cache() { return cache_; }
  /** The prompt text that the messages, and the tools of `options`, come to. */
  std::string prompt(const GenerationOptions& options = {}) const;

 private:
  friend class Model;
  Model model_;
  std::vector<Message> messages_;
  PromptCache cache_;
};

/** An answer on its way. Each step computes one token. */
class SKUA_API Stream {
 public:
  Stream(Stream&&) noexcept;
  Stream& operator=(Stream&&) noexcept;
  ~Stream();

  /** The next piece; none once the answer has ended. */
  std::optional<Piece> next();
  /** Ends the answer: next() gives what was held back, then nothing. May be
   *  called on any thread, also while next() reads the prompt. */
  void cancel();

  FinishReason finish_reason() const;
  GenerationStats stats() const;
  /** What the pieces so far come to, where GenerationOptions::tools are given;
   *  else empty. */
  ParsedMessage parts() const;

  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = Piece;
    using difference_type = std::ptrdiff_t;
    using pointer = const Piece*;
    using reference = const Piece&;

    const Piece& operator*() const { return *piece_; }
    const Piece* operator->() const { return &*piece_; }
    Iterator& operator++() {
      piece_ = stream_->next();
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return !piece_; }

   private:
    friend class Stream;
    explicit Iterator(Stream* stream) : stream_(stream) { ++*this; }
    Stream* stream_;
    std::optional<Piece> piece_;
  };

  Iterator begin() { return Iterator(this); }
  std::default_sentinel_t end() const { return {}; }

 private:
  friend class Model;
  struct State;
  explicit Stream(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/** Answers to many prompts on their way, each with its own options. Each step
 *  computes a token of every row that answers; a row has the text it would
 *  have alone. */
class SKUA_API BatchStream {
 public:
  BatchStream(BatchStream&&) noexcept;
  BatchStream& operator=(BatchStream&&) noexcept;
  ~BatchStream();

  /** Adds a row, which joins at the next step, and returns its number: 0, 1,
   *  and so on. One whose prompt or options are refused fails alone, as
   *  error() tells. */
  std::size_t add(const Chat& chat, const GenerationOptions& options = {});
  /** The same for raw text, without a chat template. */
  std::size_t add(std::string_view text, const GenerationOptions& options = {});

  struct Event {
    std::size_t row = 0;
    /** None: the row has ended, and its memory is free again. */
    std::optional<Piece> piece = {};
  };
  /** The next piece or end of any row; none once all rows have ended. */
  std::optional<Event> next();
  /** Ends a row, if it goes on. May be called on any thread. */
  void cancel(std::size_t row);

  /** kNone while the row goes on. These throw InvalidInput for a row that
   *  there is not. */
  FinishReason finish_reason(std::size_t row) const;
  GenerationStats stats(std::size_t row) const;
  /** As of a Stream. */
  ParsedMessage parts(std::size_t row) const;
  /** What made the row fail. */
  std::optional<std::string> error(std::size_t row) const;

 private:
  friend class Model;
  struct State;
  explicit BatchStream(std::unique_ptr<State> state);
  template <class Prompt>
  std::size_t add_row(const Prompt& prompt, const GenerationOptions& options);
  std::unique_ptr<State> state_;
};

}  // namespace skua
