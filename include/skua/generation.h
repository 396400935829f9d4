#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace skua {

/** Changes the logits [V] before a token is chosen; -inf forbids a token.
 *  history  the prompt and all tokens of the answer so far, never a guess
 *  Called on the thread that generates. What it throws ends the answer. */
using LogitsProcessor = std::function<void(
    std::span<const std::int32_t> history, std::span<float> logits)>;

/** How an answer is made. Every field has a value that turns it off, and the
 *  same rules hold in the library and on the command line, where max_tokens is
 *  --max-tokens. Logits first pass the processors (from logit_bias to
 *  `processors`, in the order below), then the filters (from top_p to
 *  top_n_sigma, likewise), then they are divided by the temperature and a
 *  token is drawn. At temperature 0 the likeliest token after the processors
 *  is taken, the lowest id of equals, and filters do not matter.
 *  Source of names and formulas, unless a field says otherwise: mlx-lm. */
struct GenerationOptions {
  /** Most tokens to generate; 0 does not even read the prompt. */
  int max_tokens = 256;
  /** Lowers max_tokens to what the context holds beside the prompt; else a
   *  prompt and answer that are too long together are refused. */
  bool fit_to_context = false;
  /** Tokens before which neither the model's end nor stop_ids come. */
  int min_tokens = 0;
  /** Most tokens of a prompt that one step reads. A step takes 288 at most,
   *  which is as fast as more and needs less memory. */
  int prefill_chunk = 2048;
  /** Called as the prompt is read; false cancels. */
  std::function<bool(int n_done, int n_prompt)> prompt_progress = {};

  /** 0 takes the likeliest token each time; higher is more varied. */
  double temperature = 0;
  /** Only the likeliest tokens whose probabilities reach this sum; 0 or
   *  1: off. */
  double top_p = 0;
  /** Only tokens at least this likely relative to the likeliest; 0: off. */
  double min_p = 0;
  /** So many tokens stay whatever min_p says. */
  int min_tokens_to_keep = 1;
  /** How often all tokens more likely than the least likely one above
   *  xtc_threshold are left out; 0: never. */
  double xtc_probability = 0;
  double xtc_threshold = 0;
  /** Tokens that XTC leaves in; none: the line break and those that end an
   *  answer. */
  std::optional<std::vector<std::int32_t>> xtc_special_tokens = {};
  /** Only so many of the likeliest tokens; 0: off. */
  int top_k = 0;
  /** Only the tokens whose surprise is nearest to the expected one, until
   *  their probabilities reach this sum; 0 or 1: off.
   *  Source: Meister et al., "Locally typical sampling", 2022. */
  double typical_p = 0;
  /** Only logits within so many standard deviations of the largest; 0: off.
   *  Source: Tang et al., "Top-n-sigma: not all logits are you need", 2024. */
  double top_n_sigma = 0;
  /** The temperature goes from temperature - range to temperature + range with
   *  the entropy of the distribution, raised to the exponent; 0: off.
   *  Source: llama.cpp, dynamic temperature. */
  double dynatemp_range = 0;
  double dynatemp_exponent = 1;
  /** 2 keeps the surprise of the text near mirostat_tau by a cut that learns
   *  at the rate mirostat_eta; other filters apply before it. 0: off.
   *  Source: Basu et al., "Mirostat", 2021, algorithm 2. */
  int mirostat = 0;
  double mirostat_tau = 5;
  double mirostat_eta = 0.1;

  /** Tokens that never come. */
  std::vector<std::int32_t> suppress_ids = {};
  /** The tokens that the answer begins with. */
  std::vector<std::int32_t> force_ids = {};
  /** What is added to the logits of tokens; -inf forbids one. */
  std::map<std::int32_t, double> logit_bias = {};
  /** Tokens that came within the window: a positive logit is divided, a
   *  negative one multiplied; 1: off. A window of 0 is all of the history. */
  double repetition_penalty = 1;
  int repetition_window = 20;
  /** Subtracted once from tokens that came within the window; 0: off. */
  double presence_penalty = 0;
  int presence_window = 20;
  /** Subtracted for each time that a token came within the window; 0: off. */
  double frequency_penalty = 0;
  int frequency_window = 20;
  /** Whether the prompt counts as history for the three penalties; if not,
   *  its last token does. */
  bool penalize_prompt = true;
  /** No run of so many tokens comes twice; 0: off.
   *  Source: Hugging Face's NoRepeatNGramLogitsProcessor. */
  int no_repeat_ngram = 0;
  /** A token that would go on with a repetition of n tokens loses multiplier *
   *  base ^ (n - allowed_length); multiplier 0: off. Repetitions end at tokens
   *  whose text holds one of the breakers. Window as above.
   *  Source: DRY, text-generation-webui pull request 5677. */
  double dry_multiplier = 0;
  double dry_base = 1.75;
  int dry_allowed_length = 2;
  int dry_window = 0;
  std::vector<std::string> dry_breakers = {"\n", ":", "\"", "*"};
  /** Your own, called last. */
  std::vector<LogitsProcessor> processors = {};

  /** Functions that the model may call: a JSON list as in OpenAI's `tools`,
   *  which the chat template tells the model of. What begins as a call in the
   *  model's format is one then, valid under the schemas of its parameters.
   *  The text has the marks of that format in it; parts() of the stream takes
   *  it apart. Empty: none. */
  std::string tools = {};
  /** Whether the answer calls a tool: "auto", as the model likes; "required",
   *  at least one; "none"; or the name of the one to call. */
  std::string tool_choice = "auto";
  /** Whether one answer may call several times. */
  bool parallel_tool_calls = true;

