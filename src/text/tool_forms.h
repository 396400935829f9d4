#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/message_format.h"

namespace skua {

/** Where a call has an id, or the name of a server, between two marks. */
struct CallId {
  enum class Place { kNone, kFirst, kBehindName, kBehindArguments };
  Place place = Place::kNone;
  std::string_view open = {}, close = {};
  std::string_view pattern = "[0-9a-zA-Z]{9}";
};

/** How the calls of an answer are written, as the models' chat templates write
 *  them: `begin`, calls with `separator` between them, `end`. A call is `open`,
 *  the tool's name, `name_close`, the arguments, `close`. Where `key_open` is
 *  empty the arguments are an object in `syntax`, else for each of them
 *  `key_open`, its name, `key_close`, its value as JSON or text,
 *  `value_close`. */
struct CallForm {
  std::string_view format;  // MessageFormat::name
  std::string_view begin = {}, separator = {}, end = {};
  std::string_view open = {}, name_close = {}, close = {};
  std::string_view key_open = {}, key_close = {}, value_close = {};
  /** Instead of key_close before a string, where that is not empty. */
  std::string_view string_key_close = {};
  LiteralSyntax syntax = LiteralSyntax::kJson;
  /** What strings may not hold, because readers take it for the object's end.
   */
  std::string_view text_end = {};
  CallId id = {};
  /** An answer has one call. */
  bool single = false;
  /** Around reasoning and before content, where MessageFormat does not say it
   *  as models write it. */
  ReasoningMarks reasoning = {};
  std::string_view content_open = {};
};

/** The forms of a format, one or several; none where it has no calls. */
std::vector<CallForm> call_forms(const MessageFormat& format);

/** All marks of a format's forms: special tokens that are part of one may be
 *  part of an answer with calls. */
std::vector<std::string> call_marks(const MessageFormat& format);

}  // namespace skua
