#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "base/file.h"
#include "base/json.h"
#include "base/model_path.h"
#include "cli/answer.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/pull.h"
#include "generate/score.h"
#include "models/load.h"
#include "skua/error.h"

namespace skua::cli {
namespace {

constexpr int kWindow = 2048;

struct Arguments {
  std::string file, model;
  int context = 0, stride = 0;
  bool exact = false, json = false;
};

std::string read_text(const std::string& file) {
  if (file == "-") return read_stdin();
  return read_file(file);
}

void run(const Arguments& arguments) {
  const std::string text = read_text(arguments.file);
  const auto path = resolve_model(arguments.model, pull_options(false));
  LoadOptions load;
  load.precision =
      arguments.exact ? Precision::kExact : Precision::kDeterministic;
  const auto loaded = load_model(path, load);
  const int most = loaded->context;
  if (arguments.context < 0 || arguments.context == 1 ||
      (most != 0 && arguments.context > most)) {
    throw InvalidInput("--ctx",
                       "is " + std::to_string(arguments.context) +
                           ", expected 2 to the model's context of " +
                           (most != 0 ? std::to_string(most) : "any length"));
  }
  PerplexityOptions options;
  options.window = arguments.context != 0 ? arguments.context
                   : most != 0            ? std::min(most, kWindow)
                                          : kWindow;
  options.stride =
      arguments.stride != 0 ? arguments.stride : options.window / 2;
  const auto ids = loaded->need_tokenizer().encode(text);
  const bool shows = isatty(2) != 0;
  options.progress = [&](std::size_t n) {
    if (interrupted()) throw Error("perplexity", "interrupted");
    if (shows) fmt::print(stderr, "\r{} of {} tokens", n, ids.size() - 1);
  };
  const Perplexity result = perplexity(*loaded->model, ids, options);
  if (shows) fmt::print(stderr, "\r\x1b[K");
  if (arguments.json) {
    const Json json = {
        {"perplexity", result.perplexity},  {"nll", result.nll},
        {"accuracy", result.accuracy},      {"tokens", ids.size()},
        {"scored_tokens", result.n_scored}, {"windows", result.n_windows},
        {"context", options.window},        {"stride", options.stride}};
    fmt::print("{}\n", dump_json(json));
    return;
  }
  fmt::print("perplexity  {:.4f}\n", result.perplexity);
  fmt::print("of          {} of {} tokens in {} windows of {}, stride {}\n",
             result.n_scored, ids.size(), result.n_windows, options.window,
             options.stride);
  fmt::print("likeliest   {:.1f} % of them\n", 100 * result.accuracy);
}

}  // namespace

void add_perplexity(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  Command command(app, "perplexity", "How well a model predicts a text");
  command.text("file", arguments->file, "File with the text; '-' reads stdin")
      .required();
  add_model_option(command, arguments->model);
  command.number("--ctx", arguments->context,
                 "Tokens of a window; 0: the model's context, at most 2048");
  command.number("--stride", arguments->stride,
                 "Tokens by which windows follow; 0: half a window");
  command.flag("--exact", arguments->exact,
               "Compute in float32 throughout: slower");
  command.flag("--json", arguments->json, "Print as JSON");
  command.footer(
      "Examples:\n"
      "  skua perplexity text.txt\n"
      "  skua perplexity text.txt --ctx 512 --stride 512 --json\n"
      "Each window is read afresh, and of it the tokens are scored that no\n"
      "window before has (Hugging Face's sliding window). With a stride equal\n"
      "to --ctx windows lie side by side, as mlx-lm evaluates.");
  command.callback([arguments] { run(*arguments); });
}

}  // namespace skua::cli
