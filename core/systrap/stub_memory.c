/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The file behind a stub's memory, and who sees which part of it. */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/memory_file.h"
#include "core/no_cancel.h"
#include "core/stub_vdso.h"
#include "core/systrap/order_place.h"
#include "core/systrap/stub_memory.h"

#define SLOTS_STEP 32 /* the file grows by so many slots: a guest that touches all of it costs the host that memory */

_Static_assert(sizeof(struct systrap_config) <= SYSTRAP_ANSWERS - SYSTRAP_CONFIG, "the config fits");
_Static_assert(sizeof(struct systrap_answers) <= SYSTRAP_BRINGS - SYSTRAP_ANSWERS, "the answers fit");
_Static_assert(BRING_NUMBERS *BRING_PIECES * sizeof(struct systrap_bring) <= SYSTRAP_TABLE - SYSTRAP_BRINGS,
               "what calls bring fits");
_Static_assert(RING_LARGE * sizeof(struct systrap_words) <= SYSTRAP_READONLY_END - SYSTRAP_WORDS, "the words fit");
_Static_assert(sizeof(struct systrap_orders) <= SYSTRAP_CONFIG - SYSTRAP_ORDERS, "the orders fit");
_Static_assert(sizeof(struct systrap_control) <= SYSTRAP_WORKERS - SYSTRAP_CONTROL, "the control words fit");
_Static_assert(SYSTRAP_WORKERS + SYSTRAP_WORKERS_MAX * SYSTRAP_WORKER_SIZE <= SYSTRAP_WORKERS_END, "the workers fit");
_Static_assert(sizeof(struct systrap_worker) <= WORKER_STRUCT_SIZE, "a worker fits");

static uint64_t size_for(const struct tg_platform *platform, uint32_t slots)
{
    const struct systrap_platform *sp = systrap_platform(platform);
    const uint64_t page = platform->info.page_size;

    return (sp->slots + slots * sp->slot_size + page - 1) & ~(page - 1);
}

/* The size of the embedder's mapping of the file, with room for all slots. */
static uint64_t memory_size(const struct tg_platform *platform)
{
    return size_for(platform, systrap_platform(platform)->slots_max);
}

static void *map_file(int file, uint64_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file, 0);

    if (memory == MAP_FAILED)
        return NULL;
    madvise(memory, size, MADV_DONTDUMP);
    return memory;
}

/* Makes a file of that size, and a mapping of it that may be larger. On an error there is neither. */
static int make_file(const char *name, uint64_t size, uint64_t mapped, int *file, uint8_t **memory, const char **call)
{
    *file = memory_file_create(name, size, call);
    if (*file < 0)
        return *file;
    *memory = map_file(*file, mapped);
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
    const struct tg_platform *platform = subprocess->base.platform;
    int err = make_file("trapgate", size_for(platform, SLOTS_STEP), memory_size(platform), &subprocess->file,
                        &subprocess->memory, call);

    if (err)
        return err;
    subprocess->slots_held = SLOTS_STEP;
    /* The filter's room is larger than it: pages that nobody touches cost nothing. */
    memcpy(subprocess->memory + SYSTRAP_CONFIG, &sp->config,
           offsetof(struct systrap_config, filter) + sp->config.program_length * sizeof(sp->config.filter[0]));
    orders_of(subprocess)->request = 1;
    subprocess->sequence = 1;
    subprocess->placed = PLACED_UNKNOWN;
    return 0;
}

int stub_memory_seal(const struct systrap_subprocess *subprocess)
{
    return memory_file_seal(subprocess->file);
}

int stub_memory_reach(struct systrap_subprocess *subprocess, uint32_t slots)
{
    const uint32_t wanted = (slots + SLOTS_STEP - 1) / SLOTS_STEP * SLOTS_STEP;
    int err;

    if (slots <= subprocess->slots_held)
        return 0;
    err = memory_file_grow(subprocess->file, size_for(subprocess->base.platform, wanted));
    if (!err)
        subprocess->slots_held = wanted;
    return err;
}

int stub_memory_make_window(struct systrap_subprocess *subprocess)
{
    NO_CANCELLATION;
    const char *call;

    if (subprocess->window)
        return 0;
    return make_file("trapgate-window", STUB_WINDOW_SIZE, STUB_WINDOW_SIZE, &subprocess->window_file,
                     &subprocess->window, &call);
}

