#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <iostream>
#include <thread>

#include "skua/error.h"
#include "tests/support.h"
#include "tests/unit/text/grammar_support.h"

namespace skua::test {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(Grammar, KeysTellGrammarsApart) {
  EXPECT_EQ(choice({"a", "b"}).key(), choice({"a", "b"}).key());
  EXPECT_NE(choice({"a", "b"}).key(), choice({"ab"}).key());
  EXPECT_NE(choice({"a", "b"}).key(), choice({"b", "a"}).key());
  EXPECT_NE(regex("a").key(), ebnf("a").key());
}

TEST(Grammar, ChoiceTakesWholeTexts) {
  ByteGrammars grammars;
  const auto grammar = choice({"yes", "yesterday", "no", "\xc3\xa4"});
  for (const char* text : {"yes", "yesterday", "no", "\xc3\xa4"})
    EXPECT_TRUE(grammars.accepts(grammar, text)) << text;
  for (const char* text : {"", "ye", "yest", "noo", "yesno", "\xc3"})
    EXPECT_FALSE(grammars.accepts(grammar, text)) << text;
}

TEST(Grammar, MaskAndAcceptAgree) {
  ByteGrammars grammars({"ye", "yes", "esno"});
  GrammarMatcher matcher(grammars.compiler.compile(choice({"yes", "no"})));
  const auto allowed = [&] {
    const auto bits = grammars.mask(matcher);
    std::set<std::int32_t> ids;
    for (std::int32_t id = 0; id < grammars.tokenizer->size(); ++id)
      if (bits[id / 32] >> (id % 32) & 1) ids.insert(id);
    return ids;
  };
  const auto id = [&](const char* piece) {
    return grammars.tokenizer->id_of(piece).value();
  };
  EXPECT_EQ(allowed(), (std::set<std::int32_t>{'n', 'y', id("ye"), id("yes")}));
  EXPECT_FALSE(matcher.accept('x'));
  EXPECT_FALSE(matcher.accept(grammars.end));
  EXPECT_FALSE(matcher.accept(-1));
  EXPECT_FALSE(matcher.accept(100000));
  EXPECT_TRUE(matcher.accept(id("ye")));
  EXPECT_EQ(matcher.forced_text(), "s");
  EXPECT_FALSE(matcher.accept(id("esno")));
  EXPECT_TRUE(matcher.accept('s'));
  EXPECT_TRUE(matcher.can_end());
  EXPECT_TRUE(matcher.is_over());
  EXPECT_EQ(matcher.forced_text(), "");
  EXPECT_EQ(allowed(), (std::set<std::int32_t>{grammars.end}));
  EXPECT_TRUE(matcher.accept(grammars.end));
  EXPECT_TRUE(matcher.is_over());
  EXPECT_EQ(allowed(), std::set<std::int32_t>{});
  EXPECT_FALSE(matcher.accept(grammars.end));
  matcher.rollback(2);
  EXPECT_EQ(allowed(), (std::set<std::int32_t>{'s'}));
  matcher.rollback(1);
  EXPECT_EQ(allowed(), (std::set<std::int32_t>{'n', 'y', id("ye"), id("yes")}));
  EXPECT_THROW(matcher.rollback(1), InvalidInput);
}

TEST(Grammar, IsOverOnlyWhereNothingMayFollow) {
  ByteGrammars grammars;
  GrammarMatcher matcher(grammars.compiler.compile(regex("ab*")));
  EXPECT_TRUE(matcher.accept('a'));
  EXPECT_TRUE(matcher.can_end());
  EXPECT_FALSE(matcher.is_over());
}

TEST(Grammar, MaskCoversPaddedLogits) {
  const auto tokenizer = byte_tokenizer();
  GrammarCompiler compiler(*tokenizer, {256}, 320);
  GrammarMatcher matcher(compiler.compile(regex("[^a]?")));
  std::vector<std::uint32_t> bits(10, ~std::uint32_t{0});
  matcher.fill_mask(bits);
  EXPECT_EQ(bits[256 / 32], 1u);  // the end alone; nothing behind it
  EXPECT_EQ(bits[9], 0u);
  EXPECT_EQ(bits['a' / 32] >> ('a' % 32) & 1, 0u);
  std::vector<std::uint32_t> narrow(9);
  EXPECT_THROW(matcher.fill_mask(narrow), InvalidInput);
  EXPECT_THROW(GrammarCompiler(*tokenizer, {256}, 256), InvalidInput);
  EXPECT_THROW(GrammarCompiler(*tokenizer, {320}, 320), InvalidInput);
}

TEST(Grammar, CompilerKeepsWhatItCompiled) {
  ByteGrammars grammars;
  const auto first = grammars.compiler.compile(regex("a+"));
  EXPECT_EQ(first, grammars.compiler.compile(regex("a+")));
  EXPECT_NE(first, grammars.compiler.compile(regex("a*")));

  const auto tokenizer = byte_tokenizer();
  GrammarCompiler small(*tokenizer, {256}, 257, {.max_cache_bytes = 1});
  const auto kept = small.compile(regex("a+"));
  EXPECT_EQ(kept, small.compile(regex("a+")));
  EXPECT_NE(small.compile(regex("b")), nullptr);
  EXPECT_NE(kept, small.compile(regex("a+")));
}

TEST(Grammar, RegexMatchesTheWholeAnswer) {
  ByteGrammars grammars;
  const auto date = regex(R"(\d{4}-\d{2}(-\d{2})?)");
  EXPECT_TRUE(grammars.accepts(date, "2024-02"));
  EXPECT_TRUE(grammars.accepts(date, "2024-02-29"));
  EXPECT_FALSE(grammars.accepts(date, "x2024-02"));
  EXPECT_FALSE(grammars.accepts(date, "2024-02x"));
  EXPECT_TRUE(grammars.accepts(regex("[\\u00e4\\p{Lu}]+"), "\xc3\xa4\xc3\x84"));
  EXPECT_FALSE(grammars.accepts(regex("[\\u00e4\\p{Lu}]+"), "a"));
  EXPECT_FALSE(grammars.accepts(regex("."), "\n"));
}

TEST(Grammar, RegexNamesThePlaceOfAMistake) {
  ByteGrammars grammars;
  const auto compile = [&](const char* source) {
    return [&grammars, source] { grammars.compiler.compile(regex(source)); };
  };
  EXPECT_THAT(compile("a(b"), ThrowsMessage<InvalidInput>(HasSubstr("byte 3")));
  EXPECT_THAT(compile("a)"), ThrowsMessage<InvalidInput>(HasSubstr("byte 1")));
  EXPECT_THAT(compile("[z-a]"),
              ThrowsMessage<InvalidInput>(HasSubstr("out of order")));
  EXPECT_THAT(compile("(?=a)b"),
              ThrowsMessage<Unsupported>(HasSubstr("lookahead")));
  EXPECT_THAT(compile("(a)\\1"),
              ThrowsMessage<Unsupported>(HasSubstr("backreference")));
  EXPECT_THAT(compile("a$b"),
              ThrowsMessage<InvalidInput>(HasSubstr("no text matches")));
  EXPECT_THROW(compile("(?:a{1000}){1000}")(), Unsupported);
  EXPECT_THROW(compile("(.*a.{30}){9}")(), Unsupported);
}

TEST(Grammar, ReadsGbnf) {
  ByteGrammars grammars;
  const auto grammar = ebnf(
      "# a list\n"
      "root ::= item (\",\" item){1,2} tail\n"
      "item ::= [a-c\\x30-9] | \"\\\"\" [^\"\\n]* \"\\\"\"\n"
      "  | \"\\u00e4\"\n"
      "tail ::= | \".\" . # any character\n");
  for (const char* text :
       {"a,b", "c,9,0", "\"x y\",a", "\xc3\xa4,a.!", "a,a.\xc3\xa4"})
    EXPECT_TRUE(grammars.accepts(grammar, text)) << text;
  for (const char* text : {"a", "a,b,c,a", "d,a", "a,b.", "a,b..."})
    EXPECT_FALSE(grammars.accepts(grammar, text)) << text;
  // Two digits and no more belong to \x.
  EXPECT_TRUE(grammars.accepts(ebnf("root ::= \"\\x41B\""), "AB"));
}

TEST(Grammar, GbnfNamesThePlaceOfAMistake) {
  ByteGrammars grammars;
  const auto compile = [&](std::string source) {
    return [&grammars, source] { grammars.compiler.compile(ebnf(source)); };
  };
  EXPECT_THAT(compile("root ::= \"a\"\nx = y"),
              ThrowsMessage<InvalidInput>(HasSubstr("line 2")));
  EXPECT_THAT(compile("root ::= missing"),
              ThrowsMessage<InvalidInput>(HasSubstr("'missing'")));
  EXPECT_THAT(compile("rule ::= \"a\""),
              ThrowsMessage<InvalidInput>(HasSubstr("'root'")));
  EXPECT_THAT(compile("root ::= \"\\q\""),
              ThrowsMessage<InvalidInput>(HasSubstr("escape")));
  EXPECT_THAT(compile("root ::= [a"),
              ThrowsMessage<InvalidInput>(HasSubstr("']'")));
  EXPECT_THAT(compile("root ::= root \"a\""),
              ThrowsMessage<InvalidInput>(HasSubstr("no text matches")));
  EXPECT_THROW(compile("root ::= " + std::string(100, '('))(), InvalidInput);
}

TEST(Grammar, ThreadsShareACompiledGrammar) {
  ByteGrammars grammars;
  const std::string text = R"({"name": "a b c", "list": [1, 2, {"x": null}]})";
  std::atomic<int> whole = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      GrammarMatcher matcher(grammars.compiler.compile(schema("true")));
      for (const char c : text) {
        const auto bits = grammars.mask(matcher);
        const auto id = static_cast<unsigned char>(c);
        if (!(bits[id / 32] >> (id % 32) & 1) || !matcher.accept(id)) return;
      }
      whole += matcher.can_end();
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(whole, 4);
}

TEST(Grammar, ThreadsCompileAtTheSameTime) {
  const auto tokenizer = byte_tokenizer();
  GrammarCompiler compiler(*tokenizer, {256}, 257, {.max_cache_bytes = 1});
  std::atomic<int> n_right = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int n = 1; n <= 20; ++n) {
        const std::string count = std::to_string(n % 5 + 1);
        GrammarMatcher matcher(compiler.compile(regex("a{" + count + "}")));
        for (int i = 0; i < n % 5 + 1; ++i) matcher.accept('a');
        n_right += matcher.can_end() && !matcher.accept('a');
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(n_right, 4 * 20);
}

TEST(Grammar, ReadsTheGbnfAssets) {
  SKUA_ASSET_OR_SKIP(folder, "schema/gbnf");
  ByteGrammars grammars;
  int passed = 0, total = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".gbnf") continue;
    ++total;
    const auto grammar =
        grammars.compiler.compile(ebnf(read_text(entry.path())));
    GrammarMatcher matcher(grammar);
    const auto bits = grammars.mask(matcher);
    passed += std::any_of(bits.begin(), bits.end(),
                          [](std::uint32_t word) { return word != 0; });
  }
  std::cout << "schema/gbnf: " << passed << " of " << total
            << " grammars read\n";
  EXPECT_GT(total, 0);
  EXPECT_EQ(passed, total);
}

}  // namespace
}  // namespace skua::test
