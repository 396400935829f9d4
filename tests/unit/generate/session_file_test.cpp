#include "generate/session_file.h"

#include <gtest/gtest.h>
#include <mlx/mlx.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>

#include "base/file.h"
#include "base/safetensors.h"
#include "skua/error.h"
#include "tests/support.h"
#include "tests/unit/kernels/numbers.h"

namespace skua {
namespace {

using test::numbers;
using test::TempDir;
using test::worst;
using Ids = std::vector<std::int32_t>;
using Layout = PromptCacheLayout;

constexpr Layout kLayouts[] = {Layout::kMetaState, Layout::kScalars};

Ids some(int n, int vocab_size, unsigned seed = 1) {
  std::mt19937 engine(seed);
  Ids ids;
  for (int i = 0; i < n; ++i)
    ids.push_back(static_cast<std::int32_t>(engine() %
                                            static_cast<unsigned>(vocab_size)));
  return ids;
}

/** A model, a session of some tokens, and a folder for its file. */
struct Case {
  explicit Case(const std::string& name, CacheOptions options = {},
                int n_tokens = 40)
      : loaded(load_model(test::asset("goldens/lm/" + name))),
        model(*loaded->model),
        options(options),
        identity(identity_of(*loaded)),
        session(model, cache(), 0),
        path(folder.path() / "session.safetensors") {
    ids = some(n_tokens, model.vocab_size());
    mx::eval(session.prefill(ids));
  }

  std::shared_ptr<Cache> cache() const {
    return std::make_shared<Cache>(model.make_cache(options));
  }
  void save(Layout layout = Layout::kMetaState) const {
    save_session(session, path, identity, layout);
  }
  Session load() const { return load_session(path, model, cache(), identity); }
  /** What the file says, as another program would write it. */
  PromptCacheFile content() const {
    PromptCacheFile file = read_prompt_cache(path);
    file.metadata.erase("skua_sha256");
    return file;
  }
  /** The file, changed. */
  void rewrite(const std::function<void(PromptCacheFile&)>& change) const {
    PromptCacheFile file = content();
    change(file);
    write_prompt_cache(path, file);
  }

