#include "generate/options.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <limits>
#include <type_traits>

#include "skua/error.h"
#include "text/tool_choice.h"
#include "text/utf8.h"

namespace skua {
namespace {

using Options = GenerationOptions;

constexpr std::size_t kMaxStops = 64;
constexpr std::size_t kMaxBreakers = 256;
constexpr std::size_t kMaxTextBytes = 16 << 10;  // of a stop or breaker

bool any(double) {
  return true;
}
bool finite(double x) {
  return std::isfinite(x);
}
bool not_negative(double x) {
  return std::isfinite(x) && x >= 0;
}
bool positive(double x) {
  return std::isfinite(x) && x > 0;
}
bool unit(double x) {
  return x >= 0 && x <= 1;
}
bool half(double x) {
  return x >= 0 && x <= 0.5;
}
bool at_least_one(double x) {
  return std::isfinite(x) && x >= 1;
}
bool zero_or_two(double x) {
  return x == 0 || x == 2;
}
bool up_to_64(double x) {
  return x >= 0 && x <= 64;
}
bool bias(double x) {
  return std::isfinite(x) || x == -std::numeric_limits<double>::infinity();
}

constexpr const char* kNotNegative = "0 or more";
constexpr const char* kUnit = "0 to 1";
constexpr const char* kFinite = "a finite number";
constexpr const char* kAboveZero = "more than 0";
constexpr const char* kFromOne = "1 or more";
constexpr const char* kFlag = "true or false";
constexpr const char* kIds = "token ids";

constexpr const char* kLength = "Length";
constexpr const char* kSampling = "Sampling";
constexpr const char* kPenalties = "Biases and penalties";
constexpr const char* kTools = "Tools";
constexpr const char* kConstraints = "Constraints";
constexpr const char* kEnding = "Ending";
constexpr const char* kResults = "Results";
constexpr const char* kDrafts = "Drafts";

const std::array kFields = std::to_array<OptionField>({
    {"max_tokens", &Options::max_tokens, not_negative, kNotNegative,
     "Most tokens to generate", kLength},
    {"fit_to_context", &Options::fit_to_context, any, kFlag,
     "Lower max-tokens to what the context holds beside the prompt", kLength},
    {"min_tokens", &Options::min_tokens, not_negative, kNotNegative,
     "Tokens before which the answer does not end by itself", kLength},
    {"prefill_chunk", &Options::prefill_chunk, at_least_one, kFromOne,
     "Most prompt tokens in one step", kLength},
    {"temperature", &Options::temperature, not_negative, kNotNegative,
     "Temperature; 0 takes the likeliest token", kSampling},
    {"top_p", &Options::top_p, unit, kUnit,
     "Sum of probabilities to choose among; 0 or 1: off", kSampling},
    {"min_p", &Options::min_p, unit, kUnit,
     "Least probability relative to the best; 0: off", kSampling},
    {"min_tokens_to_keep", &Options::min_tokens_to_keep, at_least_one, kFromOne,
     "So many tokens stay whatever min-p says", kSampling},
    {"xtc_probability", &Options::xtc_probability, unit, kUnit,
     "How often XTC leaves out the top choices; 0: off", kSampling},
    {"xtc_threshold", &Options::xtc_threshold, half, "0 to 0.5",
     "Probability of a top choice for XTC", kSampling},
    {"xtc_special_tokens", &Options::xtc_special_tokens, any, kIds,
     "Tokens that XTC leaves in (default: line break and end)", kSampling},
    {"top_k", &Options::top_k, not_negative, kNotNegative,
     "Number of tokens to choose among; 0: off", kSampling},
    {"typical_p", &Options::typical_p, unit, kUnit,
     "Sum of probabilities of the most typical tokens; 0 or 1: off", kSampling},
    {"top_n_sigma", &Options::top_n_sigma, not_negative, kNotNegative,
     "Standard deviations below the best logit; 0: off", kSampling},
    {"dynatemp_range", &Options::dynatemp_range, not_negative, kNotNegative,
     "How far entropy moves the temperature; 0: off", kSampling},
    {"dynatemp_exponent", &Options::dynatemp_exponent, positive, kAboveZero,
     "Exponent of the entropy for --dynatemp-range", kSampling},
    {"mirostat", &Options::mirostat, zero_or_two, "0 or 2",
     "2: hold the surprise of the text; 0: off", kSampling},
    {"mirostat_tau", &Options::mirostat_tau, positive, kAboveZero,
     "Surprise that mirostat aims at, in bits", kSampling},
    {"mirostat_eta", &Options::mirostat_eta, positive, kAboveZero,
     "How fast mirostat learns", kSampling},
    {"suppress_ids", &Options::suppress_ids, any, kIds,
     "Tokens that never come", kPenalties},
    {"force_ids", &Options::force_ids, any, kIds,
     "Tokens that the answer begins with", kPenalties},
    {"logit_bias", &Options::logit_bias, bias, "finite numbers or -inf",
     "What to add to logits of tokens; -inf forbids one", kPenalties},
    {"repetition_penalty", &Options::repetition_penalty, positive, kAboveZero,
     "Makes tokens that came before less likely; 1: off", kPenalties},
    {"repetition_window", &Options::repetition_window, not_negative,
     kNotNegative, "Tokens it looks back at; 0: all", kPenalties},
    {"presence_penalty", &Options::presence_penalty, finite, kFinite,
     "Subtracted once from tokens that came before; 0: off", kPenalties},
    {"presence_window", &Options::presence_window, not_negative, kNotNegative,
     "Tokens it looks back at; 0: all", kPenalties},
    {"frequency_penalty", &Options::frequency_penalty, finite, kFinite,
     "Subtracted for each time that a token came before; 0: off", kPenalties},
    {"frequency_window", &Options::frequency_window, not_negative, kNotNegative,
     "Tokens it looks back at; 0: all", kPenalties},
    {"penalize_prompt", &Options::penalize_prompt, any, kFlag,
     "Leave the prompt out of the three penalties", kPenalties},
    {"no_repeat_ngram", &Options::no_repeat_ngram, not_negative, kNotNegative,
     "No run of so many tokens comes twice; 0: off", kPenalties},
    {"dry_multiplier", &Options::dry_multiplier, not_negative, kNotNegative,
     "Penalty for going on with a repetition; 0: off", kPenalties},
    {"dry_base", &Options::dry_base, at_least_one, kFromOne,
     "How the DRY penalty grows with each token of the repetition", kPenalties},
    {"dry_allowed_length", &Options::dry_allowed_length, at_least_one, kFromOne,
     "Longest repetition without a DRY penalty", kPenalties},
    {"dry_window", &Options::dry_window, not_negative, kNotNegative,
     "Tokens DRY looks back at; 0: all", kPenalties},
    {"dry_breakers", &Options::dry_breakers, any, "texts that are not empty",
     "Texts at which a repetition ends", kPenalties},
    {"tools", &Options::tools, any, "a JSON list of tools",
     "Tools that the model may call, as in OpenAI's API", kTools},
    {"tool_choice", &Options::tool_choice, any,
     "auto, required, none or the name of a tool",
     "Whether it calls one: auto, required, none or a tool's name", kTools},
    {"parallel_tool_calls", &Options::parallel_tool_calls, any, kFlag,
     "One call in an answer at most", kTools},
    {"json_schema", &Options::json_schema, any, "a JSON schema",
     "JSON schema that the answer is valid under", kConstraints},
    {"regex", &Options::regex, any, "a regular expression",
     "Pattern that matches the whole answer", kConstraints},
    {"grammar", &Options::grammar, any, "a grammar in GBNF",
     "Grammar in GBNF that the answer follows", kConstraints},
    {"choice", &Options::choice, any, "texts that are not empty",
     "Text that the answer may be", kConstraints},
    {"stop", &Options::stop, any, "at most 64 texts that are not empty",
     "Text that ends the answer", kEnding},
    {"stop_ids", &Options::stop_ids, any, kIds,
     "Tokens that end the answer besides the model's", kEnding},
    {"include_stop", &Options::include_stop, any, kFlag,
     "Keep the text of --stop in the answer", kEnding},
    {"ignore_eos", &Options::ignore_eos, any, kFlag,
     "Go on past the model's own end", kEnding},
    {"time_limit_ms", &Options::time_limit_ms, not_negative, kNotNegative,
     "End the answer after so many milliseconds; 0: off", kEnding},
    {"draft_tokens", &Options::draft_tokens, up_to_64, "0 to 64",
     "Most tokens to guess ahead in a step; 0: off", kDrafts},
    {"prompt_lookup", &Options::prompt_lookup, any, kFlag,
     "Guess from what the text repeats, without a draft model", kDrafts},
    {"draft_fixed", &Options::draft_fixed, any, kFlag,
     "Guess so many always, not as many as pay", kDrafts},
    {"draft_by_equality", &Options::draft_by_equality, any, kFlag,
     "Guesses never change the text of a seed", kDrafts},
    {"seed", &Options::seed, any, "a whole number from 0 to 2^64 - 1",
     "Seed of the random numbers (default: a new one)", kSampling},
    {"logprobs", &Options::logprobs, any, kFlag,
     "Report the log-probability of each token", kResults},
    {"top_logprobs", &Options::top_logprobs, not_negative, kNotNegative,
     "Report so many likeliest tokens at each step", kResults},
    {"prompt_logprobs", &Options::prompt_logprobs, any, kFlag,
     "Report the log-probabilities of the prompt's tokens", kResults},
});

constexpr std::array<std::pair<std::string_view, std::string_view>, 3>
    kNamesOfMlxLm = {{{"repetition_context_size", "repetition_window"},
                      {"presence_context_size", "presence_window"},
                      {"frequency_context_size", "frequency_window"}}};

std::string show(double x) {
  return fmt::format("{}", x);
}

std::string shortened(const std::string& text) {
  constexpr std::size_t kShown = 64;
  return text.size() > kShown ? text.substr(0, kShown) + "..." : text;
}

/** Collects what is wrong, for one error about all of it. */
class Faults {
 public:
  void add(std::string_view field, const std::string& got,
           std::string_view expected) {
    text_ += fmt::format("{}{}: got {}, expected {}", text_.empty() ? "" : "; ",
                         field, got, expected);
  }
  void add(const InvalidInput& fault) {
    const std::string_view text = fault.what();
    const std::size_t end = text.find("] ");
    const auto where = text.substr(1, end - 1);
    text_ += text_.empty() ? "" : "; ";
    if (where != "options") text_ += fmt::format("{}: ", where);
    text_ += text.substr(end + 2);
  }
  void throw_if_any() const {
    if (!text_.empty()) throw InvalidInput("options", text_);
  }

