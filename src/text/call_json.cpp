#include <array>

#include "text/call_reader.h"

namespace skua {
namespace {

using Members = std::vector<LiteralMember>;

const LiteralMember* find(const Members& members,
                          std::initializer_list<std::string_view> keys) {
  for (const auto key : keys)
    for (const auto& member : members)
      if (member.key == key) return &member;
  return nullptr;
}

// The text of a member that is a string, else nothing.
std::string text_of(const LiteralMember* member) {
  std::string text;
  if (!member ||
      !LiteralReader(member->json, LiteralSyntax::kJson).string(text))
    text.clear();
  return text;
}

std::string id_of(const LiteralMember* member) {
  if (member && is_json_integer(member->json)) return member->json;
  return text_of(member);
}

bool read_call(const Members& outer, std::vector<ToolCall>& calls) {
  Members inner;
  const LiteralMember* function = find(outer, {"function"});
  if (function && function->json.starts_with('{'))
    LiteralReader(function->json, LiteralSyntax::kJson).members(inner);
  const Members& members = inner.empty() ? outer : inner;
  ToolCall call;
  call.id = id_of(find(outer, {"id", "tool_call_id"}));
  call.name = text_of(find(members, {"name", "tool_name", "function"}));
  const auto* arguments = find(members, {"arguments", "parameters"});
  call.arguments = arguments ? read_json_arguments(arguments->json) : "{}";
  if (call.name.empty()) return false;
  calls.push_back(std::move(call));
  return true;
}

using ReadObject = bool (*)(const Members&, std::vector<ToolCall>&);

// One object, or an array of objects.
bool read_objects(std::string_view json, ReadObject read,
                  std::vector<ToolCall>& calls) {
  LiteralReader reader(json, LiteralSyntax::kJson);
  const bool is_array = reader.take("[");
  do {
    Members members;
    if (!reader.members(members) || !read(members, calls)) return false;
  } while (is_array && reader.take(","));
  return (!is_array || reader.take("]")) && reader.at_end();
}

bool read_keyed_calls(const Members& members, std::vector<ToolCall>& calls) {
  for (const auto& [name, json] : members) {
    if (name.empty()) return false;
    calls.push_back({"", name, read_json_arguments(json)});
  }
  return !members.empty();
}

class JsonReader final : public BracketReader {
 public:
  explicit JsonReader(ReadObject read)
      : BracketReader(LiteralSyntax::kJson), read_(read) {}

 private:
  bool read_value(std::string_view value) override {
    return read_objects(value, read_, calls_);
  }

  ReadObject read_;
};

class BareJsonReader final : public BracketReader {
 public:
  explicit BareJsonReader(const ToolSchemas& tools)
      : BracketReader(LiteralSyntax::kJson), tools_(tools) {}

 private:
  CallResult read_header(std::string_view body) override {
    if (tools_.empty()) return CallResult::kFailed;
    return begins_json_call(body);
  }

  bool read_value(std::string_view value) override {
    if (!read_json_calls(value, calls_)) return false;
    for (const auto& call : calls_)
      if (!tools_.has(call.name)) return false;
    return true;
  }

  const ToolSchemas& tools_;
};

}  // namespace

CallResult begins_json_call(std::string_view body) {
  constexpr std::array<std::string_view, 7> kKeys = {
      "name",      "type",      "function",    "parameters",
      "arguments", "tool_name", "tool_call_id"};
  const auto head = body.substr(0, kMaxCallHeader);
  const CallResult undecided =
      head.size() == kMaxCallHeader ? CallResult::kFailed : CallResult::kMore;
  LiteralReader reader(head, LiteralSyntax::kJson);
  reader.take("[");
  if (reader.at_end()) return undecided;
  if (!reader.take("{")) return CallResult::kFailed;
  if (reader.at_end()) return undecided;
  for (const auto key : kKeys) {
    const std::string quoted = '"' + std::string(key) + '"';
    const auto rest = reader.rest();
    if (rest.starts_with(quoted)) return CallResult::kCalls;
    if (quoted.starts_with(rest)) return undecided;
  }
  return CallResult::kFailed;
}

std::string read_json_arguments(std::string_view json) {
  auto value = literal_to_json(json, LiteralSyntax::kJson);
  if (!value) return "";
  if (*value == "null") return "{}";
  std::string text;
  if (!LiteralReader(*value, LiteralSyntax::kJson).string(text)) return *value;
  if (trim_space(text).empty()) return "{}";
  const auto inner = literal_to_json(text, LiteralSyntax::kJson);
  return inner && inner->starts_with('{') ? *inner : *value;
}

bool read_json_calls(std::string_view json, std::vector<ToolCall>& calls) {
  return read_objects(json, read_call, calls);
}

std::unique_ptr<CallReader> json_call_reader(const ToolSchemas&) {
  return std::make_unique<JsonReader>(read_call);
}

std::unique_ptr<CallReader> bare_json_call_reader(const ToolSchemas& tools) {
  return std::make_unique<BareJsonReader>(tools);
}

std::unique_ptr<CallReader> keyed_call_reader(const ToolSchemas&) {
  return std::make_unique<JsonReader>(read_keyed_calls);
}

}  // namespace skua
