#include "tests/support.h"

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace skua::test {

namespace fs = std::filesystem;

fs::path assets() {
  const char* set = std::getenv("SKUA_ASSETS");
  const fs::path path =
      set ? fs::path(set) : fs::path(SKUA_SOURCE_DIR) / "../shared/assets";
  return fs::is_directory(path) ? path : fs::path();
}

fs::path source_file(const std::string& relative) {
  return fs::path(SKUA_SOURCE_DIR) / relative;
}

fs::path asset(const std::string& relative) {
  const fs::path root = assets();
  if (root.empty() || !fs::exists(root / relative)) return {};
  return root / relative;
}

fs::path cached_model(const std::string& file) {
  const char* skua = std::getenv("SKUA_HOME");
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  const fs::path root = skua && *skua     ? fs::path(skua)
                        : cache && *cache ? fs::path(cache) / "skua"
                        : home            ? fs::path(home) / ".cache/skua"
                                          : fs::path();
  const fs::path path = root / "models" / file;
  return fs::exists(path) ? path : fs::path();
}

TempDir::TempDir() {
  std::string name = (fs::temp_directory_path() / "skua-test-XXXXXX").string();
  if (!mkdtemp(name.data())) throw std::runtime_error("mkdtemp failed");
  path_ = name;
}

TempDir::~TempDir() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string read_text(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + path.string());
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

void write_text(const fs::path& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary);
  out << text;
  if (!out) throw std::runtime_error("cannot write " + path.string());
}

}  // namespace skua::test
