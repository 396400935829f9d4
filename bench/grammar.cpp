#include "bench/grammar.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <vector>

#include "base/gguf.h"
#include "skua/error.h"
#include "text/grammar.h"

namespace skua::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kPasses = 5;

struct Case {
  const char* name;
  Grammar grammar;
  std::string answer;
};

const char* kTool = R"({"type":"object","properties":{
  "name":{"type":"string","description":"Whom to look for"},
  "age":{"type":"integer","minimum":0,"maximum":150},
  "email":{"type":"string","format":"email"},
  "tags":{"type":"array","items":{"enum":["red","green","blue"]},"maxItems":5},
  "address":{"type":"object","properties":{
    "street":{"type":"string"},"zip":{"type":"string","pattern":"^[0-9]{5}$"}},
    "required":["street"],"additionalProperties":false}},
  "required":["name","age"])";

const char* kToolAnswer =
    R"({"name": "Ada Lovelace of London", "age": 36, )"
    R"("email": "ada@example.org", "tags": ["red", "blue"], )"
    R"("address": {"street": "St James's Square 12", "zip": "12345"}})";

std::vector<Case> cases() {
  const auto schema = [](const std::string& source) {
    return Grammar{Grammar::Kind::kJsonSchema, source, {}};
  };
  std::vector<std::string> choices;
  for (int i = 0; i < 1000; ++i)
    choices.push_back("choice number " + std::to_string(i));
  return {
      {"any_json", schema("true"), kToolAnswer},
      {"schema_closed",
       schema(std::string(kTool) + R"(,"additionalProperties":false})"),
       kToolAnswer},
      {"schema_open", schema(std::string(kTool) + "}"), kToolAnswer},
      {"max_length",
       schema(R"({"type":"string","minLength":1,"maxLength":2000})"),
       "\"" + std::string(40, 'x') + " and some more words to say so\""},
      {"short_strings", schema(R"({"type":"array","maxItems":100,
         "items":{"type":"string","maxLength":30}})"),
       R"(["red", "a pale kind of green", "blue", "", "something else here"])"},
      {"regex",
       {Grammar::Kind::kRegex, R"(([A-Z][a-z]+ ){2,5}\(\d{4}-\d{2}\)\.)", {}},
       "Ada Lovelace Of London (1815-12)."},
      {"gbnf",
       {Grammar::Kind::kEbnf,
        "root ::= line+\nline ::= \"- \" [^\\n]+ \"\\n\"\n",
        {}},
       "- the first of some lines\n- the second one\n"},
      {"choice", {Grammar::Kind::kChoice, "", choices}, "choice number 737"},
  };
}

std::shared_ptr<const Tokenizer> load(const std::string& path) {
  if (std::filesystem::is_directory(path))
    return load_tokenizer(std::filesystem::path(path));
  return load_tokenizer(GgufFile(path));
}

Json quantiles(std::vector<double> times) {
  std::sort(times.begin(), times.end());
  return {{"median", times[times.size() / 2]},
          {"p99", times[times.size() * 99 / 100]},
          {"max", times.back()}};
}

// Microseconds of each mask of one answer.
std::vector<double> pass(const std::shared_ptr<const CompiledGrammar>& grammar,
                         const std::vector<std::int32_t>& ids,
                         std::vector<std::uint32_t>& bits) {
  std::vector<double> times;
  GrammarMatcher matcher(grammar);
  for (const auto id : ids) {
    const auto begin = Clock::now();
    matcher.fill_mask(bits);
    const std::chrono::duration<double, std::micro> time = Clock::now() - begin;
    times.push_back(time.count());
    if (!matcher.accept(id))
      throw Error("bench", "the grammar does not take its answer");
  }
  return times;
}

}  // namespace

void run_grammar_tests(const std::string& path,
                       const std::function<void(const Json&)>& emit) {
  const auto tokenizer = load(path);
  const auto begin = Clock::now();
  GrammarCompiler compiler(*tokenizer, tokenizer->special().eos_ids,
                           tokenizer->size());
  const std::chrono::duration<double, std::milli> made = Clock::now() - begin;
  emit({{"test", "vocabulary"},
        {"tokens", tokenizer->size()},
        {"ms", made.count()}});
  std::vector<std::uint32_t> bits((tokenizer->size() + 31) / 32);
  for (const auto& [name, source, answer] : cases()) {
    const auto start = Clock::now();
    const auto grammar = compiler.compile(source);
    const std::chrono::duration<double, std::milli> time = Clock::now() - start;
    const auto ids = tokenizer->encode(answer, {.add_special = false});
    const auto first = pass(grammar, ids, bits);
    std::vector<double> later;
    for (int i = 0; i < kPasses; ++i)
      for (const double t : pass(grammar, ids, bits)) later.push_back(t);
    emit({{"test", name},
          {"compile_ms", time.count()},
          {"mask_us", quantiles(later)},
          {"first_mask_us", quantiles(first)},
          {"tokens", ids.size()},
          {"kilobytes", grammar->memory_bytes() / 1024}});
  }
}

}  // namespace skua::bench
