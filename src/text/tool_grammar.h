#pragma once

#include <cstdint>
#include <string_view>

#include "base/json.h"
#include "text/grammar.h"
#include "text/grammar_rules.h"
#include "text/message_format.h"

namespace skua {

struct ToolGrammarOptions {
  /** Whether the answer must call a tool; else text without calls will do, and
   *  may stand before them. */
  bool required = true;
  /** Whether an answer may have several calls. */
  bool parallel = true;
  /** Whether reasoning may come first, where the format has it. */
  bool reasoning = true;
  /** What the prompt began, as open_marker has it. */
  std::string_view open_marker = {};
};

/** The grammar of answers that call tools as models of this format do. What
 *  it allows, a MessageParser with the same tools reads as calls of them, with
 *  arguments that are valid under their parameters; reasoning may come first,
 *  where the format has it.
 *
 *  `tools` is an array as for ToolSchemas. Compiling it throws InvalidInput for
 *  bad tools or a marker that no prompt ends with, and Unsupported for a format
 *  without calls or a schema that cannot be enforced, naming the tool. */
Grammar tool_call_grammar(const MessageFormat& format, const Json& tools,
                          const ToolGrammarOptions& options = {});

/** Adds the rules of such a grammar's source; returns the first one. */
std::int32_t add_tool_calls(GrammarRules& rules, const Json& source);

/** The format of such a grammar's source. */
const MessageFormat& tool_call_format(const Json& source);

}  // namespace skua
