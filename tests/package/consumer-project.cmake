# SPDX-License-Identifier: Apache-2.0 OR MIT
# Becomes the CMakeLists.txt of a project outside of the tree.
cmake_minimum_required(VERSION 3.25)
project(consumer LANGUAGES C)
find_package(trapgate REQUIRED)
foreach(kind trapgate trapgate_static)
  add_executable(consumer_${kind} consumer.c)
  target_link_libraries(consumer_${kind} PRIVATE trapgate::${kind})
endforeach()
