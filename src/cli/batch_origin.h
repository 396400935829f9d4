#pragma once

#include <string>

#include "base/json.h"
#include "cli/answer.h"

namespace skua::cli {

/** What the answers of a batch depend on beside its lines, each by its name:
 *  the model and its settings(), and of the options those that are not the
 *  default. Stands in the first result for a later run to compare. Throws as
 *  Model::identity(). */
Json origin_of(const Model& model, const AnswerOptions& options, bool raw);

/** Throws InvalidInput that names what differs between the origins of the
 *  results in a file and of those to come. */
void check_origin(const std::string& path, const Json& before, const Json& now);

}  // namespace skua::cli
