#pragma once

#include <map>
#include <string_view>

#include "text/jinja_eval.h"

namespace skua::jinja {

using Filter = Value (*)(Interpreter&, const Value&, const Args&);
using FilterTable = std::map<std::string_view, Filter>;

void add_text_filters(FilterTable& table);
void add_number_filters(FilterTable& table);
void add_sequence_filters(FilterTable& table);
void add_selection_filters(FilterTable& table);

/** `item.attribute` for filters: dots and numbers lead to nested items. */
Value get_path(Interpreter& interpreter, Value item, const Value& attribute,
               const Value* fallback = nullptr);

/** Strings in lower case, other values as they are. */
Value ignore_case(Heap& heap, const Value& value);

}  // namespace skua::jinja
