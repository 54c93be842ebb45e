/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The file behind a stub's memory, and who sees which part of it. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/descriptors.h"
#include "core/systrap/systrap_backend.h"

/* What the stub sees where; the offset in the file is the offset in the region. */
static const struct part {
    uint64_t offset;
    uint64_t end; /* 0: the end of the file */
    int protection;
} parts[] = {
    {SYSTRAP_ORDERS, SYSTRAP_READONLY_END, PROT_READ},
    {SYSTRAP_TRAMPOLINES, SYSTRAP_CONTROL, PROT_READ | PROT_EXEC},
    {SYSTRAP_CONTROL, 0, PROT_READ | PROT_WRITE},
};

#define PARTS (sizeof(parts) / sizeof(parts[0]))

_Static_assert(sizeof(struct systrap_config) <= SYSTRAP_READONLY_END - SYSTRAP_CONFIG, "the config fits");
_Static_assert(sizeof(struct systrap_orders) <= SYSTRAP_CONFIG - SYSTRAP_ORDERS, "the orders fit");
_Static_assert(sizeof(struct systrap_control) <= SYSTRAP_WORKERS - SYSTRAP_CONTROL, "the control words fit");
_Static_assert(SYSTRAP_WORKERS + SYSTRAP_WORKERS_MAX * SYSTRAP_WORKER_SIZE <= SYSTRAP_SLOTS, "the workers fit");
_Static_assert(sizeof(struct systrap_worker) <= WORKER_STRUCT_SIZE, "a worker fits");

static uint64_t memory_size(const struct systrap_platform *sp)
{
    return SYSTRAP_SLOTS + (uint64_t)sp->slots_max * sp->slot_size;
}

int stub_memory_create(struct systrap_subprocess *subprocess)
{
    const struct systrap_platform *sp = systrap_platform(subprocess->base.platform);
    struct rlimit limit;
    int err = 0;

    /* Beyond the limit the kernel would signal the embedder. */
    if (!getrlimit(RLIMIT_FSIZE, &limit) && limit.rlim_cur < memory_size(sp))
        return -EFBIG;
    subprocess->file = descriptor_memfd("trapgate", 0);
    if (subprocess->file < 0)
        return subprocess->file;
    if (ftruncate(subprocess->file, (off_t)memory_size(sp)))
        err = -errno;
    if (!err) {
        void *memory =
            mmap(NULL, memory_size(sp), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, subprocess->file, 0);

        if (memory == MAP_FAILED)
            err = -errno;
        else
            subprocess->memory = memory;
    }
    if (err) {
        close(subprocess->file);
        subprocess->file = -1;
        return err;
    }
    madvise(subprocess->memory, memory_size(sp), MADV_DONTDUMP);
    memcpy(subprocess->memory + SYSTRAP_CONFIG, &sp->config, sizeof(sp->config));
    orders_of(subprocess)->request = 1;
    subprocess->sequence = 1;
    return 0;
}

void stub_memory_destroy(struct systrap_subprocess *subprocess)
{
    if (subprocess->memory)
        munmap(subprocess->memory, memory_size(systrap_platform(subprocess->base.platform)));
    if (subprocess->file >= 0)
        close(subprocess->file);
    subprocess->memory = NULL;
    subprocess->file = -1;
}

size_t stub_memory_calls(const struct systrap_subprocess *subprocess, struct stub_call *calls)
{
    const struct systrap_platform *sp = systrap_platform(subprocess->base.platform);

    for (size_t i = 0; i < PARTS; i++) {
        uint64_t end = parts[i].end ? parts[i].end : memory_size(sp);

        calls[i] = (struct stub_call){
            .nr = tgi_arch.syscalls.mmap,
            .args = {sp->region + parts[i].offset, end - parts[i].offset, (uint64_t)parts[i].protection,
                     MAP_SHARED | MAP_FIXED | MAP_NORESERVE, (uint64_t)subprocess->file, parts[i].offset},
        };
    }
    return PARTS;
}
