// Answers that call tools.
#include <gmock/gmock.h>

#include <set>

#include "tests/support.h"
#include "tests/unit/generate/constrained.h"
#include "text/message_parser.h"

namespace skua::test {
namespace {

using testing::HasSubstr;

constexpr const char* kTools = R"([
  {"type": "function", "function": {"name": "feed", "parameters": {
    "type": "object", "required": ["animal", "grams"],
    "properties": {"animal": {"enum": ["cat", "dog"]},
                   "grams": {"type": "integer", "minimum": 1, "maximum": 500}},
    "additionalProperties": false}}},
  {"type": "function", "function": {"name": "sleep"}}])";

// As Qwen's templates end a prompt and write calls.
constexpr const char* kTemplate =
    "{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}"
    "{# <|im_start|> <tool_call> #}";
// The same of a model that reasons.
const std::string kReasons = std::string(kTemplate) + "{# </think> #}";

// stories260K with marks of calls in the place of two characters.
Json tokenizer_with_marks(Json json) {
  Json& vocabulary = json["model"]["vocab"];
  std::int32_t id = 512;
  for (const char* mark : {"</tool_call>", "<tool_call>"}) {
    --id;
    std::string piece;
    for (const auto& [text, its_id] : vocabulary.items())
      if (its_id == id) piece = text;
    vocabulary.erase(piece);
    json["added_tokens"].push_back(
        {{"id", id}, {"content", mark}, {"special", true}});
  }
  return json;
}

class ConstrainedTools : public Constrained {
 protected:
  void SetUp() override {
    loaded_ = load(kTemplate);
    if (!loaded_) GTEST_SKIP() << "no test asset lm/stories260K/hf";
  }

  static std::shared_ptr<const LoadedModel> load(const std::string& text) {
    const auto folder = stories_folder();
    if (!folder) return nullptr;
    const auto path = folder->path() / "tokenizer.json";
    const Json json = tokenizer_with_marks(read_json(path));
    std::filesystem::remove(path);
    write_text(path, dump_json(json));
    write_text(folder->path() / "chat_template.jinja", text);
    return load_model(folder->path());
  }

  // Without the space that the tokenizer puts before every text.
  Ids behind_text(const std::string& text) const {
    Ids ids = encode("\n" + text);
    ids.erase(ids.begin(), ids.begin() + std::ssize(encode("\n")));
    return ids;
  }
  std::int32_t open_id() const {
    return *loaded_->tokenizer->id_of("<tool_call>");
  }
  ParsedMessage parse(const std::string& text) const {
    MessageParser parser(*loaded_->message_format,
                         {.tools = parse_json(kTools, "tools")});
    parser.feed(text);
    parser.finish();
    return parser.message();
  }
};

// Whether it is a call of one of the tools, by hand.
bool is_valid_call(const ToolCall& call) {
  const Json arguments = parse_json(call.arguments, "arguments");
  if (call.name == "sleep") return arguments == Json::object();
  return call.name == "feed" && arguments.size() == 2 &&
         (arguments["animal"] == "cat" || arguments["animal"] == "dog") &&
         arguments["grams"] >= 1 && arguments["grams"] <= 500;
}

bool are_valid(const std::vector<ToolCall>& calls) {
  return std::ranges::all_of(calls, is_valid_call);
}

TEST_F(ConstrainedTools, RequiredAnswersAreValidCalls) {
  std::set<std::string> names;
  int n_calls = 0;
  for (const char* choice : {"required", "feed"}) {
    for (const bool parallel : {true, false}) {
      for (const double temperature : {0.0, 1.0, 20.0}) {
        for (std::uint64_t seed = 0; seed < 8; ++seed) {
          const Answer answer = run({.max_tokens = 500,
                                     .temperature = temperature,
                                     .tools = kTools,
                                     .tool_choice = choice,
                                     .parallel_tool_calls = parallel,
                                     .seed = seed});
          // It may go on with calls as long as it likes.
          if (answer.reason == FinishReason::kLength) continue;
          EXPECT_EQ(answer.reason, FinishReason::kStop);
          const ParsedMessage message = parse(answer.text);
          EXPECT_TRUE(are_valid(message.calls)) << answer.text;
          EXPECT_EQ(message.content, "") << answer.text;
          EXPECT_GE(message.calls.size(), 1u) << answer.text;
          if (!parallel) {
            EXPECT_EQ(message.calls.size(), 1u) << answer.text;
          }
          n_calls += static_cast<int>(message.calls.size());
          for (const ToolCall& call : message.calls) {
            names.insert(call.name);
            if (choice == std::string("feed")) {
              EXPECT_EQ(call.name, "feed");
            }
          }
        }
      }
    }
  }
  EXPECT_EQ(names, (std::set<std::string>{"feed", "sleep"}));
  EXPECT_GT(n_calls, 60);
  std::printf("%d valid calls\n", n_calls);
}

