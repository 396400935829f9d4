// Calls in Python's spelling.
#include "text/call_reader.h"

namespace skua {
namespace {

// NAME(KEY=VALUE, ...), where "call" before the bracket is no part of it.
bool read_call(LiteralReader& reader, std::vector<ToolCall>& calls) {
  ToolCall call;
  std::vector<LiteralMember> arguments;
  if (!reader.name(call.name) || !reader.take("(")) return false;
  for (bool first = true; !reader.take(")"); first = false) {
    if (!first && !reader.take(",")) return false;
    if (!first && reader.take(")")) break;
    LiteralMember argument;
    if (!reader.name(argument.key) || !reader.take("=") ||
        !reader.value(argument.json))
      return false;
    arguments.push_back(std::move(argument));
  }
  call.arguments = json_object(arguments);
  calls.push_back(std::move(call));
  return true;
}

bool read_list(std::string_view text, std::vector<ToolCall>& calls) {
  LiteralReader reader(text, LiteralSyntax::kPython);
  if (!reader.take("[")) return false;
  for (bool first = true; !reader.take("]"); first = false) {
    if (!first && !reader.take(",")) return false;
    if (!read_call(reader, calls)) return false;
  }
  return reader.at_end() && !calls.empty();
}

bool read_list_or_json(std::string_view text, std::vector<ToolCall>& calls) {
  if (read_list(text, calls)) return true;
  calls.clear();
  return read_json_calls(text, calls);
}

bool all_known(const std::vector<ToolCall>& calls, const ToolSchemas& tools) {
  for (const auto& call : calls)
    if (!tools.has(call.name)) return false;
  return true;
}

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
}

// Where a name and an opening bracket begin `text`: kCalls.
CallResult begins_call(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size() && is_name_char(text[at])) ++at;
  if (at == text.size())
    return at < kMaxCallHeader ? CallResult::kMore : CallResult::kFailed;
  return at > 0 && text[at] == '(' ? CallResult::kCalls : CallResult::kFailed;
}

// The same, also in a list, or JSON.
CallResult begins_any_call(std::string_view body) {
  const CallResult json = begins_json_call(body);
  if (json != CallResult::kFailed) return json;
  LiteralReader reader(body.substr(0, kMaxCallHeader), LiteralSyntax::kPython);
  reader.take("[");
  if (reader.at_end()) return CallResult::kMore;
  return begins_call(reader.rest());
}

class PythonicReader final : public BracketReader {
 public:
  PythonicReader() : BracketReader(LiteralSyntax::kPython) {}

 private:
  bool read_value(std::string_view value) override {
    return read_list_or_json(value, calls_);
  }
};

class BarePythonicReader final : public BracketReader {
 public:
  explicit BarePythonicReader(const ToolSchemas& tools)
      : BracketReader(LiteralSyntax::kPython), tools_(tools) {}

 private:
  CallResult read_header(std::string_view body) override {
    return tools_.empty() ? CallResult::kFailed : begins_any_call(body);
  }

  bool read_value(std::string_view value) override {
    return read_list_or_json(value, calls_) && all_known(calls_, tools_);
  }

  const ToolSchemas& tools_;
};

// A code block; what it is called stands in the marker.
class CodeBlockReader final : public MarkedReader {
 public:
  /** `tools` holds what may be called; null for anything. */
  explicit CodeBlockReader(const ToolSchemas* tools)
      : MarkedReader("```"), tools_(tools) {}

 private:
  CallResult read_header(std::string_view head) override {
    return tools_ && tools_->empty() ? CallResult::kFailed
                                     : begins_any_call(head);
  }

  bool may_end(std::string_view value) override {
    return value.ends_with('\n');
  }

  bool read_value(std::string_view value) override {
    if (!read_json_calls(value, calls_)) {
      calls_.clear();
      const auto text = trim_space(value);
      const bool is_list = text.starts_with('[') && read_list(text, calls_);
      if (!is_list && !read_lines(text)) return false;
    }
    return !tools_ || all_known(calls_, *tools_);
  }

