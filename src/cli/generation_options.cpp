#include "cli/generation_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "base/file.h"
#include "cli/json_argument.h"
#include "cli/number.h"
#include "skua/error.h"
#include "text/grammar.h"

namespace skua::cli {
namespace {

using Options = GenerationOptions;

constexpr std::size_t kMaxGrammarBytes = GrammarLimits{}.max_source_bytes;

bool is_in_file(const OptionField& field) {
  const std::string_view name = field.name;
  return name == "json_schema" || name == "grammar" || name == "tools";
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

// A grammar, a schema and tools are text that looks like one, or in a file.
std::string read_text_option(const OptionField& field,
                             const std::string& text) {
  if (!is_in_file(field) || text.empty()) return text;
  const bool is_grammar = field.name == std::string_view("grammar");
  const bool is_text =
      is_grammar ? text.find("::=") != text.npos : is_json_text(text);
  return is_text ? text : read_file(text, kMaxGrammarBytes);
}

/** The value of a member of each type, from text. */
struct Reader {
  const OptionField& field;
  const std::string& where;
  const std::string& text;
  const Json& before;

  Json operator()(int Options::*) const {
    return parse_number<int>(where, text);
  }
  Json operator()(double Options::*) const {
    return parse_number<double>(where, text);
  }
  Json operator()(std::optional<std::uint64_t> Options::*) const {
    return parse_number<std::uint64_t>(where, text);
  }
  Json operator()(bool Options::*) const {
    if (text == "true") return true;
    if (text == "false") return false;
    throw InvalidInput(where, "is '" + text + "', expected true or false");
  }
  Json operator()(std::string Options::*) const {
    return read_text_option(field, text);
  }
  Json operator()(std::vector<std::string> Options::*) const {
    Json list = before.is_array() ? before : Json::array();
    list.push_back(text);
    return list;
  }
  Json operator()(std::vector<std::int32_t> Options::*) const { return ids(); }
  Json operator()(std::optional<std::vector<std::int32_t>> Options::*) const {
    return ids();
  }
  Json operator()(std::map<std::int32_t, double> Options::*) const {
    Json biases = before.is_object() ? before : Json::object();
    for (const std::string& part : split(text)) {
      const std::size_t equals = part.find('=');
      if (equals == part.npos) {
        throw InvalidInput(
            where, "is '" + part + "', expected ID=BIAS, such as 7=-1.5");
      }
      const auto id = parse_number<std::int32_t>(where, part.substr(0, equals));
      biases[std::to_string(id)] =
          parse_number<double>(where, part.substr(equals + 1));
    }
    return biases;
  }

 private:
  Json ids() const {
    Json list = before.is_array() ? before : Json::array();
    if (text.empty()) return list;
    for (const std::string& part : split(text))
      list.push_back(parse_number<std::int32_t>(where, part));
    return list;
  }
};

struct Writer {
  std::string operator()(int value) const { return std::to_string(value); }
  std::string operator()(double value) const {
    return fmt::format("{}", value);
  }
  std::string operator()(bool value) const { return value ? "true" : "false"; }
  std::string operator()(const std::optional<std::uint64_t>& value) const {
    return value ? std::to_string(*value) : "";
  }
  std::string operator()(const std::string& value) const { return value; }
  std::string operator()(const std::vector<std::string>& value) const {
    return value.empty() ? "" : dump_json(Json(value));
  }
  std::string operator()(const std::vector<std::int32_t>& value) const {
    return fmt::format("{}", fmt::join(value, ","));
  }
  std::string operator()(
      const std::optional<std::vector<std::int32_t>>& value) const {
    return value ? (*this)(*value) : "";
  }
  std::string operator()(const std::map<std::int32_t, double>& value) const {
    std::string text;
    for (const auto& [id, bias] : value)
      text += fmt::format("{}{}={}", text.empty() ? "" : ",", id, bias);
    return text;
  }
};

std::string placeholder(const OptionField& field) {
  struct Name {
    const char* operator()(std::string Options::*) const { return "TEXT"; }
    const char* operator()(std::vector<std::string> Options::*) const {
      return "TEXT ...";
    }
    const char* operator()(std::vector<std::int32_t> Options::*) const {
      return "ID,...";
    }
    const char* operator()(
        std::optional<std::vector<std::int32_t>> Options::*) const {
      return "ID,...";
    }
    const char* operator()(std::map<std::int32_t, double> Options::*) const {
      return "ID=BIAS,...";
    }
    const char* operator()(...) const { return "NUMBER"; }
  };
  return is_in_file(field) ? "FILE" : std::visit(Name{}, field.member);
}

}  // namespace

std::string flag_name(const OptionField& field) {
  std::string name = std::string("--") + field.name;
  std::ranges::replace(name, '_', '-');
  return name;
}

Json option_value(const OptionField& field, const std::string& where,
                  const std::string& text, const Json& before) {
  return std::visit(Reader{field, where, text, before}, field.member);
}

std::string option_text(const OptionField& field,
                        const GenerationOptions& options) {
  return std::visit([&](auto member) { return Writer{}(options.*member); },
                    field.member);
}

void add_generation_options(Command& command, Json& given,
                            const GenerationOptions& defaults) {
  given = Json::object();
  for (const OptionField& field : option_fields()) {
    const std::string flag = flag_name(field);
    if (const auto* member = std::get_if<bool Options::*>(&field.member)) {
      const bool is_on = defaults.**member;
      command
          .switch_to(is_on ? "--no-" + flag.substr(2) : flag, field.help,
                     [&given, &field, is_on] { given[field.name] = !is_on; })
          .in_group(field.group);
      continue;
    }
    const std::string text = option_text(field, defaults);
    std::string names = flag;
    if (flag == "--max-tokens") names = "-n," + flag;
    if (flag == "--temperature") names = "--temp," + flag;
    command
        .each(names, field.help,
              [&given, &field, flag](const std::string& text) {
                Json& value = given[field.name];
                value = option_value(field, flag, text, value);
              })
        .shown_as(placeholder(field) + (text.empty() ? "" : "=" + text))
        .in_group(field.group);
  }
}

}  // namespace skua::cli