  /** What the answer must look like, one of these four at most, and none
   *  beside `tools` unless tool_choice is "none"; tokens that
   *  do not fit are forbidden before any other processor, and the answer ends
   *  where nothing may follow. It fits unless it ended otherwise (kLength,
   *  kTime, a text of `stop`) or failed. With ignore_eos it ends there alone.
   *  Where the text that comes next is certain, its usual tokens are taken
   *  without a choice. Empty: off. */
  std::string json_schema = {};  // JSON that is valid under this schema
  std::string regex = {};        // text that this pattern matches as a whole
  std::string grammar = {};      // text of a grammar in llama.cpp's GBNF
  std::vector<std::string> choice = {};  // one of these texts

  /** Texts that end the answer and are not part of it; 64 at most. */
  std::vector<std::string> stop = {};
  /** Tokens that end the answer besides those of the model. */
  std::vector<std::int32_t> stop_ids = {};
  /** Keeps the text of `stop` in the answer. */
  bool include_stop = false;
  /** The model's own end is a token like others. */
  bool ignore_eos = false;
  /** Ends the answer after so long; 0: off. */
  int time_limit_ms = 0;

  /** Speculative decoding: most tokens to guess ahead in a step, 64 at most;
   *  0: off. What the model would not have said is dropped, so that the text
   *  is the model's. The guesses come from the draft model or the heads (mtp)
   *  that the Model was loaded with, or from what the text repeats. */
  int draft_tokens = 0;
  /** Guess from what the text repeats, without a draft model. */
  bool prompt_lookup = false;
  /** Guess so many always. If not, as many as pay at the share that stands,
   *  and none where drafts cost more than they give. */
  bool draft_fixed = false;
  /** A drafted token stands only if it is what would have been drawn without
   *  it: the same seed gives the same text. If not, tokens of a draft model
   *  stand as often as the distribution allows, which is more often, and the
   *  text of a seed depends on the lengths of drafts.
   *  Source: Leviathan et al., "Fast inference from transformers via
   *  speculative decoding", 2023. */
  bool draft_by_equality = false;

  /** The same seed, model and options give the same text. None draws one,
   *  which GenerationStats reports. */
  std::optional<std::uint64_t> seed = {};

  /** Natural logarithms of probabilities, after the processors and before the
   *  filters: of each token, and of so many likeliest ones beside it. Those of
   *  the prompt's tokens are the model's, without processors. */
  bool logprobs = false;
  int top_logprobs = 0;
  bool prompt_logprobs = false;
};

struct TokenLogprob {
  std::int32_t token = -1;
  double logprob = 0;
};

/** A step of a stream: the text it adds, which is whole UTF-8 and may be
 *  empty, and its token. */
struct Piece {
  std::string text = {};
  std::int32_t token = -1;  // -1 for text held back until the end
  /** Present where they were asked for; the likeliest first. */
  std::optional<double> logprob = {};
  std::vector<TokenLogprob> top_logprobs = {};
  double time_s = 0;  // since the start of the stream
  bool from_draft = false;
};

enum class FinishReason {
  kNone,       // still going
  kStop,       // the model ended its answer, or a stop was met
  kLength,     // max_tokens or the context is reached
  kCancelled,  // Stream::cancel, or the progress callback
  kTime,       // time_limit_ms is over
  kError,      // Stream::next threw
};

/** What speculation did. Tokens after the answer's end do not count. */
struct DraftStats {
  int n_rounds = 0;    // steps with a draft
  int n_proposed = 0;  // tokens of drafts
  int n_accepted = 0;  // of these, part of the answer
  int n_steps = 0;     // of the model, after the prompt
  /** Whether tokens were accepted by equality or by probability. */
  bool by_equality = false;
  /** Why drafting was given up. */
  std::string warning = {};

  double acceptance() const {
    return n_proposed > 0 ? static_cast<double>(n_accepted) / n_proposed : 0;
  }
};

/** What a stream has done so far. */
struct GenerationStats {
  int n_prompt_tokens = 0;            // of the prompt
  int n_cached_tokens = 0;            // of these, kept from the turn before
  int n_generated_tokens = 0;         // with the one that ended the answer
  int n_forced_tokens = 0;            // of these, without a choice: a grammar's
  double prompt_s = 0;                // to the first logits
  double first_token_s = 0;           // from the start of the stream
  double generate_s = 0;              // after the first token
  std::size_t peak_memory_bytes = 0;  // of the process; 0: not known
  std::uint64_t seed = 0;             // of the random numbers
  /** The entry of GenerationOptions::stop that ended the answer. */
  std::optional<std::string> stop = {};
  /** The token that ended the answer. */
  std::optional<std::int32_t> stop_id = {};
  /** Of each token of the prompt but the first, where asked for. */
  std::vector<double> prompt_logprobs = {};
  /** Present where drafts were asked for. */
  std::optional<DraftStats> draft = {};

  /** Tokens a second until the first logits, and after the first token; 0
   *  where no time passed. */
  double prompt_rate() const {
    return prompt_s > 0 ? (n_prompt_tokens - n_cached_tokens) / prompt_s : 0;
  }
  double generation_rate() const {
    return generate_s > 0 ? (n_generated_tokens - 1) / generate_s : 0;
  }
};

}  // namespace skua
