// Calls that are a name and the arguments as JSON.
#include <algorithm>

#include "text/call_reader.h"

namespace skua {
namespace {

class NamedJsonReader : public BracketReader {
 protected:
  NamedJsonReader() : BracketReader(LiteralSyntax::kJson) {}

  bool read_value(std::string_view value) override {
    if (name_.empty()) return read_json_calls(value, calls_);
    std::string arguments = read_json_arguments(value);
    if (arguments.empty()) return false;
    calls_.push_back({id_, name_, std::move(arguments)});
    return true;
  }

  bool set_name(std::string_view text) {
    name_ = trim_space(text);
    return !name_.empty() &&
           name_.find_first_of(" \t\r\n\"<>{}[]") == std::string::npos;
  }

  std::string id_, name_;
};

class MistralReader final : public NamedJsonReader {
  // An array directly behind the marker has the names in it.
  CallResult read_header(std::string_view body) override {
    constexpr std::string_view kArguments = "[ARGS]", kId = "[CALL_ID]";
    const auto head = body.substr(0, kMaxCallHeader);
    const auto trimmed = trim_space(head);
    if (trimmed.starts_with('[') || trimmed.starts_with('{'))
      return CallResult::kCalls;
    std::size_t end = head.find(kArguments);
    const std::size_t brace = head.find('{');
    if (end == std::string_view::npos && brace == std::string_view::npos)
      return head.size() == kMaxCallHeader ? CallResult::kFailed
                                           : CallResult::kMore;
    at_ = end < brace ? end + kArguments.size() : brace;
    auto name = head.substr(0, std::min(end, brace));
    if (const auto id = name.find(kId); id != std::string_view::npos) {
      id_ = trim_space(name.substr(id + kId.size()));
      name = name.substr(0, id);
    }
    return set_name(name) ? CallResult::kCalls : CallResult::kFailed;
  }
};

class KimiReader final : public NamedJsonReader {
  CallResult read_header(std::string_view body) override {
    constexpr std::string_view kArguments = "<|tool_call_argument_begin|>";
    const CallResult found = find_mark(body, kArguments);
    if (found != CallResult::kCalls) return found;
    id_ = trim_space(body.substr(0, at_ - kArguments.size()));
    std::string_view name = id_;
    if (name.starts_with("functions.")) name.remove_prefix(10);
    const std::size_t colon = name.rfind(':');
    if (colon != std::string_view::npos &&
        is_json_number(name.substr(colon + 1)))
      name = name.substr(0, colon);
    return set_name(name) ? CallResult::kCalls : CallResult::kFailed;
  }
};

class DeepSeekReader final : public NamedJsonReader {
  CallResult read_header(std::string_view body) override {
    constexpr std::string_view kSeparator = "<｜tool▁sep｜>";
    const CallResult found = find_mark(body, kSeparator);
    if (found != CallResult::kCalls) return found;
    const std::size_t separator = at_;
    const std::size_t brace =
        body.substr(0, kMaxCallHeader).find_first_of("{\"", at_);
    if (brace == std::string_view::npos)
      return body.size() < kMaxCallHeader ? CallResult::kMore
                                          : CallResult::kFailed;
    at_ = brace;
    auto name = body.substr(0, separator - kSeparator.size());
    const auto between = trim_space(body.substr(separator, brace - separator));
    if (!between.empty()) {
      // The name and a code fence; before the separator stands "function".
      const std::size_t line = between.find('\n');
      name = between.substr(0, line);
      const auto fence = between.substr(name.size());
      if (!trim_space(fence).starts_with("```") && !trim_space(fence).empty())
        return CallResult::kFailed;
    }
    return set_name(name) ? CallResult::kCalls : CallResult::kFailed;
  }
};

class TaggedReader final : public NamedJsonReader {
  CallResult read_header(std::string_view body) override {
    const CallResult found = find_mark(body, ">");
    if (found != CallResult::kCalls) return found;
    return set_name(body.substr(0, at_ - 1)) ? CallResult::kCalls
                                             : CallResult::kFailed;
  }
};

// Functionary: who is spoken to, a separator, and what is said.
class RecipientReader : public NamedJsonReader {
 public:
  explicit RecipientReader(std::string_view separator)
      : separator_(separator) {}

