#include "cli/batch_origin.h"

#include <algorithm>
#include <set>

#include "base/quote.h"
#include "cli/generation_options.h"
#include "generate/options.h"

namespace skua::cli {
namespace {

constexpr std::size_t kMaxShownBytes = 64;

std::string shown(const Json& origin, const std::string& name) {
  if (!origin.contains(name)) return "the default";
  const std::string text =
      origin[name].is_string() ? origin[name].get<std::string>() : "";
  return quote(text.size() <= kMaxShownBytes
                   ? text
                   : text.substr(0, kMaxShownBytes) + "...");
}

}  // namespace

Json origin_of(const Model& model, const AnswerOptions& options, bool raw) {
  Json origin = {{"model", model.identity()}};
  const GenerationOptions all = generation_options(options.generation, model);
  for (const OptionField& field : option_fields()) {
    const std::string text = option_text(field, all);
    if (text != option_text(field, GenerationOptions{}))
      origin[field.name] = text;
  }
  for (const auto& [name, text] : model.settings()) origin[name] = text;
  if (!options.system.empty()) origin["system"] = options.system;
  if (options.mtp) origin["mtp"] = "true";
  if (raw) origin["raw"] = "true";
  return origin;
}

void check_origin(const std::string& path, const Json& before,
                  const Json& now) {
  if (!before.is_object()) {
    throw InvalidInput(path,
                       "line 1 does not say which model and options it comes "
                       "from; --overwrite starts anew");
  }
  std::set<std::string> names;
  for (const Json* origin : {&before, &now})
    for (const auto& [name, value] : origin->items()) names.insert(name);
  std::string differences;
  for (const std::string& name : names) {
    if (before.value(name, Json()) == now.value(name, Json())) continue;
    differences += (differences.empty() ? "" : ", ") + name + " was " +
                   shown(before, name) + " and is " + shown(now, name);
  }
  if (differences.empty()) return;
  throw InvalidInput(path, "comes from another run: " + differences +
                               "; --overwrite starts anew");
}

}  // namespace skua::cli