  // Calls one after the other, also within print().
  bool read_lines(std::string_view text) {
    calls_.clear();
    LiteralReader reader(text, LiteralSyntax::kPython);
    while (!reader.at_end()) {
      const bool printed = reader.take("print(");
      if (!read_call(reader, calls_)) return false;
      if (printed && !reader.take(")")) return false;
    }
    return !calls_.empty();
  }

  const ToolSchemas* tools_;
};

class PythonTagReader final : public BracketReader {
 public:
  explicit PythonTagReader(const ToolSchemas& tools)
      : BracketReader(LiteralSyntax::kPython), tools_(tools) {}

 private:
  // Of JSON or of NAME.call(...).
  CallResult read_header(std::string_view body) override {
    const auto head = body.substr(0, kMaxCallHeader);
    const auto text = trim_space(head);
    if (text.empty())
      return head.size() < kMaxCallHeader ? CallResult::kMore
                                          : CallResult::kFailed;
    if (text[0] == '{' || text[0] == '[') return CallResult::kCalls;
    const CallResult named = begins_call(text);
    if (named != CallResult::kCalls) return named;
    name_ = text.substr(0, text.find('('));
    if (!name_.ends_with(".call")) return CallResult::kFailed;
    at_ = head.find('(');
    return CallResult::kCalls;
  }

  bool read_value(std::string_view value) override {
    if (name_.empty()) {
      if (read_json_calls(value, calls_)) return true;
      calls_.clear();
      return read_code_object(value);
    }
    const std::string text = name_ + std::string(value);
    LiteralReader reader(text, LiteralSyntax::kPython);
    if (!read_call(reader, calls_) || !reader.at_end()) return false;
    auto& name = calls_.back().name;
    name.resize(name.size() - std::string_view(".call").size());
    return !name.empty();
  }

  CallResult read_otherwise(std::string_view body, bool at_end) override {
    if (code_tool(tools_).empty()) return CallResult::kFailed;
    if (!at_end) return CallResult::kMore;
    calls_.clear();
    at_ = body.size();
    if (trim_space(body).empty()) return CallResult::kFailed;
    add_code_call(json_object({{"code", json_quote(body)}}));
    return CallResult::kCalls;
  }

  bool read_code_object(std::string_view value) {
    LiteralReader reader(value, LiteralSyntax::kJson);
    std::vector<LiteralMember> members;
    if (!reader.members(members) || members.size() != 1 ||
        members[0].key != "code" || code_tool(tools_).empty())
      return false;
    add_code_call(json_object(members));
    return true;
  }

  void add_code_call(std::string arguments) {
    calls_.push_back(
        {"", std::string(code_tool(tools_)), std::move(arguments)});
  }

  const ToolSchemas& tools_;
  std::string name_;
};

}  // namespace

std::string_view code_tool(const ToolSchemas& tools) {
  for (const char* name : {"python", "ipython", "code_interpreter"})
    if (tools.has(name)) return name;
  return {};
}

std::unique_ptr<CallReader> pythonic_call_reader(const ToolSchemas&) {
  return std::make_unique<PythonicReader>();
}

std::unique_ptr<CallReader> bare_pythonic_call_reader(
    const ToolSchemas& tools) {
  return std::make_unique<BarePythonicReader>(tools);
}

std::unique_ptr<CallReader> code_block_call_reader(const ToolSchemas& tools) {
  return std::make_unique<CodeBlockReader>(&tools);
}

std::unique_ptr<CallReader> python_block_call_reader(const ToolSchemas&) {
  return std::make_unique<CodeBlockReader>(nullptr);
}

std::unique_ptr<CallReader> python_tag_call_reader(const ToolSchemas& tools) {
  return std::make_unique<PythonTagReader>(tools);
}

}  // namespace skua
