#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "base/file.h"
#include "base/json.h"
#include "cli/answer.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/conversation.h"
#include "cli/generation_options.h"
#include "cli/interrupt.h"
#include "cli/line_editor.h"
#include "text/chat_messages.h"

namespace skua::cli {
namespace {

constexpr const char* kHelp =
    "/clear           forget the conversation, keep the system message\n"
    "/system [TEXT]   show or set the system message\n"
    "/save FILE       write the conversation as JSON\n"
    "/load FILE       read a conversation back\n"
    "/set [NAME VALUE] show or set options, such as temp or top-p\n"
    "/set regex none  answers of any form again; so with json-schema, "
    "grammar,\n"
    "                 choice and tools\n"
    "/help            this list\n"
    "/exit, Ctrl-D    leave;  Ctrl-C stops an answer\n"
    "A line that ends with \\ goes on in the next.\n";

// The field that "top-p" or "temp" names.
const OptionField& named(std::string name) {
  if (name == "temp") name = "temperature";
  std::ranges::replace(name, '-', '_');
  const OptionField* field = find_option(name);
  if (field != nullptr) return *field;
  throw InvalidInput("/set", "there is no '" + name +
                                 "', expected an option of skua chat --help "
                                 "such as top-p");
}

class ChatLoop {
 public:
  explicit ChatLoop(AnswerOptions options)
      : options_(std::move(options)),
        model_(load_with_progress(options_)),
        generation_(generation_options(options_.generation, model_)),
        chat_(model_) {
    warm_up(model_, options_);
    start_over({});
  }

  void run() {
    const bool terminal = isatty(0) != 0;
    if (terminal && !options_.quiet)
      fmt::print(stderr, "Type a message, or /help. Ctrl-D leaves.\n");
    LineEditor editor(terminal ? ">>> " : "");
    rearm_interrupts();
    while (auto line = editor.read()) {
      while (line->ends_with('\\')) {
        line->back() = '\n';
        const auto more = editor.read();
        if (!more) break;
        *line += *more;
      }
      const bool empty = line->find_first_not_of(" \t\n") == line->npos;
      if (!empty && !handle(*line)) return;
      if (terminated()) break;
      rearm_interrupts();
    }
    if (terminal) fmt::print("\n");
    if (interrupted()) throw Error("chat", "interrupted");
  }

 private:
  // False where the line asks to leave. A line that fails leaves the
  // conversation as it was.
  bool handle(const std::string& line) {
    try {
      if (!line.starts_with('/')) {
        answer(line);
        return true;
      }
      const auto space = line.find(' ');
      const std::string command = line.substr(0, space);
      const auto begin = line.find_first_not_of(' ', space);
      const std::string rest =
          space == line.npos || begin == line.npos ? "" : line.substr(begin);
      return obey(command, rest);
    } catch (const Error& error) {
      std::fflush(stdout);
      fmt::print(stderr, "skua: {}\n", error.what());
      return true;
    }
  }

  bool obey(const std::string& command, const std::string& rest) {
    if (command == "/exit" || command == "/quit") return false;
    if (command == "/help") {
      fmt::print(stderr, "{}", kHelp);
    } else if (command == "/clear") {
      start_over({});
    } else if (command == "/system") {
      set_system(rest);
    } else if (command == "/save") {
      save(rest);
    } else if (command == "/load") {
      load(rest);
    } else if (command == "/set") {
      set(rest);
    } else {
      throw InvalidInput(command, "is no command; /help lists them");
    }
    return true;
  }

  void answer(const std::string& text) {
    Chat next = chat_;
    next.user(text);
    Stream stream =
        model_.stream(next, with_prompt_progress(generation_, options_.quiet));
    const std::string answer = print_stream(stream);
    fmt::print("\n");
    std::fflush(stdout);
    if (!options_.quiet) print_stats(stream.stats(), generation_);
    // A turn that was stopped before it said anything did not take place.
    const bool stopped = stream.finish_reason() == FinishReason::kCancelled;
    if (!stopped || !answer.empty()) chat_ = next.assistant(answer);
  }

  void start_over(const std::vector<Message>& messages) {
    chat_ = Chat(model_);
    if (!options_.system.empty()) chat_.system(options_.system);
    for (const Message& m : messages) chat_.add(m);
  }

  void set_system(const std::string& text) {
    if (text.empty()) {
      fmt::print(stderr, "{}\n", options_.system);
      return;
    }
    std::vector<Message> rest;
    for (const Message& m : chat_.messages())
      if (m.role != "system") rest.push_back(m);
    options_.system = text;
    start_over(rest);
  }

  void save(const std::string& path) const {
    if (path.empty()) throw InvalidInput("/save", "a file name is missing");
    const Json messages = messages_json(chat_.messages());
    write_file_atomic(path, dump_json(Json{{"messages", messages}}, 2) + "\n");
    fmt::print(stderr, "saved {} messages\n", messages.size());
  }

  void load(const std::string& path) {
    if (path.empty()) throw InvalidInput("/load", "a file name is missing");
    std::vector<Message> messages;
    std::string system;
    for (Message& m : read_conversation(path)) {
      if (m.role == "system") {
        system = m.content;
      } else {
        messages.push_back(std::move(m));
      }
    }
    options_.system = system;
    start_over(messages);
    fmt::print(stderr, "loaded {} messages\n", chat_.messages().size());
  }

  void set(const std::string& rest) {
    const auto space = rest.find(' ');
    if (rest.empty()) return show_options();
    if (space == rest.npos) throw InvalidInput("/set", "a value is missing");
    const std::string name = rest.substr(0, space);
    const OptionField& field = named(name);
    const std::string text = rest.substr(space + 1);
    GenerationOptions base = generation_;
    if (is_constraint(field)) {
      clear_constraints(base);  // a new one is in the place of the last
      if (text == "none") {
        generation_ = base;
        return;
      }
    }
    const Json value = option_value(field, "/set " + name, text);
    generation_ = read_options({{field.name, value}}, base);
  }

  // Those that differ from the defaults, and those most often changed.
  void show_options() const {
    const GenerationOptions defaults;
    for (const OptionField& field : option_fields()) {
      const std::string text = option_text(field, generation_);
      const std::string_view name = field.name;
      if (text != option_text(field, defaults) || name == "max_tokens" ||
          name == "temperature" || name == "top_p" || name == "top_k" ||
          name == "min_p" || name == "seed") {
        fmt::print(stderr, "{} {}\n", flag_name(field).substr(2),
                   text.empty() ? "none" : text);
      }
    }
  }

  AnswerOptions options_;
  Model model_;
  GenerationOptions generation_;
  Chat chat_;
};

}  // namespace

void add_chat(CLI::App& app) {
  auto options = std::make_shared<AnswerOptions>();
  Command command(app, "chat", "Talk with a model");
  add_answer_options(command, *options);
  command.footer(std::string("Example:\n"
                             "  skua chat --temp 0.7 --system \"Be brief.\"\n"
                             "In the chat:\n") +
                 kHelp);
  command.callback([options] { ChatLoop(*options).run(); });
}

}  // namespace skua::cli
