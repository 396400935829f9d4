#include "text/call_reader.h"

#include <algorithm>

namespace skua {

CallResult BracketReader::read_header(std::string_view) {
  return CallResult::kCalls;
}

CallResult BracketReader::find_mark(std::string_view body,
                                    std::string_view mark) {
  const auto head = body.substr(0, kMaxCallHeader);
  const std::size_t found = head.find(mark);
  if (found == std::string_view::npos)
    return head.size() == kMaxCallHeader ? CallResult::kFailed
                                         : CallResult::kMore;
  at_ = found + mark.size();
  return CallResult::kCalls;
}

CallResult BracketReader::read(std::string_view body, bool at_end) {
  CallResult result = CallResult::kFailed;
  if (!has_no_value_) result = read_bracketed(body);
  has_no_value_ = result == CallResult::kFailed;
  if (!has_no_value_ && !(at_end && result == CallResult::kMore)) return result;
  const CallResult other = read_otherwise(body, at_end);
  return other == CallResult::kFailed ? result : other;
}

CallResult BracketReader::read_bracketed(std::string_view body) {
  if (!in_value_) {
    const CallResult header = read_header(body);
    if (header != CallResult::kCalls) return header;
    in_value_ = true;
    start_ = at_;
  }
  switch (scanner_.scan(body, at_)) {
    case BracketScanner::Result::kMore:
      return CallResult::kMore;
    case BracketScanner::Result::kBroken:
      return CallResult::kFailed;
    case BracketScanner::Result::kDone:
      break;
  }
  return read_value(body.substr(start_, at_ - start_)) ? CallResult::kCalls
                                                       : CallResult::kFailed;
}

CallResult MarkedReader::read(std::string_view body, bool at_end) {
  if (!has_header_) {
    const auto head = body.substr(0, kMaxCallHeader);
    const CallResult header = read_header(head);
    if (header == CallResult::kMore && head.size() == kMaxCallHeader)
      return CallResult::kFailed;
    if (header != CallResult::kCalls) return header;
    has_header_ = true;
  }
  for (;;) {
    const std::size_t found = body.find(close_, at_);
    if (found == std::string_view::npos) break;
    const auto value = body.substr(0, found);
    at_ = found + close_.size();
    if (may_end(value))
      return read_value(value) ? CallResult::kCalls : CallResult::kFailed;
  }
  // The marker may have begun.
  if (body.size() >= close_.size())
    at_ = std::max(at_, body.size() - close_.size() + 1);
  return at_end ? CallResult::kFailed : CallResult::kMore;
}

}  // namespace skua
