# SPDX-License-Identifier: Apache-2.0 OR MIT
# What `cmake --install` puts where: headers, both libraries, trapgate.pc and the package that find_package(trapgate)
# reads. The package describes the installed files by hand instead of exporting the build's targets, because those
# carry the warning flags and object libraries of this tree, which mean nothing outside of it.
include(CMakePackageConfigHelpers)

# What a program that links the archive must add; the architecture has libraries of its own.
get_property(arch_link_flags GLOBAL PROPERTY TG_ARCH_PRIVATE_LIBS)
set(TG_PRIVATE_LIBRARIES -lseccomp ${arch_link_flags} -lpthread)
list(JOIN TG_PRIVATE_LIBRARIES " " TG_PRIVATE_LINK_FLAGS)

get_target_property(shared_version trapgate VERSION)
get_target_property(shared_soversion trapgate SOVERSION)
set(TG_SONAME "libtrapgate.so.${shared_soversion}")
set(TG_SHARED_FILE "${CMAKE_INSTALL_LIBDIR}/libtrapgate.so.${shared_version}")
set(TG_STATIC_FILE "${CMAKE_INSTALL_LIBDIR}/libtrapgate.a")
set(TG_INCLUDE_DIR "${CMAKE_INSTALL_INCLUDEDIR}")
set(pkgconfig_dir "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/trapgate")

install(TARGETS trapgate trapgate_static
  LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/abi/include/trapgate"
  DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
  FILES_MATCHING PATTERN "*.h")

# Relative to the file's own folder, so that `cmake --install --prefix` and moved trees work.
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
  set(TG_PC_PREFIX "${CMAKE_INSTALL_PREFIX}")
else()
  file(RELATIVE_PATH way_up "/${pkgconfig_dir}" "/")
  string(REGEX REPLACE "/$" "" way_up "${way_up}")
  set(TG_PC_PREFIX "\${pcfiledir}/${way_up}")
endif()
foreach(kind LIBDIR INCLUDEDIR)
  if(IS_ABSOLUTE "${CMAKE_INSTALL_${kind}}")
    set(TG_PC_${kind} "${CMAKE_INSTALL_${kind}}")
  else()
    set(TG_PC_${kind} "\${prefix}/${CMAKE_INSTALL_${kind}}")
  endif()
endforeach()
configure_file("${PROJECT_SOURCE_DIR}/abi/trapgate.pc.in" "${PROJECT_BINARY_DIR}/trapgate.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/trapgate.pc" DESTINATION "${pkgconfig_dir}")

configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/trapgateConfig.cmake.in"
  "${PROJECT_BINARY_DIR}/trapgateConfig.cmake"
  INSTALL_DESTINATION "${package_dir}"
  PATH_VARS TG_SHARED_FILE TG_STATIC_FILE TG_INCLUDE_DIR)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/trapgateConfigVersion.cmake"
  COMPATIBILITY SameMajorVersion)
install(FILES "${PROJECT_BINARY_DIR}/trapgateConfig.cmake" "${PROJECT_BINARY_DIR}/trapgateConfigVersion.cmake"
  DESTINATION "${package_dir}")

if(EXISTS "${PROJECT_SOURCE_DIR}/docs/man") # a package of the library's sources alone has none
  include(ManPages)
endif()
