#include "base/hub_http.h"

#include <curl/curl.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>

namespace skua::hub {
namespace {

constexpr int kMaxRedirects = 5;
constexpr int kMaxTries = 5;
constexpr std::size_t kMaxHeaders = 256;
constexpr std::size_t kMaxDiscardedBytes = std::size_t{1} << 20;
constexpr long kConnectTimeoutS = 10;
constexpr long kStallTimeoutS = 30;

bool is_redirect(long status) {
  return status == 301 || status == 302 || status == 303 || status == 307 ||
         status == 308;
}

bool is_transient(long status) {
  return status >= 500 || status == 429 || status == 408;
}

bool is_transient(CURLcode code, bool reached) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
      return reached;
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
      return true;
    default:
      return false;
  }
}

// The URL without its query, which may hold a signature.
std::string shown(const std::string& url) {
  return url.substr(0, url.find_first_of("?#"));
}

void check_redirect(const std::string& from, const std::string& to) {
  if (!to.starts_with("https://") && !to.starts_with("http://"))
    throw Error(shown(from), "redirect to other than http or https refused");
  if (from.starts_with("https:") && !to.starts_with("https:"))
    throw Error(shown(from), "redirect from https to plain http refused");
}

struct CurlStringDeleter {
  void operator()(char* text) const { curl_free(text); }
};
struct CurlUrlDeleter {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
struct CurlListDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

std::string url_part(CURLU* url, CURLUPart part) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, CURLU_DEFAULT_PORT) != CURLUE_OK)
    return "";
  const std::unique_ptr<char, CurlStringDeleter> owner(text);
  std::string lower = text;
  for (char& c : lower) c = static_cast<char>(std::tolower(c & 0xff));
  return lower;
}

std::string trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return "";
  const auto last = text.find_last_not_of(" \t\r\n");
  return std::string(text.substr(first, last - first + 1));
}

}  // namespace

std::string HttpResponse::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? "" : found->second;
}

// Exceptions must not cross libcurl: callbacks keep them for perform().
struct HttpClient::Transfer {
  const HttpClient& client;
  const Body& body;
  HttpResponse response = {};
  std::size_t n_discarded = 0;
  std::exception_ptr thrown = nullptr;
  std::unique_ptr<curl_slist, CurlListDeleter> headers = nullptr;

  static std::size_t on_header(char* data, std::size_t, std::size_t n,
                               void* self) {
    static_cast<Transfer*>(self)->add_header({data, n});
    return n;
  }

  void add_header(std::string_view line) {
    if (line.starts_with("HTTP/")) response.headers.clear();
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return;
    if (response.headers.size() >= kMaxHeaders) return;
    std::string name(line.substr(0, colon));
    for (char& c : name) c = static_cast<char>(std::tolower(c & 0xff));
    response.headers[name] = trimmed(line.substr(colon + 1));
  }

  static std::size_t on_body(char* data, std::size_t, std::size_t n,
                             void* self) {
    return static_cast<Transfer*>(self)->add_body({data, n}) ? n : 0;
  }

  bool add_body(std::string_view bytes) {
    curl_easy_getinfo(static_cast<CURL*>(client.curl_), CURLINFO_RESPONSE_CODE,
                      &response.status);
    if (response.status != 200 && response.status != 206) {
      n_discarded += bytes.size();
      return n_discarded <= kMaxDiscardedBytes;
    }
    try {
      body(response, bytes);
      return true;
    } catch (...) {
      thrown = std::current_exception();
      return false;
    }
  }

  static int on_progress(void* self, curl_off_t, curl_off_t, curl_off_t,
                         curl_off_t) {
    const auto& cancelled = static_cast<Transfer*>(self)->client.cancelled_;
    return cancelled && cancelled() ? 1 : 0;
  }
};

HttpClient::HttpClient(const std::string& endpoint, const std::string& token,
                       std::function<bool()> cancelled)
    : origin_(url_origin(endpoint)),
      token_(token),
      cancelled_(std::move(cancelled)) {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  curl_ = curl_easy_init();
  if (!curl_) throw Error("hub", "libcurl cannot be started");
}

HttpClient::~HttpClient() {
  curl_easy_cleanup(static_cast<CURL*>(curl_));
}

HttpResponse HttpClient::head(const std::string& url) {
  return request(url, true, 0, {});
}

HttpResponse HttpClient::get(const std::string& url, std::uint64_t offset,
                             const Body& body) {
  return request(url, false, offset, body);
}

