#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace skua {

/** Keeps the order of keys, which templates and messages show to users. */
using Json = nlohmann::ordered_json;

/** Parses strict JSON text (UTF-8, no comments) nested at most 128 deep.
 *  Throws InvalidInput that names `where` and the byte. */
Json parse_json(std::string_view text, const std::string& where);

/** parse_json of a file; throws NotFound, Error, InvalidInput. */
Json read_json(const std::filesystem::path& path);

/** Compact text; bytes that are not UTF-8 become U+FFFD. */
std::string dump_json(const Json& value, int indent = -1);

}  // namespace skua
