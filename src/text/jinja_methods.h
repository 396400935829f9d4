#pragma once

#include <map>
#include <string_view>

#include "text/jinja_eval.h"

namespace skua::jinja {

using StringMethod = Value (*)(Interpreter&, const Value&, const Args&);
using MethodTable = std::map<std::string_view, StringMethod>;

/** Methods that find, split, join and replace. */
void add_search_methods(MethodTable& table);

}  // namespace skua::jinja
