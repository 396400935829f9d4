#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <deque>
#include <exception>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>

#include "base/json.h"
#include "cli/answer.h"
#include "cli/batch_files.h"
#include "cli/batch_origin.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/result.h"
#include "text/chat_messages.h"

namespace skua::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxLineBytes = std::size_t{64} << 20;
constexpr std::size_t kMaxResultBytes = std::size_t{1} << 30;
constexpr std::size_t kMaxErrorBytes = 1000;
constexpr int kMaxParallel = 1024;
// How far the newest row may be ahead of the oldest one that still answers.
constexpr std::size_t kWindow = 4;
// A BatchStream keeps a little about every row that it ever had.
constexpr std::size_t kRowsPerStream = std::size_t{1} << 16;

struct Arguments {
  std::string in, out;
  int parallel = 8;
  bool raw = false, overwrite = false;
  AnswerOptions answer;
};

/** A line of the input. */
struct Request {
  std::vector<Message> messages;
  std::string text;  // continued as it is where there are no messages
  Json options = Json::object();
};

std::string text_of(const Json& value, const std::string& what) {
  if (!value.is_string()) throw InvalidInput(what, "expected a text");
  return value.get<std::string>();
}

Request read_request(const Json& line, const Arguments& arguments) {
  Request request;
  bool raw = arguments.raw;
  for (const auto& [key, value] : line.items()) {
    if (key == "options") {
      request.options = value;
    } else if (key == "raw" && value.is_boolean()) {
      raw = value.get<bool>();
    } else if (key != "id" && key != "prompt" && key != "messages") {
      throw InvalidInput("line", "has " + dump_json(key) + ": " +
                                     dump_json(value).substr(0, 64) +
                                     ", expected id, prompt or messages, "
                                     "options, raw (true or false)");
    }
  }
  if (line.contains("prompt") == line.contains("messages"))
    throw InvalidInput("line", "expected either prompt or messages");
  if (line.contains("messages")) {
    if (raw) throw InvalidInput("line", "has messages, expected a raw prompt");
    request.messages = read_messages(line["messages"]);
  } else {
    request.text = checked_prompt(text_of(line["prompt"], "prompt"), raw);
    if (!raw)
      request.messages = {{.role = "user", .content = std::move(request.text)}};
  }
  const std::string& system = arguments.answer.system;
  if (!raw && !system.empty() && request.messages.front().role != "system")
    request.messages.insert(request.messages.begin(),
                            {.role = "system", .content = system});
  return request;
}

// null where the line is no object, or not read for its depth.
Json id_of(const std::string& line) {
  try {
    const Json request = parse_json(line, "line");
    return request.is_object() ? request.value("id", Json()) : Json();
  } catch (const InvalidInput&) {
    return {};
  }
}

/** What the output file holds from an earlier run. */
struct Kept {
  std::size_t n_rows = 0, n_failed = 0;
  std::uint64_t n_bytes = 0;
  Json origin;
};

[[noreturn]] void refuse_output(const std::string& path, std::size_t index,
                                const std::string& what) {
  throw InvalidInput(path, "line " + std::to_string(index + 1) + " " + what +
                               "; --overwrite starts anew");
}

// Steps over the lines of the input that the output has answers to. What a
// killed run wrote last may be torn; that part does not count.
Kept read_kept(const std::string& path, LineReader& input) {
  Kept kept;
  LineReader output(path, kMaxResultBytes);
  while (const auto line = output.next()) {
    const std::size_t index = kept.n_rows;
    const std::string head = fmt::format("{{\"index\":{},", index);
    const std::size_t n =
        line->ended ? head.size() : std::min(head.size(), line->text.size());
    if (line->too_long || line->text.compare(0, n, head, 0, n) != 0) {
      refuse_output(path, index,
                    "is no result of row " + std::to_string(index));
    }
    if (!line->ended) break;
    const Json row = parse_json(line->text, path);
    const auto given = input.next();
    if (interrupted()) break;
    if (!given) refuse_output(path, index, "belongs to no line of the input");
    const Json id = id_of(given->text);
    if (row.value("id", Json()) != id)
      refuse_output(path, index, "has another id than the input's line");
    if (index == 0) kept.origin = row.value("run", Json());
    ++kept.n_rows;
    kept.n_failed += row.contains("error") ? 1 : 0;
    kept.n_bytes += line->text.size() + 1;
  }
  return kept;
}

/** Counts rows and shows them on a terminal. */
class Tally {
 public:
  explicit Tally(bool quiet) : quiet_(quiet) {}

