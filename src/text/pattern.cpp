#include "text/pattern.h"

#include <fmt/format.h>

#include "text/pattern_nfa.h"
#include "text/pattern_parser.h"
#include "text/utf8.h"

namespace skua {
namespace {

using Kind = PatternNode::Kind;

// Adds what takes one from state `from` through `node`; returns where.
class Builder {
 public:
  std::int32_t add(const PatternNode& node, std::int32_t from) {
    switch (node.kind) {
      case Kind::kChars:
        return add_chars(node.chars, from);
      case Kind::kSequence:
        for (const auto& child : node.children) from = add(child, from);
        return from;
      case Kind::kChoice:
        return add_choice(node, from);
      case Kind::kRepeat:
        return add_repeat(node, from);
      case Kind::kBegin:
        return add_step(from, PatternNfa::Step::kBegin);
      case Kind::kEnd:
        return add_step(from, PatternNfa::Step::kEnd);
    }
    return from;
  }

  std::int32_t add_step(std::int32_t from,
                        PatternNfa::Step step = PatternNfa::Step::kFree) {
    const auto to = nfa.add_state();
    nfa.add_step(from, to, step);
    return to;
  }

  PatternNfa nfa;

 private:
  std::int32_t add_chars(const CharSet& chars, std::int32_t from) {
    const auto to = nfa.add_state();
    nfa.add_chars(from, to, chars);
    return to;
  }

  std::int32_t add_choice(const PatternNode& node, std::int32_t from) {
    const auto end = nfa.add_state();
    for (const auto& child : node.children)
      nfa.add_step(add(child, add_step(from)), end);
    return end;
  }

  std::int32_t add_repeat(const PatternNode& node, std::int32_t from) {
    const auto& child = node.children[0];
    for (std::int32_t i = 0; i < node.min; ++i) from = add(child, from);
    if (node.max < 0) {
      // A state of its own, so that the loop cannot be entered from elsewhere.
      const auto loop = add_step(from);
      nfa.add_step(add(child, loop), loop);
      return add_step(loop);
    }
    const auto end = nfa.add_state();
    for (std::int32_t i = node.min; i < node.max; ++i) {
      nfa.add_step(from, end);
      from = add(child, from);
    }
    nfa.add_step(from, end);
    return end;
  }
};

std::string escaped(std::string_view text) {
  std::string pattern;
  for (const char32_t c : to_utf32(std::string(text)))
    pattern += fmt::format("\\u{{{:x}}}", static_cast<std::uint32_t>(c));
  return pattern;
}

}  // namespace

Dfa compile_pattern(std::string_view pattern, bool search,
                    const std::string& where) {
  const PatternNode tree = PatternParser(pattern, where).parse();
  Builder builder;
  const auto start = builder.nfa.add_state();
  auto from = start;
  if (search) {
    // Either begin at once, where ^ holds, or behind some characters.
    const auto skip = builder.nfa.add_state();
    from = builder.add_step(start);
    builder.nfa.add_chars(start, skip, CharSet::any());
    builder.nfa.add_chars(skip, skip, CharSet::any());
    builder.nfa.add_step(skip, from);
  }
  auto accept = builder.add(tree, from);
  if (search) {
    accept = builder.add_step(accept);
    builder.nfa.add_chars(accept, accept, CharSet::any());
  }
  return builder.nfa.determinise(start, accept);
}

Dfa dfa_without(const std::vector<std::string_view>& marks) {
  std::vector<Dfa> found;
  for (const auto mark : marks)
    if (!mark.empty())
      found.push_back(compile_pattern(escaped(mark), true, "mark"));
  return found.empty() ? dfa_any() : dfa_not(dfa_any_of(std::move(found)));
}

}  // namespace skua
