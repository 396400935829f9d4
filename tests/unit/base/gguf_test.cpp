#include "base/gguf.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <set>

#include "base/safetensors.h"
#include "skua/error.h"
#include "tests/support.h"
#include "tests/unit/base/hostile.h"

namespace skua {
namespace {

using test::TempDir;

/** Writes GGUF bytes as the tests need them, right or wrong. */
class Writer {
 public:
  Writer& raw(std::string_view bytes) {
    bytes_ += bytes;
    return *this;
  }
  template <class T>
  Writer& put(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  Writer& u32(std::uint32_t value) { return put(value); }
  Writer& u64(std::uint64_t value) { return put(value); }
  Writer& text(std::string_view text) { return u64(text.size()).raw(text); }

  Writer& header(std::uint64_t n_tensors, std::uint64_t n_entries,
                 std::uint32_t version = 3) {
    return raw("GGUF").u32(version).u64(n_tensors).u64(n_entries);
  }
  Writer& key(std::string_view name, std::uint32_t type) {
    return text(name).u32(type);
  }
  Writer& array(std::string_view name, std::uint32_t type, std::uint64_t n) {
    return key(name, 9).u32(type).u64(n);
  }
  /** Dimensions innermost first, as in the file. */
  Writer& tensor(std::string_view name, const std::vector<std::uint64_t>& dims,
                 std::uint32_t type, std::uint64_t offset) {
    text(name).u32(static_cast<std::uint32_t>(dims.size()));
    for (const std::uint64_t dim : dims) u64(dim);
    return u32(type).u64(offset);
  }
  Writer& pad(std::size_t alignment) {
    while (bytes_.size() % alignment != 0) bytes_ += '\0';
    return *this;
  }
  Writer& zeros(std::size_t n) {
    bytes_.append(n, '\0');
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

GgufFile load(const std::string& bytes) {
  const TempDir folder;
  test::write_text(folder.path() / "test.gguf", bytes);
  return GgufFile(folder.path() / "test.gguf");
}

/** A file of one tensor with `data` bytes of tensor data. */
std::string one_tensor(const std::vector<std::uint64_t>& dims,
                       std::uint32_t type, std::uint64_t offset,
                       std::size_t n_data) {
  return Writer()
      .header(1, 0)
      .tensor("t", dims, type, offset)
      .pad(32)
      .zeros(n_data)
      .bytes();
}

std::string message_of(const std::string& bytes) {
  try {
    load(bytes);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Gguf, HostileFilesGetTheirVerdictWithinAMemoryLimit) {
  SKUA_ASSET_OR_SKIP(root, "hostile/gguf");
  test::expect_verdicts("gguf/", [](const auto& path) { GgufFile{path}; });
}

TEST(Gguf, ReadsEveryKindOfMetadata) {
  Writer w;
  w.header(0, 15);
  w.key("u8", 0).put<std::uint8_t>(255);
  w.key("i8", 1).put<std::int8_t>(-128);
  w.key("u16", 2).put<std::uint16_t>(65535);
  w.key("i16", 3).put<std::int16_t>(-32768);
  w.key("u32", 4).put<std::uint32_t>(4294967295u);
  w.key("i32", 5).put<std::int32_t>(-2147483647);
  w.key("f32", 6).put<float>(0.5f);
  w.key("bool", 7).put<std::uint8_t>(1);
  w.key("string", 8).text("caf\xc3\xa9");
  w.key("u64", 10).put<std::uint64_t>(~std::uint64_t{0});
  w.key("i64", 11).put<std::int64_t>(std::numeric_limits<std::int64_t>::min());
  w.key("f64", 12).put<double>(1e300);
  w.array("strings", 8, 3).text("a").text("").text("ccc");
  w.array("numbers", 5, 2).put<std::int32_t>(-1).put<std::int32_t>(7);
  w.array("flags", 7, 3).raw(std::string("\1\0\1", 3));
  const GgufFile file = load(w.bytes());

  EXPECT_EQ(file.metadata().size(), 15u);
  EXPECT_EQ(file.metadata().front().first, "u8");
  EXPECT_EQ(file.integer("u8"), 255);
  EXPECT_EQ(file.integer("i8"), -128);
  EXPECT_EQ(file.integer("u16"), 65535);
  EXPECT_EQ(file.integer("i16"), -32768);
  EXPECT_EQ(file.integer("u32"), 4294967295);
  EXPECT_EQ(file.integer("i32"), -2147483647);
  EXPECT_EQ(file.number("f32"), 0.5);
  EXPECT_TRUE(file.boolean("bool"));
  EXPECT_EQ(file.string("string"), "caf\xc3\xa9");
  EXPECT_EQ(std::get<std::uint64_t>(*file.find("u64")), ~std::uint64_t{0});
  EXPECT_EQ(file.integer("i64"), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(file.number("f64"), 1e300);
  EXPECT_EQ(file.strings("strings"),
            (std::vector<std::string_view>{"a", "", "ccc"}));
  EXPECT_EQ(file.integers("numbers"), (std::vector<std::int64_t>{-1, 7}));
  EXPECT_EQ(file.numbers("numbers"), (std::vector<double>{-1, 7}));
  EXPECT_EQ(std::get<std::vector<bool>>(*file.find("flags")),
            (std::vector<bool>{true, false, true}));
}

TEST(Gguf, AccessorsNameTheKeyThatIsMissingOrOfAnotherKind) {
  Writer w;
  w.header(0, 3);
  w.key("text", 8).text("x");
  w.key("number", 4).u32(3);
  w.key("huge", 10).u64(std::uint64_t{1} << 63);
  const GgufFile file = load(w.bytes());
  EXPECT_THROW(file.string("absent"), InvalidInput);
  EXPECT_THROW(file.integer("absent"), InvalidInput);
  EXPECT_THROW(file.number("absent"), InvalidInput);
  EXPECT_THROW(file.boolean("absent"), InvalidInput);
  EXPECT_THROW(file.integer("text"), InvalidInput);
  EXPECT_THROW(file.integer_or("text", 1), InvalidInput);
  EXPECT_THROW(file.number_or("text", 1), InvalidInput);
  EXPECT_THROW(file.string_or("number", ""), InvalidInput);
  EXPECT_THROW(file.boolean_or("number", true), InvalidInput);
  EXPECT_THROW(file.strings("text"), InvalidInput);
  EXPECT_THROW(file.integers("number"), InvalidInput);
  EXPECT_THROW(file.numbers("number"), InvalidInput);
  EXPECT_THROW(file.integer("huge"), InvalidInput);
  EXPECT_EQ(file.number("huge"), 0x1p63);
  EXPECT_EQ(file.integer_or("absent", 5), 5);
  EXPECT_EQ(file.number_or("absent", 0.5), 0.5);
  EXPECT_EQ(file.string_or("absent", "y"), "y");
  EXPECT_TRUE(file.boolean_or("absent", true));
  EXPECT_FALSE(file.has("absent"));
  EXPECT_TRUE(file.strings("absent").empty());
  EXPECT_TRUE(file.integers("absent").empty());
  EXPECT_TRUE(file.numbers("absent").empty());
  try {
    file.integer("absent");
  } catch (const InvalidInput& error) {
    EXPECT_NE(std::string(error.what()).find("'absent'"), std::string::npos);
  }
}

TEST(Gguf, EveryCutOfAValidFileIsRefused) {
  SKUA_ASSET_OR_SKIP(path, "hostile/gguf/ok_minimal.gguf");
  const std::string whole = test::read_text(path);
  EXPECT_NO_THROW(load(whole));
  for (std::size_t n = 0; n < whole.size(); ++n)
    EXPECT_THROW(load(whole.substr(0, n)), InvalidInput) << "cut at " << n;
}

TEST(Gguf, CountsBeyondTheFileAllocateNothing) {
  const std::uint64_t huge = std::uint64_t{1} << 60;
  for (const std::uint32_t type :
       {0u, 1u, 2u, 3u, 4u, 5u, 6u, 7u, 8u, 10u, 11u, 12u}) {
    for (const std::uint64_t n : {huge, ~std::uint64_t{0}, huge << 1 | 1}) {
      EXPECT_THROW(
          load(Writer().header(0, 1).array("a", type, n).zeros(64).bytes()),
          InvalidInput)
          << type << " x " << n;
    }
  }
  EXPECT_THROW(load(Writer().header(0, huge).zeros(64).bytes()), InvalidInput);
  EXPECT_THROW(load(Writer().header(huge, 0).zeros(64).bytes()), InvalidInput);
  // The strings' lengths fit the file, their bytes do not.
  EXPECT_THROW(load(Writer()
                        .header(0, 1)
                        .array("a", 8, 2)
                        .u64(1)
                        .raw("x")
                        .u64(9)
                        .zeros(8)
                        .bytes()),
               InvalidInput);
}

TEST(Gguf, VersionsOneAndBigEndianAreNamedUnsupported) {
  for (const std::uint32_t version : {1u, 4u, 0x03000000u})
    EXPECT_THROW(load(Writer().header(0, 0, version).bytes()), Unsupported);
  EXPECT_NO_THROW(load(Writer().header(0, 0, 2).bytes()));
  SKUA_ASSET_OR_SKIP(v1, "lm/stories260K/tinyllamas-stories-260k-f32.gguf");
  EXPECT_THROW(GgufFile{v1}, Unsupported);
}

TEST(Gguf, UnsupportedEncodingNamesTensorAndEncoding) {
  const std::string message = message_of(one_tensor({256}, 23, 0, 256));
  EXPECT_NE(message.find("'t'"), std::string::npos) << message;
  EXPECT_NE(message.find("IQ4_XS"), std::string::npos) << message;
  EXPECT_THROW(load(one_tensor({256}, 23, 0, 256)), Unsupported);
  EXPECT_THROW(load(one_tensor({256}, 99, 0, 256)), Unsupported);
  EXPECT_THROW(load(Writer().header(0, 1).array("a", 9, 0).bytes()),
               Unsupported);
}

TEST(Gguf, TensorsMustBeWholeBlocksInsideTheFile) {
  EXPECT_NO_THROW(load(one_tensor({32, 2}, 0, 0, 256)));
  EXPECT_NO_THROW(load(one_tensor({}, 0, 0, 4)));
  EXPECT_NO_THROW(load(one_tensor({64, 2}, 2, 0, 72)));
  EXPECT_NO_THROW(load(one_tensor({8}, 0, 32, 64)));
  EXPECT_THROW(load(one_tensor({64, 2}, 2, 0, 71)), InvalidInput);
  EXPECT_THROW(load(one_tensor({16, 4}, 2, 0, 256)), InvalidInput);
  EXPECT_THROW(load(one_tensor({128, 2}, 12, 0, 256)), InvalidInput);
  EXPECT_THROW(load(one_tensor({8}, 0, 16, 64)), InvalidInput);
  EXPECT_THROW(load(one_tensor({8}, 0, 64, 64)), InvalidInput);
  EXPECT_THROW(load(one_tensor({8}, 0, ~std::uint64_t{31}, 64)), InvalidInput);
  EXPECT_THROW(load(one_tensor({8, 0}, 0, 0, 64)), InvalidInput);
  EXPECT_THROW(load(one_tensor({1, 1, 1, 1, 1}, 0, 0, 64)), InvalidInput);
  const std::uint64_t wide = std::uint64_t{1} << 62;
  EXPECT_THROW(load(one_tensor({wide}, 0, 0, 64)), InvalidInput);
  EXPECT_THROW(load(one_tensor({wide, 4}, 0, 0, 64)), InvalidInput);
  EXPECT_THROW(load(one_tensor({wide << 1}, 0, 0, 64)), InvalidInput);
  EXPECT_THROW(load(one_tensor({1, wide, 16}, 1, 0, 64)), InvalidInput);
}

TEST(Gguf, TensorsMustNotShareBytesOrNames) {
  const auto two = [](std::string_view second, std::uint64_t offset) {
    return Writer()
        .header(2, 0)
        .tensor("a", {16}, 0, 0)
        .tensor(second, {16}, 0, offset)
        .pad(32)
        .zeros(128)
        .bytes();
  };
  EXPECT_NO_THROW(load(two("b", 64)));
  EXPECT_THROW(load(two("b", 32)), InvalidInput);
  EXPECT_THROW(load(two("b", 0)), InvalidInput);
  EXPECT_THROW(load(two("a", 64)), InvalidInput);
}

TEST(Gguf, AlignmentIsAPowerOfTwoFromEight) {
  const auto aligned = [](std::uint32_t alignment, std::size_t n_data) {
    return Writer()
        .header(1, 1)
        .key("general.alignment", 4)
        .u32(alignment)
        .tensor("t", {2}, 0, 0)
        .pad(alignment == 0 ? 32 : alignment)
        .put(1.5f)
        .put(2.5f)
        .zeros(n_data)
        .bytes();
  };
  for (const std::uint32_t good : {8u, 32u, 64u, 4096u}) {
    const GgufFile file = load(aligned(good, 0));
    float values[2];
    ASSERT_EQ(file.tensors()[0].data.size(), sizeof values);
    std::memcpy(values, file.tensors()[0].data.data(), sizeof values);
    EXPECT_EQ(values[0], 1.5f) << good;
    EXPECT_EQ(values[1], 2.5f) << good;
  }
  for (const std::uint32_t bad : {0u, 1u, 2u, 4u, 12u, 24u, 33u, 48u, 1000u})
    EXPECT_THROW(load(aligned(bad, 4096)), InvalidInput) << bad;
}

TEST(Gguf, DuplicateKeysBadBooleansAndUnknownTypesAreRefused) {
  EXPECT_THROW(
      load(Writer().header(0, 2).key("a", 4).u32(1).key("a", 4).u32(1).bytes()),
      InvalidInput);
  EXPECT_THROW(load(Writer().header(0, 1).key("a", 7).raw("\2").bytes()),
               InvalidInput);
  EXPECT_THROW(load(Writer().header(0, 1).array("a", 7, 2).raw("\1\2").bytes()),
               InvalidInput);
  EXPECT_THROW(load(Writer().header(0, 1).key("a", 13).zeros(64).bytes()),
               InvalidInput);
  EXPECT_THROW(load(Writer().header(0, 1).array("a", 13, 1).zeros(64).bytes()),
               InvalidInput);
  EXPECT_THROW(
      load(
          Writer().header(0, 1).key(std::string(65536, 'k'), 4).u32(1).bytes()),
      InvalidInput);
}

TEST(Gguf, MessagesShowHostileNamesAsPlainText) {
  const std::string message =
      message_of(Writer()
                     .header(0, 1)
                     .key("\x1b[31m\n" + std::string(200, 'k'), 99)
                     .bytes());
  EXPECT_EQ(message.find('\x1b'), std::string::npos);
  EXPECT_EQ(message.find('\n'), std::string::npos);
  EXPECT_EQ(message.find(std::string(65, 'k')), std::string::npos);
  EXPECT_NE(message.find("'?[31m?"), std::string::npos) << message;
}

TEST(Gguf, ValuesOutliveTheReaderThatWasCopied) {
  Writer w;
  w.header(0, 1).key("general.name", 8).text("short");
  auto first = std::make_unique<GgufFile>(load(w.bytes()));
  const GgufFile copy = *first;
  first.reset();
  EXPECT_EQ(copy.string("general.name"), "short");
}

/** The name that the GGUF file gives a tensor of the Hugging Face folder. */
std::string gguf_name(std::string name) {
  if (name == "model.embed_tokens.weight") return "token_embd.weight";
  if (name == "model.norm.weight") return "output_norm.weight";
  const std::vector<std::pair<std::string, std::string>> parts = {
      {"model.layers.", "blk."},
      {"input_layernorm", "attn_norm"},
      {"post_attention_layernorm", "ffn_norm"},
      {"self_attn.q_proj", "attn_q"},
      {"self_attn.k_proj", "attn_k"},
      {"self_attn.v_proj", "attn_v"},
      {"self_attn.o_proj", "attn_output"},
      {"mlp.gate_proj", "ffn_gate"},
      {"mlp.up_proj", "ffn_up"},
      {"mlp.down_proj", "ffn_down"}};
  for (const auto& [from, to] : parts) {
    const auto at = name.find(from);
    if (at != std::string::npos) name.replace(at, from.size(), to);
  }
  return name;
}

// COMP-20
TEST(Gguf, Stories260KHasTheNamesShapesAndValuesOfItsSafetensors) {
  SKUA_ASSET_OR_SKIP(root, "lm/stories260K");
  const SafetensorsFile reference(root / "hf/model.safetensors");
  ASSERT_EQ(reference.tensors().size(), 47u);
  for (const std::string format :
       {"f32", "f16", "bf16", "q8_0", "q5_0", "q4_1", "q4_0"}) {
    const GgufFile file(root / ("stories260K-v3-" + format + ".gguf"));
    EXPECT_EQ(file.string("general.architecture"), "llama");
    EXPECT_EQ(file.integer("llama.block_count"), 5);
    EXPECT_EQ(file.strings("tokenizer.ggml.tokens").size(), 512u);
    EXPECT_EQ(file.strings("tokenizer.ggml.tokens")[3], "<0x00>");
    EXPECT_EQ(file.numbers("tokenizer.ggml.scores").size(), 512u);
    EXPECT_EQ(file.integers("tokenizer.ggml.token_type")[0], 2);
    std::map<std::string, const GgufTensor*> by_name;
    for (const GgufTensor& tensor : file.tensors())
      by_name[tensor.name] = &tensor;
    EXPECT_EQ(by_name.size(), 48u);  // the 47 and output.weight, not tied
    for (const SafeTensor& expected : reference.tensors()) {
      const GgufTensor* tensor = by_name[gguf_name(expected.name)];
      ASSERT_TRUE(tensor) << format << " " << expected.name;
      EXPECT_EQ(tensor->shape, expected.shape) << format << tensor->name;
      const bool is_permuted =
          tensor->name.find("attn_q") != std::string::npos ||
          tensor->name.find("attn_k") != std::string::npos;
      if (tensor->type != GgmlType::kF32 || is_permuted) continue;
      EXPECT_TRUE(std::ranges::equal(tensor->data, expected.data))
          << format << tensor->name;
    }
  }
}

}  // namespace
}  // namespace skua
