/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "region.h"

#include <stdio.h>
#include <string.h>
#include <sys/uio.h>

#include "check.h"
#include "guest.h"
#include "proc.h"
#include "soak.h"

#define BUSY_SLOTS   8    /* numbers of slots are given out from 0 on */
#define SOME_SLOTS   16   /* a few that nobody has, too */
#define BUSY_WORKERS 4    /* as few as there are processors */
#define BUSY_ENTRIES 64   /* of a ring that has just begun */
#define BUSY_STACK   8192 /* the frame that the kernel pushes, and the handler's own */
#define FP_LEGACY    576  /* the part of an FP image in which every word means something to the processor */
#define MAPPINGS_MAX 64

enum place {
    CONTROL,
    WORKER,
    SLOT,
    SLOT_FP,
    STACK,
};

static const struct word {
    const char *name;
    enum place place;
    size_t offset;
    size_t bytes;
} words[] = {
#define IN_CONTROL(member)                                                                                             \
    {                                                                                                                  \
        "control." #member, CONTROL, offsetof(struct systrap_control, member),                                         \
            sizeof(((struct systrap_control *)0)->member)                                                              \
    }
    IN_CONTROL(reply),
    IN_CONTROL(reply_waiting),
    IN_CONTROL(hide),
    IN_CONTROL(run[0].head),
    IN_CONTROL(run[0].tail),
    IN_CONTROL(run[1].head),
    IN_CONTROL(run[1].tail),
    IN_CONTROL(done[0].head),
    IN_CONTROL(done[0].tail),
    IN_CONTROL(done[1].head),
    IN_CONTROL(done[1].tail),
    IN_CONTROL(doorbell),
    IN_CONTROL(sleepers),
    IN_CONTROL(spinning),
    IN_CONTROL(awake),
    IN_CONTROL(run_small),
    IN_CONTROL(done_small),
    IN_CONTROL(run_large),
    IN_CONTROL(done_large),
#define IN_WORKER(member)                                                                                              \
    {                                                                                                                  \
        "worker." #member, WORKER, offsetof(struct systrap_worker, member),                                            \
            sizeof(((struct systrap_worker *)0)->member)                                                               \
    }
    IN_WORKER(slot),
    IN_WORKER(wake),
    IN_WORKER(asleep),
    IN_WORKER(index),
    IN_WORKER(running),
    IN_WORKER(entering),
    IN_WORKER(rare),
    IN_WORKER(shares_queue),
    IN_WORKER(next_done),
    IN_WORKER(futile),
    IN_WORKER(spins),
    IN_WORKER(sleeps),
    IN_WORKER(answered),
#define IN_SLOT(member)                                                                                                \
    {                                                                                                                  \
        "slot." #member, SLOT, offsetof(struct systrap_slot, member), sizeof(((struct systrap_slot *)0)->member)       \
    }
    IN_SLOT(state),
    IN_SLOT(waiting),
    IN_SLOT(worker),
    IN_SLOT(signal),
    IN_SLOT(site),
    IN_SLOT(call_regs),
    IN_SLOT(other_regs),
    IN_SLOT(kick),
    IN_SLOT(queued),
    IN_SLOT(first),
    IN_SLOT(code),
    IN_SLOT(error_number),
    IN_SLOT(syscall_arch),
    IN_SLOT(addr),
    IN_SLOT(syscall),
    IN_SLOT(trap_number),
    IN_SLOT(trap_error),
    IN_SLOT(resume),
    IN_SLOT(stack),
    IN_SLOT(number),
    IN_SLOT(fp_at),
    IN_SLOT(taken_at),
    IN_SLOT(left_at),
    {"fpstate", SLOT_FP, 0, FP_LEGACY},
    {"stack.signal", STACK, WORKER_SIGNAL_STACK - BUSY_STACK, BUSY_STACK},
    {"stack.call", STACK, SYSTRAP_WORKER_SIZE - WORKER_STRUCT_SIZE - BUSY_STACK, BUSY_STACK},
};

#define WORD_COUNT (sizeof(words) / sizeof(words[0]))

static uint64_t text_size(uint64_t start, pid_t pid)
{
    struct proc_mapping mappings[MAPPINGS_MAX];
    const size_t count = proc_mappings(pid, mappings, MAPPINGS_MAX);
    for (size_t i = 0; i < count && i < MAPPINGS_MAX; i++)
        if (mappings[i].start == start)
            return mappings[i].end - start;
    check_failed(CHECK_HERE, "the stub maps nothing at the end of guest memory");
}

void region_read(const tg_subprocess *subprocess, uint64_t addr, void *buffer, size_t length)
{
    const struct iovec local = {.iov_base = buffer, .iov_len = length};
    const struct iovec remote = {.iov_base = (void *)(uintptr_t)addr, .iov_len = length};
    CHECK_EQ(CHECK_SYSTEM(process_vm_readv(tg_subprocess_pid(subprocess), &local, 1, &remote, 1, 0)), length);
}

