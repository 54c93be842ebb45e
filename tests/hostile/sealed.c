/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The stub's own code: nobody changes or unmaps it, not even the stub, where the kernel can seal pages. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guests.h"
#include "hostile.h"

#ifndef SYS_mseal
#define SYS_mseal 462
#endif

/* The first mapping that is the library's is the stub's code; what its VmFlags say. */
static bool code_is_sealed(pid_t pid, uint64_t user_end)
{
    unsigned long long start;
    char permissions[5] = "";
    bool found = false;
    char path[64];
    char line[256];
    FILE *smaps;

    snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
    smaps = fopen(path, "re");
    CHECK(smaps);
    while (fgets(line, sizeof(line), smaps)) {
        if (!found && sscanf(line, "%llx-%*x %4s", &start, permissions) == 2)
            found = start >= user_end;
        else if (found && strncmp(line, "VmFlags:", 8) == 0)
            break;
    }
    fclose(smaps);
    CHECK(found);
    CHECK(strcmp(permissions, "r-xp") == 0);
    return strstr(line, " sl") != NULL;
}

void hostile_sealed(uint32_t backend)
{
    struct guest guest;
    tg_subprocess *copy = NULL;
    uint64_t user_end;

    if (syscall(SYS_mseal, 0, 0, 0) != 0)
        SKIP("this kernel has no mseal(2)");
    guest_open(&guest, backend, GUEST_CODE(call_loop));
    user_end = platform_info(guest.platform).user_end;
    CHECK(code_is_sealed(tg_subprocess_pid(guest.subprocess), user_end));
    CHECK_OK(tg_subprocess_fork(guest.subprocess, &copy));
    CHECK(code_is_sealed(tg_subprocess_pid(copy), user_end));
    GUEST_RUN_TO_CALL(&guest);
    tg_subprocess_destroy(copy);
    guest_close(&guest);
}
