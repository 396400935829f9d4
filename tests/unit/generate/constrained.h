#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <regex>
#include <string>
#include <vector>

#include "skua/error.h"
#include "tests/unit/generate/runner.h"
#include "tests/unit/kernels/numbers.h"
#include "tests/unit/text/schema_validator.h"

namespace skua::test {

inline constexpr const char* kSchema =
    R"({"type": "object", "additionalProperties": false,
        "required": ["name", "kind", "age"],
        "properties": {
          "name": {"type": "string", "maxLength": 6},
          "kind": {"enum": ["cat", "dog"]},
          "age": {"type": "integer", "minimum": 0, "maximum": 30}}})";
inline constexpr const char* kDate = "(19|20)[0-9]{2}-(0[1-9]|1[0-2])";
inline constexpr const char* kSums =
    "root ::= sum (\" = \" sum)?\n"
    "sum ::= [0-9] (\" + \" [0-9]){0,3}\n";

// One of each kind, none of whose texts is long.
inline std::vector<GenerationOptions> all_kinds() {
  return {{.max_tokens = 200, .json_schema = kSchema},
          {.max_tokens = 200, .regex = kDate},
          {.max_tokens = 200, .grammar = kSums},
          {.max_tokens = 200, .choice = {"yes", "no", "not so sure"}}};
}

inline bool fits(const GenerationOptions& options, const std::string& text) {
  if (!options.json_schema.empty()) {
    const Json value = Json::parse(text, nullptr, false);
    return !value.is_discarded() &&
           is_valid(parse_json(kSchema, "schema"), value);
  }
  if (!options.regex.empty()) return std::regex_match(text, std::regex(kDate));
  if (!options.grammar.empty()) {
    const std::string sum = R"(\d( \+ \d){0,3})";
    return std::regex_match(text, std::regex(sum + "( = " + sum + ")?"));
  }
  return std::ranges::find(options.choice, text) != options.choice.end();
}

class Constrained : public testing::Test {
 protected:
  void SetUp() override {
    const auto folder = stories_folder();
    if (!folder) GTEST_SKIP() << "no test asset lm/stories260K/hf";
    loaded_ = load_model(folder->path());
  }
  Answer run(const GenerationOptions& options, const Ids& prompt = {1, 403},
             const DraftModel* draft = nullptr) const {
    Runner run(loaded_, Session(*loaded_->model, 512), prompt, options,
               TextStart::kFresh, draft);
    return finish(run);
  }
  Ids encode(const std::string& text) const {
    return loaded_->tokenizer->encode(text, {.add_special = false});
  }

  std::shared_ptr<const LoadedModel> loaded_;
};

}  // namespace skua::test
