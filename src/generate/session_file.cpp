#include "generate/session_file.h"

#include <mlx/mlx.h>

#include <charconv>
#include <string_view>

#include "base/quote.h"
#include "generate/prompt_cache_digest.h"
#include "kernels/primitive.h"
#include "skua/error.h"

namespace skua {
namespace {

std::string name_of(KvType type) {
  switch (type) {
    case KvType::kF32:
      return "f32";
    case KvType::kBf16:
      return "bf16";
    case KvType::kF16:
      return "f16";
    case KvType::kInt8:
      return "int8";
    case KvType::kInt4:
      return "int4";
  }
  return "";
}

std::string kv_type_of(const CacheOptions& options) {
  std::string text = name_of(options.kv_type);
  if (options.quantize_from < KvCache::kNever) {
    text += ", " + name_of(options.quantized_type) + " from " +
            std::to_string(options.quantize_from);
  }
  return text;
}

// The type of the numbers in a file.
mx::Dtype dtype_of(const CacheOptions& options) {
  if (options.quantizes() || options.kv_type == KvType::kF32)
    return mx::float32;
  return options.kv_type == KvType::kBf16 ? mx::bfloat16 : mx::float16;
}

// A layer that holds a state has no keys and values.
std::vector<mx::array> state_of(const Cache& cache, int layer, int sequence,
                                int length) {
  return cache.layer(layer).states().find(sequence, length);
}

const KvCache& cache_of(const Cache& cache, int layer, int sequence) {
  const KvCache* found = cache.layer(layer).find(sequence);
  if (found == nullptr) {
    throw Unsupported("session", "layer " + std::to_string(layer) +
                                     " has no keys and values of its own "
                                     "and no state, which a file needs");
  }
  return *found;
}

PromptCacheLayer layer_of(const LayerCache& layer, const KvCache& cache,
                          int length, mx::Dtype dtype) {
  PromptCacheLayer result{cache.rows(0, 0)};
  result.offset = length;
  const auto set_rows = [&](const mx::array& keys, const mx::array& values) {
    result.rows = {mx::astype(keys, dtype), mx::astype(values, dtype)};
    // One layer at a time is in memory as float32.
    mx::eval(result.rows.keys, result.rows.values);
  };
  if (layer.window() == 0) {
    const KeyValue all = cache.rows(length);
    set_rows(all.keys, all.values);
    return result;
  }
  result.keep = layer.keep();
  result.max_size = layer.keep() + layer.window();
  result.n_head = std::min(layer.keep(), length);
  const KeyValue head = cache.rows(0, result.n_head);
  const KeyValue tail =
      cache.rows(std::max(result.n_head, length - layer.window()), length);
  set_rows(mx::concatenate({head.keys, tail.keys}, 1),
           mx::concatenate({head.values, tail.values}, 1));
  return result;
}

/** Checks a file against what is at hand. */
struct Check {
  std::string path;

  [[noreturn]] void fail(const std::string& what) const {
    throw InvalidInput(path, what);
  }

  void same(const PromptCacheFile& file, const std::string& key,
            const std::string& what, const std::string& want) const {
    const std::string& got = text(file, key);
    if (got != want) {
      fail("is of another " + what + ", got " + quote(got) + ", expected " +
           quote(want));
    }
  }

  const std::string& text(const PromptCacheFile& file,
                          const std::string& key) const {
    const auto found = file.metadata.find(key);
    if (found == file.metadata.end())
      fail("has no metadata " + quote(key) + ", expected a session of skua");
    return found->second;
  }

  std::vector<std::int32_t> tokens(const PromptCacheFile& file,
                                   int vocab_size) const {
    const std::string& list = text(file, "skua_tokens");
    std::vector<std::int32_t> ids;
    const char* at = list.data();
    const char* end = at + list.size();
    while (at != end) {
      std::int32_t id = 0;
      const auto [next, error] = std::from_chars(at, end, id);
      if (error != std::errc() || (next != end && *next != ' '))
        fail("has tokens that are no list of numbers");
      if (id < 0 || id >= vocab_size) {
        fail("has token id " + std::to_string(id) + ", expected 0 to " +
             std::to_string(vocab_size - 1));
      }
      ids.push_back(id);
      at = next == end ? end : next + 1;
    }
    if (ids.empty()) fail("has no tokens");
    return ids;
  }

  void fits(const PromptCacheLayer& layer, int i, int n_tokens,
            mx::Dtype dtype) const {
    const std::string name = "layer " + std::to_string(i);
    if (!layer.state.empty()) return;
    if (layer.offset != n_tokens) {
      fail(name + " is of " + std::to_string(layer.offset) +
           " tokens, expected " + std::to_string(n_tokens));
    }
    if (layer.rows.keys.dtype() != dtype)
      fail(name + " holds numbers of another type than the cache");
  }

  // Against the state of a layer that has taken a step.
  void fits(const PromptCacheLayer& layer, int i,
            const std::vector<mx::array>& own) const {
    const std::string name = "layer " + std::to_string(i);
    if (layer.state.size() != own.size()) {
      fail(name + " has a state of " + std::to_string(layer.state.size()) +
           " arrays, expected " + std::to_string(own.size()));
    }
    for (std::size_t k = 0; k < own.size(); ++k) {
      const mx::array &got = layer.state[k], &want = own[k];
      if (got.shape() == want.shape() && got.dtype() == want.dtype()) continue;
      fail(name + " has a state of shape " + shape_text(got.shape()) +
           ", expected " + shape_text(want.shape()) +
           " of the type of the model");
    }
  }

