#include "cli/pull.h"

#include <fmt/format.h>

#include <cstdio>
#include <string>

#include "base/json.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/interrupt.h"

namespace skua::cli {
namespace {

struct Arguments {
  std::string model;
  bool quiet = false, json = false;
};

void run(const Arguments& arguments) {
  const PullResult result =
      pull(parse_hub_name(arguments.model), pull_options(arguments.quiet));
  if (!arguments.json) {
    fmt::print("{}\n", result.path.string());
    return;
  }
  const Json json = {{"model", arguments.model},
                     {"path", result.path.string()},
                     {"revision", result.commit},
                     {"files_downloaded", result.n_downloaded},
                     {"bytes_downloaded", result.downloaded_bytes}};
  fmt::print("{}\n", dump_json(json));
}

}  // namespace

PullOptions pull_options(bool quiet) {
  auto current = std::make_shared<std::unique_ptr<Progress>>();
  PullOptions options;
  options.cancelled = interrupted;
  options.progress = [current, quiet](const PullProgress& progress) {
    auto& bar = *current;
    if (!bar || bar->label() != progress.file)
      bar = std::make_unique<Progress>(std::string(progress.file),
                                       ProgressOptions{quiet, 0});
    bar->update(progress.done_bytes, progress.total_bytes);
    if (progress.done_bytes == progress.total_bytes) bar->finish();
  };
  return options;
}

void add_pull(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  Command command(app, "pull", "Download a model from the Hugging Face hub");
  command.text("model", arguments->model, "org/name[:file][@revision]")
      .required();
  command.flag("-q,--quiet", arguments->quiet, "Show no progress");
  command.flag("--json", arguments->json, "Print the result as JSON");
  command.footer(
      "Examples:\n"
      "  skua pull HuggingFaceTB/SmolLM2-135M-Instruct\n"
      "  skua pull bartowski/SmolLM2-135M-Instruct-GGUF:Q4_K_M\n"
      "Prints the path. Files go to the Hugging Face cache ($HF_HOME), where\n"
      "other programs find them; a download that was cut is resumed.\n"
      "Private and gated models need HF_TOKEN.");
  command.callback([arguments] { run(*arguments); });
}

}  // namespace skua::cli
