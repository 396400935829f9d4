#include "generate/probe.h"

#include <mlx/mlx.h>

#include <algorithm>
#include <limits>
#include <string>

#include "generate/options.h"
#include "generate/oracle.h"
#include "generate/sampler.h"
#include "skua/error.h"

namespace skua {
namespace {

std::vector<float> row(const mx::array& logits, int i) {
  mx::array values = mx::contiguous(mx::take(logits, i, 0));
  values.eval();
  return {values.data<float>(), values.data<float>() + values.size()};
}

Probe::Top best_two(const std::vector<float>& logits) {
  std::size_t best = 0, second = 1;
  for (std::size_t i = 1; i < logits.size(); ++i) {
    if (logits[i] > logits[best]) {
      second = best;
      best = i;
    } else if (i != best && (second == best || logits[i] > logits[second])) {
      second = i;
    }
  }
  return {static_cast<std::int32_t>(best), static_cast<std::int32_t>(second),
          logits[best], logits.at(second)};
}

void check(std::span<const std::int32_t> ids, std::span<const int> at,
           int n_greedy, int chunk, int vocab_size) {
  if (ids.empty()) throw InvalidInput("tokens", "there are none");
  check_ids(ids, vocab_size, "tokens");
  for (const int position : at) {
    if (position < 0 || static_cast<std::size_t>(position) >= ids.size()) {
      throw InvalidInput("at", "a position is " + std::to_string(position) +
                                   ", expected 0 to " +
                                   std::to_string(ids.size() - 1));
    }
  }
  if (n_greedy < 0 || chunk < 0)
    throw InvalidInput("probe", "greedy and chunk are expected 0 or more");
}

std::vector<float> read_logits(const Json& values) {
  std::vector<float> logits;
  if (!values.is_array() || values.empty())
    throw InvalidInput("logits", "expected a list of numbers");
  for (const Json& value : values) {
    if (!value.is_null() && !value.is_number())
      throw InvalidInput("logits", "got " + dump_json(value) +
                                       ", expected a number, or null for -inf");
    logits.push_back(value.is_null() ? -std::numeric_limits<float>::infinity()
                                     : finite(value.get<double>()));
  }
  return logits;
}

std::vector<std::int32_t> read_ids(const Json& values, const char* where,
                                   std::size_t vocab_size) {
  std::vector<std::int32_t> ids;
  if (!values.is_array())
    throw InvalidInput(where, "expected a list of token ids");
  for (const Json& value : values) {
    if (!value.is_number_integer() || value < 0 || value >= vocab_size)
      throw InvalidInput(where, "got " + dump_json(value) +
                                    ", expected token ids from 0 to " +
                                    std::to_string(vocab_size - 1));
    ids.push_back(value.get<std::int32_t>());
  }
  return ids;
}

}  // namespace

std::vector<float> probe_filter(const Json& request) {
  Json given = {{"logits", nullptr},
                {"history", Json::array()},
                {"options", Json::object()},
                {"n_generated", 0},
                {"eos_ids", Json::array()}};
  if (!request.is_object())
    throw InvalidInput("request", "expected a JSON object");
  for (const auto& [key, value] : request.items()) {
    if (!given.contains(key))
      throw InvalidInput("request", "got " + dump_json(key) +
                                        ", expected logits, history, options, "
                                        "n_generated and eos_ids");
    given[key] = value;
  }
  const std::vector<float> logits = read_logits(given["logits"]);
  const auto history = read_ids(given["history"], "history", logits.size());
  const auto eos_ids = read_ids(given["eos_ids"], "eos_ids", logits.size());
  const Json& n_generated = given["n_generated"];
  if (!n_generated.is_number_integer() || n_generated < 0 ||
      n_generated > history.size())
    throw InvalidInput("n_generated", "got " + dump_json(n_generated) +
                                          ", expected 0 to the number of "
                                          "tokens of the history");
  TokenRoles roles;
  roles.vocab_size = static_cast<int>(logits.size());
  roles.eos_ids = {eos_ids.begin(), eos_ids.end()};
  const auto options = read_options(given["options"], {}, roles.vocab_size);
  const auto constraints = constraints_of(options);
  if (!constraints.empty()) {
    throw Unsupported("options", std::string(constraints.front()) +
                                     " needs the tokens of a model, expected "
                                     "options that need none");
  }
  return Sampler(options, std::move(roles), options.seed.value_or(0))
      .filtered_log_probabilities(
          logits, {history, history.size() - n_generated.get<std::size_t>()});
}

Probe probe_logits(const CausalLM& model, std::span<const std::int32_t> ids,
                   std::span<const int> at, int n_greedy, int chunk) {
  check(ids, at, n_greedy, chunk, model.vocab_size());
  const auto n_ids = static_cast<int>(ids.size());
  const int step = chunk == 0 ? n_ids : chunk;
  Cache cache = model.make_cache();
  const int sequence = cache.add_sequence();
  Probe probe;
  for (int first = 0; first < n_ids; first += step) {
    const int n = std::min(step, n_ids - first);
    Batch batch;
    batch.add(sequence, first, n);
    for (const int position : at) {
      if (position >= first && position < first + n)
        batch.output_rows.push_back(position - first);
    }
    const auto n_at = static_cast<int>(batch.output_rows.size());
    batch.want_last();
    const mx::array logits = model.forward(
        mx::array(ids.begin() + first, {n}, mx::int32), batch, cache);
    for (int i = 0; i < n_at; ++i) {
      const int position = batch.output_rows[static_cast<std::size_t>(i)];
      probe.logits_at[first + position] = row(logits, i);
    }
    probe.logits_last = row(logits, n_at);
  }
  std::vector<float> logits = probe.logits_last;
  for (int i = 0; i < n_greedy; ++i) {
    probe.greedy_top.push_back(best_two(logits));
    const std::int32_t token = probe.greedy_top.back().id;
    probe.greedy.push_back(token);
    if (i + 1 == n_greedy) break;
    Batch batch;
    batch.add(sequence, n_ids + i, 1);
    batch.want_last();
    logits =
        row(model.forward(mx::array(&token, {1}, mx::int32), batch, cache), 0);
  }
  return probe;
}

Probe probe_oracle(const CausalLM& model, std::span<const std::int32_t> ids,
                   std::span<const int> at, int n_greedy) {
  check(ids, at, n_greedy, 0, model.vocab_size());
  const Oracle oracle(model);
  Probe probe;
  for (const int position : at) {
    probe.logits_at[position] =
        oracle.logits(ids.first(static_cast<std::size_t>(position) + 1));
  }
  std::vector<std::int32_t> all(ids.begin(), ids.end());
  std::vector<float> logits = probe.logits_last = oracle.logits(all);
  for (int i = 0; i < n_greedy; ++i) {
    if (i != 0) logits = oracle.logits(all);
    probe.greedy_top.push_back(best_two(logits));
    all.push_back(probe.greedy_top.back().id);
    probe.greedy.push_back(all.back());
  }
  return probe;
}

}  // namespace skua
