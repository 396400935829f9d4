#include <fmt/format.h>

#include <memory>

#include "base/file.h"
#include "base/json.h"
#include "base/model_path.h"
#include "cli/answer.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/json_argument.h"
#include "cli/pull.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace skua::cli {
namespace {

struct Arguments {
  std::string model, messages, tools, file, context;
  bool json = false, no_generation_prompt = false;
  bool continue_final_message = false;
};

// A list of messages, or an object with one, as `skua chat` saves it.
Json messages_of(const Arguments& arguments) {
  Json json = json_argument(arguments.messages, "--messages");
  if (json.is_object() && json.contains("messages")) return json["messages"];
  return json;
}

// Source of the template and the options that its tokenizer gives.
template <class Source>
std::string render_for(const Source& source, const Arguments& arguments,
                       const std::string& where) {
  const auto text = find_chat_template(source, !arguments.tools.empty());
  if (!text) {
    throw Unsupported(where, "has no chat template; give one by --template");
  }
  const auto tokenizer = load_tokenizer(source);
  ChatTemplateOptions options = chat_template_options(*tokenizer);
  options.add_generation_prompt = !arguments.no_generation_prompt;
  options.continue_final_message = arguments.continue_final_message;
  if (!arguments.tools.empty())
    options.tools = json_argument(arguments.tools, "--tools");
  if (!arguments.context.empty())
    options.extra = json_argument(arguments.context, "--context");
  return apply_chat_template(ChatTemplate(*text, where + " chat template"),
                             messages_of(arguments), options);
}

std::string render(const Arguments& arguments) {
  if (!arguments.file.empty()) {
    const Json context = arguments.context.empty()
                             ? Json::object()
                             : json_argument(arguments.context, "--context");
    return ChatTemplate(read_file(arguments.file), arguments.file)
        .render(context);
  }
  if (arguments.messages.empty())
    throw InvalidInput("usage", "--messages is missing");
  const auto path = resolve_model(arguments.model, pull_options(false));
  if (std::filesystem::is_directory(path))
    return render_for(path, arguments, path.string());
  return render_for(GgufFile(path), arguments, path.string());
}

void run(const Arguments& arguments) {
  if (!arguments.json) {
    fmt::print("{}", render(arguments));
    return;
  }
  try {
    fmt::print("{}\n", dump_json(Json{{"text", render(arguments)}}));
  } catch (const Error& error) {
    fmt::print("{}\n", dump_json(Json{{"error", error.what()}}));
    throw;
  }
}

}  // namespace

void add_template(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  Command command(app, "template", "Render a chat template");
  add_model_option(command, arguments->model);
  command.text("--messages", arguments->messages,
               "The list of messages, as JSON or a file of it");
  command.text("--tools", arguments->tools,
               "The list of tools, as JSON or a file of it");
  command
      .text("--template", arguments->file,
            "Template file instead of the model's own")
      .excludes("--messages")
      .excludes("--tools");
  command.text("--context", arguments->context,
               "Further variables, as JSON or a file of it");
  command.flag("--no-generation-prompt", arguments->no_generation_prompt,
               "End after the last message");
  command
      .flag("--continue-final-message", arguments->continue_final_message,
            "End behind the text of the last message, to go on with it")
      .excludes("--no-generation-prompt")
      .excludes("--template");
  command.flag("--json", arguments->json,
               "Print {\"text\": ...} or {\"error\": ...}");
  command.footer(
      "Examples:\n"
      "  skua template --messages chat.json\n"
      "  skua template --messages chat.json --tools tools.json\n"
      "  skua template --messages begun.json --continue-final-message\n"
      "  skua template --template my.jinja --context variables.json --json");
  command.callback([arguments] { run(*arguments); });
}

}  // namespace skua::cli
