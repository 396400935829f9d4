#include "text/work_limit.h"

#include "skua/error.h"

namespace skua {
namespace {

thread_local WorkLimit* current = nullptr;

}  // namespace

WorkLimit::WorkLimit(std::size_t steps) : left_(steps), outer_(current) {
  current = this;
}

WorkLimit::~WorkLimit() {
  current = outer_;
}

void WorkLimit::spend(std::size_t steps) {
  if (!current) return;
  if (current->left_ < steps)
    throw Unsupported("grammar", "it takes too much work to compile");
  current->left_ -= steps;
}

}  // namespace skua
