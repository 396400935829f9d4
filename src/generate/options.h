#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/json.h"
#include "skua/generation.h"
#include "text/grammar.h"

namespace skua {

/** A field of GenerationOptions, for all who read, check or show options by
 *  name. Those that hold functions are not among them. */
struct OptionField {
  using Member = std::variant<
      int GenerationOptions::*, double GenerationOptions::*,
      bool GenerationOptions::*,
      std::optional<std::uint64_t> GenerationOptions::*,
      std::string GenerationOptions::*,
      std::vector<std::string> GenerationOptions::*,
      std::vector<std::int32_t> GenerationOptions::*,
      std::optional<std::vector<std::int32_t>> GenerationOptions::*,
      std::map<std::int32_t, double> GenerationOptions::*>;

  const char* name;  // as in JSON
  Member member;
  bool (*holds)(double);  // for numbers, also for those in a list or map
  const char* expected;
  const char* help;
  const char* group;  // of those that --help lists together
};

std::span<const OptionField> option_fields();

/** The field called `name`, or as mlx-lm calls it; null if there is none. */
const OptionField* find_option(std::string_view name);

/** Sets a field; null leaves it as it is. Numbers that are not finite may be
 *  spelled as text: "-inf". Throws InvalidInput if the value is of another
 *  kind, or an empty constraint; its range is for check() to see. */
void set_option(GenerationOptions& options, const OptionField& field,
                const Json& value);

/** `base` with the fields that `object` names.
 *  Throws InvalidInput that lists all that is wrong: unknown names, values of
 *  another kind or out of range, as check() has it. */
GenerationOptions read_options(const Json& object,
                               const GenerationOptions& base = {},
                               int vocab_size = 0);

/** The options of which an answer has one at most: tools, json_schema, regex,
 *  grammar and choice. Whether a field is one, those that are set, and none
 *  set. Tools do not count beside another where none may be called. */
bool is_constraint(const OptionField& field);
std::vector<const char*> constraints_of(const GenerationOptions& options);
void clear_constraints(GenerationOptions& options);
/** The grammar that the first of them asks for; that of tools needs a model
 *  (constraint.h). */
std::optional<Grammar> grammar_of(const GenerationOptions& options);

/** Throws InvalidInput that lists every field out of range, each as
 *  `field: got X, expected Y`.
 *  vocab_size  of the model; 0 where it is not known yet */
void check(const GenerationOptions& options, int vocab_size = 0);

}  // namespace skua
