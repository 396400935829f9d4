#pragma once

#include <mlx/array.h>

#include <memory>

namespace skua {

namespace mx = mlx::core;

/** An array over memory that `owner` keeps alive: in place on CPU (where the
 *  8 bytes before `data` must be readable and MLX's way of wrapping memory is
 *  the one this was written for, which is tested once), else a copy.
 *  Memory that is not aligned to the element is copied too. */
mx::array share_array(const void* data, const mx::Shape& shape, mx::Dtype dtype,
                      std::shared_ptr<const void> owner);

}  // namespace skua