HttpResponse HttpClient::request(std::string url, bool head,
                                 std::uint64_t offset, const Body& body) {
  for (int n_hops = 0; n_hops <= kMaxRedirects; ++n_hops) {
    HttpResponse response = perform(url, head, offset, body);
    if (is_transient(response.status)) {
      throw TransientFailure(shown(url), "the server failed, got status " +
                                             std::to_string(response.status) +
                                             ", try again later");
    }
    if (!is_redirect(response.status)) return response;
    if (head && !response.header("x-linked-etag").empty()) return response;
    if (response.location.empty())
      throw Error(shown(url), "redirect without a target");
    check_redirect(url, response.location);
    url = response.location;
  }
  throw Error(shown(url), "too many redirects, expected at most " +
                              std::to_string(kMaxRedirects));
}

void HttpClient::set_options(const std::string& url, bool head,
                             std::uint64_t offset, Transfer& transfer) {
  auto* curl = static_cast<CURL*>(curl_);
  curl_easy_reset(curl);
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "skua");
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, kConnectTimeoutS);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, kStallTimeoutS);
  curl_easy_setopt(curl, CURLOPT_NOBODY, head ? 1L : 0L);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, &Transfer::on_progress);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, &Transfer::on_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &Transfer::on_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
  if (offset > 0) {
    const std::string range = std::to_string(offset) + "-";
    curl_easy_setopt(curl, CURLOPT_RANGE, range.c_str());
  }
  // Compressed bodies would make sizes and entity tags disagree.
  curl_slist* headers = curl_slist_append(nullptr, "Accept-Encoding: identity");
  if (!token_.empty() && url_origin(url) == origin_) {
    const std::string line = "Authorization: Bearer " + token_;
    headers = curl_slist_append(headers, line.c_str());
  }
  transfer.headers.reset(headers);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
}

HttpResponse HttpClient::perform(const std::string& url, bool head,
                                 std::uint64_t offset, const Body& body) {
  auto* curl = static_cast<CURL*>(curl_);
  if (cancelled_ && cancelled_()) throw Cancelled(shown(url), "cancelled");
  Transfer transfer{*this, body};
  set_options(url, head, offset, transfer);
  const CURLcode code = curl_easy_perform(curl);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, nullptr);
  if (transfer.thrown) std::rethrow_exception(transfer.thrown);
  HttpResponse response = std::move(transfer.response);
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &response.status);
  if (response.status != 0) reached_ = true;
  const bool discarded = transfer.n_discarded > kMaxDiscardedBytes;
  if (code != CURLE_OK && !discarded) fail(code, url);
  char* location = nullptr;
  curl_easy_getinfo(curl, CURLINFO_REDIRECT_URL, &location);
  if (location) response.location = location;
  return response;
}

void HttpClient::fail(int code, const std::string& url) const {
  const auto curl_code = static_cast<CURLcode>(code);
  const std::string text = curl_easy_strerror(curl_code);
  if (curl_code == CURLE_ABORTED_BY_CALLBACK)
    throw Cancelled(shown(url), "cancelled");
  if (is_transient(curl_code, reached_))
    throw TransientFailure(shown(url), "connection lost: " + text);
  throw Error(shown(url), "no connection: " + text +
                              "; check the network, HF_ENDPOINT and proxy "
                              "settings");
}

std::string url_encode(std::string_view text, bool keep_slashes) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = std::isalnum(byte) || c == '-' || c == '.' || c == '_' ||
                       c == '~' || (keep_slashes && c == '/');
    if (plain) {
      out += c;
    } else {
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

std::string url_origin(const std::string& url) {
  const std::unique_ptr<CURLU, CurlUrlDeleter> parsed(curl_url());
  if (!parsed ||
      curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK)
    throw InvalidInput(shown(url), "is not a URL");
  const std::string scheme = url_part(parsed.get(), CURLUPART_SCHEME);
  if (scheme != "http" && scheme != "https") {
    throw InvalidInput(shown(url), "has an unusable scheme, got '" + scheme +
                                       "', expected http or https");
  }
  return scheme + "://" + url_part(parsed.get(), CURLUPART_HOST) + ":" +
         url_part(parsed.get(), CURLUPART_PORT);
}

void Retry::wait_or_rethrow() {
  using Clock = std::chrono::steady_clock;
  if (++n_failures_ >= kMaxTries) throw;
  const auto end =
      Clock::now() + std::chrono::milliseconds(options_.retry_delay_ms) *
                         (1 << (n_failures_ - 1));
  while (Clock::now() < end) {
    if (options_.cancelled && options_.cancelled())
      throw Cancelled("hub", "cancelled");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

}  // namespace skua::hub
