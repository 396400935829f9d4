#pragma once

#include <string>

#include "base/json.h"

namespace skua::cli {

/** Whether an argument is JSON itself, not the name of a file: it begins with
 *  '{' or '['. */
bool is_json_text(const std::string& argument);

/** The JSON that an argument is, or that the file of this name holds.
 *  Throws InvalidInput, NotFound, Error; those about text name `where`. */
Json json_argument(const std::string& argument, const std::string& where);

}  // namespace skua::cli
