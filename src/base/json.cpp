#include "base/json.h"

#include "base/file.h"
#include "skua/error.h"

namespace skua {
namespace {

constexpr int kMaxDepth = 128;

}  // namespace

Json parse_json(std::string_view text, const std::string& where) {
  const auto limit_depth = [&](int depth, Json::parse_event_t, Json&) {
    if (depth > kMaxDepth) {
      throw InvalidInput(where, "JSON is nested too deep, expected at most " +
                                    std::to_string(kMaxDepth) + " levels");
    }
    return true;
  };
  try {
    return Json::parse(text, limit_depth);
  } catch (const nlohmann::json::parse_error& error) {
    throw InvalidInput(
        where, "is not valid JSON at byte " + std::to_string(error.byte));
  } catch (const nlohmann::json::exception&) {
    throw InvalidInput(where, "holds a number beyond the range of a double");
  }
}

Json read_json(const std::filesystem::path& path) {
  return parse_json(read_file(path), path.string());
}

std::string dump_json(const Json& value, int indent) {
  return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace skua