TEST_F(ConstrainedTools, TheMarkThatOpensACallIsItsSpecialToken) {
  const GenerationOptions options{.tools = kTools, .tool_choice = "required"};
  const Ids forced = Constraint::make(*loaded_, options)->all_forced(100);
  ASSERT_GT(forced.size(), 3u);
  EXPECT_EQ(forced.front(), open_id());
  // Up to the choice of a name.
  EXPECT_TRUE(std::string("<tool_call>\n{\"name\": \"")
                  .starts_with(loaded_->tokenizer->decode(forced)))
      << loaded_->tokenizer->decode(forced);
}

TEST_F(ConstrainedTools, WhatIsForcedHasSpecialTokens) {
  GenerationOptions options{
      .temperature = 1, .tools = kTools, .tool_choice = "sleep", .seed = 1};
  options.parallel_tool_calls = false;
  const Answer answer = run(options);
  EXPECT_EQ(answer.reason, FinishReason::kStop);
  EXPECT_TRUE(answer.text.starts_with(
      "<tool_call>\n{\"name\": \"sleep\", \"arguments\": {"))
      << answer.text;
  EXPECT_TRUE(answer.text.ends_with("}}\n</tool_call>")) << answer.text;
  EXPECT_EQ(answer.ids.front(), open_id());
  EXPECT_THAT(answer.ids,
              testing::Contains(*loaded_->tokenizer->id_of("</tool_call>")));
  EXPECT_GT(answer.stats.n_forced_tokens, 5);
}

TEST_F(ConstrainedTools, CallsComeAsTheModelLikesUnlessNoneMay) {
  GenerationOptions options{.max_tokens = 200, .tools = kTools};
  options.parallel_tool_calls = false;
  const Answer text = run(options);
  EXPECT_EQ(parse(text.text).calls.size(), 0u);
  EXPECT_EQ(parse(text.text).content, text.text);
  options.logit_bias = {{open_id(), 100}};
  const Answer call = run(options);
  EXPECT_EQ(parse(call.text).calls.size(), 1u) << call.text;
  EXPECT_TRUE(are_valid(parse(call.text).calls));
  options.tool_choice = "none";
  const Answer none = run(options);
  EXPECT_EQ(parse(none.text).calls.size(), 0u) << none.text;
  EXPECT_EQ(none.text.find("<tool_call>"), std::string::npos) << none.text;
  EXPECT_EQ(none.text, text.text);
}

TEST_F(ConstrainedTools, TextThenACallIsFollowedByNoMoreText) {
  GenerationOptions options{.max_tokens = 300, .tools = kTools};
  options.force_ids = encode("Well.\n");
  options.force_ids.push_back(open_id());
  options.parallel_tool_calls = false;
  const Answer answer = run(options);
  const ParsedMessage message = parse(answer.text);
  EXPECT_EQ(answer.reason, FinishReason::kStop);
  EXPECT_THAT(message.content, HasSubstr("Well."));
  EXPECT_EQ(message.calls.size(), 1u) << answer.text;
  EXPECT_TRUE(answer.text.ends_with("</tool_call>")) << answer.text;
}

