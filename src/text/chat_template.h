#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "base/gguf.h"
#include "base/json.h"
#include "text/call_forms.h"
#include "text/content_parts.h"
#include "text/template_limits.h"
#include "text/tokenizer.h"

namespace skua {

/** A Jinja chat template, parsed once. It renders as Jinja2's
 *  ImmutableSandboxedEnvironment does with trim_blocks, lstrip_blocks and loop
 *  controls, which is what Hugging Face's tokenizers use. */
class ChatTemplate {
 public:
  /** `name` stands in errors: `[name:LINE:COLUMN] ...`. Throws InvalidInput
   *  for a fault of syntax. */
  explicit ChatTemplate(std::string source, std::string name = "chat template");

  const std::string& source() const { return source_; }

  /** The text for the variables in `context`, a JSON object. Safe to call
   *  from several threads. Throws InvalidInput for what the template raises,
   *  for undefined values and wrong types, and for a limit passed. */
  std::string render(const Json& context,
                     const TemplateLimits& limits = {}) const;

  /** What it shows of a role's messages; found once. Roles other than user,
   *  system, assistant and tool are as user. */
  const ContentForms& content_forms(const std::string& role) const;
  /** How it wants messages with tool calls; found once. */
  const CallForms& call_forms() const;

 private:
  struct Parsed;
  std::string name_;
  std::string source_;
  std::shared_ptr<const Parsed> parsed_;
};

struct ChatTemplateOptions {
  /** Ends the text where the assistant's answer begins. Not used with
   *  continue_final_message. */
  bool add_generation_prompt = true;
  /** Cuts the text behind the last message's content, to go on with it. */
  bool continue_final_message = false;
  /** Passes messages on even where the template does not show their form. */
  bool messages_as_given = false;
  Json tools;                            // null or an array of tool schemas
  std::optional<std::string> bos_token;  // undefined in the template if absent
  std::optional<std::string> eos_token;
  Json extra;  // null or an object of further variables, which win
  TemplateLimits limits;
};

/** Options whose bos and eos are the tokenizer's. */
ChatTemplateOptions chat_template_options(const Tokenizer& tokenizer);

/** The prompt for `messages`, an array of objects that each have a string
 *  `role`; content and tool calls are given to the template in a form that it
 *  shows (content_parts.h, call_forms.h). Throws InvalidInput that names the
 * message, and as render does. Source: apply_chat_template of Hugging Face
 * transformers. */
std::string apply_chat_template(const ChatTemplate& chat_template,
                                const Json& messages,
                                const ChatTemplateOptions& options = {});

/** Source of the template of a model folder: chat_template.jinja, then
 *  `chat_template` of tokenizer_config.json and of chat_template.json. Of
 *  named templates the one called tool_use where `with_tools`, else default.
 *  None where the folder has no template. Throws InvalidInput. */
std::optional<std::string> find_chat_template(
    const std::filesystem::path& folder, bool with_tools = false);

/** The same for a GGUF file's metadata. */
std::optional<std::string> find_chat_template(const GgufFile& file,
                                              bool with_tools = false);

}  // namespace skua
