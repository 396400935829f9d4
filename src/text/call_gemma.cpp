// NAME{KEY:VALUE, ...} with strings between marks of their own.
#include "text/call_reader.h"

namespace skua {
namespace {

class GemmaReader final : public BracketReader {
 public:
  explicit GemmaReader(LiteralSyntax syntax)
      : BracketReader(syntax), syntax_(syntax) {}

 private:
  CallResult read_header(std::string_view body) override {
    const CallResult found = find_mark(body, "{");
    if (found != CallResult::kCalls) return found;
    --at_;
    name_ = trim_space(body.substr(0, at_));
    return name_.empty() ||
                   name_.find_first_of(" \t\r\n<>\"") != std::string::npos
               ? CallResult::kFailed
               : CallResult::kCalls;
  }

  bool read_value(std::string_view value) override {
    std::vector<LiteralMember> members;
    LiteralReader reader(value, syntax_);
    std::string arguments;
    if (reader.members(members) && reader.at_end()) {
      arguments = json_object(members);
    } else {
      // Arguments that were given as JSON text stand in braces of the call.
      arguments = read_json_arguments(value.substr(1, value.size() - 2));
      if (!arguments.starts_with('{')) return false;
    }
    calls_.push_back({"", name_, std::move(arguments)});
    return true;
  }

  LiteralSyntax syntax_;
  std::string name_;
};

}  // namespace

std::unique_ptr<CallReader> gemma4_call_reader(const ToolSchemas&) {
  return std::make_unique<GemmaReader>(LiteralSyntax::kGemma4);
}

std::unique_ptr<CallReader> function_gemma_call_reader(const ToolSchemas&) {
  return std::make_unique<GemmaReader>(LiteralSyntax::kGemma);
}

}  // namespace skua
