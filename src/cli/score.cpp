#include "generate/score.h"

#include <fmt/format.h>

#include <memory>

#include "base/json.h"
#include "base/model_path.h"
#include "cli/answer.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/pull.h"
#include "models/load.h"
#include "skua/error.h"

namespace skua::cli {
namespace {

struct Arguments {
  std::string model, context;
  std::vector<std::string> continuations;
  bool exact = false, json = false;
};

void run(const Arguments& arguments) {
  const auto path = resolve_model(arguments.model, pull_options(false));
  LoadOptions load;
  load.precision =
      arguments.exact ? Precision::kExact : Precision::kDeterministic;
  const auto loaded = load_model(path, load);
  const Tokenizer& tokenizer = loaded->need_tokenizer();
  std::vector<std::int32_t> context;
  std::vector<std::vector<std::int32_t>> continuations;
  for (const std::string& text : arguments.continuations) {
    EncodedPair pair = encode_pair(tokenizer, arguments.context, text);
    context = std::move(pair.context);
    continuations.push_back(std::move(pair.continuation));
  }
  ScoreOptions options;
  options.context = loaded->context;
  options.progress = [](std::size_t) {
    if (interrupted()) throw Error("score", "interrupted");
  };
  const auto scores =
      score_continuations(*loaded->model, context, continuations, options);
  Json list = Json::array();
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const ContinuationScore& s = scores[i];
    const std::string& text = arguments.continuations[i];
    list.push_back({{"text", text},
                    {"log_probability", s.log_probability},
                    {"is_greedy", s.is_greedy},
                    {"ids", continuations[i]},
                    {"token_log_probabilities", s.token_log_probabilities}});
    if (!arguments.json) {
      fmt::print("{:>12.4f}  {}  {:>4} tokens  {}\n", s.log_probability,
                 s.is_greedy ? "greedy" : "      ", continuations[i].size(),
                 dump_json(text));
    }
  }
  if (arguments.json) {
    const Json json = {{"context_ids", context},
                       {"continuations", std::move(list)}};
    fmt::print("{}\n", dump_json(json));
  }
}

}  // namespace

void add_score(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  Command command(app, "score", "How likely continuations of a text are");
  add_model_option(command, arguments->model);
  command.text("--context", arguments->context, "The text that they continue")
      .required();
  command
      .texts("--continuation", arguments->continuations,
             "What may come next; several can be given")
      .required();
  command.flag("--exact", arguments->exact,
               "Compute in float32 throughout: slower");
  command.flag("--json", arguments->json, "Print as JSON");
  command.footer(
      "Example:\n"
      "  skua score --context \"The sky is\" --continuation \" blue\" \" "
      "red\"\n"
      "Log-probabilities are natural logarithms, of all tokens of a\n"
      "continuation together; JSON has each. Greedy: the model itself would\n"
      "write it at temperature 0. Spaces at the context's end count to the\n"
      "continuation, as in lm-evaluation-harness.");
  command.callback([arguments] { run(*arguments); });
}

}  // namespace skua::cli
