#include "text/chat_template.h"

#include <algorithm>
#include <array>
#include <mutex>

#include "base/file.h"
#include "skua/error.h"
#include "text/jinja_eval.h"
#include "text/jinja_parser.h"

namespace skua {

namespace {

constexpr std::array<const char*, 4> kRoles = {"user", "system", "assistant",
                                               "tool"};

}  // namespace

struct ChatTemplate::Parsed {
  jinja::Body body;
  mutable std::array<std::once_flag, kRoles.size()> probed{};
  mutable std::array<ContentForms, kRoles.size()> forms{};
  mutable std::once_flag calls_probed{};
  mutable CallForms call_forms{};
};

namespace {

InvalidInput placed(const std::string& name, std::string_view source,
                    const jinja::PlacedFailure& failure) {
  const auto before = source.substr(0, failure.offset);
  const auto lines = std::count(before.begin(), before.end(), '\n');
  const std::size_t line_start = before.rfind('\n') + 1;
  const std::size_t column = jinja::char_count(before.substr(line_start));
  return InvalidInput(
      name + ":" + std::to_string(lines + 1) + ":" + std::to_string(column + 1),
      failure.message);
}

void check_messages(const Json& messages) {
  if (!messages.is_array()) {
    throw InvalidInput("messages", std::string("got ") + messages.type_name() +
                                       ", expected an array of objects");
  }
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const std::string where = "messages[" + std::to_string(i) + "]";
    if (!messages[i].is_object()) {
      throw InvalidInput(where, std::string("got ") + messages[i].type_name() +
                                    ", expected an object");
    }
    const auto role = messages[i].find("role");
    if (role == messages[i].end() || !role->is_string()) {
      throw InvalidInput(where, "has no 'role', expected a string");
    }
  }
}

std::string final_content(const Json& messages) {
  if (messages.empty()) {
    throw InvalidInput("messages", "is empty, expected a message to continue");
  }
  const auto content = messages.back().find("content");
  if (content != messages.back().end() && content->is_string()) {
    return content->get<std::string>();
  }
  if (content != messages.back().end() && content->is_array()) {
    for (auto part = content->rbegin(); part != content->rend(); ++part) {
      if (!part->is_object()) continue;
      const auto text = part->find("text");
      if (text != part->end() && text->is_string()) {
        return text->get<std::string>();
      }
    }
  }
  throw InvalidInput("messages",
                     "the last message has no text, expected text to continue");
}

/** `text` cut behind the last message, whose outer white space templates may
 *  trim. */
std::string cut_behind(std::string text, const std::string& content) {
  const auto trimmed = jinja::strip(content, nullptr, true, true);
  const auto from_start = jinja::strip(content, nullptr, true, false);
  const std::size_t at = text.rfind(trimmed);
  if (at == std::string::npos) {
    throw InvalidInput("messages",
                       "the template does not show the last message's text, "
                       "so that it cannot be continued");
  }
  const bool kept = text.compare(at, from_start.size(), content) == 0;
  text.resize(at + (kept ? from_start.size() : trimmed.size()));
  return text;
}

// Most conversations have none of what is asked for there.
bool has_calls(const Json& messages) {
  return std::ranges::any_of(messages, [](const Json& message) {
    return message.contains("tool_calls") || message.contains("reasoning") ||
           message.contains("reasoning_content");
  });
}

Json with_forms_of_calls(const Json& messages,
                         const ChatTemplate& chat_template) {
  return has_calls(messages)
             ? with_call_forms(messages, chat_template.call_forms())
             : messages;
}

/** A template, or the chosen one of several named ones. */
std::optional<std::string> choose_template(const Json& value, bool with_tools,
                                           const std::string& where) {
  if (value.is_null()) return std::nullopt;
  if (value.is_string()) return value.get<std::string>();
  const std::string preferred = with_tools ? "tool_use" : "default";
  for (const std::string& wanted : {preferred, std::string("default")}) {
    if (!value.is_array()) break;
    for (const auto& each : value) {
      if (!each.is_object() || !each.contains("name") ||
          !each.contains("template")) {
        continue;
      }
      if (each["name"] == wanted && each["template"].is_string()) {
        return each["template"].get<std::string>();
      }
    }
  }
  throw InvalidInput(where,
                     "chat_template is neither a string nor a list with a "
                     "template named 'default'");
}

}  // namespace

