#pragma once

#include <stdexcept>
#include <string>

#include "skua/export.h"

namespace skua {

/** Base of every exception Skua throws; also the kind of a failure that is
 *  neither the caller's nor a missing feature (exit code 1, HTTP 500).
 *  Text: `[where] what was wrong, got X, expected Y`. */
class SKUA_API Error : public std::runtime_error {
 public:
  Error(const std::string& where, const std::string& what)
      : std::runtime_error("[" + where + "] " + what) {}
};

/** A bad file, option, prompt or request (exit code 2, HTTP 400). */
class SKUA_API InvalidInput : public Error {
 public:
  using Error::Error;
};

/** A named thing does not exist (exit code 2, HTTP 404). */
class SKUA_API NotFound : public Error {
 public:
  using Error::Error;
};

/** Well-formed, but not something Skua can run (exit code 3, HTTP 501). */
class SKUA_API Unsupported : public Error {
 public:
  using Error::Error;
};

}  // namespace skua
