# SPDX-License-Identifier: Apache-2.0 OR MIT
# Installs the manual pages, and for each further name of a page a file that leads there, so that `man tg_queue_wait`
# finds the page of tg_queue_create(3).
set(man_dir "${PROJECT_SOURCE_DIR}/docs/man")
set(link_dir "${PROJECT_BINARY_DIR}/man3")
file(GLOB man_pages CONFIGURE_DEPENDS "${man_dir}/*.3")
file(MAKE_DIRECTORY "${link_dir}")

set(man_links)
foreach(page IN LISTS man_pages)
  cmake_path(GET page FILENAME page_name)
  set_property(DIRECTORY "${PROJECT_SOURCE_DIR}" APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${page}")
  file(STRINGS "${page}" name_lines REGEX "^\\.Nm tg_")
  foreach(line IN LISTS name_lines)
    string(REGEX REPLACE "^\\.Nm ([a-z0-9_]+).*" "\\1" name "${line}")
    if(NOT "${name}.3" STREQUAL page_name)
      file(CONFIGURE OUTPUT "${link_dir}/${name}.3" CONTENT ".so man3/${page_name}\n")
      list(APPEND man_links "${link_dir}/${name}.3")
    endif()
  endforeach()
endforeach()

install(FILES ${man_pages} ${man_links} DESTINATION "${CMAKE_INSTALL_MANDIR}/man3")
install(FILES "${man_dir}/trapgate.7" DESTINATION "${CMAKE_INSTALL_MANDIR}/man7")
if(TG_BUILD_TOOLS)
  install(FILES "${man_dir}/trapgate.1" DESTINATION "${CMAKE_INSTALL_MANDIR}/man1")
endif()
