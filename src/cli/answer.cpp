#include "cli/answer.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <limits>
#include <memory>
#include <mutex>

#include "base/json.h"
#include "base/memory.h"
#include "base/quote.h"
#include "cli/generation_options.h"
#include "cli/interrupt.h"
#include "cli/json_argument.h"
#include "cli/progress.h"
#include "generate/options.h"

namespace skua::cli {
namespace {

constexpr int kMaxTokens = 1024, kLookupTokens = 8;

}  // namespace

void add_model_option(Command& command, std::string& model) {
  command.text("-m,--model", model,
               "Folder, .gguf file or org/name[:file] "
               "(default: $SKUA_MODEL, else SmolLM2 135M)");
}

void add_profile_options(Command& command, Profile& profile) {
  const Profile otherwise = default_profile();
  command.number("--ctx", profile.context, *otherwise.context,
                 "Most tokens of prompt and answer; 0: what the model allows");
  command
      .choice("--kv-type", profile.kv_type, kv_type_words(),
              "How the cache stores keys and values: bf16 (default), f16, "
              "f32, int8, int4")
      .shown_as("TYPE");
  command.number("--max-kv-size", profile.max_kv_size, *otherwise.max_kv_size,
                 "Most past tokens to see; 0: all");
  command.number("--kv-keep", profile.kv_keep, *otherwise.kv_keep,
                 "Of these, how many from the start");
  command.number("--kv-quantize-from", profile.kv_quantize_from,
                 *otherwise.kv_quantize_from,
                 "Token from which keys and values are of fewer bits; -1: "
                 "none");
  command
      .choice("--kv-quantized-type", profile.kv_quantized_type,
              quantized_type_words(), "How these are: int8 (default), int4")
      .shown_as("TYPE");
  command
      .choice("--precision", profile.precision, precision_words(),
              "How exactly weights are multiplied: default, exact, "
              "deterministic, fast")
      .shown_as("NAME");
  command
      .switch_to("--fast",
                 "Read prompts with activations of 8 bits: faster, less exact",
                 [&profile] { profile.precision = Precision::kFast; })
      .excludes("--precision");
  command
      .switch_to("--deterministic",
                 "Same bits alone, in any batch and however a prompt is cut",
                 [&profile] { profile.precision = Precision::kDeterministic; })
      .excludes("--fast")
      .excludes("--precision");
  command
      .switch_to("--exact", "Compute in float32 throughout: slower",
                 [&profile] { profile.precision = Precision::kExact; })
      .excludes("--deterministic")
      .excludes("--fast")
      .excludes("--precision");
}

void add_answer_options(Command& command, AnswerOptions& options) {
  add_model_option(command, options.model);
  command.text("--system", options.system, "System message");
  add_profile_options(command, options.profile);
  command.text("--draft", options.draft,
               "A smaller model with the same tokens that guesses ahead");
  Option mtp =
      command
          .flag("--mtp", options.mtp,
                "Let the model's own heads for multi-token prediction guess "
                "ahead, where it has some")
          .excludes("--draft");
  command.flag("--warmup", options.warmup,
               "Take a step first, so that no time is spent on what the first "
               "one waits for");
  command.flag("-q,--quiet", options.quiet, "No progress and no statistics");
  add_generation_options(command, options.generation,
                         {.max_tokens = kMaxTokens});
  mtp.excludes("--prompt-lookup");
}

GenerationOptions generation_options(const Json& given, const Model& model) {
  GenerationOptions base = model.default_options();
  // Whoever reads an answer wants its end.
  base.max_tokens = std::max(base.max_tokens, kMaxTokens);
  base.fit_to_context = !given.contains("max_tokens");
  // Whoever names a source of drafts wants some.
  if (given.contains("prompt_lookup") && given["prompt_lookup"] == true)
    base.draft_tokens = kLookupTokens;
  return read_options(given, base);
}

void check_given(const AnswerOptions& options) {
  const auto grammar =
      grammar_of(read_options(options.generation, {.max_tokens = kMaxTokens}));
  if (grammar) check(*grammar);
}

std::string checked_prompt(std::string prompt, bool raw) {
  if (!raw) prompt.erase(prompt.find_last_not_of("\r\n") + 1);
  if (prompt.empty()) throw InvalidInput("prompt", "is empty");
  return prompt;
}

Model load_with_progress(const AnswerOptions& options) {
  check_given(options);
  auto bar = std::make_shared<std::unique_ptr<Progress>>();
  ModelOptions model_options;
  const Profile& given = options.profile;
  model_options.context = given.context;
  model_options.kv_type = given.kv_type;
  model_options.max_kv_size = given.max_kv_size;
  model_options.kv_keep = given.kv_keep;
  model_options.kv_quantize_from = given.kv_quantize_from;
  model_options.kv_quantized_type = given.kv_quantized_type;
  model_options.precision = given.precision;
  model_options.draft = options.draft;
  model_options.mtp = options.mtp;
  model_options.oracle = options.oracle;
  model_options.cancelled = interrupted;
  model_options.progress = [bar, quiet = options.quiet](std::string_view what,
                                                        std::uint64_t done,
                                                        std::uint64_t total) {
    if (interrupted()) throw Error("load", "interrupted");
    if (!*bar || (*bar)->label() != what) {
      const double show_after_s = what == "weights" ? 1 : 0;
      *bar = std::make_unique<Progress>(
          std::string(what),
          ProgressOptions{quiet || (what == "weights" && isatty(2) == 0),
                          show_after_s});
    }
    (*bar)->update(done, total);
    if (done == total) (*bar)->finish();
  };
  return Model::load(options.model, model_options);
}

std::optional<double> warm_up(const Model& model,
                              const AnswerOptions& options) {
  if (!options.warmup) return std::nullopt;
  const double seconds = model.warm_up();
  if (!options.quiet) fmt::print(stderr, "warm-up took {:.2f} s\n", seconds);
  return seconds;
}

std::jthread cancel_at_interrupt(Stream& stream) {
  return std::jthread([&stream](const std::stop_token& stop) {
    std::mutex mutex;
    std::unique_lock lock(mutex);
    std::condition_variable_any end;
    while (
        !stop.stop_requested() &&
        !end.wait_for(lock, stop, std::chrono::milliseconds(20), interrupted)) {
    }
    if (interrupted()) stream.cancel();
  });
}

GenerationOptions with_prompt_progress(GenerationOptions options, bool quiet) {
  if (quiet || isatty(STDERR_FILENO) == 0) return options;
  auto bar = std::make_shared<Progress>(
      "prompt", ProgressOptions{.show_after_s = 1, .format = format_tokens});
  options.prompt_progress = [bar](int done, int total) {
    bar->update(static_cast<std::uint64_t>(done),
                static_cast<std::uint64_t>(total));
    if (done == total) bar->finish();
    return true;
  };
  return options;
}

std::string print_stream(Stream& stream) {
  const std::jthread watcher = cancel_at_interrupt(stream);
  std::string text;
  while (true) {
    const std::optional<Piece> piece = stream.next();
    if (!piece) return text;
    text += piece->text;
    if (std::fwrite(piece->text.data(), 1, piece->text.size(), stdout) !=
            piece->text.size() ||
        std::fflush(stdout) != 0) {
      throw Error("stdout",
                  std::string("cannot be written: ") + std::strerror(errno));
    }
  }
}

void print_stats(const GenerationStats& s, const GenerationOptions& options) {
  std::string kept, more;
  if (s.n_cached_tokens > 0)
    kept = fmt::format(" ({} kept)", s.n_cached_tokens);
  if (s.stop) more += " | stopped at " + quote(*s.stop);
  if (s.draft) {
    more += fmt::format(" | {} of {} drafted tokens stood", s.draft->n_accepted,
                        s.draft->n_proposed);
    if (!s.draft->warning.empty())
      more += " | drafts ended: " + quote(s.draft->warning);
  }
  if (!options.seed && options.temperature > 0)
    more += " | seed " + std::to_string(s.seed);
  fmt::print(
      stderr,
      "prompt {} tokens{}, {:.1f} tokens/s | generated {} tokens, {:.1f} "
      "tokens/s | first token after {:.2f} s | peak memory {}{}\n",
      s.n_prompt_tokens, kept, s.prompt_rate(), s.n_generated_tokens,
      s.generation_rate(), s.first_token_s, format_bytes(peak_memory()), more);
}

std::string read_stdin() {
  constexpr std::size_t kMaxBytes = std::size_t{64} << 20;
  std::string text;
  char buffer[1 << 16];
  while (const std::size_t n = std::fread(buffer, 1, sizeof buffer, stdin)) {
    text.append(buffer, n);
    if (text.size() > kMaxBytes)
      throw InvalidInput("stdin", "holds more than 64 MiB");
  }
  return text;
}

std::vector<std::int32_t> parse_ids(const std::string& text,
                                    const std::string& where) {
  const Json json = is_json_text(text) ? parse_json(text, where) : Json();
  const auto is_id = [](const Json& value) {
    return value.is_number_integer() && value >= 0 &&
           value <= std::numeric_limits<std::int32_t>::max();
  };
  if (!json.is_array() || !std::ranges::all_of(json, is_id)) {
    throw InvalidInput(where,
                       "expected a JSON list of token ids, such as [1, 2, 3]");
  }
  return json.get<std::vector<std::int32_t>>();
}

std::string argument_or_stdin(const std::string& argument,
                              const std::string& what) {
  if (!argument.empty() && argument != "-") return argument;
  if (argument.empty() && isatty(0) != 0) {
    throw InvalidInput("usage", "there is no " + what +
                                    ", expected an argument or text on stdin");
  }
  return read_stdin();
}

}  // namespace skua::cli
