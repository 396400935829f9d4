#include "base/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>

#include "skua/error.h"
#include "tests/support.h"
#include "tests/unit/base/hostile.h"

namespace skua {
namespace {

namespace fs = std::filesystem;
using test::TempDir;

std::string file_of(const std::string& header, const std::string& data) {
  std::uint64_t n_bytes = header.size();
  std::string bytes(reinterpret_cast<const char*>(&n_bytes), sizeof n_bytes);
  return bytes + header + data;
}

/** A tensor record; `json` is what stands for its shape. */
std::string record(const std::string& name, const std::string& dtype,
                   const std::string& shape, std::uint64_t begin,
                   std::uint64_t end) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape +
         ",\"data_offsets\":[" + std::to_string(begin) + "," +
         std::to_string(end) + "]}";
}

std::string object(const std::string& members) {
  std::string text = "{";
  text += members;
  text += '}';
  return text;
}

SafetensorsFile load(const std::string& header, const std::string& data = "") {
  const TempDir folder;
  test::write_text(folder.path() / "t.safetensors", file_of(header, data));
  return SafetensorsFile(folder.path() / "t.safetensors");
}

void load_hostile(const fs::path& path) {
  if (path.extension() != ".json") {
    const SafetensorsFile file(path);
    return;
  }
  const TempDir folder;
  fs::copy_file(path, folder.path() / "model.safetensors.index.json");
  open_checkpoint(folder.path());
}

TEST(Safetensors, HostileFilesGetTheirVerdictWithinAMemoryLimit) {
  SKUA_ASSET_OR_SKIP(root, "hostile/safetensors");
  test::expect_verdicts("safetensors/", load_hostile);
}

TEST(Safetensors, ReadsShapesBytesAndMetadataInTheOrderOfTheData) {
  const SafetensorsFile file =
      load("{\"__metadata__\":{\"format\":\"pt\",\"caf\\u00e9\":\"\"}," +
               record("b", "U8", "[3]", 4, 7) + "," +
               record("a", "I16", "[1,2]", 0, 4) + "," +
               record("empty", "F32", "[0,9]", 4, 4) + "," +
               record("scalar", "F32", "[]", 7, 11) + "}  ",
           "abcdefghijk");
  ASSERT_EQ(file.tensors().size(), 4u);
  EXPECT_EQ(file.tensors()[0].name, "a");
  EXPECT_EQ(file.tensors()[1].name, "empty");
  EXPECT_EQ(file.tensors()[2].name, "b");
  EXPECT_EQ(file.tensors()[3].name, "scalar");
  EXPECT_EQ(file.tensors()[0].shape, (std::vector<std::int64_t>{1, 2}));
  EXPECT_TRUE(file.tensors()[3].shape.empty());
  EXPECT_EQ(file.tensors()[1].data.size(), 0u);
  EXPECT_EQ(std::memcmp(file.tensors()[2].data.data(), "efg", 3), 0);
  EXPECT_EQ(file.tensors()[2].data.size(), 3u);
  EXPECT_EQ(file.metadata().at("format"), "pt");
  EXPECT_TRUE(file.metadata().contains("caf\xc3\xa9"));
}

TEST(Safetensors, WhatIsWrittenIsReadBack) {
  const test::TempDir folder;
  const fs::path path = folder.path() / "w.safetensors";
  const std::string data = "123456789";
  const auto bytes = std::as_bytes(std::span(data));
  const std::map<std::string, std::string> metadata = {{"a", "\"1\"\n"},
                                                       {"b.c", ""}};
  write_safetensors(path,
                    {{"z", SafeDtype::kU8, {1, 5}, bytes.first(5)},
                     {"none", SafeDtype::kF32, {0, 7}, {}},
                     {"a", SafeDtype::kF32, {}, bytes.last(4)}},
                    metadata);
  const SafetensorsFile file(path);
  EXPECT_EQ(file.metadata(), metadata);
  std::map<std::string, std::string> read;
  for (const SafeTensor& t : file.tensors()) {
    read[t.name] = std::string(reinterpret_cast<const char*>(t.data.data()),
                               t.data.size());
  }
  EXPECT_EQ(read, (std::map<std::string, std::string>{
                      {"z", "12345"}, {"none", ""}, {"a", "6789"}}));
  EXPECT_THROW(
      write_safetensors(path, {{"z", SafeDtype::kU8, {4}, bytes.first(5)}}, {}),
      InvalidInput);
  EXPECT_THROW(write_safetensors(path,
                                 {{"z", SafeDtype::kU8, {5}, bytes.first(5)},
                                  {"z", SafeDtype::kU8, {4}, bytes.first(4)}},
                                 {}),
               InvalidInput);
  EXPECT_EQ(SafetensorsFile(path).tensors().size(), 3u);
}

TEST(Safetensors, KnowsEveryDtypeOfTheFormatAndItsWidth) {
  // The names and widths of the format's own Dtype list.
  const std::vector<std::pair<std::string, int>> widths = {
      {"BOOL", 8}, {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8},
      {"I8", 8},   {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"I16", 16},
      {"U16", 16}, {"F16", 16},    {"BF16", 16},   {"I32", 32},    {"U32", 32},
      {"F32", 32}, {"C64", 64},    {"F64", 64},    {"I64", 64},    {"U64", 64}};
  for (const auto& [name, bits] : widths) {
    const auto n_bytes = static_cast<std::size_t>(bits);  // of 8 elements
    const SafetensorsFile file =
        load(object(record("t", name, "[8]", 0, n_bytes)),
             std::string(n_bytes, 'x'));
    EXPECT_EQ(safe_dtype_name(file.tensors()[0].dtype), name);
    EXPECT_EQ(safe_dtype_bits(file.tensors()[0].dtype), bits) << name;
  }
}

TEST(Safetensors, MalformedHeadersAreRefused) {
  const std::string good = record("a", "U8", "[1]", 0, 1);
  EXPECT_NO_THROW(load(object(good), "x"));
  const std::vector<std::string> headers = {
      // the same name twice, also when spelled differently
      object(good + "," + good),
      object(good + "," + record("\\u0061", "U8", "[0]", 1, 1)),
      object(good + ",\"__metadata__\":{},\"__metadata__\":{}"),
      object(good + ",\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}"),
      R"({"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
      object(good + ",\"__metadata__\":{\"k\":1}"),
      object(good + ",\"__metadata__\":[]"),
      // records
      R"({"a":[1]})", R"({"a":{"shape":[1],"data_offsets":[0,1]}})",
      R"({"a":{"dtype":"U8","data_offsets":[0,1]}})",
      R"({"a":{"dtype":8,"shape":[1],"data_offsets":[0,1]}})",
      R"({"a":{"dtype":"U8","shape":1,"data_offsets":[0,1]}})",
      R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}})",
      R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,1]}})",
      R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,-1]}})",
      R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1.0]}})",
      R"({"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}})",
      R"({"a":{"dtype":"U8","shape":[true],"data_offsets":[0,1]}})",
      R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,1]}})",
      R"({"a":{"dtype":"U8","shape":[18446744073709551617],)"
      R"("data_offsets":[0,1]}})",
      // layout
      object(record("a", "U8", "[1]", 1, 2)),
      object(record("a", "U8", "[2]", 0, 2)),
      object(good + "," + record("b", "U8", "[1]", 0, 1)),
      object(good + "," + record("b", "U8", "[0]", 5, 5)),
      // text
      object(good) + " x", object(good + ","), "{\"\xff\":{}}",
      "\xef\xbb\xbf" + object(good), "[]", "\"{}\"",
      object(good).substr(0, good.size() + 1), ""};
  for (const std::string& header : headers)
    EXPECT_THROW(load(header, "x"), InvalidInput) << header;
  std::string deep = "{\"a\":";
  EXPECT_THROW(load(deep + std::string(100000, '['), "x"), InvalidInput);
}

