#pragma once

#include <memory>
#include <optional>
#include <string>

namespace skua::cli {

/** Reads lines with editing and history on a terminal, plainly elsewhere. */
class LineEditor {
 public:
  explicit LineEditor(std::string prompt);
  ~LineEditor();
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  /** The next line without its end; none at the end of input (Ctrl-D).
   *  Ctrl-C empties the line. */
  std::optional<std::string> read();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace skua::cli
