#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "base/hub.h"

namespace skua::hub {

/** A failure that may pass: cut connection, timeout, busy server. */
class TransientFailure : public Error {
 public:
  using Error::Error;
};

struct HttpResponse {
  long status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string location;                        // absolute; empty if none

  /** The header's value, empty where absent. */
  std::string header(const std::string& name) const;
};

/** One connection to a hub. The token goes to the endpoint's own scheme,
 *  host and port, never to where a redirect leads. Not thread-safe. */
class HttpClient {
 public:
  /** Gets the response so far and the next bytes of a 200 or 206 body. */
  using Body = std::function<void(const HttpResponse&, std::string_view)>;

  HttpClient(const std::string& endpoint, const std::string& token,
             std::function<bool()> cancelled);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  /** Headers of `url`, whatever the status. Follows redirects up to the first
   *  answer that has X-Linked-Etag. Throws as get. */
  HttpResponse head(const std::string& url);

  /** Follows redirects and passes the body from byte `offset` on to `body`.
   *  Statuses other than 5xx, 408 and 429 are the caller's to judge. Throws
   *  TransientFailure, Cancelled, Error, and what `body` throws. */
  HttpResponse get(const std::string& url, std::uint64_t offset,
                   const Body& body);

 private:
  struct Transfer;
  HttpResponse request(std::string url, bool head, std::uint64_t offset,
                       const Body& body);
  HttpResponse perform(const std::string& url, bool head, std::uint64_t offset,
                       const Body& body);
  void set_options(const std::string& url, bool head, std::uint64_t offset,
                   Transfer& transfer);
  [[noreturn]] void fail(int code, const std::string& url) const;

  void* curl_;
  std::string origin_;
  std::string token_;
  std::function<bool()> cancelled_;
  bool reached_ = false;  // the hub answered at least once
};

/** `text` percent-encoded for a URL's path; keeps '/' where asked to. */
std::string url_encode(std::string_view text, bool keep_slashes);

/** "scheme://host:port" of a URL in one spelling. Throws InvalidInput where
 *  it is not an http or https URL. */
std::string url_origin(const std::string& url);

/** Decides after a TransientFailure: waits, or rethrows once tries are
 *  spent. */
class Retry {
 public:
  explicit Retry(const PullOptions& options) : options_(options) {}
  /** To be called inside the catch block of a TransientFailure. */
  void wait_or_rethrow();
  void reset() { n_failures_ = 0; }

 private:
  const PullOptions& options_;
  int n_failures_ = 0;
};

}  // namespace skua::hub
