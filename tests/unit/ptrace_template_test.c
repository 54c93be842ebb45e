/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A first stub that takes its time: what the library looks at meanwhile. Before
 * Linux 6.5 a look at an address below another process's stack makes that stack
 * grow down to it, over the place that the stub is about to map. waitpid(3) and
 * process_vm_readv(2) are here.
 */
#include "unit.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/backend.h"

#define KERNEL_HALF (1ull << 63)
#define SLOW_LOOKS  200 /* that find nothing yet: more than the library makes before it wonders */

static struct {
    atomic_uint waits;
    atomic_uint looks;
    atomic_uint looks_at_processes_memory;
    atomic_uint strange_answers;
} seen;

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): the C library's are reserved */
pid_t waitpid(pid_t pid, int *status, int options)
{
    if (options & WNOHANG && pid > 0 && atomic_fetch_add(&seen.waits, 1) < SLOW_LOOKS)
        return 0;
    return (pid_t)syscall(SYS_wait4, pid, status, options, NULL);
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): the C library's are reserved */
ssize_t process_vm_readv(pid_t pid, const struct iovec *local, unsigned long local_count, const struct iovec *remote,
                         unsigned long remote_count, unsigned long flags)
{
    ssize_t result = syscall(SYS_process_vm_readv, pid, local, local_count, remote, remote_count, flags);

    atomic_fetch_add(&seen.looks, 1);
    if ((uint64_t)(uintptr_t)remote->iov_base < KERNEL_HALF)
        atomic_fetch_add(&seen.looks_at_processes_memory, 1);
    if (result >= 0 || (errno != EFAULT && errno != EPERM))
        atomic_fetch_add(&seen.strange_answers, 1);
    return result;
}

static void slow_stub_is_not_disturbed(void **state)
{
    const struct tg_platform_options options = {.size = sizeof(options), .backend = TG_BACKEND_PTRACE};
    struct tg_platform *platform = NULL;

    (void)state;
    assert_int_equal(platform_open(&options, &platform), 0);
    /* It was looked at, and every time it was alive. */
    assert_true(atomic_load(&seen.looks) > 0);
    assert_int_equal(atomic_load(&seen.looks_at_processes_memory), 0);
    assert_int_equal(atomic_load(&seen.strange_answers), 0);
    platform_close(platform);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slow_stub_is_not_disturbed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
