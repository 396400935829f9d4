#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <regex>

#include "skua/error.h"
#include "tests/unit/generate/runner.h"
#include "tests/unit/kernels/numbers.h"
#include "tests/unit/text/schema_validator.h"

namespace skua {
namespace {

using test::Answer;
using test::finish;
using test::Ids;
using test::Runner;
using test::Scripted;

constexpr float kNever = -std::numeric_limits<float>::infinity();
constexpr const char* kSchema =
    R"({"type": "object", "additionalProperties": false,
        "required": ["name", "kind", "age"],
        "properties": {
          "name": {"type": "string", "maxLength": 6},
          "kind": {"enum": ["cat", "dog"]},
          "age": {"type": "integer", "minimum": 0, "maximum": 30}}})";
constexpr const char* kDate = "(19|20)[0-9]{2}-(0[1-9]|1[0-2])";
constexpr const char* kSums =
    "root ::= sum (\" = \" sum)?\n"
    "sum ::= [0-9] (\" + \" [0-9]){0,3}\n";

DraftModel draft_of(const std::shared_ptr<const LoadedModel>& loaded) {
  return {loaded, std::make_shared<Cache>(loaded->model->make_cache())};
}

// One of each kind, none of whose texts is long.
std::vector<GenerationOptions> all_kinds() {
  return {{.max_tokens = 200, .json_schema = kSchema},
          {.max_tokens = 200, .regex = kDate},
          {.max_tokens = 200, .grammar = kSums},
          {.max_tokens = 200, .choice = {"yes", "no", "not so sure"}}};
}

