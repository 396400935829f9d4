#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "cli/answer.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/conversation.h"
#include "cli/interrupt.h"
#include "cli/result.h"

namespace skua::cli {
namespace {

struct Arguments {
  std::string prompt, messages, prompt_cache;
  bool raw = false, json = false;
  AnswerOptions answer;
};

void print_json(Stream& stream, Result result, std::optional<double> warmup_s) {
  {
    const std::jthread watcher = cancel_at_interrupt(stream);
    while (const auto piece = stream.next()) result.add(*piece);
  }
  const GenerationStats stats = stream.stats();
  Json json = result.json(stream.finish_reason(), stats, stream.parts());
  json.update({{"first_token_s", stats.first_token_s},
               {"prompt_s", stats.prompt_s},
               {"generate_s", stats.generate_s},
               {"prompt_tokens_per_s", stats.prompt_rate()},
               {"generated_tokens_per_s", stats.generation_rate()},
               {"peak_memory_bytes", stats.peak_memory_bytes}});
  if (warmup_s) json["warmup_s"] = *warmup_s;
  if (const auto& draft = stats.draft) {
    json["draft"] = {
        {"rounds", draft->n_rounds},         {"proposed", draft->n_proposed},
        {"accepted", draft->n_accepted},     {"steps", draft->n_steps},
        {"by_equality", draft->by_equality}, {"warning", draft->warning}};
  }
  fmt::print("{}\n", dump_json(json));
}

// Tools that the prompt does not show are called by chance.
void warn_of_hidden_tools(const Chat& chat, const GenerationOptions& options) {
  if (options.tools.empty() || options.tool_choice == "none") return;
  if (chat.prompt(options) != chat.prompt()) return;
  fmt::print(stderr,
             "note: the model's chat template does not tell it of tools; "
             "describe them in the prompt\n");
}

// A model that is not shown its call does not know what a result belongs to.
void warn_of_hidden_calls(const Model& model, const Chat& chat,
                          const GenerationOptions& options) {
  Chat without(model);
  bool has_calls = false;
  for (Message message : chat.messages()) {
    has_calls = has_calls || !message.tool_calls.empty();
    message.tool_calls.clear();
    without.add(std::move(message));
  }
  if (!has_calls) return;
  try {
    if (chat.prompt(options) != without.prompt(options)) return;
  } catch (const InvalidInput&) {
    return;  // results without calls are refused: calls are looked at
  }
  fmt::print(stderr,
             "note: the model's chat template shows no tool calls; write them "
             "into the content of the message\n");
}

// One alone where the text is raw.
std::vector<Message> messages_of(const Arguments& arguments) {
  std::vector<Message> messages;
  if (!arguments.messages.empty()) {
    messages = read_conversation(arguments.messages);
  } else {
    messages.push_back(
        {.role = "user",
         .content = checked_prompt(
             argument_or_stdin(arguments.prompt, "prompt"), arguments.raw)});
  }
  const std::string& system = arguments.answer.system;
  if (!system.empty() && messages.front().role != "system")
    messages.insert(messages.begin(), {.role = "system", .content = system});
  return messages;
}

void run(const Arguments& arguments) {
  const AnswerOptions& options = arguments.answer;
  const std::vector<Message> messages = messages_of(arguments);
  const Model model = load_with_progress(options);
  const std::optional<double> warmup_s = warm_up(model, options);
  Chat chat(model);
  if (!arguments.raw)
    for (const Message& message : messages) chat.add(message);
  const GenerationOptions generation = with_prompt_progress(
      generation_options(options.generation, model), options.quiet);
  const std::string& file = arguments.prompt_cache;
  if (!file.empty() && std::filesystem::exists(file)) chat.cache().load(file);
  {
    Stream stream = arguments.raw ? model.complete(messages.front().content,
                                                   chat.cache(), generation)
                                  : model.stream(chat, generation);
    if (!arguments.raw && !options.quiet) {
      warn_of_hidden_tools(chat, generation);
      warn_of_hidden_calls(model, chat, generation);
    }
    if (arguments.json) {
      print_json(stream, Result(model, generation), warmup_s);
    } else {
      print_stream(stream);
      fmt::print("\n");
      std::fflush(stdout);
    }
    if (!options.quiet) print_stats(stream.stats(), generation);
  }
  if (!file.empty() && chat.cache().n_tokens() > 0) chat.cache().save(file);
  if (interrupted()) throw Error("run", "interrupted");
}

}  // namespace

void add_run(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  Command command(app, "run", "Answer one prompt");
  command.text("prompt", arguments->prompt,
               "The prompt; '-' or nothing reads stdin");
  add_answer_options(command, arguments->answer);
  command
      .flag("--raw", arguments->raw,
            "Continue the text itself, without the chat template")
      .excludes("--system");
  command
      .text("--messages", arguments->messages,
            "A conversation, as JSON or a file of it, instead of a prompt; "
            "it may have tool calls and their results")
      .excludes("prompt")
      .excludes("--raw");
  command.text("--prompt-cache", arguments->prompt_cache,
               "File with what the model has read: used, then written anew");
  command
      .flag("--oracle", arguments->answer.oracle,
            "Compute each token from the whole text anew, in float32 and "
            "without kernels or a cache: very slow, to compare with")
      .excludes("--draft")
      .excludes("--mtp")
      .excludes("--deterministic")
      .excludes("--fast")
      .excludes("--precision")
      .excludes("--prompt-cache");
  command.flag("--json", arguments->json,
               "Print text, token ids and statistics as JSON at the end");
  command.footer(
      "Examples:\n"
      "  skua run \"Why is the sky blue?\"\n"
      "  skua run --temp 0.7 --top-p 0.9 --seed 1 \"Write a haiku.\"\n"
      "  cat notes.txt | skua run --system \"Summarise.\" -\n"
      "  skua run --raw \"Once upon a time\" --max-tokens 100\n"
      "  skua run --json-schema city.json \"Tell me about Paris.\"\n"
      "  skua run --tools tools.json --json \"Is it raining in Lyon?\"\n"
      "  skua run --tools tools.json --messages chat.json\n"
      "The answer goes to stdout, statistics to stderr.");
  command.callback([arguments] { run(*arguments); });
}

}  // namespace skua::cli
