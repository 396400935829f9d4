#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <iostream>
#include <map>

#include "skua/error.h"
#include "tests/support.h"
#include "tests/unit/text/grammar_support.h"

namespace skua::test {
namespace {

// `value` with the properties of each object in the order of `schema`'s
// declarations, wherever in the schema they stand.
void declared_names(const Json& schema, std::vector<std::string>& names) {
  if (schema.is_object()) {
    for (const char* key : {"properties"})
      if (schema.contains(key) && schema[key].is_object())
        for (const auto& [name, value] : schema[key].items())
          names.push_back(name);
    if (schema.contains("required") && schema["required"].is_array())
      for (const auto& name : schema["required"])
        if (name.is_string()) names.push_back(name);
  }
  if (schema.is_structured())
    for (const auto& member : schema) declared_names(member, names);
}

Json ordered(const Json& value, const std::vector<std::string>& names) {
  if (value.is_array()) {
    Json result = Json::array();
    for (const auto& member : value) result.push_back(ordered(member, names));
    return result;
  }
  if (!value.is_object()) {
    // 1.0 and 1 are the same value; large ones are written out.
    if (value.is_number_float()) {
      const double number = value.get<double>();
      if (number == std::floor(number) && std::abs(number) < 1e15)
        return static_cast<std::int64_t>(number);
    }
    return value;
  }
  Json result = Json::object();
  for (const auto& name : names)
    if (value.contains(name)) result[name] = ordered(value[name], names);
  for (const auto& [name, member] : value.items())
    if (!result.contains(name)) result[name] = ordered(member, names);
  return result;
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
  std::vector<std::string> names;
  declared_names(with_dialect, names);
  for (const auto& test : group["tests"]) {
    const Json& data = test["data"];
    const bool valid = test["valid"].get<bool>();
    bool accepted = false;
    if (!unsatisfiable)
      for (const Json& value : {data, ordered(data, names)})
        for (const bool ascii : {false, true})
          accepted =
              accepted || grammars.accepts(grammar, value.dump(-1, ' ', ascii));
    ++(valid ? counts.valid : counts.invalid);
    if (accepted) ++(valid ? counts.valid_accepted : counts.invalid_accepted);
    if (accepted != valid)
      std::cout << (valid ? "  not accepted: " : "  WRONGLY ACCEPTED: ") << name
                << ": " << group["description"].get<std::string>() << ": "
                << data.dump() << '\n';
  }
}

Counts run_folder(const std::filesystem::path& folder, bool draft7) {
  ByteGrammars grammars;
  Counts counts;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".json") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  for (const auto& file : files)
    for (const auto& group : read_json(file))
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

TEST(JsonSchemaSuite, Draft7) {
  SKUA_ASSET_OR_SKIP(folder, "schema/JSON-Schema-Test-Suite/draft7");
  run_folder(folder, true);
}

}  // namespace
}  // namespace skua::test
