// Sections of calls whose parts stand between tags.
#include "text/tag_cursor.h"

namespace skua {
namespace {

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
    TagCursor cursor(value);
    while (cursor.take(tags_.invoke))
      if (!read_invoke(cursor)) return false;
    return cursor.at_end() && !calls_.empty();
  }

  bool read_invoke(TagCursor& cursor) {
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
    TagCursor cursor(value);
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
