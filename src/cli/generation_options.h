#pragma once

#include <string>

#include "base/json.h"
#include "cli/command.h"
#include "generate/options.h"

namespace skua::cli {

/** "--top-p" for top_p. */
std::string flag_name(const OptionField& field);

/** The JSON value that a field has as text: numbers, "1,2" for token ids,
 *  "7=-1.5,9=-inf" for biases. A text among several is added to `before`. For
 *  a JSON schema or a grammar the text names a file; a schema may stand
 *  itself. Throws InvalidInput naming `where`, and as read_file. */
Json option_value(const OptionField& field, const std::string& where,
                  const std::string& text, const Json& before = {});

/** How option_value would spell what `options` has. */
std::string option_text(const OptionField& field,
                        const GenerationOptions& options);

/** Adds every field of GenerationOptions.
 *  given     gets those on the command line, as read_options() takes them
 *  defaults  what --help shows */
void add_generation_options(Command& command, Json& given,
                            const GenerationOptions& defaults);

}  // namespace skua::cli
