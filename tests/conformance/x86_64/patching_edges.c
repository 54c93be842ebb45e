/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Patched system calls where something is in the way: others' flags, a host that refuses memory, code without rest. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "../cases.h"
#include "patching.h"
#include "scale.h"

/* ---- flags of two contexts ---- */

#define FLAGS_NONE 0x202
#define FLAG_DF    0x400
#define FLAG_NT    0x4000
#define FLAG_AC    0x40000
#define FLAG_ID    0x200000
#define TURNS      12

struct flagged {
    tg_context *context;
    uint64_t data; /* the flags it sets, and behind them those that it finds behind its call */
    uint64_t flags;
};

static void open_flagged(const struct guest *guest, struct flagged *flagged, uint64_t data, uint64_t flags)
{
    *flagged = (struct flagged){create_started_context(guest->platform), data, flags};
    tg_context_regs_mut(flagged->context)->rbx = data;
    guest_store(guest->subprocess, data, flags);
    guest_store(guest->subprocess, data + 8, flags);
}

static void run_flagged(struct guest *guest, const struct flagged *flagged, uint64_t bit)
{
    run_context(flagged->context, guest->subprocess, &guest->event);
    CHECK_CALL(&guest->event, GUEST_CALL);
    /* Behind the call before this one, if there was one. */
    CHECK_EQ(guest_load(guest->subprocess, flagged->data + 8) & bit, flagged->flags & bit);
    CHECK_EQ(tg_context_regs(flagged->context)->eflags & bit, flagged->flags & bit);
}

/* One has the flag, the other has not; when the embedder writes registers they stay what they are. */
static void take_turns(uint32_t backend, uint64_t options, struct guest_code code, uint64_t bit)
{
    struct flagged with;
    struct flagged without;
    struct guest guest;
    int i;

    guest_open_flags(&guest, backend, options, code);
    open_flagged(&guest, &with, GUEST_DATA_AT, FLAGS_NONE | bit);
    open_flagged(&guest, &without, GUEST_DATA_AT + 64, FLAGS_NONE);
    for (i = 0; i < TURNS; i++) {
        run_flagged(&guest, &with, bit);
        run_flagged(&guest, &without, bit);
        if (i % 3 == 2) {
            tg_context_regs_mut(with.context)->rdi = 1;
            tg_context_regs_mut(without.context)->rdi = 1;
        }
    }
    tg_context_destroy(with.context);
    tg_context_destroy(without.context);
    guest_close(&guest);
}

static void flags_apart(uint32_t backend)
{
    static const uint64_t bits[] = {FLAG_DF, FLAG_NT, FLAG_AC, FLAG_ID};
    size_t i;

    for (i = 0; i < ARRAY_SIZE(bits); i++) {
        /* No call of ptrace(2) sets this one: regs_x86_64.h. */
        if (bits[i] == FLAG_ID && backend == TG_BACKEND_PTRACE)
            continue;
        check_context("flag 0x%x", (unsigned int)bits[i]);
        take_turns(backend, TG_OPEN_NO_PATCHING, GUEST_CODE(patch_flags_before), bits[i]);
        take_turns(backend, 0, GUEST_CODE(patch_flags_before), bits[i]);
        take_turns(backend, 0, GUEST_CODE(patch_flags_behind), bits[i]);
    }
}

/* ---- a host that refuses writable memory ---- */

#define NO_PAGES 1 /* byte; for the kernel 0 is no limit */

/* How many pages the stub has; and how many it may have from now on. Nobody else takes any meanwhile. */
static uint64_t all_pages(const struct guest *guest)
{
    char path[64];
    char line[256];
    unsigned long long kilobytes = 0;
    bool found = false;
    FILE *status;

    snprintf(path, sizeof(path), "/proc/%d/status", tg_subprocess_pid(guest->subprocess));
    status = fopen(path, "re");
    CHECK(status != NULL);
    while (!found && fgets(line, sizeof(line), status))
        found = sscanf(line, "VmSize: %llu kB", &kilobytes) == 1;
    fclose(status);
    CHECK(found);
    return kilobytes * 1024 / guest->page;
}

static void limit_pages(const struct guest *guest, rlim_t bytes)
{
    struct rlimit limit;

    CHECK_SYSTEM(prlimit(tg_subprocess_pid(guest->subprocess), RLIMIT_AS, NULL, &limit));
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    CHECK_SYSTEM(prlimit(tg_subprocess_pid(guest->subprocess), RLIMIT_AS, &limit, NULL));
}

