#pragma once

#include <deque>
#include <map>
#include <string>
#include <unordered_map>

#include "base/json.h"

namespace skua {

/** A JSON schema with its identifiers: where each subschema is, what its base
 *  URI is, and what a reference means. Sources: JSON Schema 2020-12 core,
 *  sections 8 and 9; draft 7 core, section 8. */
class SchemaDocument {
 public:
  struct Place {
    std::string pointer;  // JSON pointer, for messages
    std::string base;     // URI without a fragment; may be empty
    bool draft7 = false;
  };

  /** Keeps a reference to `root`. Throws Unsupported for a `$schema` other
   *  than drafts 6, 7, 2019-09 and 2020-12. */
  explicit SchemaDocument(const Json& root);

  const Place& place(const Json& schema) const;
  /** "schema#/pointer/keyword", the place for messages. */
  std::string where(const Json& schema, const std::string& keyword) const;

  /** The schema that `ref` beside `from` means. Throws Unsupported for one
   *  outside this document, InvalidInput for one that is not there. */
  const Json& resolve(const Json& from, const std::string& keyword,
                      const std::string& ref);
  /** $dynamicRef: as resolve where only one schema can be meant, otherwise
   *  Unsupported. */
  const Json& resolve_dynamic(const Json& from, const std::string& ref);

  /** Takes a schema made of another one's parts; it lives as long as this. */
  const Json& keep(Json schema, const Json& origin);

 private:
  void visit(const Json& schema, Place place);
  void visit_children(const Json& schema, const Place& place);
  void register_ids(const Json& schema, Place& place);
  const Json* find_pointer(const Json& from, std::string_view pointer);

  std::unordered_map<const Json*, Place> places_;
  std::map<std::string, const Json*> resources_;  // by URI
  std::map<std::string, const Json*> anchors_;    // by URI#name
  std::map<std::string, int> dynamic_anchors_;    // how many of each name
  std::deque<Json> kept_;
};

/** `ref` relative to `base` (RFC 3986, section 5, without dot segments). */
std::string resolve_uri(const std::string& base, const std::string& ref);

}  // namespace skua