struct region region_of(const tg_platform *platform, tg_subprocess *subprocess)
{
    const tg_info info = platform_info(platform);
    struct systrap_config config;
    region_read(subprocess, info.user_end + SYSTRAP_CONFIG, &config, sizeof(config));
    CHECK_EQ(config.region, info.user_end);
    CHECK_EQ(config.fp_size, info.fpstate_size);
    return (struct region){
        .start = info.user_end,
        .text_size = text_size(info.user_end, tg_subprocess_pid(subprocess)),
        .slot_size = config.slot_size,
        .fp_offset = config.fp_offset,
        .fp_size = config.fp_size,
    };
}

uint64_t region_control(const struct region *region, size_t offset)
{
    return region->start + SYSTRAP_CONTROL + offset;
}

uint64_t region_worker(const struct region *region, uint32_t index)
{
    return region->start + SYSTRAP_WORKERS + (index + 1) * (uint64_t)SYSTRAP_WORKER_SIZE - WORKER_STRUCT_SIZE;
}

uint64_t region_worker_place(const struct region *region, uint32_t index, uint32_t offset)
{
    return region->start + SYSTRAP_WORKERS + index * (uint64_t)SYSTRAP_WORKER_SIZE + offset;
}

uint64_t region_slot(const struct region *region, uint32_t number)
{
    return region->start + SYSTRAP_SLOTS + number * region->slot_size;
}

void region_list_words(void)
{
    for (size_t i = 0; i < WORD_COUNT; i++)
        puts(words[i].name);
}

static bool is_named(const struct word *word, const char *names)
{
    return strncmp(word->name, names, strlen(names)) == 0;
}

static const struct word *pick(const char *names, uint64_t *random)
{
    size_t count = 0;
    for (size_t i = 0; i < WORD_COUNT; i++)
        count += is_named(&words[i], names);
    if (count == 0)
        check_failed(CHECK_HERE, "no shared word is called %s", names);
    size_t which = next_number(random) % count;
    for (size_t i = 0;; i++)
        if (is_named(&words[i], names) && which-- == 0)
            return &words[i];
}

/* Mostly among the first, which are in use; now and then any. */
static uint64_t pick_index(uint64_t *random, uint64_t busy, uint64_t all)
{
    const uint64_t limit = busy < all && next_number(random) % 8 != 0 ? busy : all;
    return next_number(random) % limit;
}

static uint64_t base_of(const struct region *region, enum place place, uint64_t *random)
{
    switch (place) {
    case WORKER:
        return region_worker(region, (uint32_t)pick_index(random, BUSY_WORKERS, SYSTRAP_WORKERS_MAX));
    case SLOT:
        return region_slot(region, (uint32_t)pick_index(random, BUSY_SLOTS, RING_LARGE));
    case SLOT_FP:
        return region_slot(region, (uint32_t)pick_index(random, BUSY_SLOTS, RING_LARGE)) + region->fp_offset;
    case STACK:
        return region->start + SYSTRAP_WORKERS +
               pick_index(random, BUSY_WORKERS, SYSTRAP_WORKERS_MAX) * SYSTRAP_WORKER_SIZE;
    default:
        return region_control(region, 0);
    }
}

uint64_t region_pick_word(const struct region *region, const char *names, uint64_t *random, const char **name)
{
    const struct word *word = pick(names, random);
    const uint64_t bytes = word->place == SLOT_FP && next_number(random) % 4 == 0 ? region->fp_size : word->bytes;
    const uint64_t count = (bytes + sizeof(uint32_t) - 1) / sizeof(uint32_t);
    const uint64_t busy = word->place == CONTROL ? BUSY_ENTRIES : count;
    *name = word->name;
    const uint64_t offset = word->offset & ~(sizeof(uint32_t) - 1);
    return base_of(region, word->place, random) + offset + pick_index(random, busy, count) * sizeof(uint32_t);
}

uint64_t region_pick_value(const struct region *region, uint64_t *random)
{
    static const uint64_t chosen[] = {
        0,
        ~0ull,
        0x80000000,
        0x7fffffff,
        0xffff,
        0x10000,
        RING_LARGE + 1,
        RING_SMALL,
        RING_SMALL + 1,
        SYSTRAP_WORKERS_MAX,
        PATCHED_CALL,
        0xc000003e,
        0x40000003,
        0xffffffff81000000,
        0xffffffffff600000,
        0x0000800000000000,
        0x00007ffffffff000,
        GUEST_CODE_AT,
        GUEST_DATA_AT,
        0xcccccccccccccccc,
    };
    const uint64_t noise = next_number(random);
    switch (next_number(random) % 8) {
    case 0:
        return noise;
    case 1:
        return noise & UINT32_MAX;
    case 2:
    case 3:
        return noise % 10; /* states, small numbers */
    case 4:
        return noise % SOME_SLOTS; /* slots */
    case 5:
        return region->start + noise % SYSTRAP_REGION_SIZE;
    case 6:
        return region->start + SYSTRAP_WORKERS + noise % BUSY_WORKERS * SYSTRAP_WORKER_SIZE +
               noise / BUSY_WORKERS % SYSTRAP_WORKER_SIZE;
    default:
        return chosen[noise % ARRAY_SIZE(chosen)];
    }
}
