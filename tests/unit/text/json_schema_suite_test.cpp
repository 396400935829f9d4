#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <iostream>
#include <map>

#include "skua/error.h"
#include "tests/sanitized.h"
#include "tests/support.h"
#include "tests/unit/text/grammar_support.h"

namespace skua::test {
namespace {

// The value with numbers as an answer writes them: 1 for 1.0.
Json plain_numbers(const Json& value) {
  if (value.is_structured()) {
    Json result = value;
    for (auto& member : result) member = plain_numbers(member);
    return result;
  }
  if (!value.is_number_float()) return value;
  const double number = value.get<double>();
  const bool is_whole =
      number == std::floor(number) && std::abs(number) < 9.3e15;
  return is_whole ? Json(static_cast<std::int64_t>(number)) : value;
}

struct Counts {
  int groups = 0, refused = 0, valid = 0, valid_accepted = 0, invalid = 0,
      invalid_accepted = 0;
  std::map<std::string, int> reasons;
};

void run_group(ByteGrammars& grammars, const Json& group, Counts& counts,
               bool draft7, const std::string& name) {
  ++counts.groups;
  Json with_dialect = group["schema"];
  if (draft7 && with_dialect.is_object() && !with_dialect.contains("$schema"))
    with_dialect["$schema"] = "http://json-schema.org/draft-07/schema#";
  std::shared_ptr<const CompiledGrammar> grammar;
  bool unsatisfiable = false;
  try {
    grammar = grammars.compiler.compile(schema(with_dialect.dump()));
  } catch (const Unsupported& error) {
    ++counts.refused;
    ++counts.reasons[error.what()];
    std::cout << "  refused " << name << ": "
              << group["description"].get<std::string>() << ": " << error.what()
              << '\n';
    return;
  } catch (const InvalidInput& error) {
    // Only where nothing is valid.
    unsatisfiable = true;
    EXPECT_NE(std::string(error.what()).find("no text matches"),
              std::string::npos)
        << name << ": " << error.what() << "\n"
        << with_dialect;
  }
  for (const auto& test : group["tests"]) {
    const Json& data = test["data"];
    const bool valid = test["valid"].get<bool>();
    const bool accepted =
        !unsatisfiable &&
        (accepts_in_some_order(grammars, grammar, data) ||
         accepts_in_some_order(grammars, grammar, plain_numbers(data)));
    ++(valid ? counts.valid : counts.invalid);
    if (accepted) ++(valid ? counts.valid_accepted : counts.invalid_accepted);
    if (accepted != valid)
      std::cout << (valid ? "  not accepted: " : "  WRONGLY ACCEPTED: ") << name
                << ": " << group["description"].get<std::string>() << ": "
                << data.dump() << '\n';
  }
}

// contentEncoding and contentMediaType are annotations, as 2020-12 has it.
bool is_annotation(const std::filesystem::path& file) {
  return file.parent_path().filename() == "optional" &&
         file.stem() == "content";
}

// Formats that are enforced; others are annotations.
const std::set<std::string> kFormats = {
    "date",          "date-time",    "duration",
    "email",         "hostname",     "ipv4",
    "ipv6",          "json-pointer", "relative-json-pointer",
    "time",          "unknown",      "uri",
    "uri-reference", "uuid"};

Counts run_folder(const std::filesystem::path& folder, bool draft7) {
  ByteGrammars grammars;
  Counts counts;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".json" && !is_annotation(entry) &&
        (folder.filename() != "format" ||
         kFormats.count(entry.path().stem().string()) > 0))
      files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  int index = 0;
  for (const auto& file : files)
    for (const auto& group : read_json(file))
      if (takes(index++, 2))
        run_group(grammars, group, counts, draft7, file.stem().string());
  std::cout << folder.parent_path().filename() << '/' << folder.filename()
            << ": " << counts.groups - counts.refused << " of " << counts.groups
            << " groups enforced, " << counts.valid_accepted << " of "
            << counts.valid << " valid instances accepted, "
            << counts.invalid_accepted << " of " << counts.invalid
            << " invalid ones\n";
  EXPECT_GT(counts.groups, 0);
  EXPECT_EQ(counts.invalid_accepted, 0);
  return counts;
}

TEST(JsonSchemaSuite, Draft202012) {
  SKUA_ASSET_OR_SKIP(folder, "schema/JSON-Schema-Test-Suite/draft2020-12");
  run_folder(folder, false);
}

TEST(JsonSchemaSuite, Draft202012Optional) {
  SKUA_ASSET_OR_SKIP(folder,
                     "schema/JSON-Schema-Test-Suite/draft2020-12/optional");
  run_folder(folder, false);
}

TEST(JsonSchemaSuite, Draft202012Formats) {
  SKUA_ASSET_OR_SKIP(
      folder, "schema/JSON-Schema-Test-Suite/draft2020-12/optional/format");
  run_folder(folder, false);
}

TEST(JsonSchemaSuite, Draft7Optional) {
  SKUA_ASSET_OR_SKIP(folder, "schema/JSON-Schema-Test-Suite/draft7/optional");
  run_folder(folder, true);
}

TEST(JsonSchemaSuite, Draft7Formats) {
  SKUA_ASSET_OR_SKIP(folder,
                     "schema/JSON-Schema-Test-Suite/draft7/optional/format");
  run_folder(folder, true);
}

TEST(JsonSchemaSuite, Draft7) {
  SKUA_ASSET_OR_SKIP(folder, "schema/JSON-Schema-Test-Suite/draft7");
  run_folder(folder, true);
}

}  // namespace
}  // namespace skua::test
