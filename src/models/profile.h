#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "skua/kv_type.h"
#include "skua/precision.h"

namespace skua {

struct CacheOptions;

/** How a model is run; what is absent is not said. */
struct Profile {
  std::optional<Precision> precision = {};
  std::optional<int> prefill_chunk = {};
  std::optional<KvType> kv_type = {};
  std::optional<int> max_kv_size = {};
  std::optional<int> kv_keep = {};
  std::optional<int> kv_quantize_from = {};  // -1: never
  std::optional<KvType> kv_quantized_type = {};
  std::optional<int> context = {};  // 0: the model's own

  /** This, and from `other` what is not said here. */
  Profile over(const Profile& other) const;
  /** How a cache is made; absent members as in default_profile(). */
  CacheOptions cache_options() const;
};

/** What holds where nobody says otherwise; nothing is absent. */
Profile default_profile();

/** A member of Profile and its place in a profile file. */
struct ProfileField {
  using Member = std::variant<std::optional<int> Profile::*,
                              std::optional<KvType> Profile::*,
                              std::optional<Precision> Profile::*>;

  const char* section;
  const char* key;
  Member member;
  int least = 0;  // of a number
  /** Of a type: whether it is one of quantized_type_words(). */
  bool is_quantized = false;

  /** "decode.kv_type" */
  std::string name() const { return std::string(section) + "." + key; }
  /** The value, as the file spells it; empty where it is absent. */
  std::string text(const Profile& profile) const;
};

const std::vector<ProfileField>& profile_fields();

/** Values by the words that stand for them in files and on the command line. */
const std::map<std::string, KvType>& kv_type_words();
/** Of these, the ones that kv_quantized_type takes. */
const std::map<std::string, KvType>& quantized_type_words();
const std::map<std::string, Precision>& precision_words();

/** What a file says, and in which line of it. */
struct ProfileFile {
  std::filesystem::path path;  // empty: there is none
  Profile profile;
  std::map<std::string, int> lines;  // of each key, by ProfileField::name()

  /** "path:line" */
  std::string at(int line) const;
  /** Throws InvalidInput with file and line where the context is more than a
   *  model's; most is 0 where that is not known. */
  void check_context(int most) const;
};

/** Reads the skua.toml in a model's folder or beside its .gguf file; nothing
 *  where there is none. Sections are [prefill] with dtype ("default", "exact",
 *  "fast") and chunk, and [decode] with kv_type, max_kv_size, kv_keep,
 *  kv_quantize_from, kv_quantized_type and context; each is as in
 *  ModelOptions or GenerationOptions.
 *  Throws InvalidInput with file and line for bad syntax, an unknown section
 *  or key, and a value of another kind or out of range; for a file of more
 *  than 1 MiB; Error. */
ProfileFile read_profile(const std::filesystem::path& model);

}  // namespace skua
