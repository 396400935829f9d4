#include "models/profile.h"

#include <algorithm>
#include <limits>
#include <set>

#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

#include "base/file.h"
#include "base/quote.h"
#include "nn/cache.h"
#include "skua/error.h"

namespace skua {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxBytes = std::size_t{1} << 20;
constexpr std::ptrdiff_t kMaxDots = 64;

template <class Value>
std::string word_of(const std::map<std::string, Value>& words, Value value) {
  return std::ranges::find(words, value, [](const auto& w) { return w.second; })
      ->first;
}

class Reader {
 public:
  explicit Reader(const fs::path& path) { file_.path = path; }

  ProfileFile read() {
    const std::string text = read_file(file_.path, kMaxBytes);
    check_depth(text);
    for (const auto& [section, node] : parse(text)) {
      const std::string name(section.str());
      if (std::ranges::none_of(profile_fields(), [&](const auto& field) {
            return name == field.section;
          })) {
        refuse_name(section, "section", names_of(""));
      }
      const toml::table* keys = node.as_table();
      if (keys == nullptr)
        refuse(node, name, "a section [" + name + "] with keys");
      for (const auto& [key, value] : *keys) read(section, key, value);
    }
    check_kept();
    return std::move(file_);
  }

 private:
  [[noreturn]] void refuse_at(int line, const std::string& what) const {
    throw InvalidInput(file_.at(line), what);
  }
  [[noreturn]] void refuse_name(const toml::key& key, const std::string& kind,
                                const std::string& known) const {
    refuse_at(static_cast<int>(key.source().begin.line),
              "has an unknown " + kind + " " + quote(key.str()) +
                  ", expected " + known);
  }
  [[noreturn]] void refuse(const toml::node& node, const std::string& name,
                           const std::string& expected) const {
    std::string got = "of another kind";
    if (const auto text = node.value_exact<std::string>()) got = quote(*text);
    if (const auto number = node.value_exact<std::int64_t>())
      got = std::to_string(*number);
    refuse_at(static_cast<int>(node.source().begin.line),
              name + " is " + got + ", expected " + expected);
  }

  // The keys of a section; for "" the sections.
  static std::string names_of(const std::string& section) {
    std::set<std::string> names;
    for (const ProfileField& field : profile_fields()) {
      if (section.empty()) names.insert(field.section);
      if (section == field.section) names.insert(field.key);
    }
    std::string text;
    for (const std::string& name : names)
      text += (text.empty() ? "" : " or ") + name;
    return text;
  }

  // Each dot of a key is a table in a table, which are freed one in the other.
  void check_depth(std::string_view text) const {
    for (int line = 1; !text.empty(); ++line) {
      const std::size_t end = std::min(text.find('\n'), text.size());
      const std::string_view one = text.substr(0, end);
      const std::size_t first = one.find_first_not_of(" \t");
      if (first != one.npos && one[first] != '#' &&
          std::ranges::count(one, '.') > kMaxDots) {
        refuse_at(line, "has more than 64 dots, expected sections and keys");
      }
      text.remove_prefix(std::min(end + 1, text.size()));
    }
  }

  toml::table parse(const std::string& text) const {
    try {
      return toml::parse(text);
    } catch (const toml::parse_error& error) {
      refuse_at(static_cast<int>(error.source().begin.line),
                "is no TOML: " + std::string(error.description()));
    }
  }

  void read(const toml::key& section, const toml::key& key,
            const toml::node& value) {
    const auto& fields = profile_fields();
    const auto found = std::ranges::find_if(fields, [&](const auto& field) {
      return section.str() == field.section && key.str() == field.key;
    });
    if (found == fields.end()) {
      const std::string name(section.str());
      refuse_name(key, "key", names_of(name) + " in [" + name + "]");
    }
    std::visit([&](auto member) { set(*found, member, value); }, found->member);
    file_.lines[found->name()] = static_cast<int>(value.source().begin.line);
  }

  void set(const ProfileField& field, std::optional<int> Profile::* member,
           const toml::node& node) {
    const auto value = node.value_exact<std::int64_t>();
    constexpr int kMost = std::numeric_limits<int>::max();
    if (!value || *value < field.least || *value > kMost) {
      refuse(node, field.name(),
             "a whole number from " + std::to_string(field.least) + " to " +
                 std::to_string(kMost));
    }
    file_.profile.*member = static_cast<int>(*value);
  }
  void set(const ProfileField& field, std::optional<KvType> Profile::* member,
           const toml::node& node) {
    const auto& words =
        field.is_quantized ? quantized_type_words() : kv_type_words();
    file_.profile.*member = word(field, words, node);
  }
  void set(const ProfileField& field,
           std::optional<Precision> Profile::* member, const toml::node& node) {
    file_.profile.*member = word(field, precision_words(), node);
  }
  template <class Value>
  Value word(const ProfileField& field,
             const std::map<std::string, Value>& words,
             const toml::node& node) const {
    const auto text = node.value_exact<std::string>();
    const auto found = text ? words.find(*text) : words.end();
    if (found != words.end()) return found->second;
    std::string known;
    for (const auto& [one, value] : words)
      known += (known.empty() ? "\"" : " or \"") + one + "\"";
    refuse(node, field.name(), known);
  }

