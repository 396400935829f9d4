#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <sstream>

#include "base/json.h"
#include "skua/error.h"
#include "tests/support.h"
#include "tests/unit/models/gguf_writer.h"
#include "text/detokenizer.h"
#include "text/tokenizer.h"

namespace skua {
namespace {

namespace fs = std::filesystem;
using Ids = std::vector<std::int32_t>;

// A real model file: what the variable names, else in Skua's model cache.
fs::path model_file(const char* variable, const std::string& name) {
  if (const char* set = std::getenv(variable)) return set;
  const auto folder = [](const char* name, const fs::path& fallback) {
    const char* set = std::getenv(name);
    return set && *set ? fs::path(set) : fallback;
  };
  const fs::path cache =
      folder("XDG_CACHE_HOME", folder("HOME", ".") / ".cache");
  return folder("SKUA_HOME", cache / "skua") / "models" / name;
}

std::string stream(const std::shared_ptr<const Tokenizer>& tokenizer,
                   const Ids& ids) {
  Detokenizer detokenizer(tokenizer);
  std::string text;
  for (const auto id : ids) text += detokenizer.push(id);
  return text + detokenizer.finish();
}

void check_goldens(const std::shared_ptr<const Tokenizer>& tokenizer,
                   const fs::path& path) {
  const Json golden = read_json(path);
  for (const auto& item : golden.at("cases")) {
    SCOPED_TRACE(dump_json(item["text"]));
    const auto ids = item.at("ids").get<Ids>();
    EXPECT_EQ(tokenizer->encode(item.at("text").get<std::string>(),
                                {.add_special = false}),
              ids);
    EXPECT_EQ(tokenizer->decode(ids), item.at("decoded").get<std::string>());
    EXPECT_EQ(stream(tokenizer, ids), item.at("decoded").get<std::string>());
  }
  EXPECT_GE(golden.at("cases").size(), 100u);
}

// GEN-45
TEST(TokenizerGguf, SmolLM2EqualsGoldens) {
  SKUA_ASSET_OR_SKIP(golden, "goldens/real/tokenizer_smollm2.json");
  const fs::path path =
      model_file("SKUA_TEST_SMOLLM2", "SmolLM2-135M-Instruct.Q4_1.gguf");
  if (!fs::exists(path)) GTEST_SKIP() << "no model file " << path;
  const auto tokenizer = load_tokenizer(GgufFile(path));
  check_goldens(tokenizer, golden);
  EXPECT_EQ(tokenizer->size(), 49152);
  EXPECT_FALSE(tokenizer->special().add_bos);
  EXPECT_EQ(tokenizer->special().eos, 2);
  EXPECT_EQ(tokenizer->special().eos_ids, std::set<std::int32_t>{2});
  EXPECT_TRUE(tokenizer->is_special(1));
  EXPECT_EQ(tokenizer->piece(1), "<|im_start|>");
  EXPECT_EQ(tokenizer->id_of("<|im_start|>"), 1);
  EXPECT_EQ(tokenizer->kind(), "BPE, byte-level (smollm)");
}

// GEN-45: of the end of the text the file says, of <end_of_turn> it does not.
TEST(TokenizerGguf, Gemma3EqualsGoldens) {
  SKUA_ASSET_OR_SKIP(golden, "goldens/real/tokenizer_gemma3.json");
  const fs::path path =
      model_file("SKUA_TEST_GEMMA3", "gemma-3-270m-q4_k_m.gguf");
  if (!fs::exists(path)) GTEST_SKIP() << "no model file " << path;
  const auto tokenizer = load_tokenizer(GgufFile(path));
  check_goldens(tokenizer, golden);
  EXPECT_EQ(tokenizer->size(), 262144);
  EXPECT_TRUE(tokenizer->special().add_bos);
  EXPECT_EQ(tokenizer->encode("Hello"), (Ids{2, 9259}));
  EXPECT_EQ(tokenizer->special().eos_ids, (std::set<std::int32_t>{1, 106}));
  EXPECT_EQ(tokenizer->token_bytes(*tokenizer->id_of("<0xE4>")), "\xe4");
  EXPECT_EQ(tokenizer->token_bytes(26352), " Hello");
}

// The texts of an .inp file and the ids of the .out file beside it.
struct VocabTest {
  std::vector<std::string> texts;
  std::vector<Ids> ids;
};

VocabTest read_vocab_test(const fs::path& stem) {
  const std::string mark = "\n__ggml_vocab_test__\n";
  VocabTest out;
  std::string text = test::read_text(stem.string() + ".inp");
  for (std::size_t at; (at = text.find(mark)) != std::string::npos;) {
    out.texts.push_back(text.substr(0, at));
    text.erase(0, at + mark.size());
  }
  if (!text.empty()) out.texts.push_back(text);
  std::istringstream lines(test::read_text(stem.string() + ".out"));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream numbers(line);
    out.ids.emplace_back();
    for (std::int32_t id; numbers >> id;) out.ids.back().push_back(id);
  }
  return out;
}

// The vocabulary beside the texts or, for those that are not, the one that
// tools/make_tokenizer_fixtures.py builds from the model's own files.
fs::path find_vocabulary(const fs::path& stem) {
  if (fs::exists(stem)) return stem;
  const char* folder = std::getenv("SKUA_TOKENIZER_FIXTURES");
  return folder ? fs::path(folder) / stem.filename() : fs::path();
}

class GgmlVocabulary : public testing::TestWithParam<const char*> {};

TEST_P(GgmlVocabulary, EncodesAsGgmlDoes) {
  SKUA_ASSET_OR_SKIP(folder, "tokenizers/ggml-vocab");
  const fs::path stem =
      folder / ("ggml-vocab-" + std::string(GetParam()) + ".gguf");
  const fs::path path = find_vocabulary(stem);
  if (!fs::exists(path))
    GTEST_SKIP() << "no vocabulary for " << stem.filename();
  const auto tokenizer = load_tokenizer(GgufFile(path));
  const VocabTest expected = read_vocab_test(stem);
  ASSERT_EQ(expected.texts.size(), expected.ids.size());
  std::size_t n_passed = 0;
  for (std::size_t i = 0; i < expected.texts.size(); ++i) {
    const Ids ids = tokenizer->encode(
        expected.texts[i], {.add_special = false, .parse_special = false});
    EXPECT_EQ(ids, expected.ids[i])
        << "text " << i << ": " << expected.texts[i];
    n_passed += ids == expected.ids[i];
  }
  std::cout << GetParam() << ": " << n_passed << "/" << expected.texts.size()
            << "\n";
}

INSTANTIATE_TEST_SUITE_P(Kinds, GgmlVocabulary,
                         testing::Values("gpt-2", "starcoder", "refact",
                                         "deepseek-coder", "llama-spm", "phi-3",
                                         "llama-bpe", "qwen2", "bert-bge"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::erase(name, '-');
                           return name;
                         });

TEST(TokenizerGguf, BertPutsItsTokensAroundOneTextOrTwo) {
  SKUA_ASSET_OR_SKIP(path, "tokenizers/ggml-vocab/ggml-vocab-bert-bge.gguf");
  const auto tokenizer = load_tokenizer(GgufFile(path));
  EXPECT_EQ(tokenizer->encode("the of"), (Ids{101, 1996, 1997, 102}));
  const Encoding pair = tokenizer->encode_pair("the", "of and");
  EXPECT_EQ(pair.ids, (Ids{101, 1996, 102, 1997, 1998, 102}));
  EXPECT_EQ(pair.type_ids, (Ids{0, 0, 0, 1, 1, 1}));
  EXPECT_EQ(pair.offsets[4], (SourceSpan{3, 6}));
  EXPECT_EQ(tokenizer->decode(pair.ids, true), "the of and");
  SKUA_ASSET_OR_SKIP(text, "tokenizers/encoded/bert_uncased_encoded.json");
  const Json expected = read_json(text);
  EXPECT_EQ(tokenizer->encode(expected.at("text").get<std::string>()),
            expected.at("token_ids").get<Ids>());
}

TEST(TokenizerGguf, BertQuestionsDecodeAndEncodeAgain) {
  SKUA_ASSET_OR_SKIP(path, "tokenizers/ggml-vocab/ggml-vocab-bert-bge.gguf");
  SKUA_ASSET_OR_SKIP(file, "tokenizers/encoded/tokenized_questions.json");
  const auto tokenizer = load_tokenizer(GgufFile(path));
  const Json questions = read_json(file);
  std::size_t n_equal = 0;
  for (const auto& question : questions) {
    const auto ids = question.get<Ids>();
    n_equal += tokenizer->encode(tokenizer->decode(ids),
                                 {.add_special = false}) == ids;
  }
  std::cout << n_equal << "/" << questions.size() << " questions\n";
  EXPECT_EQ(n_equal, questions.size());
}

TEST(TokenizerGguf, AFileWithoutATokenizerSaysSo) {
  const test::TempDir folder;
  const auto text = [](std::string_view value) {
    return std::string(1, static_cast<char>(value.size())) +
           std::string(7, '\0') + std::string(value);
  };
  const auto field = [&](std::string_view key, std::string_view value) {
    return text(key) + std::string("\x08\0\0\0", 4) + text(value);
  };
  for (const char* model : {"none", "no_vocab", "neural"}) {
    const fs::path path = folder.path() / "file.gguf";
    test::write_text(path, std::string("GGUF\x03\0\0\0", 8) +
                               std::string(8, '\0') +
                               std::string("\x02\0\0\0\0\0\0\0", 8) +
                               field("general.architecture", "llama") +
                               field("tokenizer.ggml.model", model));
    try {
      load_tokenizer(GgufFile(path));
      FAIL() << "loaded";
    } catch (const NotFound& error) {
      EXPECT_NE(std::string(error.what()).find("no tokenizer"),
                std::string::npos);
    } catch (const InvalidInput& error) {
      EXPECT_EQ(std::string_view(model), "neural") << error.what();
    }
  }
}

TEST(TokenizerGguf, PlamoNeedsATokenForEachByte) {
  const test::TempDir folder;
  const fs::path path = folder.path() / "plamo2.gguf";
  test::GgufWriter()
      .text("general.architecture", "plamo2")
      .text("tokenizer.ggml.model", "plamo2")
      .texts("tokenizer.ggml.tokens", {"a", "<0x61>"})
      .numbers("tokenizer.ggml.scores", {-1, 0})
      .write(path);
  try {
    load_tokenizer(GgufFile(path));
    FAIL() << "loaded";
  } catch (const InvalidInput& error) {
    EXPECT_NE(std::string(error.what()).find("<0x00> to <0xFF>"),
              std::string::npos)
        << error.what();
  }
}

TEST(TokenizerGguf, LongTextsAsTheModelsOwnTokenizers) {
  SKUA_ASSET_OR_SKIP(folder, "tokenizers");
  const std::pair<const char*, const char*> files[] = {
      {"ggml-vocab-gpt-2.gguf", "gpt2_encoded_tokens.json"},
      {"ggml-vocab-llama-spm.gguf", "llama_encoded.json"},
      {"ggml-vocab-llama-bpe.gguf", "llama_3.2_encoded.json"}};
  for (const auto& [vocabulary, file] : files) {
    const fs::path path = find_vocabulary(folder / "ggml-vocab" / vocabulary);
    if (!fs::exists(path)) continue;
    SCOPED_TRACE(file);
    const auto tokenizer = load_tokenizer(GgufFile(path));
    const Json expected = read_json(folder / "encoded" / file);
    const auto ids = expected.at("token_ids").get<Ids>();
    EXPECT_EQ(tokenizer->encode(expected.at("text").get<std::string>()), ids);
    std::vector<std::string> pieces;
    for (const auto id : ids) pieces.push_back(tokenizer->piece(id));
    auto names = expected.at("bpe_tokens").get<std::vector<std::string>>();
    if (tokenizer->special().add_bos)
      names.insert(names.begin(), tokenizer->piece(*tokenizer->special().bos));
    EXPECT_EQ(pieces, names);
  }
}

TEST(TokenizerGguf, Stories260KIsTheSameFromBothSources) {
  SKUA_ASSET_OR_SKIP(folder, "lm/stories260K");
  const auto from_json = load_tokenizer(folder / "hf");
  const auto from_gguf =
      load_tokenizer(GgufFile(folder / "stories260K-v3-f32.gguf"));
  EXPECT_EQ(from_json->size(), 512);
  EXPECT_EQ(from_gguf->size(), 512);
  EXPECT_TRUE(from_json->special().add_bos);
  EXPECT_TRUE(from_gguf->special().add_bos);
  EXPECT_EQ(from_json->special().eos, from_gguf->special().eos);
  const std::string text = test::read_text(folder / "llama2c_greedy_n200.txt");
  for (std::size_t n = 0; n < text.size(); n += 7) {
    const std::string part = text.substr(n, 60) + " \xf0\x9f\x98\x80 \xc3\xa9";
    const Ids ids = from_json->encode(part);
    EXPECT_EQ(from_gguf->encode(part), ids);
    EXPECT_EQ(from_gguf->decode(ids), from_json->decode(ids));
    EXPECT_EQ(from_json->decode(ids, true), part);
  }
}

// GEN-45: <|endoftext|> and <|end|>.
TEST(TokenizerGguf, PhiTokensFromGgufEqualThoseFromJson) {
  SKUA_ASSET_OR_SKIP(folder, "tokenizers");
  const auto from_json = load_tokenizer(folder / "phi-3-mini");
  const auto from_gguf =
      load_tokenizer(GgufFile(folder / "ggml-vocab/ggml-vocab-phi-3.gguf"));
  for (const char* text :
       {"<|user|>\n Hi <|end|>\n<|assistant|>", "a </s>  b", " <s> x <unk>"})
    EXPECT_EQ(from_gguf->encode(text, {.add_special = false}),
              from_json->encode(text, {.add_special = false}))
        << text;
  for (const auto& tokenizer : {from_json, from_gguf}) {
    EXPECT_EQ(tokenizer->special().eos_ids,
              (std::set<std::int32_t>{32000, 32007}));
  }
}

}  // namespace
}  // namespace skua
