/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Runs a program whose host refuses system calls: they fail with EPERM, as in a
 * container whose profile does not know them.
 * Usage: refuse CALL... -- PROGRAM [ARGUMENTS]
 */
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    int i = 1;

    for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
        int nr = seccomp_syscall_resolve_name(argv[i]);
        if (nr < 0 || seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), nr, 0) != 0) {
            fprintf(stderr, "refuse: no system call %s\n", argv[i]);
            return 2;
        }
    }
    if (i + 1 >= argc || seccomp_load(filter) != 0)
        return 2;
    execvp(argv[i + 1], argv + i + 1);
    return 2;
}
