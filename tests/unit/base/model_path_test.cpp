#include "base/model_path.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/support.h"

namespace skua {
namespace {

namespace fs = std::filesystem;
using test::write_text;
using ::testing::HasSubstr;

const std::string kCommit = "0123456789abcdef0123456789abcdef01234567";

class ModelPath : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name :
         {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "SKUA_MODEL", "HF_TOKEN"})
      unsetenv(name);
    setenv("HF_HOME", (root_.path() / "hf").c_str(), 1);
    setenv("SKUA_HOME", (root_.path() / "skua").c_str(), 1);
    setenv("HF_HUB_OFFLINE", "1", 1);
    fs::create_directories(model_folder());
    old_ = fs::current_path();
    fs::create_directories(root_.path() / "work");
    fs::current_path(root_.path() / "work");
  }
  void TearDown() override { fs::current_path(old_); }

  fs::path snapshot(const std::string& commit, const std::string& ref) {
    const fs::path repository = root_.path() / "hf/hub/models--org--name";
    fs::create_directories(repository / "refs");
    write_text(repository / "refs" / ref, commit);
    fs::create_directories(repository / "snapshots" / commit);
    return repository / "snapshots" / commit;
  }

  test::TempDir root_;
  fs::path old_;
};

std::string message_of(const std::string& name) {
  try {
    resolve_model(name);
  } catch (const NotFound& error) {
    return error.what();
  }
  return "no error";
}

TEST_F(ModelPath, FolderFollowsSkuaHomeThenXdgThenHome) {
  EXPECT_EQ(model_folder(), root_.path() / "skua/models");
  unsetenv("SKUA_HOME");
  setenv("XDG_CACHE_HOME", "/x", 1);
  EXPECT_EQ(model_folder(), "/x/skua/models");
  unsetenv("XDG_CACHE_HOME");
  setenv("HOME", "/h", 1);
  EXPECT_EQ(model_folder(), "/h/.cache/skua/models");
}

TEST_F(ModelPath, ExistingPathWinsOverHubName) {
  fs::create_directories("org/name");
  write_text("m.gguf", "");
  EXPECT_EQ(resolve_model("org/name"), "org/name");
  EXPECT_EQ(resolve_model("./m.gguf"), "./m.gguf");
  EXPECT_EQ(resolve_model(fs::absolute("m.gguf").string()),
            fs::absolute("m.gguf"));
}

TEST_F(ModelPath, OtherFilesAreRefusedWithTheRemedy) {
  write_text("model.safetensors", "");
  EXPECT_THROW(resolve_model("model.safetensors"), InvalidInput);
}

TEST_F(ModelPath, CachedHubModelNeedsNoNetwork) {
  const fs::path folder = snapshot(kCommit, "main");
  write_text(folder / "config.json", "{}");
  write_text(folder / "model.safetensors", "");
  EXPECT_EQ(resolve_model("org/name"), folder);
  EXPECT_THAT(message_of("org/other"), HasSubstr("HF_HUB_OFFLINE"));
}

TEST_F(ModelPath, PlainNamesComeFromSkuasFolder) {
  write_text(model_folder() / "tiny.gguf", "");
  EXPECT_EQ(resolve_model("tiny.gguf"), model_folder() / "tiny.gguf");
  EXPECT_EQ(resolve_model("tiny"), model_folder() / "tiny.gguf");
  EXPECT_THAT(message_of("absent"), HasSubstr("skua pull"));
  EXPECT_THAT(message_of("absent"), HasSubstr(model_folder().string()));
  EXPECT_THAT(message_of("./absent"), HasSubstr("./absent"));
  EXPECT_THAT(message_of("../models/tiny.gguf"), HasSubstr("no such"));
}

TEST_F(ModelPath, EmptyNameIsTheDefaultThatTheVariableOverrides) {
  EXPECT_THAT(message_of(""), HasSubstr("tools/get_model.py"));
  EXPECT_THAT(message_of(""), HasSubstr(kDefaultModel));
  write_text(model_folder() / kDefaultModel, "");
  EXPECT_EQ(resolve_model(""), model_folder() / kDefaultModel);
  write_text(model_folder() / "other.gguf", "");
  setenv("SKUA_MODEL", "other", 1);
  EXPECT_EQ(resolve_model(""), model_folder() / "other.gguf");
}

TEST_F(ModelPath, ListCoversBothFoldersAndEveryName) {
  write_text(model_folder() / "tiny.gguf", "12345");
  fs::create_directories(model_folder() / "mine");
  write_text(model_folder() / "mine/config.json", "{}");
  write_text(model_folder() / "mine/model.safetensors", "123");
  const fs::path main = snapshot(kCommit, "main");
  write_text(main / "a-Q4_0.gguf", "1234567");
  const std::string other(40, 'a');
  const fs::path branch = snapshot(other, "v2");
  write_text(branch / "config.json", "{}");
  write_text(branch / "model.safetensors.index.json",
             R"({"weight_map": {"x": "absent.safetensors"}})");

  const auto models = cached_models();
  ASSERT_EQ(models.size(), 4u);
  EXPECT_EQ(models[0].name, "mine");
  EXPECT_EQ(models[0].size_bytes, 5u);
  EXPECT_EQ(models[1].name, "org/name:a-Q4_0.gguf");
  EXPECT_EQ(models[1].revision, kCommit);
  EXPECT_EQ(models[1].size_bytes, 7u);
  EXPECT_EQ(models[1].path, main / "a-Q4_0.gguf");
  EXPECT_EQ(models[2].name, "org/name@v2");
  EXPECT_FALSE(models[2].complete);
  EXPECT_EQ(models[3].name, "tiny.gguf");
  EXPECT_TRUE(models[3].complete);
  for (const auto& model : models) {
    if (model.complete) {
      EXPECT_EQ(resolve_model(model.name), model.path) << model.name;
    }
  }
}

}  // namespace
}  // namespace skua
