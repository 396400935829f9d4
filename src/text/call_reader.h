#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "skua/parsed_message.h"
#include "text/bracket_scanner.h"
#include "text/tool_schemas.h"

namespace skua {

enum class CallResult {
  kMore,       // needs more text
  kCalls,      // read one call or several
  kContent,    // a header that content follows
  kReasoning,  // a header that reasoning follows
  kFailed,     // it is no call
};

/** Reads what follows the opening marker of a tool call, of which more comes
 *  with each `read`. What it decides depends on the bytes alone, not on how
 *  they come, and it looks at each of them a bounded number of times. */
class CallReader {
 public:
  virtual ~CallReader() = default;

  /** `body` is the text since the marker, as before but for its end.
   *  `at_end` says that no more will come. */
  virtual CallResult read(std::string_view body, bool at_end) = 0;

  /** Bytes of the body that were used, or looked at where it failed. */
  std::size_t end() const { return at_; }
  std::vector<ToolCall>& calls() { return calls_; }

 protected:
  std::size_t at_ = 0;
  std::vector<ToolCall> calls_;  // ids are empty where the format has none
};

/** A call that is one value in brackets, with or without a header before it
 *  (a name, or the marks of a format). */
class BracketReader : public CallReader {
 public:
  CallResult read(std::string_view body, bool at_end) final;

 protected:
  explicit BracketReader(LiteralSyntax syntax) : scanner_(syntax) {}

  /** Finds where the value begins: kCalls if `at_` is there. */
  virtual CallResult read_header(std::string_view body);
  /** Adds the calls of the whole value and returns true, or false if there
   *  are none. */
  virtual bool read_value(std::string_view value) = 0;
  /** Reads a body without such a value. */
  virtual CallResult read_otherwise(std::string_view, bool) {
    return CallResult::kFailed;
  }

  /** Moves `at_` behind the first `mark`, which must come within the length
   *  of a header: kCalls if it is there. */
  CallResult find_mark(std::string_view body, std::string_view mark);

 private:
  CallResult read_bracketed(std::string_view body);

  BracketScanner scanner_;
  std::size_t start_ = 0;  // of the value
  bool in_value_ = false, has_no_value_ = false;
};

/** A call that ends with a marker. */
class MarkedReader : public CallReader {
 public:
  CallResult read(std::string_view body, bool at_end) final;

 protected:
  explicit MarkedReader(std::string_view close) : close_(close) {}

  /** Does the body begin as it must? `head` is at most the length of a
   *  header of it; kCalls if so. */
  virtual CallResult read_header(std::string_view head) = 0;
  /** May the call end here? `value` is what stands before the marker. */
  virtual bool may_end(std::string_view value) = 0;
  virtual bool read_value(std::string_view value) = 0;

