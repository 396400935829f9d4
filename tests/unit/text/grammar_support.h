#pragma once

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/json.h"
#include "text/grammar.h"
#include "text/utf8.h"

namespace skua::test {

/** A tokenizer of all 256 bytes, then `more` tokens (ASCII without blanks),
 *  then the special token <end>. */
inline std::shared_ptr<const Tokenizer> byte_tokenizer(
    const std::vector<std::string>& more = {}) {
  Json vocabulary = Json::object();
  // The printable stand-ins of GPT-2 for bytes.
  char32_t next = 256;
  for (int byte = 0; byte < 256; ++byte) {
    const bool printable =
        (byte > 32 && byte < 127) || (byte > 160 && byte < 256 && byte != 173);
    std::string piece;
    append_utf8(piece, printable ? static_cast<char32_t>(byte) : next++);
    vocabulary[piece] = byte;
  }
  for (const auto& token : more) vocabulary[token] = vocabulary.size();
  Json json = {
      {"model",
       {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", Json::array()}}},
      {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}}},
      {"decoder", {{"type", "ByteLevel"}}}};
  json["added_tokens"] = Json::array(
      {{{"id", vocabulary.size()}, {"content", "<end>"}, {"special", true}}});
  return parse_tokenizer_json(json.dump(), "test");
}

/** Compiles grammars over bytes and asks what they accept. */
class ByteGrammars {
 public:
  explicit ByteGrammars(const std::vector<std::string>& more = {},
                        GrammarLimits limits = {})
      : tokenizer(byte_tokenizer(more)),
        end(tokenizer->size() - 1),
        compiler(*tokenizer, {end}, tokenizer->size(), limits) {}

  /** Whether `text` is a whole answer under the grammar, byte by byte. */
  bool accepts(const std::shared_ptr<const CompiledGrammar>& grammar,
               const std::string& text) const {
    GrammarMatcher matcher(grammar);
    for (const char c : text)
      if (!matcher.accept(static_cast<unsigned char>(c))) return false;
    return matcher.can_end();
  }
  bool accepts(const Grammar& grammar, const std::string& text) {
    return accepts(compiler.compile(grammar), text);
  }

  std::vector<std::uint32_t> mask(GrammarMatcher& matcher) const {
    std::vector<std::uint32_t> bits((tokenizer->size() + 31) / 32);
    matcher.fill_mask(bits);
    return bits;
  }

  std::shared_ptr<const Tokenizer> tokenizer;
  std::int32_t end;
  GrammarCompiler compiler;
};

/** The value with the properties of each object in every order, as far as
 *  there are few. */
inline std::vector<Json> all_orders(const Json& value) {
  constexpr std::size_t kMax = 200;
  std::vector<Json> result = {value.is_array() ? Json::array()
                                               : Json::object()};
  if (!value.is_structured()) return {value};
  const auto extend = [&](const std::string& name, const Json& member) {
    std::vector<Json> longer;
    for (const auto& begun : result) {
      for (const auto& order : all_orders(member)) {
        if (longer.size() == kMax) break;
        longer.push_back(begun);
        if (value.is_array()) {
          longer.back().push_back(order);
        } else {
          longer.back()[name] = order;
        }
      }
    }
    result = std::move(longer);
  };
  if (value.is_array()) {
    for (const auto& member : value) extend("", member);
    return result;
  }
  std::vector<std::string> names;
  for (const auto& [name, member] : value.items()) names.push_back(name);
  if (names.size() > 4) {
    for (const auto& name : names) extend(name, value[name]);
    return result;
  }
  std::vector<Json> all;
  std::sort(names.begin(), names.end());
  do {
    result = {Json::object()};
    for (const auto& name : names) extend(name, value[name]);
    all.insert(all.end(), result.begin(), result.end());
  } while (all.size() < kMax &&
           std::next_permutation(names.begin(), names.end()));
  return all;
}

/** Whether a grammar takes the value in some order of its properties, written
 *  in UTF-8 or in ASCII. */
inline bool accepts_in_some_order(
    const ByteGrammars& grammars,
    const std::shared_ptr<const CompiledGrammar>& grammar, const Json& value) {
  for (const auto& order : all_orders(value))
    for (const bool ascii : {false, true})
      if (grammars.accepts(grammar, order.dump(-1, ' ', ascii))) return true;
  return false;
}

inline Grammar regex(const std::string& source) {
  return {Grammar::Kind::kRegex, source, {}};
}
inline Grammar ebnf(const std::string& source) {
  return {Grammar::Kind::kEbnf, source, {}};
}
inline Grammar schema(const std::string& source) {
  return {Grammar::Kind::kJsonSchema, source, {}};
}
inline Grammar choice(std::vector<std::string> choices) {
  return {Grammar::Kind::kChoice, "", std::move(choices)};
}

}  // namespace skua::test
