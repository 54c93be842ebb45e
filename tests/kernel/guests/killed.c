/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Ends in the way that its argument names, so that the exit status can be compared. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "";

    if (strcmp(how, "segv") == 0)
        *(volatile int *)8 = 1;
    if (strcmp(how, "abort") == 0)
        abort();
    if (strcmp(how, "term") == 0)
        raise(SIGTERM);
    if (strcmp(how, "kill") == 0)
        kill(getpid(), SIGKILL);
    if (strcmp(how, "trap") == 0)
        __asm__ volatile("int3");
    if (strcmp(how, "jump") == 0)
        ((void (*)(void))(long)0x8000000000001234L)();
    if (strcmp(how, "stack") == 0)
        __asm__ volatile("mov $0x8000000000001230, %%rsp\n push %%rax" ::: "memory");
    return argc > 2 ? atoi(argv[2]) : 3;
}
