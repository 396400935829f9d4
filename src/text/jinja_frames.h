#pragma once

#include "text/jinja_eval.h"

namespace skua::jinja {

/** Counts nested evaluations. */
class Interpreter::Depth {
 public:
  explicit Depth(Interpreter& interpreter) : interpreter_(interpreter) {
    const std::size_t limit = interpreter.heap_.limits().max_depth;
    if (interpreter.depth_ >= limit) {
      throw Failure{"the template nests too deep, expected at most " +
                    std::to_string(limit) + " levels (max_depth)"};
    }
    ++interpreter.depth_;
  }
  ~Depth() { --interpreter_.depth_; }
  Depth(const Depth&) = delete;
  Depth& operator=(const Depth&) = delete;

 private:
  Interpreter& interpreter_;
};

/** A fresh scope below `parent` for the life of the object. */
class Interpreter::InScope {
 public:
  InScope(Interpreter& interpreter, ScopePtr parent)
      : interpreter_(interpreter),
        outer_(std::exchange(interpreter.scope_,
                             std::make_shared<Scope>(std::move(parent)))) {}
  ~InScope() { interpreter_.scope_ = std::move(outer_); }
  InScope(const InScope&) = delete;
  InScope& operator=(const InScope&) = delete;

 private:
  Interpreter& interpreter_;
  ScopePtr outer_;
};

/** Collects what is written during the life of the object. */
class Interpreter::Capture {
 public:
  explicit Capture(Interpreter& interpreter)
      : interpreter_(interpreter),
        outer_(std::exchange(interpreter.out_, &text_)),
        waiting_(outer_ ? outer_->size() : 0) {
    interpreter.captured_ += waiting_;
  }
  ~Capture() {
    interpreter_.out_ = outer_;
    interpreter_.captured_ -= waiting_;
  }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;
  std::string take() { return std::move(text_); }

 private:
  Interpreter& interpreter_;
  std::string text_;
  std::string* outer_;
  std::size_t waiting_;
};

}  // namespace skua::jinja
