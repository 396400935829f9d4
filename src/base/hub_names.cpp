#include "base/hub_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

namespace skua {
namespace {

constexpr std::size_t kMaxNameBytes = 96;
constexpr std::size_t kMaxListed = 40;

bool is_word(std::string_view text, std::string_view extra) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) ||
           extra.find(c) != std::string_view::npos;
  });
}

bool is_repository_part(std::string_view part) {
  const auto is_edge = [](char c) { return c == '-' || c == '.'; };
  return is_word(part, "-_.") && !is_edge(part.front()) &&
         !is_edge(part.back()) && part.find("--") == part.npos &&
         part.find("..") == part.npos;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(c & 0xff));
  return out;
}

}  // namespace

bool is_hub_name(std::string_view text) {
  text = text.substr(0, text.find_first_of(":@"));
  const auto slash = text.find('/');
  return slash != text.npos && text.size() <= kMaxNameBytes &&
         is_repository_part(text.substr(0, slash)) &&
         is_repository_part(text.substr(slash + 1));
}

HubModel parse_hub_name(std::string_view text) {
  HubModel model;
  const auto fail = [&](const std::string& what) {
    throw InvalidInput("model " + std::string(text.substr(0, 200)),
                       what + ", expected org/name[:file][@revision]");
  };
  std::string_view rest = text;
  if (!is_hub_name(rest)) fail("is not a hub name");
  if (const auto at = rest.find('@'); at != rest.npos) {
    model.revision = rest.substr(at + 1);
    rest = rest.substr(0, at);
    if (!is_word(model.revision, "-_./") || model.revision.size() > 256 ||
        !hub::is_safe_name(model.revision))
      fail("has an unusable revision");
  }
  if (const auto colon = rest.find(':'); colon != rest.npos) {
    model.file = rest.substr(colon + 1);
    rest = rest.substr(0, colon);
    if (!hub::is_safe_name(model.file)) fail("has an unusable file name");
  }
  model.name = rest;
  return model;
}

namespace hub {
namespace {

constexpr std::string_view kGguf = ".gguf";
constexpr std::size_t kPartSuffix = sizeof("-00001-of-00001") - 1;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Folders such as 1_Pooling belong to the model; onnx/ and original/ do not.
bool is_module_folder(std::string_view folder) {
  const auto underscore = folder.find('_');
  return underscore != folder.npos && underscore > 0 &&
         std::all_of(folder.begin(), folder.begin() + underscore, is_digit) &&
         folder.find('/') == folder.npos;
}

struct GgufStem {
  std::string base;  // lower case, without folder, part number and suffix
  int part = 0;      // 0: a whole file
  int n_parts = 0;
};

GgufStem gguf_stem(const std::string& name) {
  const auto slash = name.rfind('/');
  std::string base = lower(slash == name.npos ? name : name.substr(slash + 1));
  base.resize(base.size() - kGguf.size());
  GgufStem stem{base, 0, 0};
  if (base.size() <= kPartSuffix) return stem;
  const std::string tail = base.substr(base.size() - kPartSuffix);
  const auto digits = [&](std::size_t at) {
    return std::all_of(tail.begin() + static_cast<std::ptrdiff_t>(at),
                       tail.begin() + static_cast<std::ptrdiff_t>(at) + 5,
                       is_digit);
  };
  if (tail[0] != '-' || tail.substr(6, 4) != "-of-" || !digits(1) ||
      !digits(10))
    return stem;
  stem.base = base.substr(0, base.size() - kPartSuffix);
  stem.part = std::stoi(tail.substr(1, 5));
  stem.n_parts = std::stoi(tail.substr(10, 5));
  return stem;
}

bool has_quantisation(const std::string& base, const std::string& wanted) {
  if (base == wanted) return true;
  if (base.size() <= wanted.size() || !base.ends_with(wanted)) return false;
  const char before = base[base.size() - wanted.size() - 1];
  return before == '-' || before == '.' || before == '_';
}

std::string listed(const Names& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < kMaxListed; ++i)
    text += (i ? ", " : "") + names[i];
  if (names.size() > kMaxListed) text += ", ...";
  return text;
}

}  // namespace