 private:
  std::string text_;
};

[[noreturn]] void fail(const OptionField& field, const Json& value,
                       std::string_view expected) {
  Faults faults;
  faults.add(field.name, shortened(dump_json(value)), expected);
  faults.throw_if_any();
  throw InvalidInput("options", field.name);
}

double number_of(const OptionField& field, const Json& value) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (value.is_number()) return value.get<double>();
  if (value == "-inf") return -kInfinity;
  if (value == "inf") return kInfinity;
  if (value == "nan") return std::numeric_limits<double>::quiet_NaN();
  fail(field, value, std::string("a number, ") + field.expected);
}

template <class Integer>
Integer integer_of(const OptionField& field, const Json& value) {
  using Limits = std::numeric_limits<Integer>;
  const bool fits = value.is_number_unsigned()
                        ? value.get<std::uint64_t>() <=
                              static_cast<std::uint64_t>(Limits::max())
                        : value.is_number_integer() &&
                              std::is_signed_v<Integer> &&
                              value.get<std::int64_t>() >=
                                  static_cast<std::int64_t>(Limits::min());
  if (!fits) {
    fail(field, value,
         fmt::format("a whole number from {} to {}", Limits::min(),
                     Limits::max()));
  }
  return value.get<Integer>();
}

// Whether a text or list holds something.
bool is_set(const GenerationOptions& options, const OptionField& field) {
  const auto holds = [&](auto member) {
    if constexpr (requires { (options.*member).empty(); })
      return !(options.*member).empty();
    return false;
  };
  return std::visit(holds, field.member);
}

void assign(int& to, const OptionField& field, const Json& value) {
  to = integer_of<int>(field, value);
}

void assign(double& to, const OptionField& field, const Json& value) {
  to = number_of(field, value);
}

void assign(bool& to, const OptionField& field, const Json& value) {
  if (!value.is_boolean()) fail(field, value, field.expected);
  to = value.get<bool>();
}

void assign(std::optional<std::uint64_t>& to, const OptionField& field,
            const Json& value) {
  to = integer_of<std::uint64_t>(field, value);
}

// The name in OpenAI's {"type": "function", "function": {"name": ...}}.
const Json& named_tool(const Json& value) {
  const Json* name = &value;
  for (const char* key : {"function", "name"})
    if (name->is_object() && name->contains(key)) name = &name->at(key);
  return *name;
}

// A schema and tools may stand as they are, without being put into a text.
void assign(std::string& to, const OptionField& field, const Json& value) {
  const std::string_view name = field.name;
  const Json& text = name == "tool_choice" ? named_tool(value) : value;
  if ((name == "json_schema" && value.is_object()) ||
      (name == "tools" && value.is_array())) {
    to = dump_json(value);
  } else {
    if (!text.is_string()) fail(field, value, field.expected);
    to = text.get<std::string>();
  }
}

// One text stands for a list of one, as in OpenAI's `stop`.
void assign(std::vector<std::string>& to, const OptionField& field,
            const Json& value) {
  std::vector<std::string> texts;
  if (value.is_string()) {
    texts.push_back(value.get<std::string>());
  } else {
    if (!value.is_array()) fail(field, value, field.expected);
    for (const Json& text : value) {
      if (!text.is_string()) fail(field, value, field.expected);
      texts.push_back(text.get<std::string>());
    }
  }
  to = std::move(texts);
}

void assign(std::vector<std::int32_t>& to, const OptionField& field,
            const Json& value) {
  if (!value.is_array()) fail(field, value, "a list of token ids");
  std::vector<std::int32_t> ids;
  for (const Json& id : value)
    ids.push_back(integer_of<std::int32_t>(field, id));
  to = std::move(ids);
}

void assign(std::optional<std::vector<std::int32_t>>& to,
            const OptionField& field, const Json& value) {
  assign(to.emplace(), field, value);
}

void assign(std::map<std::int32_t, double>& to, const OptionField& field,
            const Json& value) {
  constexpr const char* kExpected = "an object of token ids and numbers";
  if (!value.is_object()) fail(field, value, kExpected);
  std::map<std::int32_t, double> biases;
  for (const auto& [key, bias] : value.items()) {
    const Json id = Json::parse(key, nullptr, false);
    if (!id.is_number_integer()) fail(field, key, kExpected);
    biases[integer_of<std::int32_t>(field, id)] = number_of(field, bias);
  }
  to = std::move(biases);
}

/** Adds the faults of one field's value. */
struct RangeCheck {
  const OptionField& field;
  int vocab_size;
  Faults& faults;

