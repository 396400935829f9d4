#include <fmt/format.h>

#include <memory>
#include <string_view>
#include <vector>

#include "base/cpu_level.h"
#include "base/json.h"
#include "base/model_path.h"
#include "base/thread_pool.h"
#include "cli/answer.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/pull.h"
#include "models/load.h"

namespace skua::cli {
namespace {

struct Arguments {
  std::string model;
  bool json = false, chat_template = false, cpu = false;
};

std::string format_count(std::uint64_t n) {
  const double value = static_cast<double>(n);
  if (n >= 1'000'000'000) return fmt::format("{:.2f} billion", value / 1e9);
  if (n >= 1'000'000) return fmt::format("{:.1f} million", value / 1e6);
  return fmt::format("{}", n);
}

Json describe(const LoadedModel& m) {
  Json json = {{"path", m.path.string()},
               {"architecture", m.config.text("model_type")},
               {"format", m.info.format},
               {"parameters", m.info.n_parameters},
               {"weight_bytes", m.info.n_bytes},
               {"weight_bytes_by_type", m.info.n_bytes_by_type},
               {"layers", m.model->n_layers()},
               {"vocabulary", m.model->vocab_size()},
               {"context", m.context},
               {"end_ids", m.eos_ids},
               {"tokenizer", nullptr},
               {"chat_template", m.chat_template.has_value()}};
  if (m.tokenizer) json["tokenizer"] = m.tokenizer->kind();
  return json;
}

std::string end_tokens(const LoadedModel& m) {
  std::string text;
  for (const std::int32_t id : m.eos_ids) {
    const std::string piece =
        m.tokenizer && id < m.tokenizer->size() ? m.tokenizer->piece(id) : "";
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", id, piece);
  }
  return text.empty() ? "none" : text;
}

void line(const char* name, const std::string& value) {
  fmt::print("{:<14} {}\n", name, value);
}

void print_text(const LoadedModel& m) {
  line("path", m.path.string());
  line("architecture", m.config.text("model_type"));
  line("format", m.info.format);
  line("parameters", format_count(m.info.n_parameters));
  std::string types;
  for (const auto& [type, n_bytes] : m.info.n_bytes_by_type)
    types += fmt::format("{}{} {}", types.empty() ? "" : ", ", type,
                         format_bytes(n_bytes));
  line("weights", format_bytes(m.info.n_bytes) + " (" + types + ")");
  line("layers", std::to_string(m.model->n_layers()));
  line("context",
       m.context == 0 ? "not stated" : std::to_string(m.context) + " tokens");
  line("vocabulary", std::to_string(m.model->vocab_size()));
  line("tokenizer", m.tokenizer ? m.tokenizer->kind() : "none");
  line("end tokens", end_tokens(m));
  line("chat template",
       m.chat_template ? "yes (--template prints it)" : "none");
}

void show_cpu(bool json) {
  const auto level = cpu_level_name(cpu_level());
  std::vector<std::string_view> levels;
  for (const CpuLevel l : cpu_levels_at_hand())
    levels.push_back(cpu_level_name(l));
  const auto features = feature_names(cpu_features());
  const auto& [n_threads, threads_source] = thread_choice();
  if (json) {
    const Json described = {{"level", level},
                            {"level_source", cpu_level_source()},
                            {"levels", levels},
                            {"highway_target", highway_target()},
                            {"features", features},
                            {"threads", n_threads},
                            {"threads_source", threads_source}};
    return fmt::print("{}\n", dump_json(described));
  }
  line("level", fmt::format("{} ({}; at hand: {})", level, cpu_level_source(),
                            fmt::join(levels, ", ")));
  line("highway target", highway_target());
  line("features", features.empty()
                       ? "none beyond the level's"
                       : fmt::format("{}", fmt::join(features, ", ")));
  line("threads", fmt::format("{} ({})", n_threads, threads_source));
}

void run(const Arguments& arguments) {
  if (arguments.cpu) return show_cpu(arguments.json);
  const auto path = resolve_model(arguments.model, pull_options(false));
  const auto loaded = load_model(path);
  if (arguments.chat_template) {
    if (!loaded->chat_template)
      throw Unsupported(path.string(), "has no chat template");
    fmt::print("{}\n", loaded->chat_template->source());
  } else if (arguments.json) {
    fmt::print("{}\n", dump_json(describe(*loaded)));
  } else {
    print_text(*loaded);
  }
}

}  // namespace

void add_show(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  Command command(app, "show", "Describe a model or the CPU");
  command.text(
      "model", arguments->model,
      "Folder, .gguf file or org/name[:file]; nothing is the default model");
  command.flag("--template", arguments->chat_template,
               "Print the chat template's source");
  command
      .flag("--cpu", arguments->cpu,
            "Describe instead which code and how many threads compute")
      .excludes("model")
      .excludes("--template");
  command.flag("--json", arguments->json, "Print as JSON");
  command.footer(
      "Examples:\n"
      "  skua show\n"
      "  skua show model.gguf --json\n"
      "  skua show --cpu\n"
      "SKUA_CPU=scalar|avx2|avx512|amx chooses a lower level of the CPU, "
      "SKUA_THREADS a number of threads.");
  command.callback([arguments] { run(*arguments); });
}

}  // namespace skua::cli
