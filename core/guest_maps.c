/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <inttypes.h>
#include <stdio.h>

#include "core/guest_maps.h"

bool guest_maps_permissions(pid_t pid, uint64_t addr, char permissions[5])
{
    char path[32];
    char line[512];
    bool found = false;
    FILE *maps;

    snprintf(path, sizeof(path), "/proc/%d/maps", pid);
    maps = fopen(path, "re");
    if (!maps)
        return false;
    while (!found && fgets(line, sizeof(line), maps)) {
        uint64_t start;
        uint64_t end;

        found =
            sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s", &start, &end, permissions) == 3 && addr >= start && addr < end;
    }
    fclose(maps);
    return found;
}

bool guest_maps_executable(pid_t pid, uint64_t addr)
{
    char permissions[5];

    return guest_maps_permissions(pid, addr, permissions) && permissions[2] == 'x';
}
