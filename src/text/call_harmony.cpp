// The messages of gpt-oss: a header that names a channel and, for a call, who
// is called, then <|message|> and the text. Source: openai/harmony.
#include "text/call_reader.h"

namespace skua {
namespace {

constexpr std::string_view kMessage = "<|message|>";

// The word behind `mark`, empty where there is none.
std::string_view word_behind(std::string_view header, std::string_view mark) {
  const std::size_t found = header.find(mark);
  if (found == std::string_view::npos) return {};
  const auto rest = header.substr(found + mark.size());
  return rest.substr(0, rest.find_first_of(" \t\r\n<"));
}

class HarmonyReader final : public BracketReader {
 public:
  HarmonyReader() : BracketReader(LiteralSyntax::kJson) {}

 private:
  CallResult read_header(std::string_view body) override {
    const CallResult begins = begins_header(body);
    if (begins != CallResult::kCalls) return begins;
    const CallResult found = find_mark(body, kMessage);
    if (found != CallResult::kCalls) return found;
    const auto header = body.substr(0, at_ - kMessage.size());
    name_ = word_behind(header, "to=");
    if (name_.starts_with("functions.")) name_.erase(0, 10);
    if (!name_.empty() && name_ != "user") return CallResult::kCalls;
    auto channel = word_behind(header, "<|channel|>");
    // Where the marker was <|channel|>, the header begins with its name.
    if (channel.empty()) channel = word_behind(header, "");
    return channel == "analysis" ? CallResult::kReasoning
                                 : CallResult::kContent;
  }

  // Text that no header begins with is found out at once.
  static CallResult begins_header(std::string_view body) {
    CallResult result = CallResult::kFailed;
    for (const std::string_view start :
         {"assistant", "<|channel|>", " to=", kMessage.data(), "analysis",
          "commentary", "final"}) {
      if (body.starts_with(start)) return CallResult::kCalls;
      if (start.starts_with(body)) result = CallResult::kMore;
    }
    return result;
  }

  bool read_value(std::string_view value) override {
    std::string arguments = read_json_arguments(value);
    if (arguments.empty()) return false;
    calls_.push_back({"", name_, std::move(arguments)});
    return true;
  }

  std::string name_;
};

}  // namespace

std::unique_ptr<CallReader> harmony_call_reader(const ToolSchemas&) {
  return std::make_unique<HarmonyReader>();
}

}  // namespace skua
