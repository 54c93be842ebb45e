/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The file behind a stub's memory, and who sees which part of it. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/memory_file.h"
#include "core/no_cancel.h"
#include "core/systrap/systrap_backend.h"

/* What the stub sees where; the offset in the file is the offset in the region. */
static const struct part {
    uint64_t offset;
    uint64_t end; /* 0: where the code pages start */
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

/* Behind what the stub sees: pages that come into the place of guest code (patched_pages.h). */
static uint64_t memory_size(const struct tg_platform *platform)
{
    return systrap_platform(platform)->code_pages + CODE_PAGES * platform->info.page_size;
}

static void *map_file(int file, uint64_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file, 0);

    if (memory == MAP_FAILED)
        return NULL;
    madvise(memory, size, MADV_DONTDUMP);
    return memory;
}

/* The file and all of it mapped. On an error neither. */
static int make_file(const char *name, uint64_t size, int *file, uint8_t **memory, const char **call)
{
    *file = memory_file_create(name, size, call);
    if (*file < 0)
        return *file;
    *memory = map_file(*file, size);
    if (*memory)
        return 0;
    *call = "mmap(2)";
    close(*file);
    *file = -1;
    return -ENOMEM;
}

static void unmake_file(int *file, uint8_t **memory, uint64_t size)
{
    if (*memory)
        munmap(*memory, size);
    if (*file >= 0)
        close(*file);
    *memory = NULL;
    *file = -1;
}

int stub_memory_create(struct systrap_subprocess *subprocess, const char **call)
{
    const struct systrap_platform *sp = systrap_platform(subprocess->base.platform);
    int err =
        make_file("trapgate", memory_size(subprocess->base.platform), &subprocess->file, &subprocess->memory, call);

    if (err)
        return err;
    memcpy(subprocess->memory + SYSTRAP_CONFIG, &sp->config, sizeof(sp->config));
    orders_of(subprocess)->request = 1;
    subprocess->sequence = 1;
    return 0;
}

int stub_memory_seal(const struct systrap_subprocess *subprocess)
{
    return memory_file_seal(subprocess->file);
}

int stub_memory_make_window(struct systrap_subprocess *subprocess)
{
    NO_CANCELLATION;
    const char *call;

    if (subprocess->window)
        return 0;
    return make_file("trapgate-window", STUB_WINDOW_SIZE, &subprocess->window_file, &subprocess->window, &call);
}

void stub_memory_destroy(struct systrap_subprocess *subprocess)
{
    unmake_file(&subprocess->file, &subprocess->memory, memory_size(subprocess->base.platform));
    unmake_file(&subprocess->window_file, &subprocess->window, STUB_WINDOW_SIZE);
}

size_t stub_memory_calls(const struct systrap_subprocess *subprocess, struct stub_call *calls)
{
    const struct systrap_platform *sp = systrap_platform(subprocess->base.platform);

    for (size_t i = 0; i < PARTS; i++) {
        uint64_t end = parts[i].end ? parts[i].end : sp->code_pages;

        calls[i] = (struct stub_call){
            .nr = tgi_arch.syscalls.mmap,
            .args = {sp->region + parts[i].offset, end - parts[i].offset, (uint64_t)parts[i].protection,
                     MAP_SHARED | MAP_FIXED | MAP_NORESERVE, (uint64_t)subprocess->file, parts[i].offset},
        };
    }
    return PARTS;
}
