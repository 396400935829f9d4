#pragma once

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <filesystem>
#include <functional>
#include <iostream>
#include <string>

#include "base/json.h"
#include "skua/error.h"
#include "tests/support.h"

namespace skua::test {

inline long peak_kilobytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

/** Loads each file of hostile/MANIFEST.json whose name begins with `prefix`
 *  and compares with its verdict. Only skua::Error may escape `load`, and the
 *  process must not grow by more than 256 MB. */
inline void expect_verdicts(
    const std::string& prefix,
    const std::function<void(const std::filesystem::path&)>& load) {
  const auto root = asset("hostile");
  std::size_t n_accepted = 0, n_rejected = 0, n_either = 0;
  const long before = peak_kilobytes();
  for (const Json& row : read_json(root / "MANIFEST.json")) {
    const auto file = row.at("file").get<std::string>();
    if (!file.starts_with(prefix)) continue;
    const auto expect = row.at("expect").get<std::string>();
    std::string got = "accept";
    try {
      load(root / file);
    } catch (const Error& error) {
      got = "reject";
      EXPECT_TRUE(std::string(error.what()).starts_with("[")) << file;
    } catch (const std::exception& error) {
      got = std::string("untyped exception ") + error.what();
    }
    const bool is_verdict = got == "accept" || got == "reject";
    EXPECT_TRUE(expect == "either" ? is_verdict : got == expect)
        << file << ": got " << got << ", expected " << expect << " ("
        << row.at("what") << ")";
    ++(expect == "either"   ? n_either
       : expect == "accept" ? n_accepted
                            : n_rejected);
  }
  EXPECT_LT(peak_kilobytes() - before, 256 * 1024);
  std::cout << prefix << ": " << n_accepted << " to accept, " << n_rejected
            << " to reject, " << n_either << " either\n";
  EXPECT_GT(n_accepted, 0u);
  EXPECT_GT(n_rejected, 0u);
}

}  // namespace skua::test
