/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Preloaded into the command: refuses a call from main() on. For calls without
 * which the dynamic loader and the C library do not get there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "filter.h"

__attribute__((constructor)) static void refuse_late(void)
{
    const char *text = getenv(LATE_VARIABLE);
    int nr = 0;
    long value = 0;

    if (!text || sscanf(text, "%d %ld", &nr, &value) != 2)
        return;
    unsetenv(LATE_VARIABLE);
    unsetenv("LD_PRELOAD");
    if (filter_refuse(nr, value))
        _exit(2);
}