  void number(double value) const {
    if (!field.holds(value))
      faults.add(field.name, show(value), field.expected);
  }
  void id(std::int32_t id) const {
    if (id < 0 || (vocab_size > 0 && id >= vocab_size)) {
      faults.add(field.name, std::to_string(id),
                 vocab_size > 0
                     ? fmt::format("token ids from 0 to {}", vocab_size - 1)
                     : "token ids from 0");
    }
  }

  void operator()(int value) const { number(value); }
  void operator()(double value) const { number(value); }
  void operator()(bool) const {}
  void operator()(const std::optional<std::uint64_t>&) const {}
  void operator()(const std::string& text) const {
    if (find_invalid_utf8(text) != text.npos)
      faults.add(field.name, "a text that is not UTF-8", "UTF-8");
  }
  void operator()(const std::vector<std::string>& texts) const {
    for (const std::string& text : texts) {
      if (text.empty())
        return faults.add(field.name, "an empty text", field.expected);
      if (text.size() > kMaxTextBytes) {
        return faults.add(field.name,
                          fmt::format("a text of {} bytes", text.size()),
                          fmt::format("at most {}", kMaxTextBytes));
      }
      if (find_invalid_utf8(text) != text.npos)
        return faults.add(field.name, "a text that is not UTF-8", "UTF-8");
    }
  }
  void operator()(const std::vector<std::int32_t>& ids) const {
    for (const std::int32_t i : ids) id(i);
  }
  void operator()(const std::optional<std::vector<std::int32_t>>& ids) const {
    if (ids) (*this)(*ids);
  }
  void operator()(const std::map<std::int32_t, double>& biases) const {
    for (const auto& [token, bias] : biases) {
      id(token);
      number(bias);
    }
  }
};

}  // namespace