  void show(const LineReader& input) {
    if (quiet_ || isatty(STDERR_FILENO) == 0) return;
    const auto now = Clock::now();
    if (now - last_ < std::chrono::milliseconds(200)) return;
    last_ = now;
    std::string part;
    if (input.total_bytes() > 0) {
      part = fmt::format(" ({}% of the input read)",
                         input.done_bytes() * 100 / input.total_bytes());
    }
    fmt::print(stderr, "\r{}{}\x1b[K", text(), part);
    drawn_ = true;
  }

  void finish() const {
    if (drawn_) fmt::print(stderr, "\r\x1b[K");
    if (!quiet_) fmt::print(stderr, "{}\n", text());
  }

  std::size_t n_rows = 0, n_failed = 0;
  std::int64_t n_tokens = 0;

 private:
  std::string text() const {
    const double seconds =
        std::chrono::duration<double>(Clock::now() - start_).count();
    const double rate =
        seconds > 0 ? static_cast<double>(n_tokens) / seconds : 0;
    return fmt::format(
        "{} rows, {} failed | generated {} tokens, {:.1f} tokens/s", n_rows,
        n_failed, n_tokens, rate);
  }

  bool quiet_, drawn_ = false;
  Clock::time_point start_ = Clock::now(), last_ = {};
};

/** Answers the lines of the input, as many at once as --parallel says, and
 *  writes the results in their order. */
class BatchRun {
 public:
  BatchRun(const Arguments& arguments, LineReader& input, LineWriter& output,
           const Kept& kept, Model model, Json origin)
      : arguments_(arguments),
        input_(input),
        output_(output),
        model_(std::move(model)),
        origin_(std::move(origin)),
        batch_(model_.batch()),
        n_read_(kept.n_rows),
        tally_(arguments.answer.quiet) {
    tally_.n_rows = kept.n_rows;
    tally_.n_failed = kept.n_failed;
    output_.keep(kept.n_bytes);
  }

  /** Takes `line` and all that follow. Returns how many rows there are and
   *  failed. Throws Error at Ctrl-C, with whole rows in the output. */
  Tally run(LineReader::Line line) {
    admit(std::move(line));
    while (!interrupted()) {
      fill();
      write_finished();
      if (interrupted() || (rows_.empty() && input_ended_)) break;
      if (answering_.empty()) continue;
      if (const auto event = batch_.next()) take(*event);
      tally_.show(input_);
    }
    tally_.finish();
    if (interrupted()) throw Error("batch", "interrupted");
    return tally_;
  }

 private:
  struct Row {
    std::size_t index = 0;
    Json id;
    std::optional<Result> result;  // while it answers
    std::string line;              // once it has ended
  };

  void fill() {
    const auto n_parallel = static_cast<std::size_t>(arguments_.parallel);
    if (n_in_stream_ >= kRowsPerStream) {
      if (!answering_.empty()) return;
      batch_ = model_.batch();
      n_in_stream_ = 0;
    }
    while (!input_ended_ && answering_.size() < n_parallel &&
           rows_.size() < kWindow * n_parallel &&
           (rows_.empty() || input_.ready())) {
      auto line = input_.next();
      if (!line) {
        input_ended_ = true;
        return;
      }
      admit(std::move(*line));
    }
  }

  void admit(LineReader::Line line) {
    Row& row = rows_.emplace_back();
    row.index = n_read_++;
    try {
      if (line.too_long) throw InvalidInput("line", "is longer than 64 MiB");
      const Json json = parse_json(line.text, "line");
      if (!json.is_object())
        throw InvalidInput("line", "expected a JSON object");
      row.id = json.value("id", Json());
      start(row, read_request(json, arguments_));
    } catch (const std::exception& error) {
      fail(row, error.what());
    }
  }

  void start(Row& row, const Request& request) {
    Json given = arguments_.answer.generation;
    if (request.options.is_object()) {
      for (const auto& [name, value] : request.options.items())
        if (!value.is_null()) given[name] = value;
    } else {
      given = request.options;
    }
    GenerationOptions options = generation_options(given, model_);
    options.prompt_progress = [](int, int) { return !interrupted(); };
    std::size_t number = 0;
    if (request.messages.empty()) {
      number = batch_.add(request.text, options);
    } else {
      Chat chat(model_);
      for (const Message& m : request.messages) chat.add(m);
      number = batch_.add(chat, options);
    }
    ++n_in_stream_;
    row.result.emplace(model_, options);
    answering_[number] = &row;
  }

  void take(const BatchStream::Event& event) {
    const auto at = answering_.find(event.row);
    Row& row = *at->second;
    if (event.piece) return row.result->add(*event.piece);
    answering_.erase(at);
    const GenerationStats stats = batch_.stats(event.row);
    tally_.n_tokens += stats.n_generated_tokens;
    if (const auto error = batch_.error(event.row)) return fail(row, *error);
    finish(row, row.result->json(batch_.finish_reason(event.row), stats,
                                 batch_.parts(event.row)));
  }

