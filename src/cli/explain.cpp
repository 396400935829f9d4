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
  int context = 0;
  KvType kv_type = KvType::kBf16;
  bool exact = false, fast = false, json = false;
};

constexpr const char* kNothingCompiled =
    "nothing: kernels are part of the program, and a step's graph is built "
    "anew";

double measured_gb_per_s() {
  BandwidthOptions options;
  options.n_threads = thread_count();
  options.n_mib = 256;
  options.n_trials = 5;
  return read_bandwidth(options).best;
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
                      {"bytes_per_layer", c.n_bytes},
                      {"read_per_token", c.read_bytes}});
  }
  const double limit =
      gb_per_s * 1e9 / static_cast<double>(e.bytes_per_token());
  return {
      {"path", model.path.string()},
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
      {"compiled", {{"functions", Json::array()}, {"note", kNothingCompiled}}}};
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
    const int window = c["window"].get<int>();
    line("", fmt::format("{} layers of {}, {}", c["layers"].get<int>(),
                         bytes_text(c["bytes_per_layer"]),
                         window == 0 ? "all positions"
                                     : fmt::format("window {}", window)));
  }
  const Json& read = e["bytes_per_token"];
  line("per token",
       fmt::format("{} weights + {} cache", bytes_text(read["weights"]),
                   bytes_text(read["cache"])));
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
  if (arguments.exact) options.precision = Precision::kExact;
  if (arguments.fast) options.precision = Precision::kFast;
  options.allow_unused = true;
  const auto loaded = load_model(path, options);
  const int most = loaded->context;
  if (arguments.context < 0 || (most != 0 && arguments.context > most)) {
    throw InvalidInput("--ctx",
                       "is " + std::to_string(arguments.context) +
                           ", expected 1 to the model's context" +
                           (most != 0 ? " of " + std::to_string(most) : ""));
  }
  int context = arguments.context;
  if (context == 0) context = most != 0 ? std::min(most, kContext) : kContext;
  const Explanation e = explain(*loaded, context, arguments.kv_type);
  const Json json = to_json(*loaded, e, measured_gb_per_s());
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
  command.number("--ctx", arguments->context,
                 "Tokens of the sequence; 0: the model's context, at most "
                 "2048");
  command
      .choice("--kv-type", arguments->kv_type,
              {{"bf16", KvType::kBf16},
               {"f16", KvType::kF16},
               {"f32", KvType::kF32},
               {"int8", KvType::kInt8}},
              "How the cache stores keys and values: bf16 (default), f16, "
              "f32, int8")
      .shown_as("TYPE");
  command.flag("--fast", arguments->fast, "As with run --fast");
  command.flag("--exact", arguments->exact, "As with run --exact")
      .excludes("--fast");
  command.flag("--json", arguments->json, "Print as JSON");
  command.footer(
      "Examples:\n"
      "  skua explain\n"
      "  skua explain model.gguf --ctx 8192 --json\n"
      "The limit is what reading the weights and the cache once for each\n"
      "token allows at the speed of memory, which is measured in a second.");
  command.callback([arguments] { run(*arguments); });
}

}  // namespace skua::cli
