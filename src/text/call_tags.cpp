// Calls whose arguments stand between tags, as bare text.
#include "text/call_reader.h"

namespace skua {
namespace {

std::string_view trim_left(std::string_view text) {
  while (!text.empty() && is_json_space(text.front())) text.remove_prefix(1);
  return text;
}

// Is `c` next behind white space? kCalls if so.
CallResult next_is(std::string_view text, char c) {
  text = trim_left(text);
  if (text.empty()) return CallResult::kMore;
  return text[0] == c ? CallResult::kCalls : CallResult::kFailed;
}

// What is left of a text while it is read from front to back.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : rest_(text) {}

  bool take(std::string_view mark) {
    const auto trimmed = trim_left(rest_);
    if (!trimmed.starts_with(mark)) return false;
    rest_ = trimmed.substr(mark.size());
    return true;
  }

  /** Sets `text` to what is before the next `mark` and moves behind it. */
  bool take_until(std::string_view mark, std::string_view& text) {
    const std::size_t found = rest_.find(mark);
    if (found == std::string_view::npos) return false;
    text = rest_.substr(0, found);
    rest_.remove_prefix(found + mark.size());
    return true;
  }

  bool at_end() const { return trim_left(rest_).empty(); }

 private:
  std::string_view rest_;
};

// One line break at each end belongs to the tags.
std::string_view trim_line_breaks(std::string_view text) {
  if (text.starts_with('\n')) text.remove_prefix(1);
  if (text.ends_with('\n')) text.remove_suffix(1);
  return text;
}

bool ends_with_trimmed(std::string_view text, std::string_view mark) {
  while (!text.empty() && is_json_space(text.back())) text.remove_suffix(1);
  return text.ends_with(mark);
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
    Cursor cursor(value);
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
  Cursor cursor(value);
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

// How the tags of a section of <invoke> are spelled.
struct InvokeTags {
  std::string_view invoke, invoke_end, parameter, parameter_end, section_end;
};

constexpr InvokeTags kMinimaxTags = {"<invoke name=\"", "</invoke>",
                                     "<parameter name=\"", "</parameter>",
                                     "</minimax:tool_call>"};
constexpr InvokeTags kDsmlTags = {
    "<｜DSML｜invoke name=\"", "</｜DSML｜invoke>",
    "<｜DSML｜parameter name=\"", "</｜DSML｜parameter>",
    "</｜DSML｜function_calls>"};
constexpr InvokeTags kDsmlV4Tags = {
    "<｜DSML｜invoke name=\"", "</｜DSML｜invoke>",
    "<｜DSML｜parameter name=\"", "</｜DSML｜parameter>",
    "</｜DSML｜tool_calls>"};

class InvokeReader final : public MarkedReader {
 public:
  InvokeReader(const ToolSchemas& tools, const InvokeTags& tags)
      : MarkedReader(tags.section_end), tools_(tools), tags_(tags) {}

 private:
  CallResult read_header(std::string_view head) override {
    return next_is(head, '<');
  }

  bool may_end(std::string_view value) override {
    return ends_with_trimmed(value, tags_.invoke_end);
  }

  bool read_value(std::string_view value) override {
    Cursor cursor(value);
    while (cursor.take(tags_.invoke))
      if (!read_invoke(cursor)) return false;
    return cursor.at_end() && !calls_.empty();
  }

  bool read_invoke(Cursor& cursor) {
    std::string_view name;
    if (!cursor.take_until("\"", name) || name.empty() || !cursor.take(">"))
      return false;
    std::vector<LiteralMember> arguments;
    while (cursor.take(tags_.parameter)) {
      std::string_view key, attributes, text;
      if (!cursor.take_until("\"", key) || key.empty() ||
          !cursor.take_until(">", attributes) ||
          !cursor.take_until(tags_.parameter_end, text))
        return false;
      arguments.push_back(
          {std::string(key), value_json(name, key, attributes, text)});
    }
    if (!cursor.take(tags_.invoke_end)) return false;
    calls_.push_back({"", std::string(name), json_object(arguments)});
    return true;
  }

  std::string value_json(std::string_view name, std::string_view key,
                         std::string_view attributes,
                         std::string_view text) const {
    if (attributes.find("string=\"true\"") != std::string_view::npos)
      return json_quote(text);
    if (attributes.find("string=\"false\"") != std::string_view::npos)
      if (auto json = literal_to_json(text, LiteralSyntax::kJson)) return *json;
    return tools_.argument(name, key, text);
  }

  const ToolSchemas& tools_;
  const InvokeTags& tags_;
};

// MiroThinker: the names of a server and of its tool, and JSON.
class McpReader final : public MarkedReader {
 public:
  McpReader() : MarkedReader("</use_mcp_tool>") {}

 private:
  CallResult read_header(std::string_view head) override {
    return next_is(head, '<');
  }

  bool may_end(std::string_view value) override {
    return ends_with_trimmed(value, "</arguments>");
  }

  bool read_value(std::string_view value) override {
    Cursor cursor(value);
    std::string_view server, name, json;
    while (!cursor.at_end()) {
      if (cursor.take("<server_name>") &&
          !cursor.take_until("</server_name>", server))
        return false;
      if (!cursor.take("<tool_name>") ||
          !cursor.take_until("</tool_name>", name) ||
          !cursor.take("<arguments>") ||
          !cursor.take_until("</arguments>", json))
        return false;
      std::string arguments = read_json_arguments(json);
      name = trim_space(name);
      if (name.empty() || arguments.empty()) return false;
      calls_.push_back({"", std::string(name), std::move(arguments)});
    }
    return !calls_.empty();
  }
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

std::unique_ptr<CallReader> minimax_call_reader(const ToolSchemas& tools) {
  return std::make_unique<InvokeReader>(tools, kMinimaxTags);
}

std::unique_ptr<CallReader> dsml_call_reader(const ToolSchemas& tools) {
  return std::make_unique<InvokeReader>(tools, kDsmlTags);
}

std::unique_ptr<CallReader> dsml_v4_call_reader(const ToolSchemas& tools) {
  return std::make_unique<InvokeReader>(tools, kDsmlV4Tags);
}

std::unique_ptr<CallReader> mcp_call_reader(const ToolSchemas&) {
  return std::make_unique<McpReader>();
}

}  // namespace skua
