#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string>

#include "base/json.h"
#include "base/model_path.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/progress.h"

namespace skua::cli {
namespace {

std::string format_time(const CachedModel& model, const char* format) {
  const auto time = std::chrono::system_clock::to_time_t(model.modified);
  return fmt::format(fmt::runtime(format), fmt::gmtime(time));
}

void print_json(const std::vector<CachedModel>& models) {
  Json list = Json::array();
  for (const CachedModel& model : models) {
    list.push_back({{"name", model.name},
                    {"size_bytes", model.size_bytes},
                    {"revision", model.revision},
                    {"path", model.path.string()},
                    {"modified", format_time(model, "{:%Y-%m-%dT%H:%M:%SZ}")},
                    {"complete", model.complete}});
  }
  fmt::print("{}\n", dump_json(Json{{"models", list}}));
}

void print_table(const std::vector<CachedModel>& models) {
  std::size_t width = 4;
  for (const CachedModel& model : models)
    width = std::max(width, model.name.size());
  fmt::print("{:<{}}  {:>8}  {:<8}  {}\n", "NAME", width, "SIZE", "REVISION",
             "MODIFIED");
  for (const CachedModel& model : models) {
    fmt::print("{:<{}}  {:>8}  {:<8}  {}{}\n", model.name, width,
               format_bytes(model.size_bytes), model.revision.substr(0, 8),
               format_time(model, "{:%Y-%m-%d %H:%M}"),
               model.complete ? "" : "  (incomplete)");
  }
}

}  // namespace

void add_list(CLI::App& app) {
  auto as_json = std::make_shared<bool>(false);
  Command command(app, "list", "List the models on this machine");
  command.flag("--json", *as_json, "Print as JSON");
  command.footer(
      "Examples:\n"
      "  skua list\n"
      "  skua list --json\n"
      "Shows the Hugging Face cache ($HF_HOME) and Skua's own model folder\n"
      "($SKUA_HOME/models, else ~/.cache/skua/models); times are UTC.\n"
      "Every name can be given to --model.");
  command.callback([as_json] {
    const auto models = cached_models();
    if (*as_json) {
      print_json(models);
    } else if (models.empty()) {
      fmt::print("no models; get one with 'skua pull org/name'\n");
    } else {
      print_table(models);
    }
  });
}

}  // namespace skua::cli
