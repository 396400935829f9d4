#pragma once

#include <cstddef>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "skua/error.h"
#include "skua/export.h"
#include "skua/generation.h"
#include "skua/kv_type.h"
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

class Chat;
class Stream;

struct ModelOptions {
  /** Called while a model is downloaded or read; both count bytes. */
  std::function<void(std::string_view what, std::uint64_t done,
                     std::uint64_t total)>
      progress = {};
  /** Polled during a download; true gives it up with an Error. */
  std::function<bool()> cancelled = {};
  /** Most tokens of prompt and answer together; 0: what the model allows. */
  int context = 0;
  /** How keys and values of past tokens are stored: fewer bits take less
   *  memory and time, and round more. */
  KvType kv_type = KvType::kBf16;
  /** How exactly weights are multiplied. */
  Precision precision = Precision::kDefault;
};

/** A loaded model. Copies share it. */
class SKUA_API Model {
 public:
  /** `name` is a folder with config.json and safetensors, a .gguf file, a hub
   *  name org/name[:file], or empty for the default model.
   *  Throws NotFound, InvalidInput, Unsupported, Error. */
  static Model load(const std::string& name, const ModelOptions& options = {});

  /** Answers the last message of `chat`, token by token. The chat keeps what
   *  the model has read, so that the next turn reads only what is new.
   *  Throws InvalidInput for options out of range or a prompt that is longer
   *  than the context. */
  Stream stream(const Chat& chat, const GenerationOptions& options = {}) const;

  /** Continues raw text, without a chat template. */
  Stream complete(std::string_view text,
                  const GenerationOptions& options = {}) const;

  /** The whole answer at once. */
  std::string generate(const Chat& chat,
                       const GenerationOptions& options = {}) const;

  std::vector<std::int32_t> tokenize(std::string_view text) const;
  std::string detokenize(const std::vector<std::int32_t>& ids) const;

  /** Most tokens of prompt and answer together. */
  int context() const;

  /** The defaults with what the model's generation_config.json says: how to
   *  sample where do_sample is true, penalties, and max_new_tokens. What the
   *  caller sets goes over them. */
  GenerationOptions default_options() const;

 private:
  friend class Chat;
  friend class Stream;
  struct State;
  struct Answer;
  std::unique_ptr<Answer> answer(const Chat& chat,
                                 const GenerationOptions& options) const;
  std::unique_ptr<Answer> answer(std::string_view text,
                                 const GenerationOptions& options) const;
  explicit Model(std::shared_ptr<const State> state);
  std::shared_ptr<const State> state_;
};

struct Message {
  std::string role;  // system, user or assistant
  std::string content;
};

/** The messages of a conversation, and what the model has read of it. Copies
 *  go their own ways. */
class SKUA_API Chat {
 public:
  explicit Chat(const Model& model);

  Chat& system(std::string text) { return add("system", std::move(text)); }
  Chat& user(std::string text) { return add("user", std::move(text)); }
  Chat& assistant(std::string text) {
    return add("assistant", std::move(text));
  }
  /** Throws InvalidInput where the text is no UTF-8. */
  Chat& add(std::string role, std::string text);

  const std::vector<Message>& messages() const { return messages_; }
  /** The prompt text that the messages come to. */
  std::string prompt() const;

 private:
  friend class Model;
  friend class Stream;
  struct Memory;
  Model model_;
  std::vector<Message> messages_;
  std::shared_ptr<Memory> memory_;
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

}  // namespace skua
