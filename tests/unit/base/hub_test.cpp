#include "base/hub.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/hub_cache.h"
#include "base/hub_http.h"
#include "base/hub_names.h"
#include "tests/support.h"

namespace skua {
namespace {

using hub::Names;
using test::TempDir;
using test::write_text;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string kCommit = "0123456789abcdef0123456789abcdef01234567";

// The environment of one test: HF_HOME in a fresh folder, nothing inherited.
class HubEnvironment : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name :
         {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_ENDPOINT", "HF_TOKEN",
          "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HUB_OFFLINE",
          "XDG_CACHE_HOME"})
      unsetenv(name);
    setenv("HF_HOME", home_.path().c_str(), 1);
  }

  std::filesystem::path snapshot(const std::string& folder) {
    const auto repository = home_.path() / "hub" / folder;
    std::filesystem::create_directories(repository / "refs");
    write_text(repository / "refs/main", kCommit);
    const auto path = repository / "snapshots" / kCommit;
    std::filesystem::create_directories(path);
    return path;
  }

  TempDir home_;
};

std::string message_of(const std::function<void()>& function) {
  try {
    function();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(HubName, PartsAreNameFileAndRevision) {
  const HubModel plain = parse_hub_name("org/name");
  EXPECT_EQ(plain.name, "org/name");
  EXPECT_EQ(plain.file, "");
  EXPECT_EQ(plain.revision, "main");
  const HubModel full = parse_hub_name("a.b/c-d_1.5:x/Q4_K_M.gguf@refs/pr/3");
  EXPECT_EQ(full.name, "a.b/c-d_1.5");
  EXPECT_EQ(full.file, "x/Q4_K_M.gguf");
  EXPECT_EQ(full.revision, "refs/pr/3");
}

TEST(HubName, RefusesWhatCouldLeaveTheCacheOrTheUrl) {
  for (const char* text :
       {"",         "name",     "org/",   "/name",       "a/b/c",   "../b",
        "a/..",     "a--b/c",   "a/b c",  "-a/b",        "a/b.",    "a/b:",
        "a/b@",     "a/b:../x", "a/b:/x", "a/b@../../x", "a/b@x?y", "a/b@x y",
        "a/b:x\ny", "a/b%2f"})
    EXPECT_THROW(parse_hub_name(text), InvalidInput) << text;
}

TEST(HubNames, UnsafeServerNamesAreRefused) {
  for (const char* name : {"config.json", "a/b/c.json", "..a", "a..", ".x"})
    EXPECT_TRUE(hub::is_safe_name(name)) << name;
  for (const char* name : {"", "/etc/x", "../x", "a/../x", "a/..", "./x",
                           "a//b", "a/", "a\nb", "a\\..\\b", "a\x7f"})
    EXPECT_FALSE(hub::is_safe_name(name)) << name;
  EXPECT_FALSE(hub::is_safe_name(std::string("a\0b", 3)));
  EXPECT_FALSE(hub::is_safe_name(std::string(256, 'a')));
}

TEST(HubNames, TakesConfigurationAndTokenizerOfTheTopFolderOnly) {
  const Names names = {"README.md",
                       "config.json",
                       "tokenizer.json",
                       "tokenizer.model",
                       "merges.txt",
                       "notes.txt",
                       "qwen.tiktoken",
                       "chat_template.jinja",
                       "pytorch_model.bin",
                       "model.safetensors",
                       "onnx/config.json",
                       "original/params.json",
                       "1_Pooling/config.json",
                       "additional_chat_templates/tool_use.jinja"};
  EXPECT_THAT(hub::metadata_files(names),
              ElementsAre("config.json", "tokenizer.json", "tokenizer.model",
                          "merges.txt", "qwen.tiktoken", "chat_template.jinja",
                          "1_Pooling/config.json",
                          "additional_chat_templates/tool_use.jinja"));
}

TEST(HubNames, TakesOneCopyOfTheWeights) {
  EXPECT_THAT(hub::safetensors_files(
                  {"consolidated.safetensors", "model.safetensors", "model.bin",
                   "model.fp16.safetensors", "original/model.safetensors"}),
              ElementsAre("model.safetensors"));
  EXPECT_THAT(hub::safetensors_files({"adapter_model.safetensors",
                                      "weights.safetensors",
                                      "2_Dense/model.safetensors"}),
              ElementsAre("weights.safetensors", "2_Dense/model.safetensors"));
  EXPECT_TRUE(hub::safetensors_files({"pytorch_model.bin"}).empty());
}

TEST(HubNames, GgufIsChosenByNameQuantisationOrBeingAlone) {
  const Names names = {"m-Q4_K_M.gguf", "m-Q4_K_S.gguf",     "m.Q8_0.gguf",
                       "m-IQ4_XS.gguf", "mmproj-m-F16.gguf", "README.md"};
  const auto choose = [&](const std::string& wanted) {
    return hub::choose_gguf(names, wanted, "model a/b");
  };
  EXPECT_EQ(choose("m-Q4_K_S.gguf"), "m-Q4_K_S.gguf");
  EXPECT_EQ(choose("Q4_K_M"), "m-Q4_K_M.gguf");
  EXPECT_EQ(choose("q8_0"), "m.Q8_0.gguf");
  EXPECT_EQ(choose("mmproj-m-F16.gguf"), "mmproj-m-F16.gguf");
  EXPECT_THROW(choose("Q4_XS"), NotFound);  // not the end of IQ4_XS
  EXPECT_THROW(choose("F16"), NotFound);    // a projector is no model
  EXPECT_THROW(choose(""), InvalidInput);
  EXPECT_THAT(message_of([&] { choose("Q2_K"); }), HasSubstr("m.Q8_0.gguf"));
  EXPECT_THAT(message_of([&] { choose(""); }), HasSubstr("m-Q4_K_S.gguf"));
  EXPECT_EQ(hub::choose_gguf({"x.gguf", "mmproj.gguf"}, "", ""), "x.gguf");
}

TEST(HubNames, PartsOfAGgufAreFoundFromTheFirst) {
  const Names names = {"q/m-Q4_0-00001-of-00003.gguf",
                       "q/m-Q4_0-00002-of-00003.gguf",
                       "q/m-Q4_0-00003-of-00003.gguf"};
  const std::string first = hub::choose_gguf(names, "Q4_0", "");
  EXPECT_EQ(first, names[0]);
  EXPECT_EQ(hub::gguf_parts(first), names);
  EXPECT_THAT(hub::gguf_parts("m-Q4_0.gguf"), ElementsAre("m-Q4_0.gguf"));
}

TEST(HubUrl, OriginsAreComparedWithPortAndSchemeAndWithoutUser) {
  EXPECT_EQ(hub::url_origin("https://Hub.Example/a"),
            hub::url_origin("https://hub.example:443/b?c"));
  EXPECT_NE(hub::url_origin("https://hub.example/a"),
            hub::url_origin("http://hub.example/a"));
  EXPECT_NE(hub::url_origin("http://hub.example:1/"),
            hub::url_origin("http://hub.example:2/"));
  EXPECT_EQ(hub::url_origin("http://hub.example@evil.example/"),
            hub::url_origin("http://evil.example/"));
  EXPECT_THROW(hub::url_origin("file:///etc/passwd"), InvalidInput);
  EXPECT_THROW(hub::url_origin("hub"), InvalidInput);
}

TEST(HubUrl, NamesArePercentEncoded) {
  EXPECT_EQ(hub::url_encode("a b/\xc3\xa9?#%", true), "a%20b/%C3%A9%3F%23%25");
  EXPECT_EQ(hub::url_encode("refs/pr/1", false), "refs%2Fpr%2F1");
}

// Expected values: sha256sum and git hash-object of "hello\n" and of nothing.
TEST(HubHash, IsSha256OrGitBlobSha1) {
  const TempDir folder;
  const auto hello = folder.path() / "hello", empty = folder.path() / "empty";
  write_text(hello, "hello\n");
  write_text(empty, "");
  EXPECT_TRUE(hub::has_hash(
      hello, "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
      {}));
  EXPECT_TRUE(
      hub::has_hash(hello, "ce013625030ba8dba906f756967f9e9ca394464a", {}));
  EXPECT_TRUE(
      hub::has_hash(empty, "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391", {}));
  EXPECT_FALSE(
      hub::has_hash(empty, "ce013625030ba8dba906f756967f9e9ca394464a", {}));
  EXPECT_THROW(hub::has_hash(hello, kCommit, [] { return true; }), Cancelled);
}

TEST_F(HubEnvironment, VariablesAreReadAsHuggingfaceHubReadsThem) {
  EXPECT_EQ(hub::read_settings().cache, home_.path() / "hub");
  EXPECT_EQ(hub::read_settings().endpoint, "https://huggingface.co");
  EXPECT_FALSE(hub::read_settings().offline);
  setenv("HF_ENDPOINT", "http://127.0.0.1:9//", 1);
  setenv("HF_HUB_OFFLINE", "yes", 1);
  EXPECT_EQ(hub::read_settings().endpoint, "http://127.0.0.1:9");
  EXPECT_TRUE(hub::read_settings().offline);
  unsetenv("HF_HOME");
  setenv("XDG_CACHE_HOME", "/x", 1);
  EXPECT_EQ(hub::read_settings().cache, "/x/huggingface/hub");
  setenv("HUGGINGFACE_HUB_CACHE", "/old", 1);
  EXPECT_EQ(hub::read_settings().cache, "/old");
  setenv("HF_HUB_CACHE", "/new", 1);
  EXPECT_EQ(hub::read_settings().cache, "/new");
}

TEST_F(HubEnvironment, TokenComesFromTheVariableThenTheFile) {
  EXPECT_EQ(hub::read_settings().token, "");
  write_text(home_.path() / "token", "hf_file\n");
  EXPECT_EQ(hub::read_settings().token, "hf_file");
  setenv("HF_TOKEN", " hf_variable \r\n", 1);
  EXPECT_EQ(hub::read_settings().token, "hf_variable");
  setenv("HF_TOKEN", "a b", 1);
  EXPECT_THROW(hub::read_settings(), InvalidInput);
}

TEST_F(HubEnvironment, CachedCheckpointIsFoundOnlyWhenEveryShardIsThere) {
  const auto folder = snapshot("models--a--b");
  const HubModel model = parse_hub_name("a/b");
  write_text(folder / "config.json", "{}");
  EXPECT_FALSE(find_cached(model));
  write_text(folder / "model.safetensors.index.json",
             R"({"weight_map": {"x": "s1.safetensors",
                 "y": "s2.safetensors", "z": "s1.safetensors"}})");
  write_text(folder / "s1.safetensors", "");
  EXPECT_FALSE(find_cached(model));
  std::filesystem::create_symlink("absent", folder / "s2.safetensors");
  EXPECT_FALSE(find_cached(model));
  std::filesystem::remove(folder / "s2.safetensors");
  write_text(folder / "s2.safetensors", "");
  EXPECT_EQ(find_cached(model), folder);
  EXPECT_EQ(find_cached(parse_hub_name("a/b@" + kCommit)), folder);
  EXPECT_FALSE(find_cached(parse_hub_name("a/b@other")));
  EXPECT_FALSE(find_cached(parse_hub_name("a/c")));
}

