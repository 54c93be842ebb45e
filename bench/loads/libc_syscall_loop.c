/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* libc_syscall_loop MS - prints the ns of one getppid by the C library's syscall(). */
#include <sys/syscall.h>
#include <unistd.h>

#include "one_thread.h"

static long libc_getppid(void)
{
    return syscall(SYS_getppid);
}

int main(int argc, char **argv)
{
    return report_ns_per_call((double)load_argument(argc, argv, 1, "libc_syscall_loop MS") / 1000, libc_getppid);
}
