#pragma once

#include <filesystem>
#include <string>

#include "skua/error.h"

namespace skua::test {

/** The folder of test assets: $SKUA_ASSETS, else ../shared/assets beside the
 *  checkout. Empty where it is absent. */
std::filesystem::path assets();

/** A file of the checkout. */
std::filesystem::path source_file(const std::string& relative);

/** assets() / relative where that exists, else empty. */
std::filesystem::path asset(const std::string& relative);

/** A file of Skua's model cache (tools/get_model.py fills it), else empty. */
std::filesystem::path cached_model(const std::string& file);

/** A fresh empty folder that is removed with the object. */
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

std::string read_text(const std::filesystem::path& path);
void write_text(const std::filesystem::path& path, const std::string& text);

/** What the Error that `call` throws says; "no error" where it throws none. */
template <class Call>
std::string error_of(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace skua::test

/** Skips the running test with the reason where an asset is absent. */
#define SKUA_ASSET_OR_SKIP(variable, relative)       \
  const auto variable = skua::test::asset(relative); \
  if (variable.empty()) GTEST_SKIP() << "no test asset " << (relative)
