#include "kernels/primitive.h"

namespace skua {

std::string shape_text(const mx::Shape& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i)
    text += (i != 0 ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

}  // namespace skua
