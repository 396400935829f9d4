#include "generate/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "generate/likeliest.h"
#include "generate/options.h"
#include "generate/random.h"
#include "kernels/cpu/vocabulary.h"
#include "skua/error.h"

namespace skua {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

cpu::Largest largest_of(std::span<const float> logits) {
  const cpu::Largest largest = cpu::largest_of(logits.data(), logits.size());
  if (!largest.usable)
    throw Error(
        "sampler",
        "the model's logits are not finite; its weights may be damaged");
  return largest;
}

// Megabytes for a large vocabulary: one for all sequences of a thread.
struct Workspace {
  Likeliest likeliest;
  std::vector<float> weights;
  std::vector<double> sums;  // of blocks of the weights
};

Workspace& workspace() {
  thread_local Workspace buffers;
  return buffers;
}

// The first index at which the weights so far exceed `uniform` of all of them;
// never one that weighs nothing.
std::size_t draw(std::span<const float> logits, float largest,
                 double temperature, double uniform, Workspace& w) {
  constexpr std::size_t kBlock = cpu::kVocabularyBlock;
  const std::size_t n = logits.size();
  w.weights.resize(std::max(w.weights.size(), n));
  w.sums.resize((n + kBlock - 1) / kBlock);
  constexpr double kSteepest = std::numeric_limits<float>::max();
  const auto scale = static_cast<float>(std::min(1 / temperature, kSteepest));
  double left = uniform * cpu::softmax_weights(logits.data(), n, largest, scale,
                                               w.weights.data(), w.sums.data());
  std::size_t last = 0;
  double left_in_last = 0;
  for (std::size_t block = 0; block < w.sums.size() && left >= 0; ++block) {
    if (w.sums[block] == 0) continue;
    last = block;
    left_in_last = left;
    left -= w.sums[block];
  }
  const std::size_t begin = last * kBlock;
  const std::size_t end = std::min(begin + kBlock, n);
  std::size_t drawn = begin;
  for (std::size_t i = begin; i < end && left_in_last >= 0; ++i) {
    if (w.weights[i] == 0) continue;
    drawn = i;
    left_in_last -= w.weights[i];
  }
  return drawn;
}

}  // namespace

std::vector<float> filtered_log_probabilities(
    std::span<const float> logits, const GenerationOptions& options) {
  const float largest = largest_of(logits).value;
  std::vector<float> log_p(logits.size());
  cpu::log_softmax(logits.data(), logits.size(), log_p.data());
  const auto cut = workspace().likeliest.cut(logits, largest, options);
  if (!cut) return log_p;
  for (std::size_t id = 0; id < logits.size(); ++id)
    if (!cut->keeps(logits[id], static_cast<std::int32_t>(id)))
      log_p[id] = kNever;
  return log_p;
}

Sampler::Sampler(const GenerationOptions& options, TokenRoles roles,
                 std::uint64_t seed, std::uint32_t sequence)
    : options_(options),
      roles_(std::move(roles)),
      seed_(seed),
      sequence_(sequence) {
  check(options_, roles_.vocab_size);
}

Choice Sampler::choose(std::span<const float> logits, const History& history) {
  const cpu::Largest largest = largest_of(logits);
  if (options_.temperature == 0)
    return {static_cast<std::int32_t>(largest.index), {}, {}};
  Workspace& w = workspace();
  TokenSpan tokens{logits, {}};
  if (const auto cut = w.likeliest.cut(logits, largest.value, options_))
    tokens = w.likeliest.kept(logits, *cut);
  const auto step = history.tokens.size() - history.n_prompt;
  const std::size_t drawn =
      draw(tokens.logits, largest.value, options_.temperature,
           philox_uniform(seed_, step), w);
  return {
      tokens.ids.empty() ? static_cast<std::int32_t>(drawn) : tokens.ids[drawn],
      {},
      {}};
}

}  // namespace skua
