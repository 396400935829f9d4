#include "text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <new>

#include "base/quote.h"
#include "skua/error.h"
#include "text/utf8.h"

namespace skua {
namespace {

const pcre2_code* code_of(const std::shared_ptr<const void>& code) {
  return static_cast<const pcre2_code*>(code.get());
}

std::string message_of(int error) {
  PCRE2_UCHAR text[256];
  if (pcre2_get_error_message(error, text, sizeof text) < 0) return "error";
  return reinterpret_cast<const char*>(text);
}

// The stack of compiled code, one for all searches of a thread.
class JitStack {
 public:
  JitStack() : stack_(pcre2_jit_stack_create(32 << 10, 16 << 20, nullptr)) {}
  ~JitStack() { pcre2_jit_stack_free(stack_); }
  JitStack(const JitStack&) = delete;
  JitStack& operator=(const JitStack&) = delete;
  pcre2_jit_stack* get() const { return stack_; }

 private:
  pcre2_jit_stack* stack_;
};

void find_literal(std::string_view text, std::string_view literal,
                  std::vector<TextRange>& ranges) {
  const std::size_t n = literal.size();
  for (std::size_t at = text.find(literal); at != text.npos;
       at = text.find(literal, at + n))
    ranges.push_back({at, at + n});
}

}  // namespace

Regex::Regex(std::string_view pattern, const std::string& where)
    : where_(where) {
  compile(to_pcre2(pattern, where));
}

Regex Regex::literal(std::string_view text, const std::string& where) {
  if (text.empty()) return Regex(text, where);
  Regex regex;
  regex.where_ = where;
  regex.literal_ = text;
  return regex;
}

void Regex::compile(std::string_view pattern) {
  int error = 0;
  PCRE2_SIZE at = 0;
  // Oniguruma's ^ and $ always match at lines.
  pcre2_code* code = pcre2_compile(
      reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
      PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error,
      &at, nullptr);
  if (!code)
    throw InvalidInput(where_, "regular expression " + quote(pattern) +
                                   " fails at byte " + std::to_string(at) +
                                   ": " + message_of(error));
  code_.reset(code, [](const void* p) {
    pcre2_code_free(static_cast<pcre2_code*>(const_cast<void*>(p)));
  });
  // Where the machine has no JIT, matching is interpreted.
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
}

// What the searches of one thread need: results and limits.
class RegexSearch::Matcher {
 public:
  explicit Matcher(const pcre2_code* code)
      : code_(code),
        data_(pcre2_match_data_create_from_pattern(code, nullptr)),
        context_(pcre2_match_context_create(nullptr)) {
    if (!data_ || !context_) throw std::bad_alloc();
    thread_local const JitStack stack;
    if (stack.get()) pcre2_jit_stack_assign(context_, nullptr, stack.get());
    std::size_t n_jit = 0;
    pcre2_pattern_info(code, PCRE2_INFO_JITSIZE, &n_jit);
    jit_ = n_jit > 0;
  }
  ~Matcher() {
    pcre2_match_data_free(data_);
    pcre2_match_context_free(context_);
  }
  Matcher(const Matcher&) = delete;
  Matcher& operator=(const Matcher&) = delete;

  void set_text(std::string_view text) {
    text_ = text;
    const std::size_t limit =
        std::max<std::size_t>(10'000'000, text.size() * 64);
    if (limit == limit_) return;
    limit_ = limit;
    pcre2_set_match_limit(
        context_,
        static_cast<std::uint32_t>(std::min<std::size_t>(limit, 0xffffffff)));
  }

  // Checking UTF-8 again at every match would be quadratic.
  int search(std::size_t from) {
    const auto* subject = reinterpret_cast<PCRE2_SPTR>(text_.data());
    if (jit_) {
      const int found = pcre2_jit_match(code_, subject, text_.size(), from,
                                        PCRE2_NO_UTF_CHECK, data_, context_);
      if (found != PCRE2_ERROR_JIT_STACKLIMIT) return found;
    }
    return pcre2_match(code_, subject, text_.size(), from,
                       PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, data_, context_);
  }
  TextRange range() const {
    const PCRE2_SIZE* at = pcre2_get_ovector_pointer(data_);
    return {at[0], at[1]};
  }

 private:
  const pcre2_code* code_;
  pcre2_match_data* data_;
  pcre2_match_context* context_;
  std::string_view text_;
  std::size_t limit_ = 0;
  bool jit_ = false;
};

RegexSearch::RegexSearch(const Regex& regex) : regex_(regex) {
  if (regex.literal_.empty())
    matcher_ = std::make_unique<Matcher>(code_of(regex.code_));
}

RegexSearch::~RegexSearch() = default;

void RegexSearch::find_all(std::string_view text,
                           std::vector<TextRange>& ranges) {
  if (!matcher_) return find_literal(text, regex_.literal_, ranges);
  matcher_->set_text(text);
  std::size_t from = 0, last_end = std::string_view::npos;
  while (from <= text.size()) {
    const int found = matcher_->search(from);
    if (found == PCRE2_ERROR_NOMATCH) break;
    if (found < 0)
      throw Error(regex_.where_, "regular expression gave up on a text of " +
                                     std::to_string(text.size()) +
                                     " bytes: " + message_of(found));
    const TextRange range = matcher_->range();
    const bool empty = range.begin >= range.end;
    if (!empty || range.begin != last_end) {
      ranges.push_back({range.begin, std::max(range.begin, range.end)});
      last_end = ranges.back().end;
      from = last_end;
      if (!empty) continue;
    }
    const std::size_t at = std::max(from, range.begin);
    from = at + std::max<std::size_t>(1, utf8_at(text, at).n);
  }
}

std::vector<TextRange> Regex::find_all(std::string_view text) const {
  std::vector<TextRange> ranges;
  RegexSearch(*this).find_all(text, ranges);
  return ranges;
}

}  // namespace skua
