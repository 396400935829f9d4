# Unpacks the pinned source of xgrammar into the build tree and makes the
# target xgrammar of its C++ core: build/deps/xgrammar, shared by all presets.
set(_requirements ${PROJECT_SOURCE_DIR}/tools/requirements/xgrammar.txt)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
  ${_requirements})
set(_patch ${PROJECT_SOURCE_DIR}/cmake/xgrammar_patch.cmake)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${_patch})
file(SHA256 ${_requirements} _pin)
file(SHA256 ${_patch} _patch_pin)
string(APPEND _pin ${_patch_pin})
set(SKUA_XGRAMMAR_ROOT ${SKUA_DEPS_DIR}/xgrammar)

set(_stamp "")
if(EXISTS ${SKUA_XGRAMMAR_ROOT}/pin)
  file(READ ${SKUA_XGRAMMAR_ROOT}/pin _stamp)
endif()
if(NOT _stamp STREQUAL _pin)
  message(STATUS "Fetching xgrammar from PyPI")
  file(REMOVE_RECURSE ${SKUA_XGRAMMAR_ROOT})
  file(MAKE_DIRECTORY ${SKUA_XGRAMMAR_ROOT}/sdist)
  find_package(Python3 REQUIRED COMPONENTS Interpreter)
  execute_process(
    COMMAND ${Python3_EXECUTABLE} -m pip download --quiet --no-deps
      --disable-pip-version-check --require-hashes --no-binary xgrammar
      -r ${_requirements} -d ${SKUA_XGRAMMAR_ROOT}/sdist
    RESULT_VARIABLE _status ERROR_VARIABLE _error)
  file(GLOB _sdist ${SKUA_XGRAMMAR_ROOT}/sdist/*.tar.gz)
  if(NOT _status EQUAL 0 OR NOT _sdist)
    message(FATAL_ERROR "Could not download xgrammar with pip:\n${_error}")
  endif()
  file(ARCHIVE_EXTRACT INPUT ${_sdist}
    DESTINATION ${SKUA_XGRAMMAR_ROOT}/unpacked)
  file(GLOB _unpacked ${SKUA_XGRAMMAR_ROOT}/unpacked/*)
  file(RENAME ${_unpacked} ${SKUA_XGRAMMAR_ROOT}/source)
  file(REMOVE_RECURSE ${SKUA_XGRAMMAR_ROOT}/unpacked
    ${SKUA_XGRAMMAR_ROOT}/sdist)
  set(root ${SKUA_XGRAMMAR_ROOT}/source)
  include(${_patch})
  file(WRITE ${SKUA_XGRAMMAR_ROOT}/pin ${_pin})
endif()

set(_source ${SKUA_XGRAMMAR_ROOT}/source)
file(GLOB_RECURSE _sources ${_source}/cpp/*.cc)
list(FILTER _sources EXCLUDE REGEX "/cpp/tvm_ffi/")
add_library(xgrammar STATIC ${_sources}
  ${PROJECT_SOURCE_DIR}/cmake/xgrammar_log.cpp)
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
  ${_source}/3rdparty/dlpack/include ${_source}/3rdparty/picojson)
target_compile_definitions(xgrammar PUBLIC XGRAMMAR_ENABLE_CPPTRACE=0
  XGRAMMAR_ENABLE_INTERNAL_CHECK=0 XGRAMMAR_LOG_CUSTOMIZE=1)
target_link_libraries(xgrammar PRIVATE Threads::Threads)
