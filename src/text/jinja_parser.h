#pragma once

#include <string_view>

#include "text/jinja_ast.h"

namespace skua::jinja {

/** Statements of a normalised template. Throws PlacedFailure for a fault of
 *  syntax and for nesting beyond 100 levels. Source: the Jinja2 3.1 parser,
 *  with loop controls and Hugging Face's `generation` block. */
Body parse_template(std::string_view source);

}  // namespace skua::jinja