 private:
  CallResult read_header(std::string_view body) final {
    const CallResult found = find_mark(body, separator_);
    if (found != CallResult::kCalls) return found;
    const auto name = body.substr(0, at_ - separator_.size());
    if (name == "all") return CallResult::kContent;
    return set_recipient(name) ? CallResult::kCalls : CallResult::kFailed;
  }

  virtual bool set_recipient(std::string_view name) { return set_name(name); }

  std::string_view separator_;
};

// The same for known tools; what is said to python may be code, up to the next
// recipient.
class KnownRecipientReader final : public RecipientReader {
 public:
  explicit KnownRecipientReader(const ToolSchemas& tools)
      : RecipientReader("\n"), tools_(tools) {}

 private:
  static constexpr std::string_view kOpen = ">>>";

  bool set_recipient(std::string_view name) override {
    begin_ = searched_ = at_;
    if (name == "python") {
      name_ = code_tool(tools_);
      return is_code_ = !name_.empty();
    }
    return set_name(name) && tools_.has(name);
  }

  CallResult read_otherwise(std::string_view body, bool at_end) override {
    if (!is_code_) return CallResult::kFailed;
    std::size_t end = body.find(kOpen, searched_);
    for (; end != body.npos; end = body.find(kOpen, end + 1)) {
      const CallResult next = begins_message(body.substr(end + kOpen.size()));
      if (next == CallResult::kCalls) return add_code(body, end);
      if (next == CallResult::kFailed || at_end) continue;
      searched_ = end;
      return CallResult::kMore;
    }
    if (at_end) return add_code(body, body.size());
    // A mark may have begun.
    searched_ = std::max(searched_,
                         body.size() - std::min(body.size(), kOpen.size() - 1));
    return CallResult::kMore;
  }

  // Is it a recipient and a line break?
  CallResult begins_message(std::string_view text) const {
    const auto head = text.substr(0, kMaxCallHeader);
    const std::size_t line = head.find('\n');
    if (line == head.npos)
      return head.size() < kMaxCallHeader ? CallResult::kMore
                                          : CallResult::kFailed;
    const auto name = head.substr(0, line);
    return name == "all" || name == "python" || tools_.has(name)
               ? CallResult::kCalls
               : CallResult::kFailed;
  }

  CallResult add_code(std::string_view body, std::size_t end) {
    const auto code = body.substr(begin_, end - begin_);
    at_ = end;
    calls_.clear();
    if (trim_space(code).empty()) return CallResult::kFailed;
    calls_.push_back({"", name_, json_object({{"code", json_quote(code)}})});
    return CallResult::kCalls;
  }

  const ToolSchemas& tools_;
  std::size_t begin_ = 0, searched_ = 0;
  bool is_code_ = false;
};

}  // namespace

std::unique_ptr<CallReader> mistral_call_reader(const ToolSchemas&) {
  return std::make_unique<MistralReader>();
}

std::unique_ptr<CallReader> kimi_call_reader(const ToolSchemas&) {
  return std::make_unique<KimiReader>();
}

std::unique_ptr<CallReader> deepseek_call_reader(const ToolSchemas&) {
  return std::make_unique<DeepSeekReader>();
}

std::unique_ptr<CallReader> tagged_json_call_reader(const ToolSchemas&) {
  return std::make_unique<TaggedReader>();
}

std::unique_ptr<CallReader> recipient_call_reader(const ToolSchemas& tools) {
  return std::make_unique<KnownRecipientReader>(tools);
}

std::unique_ptr<CallReader> recipient_tag_call_reader(const ToolSchemas&) {
  return std::make_unique<RecipientReader>("\n<|content|>");
}

}  // namespace skua