bool is_safe_name(std::string_view name) {
  if (name.empty() || name.size() > 1024) return false;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f || c == '\\') return false;
  }
  while (true) {
    const auto slash = name.find('/');
    const auto part = name.substr(0, slash);
    if (part.empty() || part == "." || part == ".." || part.size() > 255)
      return false;
    if (slash == name.npos) return true;
    name.remove_prefix(slash + 1);
  }
}

bool is_hex(std::string_view text, std::size_t n_digits) {
  return text.size() == n_digits &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return is_digit(c) || (c >= 'a' && c <= 'f');
         });
}

Names metadata_files(const Names& names) {
  static constexpr std::array<std::string_view, 4> kSuffixes = {
      ".json", ".jinja", ".model", ".tiktoken"};
  Names wanted;
  for (const std::string& name : names) {
    const auto slash = name.rfind('/');
    const auto folder =
        slash == name.npos ? "" : std::string_view(name).substr(0, slash);
    const bool here = folder.empty() || is_module_folder(folder) ||
                      folder == "additional_chat_templates";
    const bool suffix =
        std::any_of(kSuffixes.begin(), kSuffixes.end(),
                    [&](std::string_view s) { return name.ends_with(s); });
    if (here && (suffix || name == "merges.txt" || name == "vocab.txt"))
      wanted.push_back(name);
  }
  return wanted;
}

Names safetensors_files(const Names& names) {
  Names modules, top, copies;
  bool has_model = false;
  for (const std::string& name : names) {
    if (!name.ends_with(".safetensors")) continue;
    const auto slash = name.find('/');
    if (slash != name.npos) {
      if (is_module_folder(std::string_view(name).substr(0, name.rfind('/'))))
        modules.push_back(name);
    } else if (name == "model.safetensors") {
      has_model = true;
    } else if (name.starts_with("consolidated")) {
      copies.push_back(name);
    } else if (!name.starts_with("adapter")) {
      top.push_back(name);
    }
  }
  Names wanted = has_model     ? Names{"model.safetensors"}
                 : top.empty() ? copies
                               : top;
  if (!wanted.empty())
    wanted.insert(wanted.end(), modules.begin(), modules.end());
  return wanted;
}

std::string choose_gguf(const Names& names, const std::string& wanted,
                        const std::string& where) {
  Names all, matches;
  const std::string quantisation = lower(wanted);
  for (const std::string& name : names) {
    if (!name.ends_with(kGguf) || !is_safe_name(name)) continue;
    if (name == wanted) return name;
    const GgufStem stem = gguf_stem(name);
    if (stem.part > 1) continue;
    all.push_back(name);
    if (stem.base.starts_with("mmproj")) continue;
    if (wanted.empty() || has_quantisation(stem.base, quantisation))
      matches.push_back(name);
  }
  if (matches.size() == 1) return matches.front();
  if (matches.size() > 1) {
    throw InvalidInput(where, "has several .gguf files" +
                                  (wanted.empty() ? "" : " for " + wanted) +
                                  "; add :file with one of " + listed(matches));
  }
  throw NotFound(where, "has no file '" + wanted + "'" +
                            (all.empty() ? std::string(" and no .gguf file")
                                         : "; it has " + listed(all)));
}

Names gguf_parts(const std::string& name) {
  if (!lower(name).ends_with(kGguf)) return {name};
  const GgufStem stem = gguf_stem(name);
  if (stem.part < 1 || stem.n_parts < 1) return {name};
  const std::size_t at = name.size() - kGguf.size() - kPartSuffix + 1;
  Names parts;
  for (int i = 1; i <= stem.n_parts; ++i) {
    std::string part = name;
    parts.push_back(part.replace(at, 5, fmt::format("{:05}", i)));
  }
  return parts;
}

}  // namespace hub
}  // namespace skua