static bool is_writable(const struct guest *guest, uint64_t addr)
{
    char path[64];
    char line[512];
    char rights[5] = "";
    unsigned long long start = 1;
    unsigned long long end = 0;
    FILE *maps;

    snprintf(path, sizeof(path), "/proc/%d/maps", tg_subprocess_pid(guest->subprocess));
    maps = fopen(path, "re");
    CHECK(maps != NULL);
    while (fgets(line, sizeof(line), maps)) {
        CHECK_EQ(sscanf(line, "%llx-%llx %4s", &start, &end, rights), 3);
        if (addr >= start && addr < end)
            break;
    }
    fclose(maps);
    CHECK(addr >= start && addr < end);
    return rights[1] == 'w';
}

static int file_of(const unsigned char *bytes, size_t length, uint64_t page)
{
    int file = CHECK_SYSTEM(memfd_create("code", MFD_CLOEXEC));

    CHECK_SYSTEM(ftruncate(file, (off_t)page));
    CHECK_EQ(CHECK_SYSTEM(pwrite(file, bytes, length, 0)), length);
    return file;
}

/* The code's bytes from the edge on lie in a mapping of their own. */
static void put_in_two_mappings(struct loop *loop, uint64_t edge)
{
    const struct guest *guest = &loop->guest;
    size_t in_first = (size_t)(edge - loop->at);
    int file;

    map_pages(guest->subprocess, edge - guest->page, guest->page, PROT_RW);
    CHECK_OK(tg_subprocess_write(guest->subprocess, loop->at, loop->pattern->code.start, in_first, NULL));
    protect_page(guest, edge - guest->page, PROT_RX);
    file = file_of(loop->pattern->code.start + in_first, CODE_LENGTH(loop) - in_first, guest->page);
    CHECK_OK(tg_subprocess_map(guest->subprocess, edge, guest->page, PROT_RX, 0, file, 0));
    CHECK_SYSTEM(close(file));
}

/* There is room for one of a site's two pages: both stay what they are, and the calls are right. */
static void one_page_alone_is_not_changed(uint32_t backend)
{
    const struct pattern *pattern = find_pattern("libc_wrapper");
    struct loop loop;
    uint64_t edge;

    loop_open(&loop, backend, 0, pattern);
    edge = GUEST_HOLE_AT + loop.guest.page;
    loop.at = edge - (uint64_t)(pattern->call - pattern->code.start) - 4;
    put_in_two_mappings(&loop, edge);
    loop_start(&loop, 2);
    loop_calls(&loop, 2);
    limit_pages(&loop.guest, (all_pages(&loop.guest) - 1) * loop.guest.page);
    loop_calls(&loop, WARM_CALLS);
    CHECK(!is_writable(&loop.guest, edge - 1));
    CHECK(!is_writable(&loop.guest, edge));
    CHECK(code_is_original(&loop));
    check_refused(&loop.guest, TG_PATCH_REFUSED_OTHER);
    /* With memory it is looked at again once something has changed there. */
    limit_pages(&loop.guest, RLIM_INFINITY);
    protect_page(&loop.guest, edge, PROT_RX);
    loop_warm(&loop);
    loop_close(&loop);
}

/* Code that goes away altogether needs no bytes back. */
static void goes_without_memory(uint32_t backend, const struct pattern *pattern)
{
    struct loop loop;

    loop_open(&loop, backend, 0, pattern);
    loop_warm(&loop);
    limit_pages(&loop.guest, NO_PAGES);
    CHECK_OK(tg_subprocess_unmap(loop.guest.subprocess, loop.at, loop.guest.page));
    guest_run(&loop.guest);
    CHECK_KIND(&loop.guest.event, TG_EVENT_FAULT);
    CHECK_EQ(loop.guest.event.u.fault.ip, place(&loop, pattern->behind));
    limit_pages(&loop.guest, RLIM_INFINITY);
    put_code(&loop.guest, loop.at, pattern->code, PROT_RX);
    loop_warm(&loop);
    loop_close(&loop);
}

static void memory_is_refused(uint32_t backend)
{
    size_t i;

    one_page_alone_is_not_changed(backend);
    for (i = 0; i < ARRAY_SIZE(patched_patterns); i++) {
        check_context("%s", patched_patterns[i].name);
        goes_without_memory(backend, &patched_patterns[i]);
    }
}

/* ---- code without rest ---- */

#define REWRITES           100000
#define REWRITES_OF_OTHERS 1000  /* where nothing is patched there is nothing to find out */
#define REWRITE_CALLS      4     /* the last one finds the site hot */
#define TRAMPOLINES        16384 /* of a subprocess */
#define REWRITES_OF_MANY   (TRAMPOLINES / 2 + 2000)
#define REWRITTEN_PAGES    64
#define REWRITE_SECONDS    10 /* an emulated processor does what it can in that time */
#define REWRITE_AT         GUEST_HOLE_AT

