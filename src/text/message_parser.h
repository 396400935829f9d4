#pragma once

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "skua/parsed_message.h"
#include "text/marker_set.h"
#include "text/message_format.h"
#include "text/tool_schemas.h"

namespace skua {

struct MessageParserOptions {
  /** The tools offered: null or an array of JSON schemas, see ToolSchemas.
   *  Calls without markers of their own are read for these alone. */
  Json tools = {};
  /** What open_marker says about the prompt. */
  std::string_view open_marker = {};
  /** Made ids begin with this, to be unique in a conversation. */
  int first_id = 0;
};

/** Limits of one message; what is beyond them is content. */
inline constexpr std::size_t kMaxCallBytes = std::size_t{256} << 10;
inline constexpr std::size_t kMaxCalls = 256;

/** Splits the text that a model writes into reasoning, content and tool calls
 *  while it comes. The result does not depend on how the text is cut.
 *
 *  No text is lost: what looks like a call and is none, or is not finished, is
 *  content as it was written. Markers are dropped (frames wherever they are),
 *  and so is white space between them and the text beside them. Text is held
 * back only where it may be part of a marker or call, or white space before
 * one. */
class MessageParser {
 public:
  /** `format` must outlive the parser. Throws InvalidInput for bad tools or a
   *  marker that is not the format's. */
  explicit MessageParser(const MessageFormat& format,
                         MessageParserOptions options = {});

  /** What `text` adds. Throws InvalidInput after finish(). */
  ParsedMessage feed(std::string_view text);

  /** What is left at the end of the text. */
  ParsedMessage finish();

  /** All deltas together. */
  const ParsedMessage& message() const { return message_; }

 private:
  enum class State { kContent, kReasoning, kCall };

  bool is_behind_call() const { return after_call_ && !waits_for_call_; }
  void begin_with(std::string_view open);
  void add_markers();
  void run(bool at_end);
  bool read_text(bool at_end);
  bool read_call(bool at_end);
  void take_char(char c);
  void take_marker(const Marker& marker);
  void begin_content();
  void begin_reasoning(std::size_t index);
  void begin_call(std::size_t index, std::size_t body);
  void end_call();
  void refuse_call(std::size_t n_read);
  void add_call(ToolCall call);
  void deliver(std::size_t end);
  void drop_to(std::size_t end);
  std::string made_id();

  const MessageFormat& format_;
  std::unique_ptr<const ToolSchemas> tools_;
  MarkerSet content_markers_;
  std::vector<MarkerSet> reasoning_markers_;  // by index of ReasoningMarks

  State state_ = State::kContent;
  std::size_t reasoning_ = 0;  // index of the ReasoningMarks in use

  // pending_[begin_, solid_) is text to deliver, [solid_, scan_) white space
  // and marks that wait for what follows, and the rest is not yet read.
  std::string pending_;
  std::size_t begin_ = 0, solid_ = 0, scan_ = 0;
  bool at_border_ = true;        // nothing solid since a part began
  bool after_call_ = false;      // the same, since a call or other part
  bool drop_space_ = false;      // white space here belongs to no text
  bool waits_for_call_ = false;  // a mark before calls is among what waits
  bool new_part_ = false;        // a line break parts it from text before it

  std::unique_ptr<CallReader> reader_;
  State state_before_call_ = State::kContent;
  std::size_t body_ = 0;        // where the call's body begins
  std::size_t after_open_ = 0;  // behind its marker

  ParsedMessage message_, delta_;
  std::set<std::string> ids_;
  int next_id_;
  bool finished_ = false;
};

}  // namespace skua
