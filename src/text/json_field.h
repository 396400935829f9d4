#pragma once

#include <simdjson.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace skua {

/** A value of a big JSON file with the way to it, for errors that name file
 *  and field. Views stay valid while the parser lives. */
class JsonField {
 public:
  JsonField(simdjson::dom::element value, std::string where)
      : value_(value), where_(std::move(where)) {}

  const std::string& where() const { return where_; }
  bool is_object() const { return value_.is_object(); }
  bool is_array() const { return value_.is_array(); }
  bool is_string() const { return value_.is_string(); }

  /** Throw InvalidInput where the value is of another kind. */
  std::string_view string() const;
  bool boolean() const;
  /** Also throws where it is outside [0, limit). */
  std::int64_t integer(std::int64_t limit) const;
  simdjson::dom::object object() const;
  simdjson::dom::array array() const;

  /** The member `key`; absent where there is none or it is null. */
  std::optional<JsonField> find(std::string_view key) const;
  /** The same, but throws InvalidInput where it is absent. */
  JsonField at(std::string_view key) const;
  bool boolean_or(std::string_view key, bool fallback) const;

  /** An element of this value, for errors in it. */
  JsonField child(simdjson::dom::element value, std::string_view name) const;

  [[noreturn]] void fail(const std::string& what) const;

 private:
  simdjson::dom::element value_;
  std::string where_;
};

/** The root of the JSON in `text`, owned by `parser`. Throws InvalidInput
 *  naming `where` if it is not an object. */
JsonField parse_big_json(simdjson::dom::parser& parser, std::string_view text,
                         const std::string& where);

}  // namespace skua
