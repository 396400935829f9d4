// Cuts any text in any way, for every format: the parts of a message must not
// depend on the cuts, nothing is lost, and arguments are JSON.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/json.h"
#include "text/message_parser.h"

namespace {

using skua::MessageFormat;
using skua::MessageParser;
using skua::ParsedMessage;

void require(bool holds) {
  if (!holds) std::abort();
}

// The first bytes of the input choose; the rest is the text.
class Choices {
 public:
  Choices(const std::uint8_t* data, std::size_t size)
      : data_(data), size_(size) {}

  std::size_t next(std::size_t limit) {
    const std::size_t value = at_ < size_ ? data_[at_++] : 0;
    return value % limit;
  }

  std::string rest() const {
    return std::string(reinterpret_cast<const char*>(data_) + at_, size_ - at_);
  }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
  std::size_t at_ = 0;
};

// The format's markers for bytes that no text has, to find them sooner.
std::string with_markers(const MessageFormat& format, const std::string& text) {
  std::vector<std::string_view> marks = {
      R"({"name": "f", "arguments": {"a": "b"}})",
      "f",
      "{}",
      "<parameter=a>1</parameter>",
      "</function>",
      "<arg_key>a</arg_key><arg_value>1</arg_value>",
      "</tool_call>",
      "[ARGS]",
      "[f(a=1)]",
      "<|message|>",
      "<｜tool▁sep｜>",
      "<|tool_call_argument_begin|>",
      "<invoke name=\"f\">",
      "</invoke>",
      "</minimax:tool_call>",
      "```",
      "<|\"|>"};
  for (const auto& each : format.calls) marks.push_back(each.open);
  for (const auto& each : format.reasoning) {
    marks.push_back(each.open);
    marks.push_back(each.close);
  }
  for (const auto* list :
       {&format.before_calls, &format.after_calls, &format.frames})
    marks.insert(marks.end(), list->begin(), list->end());
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0xC0) {
      out += c;
    } else {
      out += marks[(byte - 0xC0) % marks.size()];
    }
  }
  return out;
}

void add(ParsedMessage& message, const ParsedMessage& delta) {
  message.reasoning += delta.reasoning;
  message.content += delta.content;
  for (const auto& call : delta.calls) message.calls.push_back(call);
}

bool equal(const ParsedMessage& a, const ParsedMessage& b) {
  if (a.reasoning != b.reasoning || a.content != b.content ||
      a.calls.size() != b.calls.size())
    return false;
  for (std::size_t i = 0; i < a.calls.size(); ++i)
    if (a.calls[i].id != b.calls[i].id || a.calls[i].name != b.calls[i].name ||
        a.calls[i].arguments != b.calls[i].arguments)
      return false;
  return true;
}

// Is `part` what is left of `text` where some bytes are left out?
bool is_subsequence(std::string_view part, std::string_view text) {
  std::size_t at = 0;
  for (const char c : text) at += at < part.size() && part[at] == c;
  return at == part.size();
}

bool has_any(const std::string& text,
             const std::vector<std::string_view>& marks) {
  for (const auto mark : marks)
    if (!mark.empty() && text.find(mark) != std::string::npos) return true;
  return false;
}

// Can `text` hold anything but calls that is not content?
bool is_all_content(const MessageFormat& format, const std::string& text) {
  for (const auto& each : format.reasoning)
    if (has_any(text, {each.open})) return false;
  return !has_any(text, format.frames) && !has_any(text, {">>>all\n"}) &&
         !has_any(text, {"<|message|>"});
}

void check_parts(const ParsedMessage& message, const MessageFormat& format,
                 const std::string& text, bool is_open) {
  for (const auto& call : message.calls) {
    require(!call.name.empty() && !call.id.empty());
    skua::parse_json(call.arguments, "arguments");
  }
  // Parts of gpt-oss are joined by line breaks of our own.
  if (format.name != "gpt_oss")
    require(is_subsequence(message.content, text) &&
            message.content.size() + message.reasoning.size() <= text.size());
  if (message.calls.empty() && !is_open && is_all_content(format, text))
    require(message.content == text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  static const skua::Json kTools = skua::Json::parse(
      R"([{"name": "f", "parameters": {"properties": {
            "a": {"type": "integer"}, "b": {"type": "string"}}}},
          {"name": "python"}])");
  Choices choices(data, size);
  const auto& formats = skua::message_formats();
  const MessageFormat& format = formats[choices.next(formats.size())];
  std::string_view open;
  if (!format.calls.empty() && choices.next(4) == 0)
    open = format.calls[choices.next(format.calls.size())].open;
  if (!format.reasoning.empty() && choices.next(4) == 0)
    open = format.reasoning[choices.next(format.reasoning.size())].open;
  const std::size_t step = 1 + choices.next(16);
  const std::string text = with_markers(format, choices.rest());

  MessageParser whole(format, {.tools = kTools, .open_marker = open});
  whole.feed(text);
  whole.finish();
  MessageParser cut(format, {.tools = kTools, .open_marker = open});
  ParsedMessage joined;
  for (std::size_t at = 0; at < text.size(); at += step)
    add(joined, cut.feed(std::string_view(text).substr(at, step)));
  add(joined, cut.finish());
  require(equal(whole.message(), cut.message()));
  require(equal(whole.message(), joined));
  check_parts(whole.message(), format, text, !open.empty());
  return 0;
}
