#include "text/message_parser.h"

#include <algorithm>
#include <utility>

#include "base/quote.h"
#include "skua/error.h"

namespace skua {
namespace {

// A refused call that is longer is not searched for others, which bounds the
// time that is spent on each byte.
constexpr std::size_t kMaxReread = 4096;

void append(ParsedMessage& message, const ParsedMessage& delta) {
  message.reasoning += delta.reasoning;
  message.content += delta.content;
  message.calls.insert(message.calls.end(), delta.calls.begin(),
                       delta.calls.end());
}

}  // namespace

MessageParser::MessageParser(const MessageFormat& format,
                             MessageParserOptions options)
    : format_(format),
      tools_(std::make_unique<const ToolSchemas>(options.tools)),
      next_id_(options.first_id) {
  add_markers();
  if (!options.open_marker.empty()) begin_with(options.open_marker);
}

void MessageParser::add_markers() {
  reasoning_markers_.resize(format_.reasoning.size());
  for (std::size_t i = 0; i < format_.reasoning.size(); ++i) {
    const auto& marks = format_.reasoning[i];
    content_markers_.add({marks.open, MarkerKind::kReasoning, i}, true);
    reasoning_markers_[i].add({marks.close, MarkerKind::kReasoningEnd, i});
  }
  bool calls_end_reasoning = false;
  for (std::size_t i = 0; i < format_.calls.size(); ++i) {
    const auto& marks = format_.calls[i];
    const Marker marker{marks.open, MarkerKind::kCall, i};
    content_markers_.add(marker, marks.at_border);
    if (!marks.ends_reasoning) continue;
    calls_end_reasoning = true;
    for (auto& set : reasoning_markers_) set.add(marker);
  }
  // The first of two that are alike wins, where it counts.
  for (const auto mark : format_.after_calls)
    content_markers_.add({mark, MarkerKind::kAfterCall});
  for (const auto mark : format_.before_calls) {
    content_markers_.add({mark, MarkerKind::kBeforeCall});
    if (!calls_end_reasoning) continue;
    for (auto& set : reasoning_markers_)
      set.add({mark, MarkerKind::kBeforeCall});
  }
  for (const auto mark : format_.frames)
    content_markers_.add({mark, MarkerKind::kFrame});
}

void MessageParser::begin_with(std::string_view open) {
  for (std::size_t i = 0; i < format_.reasoning.size(); ++i)
    if (format_.reasoning[i].open == open) return begin_reasoning(i);
  for (std::size_t i = 0; i < format_.calls.size(); ++i)
    if (format_.calls[i].open == open) return begin_call(i, 0);
  throw InvalidInput("open_marker", "got " + quote(open) +
                                        ", expected a marker of " +
                                        std::string(format_.name));
}

ParsedMessage MessageParser::feed(std::string_view text) {
  if (finished_)
    throw InvalidInput("message parser", "got text behind the message's end");
  pending_ += text;
  run(false);
  append(message_, delta_);
  return std::exchange(delta_, {});
}

ParsedMessage MessageParser::finish() {
  if (!std::exchange(finished_, true)) {
    run(true);
    // White space behind a call belongs to no text.
    if (!is_behind_call()) deliver(pending_.size());
    append(message_, delta_);
  }
  return std::exchange(delta_, {});
}

void MessageParser::run(bool at_end) {
  while (state_ == State::kCall ? read_call(at_end) : read_text(at_end)) {
  }
  if (state_ != State::kCall) deliver(solid_);
  pending_.erase(0, begin_);
  solid_ -= std::min(begin_, solid_);
  scan_ -= begin_;
  body_ -= std::min(begin_, body_);
  after_open_ -= std::min(begin_, after_open_);
  begin_ = 0;
}

// Reads on until a marker changed the state, and returns true, or until more
// text is needed.
bool MessageParser::read_text(bool at_end) {
  const auto& markers = state_ == State::kContent
                            ? content_markers_
                            : reasoning_markers_[reasoning_];
  while (scan_ < pending_.size()) {
    const char c = pending_[scan_];
    if (!markers.may_begin(c)) {
      take_char(c);
      continue;
    }
    bool undecided = false;
    const auto rest = std::string_view(pending_).substr(scan_);
    const Marker* marker =
        markers.match(rest, {at_border_, is_behind_call()}, undecided);
    if (marker) {
      take_marker(*marker);
      return true;
    }
    if (undecided && !at_end) return false;
    take_char(c);
  }
  return false;
}

void MessageParser::take_char(char c) {
  ++scan_;
  if (is_json_space(c)) {
    if (drop_space_ && scan_ == begin_ + 1) drop_to(scan_);
    return;
  }
  solid_ = scan_;
  at_border_ = after_call_ = drop_space_ = waits_for_call_ = false;
}

void MessageParser::take_marker(const Marker& marker) {
  const std::size_t behind = scan_ + marker.text.size();
  switch (marker.kind) {
    case MarkerKind::kCall:
      begin_call(marker.index, behind);
      break;
    case MarkerKind::kBeforeCall:
      scan_ = behind;
      waits_for_call_ = true;
      break;
    case MarkerKind::kAfterCall:
      drop_to(behind);
      break;
    case MarkerKind::kReasoning:
    case MarkerKind::kReasoningEnd:
    case MarkerKind::kFrame:
      deliver(waits_for_call_ ? scan_ : solid_);
      drop_to(behind);
      begin_content();
      if (marker.kind == MarkerKind::kReasoning) begin_reasoning(marker.index);
      break;
  }
}

void MessageParser::begin_content() {
  state_ = State::kContent;
  at_border_ = after_call_ = true;
  waits_for_call_ = new_part_ = false;
  drop_space_ = message_.content.empty() && delta_.content.empty();
}

void MessageParser::begin_reasoning(std::size_t index) {
  state_ = State::kReasoning;
  reasoning_ = index;
  at_border_ = drop_space_ = new_part_ = true;
  after_call_ = waits_for_call_ = false;
}

// The marker stands at `scan_`, its body at `body`.
void MessageParser::begin_call(std::size_t index, std::size_t body) {
  const auto& marks = format_.calls[index];
  deliver(solid_);
  state_before_call_ = state_;
  state_ = State::kCall;
  reader_ = marks.reader(*tools_);
  after_open_ = body;
  body_ = marks.keeps_open ? scan_ : body;
}

// Returns true where the call was read or refused.
bool MessageParser::read_call(bool at_end) {
  const auto body =
      std::string_view(pending_).substr(body_).substr(0, kMaxCallBytes);
  const bool is_full = body.size() == kMaxCallBytes;
  const auto result = reader_->read(body, at_end && !is_full);
  switch (result) {
    case CallResult::kMore:
      if (!at_end && !is_full) return false;
      refuse_call(body.size());
      return true;
    case CallResult::kFailed:
      refuse_call(reader_->end());
      return true;
    case CallResult::kCalls:
      end_call();
      return true;
    case CallResult::kContent:
    case CallResult::kReasoning:
      drop_to(body_ + reader_->end());
      begin_content();
      new_part_ = true;
      if (result == CallResult::kReasoning) begin_reasoning(0);
      return true;
  }
  return false;
}

void MessageParser::end_call() {
  const std::size_t n_before = message_.calls.size() + delta_.calls.size();
  if (n_before + reader_->calls().size() > kMaxCalls)
    return refuse_call(reader_->end());
  for (auto& call : reader_->calls()) add_call(std::move(call));
  drop_to(body_ + reader_->end());
  begin_content();
}

// What was held for the call is text after all; it may hold other calls.
void MessageParser::refuse_call(std::size_t n_read) {
  const std::size_t read = body_ + n_read;
  state_ = state_before_call_;
  solid_ = scan_ = n_read > kMaxReread ? read : after_open_;
  at_border_ = after_call_ = drop_space_ = waits_for_call_ = false;
}

void MessageParser::add_call(ToolCall call) {
  if (call.id.empty() || !ids_.insert(call.id).second) call.id = made_id();
  delta_.calls.push_back(std::move(call));
}

std::string MessageParser::made_id() {
  for (;;) {
    std::string id = std::to_string(next_id_++);
    const auto width = static_cast<std::size_t>(format_.id_digits);
    if (width == 0) {
      id.insert(0, "call_");
    } else if (id.size() < width) {
      id.insert(0, width - id.size(), '0');
    }
    if (ids_.insert(id).second) return id;
  }
}

// Hands out the text before `end`.
void MessageParser::deliver(std::size_t end) {
  if (end <= begin_) return;
  const bool reasons = state_ == State::kReasoning;
  auto& out = reasons ? delta_.reasoning : delta_.content;
  const auto& before = reasons ? message_.reasoning : message_.content;
  if (new_part_ && !(out.empty() && before.empty())) out += '\n';
  new_part_ = false;
  out.append(pending_, begin_, end - begin_);
  begin_ = end;
  solid_ = std::max(solid_, end);
  scan_ = std::max(scan_, end);
}

void MessageParser::drop_to(std::size_t end) {
  begin_ = solid_ = scan_ = end;
}

}  // namespace skua
