#include <limits>
#include <numeric>

#include "tests/unit/generate/constrained.h"

namespace skua::test {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

using ConstrainedEnds = Constrained;

TEST_F(ConstrainedEnds, CertainTextTakesNoSteps) {
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

  // The token before a choice, here that of the space, is not certain: it may
  // be one with what follows.
  options.choice = {text + " yes", text + " no"};
  EXPECT_EQ(Constraint::make(*loaded_, options)->all_forced(100), sure.ids);
  Runner most(model, {1}, options);
  const Answer answer = finish(most);
  EXPECT_TRUE(fits(options, answer.text)) << answer.text;
  EXPECT_GE(answer.stats.n_forced_tokens, std::ssize(sure.ids));
  EXPECT_LT(answer.stats.n_forced_tokens, answer.stats.n_generated_tokens);
}

// GEN-61: a token without a choice has the probability it would have with one.
TEST_F(ConstrainedEnds, LogprobsOfCertainTextAreThoseOfTheSteps) {
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

TEST_F(ConstrainedEnds, LogprobsAreOfTheTokensThatFit) {
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
TEST_F(ConstrainedEnds, LongCertainTextIsReadInChunks) {
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

TEST_F(ConstrainedEnds, TheModelsEndComesOnlyWhereTheTextIsWhole) {
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

TEST_F(ConstrainedEnds, StopIdsEndAnswersThatAreWhole) {
  const std::int32_t b = *loaded_->tokenizer->id_of("b");
  const Scripted model([b](int) { return test::sure_of(b); });
  Runner run(model, {1},
             {.max_tokens = 50, .regex = "a{2}b?", .stop_ids = {b}});
  const Answer answer = finish(run);
  EXPECT_EQ(answer.text, "aa");
  EXPECT_EQ(answer.stats.stop_id, b);
}

TEST_F(ConstrainedEnds, MinTokensGiveWayToAGrammarThatEnds) {
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

TEST_F(ConstrainedEnds, StopTextsAndLengthEndItAnywhere) {
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
TEST_F(ConstrainedEnds, ASpaceAtTheStartStays) {
  for (const char* text : {" yes", "yes"})
    EXPECT_EQ(run({.choice = {text}}).text, text);
}

TEST_F(ConstrainedEnds, ForcedAndForbiddenIdsHoldAsWell) {
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
  const Ids bytes = {*loaded_->tokenizer->id_of("<0x74>")};  // "t"
  const Answer forced = run({.force_ids = bytes, .choice = {text}});
  EXPECT_EQ(forced.text, text);
  EXPECT_EQ(forced.ids.front(), bytes.front());
}

// GEN-26
TEST_F(ConstrainedEnds, WhereNothingIsLeftTheErrorNamesWhatDidIt) {
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

TEST_F(ConstrainedEnds, ACallbackCannotAllowWhatDoesNotFit) {
  GenerationOptions options{.choice = {"yes", "no"}};
  options.processors.push_back(
      [](auto, std::span<float> logits) { logits[403] = 1000; });
  const Answer answer = run(options);
  EXPECT_TRUE(fits(options, answer.text)) << answer.text;
  EXPECT_EQ(answer.stats.n_forced_tokens, 0) << "it sees every choice";
}

TEST_F(ConstrainedEnds, BadGrammarsAreRefusedBeforeTheModelRuns) {
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

TEST_F(ConstrainedEnds, TheNextTurnStartsAfresh) {
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

TEST_F(ConstrainedEnds, AGrammarIsCompiledOnce) {
  const Grammar grammar{Grammar::Kind::kChoice, "", {"yes", "no"}};
  const auto first = loaded_->compile(grammar);
  EXPECT_EQ(loaded_->compile(grammar), first);
  EXPECT_NE(loaded_->compile({Grammar::Kind::kChoice, "", {"yes"}}), first);
}

TEST_F(ConstrainedEnds, ALookaheadTakesBackWhatItAccepted) {
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
}  // namespace skua::test