/* What has memory there: the rest is 0, and the host would make memory for each page that is touched. */
static void clear_part(const struct systrap_subprocess *subprocess, uint64_t from, uint64_t to)
{
    while (from < to) {
        const off_t data = lseek(subprocess->file, (off_t)from, SEEK_DATA);
        const off_t hole = data < 0 ? -1 : lseek(subprocess->file, data, SEEK_HOLE);
        const uint64_t start = data < 0 ? from : (uint64_t)data;
        const uint64_t end = hole < 0 || (uint64_t)hole > to ? to : (uint64_t)hole;

        if (start >= to || (data < 0 && errno == ENXIO))
            return;
        memset(subprocess->memory + start, 0, end - start);
        from = end;
    }
}

/* The file's offset is the syscall thread's last reply, and stays that. */
void stub_memory_clear(struct systrap_subprocess *subprocess)
{
    const struct tg_platform *platform = subprocess->base.platform;
    const uint64_t clocks = stub_vdso_clocks(SYSTRAP_VDSO, platform->info.page_size);
    const off_t reply = lseek(subprocess->file, 0, SEEK_CUR);

    clear_part(subprocess, SYSTRAP_ANSWERS, clocks);
    clear_part(subprocess, clocks + platform->info.page_size, STUB_CODE_PAGES);
    clear_part(subprocess, systrap_platform(platform)->slots, size_for(platform, subprocess->slots_held));
    lseek(subprocess->file, reply, SEEK_SET);
    memset(orders_of(subprocess)->calls, 0, sizeof(orders_of(subprocess)->calls));
    config_of(subprocess)->answers = 0;
    config_of(subprocess)->brings = 0;
}

struct stub_call stub_memory_empty_aside(const struct systrap_subprocess *subprocess)
{
    const struct systrap_platform *sp = systrap_platform(subprocess->base.platform);

    return (struct stub_call){
        .nr = tgi_arch.syscalls.mmap,
        .args = {sp->region + sp->aside_pages, SYSTRAP_REGION_SIZE - sp->aside_pages, PROT_NONE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, (uint64_t)-1, 0},
    };
}

void stub_memory_destroy(struct systrap_subprocess *subprocess)
{
    unmake_file(&subprocess->file, &subprocess->memory, memory_size(subprocess->base.platform));
    unmake_file(&subprocess->window_file, &subprocess->window, STUB_WINDOW_SIZE);
}

static void close_copy(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void stub_memory_forget(struct systrap_subprocess *subprocess, bool unmap)
{
    close_copy(&subprocess->file);
    close_copy(&subprocess->window_file);
    if (unmap && subprocess->memory) {
        munmap(subprocess->memory, memory_size(subprocess->base.platform));
        subprocess->memory = NULL;
    }
}

struct vdso_clock *stub_memory_clocks(struct tg_subprocess *subprocess)
{
    const uint64_t page = subprocess->platform->info.page_size;

    return (struct vdso_clock *)(to_systrap_subprocess(subprocess)->memory + stub_vdso_clocks(SYSTRAP_VDSO, page));
}

size_t stub_memory_calls(const struct systrap_subprocess *subprocess, struct stub_call *calls)
{
    const struct systrap_platform *sp = systrap_platform(subprocess->base.platform);
    const uint64_t page = subprocess->base.platform->info.page_size;
    const uint64_t clocks = stub_vdso_clocks(SYSTRAP_VDSO, page);
    /* What the stub sees where in the region, and where that is in the file. */
    const struct {
        uint64_t start;
        uint64_t end;
        uint64_t in_file;
        uint64_t protection;
    } parts[] = {
        {SYSTRAP_ORDERS, SYSTRAP_READONLY_END, SYSTRAP_ORDERS, PROT_READ},
        {SYSTRAP_TRAMPOLINES, SYSTRAP_CONTROL, SYSTRAP_TRAMPOLINES, PROT_READ | PROT_EXEC},
        {SYSTRAP_CONTROL, SYSTRAP_WORKERS_END, SYSTRAP_CONTROL, PROT_READ | PROT_WRITE},
        {SYSTRAP_SLOTS, sp->aside_pages, sp->slots, PROT_READ | PROT_WRITE},
        {clocks, clocks + page, clocks, PROT_READ},
    };
    /* The last one is there where the vDSO is the library's. */
    const size_t n = sizeof(parts) / sizeof(parts[0]) - (subprocess->base.platform->info.vdso_kind != TG_VDSO_OWN);

    for (size_t i = 0; i < n; i++)
        calls[i] = (struct stub_call){
            .nr = tgi_arch.syscalls.mmap,
            .args = {sp->region + parts[i].start, parts[i].end - parts[i].start, parts[i].protection,
                     MAP_SHARED | MAP_FIXED | MAP_NORESERVE, (uint64_t)subprocess->file, parts[i].in_file},
        };
    return n;
}
