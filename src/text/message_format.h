#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "text/call_reader.h"

namespace skua {

/** Markers around reasoning. It begins only where a message, or what follows
 *  a call or other reasoning, begins: elsewhere the marker is text. */
struct ReasoningMarks {
  std::string_view open, close;
};

/** A marker that tool calls follow, and what reads them. */
struct CallMarks {
  std::string_view open;
  MakeCallReader reader = nullptr;
  bool at_border = false;       // counts only where ReasoningMarks would
  bool keeps_open = false;      // the marker is the beginning of the body
  bool ends_reasoning = false;  // counts within reasoning, too
  std::string_view prompt_end =
      {};  // the end of a prompt that gives the marker
};

/** How models of one family write reasoning and tool calls. All markers are
 *  spelled out in the text: special tokens must not have been left out. */
struct MessageFormat {
  std::string_view name;
  std::vector<std::string_view> aliases = {};
  std::vector<ReasoningMarks> reasoning = {};
  std::vector<CallMarks> calls = {};
  /** Markers before and after calls, which are dropped beside a call and are
   *  text elsewhere. */
  std::vector<std::string_view> before_calls = {}, after_calls = {};
  /** Markers around content, which are always dropped. */
  std::vector<std::string_view> frames = {};
  /** Digits of ids made for calls that have none; 0 for "call_N". */
  int id_digits = 0;
};

/** All formats. Sources: the models' chat templates and cards. */
const std::vector<MessageFormat>& message_formats();

/** By name or alias; names of mlx-lm's and vLLM's parsers are aliases. Null
 *  where there is none. */
const MessageFormat* find_message_format(std::string_view name);

/** The same, but throws InvalidInput listing the names. */
const MessageFormat& message_format(std::string_view name);

/** The format of the models that come with this template, from the markers in
 *  it; "plain", without calls, where it has none. */
const MessageFormat& detect_message_format(std::string_view chat_template);

/** The format of a model: `override` where given, else `tool_parser_type` of
 *  its tokenizer_config.json where known, else by its template. Empty means
 *  not given. Throws InvalidInput for an unknown override. */
const MessageFormat& choose_message_format(std::string_view override_name,
                                           std::string_view tool_parser_type,
                                           std::string_view chat_template);

/** `tool_parser_type` of the folder's tokenizer_config.json, empty where it
 *  has none. Throws InvalidInput for a bad file. */
std::string find_tool_parser_type(const std::filesystem::path& folder);

/** The marker that the answer to `prompt` begins behind, because the prompt
 *  ends with it (white space aside): of reasoning or of a call; else empty.
 *  It is given to the MessageParser. */
std::string_view open_marker(const MessageFormat& format,
                             std::string_view prompt);

}  // namespace skua
