#include "text/value_spelling.h"

namespace skua {
namespace {

ValueSpelling python() {
  return {.true_word = "True",
          .false_word = "False",
          .null_word = "None",
          // Python knows neither "\/" nor pairs of surrogates.
          .escapes = ValueSpelling::Escapes::kNeeded,
          .outermost = {"(", "=", ")", true}};
}

// Strings end at a mark that nothing escapes.
ValueSpelling gemma(std::string_view quote) {
  const ObjectSpelling object = {.bare_names = true};
  return {.quote = quote,
          .escapes = ValueSpelling::Escapes::kNone,
          .object = object,
          .outermost = object,
          .forbidden = {quote}};
}

}  // namespace

ValueSpelling value_spelling(LiteralSyntax syntax) {
  switch (syntax) {
    case LiteralSyntax::kPython:
      return python();
    case LiteralSyntax::kGemma4:
      return gemma(kGemma4Quote);
    case LiteralSyntax::kGemma:
      return gemma(kGemmaQuote);
    case LiteralSyntax::kJson:
      break;
  }
  return {};
}

}  // namespace skua
