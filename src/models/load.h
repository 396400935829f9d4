#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "models/checkpoint.h"
#include "models/model.h"
#include "models/profile.h"
#include "nn/huge_pages.h"
#include "skua/precision.h"
#include "text/chat_template.h"
#include "text/grammar.h"
#include "text/message_format.h"
#include "text/tokenizer.h"

namespace skua {

struct LoadOptions {
  /** None: as the model's skua.toml says, else kDefault. */
  std::optional<Precision> precision = {};
  /** Called while weights are read. */
  LoadProgress progress = {};
  /** Tensors that the model does not use are no error; see the audit. */
  bool allow_unused = false;
  /** Loads the checkpoint's heads too, which draft (models/mtp.h). Throws
   *  InvalidInput where it has none, or none that can be run. */
  bool mtp = false;
};

/** The compiler for a model's tokens, made when it is first wanted. */
struct Grammars {
  std::once_flag once;
  std::optional<GrammarCompiler> compiler;
};

/** A model with all that its files bring; const once loaded. */
struct LoadedModel {
  std::filesystem::path path;
  Config config;
  CheckpointInfo info;
  std::unique_ptr<CausalLM> model;
  /** Absent where a folder has none: token ids go in and out. */
  std::shared_ptr<const Tokenizer> tokenizer;
  std::optional<ChatTemplate> chat_template;
  std::set<std::int32_t> eos_ids;  // any of them ends an answer
  int context = 0;                 // most tokens of a sequence; 0: not known
  /** generation_config.json: the author's defaults. */
  Config generation_config;
  TensorAudit audit = {};
  ProfileFile profile = {};
  std::shared_ptr<Grammars> grammars = std::make_shared<Grammars>();
  /** The template of conversations with tools, where it is another one. */
  std::optional<ChatTemplate> tool_template = {};
  /** How the model writes tool calls and reasoning; never null. */
  const MessageFormat* message_format = &skua::message_format("plain");
  /** Where weights move to huge pages while the model is used already. */
  std::unique_ptr<WeightMover> mover = {};

  /** Waits until the weights stay where they are: steps are slower till then.
   */
  void wait_for_weights() const {
    if (mover) mover->wait();
  }

  /** The tokenizer. Throws Unsupported that names the folder without one. */
  const Tokenizer& need_tokenizer() const;
  /** The prompt text for chat messages. Without a template the contents are
   *  joined by line breaks. Throws InvalidInput.
   *  tools  null or the list that the template tells the model of */
  std::string render_chat(const Json& messages, const Json& tools = {}) const;
  /** Whether its chat template knows a mark of reasoning. */
  bool may_reason() const;
  /** The marker of reasoning or of a call that the answer to `prompt` begins
   *  behind; empty where there is none. */
  std::string_view open_marker(std::span<const std::int32_t> prompt) const;
  /** How many tokens the model, or if more its tokenizer, has. */
  std::int32_t n_tokens() const;
  /** The grammar for n_tokens(), kept for others as GrammarLimits bound it.
   *  Usable from several threads. Throws as need_tokenizer and
   *  GrammarCompiler::compile. */
  std::shared_ptr<const CompiledGrammar> compile(const Grammar& grammar) const;
};

/** Loads a folder (config.json, safetensors) or a .gguf file.
 *  Throws NotFound, InvalidInput, Unsupported; each names file and field. */
std::shared_ptr<const LoadedModel> load_model(const std::filesystem::path& path,
                                              const LoadOptions& options = {});

}  // namespace skua
