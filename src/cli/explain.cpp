#include "generate/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "base/bandwidth.h"
#include "base/json.h"
#include "base/model_path.h"
#include "base/thread_pool.h"
#include "cli/answer.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/pull.h"
#include "skua/error.h"

namespace skua::cli {
namespace {

constexpr int kContext = 2048;

struct Arguments {
  std::string model;
  Profile given;
  bool json = false;
};

constexpr const char* kNothingCompiled =
    "nothing: kernels are part of the program, and a step's graph is built "
    "anew";

Json compiled_json(const Explanation::Compiled& c) {
  std::string note = kNothingCompiled;
  if (c.n_misses > 0) {
    note = fmt::format("{} of {} functions at most, {} of {}", c.names.size(),
                       c.most_functions, format_bytes(c.n_bytes),
                       format_bytes(c.most_bytes));
  }
  return {{"functions", c.names},       {"bytes", c.n_bytes},
          {"hits", c.n_hits},           {"misses", c.n_misses},
          {"evictions", c.n_evictions}, {"most_functions", c.most_functions},
          {"most_bytes", c.most_bytes}, {"note", note}};
}

double measured_gb_per_s() {
  BandwidthOptions options;
  options.n_threads = thread_count();
  options.n_mib = 256;
  options.n_trials = 5;
  return read_bandwidth(options).best;
}

// Each value that holds, and who says so.
Json profile_json(const Profile& given, const ProfileFile& file) {
  const Profile all = given.over(file.profile).over(default_profile());
  Json json = {{"file", nullptr}};
  if (!file.path.empty()) json["file"] = file.path.string();
  for (const ProfileField& field : profile_fields()) {
    std::string from = "default";
    const auto line = file.lines.find(field.name());
    if (!field.text(given).empty())
      from = "command line";
    else if (line != file.lines.end())
      from = file.at(line->second);
    json[field.section][field.key] = {{"value", field.text(all)},
                                      {"from", from}};
  }
  return json;
}

Json to_json(const LoadedModel& model, const Explanation& e, double gb_per_s) {
  Json used = Json::array(), matrices = Json::array(), layers = Json::array();
  for (const auto& t : model.audit.used) {
    used.push_back({{"name", t.name},
                    {"shape", t.shape},
                    {"type", t.type},
                    {"bytes", t.n_bytes}});
  }
  for (const auto& m : e.matrices) {
    matrices.push_back({{"name", m.name},
                        {"count", m.n},
                        {"rows", m.rows},
                        {"columns", m.cols},
                        {"format", m.format},
                        {"bytes", m.n_bytes},
                        {"decode", m.decode_kernel},
                        {"prefill", m.prefill_kernel}});
  }
  for (const auto& c : e.cache) {
    layers.push_back({{"layers", c.n},
                      {"window", c.window},
                      {"keep", c.keep},
                      {"state", c.state},
                      {"bytes_per_layer", c.n_bytes},
                      {"read_per_token", c.read_bytes}});
  }
  const double limit =
      gb_per_s * 1e9 / static_cast<double>(e.bytes_per_token());
  return {{"path", model.path.string()},
          {"architecture", model.config.text("model_type")},
          {"format", model.info.format},
          {"layers", model.model->n_layers()},
          {"tensors",
           {{"used", std::move(used)},
            {"missing", Json::array()},
            {"unused", model.audit.unused},
            {"hidden", model.audit.hidden}}},
          {"matrices", std::move(matrices)},
          {"decode_nodes",
           {{"ours", e.decode_nodes.ours}, {"mlx", e.decode_nodes.mlx}}},
          {"prefill_rows", e.prefill_rows},
          {"context", e.context},
          {"cache", {{"bytes", e.cache_bytes}, {"kinds", std::move(layers)}}},
          {"bytes_per_token",
           {{"weights", e.weight_bytes},
            {"cache", e.kv_bytes},
            {"total", e.bytes_per_token()}}},
          {"limit",
           {{"read_gb_per_s", gb_per_s},
            {"threads", thread_count()},
            {"tokens_per_s", limit}}},
          {"compiled", compiled_json(e.compiled)}};
}

void line(const char* name, const std::string& value) {
  fmt::print("{:<14} {}\n", name, value);
}

std::string count_text(const Json& counts) {
  std::string text;
  for (const auto& [name, n] : counts.items()) {
    text +=
        fmt::format("{}{} {}", text.empty() ? "" : ", ", n.get<int>(), name);
  }
  return text.empty() ? "none" : text;
}

std::string names_text(const Json& names) {
  constexpr std::size_t kMost = 4;
  std::string text = std::to_string(names.size());
  for (std::size_t i = 0; i < std::min(names.size(), kMost); ++i)
    text += (i == 0 ? ": " : ", ") + names[i].get<std::string>();
  return text + (names.size() > kMost ? ", ..." : "");
}

std::string bytes_text(const Json& n) {
  return format_bytes(n.get<std::uint64_t>());
}

void print_text(const Json& e) {
  for (const char* name : {"path", "architecture", "format"})
    line(name, e[name].get<std::string>());
  const Json& tensors = e["tensors"];
  line("tensors",
       fmt::format("{} used, 0 missing; unused {}; hidden {}",
                   tensors["used"].size(), names_text(tensors["unused"]),
                   names_text(tensors["hidden"])));
  fmt::print("\n{:<38} {:>3} {:>15}  {:<31} {:<22} {}\n", "matrices", "n",
             "shape", "stored as", "decode", "prefill");
  for (const Json& m : e["matrices"]) {
    fmt::print(
        "{:<38} {:>3} {:>15}  {:<31} {:<22} {}\n", m["name"].get<std::string>(),
        m["count"].get<int>(),
        fmt::format("{} x {}", m["rows"].get<int>(), m["columns"].get<int>()),
        m["format"].get<std::string>(), m["decode"].get<std::string>(),
        m["prefill"].get<std::string>());
  }
  fmt::print("\n");
  line("decode step", count_text(e["decode_nodes"]["ours"]));
  line("", "MLX: " + count_text(e["decode_nodes"]["mlx"]));
  line("prefill step", fmt::format("{} tokens", e["prefill_rows"].get<int>()));
  line("compiled", e["compiled"]["note"].get<std::string>());
  line("cache", fmt::format("{} for {} tokens", bytes_text(e["cache"]["bytes"]),
                            e["context"].get<int>()));
  for (const Json& c : e["cache"]["kinds"]) {
    const int window = c["window"].get<int>(), keep = c["keep"].get<int>();
    std::string seen = "all positions";
    if (c["state"].get<bool>()) seen = "states";
    if (window != 0) seen = fmt::format("window {}", window);
    if (keep != 0) seen += fmt::format(" and the first {}", keep);
    line("", fmt::format("{} layers of {}, {}", c["layers"].get<int>(),
                         bytes_text(c["bytes_per_layer"]), seen));
  }
  const Json& read = e["bytes_per_token"];
  line("per token",
       fmt::format("{} weights + {} cache", bytes_text(read["weights"]),
                   bytes_text(read["cache"])));
  const char* name = "profile";
  for (const ProfileField& field : profile_fields()) {
    const Json& one = e["profile"][field.section][field.key];
    line(name, fmt::format("{} = {} ({})", field.name(),
                           one["value"].get<std::string>(),
                           one["from"].get<std::string>()));
    name = "";
  }
  const Json& limit = e["limit"];
  line("limit",
       fmt::format("{:.1f} tokens/s at {:.1f} GB/s, read by {} threads",
                   limit["tokens_per_s"].get<double>(),
                   limit["read_gb_per_s"].get<double>(),
                   limit["threads"].get<int>()));
}

void run(const Arguments& arguments) {
  const auto path = resolve_model(arguments.model, pull_options(false));
  LoadOptions options;
  options.precision = arguments.given.precision;
  options.allow_unused = true;
  const auto loaded = load_model(path, options);
  const Profile profile = arguments.given.over(loaded->profile.profile);
  const int most = loaded->context;
  int context = profile.context.value_or(0);
  if (context < 0 || (most != 0 && context > most)) {
    throw InvalidInput("--ctx",
                       "is " + std::to_string(context) +
                           ", expected 1 to the model's context" +
                           (most != 0 ? " of " + std::to_string(most) : ""));
  }
  if (context == 0) context = most != 0 ? std::min(most, kContext) : kContext;
  const Explanation e = explain(*loaded, context, profile.cache_options());
  Json json = to_json(*loaded, e, measured_gb_per_s());
  json["profile"] = profile_json(arguments.given, loaded->profile);
  if (arguments.json)
    fmt::print("{}\n", dump_json(json));
  else
    print_text(json);
}

}  // namespace

void add_explain(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  Command command(app, "explain",
                  "Say what a model's steps are made of and read here");
  command.text(
      "model", arguments->model,
      "Folder, .gguf file or org/name[:file]; nothing is the default model");
  add_profile_options(command, arguments->given);
  command.flag("--json", arguments->json, "Print as JSON");
  command.footer(
      "Examples:\n"
      "  skua explain\n"
      "  skua explain model.gguf --ctx 8192 --json\n"
      "A context of 0 is the model's, or 2048 where that is more.\n"
      "The limit is what reading the weights and the cache once for each\n"
      "token allows at the speed of memory, which is measured in a second.");
  command.callback([arguments] { run(*arguments); });
}

}  // namespace skua::cli
