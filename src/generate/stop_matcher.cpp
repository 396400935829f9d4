#include "generate/stop_matcher.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/quote.h"
#include "skua/error.h"
#include "text/utf8.h"

namespace skua {
namespace {

constexpr std::size_t kMaxStops = 64;
constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

void check_stops(const std::vector<std::string>& stops) {
  const auto refuse = [](const std::string& got, const std::string& expected) {
    throw InvalidInput("options",
                       "stop: got " + got + ", expected " + expected);
  };
  if (stops.size() > kMaxStops)
    refuse(std::to_string(stops.size()) + " strings",
           "at most " + std::to_string(kMaxStops));
  for (const std::string& stop : stops) {
    if (stop.empty()) refuse("an empty string", "text");
    if (find_invalid_utf8(stop) != std::string::npos)
      refuse(quote(stop), "UTF-8");
  }
}

std::uint64_t edge(std::size_t node, char byte) {
  return std::uint64_t{node} << 8 | static_cast<unsigned char>(byte);
}

}  // namespace

StopMatcher::StopMatcher(std::vector<std::string> stops, bool include_stop)
    : stops_(std::move(stops)), include_stop_(include_stop) {
  check_stops(stops_);
  nodes_.push_back({.ends_with = kNone, .first_longer = kNone});
  std::size_t longest = 0;
  for (const std::string& stop : stops_)
    longest = std::max(longest, stop.size());
  // Level by level, so that the fallbacks of a level are there before it.
  std::vector<std::size_t> paths(stops_.size(), 0);
  for (std::size_t length = 1; length <= longest; ++length)
    add_level(length, paths);
}

// Moves each path, the node of a stop's first bytes, on to `length` bytes.
void StopMatcher::add_level(std::size_t length,
                            std::vector<std::size_t>& paths) {
  for (std::size_t i = 0; i < stops_.size(); ++i) {
    if (stops_[i].size() < length) continue;
    const std::size_t from = paths[i];
    const char byte = stops_[i][length - 1];
    nodes_[from].first_longer = std::min(nodes_[from].first_longer, i);
    if (const std::uint64_t* known = edges_.find(edge(from, byte))) {
      paths[i] = *known;
    } else {
      const std::size_t fallback =
          from == 0 ? 0 : next(nodes_[from].fallback, byte);
      paths[i] = nodes_.size();
      edges_.set(edge(from, byte), paths[i]);
      nodes_.push_back({.length = length,
                        .sample = i,
                        .fallback = fallback,
                        .ends_with = nodes_[fallback].ends_with,
                        .first_longer = kNone});
    }
    Node& node = nodes_[paths[i]];
    const bool repeated =
        node.ends_with != kNone && stops_[node.ends_with].size() == length;
    if (stops_[i].size() == length && !repeated) node.ends_with = i;
  }
}

std::size_t StopMatcher::next(std::size_t node, char byte) const {
  while (true) {
    if (const std::uint64_t* to = edges_.find(edge(node, byte))) return *to;
    if (node == 0) return 0;
    node = nodes_[node].fallback;
  }
}

std::uint64_t StopMatcher::start_of(std::size_t node) const {
  return n_seen_ - nodes_[node].length;
}

void StopMatcher::note_match() {
  const std::size_t stop = nodes_[node_].ends_with;
  if (stop == kNone) return;
  const std::uint64_t start = n_seen_ - stops_[stop].size();
  if (!best_ || start < best_->start ||
      (start == best_->start && stop < best_->stop))
    best_ = Match{start, stop};
}

// Whether no stop that has begun would be preferred to the best one.
bool StopMatcher::is_certain() const {
  const std::uint64_t start = start_of(node_);
  return start > best_->start ||
         (start == best_->start && nodes_[node_].first_longer > best_->stop);
}

StopMatcher::Found StopMatcher::push(std::string_view text) {
  if (ended_) return {};
  if (stops_.empty()) return {std::string(text), std::nullopt};
  const std::size_t held = node_;
  const std::uint64_t start = start_of(held);
  for (const char byte : text) {
    node_ = next(node_, byte);
    ++n_seen_;
    note_match();
    if (best_ && is_certain()) return end(held, text, start);
  }
  return {joined(held, text, start_of(node_) - start), std::nullopt};
}

StopMatcher::Found StopMatcher::finish() {
  if (ended_) return {};
  if (best_) return end(node_, "", start_of(node_));
  ended_ = true;
  return {joined(node_, "", nodes_[node_].length), std::nullopt};
}

// The answer's last piece, of what was held back, from `start` on, and `text`
// after it.
StopMatcher::Found StopMatcher::end(std::size_t held, std::string_view text,
                                    std::uint64_t start) {
  ended_ = true;
  std::size_t n = best_->start - start;
  if (include_stop_) n += stops_[best_->stop].size();
  return {joined(held, text, n), best_->stop};
}

// The first n bytes of a node's text and `text` after it.
std::string StopMatcher::joined(std::size_t node, std::string_view text,
                                std::size_t n) const {
  if (stops_.empty()) return {};
  const std::size_t n_held = std::min(n, nodes_[node].length);
  std::string out = stops_[nodes_[node].sample].substr(0, n_held);
  return out.append(text.substr(0, n - n_held));
}

}  // namespace skua