std::span<const OptionField> option_fields() {
  return kFields;
}

const OptionField* find_option(std::string_view name) {
  for (const auto& [theirs, ours] : kNamesOfMlxLm)
    if (name == theirs) name = ours;
  for (const OptionField& field : kFields)
    if (field.name == name) return &field;
  return nullptr;
}

void set_option(GenerationOptions& options, const OptionField& field,
                const Json& value) {
  if (value.is_null()) return;
  std::visit([&](auto member) { assign(options.*member, field, value); },
             field.member);
  // Who gives an empty one did not mean an answer of any form.
  if (is_constraint(field) && !is_set(options, field))
    fail(field, value, field.expected);
}

GenerationOptions read_options(const Json& object,
                               const GenerationOptions& base, int vocab_size) {
  if (!object.is_object())
    throw InvalidInput("options", "expected an object of names and values");
  GenerationOptions options = base;
  Faults faults;
  for (const auto& [name, value] : object.items()) {
    const OptionField* field = find_option(name);
    if (field == nullptr) {
      faults.add(shortened(name), "an unknown option",
                 "one that `skua run --help` lists");
      continue;
    }
    try {
      set_option(options, *field, value);
    } catch (const InvalidInput& fault) {
      faults.add(fault);
    }
  }
  try {
    check(options, vocab_size);
  } catch (const InvalidInput& fault) {
    faults.add(fault);
  }
  faults.throw_if_any();
  return options;
}

