/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the kernel says about a process's mappings. For rare questions: it reads /proc. */
#ifndef CORE_GUEST_MAPS_H
#define CORE_GUEST_MAPS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* As in /proc/PID/maps: "r-xp". False: nothing is mapped there, or it cannot be read. */
bool guest_maps_permissions(pid_t pid, uint64_t addr, char permissions[5]);
bool guest_maps_executable(pid_t pid, uint64_t addr);

#endif