bool fits(const GenerationOptions& options, const std::string& text) {
  if (!options.json_schema.empty()) {
    const Json value = Json::parse(text, nullptr, false);
    return !value.is_discarded() &&
           test::is_valid(parse_json(kSchema, "schema"), value);
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
    const auto folder = test::stories_folder();
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

TEST_F(Constrained, AnswersFitWhateverTheTemperature) {
  int n_fit = 0, n_all = 0;
  std::set<std::string> texts;
  for (GenerationOptions options : all_kinds()) {
    for (const double temperature : {0.0, 0.7, 1.5, 20.0}) {
      for (std::uint64_t seed = 0; seed < 12; ++seed) {
        options.temperature = temperature;
        options.seed = seed;
        const Answer answer = run(options);
        ++n_all;
        n_fit += fits(options, answer.text) ? 1 : 0;
        EXPECT_TRUE(fits(options, answer.text)) << answer.text;
        EXPECT_EQ(answer.reason, FinishReason::kStop);
        texts.insert(answer.text);
      }
    }
  }
  EXPECT_GT(texts.size(), 80u) << "not the same ones over and over";
  std::printf("%d of %d constrained answers fit\n", n_fit, n_all);
}

TEST_F(Constrained, FiltersAndPenaltiesKeepAnswersFitting) {
  for (GenerationOptions options : all_kinds()) {
    options.temperature = 1.2;
    options.top_k = 3;
    options.min_p = 0.1;
    options.repetition_penalty = 1.3;
    options.xtc_probability = 0.5;
    options.xtc_threshold = 0.1;
    options.mirostat = 2;
    options.dry_multiplier = 2;
    for (std::uint64_t seed = 0; seed < 8; ++seed) {
      options.seed = seed;
      const Answer answer = run(options);
      EXPECT_TRUE(fits(options, answer.text)) << answer.text;
    }
  }
}

TEST_F(Constrained, RowsOfABatchEqualRunsAlone) {
  std::vector<GenerationOptions> rows = all_kinds();
  rows.push_back({.max_tokens = 30});
  rows[1].temperature = 1;
  rows[1].seed = 5;
  rows[2].logprobs = true;
  const auto cache = std::make_shared<Cache>(loaded_->model->make_cache());
  Generator generator(*loaded_->model);
  std::vector<std::shared_ptr<Sequence>> sequences;
  for (const GenerationOptions& options : rows) {
    sequences.push_back(std::make_shared<Sequence>(
        loaded_, Session(*loaded_->model, cache, 512), Ids{1, 403}, options));
    generator.add(sequences.back());
  }
  while (generator.step()) {
  }
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Answer alone = run(rows[i]);
    Ids ids;
    std::string text;
    while (const auto piece = sequences[i]->pop()) {
      ids.push_back(piece->token);
      text += piece->text;
    }
    EXPECT_EQ(ids, alone.ids) << i;
    EXPECT_EQ(text, alone.text);
    EXPECT_EQ(sequences[i]->finish_reason(), alone.reason);
  }
}

// SPEC-01, SPEC-05: by equality a text is the same with drafts and without.
TEST_F(Constrained, DraftsDoNotChangeTheText) {
  const Scripted noise(
      [](int position) { return test::sure_of(3 + position * 7919 % 500); });
  const DraftModel itself = draft_of(loaded_), wrong = draft_of(noise.loaded);
  for (GenerationOptions options : all_kinds()) {
    for (const double temperature : {0.0, 0.9}) {
      options.temperature = temperature;
      options.seed = 3;
      options.draft_tokens = 0;
      options.prompt_lookup = false;
      const Answer plain = run(options);
      options.draft_fixed = options.draft_by_equality = true;
      for (const int n : {1, 2, 5, 16}) {
        options.draft_tokens = n;
        options.prompt_lookup = false;
        for (const DraftModel* draft : {&itself, &wrong}) {
          const Answer got = run(options, {1, 403}, draft);
          EXPECT_EQ(got.ids, plain.ids);
          EXPECT_EQ(got.text, plain.text);
          EXPECT_EQ(got.stats.draft->warning, "");
          // The model that drafts is the one that verifies.
          if (draft == &itself) {
            EXPECT_EQ(got.stats.draft->n_accepted, got.stats.draft->n_proposed);
          }
        }
        options.prompt_lookup = true;
        EXPECT_EQ(run(options).ids, plain.ids);
        // A prompt that holds the answer.
        Ids prompt = {1};
        prompt.insert(prompt.end(), plain.ids.begin(), plain.ids.end());
        prompt.push_back(403);
        GenerationOptions alone = options;
        alone.draft_tokens = 0;
        alone.prompt_lookup = false;
        EXPECT_EQ(run(options, prompt).ids, run(alone, prompt).ids);
      }
    }
  }
}

// SPEC-03 under a grammar. Seeds are fixed; a right rule fails once in 10^6
// runs with others.
TEST_F(Constrained, DraftsKeepTheDistribution) {
  const auto id = [&](const char* text) {
    return *loaded_->tokenizer->id_of(text);
  };
  const Ids abcd = {id("a"), id("b"), id("c"), id("d")};
  const auto spread = [&](const std::vector<float>& few) {
    std::vector<float> logits(512, -40.0f);
    logits[static_cast<std::size_t>(id("x"))] = 3;  // does not fit
    for (std::size_t i = 0; i < few.size(); ++i)
      logits[static_cast<std::size_t>(abcd[i])] = few[i];
    return logits;
  };
  const std::vector<float> p = {0.5f, 1.2f, -0.3f, 2.0f};
  const Scripted target([&](int) { return spread(p); });
  const Scripted bad([&](int) { return spread({2.0f, -1.0f, 1.5f, 0.2f}); });
  const DraftModel draft = draft_of(bad.loaded);
  constexpr int kTokens = 20000;
  Runner run(target, {1},
             {.max_tokens = kTokens,
              .temperature = 1,
              .regex = "[abcd]*",
              .draft_tokens = 3,
              .draft_fixed = true,
              .seed = 4},
             &draft);
  const Answer answer = finish(run);
  ASSERT_EQ(answer.ids.size(), kTokens);
  EXPECT_FALSE(answer.stats.draft->by_equality);
  EXPECT_GT(answer.stats.draft->n_accepted, kTokens / 10);
  double total = 0, chi_square = 0;
  for (const float logit : p) total += std::exp(logit);
  for (std::size_t i = 0; i < p.size(); ++i) {
    const double expected = kTokens * std::exp(p[i]) / total;
    const auto n = std::ranges::count(answer.ids, abcd[i]);
    chi_square += std::pow(static_cast<double>(n) - expected, 2) / expected;
  }
  EXPECT_LT(chi_square, 30.7);  // 3 degrees, once in 10^6
}

TEST_F(Constrained, CertainTextTakesNoSteps) {
  const std::string text = "The little dog ran to the park.";
  const Scripted model([](int) { return std::vector<float>(512); });
  GenerationOptions options{.choice = {text}};
  Runner all(model, {1}, options);
  const Answer sure = finish(all);
  EXPECT_EQ(sure.text, text);
  EXPECT_EQ(model.model->n_steps, 1) << "that of the prompt";
  EXPECT_EQ(sure.stats.n_forced_tokens, sure.stats.n_generated_tokens);
  // The tokens are those that the tokenizer makes of it behind other text.
  Ids usual = encode("\n" + text);
  usual.erase(usual.begin(), usual.end() - std::ssize(sure.ids));
  EXPECT_EQ(sure.ids, usual);

  // The last token before a choice is not certain: the period may be one
  // with what follows.
  options.choice = {text + " yes", text + " no"};
  Runner most(model, {1}, options);
  const Answer answer = finish(most);
  EXPECT_TRUE(fits(options, answer.text)) << answer.text;
  const auto n_certain = std::ssize(sure.ids) - 1;
  EXPECT_EQ(Ids(answer.ids.begin(), answer.ids.begin() + n_certain),
            Ids(sure.ids.begin(), sure.ids.begin() + n_certain));
  EXPECT_GE(answer.stats.n_forced_tokens, n_certain);
  EXPECT_LT(answer.stats.n_forced_tokens, answer.stats.n_generated_tokens);
}

// GEN-61: a token without a choice has the probability it would have with one.
TEST_F(Constrained, LogprobsOfCertainTextAreThoseOfTheSteps) {
  GenerationOptions options{
      .temperature = 1, .regex = "The little (dog|cat) ran", .seed = 8};
  const Answer without = run(options);
  options.top_logprobs = 4;
  const Answer with = run(options);
  EXPECT_EQ(with.ids, without.ids);
  EXPECT_GT(with.stats.n_forced_tokens, 2);
  EXPECT_EQ(with.stats.n_forced_tokens, without.stats.n_forced_tokens);
  // A processor that does nothing: no token comes without a choice.
  options.processors.push_back([](auto, auto) {});
  options.force_ids = with.ids;
  const Answer slow = run(options);
  EXPECT_EQ(slow.ids, with.ids);
  EXPECT_EQ(slow.stats.n_forced_tokens, 0);
  // By hand from the model's logits: of the tokens that fit alone.
  Session session(*loaded_->model, 512);
  Ids tokens = {1, 403};
  const auto constraint = Constraint::make(*loaded_, options);
  for (std::size_t i = 0; i < with.ids.size(); ++i) {
    mx::array row = session.extend_to(tokens);
    row.eval();
    std::vector<float> logits(row.data<float>(), row.data<float>() + 512);
    constraint->forbid_others(logits);
    double sum = 0;
    for (const float logit : logits) sum += std::exp(double{logit});
    const double want =
        double{logits[static_cast<std::size_t>(with.ids[i])]} - std::log(sum);
    EXPECT_NEAR(*with.logprobs[i], want, 1e-4) << i;
    ASSERT_TRUE(constraint->accept(with.ids[i]));
    tokens.push_back(with.ids[i]);
  }
}

TEST_F(Constrained, LogprobsAreOfTheTokensThatFit) {
  GenerationOptions options{.choice = {"yes", "no"}, .top_logprobs = 512};
  Runner run(loaded_, Session(*loaded_->model, 512), {1, 403}, options);
  const auto piece = run.next();
  double sum = 0;
  for (const TokenLogprob& other : piece->top_logprobs) {
    sum += std::exp(other.logprob);
    const std::string text = loaded_->tokenizer->token_bytes(other.token);
    EXPECT_TRUE(std::string("yes").starts_with(text) ||
                std::string("no").starts_with(text))
        << text;
  }
  EXPECT_NEAR(sum, 1, 1e-6);
}

// More certain tokens than a step of a prompt may have.
TEST_F(Constrained, LongCertainTextIsReadInChunks) {
  std::string text;
  for (int i = 0; i < 400; ++i) text += "dog " + std::to_string(i) + ", ";
  const Scripted model([](int) { return std::vector<float>(512); });
  GenerationOptions options{.max_tokens = 9000, .regex = text + "[ab]{2}"};
  Runner run(model, {1}, options);
  const Answer answer = finish(run);
  EXPECT_TRUE(answer.text.starts_with(text));
  EXPECT_EQ(answer.reason, FinishReason::kStop);
  int n_steps = 0;
  for (const auto& segments : model.model->segments) {
    EXPECT_LE(segments[0], Session::kChunk);
    n_steps += segments[0] == Session::kChunk ? 1 : 0;
  }
  EXPECT_GT(n_steps, 3);
  EXPECT_LT(model.model->n_output_rows, 20);
  options.logprobs = true;
  Runner with(model, {1}, options);
  EXPECT_EQ(finish(with).ids, answer.ids);
}

TEST_F(Constrained, TheModelsEndComesOnlyWhereTheTextIsWhole) {
  // The model wants to end at once.
  const Scripted model([](int) { return test::sure_of(2); });
  Runner run(model, {1}, {.max_tokens = 50, .regex = "ab{3}c*"});
  const Answer answer = finish(run);
  EXPECT_EQ(answer.text, "abbb");
  EXPECT_EQ(answer.reason, FinishReason::kStop);
  EXPECT_EQ(answer.stats.stop_id, 2);
  Runner past(model, {1},
              {.max_tokens = 50, .regex = "ab{3}c*", .ignore_eos = true});
  const Answer longer = finish(past);
  EXPECT_TRUE(std::regex_match(longer.text, std::regex("ab{3}c+")));
  EXPECT_EQ(longer.reason, FinishReason::kLength);
  // Where nothing may follow the answer ends without a token for it.
  Runner over(model, {1}, {.regex = "ab{3}", .ignore_eos = true});
  const Answer whole = finish(over);
  EXPECT_EQ(whole.text, "abbb");
  EXPECT_EQ(whole.reason, FinishReason::kStop);
  EXPECT_EQ(whole.stats.stop_id, std::nullopt);
}

TEST_F(Constrained, StopIdsEndAnswersThatAreWhole) {
  const std::int32_t b = *loaded_->tokenizer->id_of("b");
  const Scripted model([b](int) { return test::sure_of(b); });
  Runner run(model, {1},
             {.max_tokens = 50, .regex = "a{2}b?", .stop_ids = {b}});
  const Answer answer = finish(run);
  EXPECT_EQ(answer.text, "aa");
  EXPECT_EQ(answer.stats.stop_id, b);
}

TEST_F(Constrained, MinTokensGiveWayToAGrammarThatEnds) {
  const Answer sure = run({.min_tokens = 50, .choice = {"yes"}});
  EXPECT_EQ(sure.text, "yes");
  EXPECT_EQ(sure.reason, FinishReason::kStop);
  const Scripted model([](int) { return test::sure_of(2); });
  Runner may_go_on(model, {1},
                   {.max_tokens = 50, .min_tokens = 5, .regex = "(a|b)*"});
  const Answer longer = finish(may_go_on);
  EXPECT_EQ(longer.stats.n_generated_tokens, 6) << "the end is one";
  // The empty text needs no token, nor the prompt.
  const Answer nothing = run({.min_tokens = 5, .grammar = "root ::= \"\""});
  EXPECT_EQ(nothing.text, "");
  EXPECT_EQ(nothing.stats.n_generated_tokens, 0);
  EXPECT_EQ(nothing.reason, FinishReason::kStop);
}

TEST_F(Constrained, StopTextsAndLengthEndItAnywhere) {
  const Answer stopped = run({.choice = {"one two three"}, .stop = {" tw"}});
  EXPECT_EQ(stopped.text, "one");
  EXPECT_EQ(stopped.stats.stop, " tw");
  for (const bool logprobs : {false, true}) {
    const Answer cut = run({.max_tokens = 3,
                            .choice = {"one two three four"},
                            .logprobs = logprobs});
    EXPECT_EQ(cut.ids.size(), 3u);
    EXPECT_EQ(cut.reason, FinishReason::kLength);
  }
}

// A fresh text of this tokenizer loses the space of its first token.
TEST_F(Constrained, ASpaceAtTheStartStays) {
  for (const char* text : {" yes", "yes"})
    EXPECT_EQ(run({.choice = {text}}).text, text);
}

TEST_F(Constrained, ForcedAndForbiddenIdsHoldAsWell) {
  const std::string text = "the dog";
  const Ids usual = run({.choice = {text}}).ids;
  ASSERT_GT(usual.size(), 1u);
  for (const std::int32_t id : usual) {
    for (const GenerationOptions& options :
         {GenerationOptions{.suppress_ids = {id}, .choice = {text}},
          GenerationOptions{.logit_bias = {{id, -INFINITY}},
                            .choice = {text}}}) {
      const Answer answer = run(options);
      EXPECT_EQ(answer.text, text);
      EXPECT_THAT(answer.ids, testing::Not(testing::Contains(id)));
    }
  }
  const Ids bytes = {*loaded_->tokenizer->id_of("t")};
  const Answer forced = run({.force_ids = bytes, .choice = {text}});
  EXPECT_EQ(forced.text, text);
  EXPECT_EQ(forced.ids.front(), bytes.front());
}

// GEN-26
TEST_F(Constrained, WhereNothingIsLeftTheErrorNamesWhatDidIt) {
  Ids all(512);
  std::iota(all.begin(), all.end(), 0);
  std::erase(all, 403);
  const auto error = [&](const Scripted& model, GenerationOptions options) {
    options.choice = {"yes", "no"};
    Runner run(model, {1}, options);
    try {
      while (run.next()) {
      }
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  const Scripted flat([](int) { return std::vector<float>(512); });
  EXPECT_EQ(error(flat, {.suppress_ids = all}),
            "[sampler] at step 0 suppress_ids forbids the last token that "
            "choice allows");
  const Scripted other([](int) {
    std::vector<float> logits(512, kNever);
    logits[403] = 1;
    return logits;
  });
  EXPECT_EQ(error(other, {}),
            "[sampler] at step 0 choice forbids the last token");
}

TEST_F(Constrained, ACallbackCannotAllowWhatDoesNotFit) {
  GenerationOptions options{.choice = {"yes", "no"}};
  options.processors.push_back(
      [](auto, std::span<float> logits) { logits[403] = 1000; });
  EXPECT_TRUE(fits(options, run(options).text));
}

TEST_F(Constrained, BadGrammarsAreRefusedBeforeTheModelRuns) {
  const Scripted model([](int) { return std::vector<float>(512); });
  const auto make = [&](const GenerationOptions& options) {
    Runner run(model, {1}, options);
  };
  SKUA_EXPECT_ERROR(make({.json_schema = "{"}), InvalidInput, "schema");
  SKUA_EXPECT_ERROR(make({.json_schema = R"({"type": "text"})"}), InvalidInput,
                    "/type");
  SKUA_EXPECT_ERROR(make({.json_schema = R"({"$ref": "other.json"})"}),
                    Unsupported, "$ref");
  SKUA_EXPECT_ERROR(make({.regex = "("}), InvalidInput, "regex");
  SKUA_EXPECT_ERROR(make({.grammar = "root ::= other"}), InvalidInput, "other");
  SKUA_EXPECT_ERROR(make({.json_schema = "{}", .regex = "a"}), InvalidInput,
                    "json_schema: got regex beside it");
  EXPECT_EQ(model.model->n_steps, 0);
}

TEST_F(Constrained, TheNextTurnStartsAfresh) {
  const GenerationOptions options{.choice = {"yes", "no"}};
  Runner first(loaded_, Session(*loaded_->model, 512), {1, 403}, options);
  const Answer one = finish(first);
  Ids prompt = {1, 403};
  prompt.insert(prompt.end(), one.ids.begin(), one.ids.end());
  prompt.push_back(405);
  Runner second(loaded_, first->take_memory(), prompt, options);
  const Answer two = finish(second);
  EXPECT_TRUE(fits(options, two.text)) << two.text;
  EXPECT_EQ(two.ids, run(options, prompt).ids);
  EXPECT_GT(two.stats.n_cached_tokens, 1);
}

TEST_F(Constrained, AGrammarIsCompiledOnce) {
  const Grammar grammar{Grammar::Kind::kChoice, "", {"yes", "no"}};
  const auto first = loaded_->compile(grammar);
  EXPECT_EQ(loaded_->compile(grammar), first);
  EXPECT_NE(loaded_->compile({Grammar::Kind::kChoice, "", {"yes"}}), first);
}

TEST_F(Constrained, ALookaheadTakesBackWhatItAccepted) {
  const GenerationOptions options{.choice = {"the dog ran", "the dog sat"}};
  const auto constraint = Constraint::make(*loaded_, options);
  const auto allowed = [&] {
    std::vector<float> logits(512);
    constraint->forbid_others(logits);
    return logits;
  };
  const auto before = allowed();
  const Ids certain = constraint->all_forced(100);
  ASSERT_GT(certain.size(), 1u);
  EXPECT_EQ(constraint->all_forced(1), Ids{certain[0]});
  for (const bool usual : {true, false}) {
    const Lookahead ahead(*constraint);
    const std::int32_t id =
        usual ? certain[0] : *loaded_->tokenizer->id_of("t");
    EXPECT_TRUE(constraint->accept(id));
    if (usual) {
      EXPECT_EQ(constraint->forced(), certain[1]);
    }
    EXPECT_NE(allowed(), before);
    EXPECT_FALSE(constraint->accept(2)) << "an end";
  }
  EXPECT_EQ(allowed(), before);
  EXPECT_EQ(constraint->all_forced(100), certain);
}

}  // namespace
}  // namespace skua
