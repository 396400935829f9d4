// Calls whose arguments stand between tags, as bare text.
#include "text/tag_cursor.h"

namespace skua {
namespace {

// One line break at each end belongs to the tags.
std::string_view trim_line_breaks(std::string_view text) {
  if (text.starts_with('\n')) text.remove_prefix(1);
  if (text.ends_with('\n')) text.remove_suffix(1);
  return text;
}

bool is_tag_name(std::string_view name) {
  return !name.empty() &&
         name.find_first_of(" \t\r\n<>\"") == std::string_view::npos;
}

class FunctionTagReader final : public MarkedReader {
 public:
  explicit FunctionTagReader(const ToolSchemas& tools)
      : MarkedReader("</function>"), tools_(tools) {}

 private:
  CallResult read_header(std::string_view head) override {
    const std::size_t end = head.find_first_of(" \t\r\n<>\"");
    if (end == std::string_view::npos) return CallResult::kMore;
    if (end == 0 || head[end] != '>') return CallResult::kFailed;
    return next_is(head.substr(end + 1), '<');
  }

  // An argument may hold the marker.
  bool may_end(std::string_view value) override {
    if (!has_arguments_)
      has_arguments_ = value.find("<parameter=") != std::string_view::npos;
    return !has_arguments_ || ends_with_trimmed(value, "</parameter>");
  }

  bool read_value(std::string_view value) override {
    TagCursor cursor(value);
    std::string_view name;
    if (!cursor.take_until(">", name) || !is_tag_name(name)) return false;
    std::vector<LiteralMember> arguments;
    while (cursor.take("<parameter=")) {
      std::string_view key, text;
      if (!cursor.take_until(">", key) || !is_tag_name(key) ||
          !cursor.take_until("</parameter>", text))
        return false;
      arguments.push_back({std::string(key),
                           tools_.argument(name, key, trim_line_breaks(text))});
    }
    if (!cursor.at_end()) return false;
    calls_.push_back({"", std::string(name), json_object(arguments)});
    return true;
  }

  const ToolSchemas& tools_;
  bool has_arguments_ = false;
};

bool read_glm_call(std::string_view value, const ToolSchemas& tools,
                   std::vector<ToolCall>& calls) {
  const auto name = trim_space(value.substr(0, value.find("<arg_key>")));
  if (!is_tag_name(name)) return false;
  TagCursor cursor(value);
  cursor.take(name);
  std::vector<LiteralMember> arguments;
  while (cursor.take("<arg_key>")) {
    std::string_view key, text;
    if (!cursor.take_until("</arg_key>", key) || !cursor.take("<arg_value>") ||
        !cursor.take_until("</arg_value>", text))
      return false;
    key = trim_space(key);
    if (key.empty()) return false;
    arguments.push_back({std::string(key), tools.argument(name, key, text)});
  }
  if (!cursor.at_end()) return false;
  calls.push_back({"", std::string(name), json_object(arguments)});
  return true;
}

class GlmReader final : public MarkedReader {
 public:
  GlmReader(const ToolSchemas& tools, std::string_view close)
      : MarkedReader(close), tools_(tools) {}

 private:
  CallResult read_header(std::string_view head) override {
    const auto name = trim_left(head);
    if (name.starts_with('{')) return CallResult::kCalls;
    const std::size_t end = name.find_first_of(" \t\r\n<>\"");
    if (end == std::string_view::npos) return CallResult::kMore;
    return end == 0 ? CallResult::kFailed : next_is(name.substr(end), '<');
  }

  bool may_end(std::string_view value) override {
    if (!has_arguments_)
      has_arguments_ = value.find("<arg_key>") != std::string_view::npos;
    return !has_arguments_ || ends_with_trimmed(value, "</arg_value>");
  }

  bool read_value(std::string_view value) override {
    if (trim_space(value).starts_with('{'))
      return read_json_calls(value, calls_);
    return read_glm_call(value, tools_, calls_);
  }

  const ToolSchemas& tools_;
  bool has_arguments_ = false;
};

}  // namespace

std::unique_ptr<CallReader> function_tag_call_reader(const ToolSchemas& tools) {
  return std::make_unique<FunctionTagReader>(tools);
}

std::unique_ptr<CallReader> glm_call_reader(const ToolSchemas& tools) {
  return std::make_unique<GlmReader>(tools, "</tool_call>");
}

std::unique_ptr<CallReader> longcat_call_reader(const ToolSchemas& tools) {
  return std::make_unique<GlmReader>(tools, "</longcat_tool_call>");
}

}  // namespace skua