/* mov $number,%eax; syscall; jmp to the start. */
static void write_rewritten(const struct guest *guest, uint64_t at, uint32_t number)
{
    unsigned char code[9] = {0xb8, 0, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7};

    memcpy(code + 1, &number, sizeof(number));
    protect_page(guest, at, PROT_RW);
    CHECK_OK(tg_subprocess_write(guest->subprocess, at, code, sizeof(code), NULL));
    protect_page(guest, at, PROT_RX);
}

static void call_rewritten(struct guest *guest, tg_context *context, uint64_t at, uint32_t number)
{
    int i;

    arch_set_ip(context, at);
    for (i = 0; i < REWRITE_CALLS; i++) {
        run_context(context, guest->subprocess, &guest->event);
        CHECK_CALL(&guest->event, number);
    }
}

static void map_apart(const struct guest *guest, uint32_t pages)
{
    uint32_t i;

    /* With nothing before each of them that could look like the start of an instruction. */
    for (i = 0; i < pages; i++)
        map_pages(guest->subprocess, REWRITE_AT + 2 * i * guest->page, guest->page, PROT_RW);
}

static time_t seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

/* What is written has another number each time, or the same. How often it was. */
static uint32_t rewrite_pages(struct loop *loop, uint32_t pages, uint32_t rewrites, bool same)
{
    tg_context *context = create_started_context(loop->guest.platform);
    const time_t end = seconds_now() + REWRITE_SECONDS;
    uint64_t at;
    uint32_t number;
    uint32_t i;

    map_apart(&loop->guest, pages);
    if (!can_patch(&loop->guest))
        rewrites = REWRITES_OF_OTHERS;
    for (i = 0; i < rewrites && seconds_now() < end; i++) {
        at = REWRITE_AT + 2 * (i % pages) * loop->guest.page;
        number = 1000 + (same ? 0 : i);
        write_rewritten(&loop->guest, at, number);
        call_rewritten(&loop->guest, context, at, number);
    }
    tg_context_destroy(context);
    return i;
}

static void check_other_code(struct loop *loop)
{
    CHECK_EQ(platform_stats(loop->guest.platform).patch_refusals[TG_PATCH_REFUSED_FULL], 0);
    loop_warm(loop);
}

static void new_code_never_rests(uint32_t backend, uint32_t pages, uint32_t rewrites, uint64_t sites_most)
{
    struct loop loop;
    tg_stats stats;

    loop_open(&loop, backend, 0, find_pattern("libc_wrapper"));
    rewrites = rewrite_pages(&loop, pages, rewrites, false);
    stats = platform_stats(loop.guest.platform);
    CHECK(stats.patch_sites <= sites_most);
    if (can_patch(&loop.guest)) {
        CHECK_EQ(stats.patch_sites + stats.patch_refusals[TG_PATCH_REFUSED_CHANGES], rewrites);
        CHECK_EQ(stats.patch_sites + refusals(&loop.guest), rewrites);
    }
    check_other_code(&loop);
    loop_close(&loop);
}

/* A site that comes back as it was takes nothing from others, however many have. */
static void same_code_never_rests(uint32_t backend)
{
    struct loop loop;
    uint32_t rewrites;

    loop_open(&loop, backend, 0, find_pattern("libc_wrapper"));
    rewrites = rewrite_pages(&loop, REWRITTEN_PAGES, (uint32_t)scaled(REWRITES_OF_MANY), true);
    if (can_patch(&loop.guest))
        check_sites(&loop.guest, rewrites, 0);
    CHECK_EQ(refusals(&loop.guest), 0);
    check_other_code(&loop);
    loop_close(&loop);
}

static void never_rests(uint32_t backend)
{
    new_code_never_rests(backend, 1, (uint32_t)scaled(REWRITES), TRAMPOLINES / 16);
    new_code_never_rests(backend, REWRITTEN_PAGES, (uint32_t)scaled(REWRITES_OF_MANY),
                         TRAMPOLINES / 2 + REWRITTEN_PAGES);
    same_code_never_rests(backend);
}

const struct test_case patch_edge_cases[] = {
    {"patch.flags_apart", "Contexts that take turns have their own flags, patched or not", flags_apart},
    {"patch.memory_refused",
     "Where the host refuses writable memory, code is neither left writable nor is a patch forgotten",
     memory_is_refused},
    {"patch.never_rests", "Code that is rewritten a hundred thousand times leaves room for other sites", never_rests},
    {0},
};
