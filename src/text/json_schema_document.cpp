#include "text/json_schema_document.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <set>

#include "base/quote.h"
#include "skua/error.h"

namespace skua {
namespace {

const std::set<std::string_view> kOneSchema = {"additionalItems",
                                               "additionalProperties",
                                               "contains",
                                               "contentSchema",
                                               "else",
                                               "if",
                                               "items",
                                               "not",
                                               "propertyNames",
                                               "then",
                                               "unevaluatedItems",
                                               "unevaluatedProperties"};
const std::set<std::string_view> kManySchemas = {"allOf", "anyOf", "items",
                                                 "oneOf", "prefixItems"};
const std::set<std::string_view> kNamedSchemas = {
    "$defs",      "definitions",      "dependencies", "dependentSchemas",
    "properties", "patternProperties"};

std::string escape_token(std::string_view token) {
  std::string out;
  for (const char c : token) {
    if (c == '~') {
      out += "~0";
    } else if (c == '/') {
      out += "~1";
    } else {
      out += c;
    }
  }
  return out;
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool coded = text[i] == '%' && i + 2 < text.size() &&
                       std::isxdigit(static_cast<unsigned char>(text[i + 1])) &&
                       std::isxdigit(static_cast<unsigned char>(text[i + 2]));
    if (coded) {
      out += static_cast<char>(
          std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

const std::string* string_member(const Json& schema, const char* key) {
  const auto found = schema.find(key);
  if (found == schema.end() || !found->is_string()) return nullptr;
  return found->get_ptr<const std::string*>();
}

bool has_scheme(const std::string& uri) {
  const auto end = uri.find_first_of(":/?#");
  return end != std::string::npos && end > 0 && uri[end] == ':';
}

// Whether a `$schema` names draft 7 (or 6, which is a part of it).
bool is_draft7(const std::string& dialect, const std::string& where) {
  std::string name = dialect;
  if (name.ends_with('#')) name.pop_back();
  for (const std::string_view prefix : {"http://", "https://"})
    if (name.starts_with(prefix)) {
      name.erase(0, prefix.size());
      break;
    }
  if (name == "json-schema.org/draft-07/schema" ||
      name == "json-schema.org/draft-06/schema")
    return true;
  if (name == "json-schema.org/draft/2020-12/schema" ||
      name == "json-schema.org/draft/2019-09/schema")
    return false;
  throw Unsupported(where, "the dialect " + quote(dialect));
}

}  // namespace

std::string resolve_uri(const std::string& base, const std::string& ref) {
  if (ref.empty()) return base;
  if (has_scheme(ref) || base.empty()) return ref;
  if (ref[0] == '#') return base + ref;
  const auto authority = base.find("://");
  const auto root = authority == std::string::npos
                        ? std::string::npos
                        : base.find('/', authority + 3);
  if (ref[0] == '/')
    return (authority == std::string::npos ? "" : base.substr(0, root)) + ref;
  const auto slash = base.rfind('/');
  if (authority != std::string::npos && root == std::string::npos)
    return base + '/' + ref;
  return slash == std::string::npos ? ref : base.substr(0, slash + 1) + ref;
}

SchemaDocument::SchemaDocument(const Json& root) {
  resources_.emplace("", &root);
  visit(root, {});
}

const SchemaDocument::Place& SchemaDocument::place(const Json& schema) const {
  static const Place nowhere;
  const auto found = places_.find(&schema);
  return found == places_.end() ? nowhere : found->second;
}

std::string SchemaDocument::where(const Json& schema,
                                  const std::string& keyword) const {
  return fmt::format("schema#{}/{}", place(schema).pointer, keyword);
}

const Json& SchemaDocument::keep(Json schema, const Json& origin) {
  kept_.push_back(std::move(schema));
  visit(kept_.back(), place(origin));
  return kept_.back();
}

void SchemaDocument::visit(const Json& schema, Place place) {
  if (!schema.is_object() || places_.count(&schema) > 0) {
    places_.try_emplace(&schema, std::move(place));
    return;
  }
  const bool is_root = place.pointer.empty();
  const auto* dialect = string_member(schema, "$schema");
  if (dialect && (is_root || string_member(schema, "$id")))
    place.draft7 = is_draft7(*dialect, "schema#" + place.pointer + "/$schema");
  register_ids(schema, place);
  places_.emplace(&schema, place);
  visit_children(schema, place);
}

void SchemaDocument::register_ids(const Json& schema, Place& place) {
  // In draft 7 nothing beside a reference counts.
  if (place.draft7 && schema.contains("$ref")) return;
  if (const auto* id = string_member(schema, "$id")) {
    const auto uri = resolve_uri(place.base, *id);
    const auto hash = uri.find('#');
    const bool is_anchor = hash != std::string::npos && hash + 1 < uri.size();
    if (is_anchor && place.draft7) {
      anchors_.emplace(uri, &schema);
    } else {
      place.base = uri.substr(0, hash);
      resources_.emplace(place.base, &schema);
    }
  }
  if (place.draft7) return;
  for (const char* key : {"$anchor", "$dynamicAnchor"}) {
    const auto* name = string_member(schema, key);
    if (!name) continue;
    anchors_.emplace(place.base + '#' + *name, &schema);
    if (key[1] == 'd') ++dynamic_anchors_[*name];
  }
}

void SchemaDocument::visit_children(const Json& schema, const Place& place) {
  for (const auto& [key, value] : schema.items()) {
    const auto child = [&](const std::string& more) {
      return Place{place.pointer + '/' + escape_token(key) + more, place.base,
                   place.draft7};
    };
    if (kOneSchema.count(key) > 0 && (value.is_object() || value.is_boolean()))
      visit(value, child(""));
    if (kManySchemas.count(key) > 0 && value.is_array())
      for (std::size_t i = 0; i < value.size(); ++i)
        visit(value[i], child(fmt::format("/{}", i)));
    if (kNamedSchemas.count(key) > 0 && value.is_object())
      for (const auto& [name, member] : value.items())
        visit(member, child('/' + escape_token(name)));
  }
}

const Json* SchemaDocument::find_pointer(const Json& from,
                                         std::string_view pointer) {
  const Json* at = &from;
  Place place = this->place(from);
  while (!pointer.empty()) {
    if (pointer[0] != '/') return nullptr;
    pointer.remove_prefix(1);
    const auto end = std::min(pointer.find('/'), pointer.size());
    std::string token = percent_decoded(pointer.substr(0, end));
    pointer.remove_prefix(end);
    place.pointer += '/' + token;
    for (std::size_t i = 0; (i = token.find('~', i)) < token.size(); ++i)
      token.replace(i, 2, token.substr(i, 2) == "~1" ? "/" : "~");
    if (at->is_object() && at->contains(token)) {
      at = &(*at)[token];
    } else if (at->is_array() && !token.empty() && token.size() < 9 &&
               token.find_first_not_of("0123456789") == std::string::npos &&
               std::stoul(token) < at->size()) {
      at = &(*at)[std::stoul(token)];
    } else {
      return nullptr;
    }
    const auto known = places_.find(at);
    if (known != places_.end()) place = known->second;
  }
  // A schema under a keyword that is not known to hold one.
  visit(*at, place);
  return at;
}

const Json& SchemaDocument::resolve(const Json& from,
                                    const std::string& keyword,
                                    const std::string& ref) {
  const auto uri = resolve_uri(place(from).base, ref);
  const auto hash = std::min(uri.find('#'), uri.size());
  const auto fragment = uri.substr(std::min(hash + 1, uri.size()));
  const auto resource = resources_.find(uri.substr(0, hash));
  const auto anchor =
      anchors_.find(uri.substr(0, hash) + '#' + percent_decoded(fragment));
  if (anchor != anchors_.end()) return *anchor->second;
  if (resource == resources_.end())
    throw Unsupported(where(from, keyword),
                      "a schema outside this document: " + quote(ref) +
                          ", expected one within it, such as '#/$defs/a'");
  const bool is_pointer = fragment.empty() || fragment[0] == '/';
  const Json* found =
      is_pointer ? find_pointer(*resource->second, fragment) : nullptr;
  if (!found || !(found->is_object() || found->is_boolean()))
    throw InvalidInput(where(from, keyword),
                       "there is no schema " + quote(ref));
  return *found;
}

const Json& SchemaDocument::resolve_dynamic(const Json& from,
                                            const std::string& ref) {
  const auto hash = ref.find('#');
  const auto name = hash == std::string::npos ? "" : ref.substr(hash + 1);
  const auto found = dynamic_anchors_.find(name);
  if (found != dynamic_anchors_.end() && found->second > 1)
    throw Unsupported(where(from, "$dynamicRef"),
                      "several schemas have the anchor " + quote(name));
  return resolve(from, "$dynamicRef", ref);
}

}  // namespace skua
