/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <inttypes.h>
#include <stdio.h>

#include "core/guest_maps.h"

bool guest_maps_executable(pid_t pid, uint64_t addr)
{
    char path[32];
    char line[512];
    bool executable = false;
    FILE *maps;

    snprintf(path, sizeof(path), "/proc/%d/maps", pid);
    maps = fopen(path, "re");
    if (!maps)
        return false;
    while (fgets(line, sizeof(line), maps)) {
        uint64_t start;
        uint64_t end;
        char permissions[5];

        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s", &start, &end, permissions) == 3 && addr >= start &&
            addr < end) {
            executable = permissions[2] == 'x';
            break;
        }
    }
    fclose(maps);
    return executable;
}