TEST_F(ConstrainedTools, ReasoningThatThePromptBeganEndsBeforeTheCall) {
  loaded_ = load(kReasons);
  GenerationOptions options{.tools = kTools, .tool_choice = "sleep"};
  options.parallel_tool_calls = false;
  const Ids prompt = encode("Once<think>\n");
  EXPECT_EQ(loaded_->open_marker(prompt), "<think>");
  const auto close_id = *loaded_->tokenizer->id_of("</tool_call>");
  const auto is_answer = [&](const std::string& before, const Ids& to) {
    const auto constraint = Constraint::make(*loaded_, options, to);
    Ids ids = behind_text(before);
    ids.push_back(open_id());
    const Ids json =
        behind_text("\n{\"name\": \"sleep\", \"arguments\": {}}\n");
    ids.insert(ids.end(), json.begin(), json.end());
    ids.push_back(close_id);
    for (const std::int32_t id : ids)
      if (!constraint->accept(id)) return false;
    return constraint->is_over();
  };
  EXPECT_TRUE(is_answer("Hm.</think>\n\n", prompt));
  EXPECT_FALSE(is_answer("", prompt)) << "it is part of the reasoning";
  EXPECT_TRUE(is_answer("\n<think>Hm.</think>", {}));
  loaded_ = load(kTemplate);
  EXPECT_FALSE(is_answer("\n<think>Hm.</think>", {})) << "it does not reason";
}

TEST_F(ConstrainedTools, DraftsAndBatchesDoNotChangeTheText) {
  const DraftModel itself{
      loaded_, std::make_shared<Cache>(loaded_->model->make_cache())};
  const auto cache = std::make_shared<Cache>(loaded_->model->make_cache());
  Generator generator(*loaded_->model);
  std::vector<std::shared_ptr<Sequence>> sequences;
  std::vector<Answer> alone;
  for (const char* choice : {"required", "sleep", "auto", "none"}) {
    GenerationOptions options{.max_tokens = 120,
                              .temperature = 0.8,
                              .tools = kTools,
                              .tool_choice = choice,
                              .seed = 4};
    alone.push_back(run(options));
    sequences.push_back(std::make_shared<Sequence>(
        loaded_, Session(*loaded_->model, cache, 512), Ids{1, 403}, options));
    generator.add(sequences.back());
    options.draft_fixed = options.draft_by_equality = true;
    for (const int n : {1, 5}) {
      options.draft_tokens = n;
      options.prompt_lookup = false;
      EXPECT_EQ(run(options, {1, 403}, &itself).ids, alone.back().ids);
      options.prompt_lookup = true;
      EXPECT_EQ(run(options).ids, alone.back().ids);
    }
  }
  while (generator.step()) {
  }
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    std::string text;
    while (const auto piece = sequences[i]->pop()) text += piece->text;
    EXPECT_EQ(text, alone[i].text);
  }
}

TEST_F(ConstrainedTools, WhatCannotBeAskedForIsRefusedByName) {
  const auto refusal = [&](const GenerationOptions& options) {
    return error_of([&] { run(options); });
  };
  const auto with = [](const char* tools, const char* choice = "auto") {
    return GenerationOptions{.tools = tools, .tool_choice = choice};
  };
  EXPECT_THAT(refusal(with(kTools, "fly")), HasSubstr("one of the tools feed"));
  EXPECT_THAT(refusal(with("", "required")), HasSubstr("expected tools"));
  EXPECT_THAT(refusal(with("{}")), HasSubstr("tools: got object, expected a"));
  EXPECT_THAT(refusal(with("[]")), HasSubstr("tools: got an empty list"));
  EXPECT_THAT(refusal(with("[{}]")), HasSubstr("tools[0]"));
  EXPECT_THAT(refusal(with("[")), HasSubstr("tools: "));
  EXPECT_THAT(
      refusal(with(R"([{"name": "f", "parameters": {"type": "array"}}])")),
      HasSubstr("'f'"));
  GenerationOptions both = with(kTools);
  both.regex = "a";
  EXPECT_THAT(refusal(both), HasSubstr("regex beside it"));
  both.tool_choice = "none";
  EXPECT_EQ(run(both).text, "a");
}

TEST_F(ConstrainedTools, AModelWithoutAFormOfCallsIsNamed) {
  loaded_ = load("{{ messages }}");
  EXPECT_EQ(loaded_->message_format->name, "plain");
  const auto refusal = [&](const char* choice) {
    return error_of([&] {
      run({.max_tokens = 5, .tools = kTools, .tool_choice = choice});
    });
  };
  EXPECT_THAT(refusal("auto"), HasSubstr("tool calls"));
  EXPECT_THAT(refusal("required"), HasSubstr("tool calls"));
  EXPECT_EQ(refusal("none"), "no error");
}

}  // namespace
}  // namespace skua::test
