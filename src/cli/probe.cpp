#include "generate/probe.h"

#include <fmt/format.h>

#include <charconv>
#include <memory>

#include "base/json.h"
#include "base/model_path.h"
#include "cli/answer.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/pull.h"
#include "models/load.h"

namespace skua::cli {
namespace {

struct Arguments {
  std::string model, tokens;
  std::vector<int> at;
  int n_greedy = 0, chunk = 0;
  bool oracle = false;
};

void run(const Arguments& arguments) {
  const auto ids = parse_ids(arguments.tokens, "--tokens");
  const auto path = resolve_model(arguments.model, pull_options(false));
  const auto loaded = load_model(path, {.precision = Precision::kExact});
  const Probe probe =
      arguments.oracle
          ? probe_oracle(*loaded->model, ids, arguments.at, arguments.n_greedy)
          : probe_logits(*loaded->model, ids, arguments.at, arguments.n_greedy,
                         arguments.chunk);
  Json json = {{"logits_last", probe.logits_last},
               {"logits_at", Json::object()},
               {"greedy", probe.greedy},
               {"greedy_top", Json::array()}};
  for (const auto& [position, logits] : probe.logits_at)
    json["logits_at"][std::to_string(position)] = logits;
  for (const Probe::Top& top : probe.greedy_top) {
    json["greedy_top"].push_back(
        {top.id, top.logit, top.second_id, top.second_logit});
  }
  fmt::print("{}\n", dump_json(json));
}

void filter(const std::string& file) {
  const Json request = file.empty() || file == "-"
                           ? parse_json(argument_or_stdin("", "file"), "stdin")
                           : read_json(file);
  fmt::print("{}\n", dump_json(Json(probe_filter(request))));
}

void add_filter(Command& probe) {
  auto file = std::make_shared<std::string>();
  Command command = probe.subcommand(
      "filter", "Log-probabilities after processors and filters");
  command.text("file", *file, "JSON file; without one, or as -, from stdin");
  command.footer(
      "Reads {\"logits\": [...], \"history\": [ids], \"options\": {...}}. The\n"
      "options are those of `skua run`, such as \"top_p\"; null is -inf. The\n"
      "history is the prompt, but for its last \"n_generated\" tokens;\n"
      "\"eos_ids\" end an answer. Needs no model.\n"
      "Example:\n"
      "  echo '{\"logits\": [1, 2, 3], \"options\": {\"top_k\": 2}}' |\n"
      "    skua probe filter");
  command.callback([file] { filter(*file); });
}

}  // namespace

void add_probe(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  Command probe(app, "probe",
                "Print a model's numbers, for comparison and bug reports");
  probe.footer(
      "Example:\n"
      "  skua probe logits --tokens \"[1, 2, 3]\"");
  add_filter(probe);
  Command command = probe.subcommand(
      "logits", "Logits and greedy tokens after given token ids");
  add_model_option(command, arguments->model);
  command
      .text("--tokens", arguments->tokens, "Token ids as JSON, e.g. [1, 2, 3]")
      .required();
  command.integers("--at", arguments->at,
                   "Positions whose logits to print, e.g. 0,7");
  command.number("--greedy", arguments->n_greedy,
                 "How many tokens to continue greedily");
  command.number("--chunk", arguments->chunk, "Tokens fed in one step; 0: all");
  command
      .flag("--oracle", arguments->oracle,
            "Compute the slow and simple way: all anew for each token, "
            "without kernels or caches")
      .excludes("--chunk");
  command.footer(
      "Example:\n"
      "  skua probe logits --tokens \"[1, 2, 3]\" --at 0,1 --greedy 5\n"
      "Computes in float32. Works without a tokenizer. A number that is not\n"
      "finite prints as null.");
  command.callback([arguments] { run(*arguments); });
}

}  // namespace skua::cli
