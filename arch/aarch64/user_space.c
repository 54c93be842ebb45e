/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * How far addresses go is a choice of the kernel's configuration, and of the
 * processor. A fixed mapping says it: one beyond the end is refused, one where
 * something is already exists.
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "aarch64.h"

/* How far below the end stubs lie, and more: the windows of both backends, and the regions. */
#define STUB_ROOM (1ull << 35)

/* Of 52 bits the kernel gives those above 48 only to who asks for them: stubs stay below. */
static const uint64_t ends[] = {1ull << 48, 1ull << 47, 1ull << 42, 1ull << 39, 1ull << 36};

/* 0, or -errno; -ENOMEM: no address is that high. */
static int try_end(uint64_t end, uint64_t page)
{
    const uint64_t last = end - page;
    void *mapped = mmap((void *)(uintptr_t)last, page, PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

    if (mapped == MAP_FAILED)
        return errno == EEXIST ? 0 : -errno;
    munmap(mapped, page);
    return 0;
}

int a64_user_space(struct arch_user_space *out)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    int err = -ENOMEM;

    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]) && err == -ENOMEM; i++) {
        err = try_end(ends[i], page);
        *out = (struct arch_user_space){.end = ends[i], .end_min = ends[i] - STUB_ROOM};
    }
    return err;
}