  // Against a layer that has taken a step.
  void fits(const PromptCacheLayer& layer, int i, const LayerCache& own,
            const mx::Shape& keys, const mx::Shape& values) const {
    const std::string name = "layer " + std::to_string(i);
    if (!layer.state.empty()) fail(name + " has a state, expected keys");
    const auto same = [](const mx::Shape& a, const mx::Shape& b) {
      return a[0] == b[0] && a[2] == b[2];
    };
    if (!same(layer.rows.keys.shape(), keys) ||
        !same(layer.rows.values.shape(), values)) {
      fail(name + " is " + shape_text(layer.rows.keys.shape()) +
           ", expected heads and sizes as in " + shape_text(keys));
    }
    const int size = own.window() == 0 ? 0 : own.window() + own.keep();
    if (layer.max_size != 0 &&
        (layer.max_size != size || layer.keep != own.keep())) {
      fail(name + " keeps " + std::to_string(layer.keep) + " of " +
           std::to_string(layer.max_size) + " positions, expected " +
           std::to_string(own.keep()) + " of " + std::to_string(size));
    }
  }
};

}  // namespace

void save_session(const Session& session, const std::filesystem::path& path,
                  const CacheIdentity& identity, PromptCacheLayout layout) {
  const Cache& cache = session.cache();
  if (session.tokens().empty())
    throw InvalidInput(path.string(), "the session to save has no tokens");
  PromptCacheFile file;
  const auto length = static_cast<int>(session.tokens().size());
  const mx::Dtype dtype = dtype_of(cache.options());
  for (int i = 0; i < cache.n_layers(); ++i) {
    auto state = state_of(cache, i, session.sequence(), length);
    if (!state.empty()) {
      file.layers.push_back({{mx::array({}), mx::array({})}});
      file.layers.back().state = std::move(state);
      continue;
    }
    file.layers.push_back(layer_of(
        cache.layer(i), cache_of(cache, i, session.sequence()), length, dtype));
  }
  std::string ids;
  for (const std::int32_t id : session.tokens())
    ids += (ids.empty() ? "" : " ") + std::to_string(id);
  file.metadata = {{"model", identity.path},
                   {"tokenizer_config", "{}"},
                   {"skua_model", identity.model},
                   {"skua_tokenizer", identity.tokenizer},
                   {"skua_kv_type", kv_type_of(cache.options())},
                   {"skua_tokens", std::move(ids)}};
  file.metadata[kPromptCacheDigest] = digest_of(file);
  write_prompt_cache(path, file, layout);
}

Session load_session(const std::filesystem::path& path, const CausalLM& model,
                     std::shared_ptr<Cache> cache,
                     const CacheIdentity& identity, int context, int chunk) {
  const Check check{path.string()};
  const PromptCacheFile file = read_prompt_cache(path);
  check.same(file, "skua_model", "model", identity.model);
  check.same(file, "skua_tokenizer", "tokenizer", identity.tokenizer);
  check.same(file, "skua_kv_type", "type of cache",
             kv_type_of(cache->options()));
  const auto tokens = check.tokens(file, model.vocab_size());
  if (file.layers.size() != static_cast<std::size_t>(cache->n_layers())) {
    check.fail("has " + std::to_string(file.layers.size()) +
               " layers, expected " + std::to_string(cache->n_layers()));
  }
  if (context != 0 && tokens.size() > static_cast<std::size_t>(context)) {
    check.fail("has " + std::to_string(tokens.size()) +
               " tokens, expected at most the context of " +
               std::to_string(context));
  }
  const auto n_tokens = static_cast<int>(tokens.size());
  for (int i = 0; i < cache->n_layers(); ++i) {
    check.fits(file.layers[static_cast<std::size_t>(i)], i, n_tokens,
               dtype_of(cache->options()));
  }
  Session session(model, cache, context, chunk);
  // A step tells what each layer holds.
  mx::eval(session.prefill(std::span(tokens).first(1)));
  for (int i = 0; i < cache->n_layers(); ++i) {
    const PromptCacheLayer& layer = file.layers[static_cast<std::size_t>(i)];
    const auto state = state_of(*cache, i, session.sequence(), 1);
    if (!state.empty()) {
      check.fits(layer, i, state);
      for (std::size_t k = 0; k < state.size(); ++k)
        cache->layer(i).states().set(session.sequence(), n_tokens,
                                     static_cast<int>(k), layer.state[k]);
      continue;
    }
    const KvCache& own = cache_of(*cache, i, session.sequence());
    const KeyValue one = own.rows(1);
    check.fits(layer, i, cache->layer(i), one.keys.shape(), one.values.shape());
    own.restore(layer.rows, layer.n_head,
                n_tokens - layer.rows.keys.shape(1) + layer.n_head);
  }
  cache->set_length(session.sequence(), n_tokens);
  session.fed(std::span(tokens).subspan(1));
  return session;
}

}  // namespace skua