  void check_kept() const {
    const Profile all = file_.profile.over(default_profile());
    if (*all.max_kv_size == 0 || *all.kv_keep < *all.max_kv_size) return;
    const auto line = file_.lines.find("decode.kv_keep");
    refuse_at(line != file_.lines.end() ? line->second
                                        : file_.lines.at("decode.max_kv_size"),
              "decode.kv_keep is " + std::to_string(*all.kv_keep) +
                  ", expected less than decode.max_kv_size of " +
                  std::to_string(*all.max_kv_size));
  }

  ProfileFile file_;
};

}  // namespace

Profile default_profile() {
  return {.precision = Precision::kDefault,
          .prefill_chunk = 2048,
          .kv_type = KvType::kBf16,
          .max_kv_size = 0,
          .kv_keep = 4,
          .kv_quantize_from = -1,
          .kv_quantized_type = KvType::kInt8,
          .context = 0};
}

const std::vector<ProfileField>& profile_fields() {
  static const std::vector<ProfileField> fields = {
      {"prefill", "dtype", &Profile::precision},
      {"prefill", "chunk", &Profile::prefill_chunk, 1},
      {"decode", "kv_type", &Profile::kv_type},
      {"decode", "max_kv_size", &Profile::max_kv_size},
      {"decode", "kv_keep", &Profile::kv_keep},
      {"decode", "kv_quantize_from", &Profile::kv_quantize_from, -1},
      {"decode", "kv_quantized_type", &Profile::kv_quantized_type, 0, true},
      {"decode", "context", &Profile::context},
  };
  return fields;
}

const std::map<std::string, KvType>& kv_type_words() {
  static const std::map<std::string, KvType> words = {{"bf16", KvType::kBf16},
                                                      {"f16", KvType::kF16},
                                                      {"f32", KvType::kF32},
                                                      {"int4", KvType::kInt4},
                                                      {"int8", KvType::kInt8}};
  return words;
}

const std::map<std::string, KvType>& quantized_type_words() {
  static const std::map<std::string, KvType> words = {{"int4", KvType::kInt4},
                                                      {"int8", KvType::kInt8}};
  return words;
}

const std::map<std::string, Precision>& precision_words() {
  static const std::map<std::string, Precision> words = {
      {"default", Precision::kDefault},
      {"deterministic", Precision::kDeterministic},
      {"exact", Precision::kExact},
      {"fast", Precision::kFast}};
  return words;
}

std::string ProfileField::text(const Profile& profile) const {
  struct Writer {
    const Profile& profile;
    std::string operator()(std::optional<int> Profile::* member) const {
      const auto& value = profile.*member;
      return value ? std::to_string(*value) : "";
    }
    std::string operator()(std::optional<KvType> Profile::* member) const {
      const auto& value = profile.*member;
      return value ? word_of(kv_type_words(), *value) : "";
    }
    std::string operator()(std::optional<Precision> Profile::* member) const {
      const auto& value = profile.*member;
      return value ? word_of(precision_words(), *value) : "";
    }
  };
  return std::visit(Writer{profile}, member);
}

Profile Profile::over(const Profile& other) const {
  Profile result = *this;
  for (const ProfileField& field : profile_fields()) {
    std::visit(
        [&](auto member) {
          if (!(result.*member)) result.*member = other.*member;
        },
        field.member);
  }
  return result;
}

CacheOptions Profile::cache_options() const {
  const Profile all = over(default_profile());
  CacheOptions options{.kv_type = *all.kv_type,
                       .max_size = *all.max_kv_size,
                       .keep = *all.kv_keep,
                       .quantized_type = *all.kv_quantized_type};
  if (*all.kv_quantize_from != -1)
    options.quantize_from = *all.kv_quantize_from;
  return options;
}

std::string ProfileFile::at(int line) const {
  return path.string() + ":" + std::to_string(line);
}

void ProfileFile::check_context(int most) const {
  if (most == 0 || profile.context.value_or(0) <= most) return;
  throw InvalidInput(at(lines.at("decode.context")),
                     "decode.context is " + std::to_string(*profile.context) +
                         ", expected 0 to the model's " + std::to_string(most));
}

ProfileFile read_profile(const fs::path& model) {
  const fs::path folder = fs::is_directory(model) ? model : model.parent_path();
  const fs::path path = folder / "skua.toml";
  if (!fs::exists(path)) return {};
  return Reader(path).read();
}

}  // namespace skua