TEST(Safetensors, SizesThatWrapToTheBytesPresentAreRefused) {
  for (const std::string shape :
       {"[4294967296,4294967296]", "[2305843009213693952,8]",
        "[9223372036854775807,9223372036854775807,16]"}) {
    EXPECT_THROW(load(object(record("a", "U8", shape, 0, 0))), InvalidInput)
        << shape;
  }
  EXPECT_THROW(load(object(record("a", "F4", "[3]", 0, 1)), "x"), InvalidInput);
  EXPECT_NO_THROW(load(object(record("a", "F4", "[2]", 0, 1)), "x"));
}

TEST(Safetensors, EveryCutOfAValidFileIsRefused) {
  const std::string whole =
      file_of(object(record("a", "U8", "[4]", 0, 4)), "wxyz");
  const TempDir folder;
  const fs::path path = folder.path() / "t.safetensors";
  for (std::size_t n = 0; n < whole.size(); ++n) {
    test::write_text(path, whole.substr(0, n));
    EXPECT_THROW(SafetensorsFile{path}, InvalidInput) << "cut at " << n;
  }
  test::write_text(path, whole);
  EXPECT_NO_THROW(SafetensorsFile{path});
  EXPECT_THROW(SafetensorsFile{folder.path() / "absent"}, NotFound);
}

