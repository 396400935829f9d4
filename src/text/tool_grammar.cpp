#include "text/tool_grammar.h"

#include <algorithm>

#include "base/quote.h"
#include "skua/error.h"
#include "text/pattern.h"
#include "text/tool_arguments.h"
#include "text/tool_forms.h"

namespace skua {
namespace {

GrammarItem literal(std::string_view text) {
  return GrammarItem::literal(std::string(text));
}

class CallWriter {
 public:
  CallWriter(GrammarRules& rules, const MessageFormat& format,
             std::vector<Tool> tools, const ToolGrammarOptions& options)
      : rules_(rules),
        arguments_(rules),
        format_(format),
        tools_(std::move(tools)),
        options_(options),
        open_marker_(options.open_marker) {}

  std::int32_t answer() {
    const bool required = options_.required;
    const auto forms = call_forms(format_);
    if (forms.empty())
      throw Unsupported(
          "tool calls",
          "calls in the format " + quote(format_.name) + ", which has none");
    const auto message = rules_.add_rule();
    const auto content = required ? -1 : rules_.rule_of(content_of(forms));
    if (!required) rules_.add(message, {GrammarItem::ref(content)});
    for (const auto& form : forms) {
      if (tools_.empty()) break;
      rules_.add(message, calls_of(form, without_marker(form.open)));
      if (required || has_bare_calls()) continue;
      if (!form.content_open.empty() && form.single) continue;
      const auto calls = rules_.rule_of(calls_of(form, form.open));
      rules_.add(message, {GrammarItem::ref(content), GrammarItem::ref(calls)});
    }
    return with_reasoning(message, forms.front());
  }

 private:
  bool has_bare_calls() const {
    return std::ranges::any_of(format_.calls,
                               [](const auto& call) { return call.at_border; });
  }

  // Text in which no call begins.
  GrammarSequence content_of(const std::vector<CallForm>& forms) {
    std::vector<std::string_view> marks;
    for (const auto& call : format_.calls)
      if (!call.at_border) marks.push_back(call.open);
    for (const auto& each : format_.reasoning) marks.push_back(each.open);
    Dfa text = dfa_without(marks);
    for (const auto& call : format_.calls)
      if (call.at_border)
        text = dfa_minus(
            text, compile_pattern(
                      "[ \\t\\r\\n]*\\" + std::string(call.open) + "[\\s\\S]*",
                      false, "mark"));
    return {literal(without_marker(forms.front().content_open)),
            GrammarItem::ref(add_dfa(rules_, text, Spelling::kPlain))};
  }

  // What is left of a mark that the prompt begins with.
  std::string_view without_marker(std::string_view mark) const {
    if (mark.starts_with(open_marker_)) mark.remove_prefix(open_marker_.size());
    return mark;
  }

  GrammarSequence calls_of(const CallForm& form, std::string_view first_open) {
    const auto first = call_rule(form, first_open);
    GrammarSequence calls = {literal(form.begin), GrammarItem::ref(first)};
    if (!form.single && options_.parallel) {
      const auto next =
          first_open == form.open ? first : call_rule(form, form.open);
      const auto more =
          rules_.rule_of({separator(form), GrammarItem::ref(next)});
      calls.push_back(GrammarItem::ref(more, 0, -1));
    }
    calls.push_back(literal(form.end));
    return calls;
  }

  // Some templates of a format have a line end, others none.
  static GrammarItem separator(const CallForm& form) {
    return form.separator == "\n"
               ? GrammarItem::of(CharSet({{'\n', '\n'}}), 0, 1)
               : literal(form.separator);
  }

  std::int32_t call_rule(const CallForm& form, std::string_view open) {
    const auto rule = rules_.add_rule();
    for (const auto& tool : tools_) {
      GrammarSequence call;
      add_id(form.id, CallId::Place::kFirst, call);
      call.push_back(literal(std::string(open) + tool.name));
      add_id(form.id, CallId::Place::kBehindName, call);
      call.push_back(literal(form.name_close));
      call.push_back(GrammarItem::ref(arguments_.write(tool, form)));
      add_id(form.id, CallId::Place::kBehindArguments, call);
      call.push_back(literal(form.close));
      rules_.add(rule, std::move(call));
    }
    return rule;
  }

