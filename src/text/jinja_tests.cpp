#include <algorithm>
#include <cmath>
#include <map>

#include "text/jinja_eval.h"

namespace skua::jinja {
namespace {

using Test = bool (*)(Interpreter&, const Value&, const Args&);

template <char kFirst, bool kOrEqual>
bool ordered(Interpreter& interpreter, const Value& value, const Args& args) {
  const auto bound = bind(args, "comparison", {""}, 1);
  const int order = interpreter.heap().compare(value, *bound[0]);
  return order == 0 ? kOrEqual : (order < 0) == (kFirst == '<');
}

bool equal(Interpreter& interpreter, const Value& value, const Args& args) {
  return interpreter.heap().equal(value, *bind(args, "eq", {""}, 1)[0]);
}

bool not_equal(Interpreter& interpreter, const Value& value, const Args& args) {
  return !equal(interpreter, value, args);
}

bool in(Interpreter& interpreter, const Value& value, const Args& args) {
  return interpreter.contains(value, *bind(args, "in", {"seq"}, 1)[0]);
}

/** value % divisor == 0, for integers and floats alike. */
bool divides(Interpreter& interpreter, const Value& value, Int divisor,
             bool expected) {
  if (!value.is_number()) {
    const Value rest = interpreter.binary("%", value, divisor);
    return interpreter.heap().equal(rest, Int{0}) == expected;
  }
  return (interpreter.binary("%", value, divisor).number() == 0) == expected;
}

bool divisible_by(Interpreter& interpreter, const Value& value,
                  const Args& args) {
  const auto bound = bind(args, "divisibleby", {"num"}, 1);
  return interpreter.heap().equal(interpreter.binary("%", value, *bound[0]),
                                  Int{0});
}

bool is_cased(const Value& value, Heap& heap, bool upper) {
  bool any = false;
  const std::string text = heap.str(value);
  for (std::size_t pos = 0; pos < text.size();) {
    const char32_t c = next_char(text, pos);
    if (upper ? is_lower(c) : is_upper(c)) return false;
    any |= upper ? is_upper(c) : is_lower(c);
  }
  return any;
}

bool is_iterable(const Value& value) {
  return value.string() || value.sequence() || value.dict() ||
         value.is_undefined();
}

bool is_sequence(const Value& value) {
  return value.string() || value.dict() || value.is_undefined() ||
         (value.sequence() && value.sequence()->kind <= SequenceKind::kRange);
}

const std::map<std::string_view, Test>& tests() {
#define SKUA_IS(condition)                                         \
  [](Interpreter&, const Value& value, const Args& args) -> bool { \
    bind(args, "test", {});                                        \
    return (condition);                                            \
  }
  static const std::map<std::string_view, Test> kTests = {
      {"boolean", SKUA_IS(value.boolean() != nullptr)},
      {"callable", SKUA_IS(value.object() && value.object()->callable())},
      {"defined", SKUA_IS(!value.is_undefined())},
      {"undefined", SKUA_IS(value.is_undefined())},
      {"none", SKUA_IS(value.is_none())},
      {"true", SKUA_IS(value.boolean() && *value.boolean())},
      {"false", SKUA_IS(value.boolean() && !*value.boolean())},
      {"float", SKUA_IS(value.floating() != nullptr)},
      {"integer", SKUA_IS(value.integer() && !value.boolean())},
      {"number", SKUA_IS(value.is_number())},
      {"string", SKUA_IS(value.string() != nullptr)},
      {"mapping", SKUA_IS(value.dict() != nullptr)},
      {"escaped", SKUA_IS(value.string() && value.string()->markup)},
      {"iterable", SKUA_IS(is_iterable(value))},
      {"sequence", SKUA_IS(is_sequence(value))},
      {"odd",
       [](Interpreter& interpreter, const Value& value, const Args&) {
         return interpreter.heap().equal(interpreter.binary("%", value, Int{2}),
                                         Int{1});
       }},
      {"even",
       [](Interpreter& interpreter, const Value& value, const Args&) {
         return divides(interpreter, value, 2, true);
       }},
      {"divisibleby", divisible_by},
      {"lower",
       [](Interpreter& interpreter, const Value& value, const Args&) {
         return is_cased(value, interpreter.heap(), false);
       }},
      {"upper",
       [](Interpreter& interpreter, const Value& value, const Args&) {
         return is_cased(value, interpreter.heap(), true);
       }},
      {"sameas",
       [](Interpreter&, const Value& value, const Args& args) {
         return value.same_as(*bind(args, "sameas", {"other"}, 1)[0]);
       }},
      {"in", in},
      {"==", equal},
      {"eq", equal},
      {"equalto", equal},
      {"!=", not_equal},
      {"ne", not_equal},
      {"<", ordered<'<', false>},
      {"lt", ordered<'<', false>},
      {"lessthan", ordered<'<', false>},
      {"<=", ordered<'<', true>},
      {"le", ordered<'<', true>},
      {">", ordered<'>', false>},
      {"gt", ordered<'>', false>},
      {"greaterthan", ordered<'>', false>},
      {">=", ordered<'>', true>},
      {"ge", ordered<'>', true>},
  };
#undef SKUA_IS
  return kTests;
}

}  // namespace

bool is_known_filter(std::string_view name);

bool Interpreter::test(std::string_view name, const Value& value,
                       const Args& args) {
  heap_.step();
  if (name == "filter" || name == "test") {
    const std::string& each = text_of(value, name);
    return name == "filter" ? is_known_filter(each) : tests().contains(each);
  }
  const auto found = tests().find(name);
  if (found == tests().end()) {
    throw Failure{"No test named '" + std::string(name) + "' found."};
  }
  return found->second(*this, value, args);
}

}  // namespace skua::jinja
