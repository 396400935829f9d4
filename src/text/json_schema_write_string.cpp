// Strings, and names of properties, in the spelling that is asked for.
#include <fmt/format.h>

#include <algorithm>

#include "base/quote.h"
#include "skua/error.h"
#include "text/json_schema_write.h"
#include "text/pattern.h"
#include "text/utf8.h"

namespace skua {
namespace {

using Escapes = ValueSpelling::Escapes;

// Of strings up to this length each place is a state; longer ones count
// characters while they are matched, where an escape is several.
constexpr std::int64_t kMaxExactLength = 8;

GrammarItem text(std::string s) {
  return GrammarItem::literal(std::move(s));
}

bool is_counted(std::int64_t min, std::int64_t max) {
  return max >= 0 && max - min > kMaxExactLength;
}

const Dfa& bare_names() {
  static const Dfa names = compile_pattern("[0-9A-Za-z_.-]+", false, "name");
  return names;
}

}  // namespace

bool SchemaWriter::is_allowed(const std::string& text) const {
  return allowed_.empty() || dfa_accepts(allowed_, to_utf32(text));
}

Dfa SchemaWriter::allowed_texts(const Dfa& texts) const {
  return allowed_.empty() ? texts : dfa_and(texts, allowed_);
}

// Texts, then the closing quote.
std::int32_t SchemaWriter::texts_rule(const Dfa& texts) {
  return add_dfa(
      rules_, allowed_texts(texts),
      spelling_.escapes == Escapes::kNone ? Spelling::kPlain : Spelling::kJson,
      std::string(spelling_.quote));
}

// min to max characters, then the closing quote.
std::int32_t SchemaWriter::free_string(std::int64_t min, std::int64_t max) {
  if (spelling_.escapes == Escapes::kAny && allowed_.empty())
    return any_string(min, max);
  const auto [known, is_new] = strings_.try_emplace({min, max}, -1);
  if (is_new) known->second = restricted_string(min, max);
  return known->second;
}

std::int32_t SchemaWriter::restricted_string(std::int64_t min,
                                             std::int64_t max) {
  if (!is_counted(min, max)) return texts_rule(dfa_length(min, max));
  const auto body = add_dfa(
      rules_, allowed_texts(dfa_length(min, -1)),
      spelling_.escapes == Escapes::kNone ? Spelling::kPlain : Spelling::kJson);
  rules_.set_max_chars(body, max);
  return rules_.rule_of(
      {GrammarItem::ref(body), text(std::string(spelling_.quote))});
}

std::string SchemaWriter::quoted(const std::string& value) const {
  if (spelling_.escapes != Escapes::kNone) return Json(value).dump();
  return std::string(spelling_.quote) + value + std::string(spelling_.quote);
}

// A declared name and what stands behind it.
GrammarItem SchemaWriter::name_item(const std::string& name,
                                    const ObjectSpelling& object) const {
  const std::string colon(object.colon);
  if (!object.bare_names) {
    if (!is_allowed(name))
      throw Unsupported("schema properties",
                        quote(name) +
                            " as a name, which would end the text "
                            "around it");
    return text(quoted(name) + colon);
  }
  if (!dfa_accepts(bare_names(), to_utf32(name)))
    throw Unsupported("schema properties",
                      quote(name) +
                          " as a name without quotes, which has "
                          "letters, digits, '_', '-' and '.'");
  return text(name + colon);
}

// Any of `names`, likewise.
GrammarSequence SchemaWriter::open_name(const Dfa& names,
                                        const ObjectSpelling& object) {
  const std::string colon(object.colon);
  if (object.bare_names)
    return {GrammarItem::ref(add_dfa(rules_, dfa_and(names, bare_names()),
                                     Spelling::kPlain, colon))};
  const auto name = dfa_is_any(names) ? free_string(0, -1) : texts_rule(names);
  return {text(std::string(spelling_.quote)), GrammarItem::ref(name),
          text(colon)};
}

// What follows a backslash in a JSON string, one character in all.
std::int32_t SchemaWriter::escape_rest() {
  auto& rule = rules_.named("escape_rest");
  if (rule >= 0) return rule;
  rule = rules_.add_rule();
  const auto of = [](std::vector<CharRange> ranges) {
    return GrammarItem::of(CharSet(std::move(ranges)));
  };
  const auto hex = of({{'0', '9'}, {'a', 'f'}, {'A', 'F'}});
  const auto d = of({{'d', 'd'}, {'D', 'D'}});
  rules_.add(rule, {of({{'"', '"'},
                        {'\\', '\\'},
                        {'/', '/'},
                        {'b', 'b'},
                        {'f', 'f'},
                        {'n', 'n'},
                        {'r', 'r'},
                        {'t', 't'}})});
  // Surrogates come in pairs.
  rules_.add(rule,
             {text("u"),
              of({{'0', '9'}, {'a', 'c'}, {'e', 'f'}, {'A', 'C'}, {'E', 'F'}}),
              hex, hex, hex});
  rules_.add(rule, {text("u"), d, of({{'0', '7'}}), hex, hex});
  rules_.add(rule,
             {text("u"), d, of({{'8', '9'}, {'a', 'b'}, {'A', 'B'}}), hex, hex,
              text("\\u"), d, of({{'c', 'f'}, {'C', 'F'}}), hex, hex});
  return rule;
}

std::int32_t SchemaWriter::any_string(std::int64_t min, std::int64_t max) {
  auto& known = rules_.named(fmt::format("string {} {}", min, max));
  if (known >= 0) return known;
  const CharSet raw({{0x20, '!'}, {'#', '['}, {']', 0x10FFFF}});
  const auto add_char = [&](std::int32_t from, std::int32_t to) {
    rules_.add(from, {GrammarItem::of(raw), GrammarItem::ref(to)});
    rules_.add(from, {text("\\"), GrammarItem::ref(escape_rest()),
                      GrammarItem::ref(to)});
  };
  known = rules_.add_rule();
  const auto more = max - min;
  const bool counted = is_counted(min, max);
  // A counted rule holds all characters: it is slow to enter one later on.
  const auto body = counted ? rules_.add_rule() : known;
  auto state = body;
  for (std::int64_t i = 0; i < min; ++i) {
    const auto next = rules_.add_rule();
    add_char(state, next);
    state = next;
  }
  if (counted) {
    const auto rest = rules_.add_rule();
    for (const auto rule : {state, rest}) {
      rules_.add(rule, {});
      add_char(rule, rest);
    }
    rules_.set_max_chars(body, max);
    rules_.add(known, {GrammarItem::ref(body), text("\"")});
    return known;
  }
  for (std::int64_t i = 0; i < (max < 0 ? 0 : more); ++i) {
    const auto next = rules_.add_rule();
    rules_.add(state, {text("\"")});
    add_char(state, next);
    state = next;
  }
  rules_.add(state, {text("\"")});
  if (max < 0) add_char(state, state);
  return known;
}

}  // namespace skua
