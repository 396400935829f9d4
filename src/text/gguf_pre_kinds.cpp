#include "text/gguf_pre_kinds.h"

#include <map>

#include "text/pre_tokenizer.h"

namespace skua {
namespace {

#define SKUA_ENDINGS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define SKUA_SPACES "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define SKUA_LETTERS "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
#define SKUA_SYMBOLS "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
#define SKUA_UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define SKUA_LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define SKUA_NO_HAN "(?:(?!\\p{Han})"

constexpr std::string_view kDigit = "\\p{N}";
constexpr std::string_view kThreeDigits = "[0-9][0-9][0-9]";
constexpr std::string_view kLineBreak = "[\\r\\n]";
constexpr std::string_view kHanKana =
    "[\\x{4e00}-\\x{9fa5}\\x{3040}-\\x{309f}\\x{30a0}-\\x{30ff}]+";
constexpr std::string_view kDeepSeekAsian =
    "[\\x{4e00}-\\x{9fa5}\\x{0800}-\\x{4e00}\\x{ac00}-\\x{d7ff}]+";
constexpr std::string_view kLlama3 =
    SKUA_ENDINGS "|" SKUA_LETTERS "|\\p{N}{1,3}" SKUA_SYMBOLS SKUA_SPACES;
constexpr std::string_view kQwen2 =
    SKUA_ENDINGS "|" SKUA_LETTERS "|\\p{N}" SKUA_SYMBOLS SKUA_SPACES;
constexpr std::string_view kQwen35 = SKUA_ENDINGS
    "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}"
    "| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*" SKUA_SPACES;
constexpr std::string_view kDeepSeek3 =
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+"
    "|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
    "| ?[\\p{P}\\p{S}]+[\\r\\n]*" SKUA_SPACES;
// Its list of cased letters, which leaves out the mathematical alphabets.
constexpr std::string_view kDeepSeekLetters =
    "\\s?(?:(?![\\x{1d400}-\\x{1d7ff}])[\\p{Lu}\\p{Ll}\\p{Lt}])+";
constexpr std::string_view kDeepSeekSymbols =
    "\\s?[!-/:-~\\x{ff01}-\\x{ff0f}\\x{ff1a}-\\x{ff5e}"
    "\\x{2018}-\\x{201f}\\x{3000}-\\x{3002}]+";
constexpr std::string_view kTekken =
    "[^\\r\\n\\p{L}\\p{N}]?" SKUA_UPPER "*" SKUA_LOWER
    "+|[^\\r\\n\\p{L}\\p{N}]?" SKUA_UPPER "+" SKUA_LOWER
    "*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" SKUA_SPACES;
constexpr std::string_view kGpt4o =
    "[^\\r\\n\\p{L}\\p{N}]?" SKUA_UPPER "*" SKUA_LOWER "+" SKUA_ENDINGS
    "?|[^\\r\\n\\p{L}\\p{N}]?" SKUA_UPPER "+" SKUA_LOWER "*" SKUA_ENDINGS
    "?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" SKUA_SPACES;
constexpr std::string_view kKimi =
    "\\p{Han}+|[^\\r\\n\\p{L}\\p{N}]?" SKUA_NO_HAN SKUA_UPPER
    ")*" SKUA_NO_HAN SKUA_LOWER ")+" SKUA_ENDINGS
    "?|[^\\r\\n\\p{L}\\p{N}]?" SKUA_NO_HAN SKUA_UPPER
    ")+" SKUA_NO_HAN SKUA_LOWER ")*" SKUA_ENDINGS
    "?|\\p{N}{1,3}" SKUA_SYMBOLS SKUA_SPACES;
constexpr std::string_view kBailing =
    "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}"
    "| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+";
constexpr std::string_view kSeedCoder = SKUA_ENDINGS
    "|" SKUA_LETTERS "|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+" SKUA_SPACES;
constexpr std::string_view kNoEndings =
    SKUA_LETTERS "|\\p{N}" SKUA_SYMBOLS SKUA_SPACES;
constexpr std::string_view kLlama3Digits =
    SKUA_ENDINGS "|" SKUA_LETTERS "|\\p{N}+" SKUA_SYMBOLS SKUA_SPACES;
constexpr std::string_view kJais2 = SKUA_ENDINGS
    "|" SKUA_LETTERS "|\\p{N}{1,3}" SKUA_SYMBOLS
    "|\\s*[\\r\\n]+|\\s{512}(?!\\S)|\\s{256}(?!\\S)|\\s{128}(?!\\S)"
    "|\\s{64}(?!\\S)|\\s{32}(?!\\S)|\\s{16}(?!\\S)|\\s{8}(?!\\S)"
    "|\\s{4}(?!\\S)|\\s{1,2}(?!\\S)|\\s";
constexpr std::string_view kExaoneMoe = SKUA_ENDINGS
    "|[^\\r\\n\\p{L}\\p{N}]?(?:\\p{L}\\p{M}*(?: \\p{L}\\p{M}*)*)+|\\p{N}"
    "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]?|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+";
constexpr std::string_view kSpark =
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~]"
    "[A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
    "| ?[\\p{P}\\p{S}]+|[\\r\\n]|\\s+(?!\\S)|\\s+";
constexpr std::string_view kYoutu =
    "[^\\r\\n\\p{L}\\p{N}]?" SKUA_UPPER "*" SKUA_LOWER "+" SKUA_ENDINGS
    "?|[^\\r\\n\\p{L}\\p{N}]?" SKUA_UPPER "+" SKUA_LOWER "*" SKUA_ENDINGS
    "?|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" SKUA_SPACES;
constexpr std::string_view kYoutuAsian =
    "[\\x{ac00}-\\x{d7a3}\\x{3131}-\\x{318e}]+"
    "|[\\x{ff01}\\x{2026}\\x{201c}\\x{201d}\\x{2018}\\x{2019}\\x{2014}"
    "\\x{ff1a}\\x{ff1b}\\x{ff0c}\\x{3001}-\\x{303f}\\x{fe30}-\\x{fe4f}]+"
    "|[\\x{3105}-\\x{312f}]+|[\\x{4e00}-\\x{9fa5}\\x{3040}-\\x{30ff}]+";
// Threes of digits, counted from the last.
constexpr std::string_view kAfmoeDigits =
    "\\p{Nd}{1,3}(?=(?:\\p{Nd}{3})*(?!\\p{Nd}))";
constexpr std::string_view kAfmoeAsian =
    "[\\x{4e00}-\\x{9fff}\\x{3400}-\\x{4dbf}\\x{f900}-\\x{faff}"
    "\\x{3040}-\\x{30ff}\\x{ff65}-\\x{ff9f}\\x{2f00}-\\x{2fdf}"
    "\\x{0e40}-\\x{0e7f}\\x{0e80}-\\x{0eff}\\x{1780}-\\x{17ff}"
    "\\x{1000}-\\x{109f}\\x{aa60}-\\x{aa7f}\\x{a9e0}-\\x{a9ff}"
    "\\x{ac00}-\\x{d7af}\\x{1100}-\\x{11ff}]+";
constexpr std::string_view kLines = "[^\\n]+|[\\n]+";
constexpr std::string_view kBloom =
    " ?[^(\\s|.,!?\\x{2026}\\x{3002}\\x{ff0c}\\x{3001}\\x{0964}\\x{06d4}"
    "\\x{060c})]+";

#undef SKUA_ENDINGS
#undef SKUA_SPACES
#undef SKUA_LETTERS
#undef SKUA_SYMBOLS
#undef SKUA_UPPER
#undef SKUA_LOWER
#undef SKUA_NO_HAN

using Table = std::map<std::string_view, PreKind>;

Table make_table() {
  Table table;
  const auto add = [&](std::vector<std::string_view> names, PreKind kind) {
    for (const auto name : names) table[name] = kind;
  };
  const std::string_view gpt2 = kGpt2Pattern;
  add({"gpt-2", "phi-2", "jina-es", "jina-de", "jina-v2-es", "jina-v2-de",
       "gigachat", "a.x-4.0", "mellum", "modern-bert", "exaone4", "jais",
       "trillion", "granite-docling"},
      {.patterns = {gpt2}});
  add({"mpt", "olmo"}, {.patterns = {gpt2}, .nfc = true});
  add({"default"}, {.patterns = {"[\\p{P}\\$\\+<=>\\^~\\|]+", gpt2, "\\p{N}+",
                                 kThreeDigits}});
  add({"starcoder", "refact", "command-r", "smollm", "codeshell", "exaone",
       "minerva-7b", "mellum2"},
      {.patterns = {kDigit, gpt2}});
  add({"llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral",
       "midm-2.0", "lfm2", "jina-v5-nano"},
      {.patterns = {kLlama3}, .ignore_merges = true, .add_bos = true});
  add({"dbrx", "smaug-bpe", "glm4", "chatglm-bpe"}, {.patterns = {kLlama3}});
  add({"qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "megrez", "stablelm2"},
      {.patterns = {kQwen2}, .nfc = true});
  add({"hunyuan", "solar-open", "grok-2"}, {.patterns = {kQwen2}});
  add({"qwen35"}, {.patterns = {kQwen35}, .nfc = true});
  add({"deepseek-llm"},
      {.patterns = {kLineBreak, kDeepSeekLetters, kDeepSeekSymbols, "\\s+$",
                    kDeepSeekAsian, "\\p{N}+"}});
  add({"deepseek-coder"},
      {.patterns = {kLineBreak, "\\s?\\p{L}+", "\\s?\\p{P}+", kDeepSeekAsian,
                    kDigit}});
  add({"deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"},
      {.patterns = {"\\p{N}{1,3}", kHanKana, kDeepSeek3}});
  add({"falcon"},
      {.patterns = {"[\\p{P}\\$\\+<=>\\^~\\|`]+", gpt2, kThreeDigits}});
  add({"tekken"},
      {.patterns = {kTekken}, .ignore_merges = true, .add_bos = true});
  add({"gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"},
      {.patterns = {kGpt4o}});
  add({"tiny_aya", "cohere2moe"},
      {.patterns = {"\\d{1,3}(?=(?:\\d{3})*\\b)", kGpt4o}});
  add({"kimi-k2"}, {.patterns = {kKimi}});
  add({"bailingmoe", "bailingmoe2", "llada-moe"}, {.patterns = {kBailing}});
  add({"seed-coder"}, {.patterns = {kSeedCoder}});
  add({"bloom", "poro-chat", "gpt3-finnish"}, {.patterns = {kBloom}});
  add({"viking"}, {.patterns = {kBloom, kDigit}});
  add({"jina-v1-en", "jina-v2-code", "roberta-bpe"},
      {.patterns = {gpt2}, .add_sep = true});
  add({"minicpm5"},
      {.patterns = {"\\p{N}{1,3}", kLlama3Digits}, .ignore_merges = true});
  add({"jais-2"}, {.patterns = {kJais2}});
  add({"spark2_5"}, {.patterns = {"\\p{N}{1,3}", kHanKana, kSpark, kDigit}});
  add({"youtu"}, {.patterns = {kYoutuAsian, kYoutu}, .ignore_merges = true});
  add({"ufakzeka"}, {.patterns = {kNoEndings}});
  add({"afmoe"}, {.patterns = {kAfmoeDigits, kAfmoeAsian, kDeepSeek3}});
  add({"laguna"}, {.patterns = {kLines, kQwen2}});
  add({"exaone-moe"}, {.patterns = {kExaoneMoe}});
  add({"granite-embed-multi-97m"},
      {.patterns = {kGpt4o}, .ignore_merges = true});
  add({"chameleon"},
      {.patterns = {"<sentinel:[0-9]+>", "IMGIMG[A-I]{1,4}Z",
                    "[\\t\\n]|    |  ", kDigit, "[\\p{P}!-/:-@\\[-`{-~]", gpt2},
       .add_bos = true});
  // Whole tokens: its merges leave out those of line breaks.
  add({"gemma4", "granite-embed-multi-311m"}, {.patterns = {kLines},
                                               .ignore_merges = true,
                                               .marks_spaces = true,
                                               .byte_level = false});
  add({"sarvam-moe"},
      {.patterns = {kLines}, .marks_spaces = true, .byte_level = false});
  add({"whitespace"}, {.patterns = {"\\S+"}, .byte_level = false});
  add({"superbpe"}, {.patterns = {"\\p{N}+", "(?=(\\d{3})+(?!\\d))"}});
  return table;
}

}  // namespace

const PreKind* find_pre_kind(std::string_view name) {
  static const Table table = make_table();
  const auto found = table.find(name);
  return found == table.end() ? nullptr : &found->second;
}

}  // namespace skua