  TempDir folder;
  std::shared_ptr<const LoadedModel> loaded;
  const CausalLM& model;
  CacheOptions options;
  CacheIdentity identity;
  Session session;
  std::filesystem::path path;
  Ids ids;
};

std::size_t read_size(const std::string& safetensors) {
  std::uint64_t n = 0;
  std::memcpy(&n, safetensors.data(), sizeof n);
  return n;
}

/** The identity of the model in `folder` with these weights. */
CacheIdentity read_as(const TempDir& folder, const std::string& weights) {
  write_file_atomic(folder.path() / "model.safetensors", weights);
  return identity_of(*load_model(folder.path()));
}

bool is_absent(const std::string& name) {
  return test::asset("goldens/lm/" + name).empty();
}

// GEN-77, COMP-04
TEST(SessionFile, ContinuesAsTheSessionThatWasSaved) {
  if (is_absent("llama") || is_absent("gemma3_text"))
    GTEST_SKIP() << "no test asset goldens/lm";
  const std::vector<CacheOptions> kOptions = {
      {},
      {.kv_type = KvType::kBf16},
      {.kv_type = KvType::kF16},
      {.kv_type = KvType::kInt8},
      {.quantize_from = 256},
      {.kv_type = KvType::kInt4},
      {.quantize_from = 256, .quantized_type = KvType::kInt4},
      {.max_size = 20},
      {.kv_type = KvType::kInt8, .max_size = 20, .keep = 0},
      {.max_size = 1000}};
  for (const char* name : {"llama", "gemma3_text"}) {
    for (const CacheOptions& options : kOptions) {
      for (const int n : {3, 40, 300}) {
        Case c(name, options, n);
        c.save(kLayouts[n % 2]);
        Session loaded = c.load();
        EXPECT_EQ(loaded.tokens(), c.ids);
        for (const int more : {1, 1, 30, 1}) {
          const Ids next = some(more, c.model.vocab_size(), 7);
          const auto got = numbers(loaded.prefill(next));
          const auto want = numbers(c.session.prefill(next));
          if (options.quantizes()) {
            EXPECT_LE(worst(got, want), 1e-4) << name << " " << n;
          } else {
            EXPECT_EQ(got, want) << name << " " << n;
          }
        }
      }
    }
  }
}

// GEN-75, GEN-77
TEST(SessionFile, StatesContinueAsTheSessionThatWasSaved) {
  for (const char* name : {"lfm2", "mamba2", "qwen3_next"}) {
    if (is_absent(name)) GTEST_SKIP() << "no test asset goldens/lm";
    for (const int n : {1, 3, 40}) {
      for (const Layout layout : kLayouts) {
        Case c(name, {.kv_type = KvType::kBf16}, n);
        c.save(layout);
        Session loaded = c.load();
        EXPECT_EQ(loaded.tokens(), c.ids);
        const Ids next = some(7, c.model.vocab_size(), 7);
        const auto want = numbers(c.session.fork().prefill(next));
        EXPECT_EQ(numbers(loaded.fork().prefill(next)), want) << name;
        EXPECT_EQ(numbers(loaded.prefill(next)), want) << name;
        loaded.rewind(n);
        EXPECT_EQ(numbers(loaded.prefill(next)), want) << name;
      }
    }
  }
}

// GEN-75, GEN-78
TEST(SessionFile, RefusesStatesThatAreNotTheModels) {
  if (is_absent("qwen3_next")) GTEST_SKIP() << "no test asset goldens/lm";
  const Case c("qwen3_next");
  const auto refuses = [&](const std::string& text, const auto& change) {
    c.save();
    c.rewrite([&](PromptCacheFile& file) { change(file.layers); });
    SKUA_EXPECT_ERROR(c.load(), InvalidInput, text);
  };
  refuses("layer 0 has a state of 1 arrays, expected 2",
          [](auto& layers) { layers[0].state.pop_back(); });
  refuses("layer 2 has a state of shape [3, 64], expected [4, 8, 8]",
          [](auto& layers) { layers[2].state[1] = layers[2].state[0]; });
  refuses("of the type of the model", [](auto& layers) {
    layers[0].state[0] = mx::astype(layers[0].state[0], mx::float16);
  });
  refuses("layer 1 has a state, expected keys",
          [](auto& layers) { layers[1] = layers[0]; });
  refuses("layer 0 has a state of 0 arrays, expected 2",
          [](auto& layers) { layers[0] = layers[1]; });
}

// COMP-04
TEST(SessionFile, ALoadedSessionForksAndRewinds) {
  if (is_absent("gemma3_text")) GTEST_SKIP() << "no test asset goldens/lm";
  Case c("gemma3_text", {}, 40);
  c.save();
  Session loaded = c.load();
  Session fork = loaded.fork();
  const Ids next = some(5, c.model.vocab_size(), 3);
  const auto want = numbers(c.session.prefill(next));
  EXPECT_EQ(numbers(loaded.prefill(next)), want);
  EXPECT_EQ(numbers(fork.prefill(next)), want);
  loaded.rewind(40);
  EXPECT_EQ(numbers(loaded.prefill(next)), want);
  EXPECT_EQ(numbers(loaded.extend_to(c.ids)),
            numbers(Session(c.model).prefill(c.ids)));
}

// GEN-77: names, shapes and metadata of either layout.
TEST(SessionFile, IsLaidOutAsMlxLmDoes) {
  if (is_absent("llama")) GTEST_SKIP() << "no test asset goldens/lm";
  Case c("llama", {.kv_type = KvType::kBf16}, 40);
  c.save();
  const KvCache& cache = *c.session.cache().layer(1).find(c.session.sequence());
  const KeyValue rows = cache.rows(40);
  const SafetensorsFile old(c.path);
  const auto n_layers = static_cast<std::size_t>(c.model.n_layers());
  EXPECT_EQ(old.tensors().size(), 2 * n_layers);
  EXPECT_EQ(old.metadata().size(), 2 * n_layers + 7);
  EXPECT_EQ(old.metadata().at("0.1"), "");
  EXPECT_EQ(old.metadata().at("2.1"), "KVCache");
  EXPECT_EQ(old.metadata().at("1.model"), c.loaded->path.string());
  EXPECT_EQ(old.metadata().at("1.tokenizer_config"), "{}");
  EXPECT_EQ(old.metadata().at("1.skua_kv_type"), "bf16");
  for (const SafeTensor& tensor : old.tensors()) {
    EXPECT_EQ(tensor.dtype, SafeDtype::kBF16);
    EXPECT_EQ(tensor.shape,
              (std::vector<std::int64_t>{1, rows.keys.shape(0), 40,
                                         rows.keys.shape(2)}));
  }

  Case ring("llama", {.max_size = 20}, 47);
  ring.save();
  const SafetensorsFile rotating(ring.path);
  EXPECT_EQ(rotating.metadata().at("2.0"), "RotatingKVCache");
  const char* want[] = {"4", "20", "47", "20"};  // keep, size, offset, cursor
  for (int i = 0; i < 4; ++i)
    EXPECT_EQ(rotating.metadata().at("0.1." + std::to_string(i)), want[i]);
  EXPECT_EQ(rotating.tensors().at(0).shape.at(2), 20);

  ring.save(Layout::kScalars);
  const SafetensorsFile scalars(ring.path);
  EXPECT_EQ(scalars.metadata().at("2.0"), "");
  EXPECT_EQ(scalars.metadata().at("1.1"), "RotatingKVCache");
  EXPECT_EQ(scalars.metadata().at("2.1.0"), "0.2");
  EXPECT_EQ(scalars.metadata().at("2.1.1"), "scalar");
  EXPECT_EQ(scalars.tensors().size(), 6 * n_layers);
}

// Overwrites the cursors of a file, which are 20, by 9.
void move_cursors(const std::filesystem::path& path, Layout layout) {
  std::string text = test::read_text(path);
  if (layout == Layout::kScalars) {
    const SafetensorsFile file(path);
    for (const SafeTensor& tensor : file.tensors()) {
      if (!tensor.name.ends_with(".5")) continue;
      const auto at = tensor.data.data() - file.file().bytes().data();
      ASSERT_EQ(text[static_cast<std::size_t>(at)], 20);
      text[static_cast<std::size_t>(at)] = 9;
    }
  } else {
    for (int i = 0; i < 3; ++i) {
      const std::string field = "\"0." + std::to_string(i) + ".3\":";
      const auto at = text.find(field + "\"20\"");
      ASSERT_NE(at, std::string::npos);
      text.replace(at + field.size(), 4, "\"9\" ");
    }
  }
  test::write_text(path, text);
}

// GEN-77: rows as mlx-lm would leave them after its ring has turned.
TEST(SessionFile, ReadsARingThatHasTurned) {
  if (is_absent("llama")) GTEST_SKIP() << "no test asset goldens/lm";
  Case c("llama", {.max_size = 20}, 47);
  c.save();
  const Ids next = some(3, c.model.vocab_size(), 7);
  const auto want = numbers(c.session.prefill(next));
  const PromptCacheFile straight = c.content();
  for (const Layout layout : kLayouts) {
    PromptCacheFile file = straight;
    for (PromptCacheLayer& layer : file.layers) {
      // The cursor stands at 9: the newest five follow the head.
      const auto turn = [](const mx::array& x) {
        const auto part = [&](int from, int to) {
          return mx::slice(x, {0, from, 0}, {x.shape(0), to, x.shape(2)});
        };
        return mx::concatenate({part(0, 4), part(15, 20), part(4, 15)}, 1);
      };
      layer.rows = {turn(layer.rows.keys), turn(layer.rows.values)};
    }
    write_prompt_cache(c.path, file, layout);
    move_cursors(c.path, layout);
    Session loaded = c.load();
    EXPECT_EQ(numbers(loaded.prefill(next)), want);
  }
}

// GEN-78
TEST(SessionFile, OfAnotherKindIsRefusedWithTheDifference) {
  if (is_absent("llama") || is_absent("qwen3"))
    GTEST_SKIP() << "no test asset goldens/lm";
  Case c("llama");
  c.save();
  const auto other = load_model(test::asset("goldens/lm/qwen3"));
  SKUA_EXPECT_ERROR(
      load_session(c.path, *other->model,
                   std::make_shared<Cache>(other->model->make_cache()),
                   identity_of(*other)),
      InvalidInput, "is of another model, got 'llama ");
  CacheIdentity identity = c.identity;
  identity.tokenizer = "BPE";
  SKUA_EXPECT_ERROR(load_session(c.path, c.model, c.cache(), identity),
                    InvalidInput,
                    "is of another tokenizer, got 'none', expected 'BPE'");
  const auto load_as = [&](const CacheOptions& options) {
    return load_session(c.path, c.model,
                        std::make_shared<Cache>(c.model.make_cache(options)),
                        c.identity);
  };
  SKUA_EXPECT_ERROR(load_as({.kv_type = KvType::kBf16}), InvalidInput,
                    "is of another type of cache, got 'f32', expected 'bf16'");
  EXPECT_THROW(load_as({.quantize_from = 0}), InvalidInput);
  EXPECT_THROW(load_as({.kv_type = KvType::kInt4}), InvalidInput);
  SKUA_EXPECT_ERROR(load_session(c.path, c.model, c.cache(), c.identity, 39),
                    InvalidInput,
                    "has 40 tokens, expected at most the context");

  Case ring("llama", {.max_size = 20});
  ring.save();
  ring.options.max_size = 24;
  SKUA_EXPECT_ERROR(ring.load(), InvalidInput,
                    "layer 0 keeps 4 of 20 positions, expected 4 of 24");
  ring.options.max_size = 0;
  SKUA_EXPECT_ERROR(ring.load(), InvalidInput, "expected 0 of 0");
  Session empty(c.model, c.cache(), 0);
  SKUA_EXPECT_ERROR(save_session(empty, c.path, c.identity), InvalidInput,
                    "has no tokens");
}

// GEN-78: equal in all but the values of one matrix.
TEST(SessionFile, OfOtherWeightsIsRefused) {
  if (is_absent("llama")) GTEST_SKIP() << "no test asset goldens/lm";
  Case c("llama");
  c.save();
  const TempDir folder;
  const auto original = test::asset("goldens/lm/llama");
  std::filesystem::copy_file(original / "config.json",
                             folder.path() / "config.json");
  const std::string bytes = read_file(original / "model.safetensors");
  EXPECT_EQ(read_as(folder, bytes).model, c.identity.model);
  const SafetensorsFile tensors(original / "model.safetensors");
  const auto whole = tensors.file().bytes();
  for (const SafeTensor& tensor : tensors.tensors()) {
    if (tensor.data.size() < 1024) continue;
    std::string changed = bytes;
    const auto begin = tensor.data.data() - whole.data();
    for (std::size_t i = 0; i < tensor.data.size(); i += 4)
      changed[static_cast<std::size_t>(begin) + i] ^= 1;
    EXPECT_NE(read_as(folder, changed).model, c.identity.model) << tensor.name;
  }
}

// GEN-78
TEST(SessionFile, ThatContradictsItselfIsRefused) {
  if (is_absent("llama")) GTEST_SKIP() << "no test asset goldens/lm";
  const auto refused = [](CacheOptions options, const std::string& part,
                          const std::function<void(PromptCacheFile&)>& change) {
    Case c("llama", options);
    c.save();
    c.rewrite(change);
    const auto cache = c.cache();
    SKUA_EXPECT_ERROR(load_session(c.path, c.model, cache, c.identity),
                      InvalidInput, part);
    EXPECT_EQ(cache->n_bytes(), 0u) << "nothing is left behind";
  };
  using File = PromptCacheFile;
  const CacheOptions ring{.max_size = 20};
  refused({}, "has no metadata 'skua_tokens'",
          [](File& f) { f.metadata.erase("skua_tokens"); });
  refused({}, "no list of numbers",
          [](File& f) { f.metadata["skua_tokens"] = "1 2 x"; });
  refused({}, "has no tokens", [](File& f) { f.metadata["skua_tokens"] = ""; });
  refused({}, "has token id -1",
          [](File& f) { f.metadata["skua_tokens"] = "-1"; });
  refused({}, "layer 0 is of 40 tokens, expected 2",
          [](File& f) { f.metadata["skua_tokens"] = "1 2"; });
  refused({}, "layers, expected", [](File& f) { f.layers.pop_back(); });
  refused({}, "layer 1 is of 39 tokens", [](File& f) {
    auto& rows = f.layers[1].rows;
    const auto cut = [](const mx::array& x) {
      return mx::slice(x, {0, 0, 0}, {x.shape(0), 39, x.shape(2)});
    };
    rows = {cut(rows.keys), cut(rows.values)};
  });
  refused({}, "expected heads and sizes", [](File& f) {
    auto& rows = f.layers[1].rows;
    rows.keys = mx::repeat(rows.keys, 2, 2);
  });
  refused({}, "keys and values of different heads", [](File& f) {
    auto& rows = f.layers[0].rows;
    rows.keys = mx::repeat(rows.keys, 2, 0);
  });
  refused({}, "numbers of another type", [](File& f) {
    auto& rows = f.layers[0].rows;
    rows = {mx::astype(rows.keys, mx::bfloat16),
            mx::astype(rows.values, mx::bfloat16)};
  });
  refused(ring, "holds 20 positions of 40 tokens in a ring of 30",
          [](File& f) { f.layers[0].max_size = 30; });
  refused(ring, "layer 0 is of 1073741824 tokens",
          [](File& f) { f.layers[0].offset = 1 << 30; });
  refused(ring, "no number from 0 to 2^30",
          [](File& f) { f.layers[0].offset = -1; });
  refused(ring, "keeps 20 positions of 20",
          [](File& f) { f.layers[0].keep = 20; });
}

// GEN-78
TEST(SessionFile, CutAnywhereIsRefused) {
  if (is_absent("llama")) GTEST_SKIP() << "no test asset goldens/lm";
  Case c("llama", {}, 5);
  c.save();
  const std::string text = test::read_text(c.path);
  const auto cut = c.folder.path() / "cut";
  for (std::size_t n = 0; n < text.size(); n += 1 + text.size() / 200) {
    test::write_text(cut, text.substr(0, n));
    EXPECT_THROW(load_session(cut, c.model, c.cache(), c.identity),
                 InvalidInput)
        << n;
  }
  EXPECT_THROW(
      load_session(c.folder.path() / "absent", c.model, c.cache(), c.identity),
      NotFound);
  // Any byte of the header changed: an error that is ours, or none.
  for (std::size_t i = 0; i < text.size(); i += i < 4000 ? 7 : 501) {
    std::string changed = text;
    changed[i] = static_cast<char>(changed[i] ^ 0x11);
    test::write_text(cut, changed);
    try {
      load_session(cut, c.model, c.cache(), c.identity);
    } catch (const Error&) {
    }
  }
}

// GEN-78: one byte of any number, or of what is known of the tokens.
TEST(SessionFile, AlteredNumbersOrTokensAreRefused) {
  for (const char* name : {"llama", "lfm2"}) {
    if (is_absent(name)) GTEST_SKIP() << "no test asset goldens/lm";
    for (const Layout layout : kLayouts) {
      Case c(name, {.kv_type = KvType::kBf16, .max_size = 20}, 40);
      c.save(layout);
      const std::string text = test::read_text(c.path);
      const auto refuses = [&](std::size_t at, char byte) {
        std::string changed = text;
        ASSERT_NE(changed[at], byte);
        changed[at] = byte;
        test::write_text(c.path, changed);
        SKUA_EXPECT_ERROR(c.load(), InvalidInput, "is damaged or was changed");
      };
      const std::size_t n_header = 8 + read_size(text);
      const std::size_t stride = (text.size() - n_header) / 23;
      for (std::size_t at = n_header; at < text.size(); at += stride) {
        // A scalar of the newer layout may be refused for its value.
        if (layout == Layout::kScalars && text[at] == 0) continue;
        refuses(at, static_cast<char>(text[at] ^ 1));
      }
      const std::size_t tokens = text.find("skua_tokens");
      ASSERT_NE(tokens, text.npos);
      const std::size_t digit = text.find_first_of("0123456789", tokens);
      refuses(digit, text[digit] == '1' ? '2' : '1');
    }
  }
}

// GEN-77: files of other programs have no digest, and their own order.
TEST(SessionFile, IsReadInAnyOrderAndWithoutADigest) {
  if (is_absent("llama")) GTEST_SKIP() << "no test asset goldens/lm";
  for (const Layout layout : kLayouts) {
    Case c("llama", {}, 12);
    c.save(layout);
    const auto copy = c.folder.path() / "copy";
    {
      const SafetensorsFile file(c.path);
      auto tensors = file.tensors();
      std::ranges::reverse(tensors);
      auto metadata = file.metadata();
      write_safetensors(copy, tensors, metadata);
      EXPECT_EQ(load_session(copy, c.model, c.cache(), c.identity).tokens(),
                c.ids);
      EXPECT_EQ(std::erase_if(metadata,
                              [](const auto& entry) {
                                return entry.first.ends_with(".skua_sha256");
                              }),
                1u);
      write_safetensors(copy, tensors, metadata);
    }
    EXPECT_EQ(load_session(copy, c.model, c.cache(), c.identity).tokens(),
              c.ids);
  }
}

// GEN-78
TEST(SessionFile, OfWeightsOrOfAnotherClassIsRefused) {
  if (is_absent("llama")) GTEST_SKIP() << "no test asset goldens/lm";
  Case c("llama");
  SKUA_EXPECT_ERROR(
      load_session(test::asset("goldens/lm/llama") / "model.safetensors",
                   c.model, c.cache(), c.identity),
      InvalidInput, "expected a prompt cache");
  const std::vector<float> x = {1, 2};
  const auto bytes = std::as_bytes(std::span(x));
  write_safetensors(c.path, {{"0.0", SafeDtype::kF32, {2}, bytes}},
                    {{"0.0", ""}, {"2.0", "ConcatenateKVCache"}});
  SKUA_EXPECT_ERROR(c.load(), Unsupported, "layer 0 is a 'ConcatenateKVCache'");
}

// GEN-77
TEST(SessionFile, ThatCannotBeWrittenLeavesTheOldOne) {
  if (is_absent("llama")) GTEST_SKIP() << "no test asset goldens/lm";
  Case c("llama");
  c.save();
  const auto inode = std::filesystem::last_write_time(c.path);
  EXPECT_THROW(save_session(c.session, c.path / "below", c.identity), Error);
  EXPECT_EQ(std::filesystem::last_write_time(c.path), inode);
  std::size_t n_files = 0;
  for ([[maybe_unused]] const auto& entry :
       std::filesystem::directory_iterator(c.folder.path()))
    ++n_files;
  EXPECT_EQ(n_files, 1u) << "no temporary file stays";
}

// GEN-77: run by tests/e2e/test_prompt_cache.py around mlx-lm.
TEST(SessionFile, GoesThroughMlxLmAndBack) {
  const char* folder = std::getenv("SKUA_PROMPT_CACHES");
  if (folder == nullptr) GTEST_SKIP() << "mlx-lm is not at hand";
  if (is_absent("llama")) GTEST_SKIP() << "no test asset goldens/lm";
  const std::filesystem::path root = folder;
  const Ids tail = some(7, 50, 3);
  for (const int max_size : {0, 20}) {
    for (const KvType type : {KvType::kF32, KvType::kBf16}) {
      const std::string name =
          std::to_string(max_size) + (type == KvType::kF32 ? "-f32" : "-bf16");
      Case c("llama", {.kv_type = type, .max_size = max_size}, 47);
      for (const Layout layout : kLayouts) {
        const auto path =
            root / (name + (layout == Layout::kScalars ? "-scalars" : "-meta"));
        const auto back = path.string() + ".back.safetensors";
        save_session(c.session, path.string() + ".safetensors", c.identity,
                     layout);
        if (!std::filesystem::exists(back)) continue;
        Session loaded = load_session(back, c.model, c.cache(), c.identity);
        EXPECT_EQ(loaded.tokens(), c.ids);
        EXPECT_EQ(numbers(loaded.prefill(tail)),
                  numbers(c.session.fork().prefill(tail)));
        std::ofstream(root / "read", std::ios::app) << back << '\n';
      }
    }
  }
}

// GEN-75, GEN-77: as above.
TEST(SessionFile, StatesGoThroughMlxLmAndBack) {
  const char* folder = std::getenv("SKUA_PROMPT_CACHES");
  if (folder == nullptr) GTEST_SKIP() << "mlx-lm is not at hand";
  const std::filesystem::path root = folder;
  const Ids tail = some(7, 50, 3);
  for (const std::string name : {"lfm2", "mamba2", "qwen3_next"}) {
    if (is_absent(name)) GTEST_SKIP() << "no test asset goldens/lm";
    Case c(name, {}, 47);
    for (const Layout layout : kLayouts) {
      const auto path =
          root / (name + (layout == Layout::kScalars ? "-scalars" : "-meta"));
      const auto back = path.string() + ".back.safetensors";
      save_session(c.session, path.string() + ".safetensors", c.identity,
                   layout);
      if (!std::filesystem::exists(back)) continue;
      Session loaded = load_session(back, c.model, c.cache(), c.identity);
      EXPECT_EQ(numbers(loaded.prefill(tail)),
                numbers(c.session.fork().prefill(tail)));
      std::ofstream(root / "read", std::ios::app) << back << '\n';
    }
  }
}

}  // namespace
}  // namespace skua