 private:
  std::string_view close_;
  bool has_header_ = false;
};

/** Headers (a name, a channel) are at most this long. */
inline constexpr std::size_t kMaxCallHeader = 512;

/** The tool that runs code, should there be one; else empty. */
std::string_view code_tool(const ToolSchemas& tools);

/** Adds the calls of an object {"name", "arguments" or "parameters"}, with or
 *  without an id, or of an array of such. False if there are none. */
bool read_json_calls(std::string_view json, std::vector<ToolCall>& calls);

/** Does `body` begin as such JSON, by its first key? kCalls if so. */
CallResult begins_json_call(std::string_view body);

/** Arguments that stand alone as JSON text; those in a JSON string are taken
 *  out of it; null and empty text give {}. Empty if it is not JSON. */
std::string read_json_arguments(std::string_view json);

using MakeCallReader = std::unique_ptr<CallReader> (*)(const ToolSchemas&);

/** {"name", "arguments" or "parameters"}, or an array of such; ids under "id"
 *  or "tool_call_id". Also as text of Apertus: {NAME: ARGUMENTS}. */
std::unique_ptr<CallReader> json_call_reader(const ToolSchemas& tools);
/** The same where nothing marks the call: the first key and the name must be
 *  those of a call of a known tool. The body begins with its bracket. */
std::unique_ptr<CallReader> bare_json_call_reader(const ToolSchemas& tools);
/** An array of {NAME: ARGUMENTS}. */
std::unique_ptr<CallReader> keyed_call_reader(const ToolSchemas& tools);
/** NAME[CALL_ID]ID[ARGS]ARGUMENTS, with or without the id; or the array. */
std::unique_ptr<CallReader> mistral_call_reader(const ToolSchemas& tools);
/** functions.NAME:INDEX<|tool_call_argument_begin|>ARGUMENTS */
std::unique_ptr<CallReader> kimi_call_reader(const ToolSchemas& tools);
/** NAME<sep>ARGUMENTS, or TYPE<sep>NAME and ARGUMENTS in a code fence. */
std::unique_ptr<CallReader> deepseek_call_reader(const ToolSchemas& tools);
/** NAME>ARGUMENTS */
std::unique_ptr<CallReader> tagged_json_call_reader(const ToolSchemas& tools);
/** NAME and a line break, then ARGUMENTS, or code where NAME is python; or
 *  "all" and content. */
std::unique_ptr<CallReader> recipient_call_reader(const ToolSchemas& tools);
/** The same with <|content|> behind the line break, for any NAME. */
std::unique_ptr<CallReader> recipient_tag_call_reader(const ToolSchemas& tools);
/** NAME><parameter=KEY>VALUE</parameter>...</function> */
std::unique_ptr<CallReader> function_tag_call_reader(const ToolSchemas& tools);
/** NAME<arg_key>KEY</arg_key><arg_value>VALUE</arg_value>...</tool_call> */
std::unique_ptr<CallReader> glm_call_reader(const ToolSchemas& tools);
/** The same, or JSON, until </longcat_tool_call>. */
std::unique_ptr<CallReader> longcat_call_reader(const ToolSchemas& tools);
/** <invoke name="NAME"><parameter name="KEY">VALUE</parameter></invoke>... */
std::unique_ptr<CallReader> minimax_call_reader(const ToolSchemas& tools);
/** The same in the marks of DeepSeek V3.2 and V4. */
std::unique_ptr<CallReader> dsml_call_reader(const ToolSchemas& tools);
std::unique_ptr<CallReader> dsml_v4_call_reader(const ToolSchemas& tools);
/** [NAME(KEY=VALUE, ...), ...] in Python's spelling, or JSON's array. */
std::unique_ptr<CallReader> pythonic_call_reader(const ToolSchemas& tools);
/** The same where nothing marks the call; the body begins with [. */
std::unique_ptr<CallReader> bare_pythonic_call_reader(const ToolSchemas& tools);
/** NAME{KEY:VALUE, ...} of Gemma 4 and of FunctionGemma. */
std::unique_ptr<CallReader> gemma4_call_reader(const ToolSchemas& tools);
std::unique_ptr<CallReader> function_gemma_call_reader(
    const ToolSchemas& tools);
/** A code block with NAME(KEY=VALUE), or with JSON; until its fence. */
std::unique_ptr<CallReader> code_block_call_reader(const ToolSchemas& tools);
/** The same with the names of any tools. */
std::unique_ptr<CallReader> python_block_call_reader(const ToolSchemas& tools);
/** What follows <|python_tag|>: JSON, NAME.call(KEY=VALUE), or code. */
std::unique_ptr<CallReader> python_tag_call_reader(const ToolSchemas& tools);
/** The header of a message of gpt-oss up to <|message|>, and its call. */
std::unique_ptr<CallReader> harmony_call_reader(const ToolSchemas& tools);
/** <tool_name>NAME</tool_name><arguments>JSON</arguments>... */
std::unique_ptr<CallReader> mcp_call_reader(const ToolSchemas& tools);

}  // namespace skua