TEST(Safetensors, Stories260KHasItsNamesAndShapes) {
  SKUA_ASSET_OR_SKIP(folder, "lm/stories260K/hf");
  const auto files = open_checkpoint(folder);
  ASSERT_EQ(files.size(), 1u);
  std::map<std::string, std::vector<std::int64_t>> shapes;
  for (const SafeTensor& tensor : files[0].tensors()) {
    shapes[tensor.name] = tensor.shape;
    EXPECT_EQ(tensor.dtype, SafeDtype::kF32);
  }
  EXPECT_EQ(shapes.size(), 47u);
  using Shape = std::vector<std::int64_t>;
  EXPECT_EQ(shapes["model.embed_tokens.weight"], (Shape{512, 64}));
  EXPECT_EQ(shapes["model.norm.weight"], (Shape{64}));
  for (int layer = 0; layer < 5; ++layer) {
    const std::string prefix = "model.layers." + std::to_string(layer) + ".";
    EXPECT_EQ(shapes[prefix + "self_attn.q_proj.weight"], (Shape{64, 64}));
    EXPECT_EQ(shapes[prefix + "self_attn.k_proj.weight"], (Shape{32, 64}));
    EXPECT_EQ(shapes[prefix + "self_attn.v_proj.weight"], (Shape{32, 64}));
    EXPECT_EQ(shapes[prefix + "self_attn.o_proj.weight"], (Shape{64, 64}));
    EXPECT_EQ(shapes[prefix + "mlp.gate_proj.weight"], (Shape{172, 64}));
    EXPECT_EQ(shapes[prefix + "mlp.up_proj.weight"], (Shape{172, 64}));
    EXPECT_EQ(shapes[prefix + "mlp.down_proj.weight"], (Shape{64, 172}));
    EXPECT_EQ(shapes[prefix + "input_layernorm.weight"], (Shape{64}));
    EXPECT_EQ(shapes[prefix + "post_attention_layernorm.weight"], (Shape{64}));
  }
}

TEST(Safetensors, GoldenCheckpointsOfEveryStoredFormatOpen) {
  SKUA_ASSET_OR_SKIP(root, "goldens/lm");
  std::size_t n_opened = 0;
  for (const auto& entry : fs::directory_iterator(root)) {
    if (!fs::exists(entry.path() / "model.safetensors")) continue;
    for (const SafetensorsFile& file : open_checkpoint(entry.path()))
      EXPECT_FALSE(file.tensors().empty()) << entry.path();
    ++n_opened;
  }
  std::cout << n_opened << " golden checkpoints opened\n";
}

/** A folder of two shards, a in the first, b and c in the second. */
class Shards : public testing::Test {
 protected:
  static constexpr const char* kFirst = "model-00001-of-00002.safetensors";
  static constexpr const char* kSecond = "model-00002-of-00002.safetensors";

  void SetUp() override {
    write(kFirst, file_of(object(record("a", "U8", "[2]", 0, 2)), "aa"));
    write(kSecond, file_of(object(record("b", "U8", "[1]", 0, 1) + "," +
                                  record("c", "U8", "[1]", 1, 2)),
                           "bc"));
    write_index({{"a", kFirst}, {"b", kSecond}, {"c", kSecond}});
  }
  void write(const std::string& name, const std::string& text) {
    test::write_text(path() / name, text);
  }
  void write_index(const std::map<std::string, std::string>& weight_map) {
    write("model.safetensors.index.json",
          dump_json(Json{{"metadata", {{"total_size", 4}}},
                         {"weight_map", weight_map}}));
  }
  std::string failure() {
    try {
      open_checkpoint(path());
    } catch (const InvalidInput& error) {
      return error.what();
    }
    return "";
  }
  const fs::path& path() const { return folder_.path(); }

