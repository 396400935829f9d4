# Unpacks the pinned MLX wheel into the build tree and imports the target mlx.
# Wheels are shared by all presets: build/deps/mlx-<backend>.
include(${CMAKE_CURRENT_LIST_DIR}/unpack_package.cmake)
set(SKUA_BACKEND cpu CACHE STRING "MLX flavour: cpu, cuda or metal")
set_property(CACHE SKUA_BACKEND PROPERTY STRINGS cpu cuda metal)
set(SKUA_DEPS_DIR ${PROJECT_SOURCE_DIR}/build/deps CACHE PATH
  "Where downloaded dependencies are unpacked")

set(_packages_cpu mlx-cpu)
set(_packages_cuda mlx-cuda-13)
set(_packages_metal mlx-metal)
if(NOT DEFINED _packages_${SKUA_BACKEND})
  message(FATAL_ERROR
    "SKUA_BACKEND is '${SKUA_BACKEND}', expected cpu, cuda or metal")
endif()
set(_package ${_packages_${SKUA_BACKEND}})
set(SKUA_MLX_ROOT ${SKUA_DEPS_DIR}/${_package})
skua_unpack_package(${_package} wheel ${SKUA_MLX_ROOT})

find_package(MLX CONFIG REQUIRED
  PATHS ${SKUA_MLX_ROOT}/mlx/share/cmake NO_DEFAULT_PATH)
# Its headers are not ours to warn about.
get_target_property(_mlx_includes mlx INTERFACE_INCLUDE_DIRECTORIES)
set_target_properties(mlx PROPERTIES
  INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${_mlx_includes}")
if(SKUA_BACKEND STREQUAL cuda)
  # The driver's libcuda.so.1 is absent where there is no GPU. The toolkit's
  # libraries serve libmlx itself, for which only the old kind of run path
  # of the program is searched.
  set_property(TARGET mlx APPEND PROPERTY INTERFACE_LINK_OPTIONS
    LINKER:--allow-shlib-undefined LINKER:--disable-new-dtags)
  list(APPEND CMAKE_BUILD_RPATH ${CUDAToolkit_LIBRARY_DIR})
  set(SKUA_EXTRA_RPATH ${CUDAToolkit_LIBRARY_DIR})
endif()
