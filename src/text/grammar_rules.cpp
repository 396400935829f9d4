#include "text/grammar_rules.h"

#include <fmt/format.h>

#include <limits>

#include "skua/error.h"
#include "text/utf8.h"

namespace skua {
namespace {

std::string escape(char32_t c) {
  const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                     (c >= 'A' && c <= 'Z');
  if (plain) return std::string(1, static_cast<char>(c));
  const auto code = static_cast<std::uint32_t>(c);
  return c > 0xFFFF ? fmt::format("\\U{:08x}", code)
                    : fmt::format("\\u{:04x}", code);
}

std::string in_quotes(std::string_view text) {
  std::string out = "\"";
  for (std::size_t at = 0; at < text.size();) {
    const auto c = utf8_at(text, at);
    out += escape(c.code);
    at += c.n;
  }
  return out + '"';
}

std::string bracketed(const CharSet& chars) {
  std::string out = "[";
  for (const auto [low, high] : chars.ranges()) {
    out += escape(low);
    if (high > low) out += '-' + escape(high);
  }
  return out + ']';
}

std::string repetition(const GrammarItem& item) {
  if (item.min == 1 && item.max == 1) return "";
  if (item.min == 0 && item.max == -1) return "*";
  if (item.min == 1 && item.max == -1) return "+";
  if (item.min == 0 && item.max == 1) return "?";
  return item.max < 0 ? fmt::format("{{{},}}", item.min)
                      : fmt::format("{{{},{}}}", item.min, item.max);
}

bool may_be_absent(const GrammarItem& item) {
  return item.min == 0 ||
         (item.kind == GrammarItem::Kind::kText && item.text.empty());
}

}  // namespace

GrammarItem GrammarItem::literal(std::string text) {
  GrammarItem item;
  item.text = std::move(text);
  return item;
}

GrammarItem GrammarItem::of(CharSet chars, std::int32_t min, std::int32_t max) {
  GrammarItem item;
  item.kind = Kind::kChars;
  item.chars = std::move(chars);
  item.min = min;
  item.max = max;
  return item;
}

GrammarItem GrammarItem::ref(std::int32_t rule, std::int32_t min,
                             std::int32_t max) {
  GrammarItem item;
  item.kind = Kind::kRule;
  item.rule = rule;
  item.min = min;
  item.max = max;
  return item;
}

std::int32_t GrammarRules::add_rule() {
  if (rules_.size() == kMaxRules)
    throw Unsupported("grammar",
                      fmt::format("it needs more than {} rules", kMaxRules));
  rules_.emplace_back();
  return static_cast<std::int32_t>(rules_.size()) - 1;
}

void GrammarRules::add(std::int32_t rule, GrammarSequence sequence) {
  n_items_ += sequence.size() + 1;
  if (n_items_ > kMaxItems)
    throw Unsupported("grammar",
                      fmt::format("it needs more than {} parts", kMaxItems));
  rules_[rule].push_back(std::move(sequence));
}

void GrammarRules::set_max_chars(std::int32_t rule, std::int64_t n) {
  if (n > std::numeric_limits<std::int32_t>::max())
    throw Unsupported("grammar", fmt::format("a length of {}", n));
  max_chars_[rule] = n;
}

std::int32_t GrammarRules::rule_of(GrammarSequence sequence) {
  const auto rule = add_rule();
  add(rule, std::move(sequence));
  return rule;
}

// Which rules match some text: a worklist over the rules that still wait for
// others.
std::vector<bool> GrammarRules::productive() const {
  struct Waiting {
    std::int32_t rule;
    std::size_t missing;
  };
  std::vector<Waiting> sequences;
  std::vector<std::vector<std::size_t>> users(rules_.size());
  std::vector<bool> good(rules_.size());
  std::vector<std::int32_t> todo;
  const auto mark = [&](std::int32_t rule) {
    if (good[rule]) return;
    good[rule] = true;
    todo.push_back(rule);
  };
  for (std::size_t r = 0; r < rules_.size(); ++r) {
    const auto rule = static_cast<std::int32_t>(r);
    for (const auto& sequence : rules_[r]) {
      std::size_t missing = 0;
      for (const auto& item : sequence) {
        if (may_be_absent(item)) continue;
        if (item.kind == GrammarItem::Kind::kChars && item.chars.empty())
          missing += 2;  // never found
        if (item.kind != GrammarItem::Kind::kRule) continue;
        ++missing;
        users[item.rule].push_back(sequences.size());
      }
      sequences.push_back({rule, missing});
      if (missing == 0) mark(rule);
    }
  }
  while (!todo.empty()) {
    const auto rule = todo.back();
    todo.pop_back();
    for (const auto user : users[rule])
      if (--sequences[user].missing == 0) mark(sequences[user].rule);
  }
  return good;
}

std::string GrammarRules::to_ebnf(std::int32_t root) const {
  const auto good = productive();
  if (!good[root]) return "";
  const auto name = [&](std::int32_t rule) {
    return rule == root ? std::string("root") : fmt::format("r{}", rule);
  };
  const auto usable = [&](const GrammarItem& item) {
    if (item.kind == GrammarItem::Kind::kRule) return bool{good[item.rule]};
    return item.kind == GrammarItem::Kind::kText || !item.chars.empty();
  };
  // Rules that are reached, in the order of first use.
  std::vector<std::int32_t> order = {root};
  std::vector<bool> seen(rules_.size());
  seen[root] = true;
  std::string out;
  for (std::size_t i = 0; i < order.size(); ++i) {
    out += name(order[i]);
    const auto bound = max_chars_.find(order[i]);
    if (bound != max_chars_.end())
      out += fmt::format("[max_chars={}]", bound->second);
    out += " ::=";
    bool first = true;
    for (const auto& sequence : rules_[order[i]]) {
      std::string parts;
      bool drop = false;
      for (const auto& item : sequence) {
        if (!usable(item)) {
          drop = drop || !may_be_absent(item);
          continue;
        }
        switch (item.kind) {
          case GrammarItem::Kind::kText:
            if (!item.text.empty()) parts += ' ' + in_quotes(item.text);
            break;
          case GrammarItem::Kind::kChars:
            parts += ' ' + bracketed(item.chars) + repetition(item);
            break;
          case GrammarItem::Kind::kRule:
            parts += ' ' + name(item.rule) + repetition(item);
            break;
        }
      }
      if (drop) continue;
      for (const auto& item : sequence) {
        if (item.kind != GrammarItem::Kind::kRule || !usable(item)) continue;
        if (!seen[item.rule]) order.push_back(item.rule);
        seen[item.rule] = true;
      }
      out += (first ? "" : " |") + (parts.empty() ? " \"\"" : parts);
      first = false;
    }
    out += '\n';
  }
  return out;
}

}  // namespace skua
