/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A 32-bit call of a 64-bit program. */
#include <stdio.h>

int main(void)
{
    int result = 20; /* getpid, in their table */

    __asm__ volatile("int $0x80" : "+a"(result)::"memory");
    printf("%d\n", result);
    return 0;
}
