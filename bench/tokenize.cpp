#include "bench/tokenize.h"

#include <algorithm>
#include <chrono>
#include <string>

#include "base/file.h"
#include "base/gguf.h"
#include "text/tokenizer.h"

namespace skua::bench {
namespace {

namespace fs = std::filesystem;

constexpr int kTrials = 5;

// The best of some runs.
template <typename Run>
double milliseconds(const Run& run) {
  using Clock = std::chrono::steady_clock;
  double best = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    const auto begin = Clock::now();
    run();
    const std::chrono::duration<double, std::milli> time = Clock::now() - begin;
    best = trial == 0 ? time.count() : std::min(best, time.count());
  }
  return best;
}

std::shared_ptr<const Tokenizer> load(const fs::path& path) {
  if (path.extension() == ".gguf") return load_tokenizer(GgufFile(path));
  return fs::is_directory(path) ? load_tokenizer(path)
                                : load_tokenizer_file(path);
}

std::string repeated(const std::string& part, std::size_t n_bytes) {
  std::string text;
  while (text.size() + part.size() <= n_bytes) text += part;
  return text;
}

Json measure(const Tokenizer& tokenizer, const std::string& text) {
  std::vector<std::int32_t> ids;
  const double encode = milliseconds([&] { ids = tokenizer.encode(text); });
  const double decode = milliseconds([&] { tokenizer.decode(ids); });
  const double offsets =
      milliseconds([&] { tokenizer.encode_with_offsets(text); });
  return {{"bytes", text.size()},
          {"tokens", ids.size()},
          {"encode_ms", encode},
          {"decode_ms", decode},
          {"encode_with_offsets_ms", offsets}};
}

}  // namespace

void run_tokenizer_tests(const fs::path& path, const fs::path& text,
                         const std::function<void(const Json&)>& emit) {
  const double load_ms = milliseconds([&] { load(path); });
  const auto tokenizer = load(path);
  const MappedFile file(text);
  const auto bytes = file.bytes();
  const std::string sample(reinterpret_cast<const char*>(bytes.data()),
                           bytes.size());
  emit({{"test", "load"},
        {"kind", tokenizer->kind()},
        {"size", tokenizer->size()},
        {"load_ms", load_ms}});
  const std::pair<const char*, std::string> texts[] = {
      {"text", sample},
      {"one character", repeated("a", sample.size())},
      {"spaces", repeated(" ", sample.size())},
      {"emoji", repeated("\xf0\x9f\x98\x80", sample.size())},
      {"digits", repeated("7", sample.size())}};
  for (const auto& [name, content] : texts) {
    Json row = measure(*tokenizer, content);
    row["test"] = name;
    emit(row);
  }
}

void run_tokenizer_runs(const std::vector<std::string>& paths,
                        const std::function<void(const Json&)>& emit) {
  const std::pair<const char*, const char*> parts[] = {
      {"one character", "a"},  {"spaces", " "}, {"emoji", "\xf0\x9f\x98\x80"},
      {"accents", "\xcc\x81"}, {"digits", "7"}, {"lines", "\n "}};
  for (const std::string& path : paths) {
    const auto tokenizer = load(path);
    for (const auto& [name, part] : parts) {
      const std::string few = repeated(part, 256 << 10);
      const std::string many = repeated(part, 1 << 20);
      std::vector<std::int32_t> ids;
      const auto encode = [&](const std::string& text) {
        return milliseconds([&] { ids = tokenizer->encode(text); });
      };
      const double few_ms = encode(few), many_ms = encode(many);
      const double decode_ms = milliseconds([&] { tokenizer->decode(ids); });
      emit({{"path", fs::path(path).filename().string()},
            {"run", name},
            {"256KB_ms", few_ms},
            {"1MB_ms", many_ms},
            {"times", many_ms / few_ms},
            {"decode_ms", decode_ms}});
    }
  }
}

}  // namespace skua::bench