TEST_F(HubEnvironment, CachedGgufIsFoundOnlyWhenEveryPartIsThere) {
  const auto folder = snapshot("models--a--b");
  write_text(folder / "m-Q4_0-00001-of-00002.gguf", "");
  EXPECT_FALSE(find_cached(parse_hub_name("a/b:Q4_0")));
  write_text(folder / "m-Q4_0-00002-of-00002.gguf", "");
  EXPECT_EQ(find_cached(parse_hub_name("a/b:q4_0")),
            folder / "m-Q4_0-00001-of-00002.gguf");
  EXPECT_FALSE(find_cached(parse_hub_name("a/b:Q8_0")));
}

TEST_F(HubEnvironment, DamagedRefsAndIndexesAreNoModel) {
  const auto folder = snapshot("models--a--b");
  write_text(folder / "config.json", "{}");
  for (const char* index :
       {"", "[]", "{}", R"({"weight_map": {}})", R"({"weight_map": {"x": 1}})",
        R"({"weight_map": {"x": "../../../refs/main"}})"}) {
    write_text(folder / "model.safetensors.index.json", index);
    EXPECT_FALSE(find_cached(parse_hub_name("a/b"))) << index;
  }
  write_text(folder / "../../refs/main", "../../..");
  EXPECT_FALSE(find_cached(parse_hub_name("a/b")));
}

TEST_F(HubEnvironment, OfflinePullNeedsNoNetworkAndSaysWhatIsMissing) {
  setenv("HF_HUB_OFFLINE", "1", 1);
  EXPECT_THAT(message_of([] { pull(parse_hub_name("a/b")); }),
              HasSubstr("HF_HUB_OFFLINE"));
  const auto folder = snapshot("models--a--b");
  write_text(folder / "config.json", "{}");
  write_text(folder / "model.safetensors", "");
  const PullResult result = pull(parse_hub_name("a/b"));
  EXPECT_EQ(result.path, folder);
  EXPECT_EQ(result.commit, kCommit);
}

}  // namespace
}  // namespace skua