 private:
  TempDir folder_;
};

TEST_F(Shards, OpenInTheOrderOfTheirNames) {
  const auto files = open_checkpoint(path());
  ASSERT_EQ(files.size(), 2u);
  EXPECT_EQ(files[0].tensors()[0].name, "a");
  EXPECT_EQ(files[1].tensors()[0].name, "b");
  EXPECT_EQ(files[1].tensors()[1].name, "c");
  EXPECT_EQ(static_cast<char>(files[1].tensors()[1].data[0]), 'c');
}

TEST_F(Shards, TheIndexGoesBeforeASingleFile) {
  write("model.safetensors", "not a model");
  EXPECT_EQ(open_checkpoint(path()).size(), 2u);
  fs::remove(path() / "model.safetensors.index.json");
  EXPECT_THROW(open_checkpoint(path()), InvalidInput);
  fs::copy_file(path() / kFirst, path() / "model.safetensors",
                fs::copy_options::overwrite_existing);
  EXPECT_EQ(open_checkpoint(path()).size(), 1u);
  fs::remove(path() / "model.safetensors");
  EXPECT_THROW(open_checkpoint(path()), NotFound);
}

TEST_F(Shards, AMissingShardIsNamed) {
  fs::remove(path() / kSecond);
  try {
    open_checkpoint(path());
    FAIL();
  } catch (const NotFound& error) {
    EXPECT_NE(std::string(error.what()).find(kSecond), std::string::npos);
  }
}

TEST_F(Shards, NamesThatAreNotBareFileNamesAreRefused) {
  const TempDir outside;
  test::write_text(outside.path() / "x.safetensors",
                   test::read_text(path() / kFirst));
  fs::create_directory(path() / "sub");
  fs::copy_file(path() / kFirst, path() / "sub/x.safetensors");
  const std::string up =
      (fs::path("..") / outside.path().filename() / "x.safetensors").string();
  ASSERT_TRUE(fs::exists(path() / up));
  for (const std::string& name :
       {up, (outside.path() / "x.safetensors").string(),
        std::string("sub/x.safetensors"), std::string("sub\\x.safetensors"),
        std::string(".."), std::string(""),
        std::string("model.safetensors.index.json"),
        std::string("a\0.safetensors", 14)}) {
    write_index({{"a", name}, {"b", kSecond}, {"c", kSecond}});
    EXPECT_NE(failure(), "") << name;
  }
}

TEST_F(Shards, ATensorInTheWrongShardIsRefused) {
  write_index({{"a", kFirst}, {"b", kFirst}, {"c", kSecond}});
  EXPECT_NE(failure().find("'b'"), std::string::npos) << failure();
}

TEST_F(Shards, ATensorLeftOverOrMissingIsRefused) {
  write_index({{"a", kFirst}, {"b", kSecond}});
  EXPECT_NE(failure().find("'c'"), std::string::npos) << failure();
  write_index({{"a", kFirst}, {"b", kSecond}, {"c", kSecond}, {"d", kFirst}});
  EXPECT_NE(failure().find("'d'"), std::string::npos) << failure();
}

TEST_F(Shards, ADamagedIndexIsRefused) {
  for (const std::string text :
       {"", "[]", "{}", "{\"weight_map\":[]}", "{\"weight_map\":{}}",
        "{\"weight_map\":{\"a\":1}}", "{\"weight_map\":{\"a\":",
        "{\"weight_map\":{\"a\":\"x.safetensors\",\"a\":\"y.safetensors\"}}",
        "{\"weight_map\":{\"a\":\"x.safetensors\"},\"weight_map\":{}}"}) {
    write("model.safetensors.index.json", text);
    EXPECT_NE(failure(), "") << text;
  }
}

}  // namespace
}  // namespace skua