  void add_id(const CallId& id, CallId::Place place, GrammarSequence& call) {
    if (id.place != place) return;
    call.push_back(literal(id.open));
    call.push_back(GrammarItem::ref(add_dfa(
        rules_, compile_pattern(id.pattern, false, "id"), Spelling::kPlain)));
    call.push_back(literal(id.close));
  }

  // Reasoning that is open already must be ended; other may come.
  std::int32_t with_reasoning(std::int32_t message, const CallForm& form) {
    std::vector<ReasoningMarks> kinds = format_.reasoning;
    if (!form.reasoning.open.empty()) kinds = {form.reasoning};
    std::erase_if(kinds, [](const auto& marks) { return marks.open.empty(); });
    const auto is_open = [&](const ReasoningMarks& marks) {
      return marks.open == open_marker_;
    };
    const bool opened = std::ranges::any_of(kinds, is_open);
    if (!opened && !options_.reasoning) return message;
    const auto root = rules_.add_rule();
    if (!opened) rules_.add(root, {GrammarItem::ref(message)});
    for (const auto& marks : kinds) {
      if (opened && !is_open(marks)) continue;
      const auto lines = GrammarItem::of(CharSet({{'\n', '\n'}}), 0, 2);
      rules_.add(root, {lines, literal(opened ? "" : marks.open),
                        GrammarItem::ref(thought(marks)), lines,
                        GrammarItem::ref(message)});
    }
    return root;
  }

  std::int32_t thought(const ReasoningMarks& reasoning) {
    std::vector<std::string_view> marks = {reasoning.close};
    for (const auto& each : format_.reasoning) marks.push_back(each.close);
    for (const auto& call : format_.calls)
      if (call.ends_reasoning) marks.push_back(call.open);
    return add_dfa(rules_, dfa_without(marks), Spelling::kPlain,
                   std::string(reasoning.close));
  }

  GrammarRules& rules_;
  ToolArguments arguments_;
  const MessageFormat& format_;
  const std::vector<Tool> tools_;
  const ToolGrammarOptions options_;
  const std::string_view open_marker_;
};

// What open_marker() may have said of a prompt.
void check_marker(const MessageFormat& format, std::string_view marker) {
  bool known = marker.empty();
  for (const auto& each : format.reasoning) known |= each.open == marker;
  for (const auto& each : format.calls)
    known |= !each.prompt_end.empty() && each.open == marker;
  if (!known)
    throw InvalidInput("tool calls", quote(marker) +
                                         " is no mark that a prompt of " +
                                         quote(format.name) + " ends with");
}

bool flag(const Json& source, const char* name) {
  const Json value = source.value(name, Json(true));
  if (!value.is_boolean())
    throw InvalidInput("tool calls", quote(name) + " is no boolean");
  return value.get<bool>();
}

}  // namespace

Grammar tool_call_grammar(const MessageFormat& format, const Json& tools,
                          const ToolGrammarOptions& options) {
  const Json source = {
      {"format", format.name},          {"tools", tools},
      {"required", options.required},   {"parallel", options.parallel},
      {"reasoning", options.reasoning}, {"open_marker", options.open_marker}};
  return {Grammar::Kind::kToolCalls, dump_json(source), {}};
}

const MessageFormat& tool_call_format(const Json& source) {
  if (!source.is_object() || !source.contains("format") ||
      !source["format"].is_string())
    throw InvalidInput("tool calls", "no 'format', expected a string");
  return message_format(source["format"].get<std::string>());
}

std::int32_t add_tool_calls(GrammarRules& rules, const Json& source) {
  const auto& format = tool_call_format(source);
  const Json open = source.value("open_marker", Json(""));
  if (!open.is_string())
    throw InvalidInput("tool calls", "'open_marker' is no string");
  check_marker(format, open.get_ref<const std::string&>());
  auto tools = read_tools(source.value("tools", Json()));
  const ToolGrammarOptions options = {
      .required = flag(source, "required"),
      .parallel = flag(source, "parallel"),
      .reasoning = flag(source, "reasoning"),
      .open_marker = open.get_ref<const std::string&>()};
  if (tools.empty() && options.required)
    throw InvalidInput("tools", "there are none, expected at least one");
  return CallWriter(rules, format, std::move(tools), options).answer();
}

}  // namespace skua