  void fail(Row& row, std::string error) {
    if (error.size() > kMaxErrorBytes)
      error = error.substr(0, kMaxErrorBytes) + "...";
    ++tally_.n_failed;
    finish(row, {{"error", std::move(error)}});
  }

  void finish(Row& row, const Json& result) {
    Json json = {{"index", row.index}, {"id", std::move(row.id)}};
    json.update(result);
    if (row.index == 0) json["run"] = origin_;
    row.line = dump_json(json);
    row.result.reset();
  }

  void write_finished() {
    while (!rows_.empty() && !rows_.front().line.empty()) {
      output_.write(std::move(rows_.front().line));
      rows_.pop_front();
      ++tally_.n_rows;
    }
  }

  const Arguments& arguments_;
  LineReader& input_;
  LineWriter& output_;
  Model model_;
  Json origin_;
  BatchStream batch_;
  std::deque<Row> rows_;  // those not yet written
  std::map<std::size_t, Row*> answering_;
  std::size_t n_read_, n_in_stream_ = 0;
  bool input_ended_ = false;
  Tally tally_;
};

void check_arguments(const Arguments& arguments) {
  if (arguments.parallel < 1 || arguments.parallel > kMaxParallel) {
    throw InvalidInput("--parallel",
                       "is " + std::to_string(arguments.parallel) +
                           ", expected 1 to " + std::to_string(kMaxParallel));
  }
  if (arguments.out == "-")
    throw InvalidInput("OUT", "is '-', expected a file to go on from");
  std::error_code ignored;
  if (std::filesystem::equivalent(arguments.in, arguments.out, ignored))
    throw InvalidInput("OUT", "is the file that is read, expected another");
  check_given(arguments.answer);
}

void run(const Arguments& arguments) {
  check_arguments(arguments);
  LineReader input(arguments.in, kMaxLineBytes);
  LineWriter output(arguments.out);
  Kept kept;
  if (output.is_regular() && !arguments.overwrite)
    kept = read_kept(arguments.out, input);
  const auto say_what_is_done = [&] {
    if (kept.n_rows > 0 && !arguments.answer.quiet)
      fmt::print(stderr, "{} rows are done already\n", kept.n_rows);
  };
  std::size_t n_rows = kept.n_rows, n_failed = kept.n_failed;
  if (auto line = input.next()) {
    const Model model = load_with_progress(arguments.answer);
    Json origin = origin_of(model, arguments.answer, arguments.raw);
    if (kept.n_rows > 0) check_origin(arguments.out, kept.origin, origin);
    say_what_is_done();
    warm_up(model, arguments.answer);
    const Tally tally =
        BatchRun(arguments, input, output, kept, model, std::move(origin))
            .run(std::move(*line));
    n_rows = tally.n_rows;
    n_failed = tally.n_failed;
  } else if (!interrupted()) {
    say_what_is_done();
    output.keep(kept.n_bytes);
  }
  if (interrupted()) throw Error("batch", "interrupted");
  if (n_failed == 0) return;
  if (n_failed == n_rows) {
    throw Error("batch", fmt::format("all {} rows failed; {} has the reasons",
                                     n_rows, arguments.out));
  }
  fmt::print(stderr, "skua: [batch] {} of {} rows failed; {} has the reasons\n",
             n_failed, n_rows, arguments.out);
}

}  // namespace

void add_batch(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  Command command(app, "batch", "Answer the prompts of a file");
  command
      .text("IN", arguments->in, "JSON lines with the prompts; '-' reads stdin")
      .required();
  command
      .text("OUT", arguments->out,
            "File for the results, one JSON line each; a run that was stopped "
            "goes on where it ends, with the same model and options")
      .required();
  command.number("--parallel", arguments->parallel,
                 "How many prompts to answer at once");
  command.flag("--overwrite", arguments->overwrite,
               "Start anew where OUT exists");
  add_answer_options(command, arguments->answer);
  command
      .flag("--raw", arguments->raw,
            "Continue the prompts themselves, without the chat template")
      .excludes("--system");
  command.footer(
      "Example:\n"
      "  skua batch prompts.jsonl answers.jsonl --max-tokens 100\n"
      "with lines such as\n"
      "  {\"id\": 7, \"prompt\": \"Why is the sky blue?\"}\n"
      "  {\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}], "
      "\"options\": {\"seed\": 1}}\n"
      "  {\"prompt\": \"Once upon a time\", \"raw\": true}\n"
      "Options of a line go over those of the command line. A line that\n"
      "cannot be answered gives {\"index\", \"id\", \"error\"} and spoils\n"
      "nothing else; exit code 1 where no line could be answered. The first\n"
      "result says under \"run\" which model and options it comes from.");
  command.callback([arguments] { run(*arguments); });
}

}  // namespace skua::cli
