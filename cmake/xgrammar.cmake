# Unpacks the pinned source of xgrammar into the build tree and makes the
# target xgrammar of its C++ core: build/deps/xgrammar, shared by all presets.
include(${CMAKE_CURRENT_LIST_DIR}/unpack_package.cmake)
set(SKUA_XGRAMMAR_ROOT ${SKUA_DEPS_DIR}/xgrammar)
skua_unpack_package(xgrammar sdist ${SKUA_XGRAMMAR_ROOT}
  ${PROJECT_SOURCE_DIR}/cmake/xgrammar/patch.cmake)

set(_source ${SKUA_XGRAMMAR_ROOT}/source)
file(GLOB_RECURSE _sources ${_source}/cpp/*.cc)
list(FILTER _sources EXCLUDE REGEX "/cpp/tvm_ffi/")
add_library(xgrammar STATIC ${_sources}
  ${PROJECT_SOURCE_DIR}/cmake/xgrammar/log.cpp
  ${PROJECT_SOURCE_DIR}/cmake/xgrammar/state_key.cpp)
# Clang refuses its variants of incomplete types in C++20.
set_target_properties(xgrammar PROPERTIES CXX_STANDARD 17
  UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 7)
# Its code is not ours to warn about.
target_compile_options(xgrammar PRIVATE -w)
if(SKUA_SANITIZE)
  # Where it reads and writes is watched; its arithmetic is not ours to mend,
  # and watching that takes half as long again to compile.
  target_compile_options(xgrammar PRIVATE -fno-sanitize=undefined)
endif()
target_include_directories(xgrammar SYSTEM PUBLIC ${_source}/include
  ${_source}/3rdparty/dlpack/include ${_source}/3rdparty/picojson
  ${PROJECT_SOURCE_DIR}/cmake/xgrammar)
target_include_directories(xgrammar PRIVATE ${_source}/cpp)
target_compile_definitions(xgrammar PUBLIC XGRAMMAR_ENABLE_CPPTRACE=0
  XGRAMMAR_ENABLE_INTERNAL_CHECK=0 XGRAMMAR_LOG_CUSTOMIZE=1)
target_link_libraries(xgrammar PRIVATE Threads::Threads)
