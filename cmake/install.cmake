# A relocatable tree: bin/skua, lib/libskua.so, include/skua,
# lib/cmake/skua, and MLX in the private folder lib/skua with the relative
# layout of its wheel, on which its own run path relies.
include(CMakePackageConfigHelpers)

set(SKUA_ORIGIN $ORIGIN)
if(APPLE)
  set(SKUA_ORIGIN @loader_path)
endif()
set(_mlx skua/mlx/lib)
set_target_properties(skua PROPERTIES
  INSTALL_RPATH "${SKUA_ORIGIN}/../lib/${_mlx};${SKUA_EXTRA_RPATH}")
set_target_properties(skua_shared PROPERTIES
  INSTALL_RPATH "${SKUA_ORIGIN}/${_mlx};${SKUA_EXTRA_RPATH}")

install(TARGETS skua RUNTIME DESTINATION bin)
install(TARGETS skua_shared LIBRARY DESTINATION lib)
install(DIRECTORY include/skua DESTINATION include FILES_MATCHING
  PATTERN *.h)
install(FILES LICENSE DESTINATION share/doc/skua)

install(DIRECTORY ${SKUA_MLX_ROOT}/mlx/lib DESTINATION lib/skua/mlx
  PATTERN *.a EXCLUDE)
file(GLOB _mlx_libs ${SKUA_MLX_ROOT}/*.libs)
install(DIRECTORY ${_mlx_libs} DESTINATION lib/skua)
file(GLOB _mlx_licences ${SKUA_MLX_ROOT}/*.dist-info/LICENSE*
  ${SKUA_MLX_ROOT}/*.dist-info/licenses/LICENSE*)
install(FILES ${_mlx_licences} DESTINATION share/doc/skua/mlx)
# xgrammar is linked in; picojson, a header of it, has its licence inside.
install(FILES ${SKUA_XGRAMMAR_ROOT}/source/LICENSE
  ${SKUA_XGRAMMAR_ROOT}/source/NOTICE cmake/xgrammar/patch.cmake
  DESTINATION share/doc/skua/xgrammar)
install(FILES ${SKUA_XGRAMMAR_ROOT}/source/3rdparty/picojson/picojson.h
  DESTINATION share/doc/skua/xgrammar/picojson)
install(FILES ${SKUA_XGRAMMAR_ROOT}/source/3rdparty/dlpack/LICENSE
  DESTINATION share/doc/skua/xgrammar/dlpack)
if(SKUA_BACKEND STREQUAL cuda)
  # MLX compiles kernels at run time against these.
  install(DIRECTORY ${SKUA_MLX_ROOT}/mlx/include DESTINATION lib/skua/mlx)
endif()

configure_package_config_file(cmake/skua-config.cmake.in
  ${CMAKE_BINARY_DIR}/cmake/skua-config.cmake
  INSTALL_DESTINATION lib/cmake/skua)
write_basic_package_version_file(
  ${CMAKE_BINARY_DIR}/cmake/skua-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/cmake/skua-config.cmake
  ${CMAKE_BINARY_DIR}/cmake/skua-config-version.cmake
  DESTINATION lib/cmake/skua)
