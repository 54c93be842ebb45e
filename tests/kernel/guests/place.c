/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Where a position-independent program lies: sanitizers have shadow memory only for where Linux puts it. */
#include <stdint.h>
#include <unistd.h>

#include "report.h"

int main(void)
{
    uint64_t code = (uint64_t)(uintptr_t)&main;
    uint64_t heap = (uint64_t)(uintptr_t)sbrk(0);

    REPORT(heap > code);
#ifdef __x86_64__
    REPORT(code >= UINT64_C(0x555555554000) && code < UINT64_C(0x565555600000));
#endif
    return report_status();
}
