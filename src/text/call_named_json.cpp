// Calls that are a name and the arguments as JSON.
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
class RecipientReader final : public NamedJsonReader {
 public:
  /** `tools` holds who may be called; null for anyone. */
  RecipientReader(std::string_view separator, const ToolSchemas* tools)
      : separator_(separator), tools_(tools) {}

 private:
  CallResult read_header(std::string_view body) override {
    const CallResult found = find_mark(body, separator_);
    if (found != CallResult::kCalls) return found;
    const auto name = body.substr(0, at_ - separator_.size());
    if (name == "all") return CallResult::kContent;
    return set_name(name) && (!tools_ || tools_->has(name))
               ? CallResult::kCalls
               : CallResult::kFailed;
  }

  std::string_view separator_;
  const ToolSchemas* tools_;
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
  return std::make_unique<RecipientReader>("\n", &tools);
}

std::unique_ptr<CallReader> recipient_tag_call_reader(const ToolSchemas&) {
  return std::make_unique<RecipientReader>("\n<|content|>", nullptr);
}

}  // namespace skua
