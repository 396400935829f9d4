#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/hub.h"

namespace skua::hub {

using Names = std::vector<std::string>;

/** Whether a file name from a server may be used below a folder: relative,
 *  no '.' or '..' component, no control character or backslash. */
bool is_safe_name(std::string_view name);

/** Whether `text` is `n_digits` lower-case hexadecimal digits. */
bool is_hex(std::string_view text, std::size_t n_digits);

/** Configuration, tokenizer and template files among `names`. */
Names metadata_files(const Names& names);

/** The safetensors files that make up the model, given that it has no index:
 *  model.safetensors, else every one of the top folder that is no adapter and
 *  no second copy. Empty where there is none. */
Names safetensors_files(const Names& names);

/** The .gguf file that `wanted` names among `names`: its full name, its
 *  quantisation, or, where `wanted` is empty, the only one there is. A model
 *  in parts is named by its first. Throws NotFound, InvalidInput (ambiguous);
 *  both list the files. `where` starts their text. */
std::string choose_gguf(const Names& names, const std::string& wanted,
                        const std::string& where);

/** All parts of a .gguf file "x-00001-of-0000N.gguf", else the name alone. */
Names gguf_parts(const std::string& name);

}  // namespace skua::hub