ChatTemplate::ChatTemplate(std::string source, std::string name)
    : name_(std::move(name)) {
  if (source.size() > std::size_t{16} << 20) {
    throw InvalidInput(name_, "the template is too long, got " +
                                  std::to_string(source.size()) +
                                  " bytes, expected at most 16 MiB");
  }
  source_ = jinja::normalise_source(source);
  auto parsed = std::make_shared<Parsed>();
  try {
    parsed->body = jinja::parse_template(source_);
  } catch (const jinja::PlacedFailure& failure) {
    throw placed(name_, source_, failure);
  }
  parsed_ = std::move(parsed);
}

std::string ChatTemplate::render(const Json& context,
                                 const TemplateLimits& limits) const {
  if (!context.is_object()) {
    throw InvalidInput(name_, std::string("got variables as ") +
                                  context.type_name() + ", expected an object");
  }
  try {
    jinja::Interpreter interpreter(limits);
    return interpreter.render(parsed_->body, context);
  } catch (const jinja::PlacedFailure& failure) {
    throw placed(name_, source_, failure);
  } catch (const jinja::Failure& failure) {
    throw InvalidInput(name_, failure.message);
  }
}

const ContentForms& ChatTemplate::content_forms(const std::string& role) const {
  const auto found = std::ranges::find(kRoles, role);
  const std::size_t i = found == kRoles.end() ? 0 : found - kRoles.begin();
  std::call_once(parsed_->probed[i], [&] {
    parsed_->forms[i] = probe_content_forms(*this, kRoles[i]);
  });
  return parsed_->forms[i];
}

const CallForms& ChatTemplate::call_forms() const {
  std::call_once(parsed_->calls_probed,
                 [this] { parsed_->call_forms = probe_call_forms(*this); });
  return parsed_->call_forms;
}

ChatTemplateOptions chat_template_options(const Tokenizer& tokenizer) {
  const auto spelling = [&](const std::optional<std::int32_t>& id) {
    return id ? std::optional(tokenizer.piece(*id)) : std::nullopt;
  };
  ChatTemplateOptions options;
  options.bos_token = spelling(tokenizer.special().bos);
  options.eos_token = spelling(tokenizer.special().eos);
  return options;
}

std::string apply_chat_template(const ChatTemplate& chat_template,
                                const Json& messages,
                                const ChatTemplateOptions& options) {
  check_messages(messages);
  const Json shown =
      options.messages_as_given
          ? messages
          : with_content_forms(with_forms_of_calls(messages, chat_template),
                               chat_template);
  if (!options.tools.is_null() && !options.tools.is_array()) {
    throw InvalidInput("tools", std::string("got ") +
                                    options.tools.type_name() +
                                    ", expected an array");
  }
  Json context = {
      {"messages", shown},
      {"tools", options.tools},
      {"documents", nullptr},
      {"add_generation_prompt",
       options.add_generation_prompt && !options.continue_final_message}};
  if (options.tools.is_array() && options.tools.empty()) {
    context["tools"] = nullptr;
  }
  if (options.bos_token) context["bos_token"] = *options.bos_token;
  if (options.eos_token) context["eos_token"] = *options.eos_token;
  if (!options.extra.is_null()) {
    if (!options.extra.is_object()) {
      throw InvalidInput("template variables", std::string("got ") +
                                                   options.extra.type_name() +
                                                   ", expected an object");
    }
    for (const auto& [name, value] : options.extra.items()) {
      context[name] = value;
    }
  }
  std::string text = chat_template.render(context, options.limits);
  if (!options.continue_final_message) return text;
  return cut_behind(std::move(text), final_content(shown));
}

std::optional<std::string> find_chat_template(
    const std::filesystem::path& folder, bool with_tools) {
  const auto direct = folder / "chat_template.jinja";
  if (std::filesystem::exists(direct)) return read_file(direct);
  for (const char* name : {"tokenizer_config.json", "chat_template.json"}) {
    const auto path = folder / name;
    if (!std::filesystem::exists(path)) continue;
    const Json config = read_json(path);
    if (!config.is_object() || !config.contains("chat_template")) continue;
    auto found =
        choose_template(config["chat_template"], with_tools, path.string());
    if (found) return found;
  }
  return std::nullopt;
}

}  // namespace skua
