/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* vm.max_map_count is reached, in the embedder or in a guest. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "exhaustion.h"
#include "footprint.h"
#include "proc.h"
#include "soak.h"
#include "stress.h"
#include "threads.h"

#define LIMIT_MAX 200000 /* with a higher limit the cases would take long */
#define BATCH     256
#define CROWD_AT  0x100000000000ull

static size_t mapping_limit(void)
{
    FILE *file = fopen("/proc/sys/vm/max_map_count", "re");
    size_t limit = 0;
    if (!file || fscanf(file, "%zu", &limit) != 1)
        SKIP("vm.max_map_count cannot be read");
    fclose(file);
    if (limit > LIMIT_MAX)
        SKIP("vm.max_map_count is %zu: more than this case wants to fill", limit);
    return limit;
}

struct filling {
    unsigned char *start;
    size_t length;
};

/* Pages that differ from their neighbours cannot be merged into one mapping. */
static struct filling fill_own_mappings(size_t limit)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    struct filling filling = {.length = 2 * limit * page};
    filling.start = mmap(NULL, filling.length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(filling.start != MAP_FAILED);
    for (size_t offset = page; offset < filling.length; offset += 2 * page) {
        if (mprotect(filling.start + offset, page, PROT_READ) == 0)
            continue;
        CHECK_EQ(errno, ENOMEM);
        return filling;
    }
    check_failed(CHECK_HERE, "the limit of %zu mappings does not hold", limit);
}

struct strained {
    tg_platform *platform;
    tg_subprocess *subprocess;
    tg_context *context;
};

static void *switch_there(void *argument)
{
    struct strained *strained = argument;
    tg_event event = new_event();
    CHECK_DENIED(strained->platform, tg_context_switch(strained->context, strained->subprocess, &event));
    return NULL;
}

static void work_with_none(struct strained *strained)
{
    tg_subprocess *created = NULL;
    tg_subprocess *copy = NULL;
    tg_context *context = NULL;
    tg_queue *queue = NULL;
    switch_there(strained);
    CHECK_DENIED(strained->platform, tg_subprocess_map(strained->subprocess, GUEST_HOLE_AT, 4096, PROT_RW, 0, -1, 0));
    CHECK_DENIED(strained->platform, tg_context_create(strained->platform, &context));
    CHECK_DENIED(strained->platform, tg_queue_create(strained->platform, &queue));
    CHECK_DENIED(strained->platform, tg_subprocess_create(strained->platform, &created));
    CHECK_DENIED(strained->platform, tg_subprocess_fork(strained->subprocess, &copy));
    tg_queue_destroy(queue);
    tg_context_destroy(context);
    tg_subprocess_destroy(created);
    tg_subprocess_destroy(copy);
}

void stress_no_mappings_left(uint32_t backend)
{
    if (SANITIZED)
        SKIP("sanitizers cannot go on without new mappings");
    const size_t limit = mapping_limit();
    struct strained strained = {.platform = open_platform(backend, 0)};
    check_all_works(strained.platform);
    strained.subprocess = create_loaded_subprocess(strained.platform, soak_code());
    strained.context = create_started_context(strained.platform);
    const struct footprint before = footprint_take();

    const struct filling filling = fill_own_mappings(limit);
    work_with_none(&strained);
    CHECK_SYSTEM(munmap(filling.start, filling.length));

    check_all_works(strained.platform);
    footprint_check(&before);
    tg_context_destroy(strained.context);
    tg_subprocess_destroy(strained.subprocess);
    tg_platform_close(strained.platform);
}

/* Maps every second page in batches until the host refuses; returns how many it took. */
static size_t fill_guest_mappings(tg_platform *platform, tg_subprocess *subprocess, size_t limit)
{
    const uint64_t page = platform_info(platform).page_size;
    tg_mem_op ops[BATCH];
    size_t total = 0;
    size_t done = BATCH;
    int result = 0;
    while (result == 0 && total <= limit) {
        for (size_t i = 0; i < BATCH; i++)
            ops[i] = (tg_mem_op){.size = sizeof(tg_mem_op),
                                 .kind = TG_MEM_MAP,
                                 .addr = CROWD_AT + 2 * (total + i) * page,
                                 .length = page,
                                 .prot = TG_PROT_READ,
                                 .fd = -1};
        result = tg_subprocess_apply(subprocess, ops, BATCH, &done);
        CHECK(result == 0 ? done == BATCH : done < BATCH);
        total += done;
    }
    CHECK_RESULT(result, -ENOMEM);
    CHECK(tg_platform_last_error(platform)[0] != '\0');
    return total;
}

void stress_no_guest_mappings_left(uint32_t backend)
{
    const size_t limit = mapping_limit();
    struct soaker soaker;
    tg_platform *platform = open_platform(backend, 0);
    const uint64_t page = platform_info(platform).page_size;
    tg_subprocess *subprocess = create_loaded_subprocess(platform, soak_code());
    soaker_open(&soaker, platform, 1);
    const int32_t pid = tg_subprocess_pid(subprocess);
    const size_t before = proc_mappings(pid, NULL, 0);

    for (int round = 0; round < 2; round++) {
        const size_t mapped = fill_guest_mappings(platform, subprocess, limit);
        CHECK_EQ(proc_mappings(pid, NULL, 0), before + mapped);
        soaker_turn(&soaker, subprocess);
        /* A full address space must still be able to get emptier. */
        CHECK_OK(tg_subprocess_unmap(subprocess, CROWD_AT, 2 * limit * page));
        CHECK_EQ(proc_mappings(pid, NULL, 0), before);
        soaker_turn(&soaker, subprocess);
    }
    soaker_close(&soaker);
    tg_platform_close(platform);
}