bool is_constraint(const OptionField& field) {
  return std::string_view(field.group) == kConstraints ||
         std::string_view(field.name) == "tools";
}

std::vector<const char*> constraints_of(const GenerationOptions& options) {
  std::vector<const char*> names;
  for (const OptionField& field : kFields) {
    if (is_constraint(field) && is_set(options, field))
      names.push_back(field.name);
  }
  // Tools that may not be called leave the form to others.
  if (names.size() > 1 && options.tool_choice == "none")
    std::erase(names, std::string_view("tools"));
  return names;
}

std::optional<Grammar> grammar_of(const GenerationOptions& options) {
  using Kind = Grammar::Kind;
  if (!options.json_schema.empty())
    return Grammar{Kind::kJsonSchema, options.json_schema, {}};
  if (!options.regex.empty()) return Grammar{Kind::kRegex, options.regex, {}};
  if (!options.grammar.empty())
    return Grammar{Kind::kEbnf, options.grammar, {}};
  if (!options.choice.empty())
    return Grammar{Kind::kChoice, "", options.choice};
  return std::nullopt;
}

void clear_constraints(GenerationOptions& options) {
  options.json_schema.clear();
  options.regex.clear();
  options.grammar.clear();
  options.choice.clear();
  options.tools.clear();
  options.tool_choice = GenerationOptions{}.tool_choice;
}

void check(const GenerationOptions& options, int vocab_size) {
  Faults faults;
  for (const OptionField& field : kFields) {
    const RangeCheck range{field, vocab_size, faults};
    std::visit([&](auto member) { range(options.*member); }, field.member);
  }
  if (options.stop.size() > kMaxStops) {
    faults.add("stop", std::to_string(options.stop.size()) + " texts",
               "at most " + std::to_string(kMaxStops));
  }
  if (options.dry_breakers.size() > kMaxBreakers) {
    faults.add("dry_breakers",
               std::to_string(options.dry_breakers.size()) + " texts",
               "at most " + std::to_string(kMaxBreakers));
  }
  try {
    choose_tools(options.tools, options.tool_choice);
  } catch (const InvalidInput& fault) {
    faults.add(fault);
  }
  const auto constraints = constraints_of(options);
  if (constraints.size() > 1) {
    faults.add(constraints[0], fmt::format("{} beside it", constraints[1]),
               "one of tools, json_schema, regex, grammar and choice");
  }
  for (const auto& [name, value] :
       {std::pair{"min_tokens_to_keep", options.min_tokens_to_keep},
        std::pair{"top_logprobs", options.top_logprobs}}) {
    if (vocab_size > 0 && value > vocab_size) {
      faults.add(name, std::to_string(value),
                 fmt::format("at most the vocabulary of {}", vocab_size));
    }
  }
  faults.throw_if_any();
}

}  // namespace skua
