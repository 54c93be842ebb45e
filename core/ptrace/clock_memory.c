/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <sys/mman.h>

#include "core/ptrace/clock_memory.h"

int clock_memory_map(struct ptrace_subprocess *subprocess, int file)
{
    const size_t page = subprocess->base.platform->info.page_size;
    void *memory = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);

    if (memory == MAP_FAILED)
        return -ENOMEM;
    madvise(memory, page, MADV_DONTDUMP);
    subprocess->clocks = memory;
    return 0;
}

void clock_memory_unmap(struct ptrace_subprocess *subprocess)
{
    if (subprocess->clocks)
        munmap(subprocess->clocks, subprocess->base.platform->info.page_size);
    subprocess->clocks = NULL;
}

struct vdso_clock *clock_memory_of(struct tg_subprocess *subprocess)
{
    return to_ptrace_subprocess(subprocess)->clocks;
}
