/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * System calls whose code may be changed by the library. Whether it is or not, a guest sees what it would see natively:
 * every case runs on every backend, and looks at sites and bytes where TG_CAP_PATCHING is.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "../cases.h"
#include "arch.h"
#include "cpu.h"
#include "guest.h"
#include "guests_x86_64.h"
#include "threads.h"

/* By then a call that is to be patched is. */
#define WARM_CALLS 12
#define MANY_CALLS 300

#define DECOY_NUMBER 0x113c9090

/* ---- one call and its neighbours, for ever ---- */

enum taken {
    LEFT_ALONE,
    BEFORE,
    BEHIND,
};

struct pattern {
    const char *name;
    struct guest_code code;
    const unsigned char *start;  /* of what comes before the call */
    const unsigned char *call;   /* the instruction */
    const unsigned char *behind; /* the next one */
    uint64_t number;             /* 0: GUEST_CALL */
    enum taken taken;
    uint32_t reason;   /* TG_PATCH_REFUSED_*, for LEFT_ALONE */
    uint64_t inner;    /* where the second instruction behind the call is, from the first; 0: not asked */
    uint64_t inner_by; /* what r15 grows by from there */
    bool moved;        /* the guest cannot run what is behind the call */
};

#define PATTERN(pattern_name, ...)                                                                                     \
    {                                                                                                                  \
        .name = #pattern_name, .code = GUEST_INIT(patch_##pattern_name), .start = guest_patch_##pattern_name##_start,  \
        .call = guest_patch_##pattern_name##_call, .behind = guest_patch_##pattern_name##_behind, __VA_ARGS__          \
    }

static const struct pattern patched[] = {
    PATTERN(mov_eax, .taken = BEFORE),
    PATTERN(mov_rax, .taken = BEFORE),
    PATTERN(movabs, .taken = BEFORE),
    PATTERN(mov_return, .taken = BEFORE),
    PATTERN(libc_inline, .taken = BEHIND),
    PATTERN(libc_wrapper, .taken = BEHIND),
    PATTERN(go_wrapper, .taken = BEHIND),
    PATTERN(two_shorts, .taken = BEHIND, .inner = 3, .inner_by = 0),
    PATTERN(nops_behind, .taken = BEHIND, .inner = 3, .inner_by = 1),
    PATTERN(long_lea, .taken = BEHIND),
    PATTERN(to_scratch, .taken = BEHIND),
};

#define LEAVES(why) .taken = LEFT_ALONE, .reason = TG_PATCH_REFUSED_##why

static const struct pattern left_alone[] = {
    PATTERN(refused_relative, LEAVES(RELATIVE)),
    PATTERN(refused_rcx, LEAVES(REGISTER)),
    PATTERN(refused_rsp, LEAVES(REGISTER)),
    PATTERN(refused_no_room, LEAVES(NO_ROOM)),
    PATTERN(refused_unlisted, LEAVES(UNLISTED)),
    PATTERN(refused_decoy, LEAVES(DECOY), .number = DECOY_NUMBER),
    PATTERN(refused_undecodable, LEAVES(UNDECODABLE), .moved = true),
    PATTERN(two_shorts, LEAVES(SIGNAL_RETURN), .number = SYS_rt_sigreturn),
};

/* What PATTERN of patching.S inverts. */
static const size_t inverted[] = {
    offsetof(tg_regs, rdx), offsetof(tg_regs, rsi), offsetof(tg_regs, rdi), offsetof(tg_regs, rbp),
    offsetof(tg_regs, rsp), offsetof(tg_regs, r8),  offsetof(tg_regs, r9),  offsetof(tg_regs, r10),
    offsetof(tg_regs, r12), offsetof(tg_regs, r14),
};

/* A context that runs a pattern, and what it has to look like. */
struct loop {
    struct guest guest;
    const struct pattern *pattern;
    uint64_t at; /* where the code is */
    uint64_t words[ARRAY_SIZE(inverted)];
    uint64_t r15;
    bool stopped; /* at a call, with what is behind it to come */
    uint64_t calls;
};

static const struct pattern *find_pattern(const char *name)
{
    size_t i;

    for (i = 0; i < ARRAY_SIZE(patched); i++) {
        if (strcmp(patched[i].name, name) == 0)
            return &patched[i];
    }
    check_failed(CHECK_HERE, "no pattern %s", name);
}

static uint64_t number_of(const struct pattern *pattern)
{
    return pattern->number ? pattern->number : GUEST_CALL;
}

static bool can_patch(const struct guest *guest)
{
    return platform_info(guest->platform).capabilities & TG_CAP_PATCHING;
}

static uint64_t place(const struct loop *loop, const unsigned char *label)
{
    return loop->at + (uint64_t)(label - loop->pattern->code.start);
}

static uint64_t word_of(const tg_regs *regs, size_t offset)
{
    return *(const uint64_t *)(const void *)((const char *)regs + offset);
}

/* Puts the context at the code, with registers of its own. */
static void loop_start(struct loop *loop, uint64_t seed)
{
    tg_regs *regs;
    size_t i;

    CHECK_OK(tg_context_start(loop->guest.context, loop->at, GUEST_STACK_TOP));
    arch_fill_registers(loop->guest.context, seed);
    regs = tg_context_regs_mut(loop->guest.context);
    regs->rbx = number_of(loop->pattern);
    regs->r13 = place(loop, loop->pattern->start);
    for (i = 0; i < ARRAY_SIZE(inverted); i++)
        loop->words[i] = word_of(regs, inverted[i]);
    loop->r15 = regs->r15;
    loop->stopped = false;
    loop->calls = 0;
}

static void loop_open(struct loop *loop, uint32_t backend, uint64_t flags, const struct pattern *pattern)
{
    memset(loop, 0, sizeof(*loop));
    guest_open_flags(&loop->guest, backend, flags, pattern->code);
    loop->pattern = pattern;
    loop->at = GUEST_CODE_AT;
    loop_start(loop, 1);
}

static void loop_close(struct loop *loop)
{
    guest_close(&loop->guest);
}

static void invert_words(struct loop *loop)
{
    size_t i;

    for (i = 0; i < ARRAY_SIZE(inverted); i++)
        loop->words[i] = ~loop->words[i];
}

static void check_loop_registers(const struct loop *loop, uint64_t number)
{
    const tg_regs *regs = tg_context_regs(loop->guest.context);
    size_t i;

    for (i = 0; i < ARRAY_SIZE(inverted); i++)
        CHECK_EQ(word_of(regs, inverted[i]), loop->words[i]);
    CHECK_EQ(regs->rax, number);
    CHECK_EQ(regs->rbx, number_of(loop->pattern));
    CHECK_EQ(regs->r13, place(loop, loop->pattern->start));
    CHECK_EQ(regs->r15, loop->r15);
    CHECK_EQ(regs->rip, place(loop, loop->pattern->behind));
    CHECK_EQ(regs->gs_base, 0);
}

/* The event is this pattern's call with this number, and every register is what it has to be. */
static void check_loop_call(struct loop *loop, uint64_t number)
{
    static const size_t arguments[] = {offsetof(tg_regs, rdi), offsetof(tg_regs, rsi), offsetof(tg_regs, rdx),
                                       offsetof(tg_regs, r10), offsetof(tg_regs, r8),  offsetof(tg_regs, r9)};
    const tg_event *event = &loop->guest.event;
    size_t i;

    CHECK_CALL(event, number);
    CHECK_EQ(event->u.syscall.ip, place(loop, loop->pattern->behind));
    for (i = 0; i < ARRAY_SIZE(arguments); i++)
        CHECK_EQ(event->u.syscall.args[i], word_of(tg_context_regs(loop->guest.context), arguments[i]));
    check_loop_registers(loop, number);
    loop->stopped = true;
    loop->calls++;
}

/* Once round the loop, from call to call: what it has to look like at the next one. */
static void loop_expect(struct loop *loop)
{
    if (loop->stopped && loop->pattern->moved) {
        arch_set_ip(loop->guest.context, place(loop, loop->pattern->start));
        return;
    }
    if (loop->stopped)
        loop->r15++;
    invert_words(loop);
}

static void loop_answer(struct loop *loop)
{
    static const int64_t results[] = {0, 7, -EINVAL, -4095, -4096, INT64_MIN, INT64_MAX};

    check_loop_call(loop, number_of(loop->pattern));
    CHECK_OK(tg_context_set_return(loop->guest.context, results[loop->calls % ARRAY_SIZE(results)]));
}

static void loop_call(struct loop *loop)
{
    loop_expect(loop);
    guest_run(&loop->guest);
    loop_answer(loop);
}

static void loop_calls(struct loop *loop, unsigned int calls)
{
    while (calls-- > 0)
        loop_call(loop);
}

static bool code_is_original(const struct loop *loop)
{
    unsigned char now[256];
    size_t length = (size_t)(loop->pattern->code.end - loop->pattern->code.start);

    CHECK(length <= sizeof(now));
    CHECK_OK(tg_subprocess_read(loop->guest.subprocess, loop->at, now, length, NULL));
    return memcmp(now, loop->pattern->code.start, length) == 0;
}

static bool last_was_patched(const struct loop *loop)
{
    return loop->guest.event.flags & TG_FLAG_PATCHED;
}

/* Calls until the site is patched, where that is what happens to it. */
static void loop_warm(struct loop *loop)
{
    bool expected = can_patch(&loop->guest) && loop->pattern->taken != LEFT_ALONE;

    loop_calls(loop, WARM_CALLS);
    CHECK_EQ(last_was_patched(loop), expected);
    CHECK_EQ(code_is_original(loop), !expected);
}

/* ---- patterns ---- */

static void check_sites(const struct guest *guest, uint64_t before, uint64_t behind)
{
    tg_stats stats = platform_stats(guest->platform);

    CHECK_EQ(stats.patch_sites_before, before);
    CHECK_EQ(stats.patch_sites_after, behind);
    CHECK_EQ(stats.patch_sites, before + behind);
}

static void patterns_work(uint32_t backend)
{
    struct loop loop;
    size_t i;

    for (i = 0; i < ARRAY_SIZE(patched); i++) {
        check_context("%s", patched[i].name);
        loop_open(&loop, backend, 0, &patched[i]);
        loop_warm(&loop);
        loop_calls(&loop, MANY_CALLS);
        CHECK_EQ(last_was_patched(&loop), can_patch(&loop.guest));
        if (can_patch(&loop.guest))
            check_sites(&loop.guest, patched[i].taken == BEFORE, patched[i].taken == BEHIND);
        loop_close(&loop);
    }
}

static uint64_t refusals(const struct guest *guest)
{
    tg_stats stats = platform_stats(guest->platform);
    uint64_t all = 0;
    unsigned int i;

    for (i = 0; i < TG_PATCH_REFUSALS; i++)
        all += stats.patch_refusals[i];
    return all;
}

/* One site was looked at, and left alone for this reason. */
static void check_refused(const struct guest *guest, uint32_t reason)
{
    if (!can_patch(guest))
        return;
    CHECK_EQ(platform_stats(guest->platform).patch_refusals[reason], 1);
    CHECK_EQ(refusals(guest), 1);
    check_sites(guest, 0, 0);
}

static void others_are_left_alone(uint32_t backend)
{
    struct loop loop;
    size_t i;

    for (i = 0; i < ARRAY_SIZE(left_alone); i++) {
        check_context("%s, reason %u", left_alone[i].name, left_alone[i].reason);
        loop_open(&loop, backend, 0, &left_alone[i]);
        loop_warm(&loop);
        loop_calls(&loop, MANY_CALLS);
        CHECK(code_is_original(&loop));
        check_refused(&loop.guest, left_alone[i].reason);
        CHECK_EQ(platform_stats(loop.guest.platform).patched_calls, 0);
        loop_close(&loop);
    }
}

static void calls_are_counted(uint32_t backend)
{
    uint64_t flagged = 0;
    struct guest guest;
    tg_stats stats;
    int i;

    guest_open(&guest, backend, GUEST_CODE(patch_between));
    tg_context_regs_mut(guest.context)->r13 = GUEST_CODE_AT;
    for (i = 0; i < MANY_CALLS; i++) {
        GUEST_RUN_TO_CALL(&guest);
        flagged += !!(guest.event.flags & TG_FLAG_PATCHED);
    }
    stats = platform_stats(guest.platform);
    CHECK_EQ(stats.patched_calls, flagged);
    CHECK_EQ(stats.patched_calls + stats.unpatched_calls, MANY_CALLS);
    if (can_patch(&guest))
        CHECK(flagged >= MANY_CALLS - WARM_CALLS);
    else
        CHECK_EQ(flagged, 0);
    guest_close(&guest);
}

static void not_wanted(uint32_t backend)
{
    struct loop loop;
    size_t i;

    for (i = 0; i < ARRAY_SIZE(patched); i++) {
        check_context("%s", patched[i].name);
        loop_open(&loop, backend, TG_OPEN_NO_PATCHING, &patched[i]);
        CHECK(!can_patch(&loop.guest));
        loop_warm(&loop);
        loop_calls(&loop, 50);
        CHECK(code_is_original(&loop));
        check_sites(&loop.guest, 0, 0);
        CHECK_EQ(refusals(&loop.guest), 0);
        loop_close(&loop);
    }
}

/* ---- what a call must keep ---- */

#define FLAGS_ARITHMETIC 0x8d5                                           /* CF PF AF ZF SF OF */
#define FLAGS_WATCHED    (FLAGS_ARITHMETIC | 0x400 | 0x40000 | 0x200000) /* DF, AC, ID */

static void flags_through(uint32_t backend, struct guest_code code)
{
    uint64_t random = 1;
    struct guest guest;
    uint64_t flags;
    int i;

    guest_open(&guest, backend, code);
    tg_context_regs_mut(guest.context)->rbx = GUEST_DATA_AT;
    for (i = 0; i < MANY_CALLS; i++) {
        random = random * 6364136223846793005 + 1442695040888963407;
        flags = (random >> 32 & FLAGS_WATCHED) | 0x202;
        guest_store(guest.subprocess, GUEST_DATA_AT, flags);
        GUEST_RUN_TO_CALL(&guest);
        /* The flags that the last call came back with were stored meanwhile. */
        if (i > 0)
            CHECK_EQ(guest_load(guest.subprocess, GUEST_DATA_AT + 8) & FLAGS_WATCHED,
                     guest_load(guest.subprocess, GUEST_DATA_AT + 16));
        guest_store(guest.subprocess, GUEST_DATA_AT + 16, flags & FLAGS_WATCHED);
        /* Every other time nobody asks for the registers, and they stay in the stub. */
        if (i % 2)
            CHECK_EQ(tg_context_regs(guest.context)->eflags & FLAGS_WATCHED, flags & FLAGS_WATCHED);
    }
    CHECK_EQ(!!(guest.event.flags & TG_FLAG_PATCHED), can_patch(&guest));
    guest_close(&guest);
}

static void flags_survive(uint32_t backend)
{
    flags_through(backend, GUEST_CODE(patch_flags_before));
    flags_through(backend, GUEST_CODE(patch_flags_behind));
}

static void check_fp(const struct guest *guest, uint64_t data, uint64_t calls)
{
    CHECK_EQ(guest->event.u.syscall.args[0], calls);
    CHECK_EQ(guest->event.u.syscall.args[1], calls);
    CHECK_EQ(guest_load(guest->subprocess, data), calls);
}

/* A word of ones for vector register 15, where the kernel's register set has it. */
#define FPSTATE_XMM15 (160 + 15 * 16)

static void start_fp(struct guest *guest, uint64_t data)
{
    size_t size = platform_info(guest->platform).fpstate_size;
    unsigned char *state = malloc(size);
    const uint64_t one = 1;

    CHECK(state != NULL);
    CHECK_OK(tg_context_get_fpstate(guest->context, state, size));
    memcpy(state + FPSTATE_XMM15, &one, sizeof(one));
    state[512] |= 3; /* the header says that x87 and SSE are in use */
    CHECK_OK(tg_context_set_fpstate(guest->context, state, size));
    free(state);
    tg_context_regs_mut(guest->context)->rbx = data;
}

/* Two contexts on one stub take turns at the same site; now and then the embedder reads the state of one. */
static void fp_survives(uint32_t backend)
{
    unsigned char state[16384];
    struct guest guest;
    struct guest other;
    uint64_t i;

    guest_open(&guest, backend, GUEST_CODE(patch_fp));
    other = guest;
    other.context = create_started_context(guest.platform);
    start_fp(&guest, GUEST_DATA_AT);
    start_fp(&other, GUEST_DATA_AT + 8);
    for (i = 1; i <= MANY_CALLS; i++) {
        GUEST_RUN_TO_CALL(&guest);
        check_fp(&guest, GUEST_DATA_AT, i);
        if (i % 16 == 0)
            CHECK_OK(tg_context_get_fpstate(guest.context, state, sizeof(state)));
        if (i % 3 == 0) {
            GUEST_RUN_TO_CALL(&other);
            check_fp(&other, GUEST_DATA_AT + 8, i / 3);
        }
    }
    CHECK_EQ(!!(guest.event.flags & TG_FLAG_PATCHED), can_patch(&guest));
    tg_context_destroy(other.context);
    guest_close(&guest);
}

/* ---- arriving inside ---- */

/* The guest goes on at this place instead of the start, once. */
static void jump_once(struct loop *loop, uint64_t to)
{
    tg_context_regs_mut(loop->guest.context)->r13 = to;
}

/* To the call itself, with the number of a result. */
static void loop_jump_to_call(struct loop *loop, uint64_t number)
{
    CHECK_OK(tg_context_set_return(loop->guest.context, (int64_t)number));
    jump_once(loop, place(loop, loop->pattern->call));
    loop->r15++;
    invert_words(loop);
    guest_run(&loop->guest);
    check_loop_call(loop, number);
}

/* Behind it, without a call; from there it comes round to the start. */
static void loop_jump_behind(struct loop *loop, uint64_t offset, uint64_t adds)
{
    jump_once(loop, place(loop, loop->pattern->behind) + offset);
    loop->r15 += 1 + adds;
    guest_run(&loop->guest);
    check_loop_call(loop, number_of(loop->pattern));
}

static void guest_jumps_inside(uint32_t backend)
{
    struct loop loop;
    uint64_t round;
    size_t i;

    for (i = 0; i < ARRAY_SIZE(patched); i++) {
        check_context("%s", patched[i].name);
        loop_open(&loop, backend, 0, &patched[i]);
        loop_warm(&loop);
        for (round = 0; round < 10; round++) {
            loop_jump_to_call(&loop, 1000 + round);
            loop_jump_behind(&loop, 0, 1);
            loop_call(&loop);
            loop_jump_to_call(&loop, GUEST_CALL);
            loop_jump_to_call(&loop, UINT64_C(0x12345678) + round);
            loop_jump_behind(&loop, 0, 1);
            loop_jump_behind(&loop, 0, 1);
            if (patched[i].inner)
                loop_jump_behind(&loop, patched[i].inner, patched[i].inner_by);
        }
        loop_calls(&loop, WARM_CALLS);
        loop_close(&loop);
    }
}

/* As a signal handler's return, or a debugger, would: to the start, to the call, and behind it. */
static void embedder_moves_inside(uint32_t backend)
{
    struct loop loop;
    tg_regs *regs;
    uint64_t round;
    size_t i;

    for (i = 0; i < ARRAY_SIZE(patched); i++) {
        check_context("%s", patched[i].name);
        loop_open(&loop, backend, 0, &patched[i]);
        loop_warm(&loop);
        for (round = 0; round < 10; round++) {
            arch_set_ip(loop.guest.context, place(&loop, patched[i].start));
            guest_run(&loop.guest);
            check_loop_call(&loop, GUEST_CALL);
            regs = tg_context_regs_mut(loop.guest.context);
            regs->rip = place(&loop, patched[i].call);
            regs->rax = 2000 + round;
            guest_run(&loop.guest);
            check_loop_call(&loop, 2000 + round);
            arch_set_ip(loop.guest.context, place(&loop, patched[i].behind));
            loop_call(&loop);
            arch_set_ip(loop.guest.context, place(&loop, patched[i].behind) + patched[i].inner);
            loop.r15 += (patched[i].inner ? patched[i].inner_by : 1) - 1;
            loop_call(&loop);
        }
        loop_close(&loop);
    }
}

static void calls_restart(uint32_t backend)
{
    struct loop loop;
    uint64_t args[6];
    size_t i;
    int n;

    for (i = 0; i < ARRAY_SIZE(patched); i++) {
        check_context("%s", patched[i].name);
        loop_open(&loop, backend, 0, &patched[i]);
        loop_warm(&loop);
        for (n = 0; n < 20; n++) {
            loop_call(&loop);
            memcpy(args, loop.guest.event.u.syscall.args, sizeof(args));
            CHECK_OK(tg_context_restart_syscall(loop.guest.context));
            guest_run(&loop.guest);
            check_loop_call(&loop, GUEST_CALL);
            CHECK_BYTES(loop.guest.event.u.syscall.args, args, sizeof(args));
        }
        loop_close(&loop);
    }
}

/* ---- code in pages of its own ---- */

#define CODE_LENGTH(loop) ((size_t)((loop)->pattern->code.end - (loop)->pattern->code.start))

static uint64_t page_down(const struct guest *guest, uint64_t addr)
{
    return addr & ~(guest->page - 1);
}

/* The code at any address, in fresh pages. */
static void put_code(const struct guest *guest, uint64_t addr, struct guest_code code, uint32_t prot)
{
    size_t length = (size_t)(code.end - code.start);
    uint64_t first = page_down(guest, addr);
    uint64_t last = page_down(guest, addr + length - 1);

    map_pages(guest->subprocess, first, last - first + guest->page, PROT_RW);
    CHECK_OK(tg_subprocess_write(guest->subprocess, addr, code.start, length, NULL));
    CHECK_OK(tg_subprocess_protect(guest->subprocess, first, last - first + guest->page, prot));
}

static void protect_page(const struct guest *guest, uint64_t addr, uint32_t prot)
{
    CHECK_OK(tg_subprocess_protect(guest->subprocess, page_down(guest, addr), guest->page, prot));
}

/* The part of the pattern's code that lies in this page is what it was. */
static void check_original_in_page(const struct loop *loop, uint64_t page)
{
    uint64_t from = page > loop->at ? page : loop->at;
    uint64_t to = loop->at + CODE_LENGTH(loop);
    unsigned char now[256];

    if (to > page + loop->guest.page)
        to = page + loop->guest.page;
    CHECK_OK(tg_subprocess_read(loop->guest.subprocess, from, now, to - from, NULL));
    CHECK_BYTES(now, loop->pattern->code.start + (from - loop->at), to - from);
}

/* The part in this page, written again. */
static void fill_page(const struct loop *loop, uint64_t page)
{
    uint64_t from = page > loop->at ? page : loop->at;
    uint64_t to = loop->at + CODE_LENGTH(loop);

    if (to > page + loop->guest.page)
        to = page + loop->guest.page;
    CHECK_OK(tg_subprocess_write(loop->guest.subprocess, from, loop->pattern->code.start + (from - loop->at), to - from,
                                 NULL));
}

enum change {
    WRITABLE,
    UNMAPPED,
    REPLACED,
    CHANGES,
};

static void change_page(const struct loop *loop, uint64_t page, enum change change)
{
    const struct guest *guest = &loop->guest;

    switch (change) {
    case WRITABLE:
        protect_page(guest, page, PROT_RW);
        break;
    case UNMAPPED:
        CHECK_OK(tg_subprocess_unmap(guest->subprocess, page, guest->page));
        break;
    default:
        map_pages(guest->subprocess, page, guest->page, PROT_RW);
        break;
    }
}

/* The other page has its bytes; the code stops where this one is missed, and runs on when it is back. */
static void change_and_go_on(struct loop *loop, uint64_t page, uint64_t other, enum change change)
{
    const struct guest *guest = &loop->guest;

    loop_warm(loop);
    change_page(loop, page, change);
    check_original_in_page(loop, other);
    if (change == WRITABLE)
        check_original_in_page(loop, page);
    guest_run(&loop->guest);
    CHECK_KIND(&guest->event, TG_EVENT_FAULT);
    CHECK_EQ(guest->event.u.fault.access, TG_ACCESS_EXEC);
    CHECK_EQ(page_down(guest, guest->event.u.fault.addr), page);
    if (change == UNMAPPED)
        map_pages(guest->subprocess, page, guest->page, PROT_RW);
    if (change != WRITABLE)
        fill_page(loop, page);
    protect_page(guest, page, PROT_RX);
    loop_calls(loop, WARM_CALLS);
}

static void at_page_edge(uint32_t backend, const struct pattern *pattern, uint64_t in_first)
{
    const unsigned char *site = pattern->taken == BEFORE ? pattern->start : pattern->call;
    uint64_t offset = (uint64_t)(site - pattern->code.start);
    struct loop loop;
    uint64_t edge;
    int change;

    check_context("%s, %u bytes in the first page", pattern->name, (unsigned int)in_first);
    loop_open(&loop, backend, 0, pattern);
    edge = GUEST_HOLE_AT + loop.guest.page;
    loop.at = edge - offset - in_first;
    put_code(&loop.guest, loop.at, pattern->code, PROT_RX);
    loop_start(&loop, 2);
    for (change = WRITABLE; change < CHANGES; change++) {
        change_and_go_on(&loop, edge, edge - loop.guest.page, (enum change)change);
        change_and_go_on(&loop, edge - loop.guest.page, edge, (enum change)change);
    }
    loop_warm(&loop);
    loop_close(&loop);
}

static void page_edges_work(uint32_t backend)
{
    static const char *const names[] = {"mov_eax", "mov_rax", "movabs", "libc_wrapper", "two_shorts"};
    uint64_t in_first;
    size_t i;

    for (i = 0; i < ARRAY_SIZE(names); i++) {
        for (in_first = 1; in_first < 7; in_first++)
            at_page_edge(backend, find_pattern(names[i]), in_first);
    }
}

/* Its second page is one that may not be changed. */
static void page_edge_is_refused(uint32_t backend)
{
    const struct pattern *pattern = find_pattern("libc_wrapper");
    struct loop loop;
    uint64_t edge;

    loop_open(&loop, backend, 0, pattern);
    edge = GUEST_HOLE_AT + loop.guest.page;
    loop.at = edge - (uint64_t)(pattern->call - pattern->code.start) - 4;
    put_code(&loop.guest, loop.at, pattern->code, PROT_RX);
    protect_page(&loop.guest, edge, PROT_RW | TG_PROT_EXEC);
    loop_start(&loop, 2);
    loop_calls(&loop, MANY_CALLS);
    CHECK(code_is_original(&loop));
    check_refused(&loop.guest, TG_PATCH_REFUSED_PAGE_EDGE);
    loop_close(&loop);
}

/* ---- displaced instructions that fault ---- */

#define DATA_WORD (GUEST_DATA_AT + 0x800)

struct memory_operand {
    struct guest_code code;
    uint64_t behind; /* the instruction that accesses DATA_WORD */
    uint32_t access;
};

static void start_at_word(struct guest *guest, uint64_t rsp, uint64_t rbp)
{
    tg_regs *regs = tg_context_regs_mut(guest->context);

    regs->rbx = GUEST_CALL;
    regs->rsp = rsp;
    regs->rbp = rbp;
    guest_store(guest->subprocess, DATA_WORD, 0);
}

static void run_to_call_with_result(struct guest *guest, uint64_t result)
{
    GUEST_RUN_TO_CALL(guest);
    CHECK_OK(tg_context_set_return(guest->context, (int64_t)result));
}

/* The fault comes with the original place and the registers of behind the call, and as often as it runs again. */
static void check_operand_fault(struct guest *guest, const struct memory_operand *operand, int code)
{
    tg_regs before = *tg_context_regs(guest->context);
    const tg_regs *regs;
    int i;

    for (i = 0; i < 3; i++) {
        guest_run(guest);
        CHECK_FAULT(&guest->event, DATA_WORD, operand->access, SIGSEGV, code);
        CHECK_EQ(guest->event.u.fault.ip, operand->behind);
        regs = tg_context_regs(guest->context);
        CHECK_EQ(regs->rip, operand->behind);
        CHECK_EQ(regs->rax, before.rax);
        CHECK_EQ(regs->rdx, before.rdx);
        CHECK_EQ(regs->rsp, before.rsp);
        CHECK_EQ(regs->r15, before.r15);
        CHECK_EQ(regs->gs_base, 0);
    }
}

static void take_data_page(struct guest *guest, bool unmap)
{
    if (unmap)
        CHECK_OK(tg_subprocess_unmap(guest->subprocess, GUEST_DATA_AT, guest->page));
    else
        protect_page(guest, GUEST_DATA_AT, TG_PROT_NONE);
}

static void give_data_page(struct guest *guest, bool unmapped, uint64_t word)
{
    if (unmapped)
        map_pages(guest->subprocess, GUEST_DATA_AT, guest->page, PROT_RW);
    else
        protect_page(guest, GUEST_DATA_AT, PROT_RW);
    guest_store(guest->subprocess, DATA_WORD, word);
}

static void check_operand_patched(const struct guest *guest)
{
    CHECK_EQ(!!(guest->event.flags & TG_FLAG_PATCHED), can_patch(guest));
    if (can_patch(guest))
        check_sites(guest, 0, 1);
}

static void displaced_store_faults(uint32_t backend)
{
    const struct memory_operand store = {GUEST_CODE(patch_store), GUEST_PLACE(patch_store, patch_store_behind),
                                         TG_ACCESS_WRITE};
    struct guest guest;
    uint64_t i;

    guest_open(&guest, backend, store.code);
    start_at_word(&guest, DATA_WORD - 0x28, 0);
    for (i = 1; i <= WARM_CALLS; i++) {
        run_to_call_with_result(&guest, i);
        CHECK_EQ(guest_load(guest.subprocess, DATA_WORD), i - 1);
    }
    check_operand_patched(&guest);
    for (; i < 40; i++) {
        take_data_page(&guest, i % 2);
        check_operand_fault(&guest, &store, i % 2 ? SEGV_MAPERR : SEGV_ACCERR);
        give_data_page(&guest, i % 2, 0);
        run_to_call_with_result(&guest, i);
        CHECK_EQ(guest_load(guest.subprocess, DATA_WORD), i - 1);
        CHECK_EQ(tg_context_regs(guest.context)->r15, i);
    }
    guest_close(&guest);
}

/* The instruction in front of it was carried out, once, and the sum shows that nothing was added twice. */
static void displaced_add_faults(uint32_t backend)
{
    const struct memory_operand add = {GUEST_CODE(patch_add), GUEST_PLACE(patch_add, patch_add_behind),
                                       TG_ACCESS_WRITE};
    struct guest guest;
    uint64_t sum = 0;
    uint64_t i;

    guest_open(&guest, backend, add.code);
    start_at_word(&guest, GUEST_STACK_TOP, DATA_WORD);
    for (i = 1; i <= WARM_CALLS; i++) {
        run_to_call_with_result(&guest, i);
        CHECK_EQ(guest_load(guest.subprocess, DATA_WORD), sum);
        sum += i;
    }
    check_operand_patched(&guest);
    for (; i < 40; i++) {
        take_data_page(&guest, i % 2);
        check_operand_fault(&guest, &add, i % 2 ? SEGV_MAPERR : SEGV_ACCERR);
        CHECK_EQ(tg_context_regs(guest.context)->r14, i - 1);
        give_data_page(&guest, i % 2, sum - i + 1);
        run_to_call_with_result(&guest, i);
        CHECK_EQ(guest_load(guest.subprocess, DATA_WORD), sum);
        CHECK_EQ(tg_context_regs(guest.context)->r14, i - 1);
        CHECK_EQ(tg_context_regs(guest.context)->r15, i);
        sum += i;
    }
    guest_close(&guest);
}

static void displaced_load_faults(uint32_t backend)
{
    const struct memory_operand load = {GUEST_CODE(patch_load), GUEST_PLACE(patch_load, patch_load_behind),
                                        TG_ACCESS_READ};
    struct guest guest;
    uint64_t i;

    guest_open(&guest, backend, load.code);
    start_at_word(&guest, GUEST_STACK_TOP, DATA_WORD - 0x100);
    for (i = 1; i <= WARM_CALLS; i++)
        run_to_call_with_result(&guest, i);
    check_operand_patched(&guest);
    for (; i < 40; i++) {
        take_data_page(&guest, i % 2);
        check_operand_fault(&guest, &load, i % 2 ? SEGV_MAPERR : SEGV_ACCERR);
        give_data_page(&guest, i % 2, 1000 + i);
        run_to_call_with_result(&guest, i);
        CHECK_EQ(guest.event.u.syscall.args[2], 1000 + i);
        CHECK_EQ(tg_context_regs(guest.context)->r15, i);
    }
    guest_close(&guest);
}

/* ---- code that changes ---- */

static void writable_is_original(uint32_t backend)
{
    struct loop loop;
    size_t i;
    int round;

    for (i = 0; i < ARRAY_SIZE(patched); i++) {
        check_context("%s", patched[i].name);
        loop_open(&loop, backend, 0, &patched[i]);
        for (round = 1; round <= 5; round++) {
            loop_warm(&loop);
            if (can_patch(&loop.guest))
                CHECK_EQ(platform_stats(loop.guest.platform).patch_sites, round);
            protect_page(&loop.guest, loop.at, PROT_RW);
            CHECK(code_is_original(&loop));
            protect_page(&loop.guest, loop.at, PROT_RX);
            CHECK(code_is_original(&loop));
        }
        loop_close(&loop);
    }
}

static void check_code_words(const struct guest *guest, const unsigned char *code)
{
    uint64_t words[2];

    memcpy(words, code, sizeof(words));
    CHECK_EQ(guest->event.u.syscall.args[0], words[0]);
    CHECK_EQ(guest->event.u.syscall.args[1], words[1]);
}

/* Made writable and executable at once it is never patched again, and the guest finds its own bytes. */
static void guest_reads_original(uint32_t backend)
{
    struct guest guest;
    bool patched_once;
    int i;

    guest_open(&guest, backend, GUEST_CODE(patch_read_code));
    GUEST_RUN_TO_CALL(&guest);
    check_code_words(&guest, guest_patch_read_code_start);
    for (i = 0; i < WARM_CALLS; i++)
        GUEST_RUN_TO_CALL(&guest);
    patched_once = guest.event.flags & TG_FLAG_PATCHED;
    CHECK_EQ(patched_once, can_patch(&guest));
    protect_page(&guest, GUEST_CODE_AT, PROT_RW | TG_PROT_EXEC);
    for (i = 0; i < MANY_CALLS; i++) {
        GUEST_RUN_TO_CALL(&guest);
        check_code_words(&guest, guest_patch_read_code_start);
        CHECK_EQ(guest.event.flags & TG_FLAG_PATCHED, 0);
    }
    if (can_patch(&guest))
        CHECK_EQ(platform_stats(guest.platform).patch_refusals[TG_PATCH_REFUSED_MAPPING], 1);
    guest_close(&guest);
}

#define JIT_AT     GUEST_HOLE_AT
#define JIT_ROUNDS 150
#define JIT_CALLS  10

/* mov $0,%eax; syscall, and in the second word what goes before a return. */
static void set_jit_template(struct guest *guest, bool behind)
{
    static const unsigned char with_return[16] = {0xb8, 0, 0, 0, 0, 0x0f, 0x05, 0xc3};
    static const unsigned char with_test[16] = {0xb8, 0, 0, 0, 0, 0x0f, 0x05, 0x48, 0x85, 0xc0, 0x48, 0x85, 0xc0, 0xc3};
    tg_regs *regs = tg_context_regs_mut(guest->context);

    memcpy(&regs->r14, behind ? with_test : with_return, 8);
    memcpy(&regs->rbp, (behind ? with_test : with_return) + 8, 8);
}

static void serve_jit_protect(struct guest *guest)
{
    guest_run(guest);
    CHECK_CALL(&guest->event, SYS_mprotect);
    CHECK_EQ(guest->event.u.syscall.args[0], JIT_AT);
    CHECK_OK(tg_subprocess_protect(guest->subprocess, JIT_AT, guest->page, (uint32_t)guest->event.u.syscall.args[2]));
    CHECK_OK(tg_context_set_return(guest->context, 0));
}

/* A guest that writes code, runs it and writes other code to the same place. */
static void guest_rewrites_code(uint32_t backend)
{
    struct guest guest;
    uint64_t round;
    int i;

    guest_open(&guest, backend, GUEST_CODE(patch_jit));
    map_pages(guest.subprocess, JIT_AT, guest.page, PROT_RW);
    tg_context_regs_mut(guest.context)->rbx = JIT_AT;
    tg_context_regs_mut(guest.context)->r12 = 1000;
    set_jit_template(&guest, false);
    for (round = 1; round <= JIT_ROUNDS; round++) {
        serve_jit_protect(&guest);
        for (i = 0; i < JIT_CALLS; i++) {
            guest_run(&guest);
            CHECK_CALL(&guest.event, 1000 + round);
        }
        serve_jit_protect(&guest);
        set_jit_template(&guest, round % 3 == 0);
    }
    /* One each round, apart from those of the guest itself. */
    if (can_patch(&guest))
        CHECK(platform_stats(guest.platform).patch_sites >= JIT_ROUNDS);
    guest_close(&guest);
}

/* While the context waits in its call, the code behind it is written anew: that is what runs when it goes on. */
static void rewritten_during_call(uint32_t backend)
{
    const uint64_t immediate = GUEST_PLACE(patch_rewritten, patch_rewritten_behind) + 3;
    uint64_t expected = 0;
    struct guest guest;
    uint32_t value = 0x101;
    int i;

    guest_open(&guest, backend, GUEST_CODE(patch_rewritten));
    tg_context_regs_mut(guest.context)->rbx = GUEST_CALL;
    for (i = 0; i < 60; i++) {
        GUEST_RUN_TO_CALL(&guest);
        CHECK_EQ(tg_context_regs(guest.context)->r15, expected);
        if (i % 10 == 9) {
            value++;
            protect_page(&guest, GUEST_CODE_AT, PROT_RW);
            CHECK_OK(tg_subprocess_write(guest.subprocess, immediate, &value, sizeof(value), NULL));
            protect_page(&guest, GUEST_CODE_AT, PROT_RX);
        }
        expected += value;
    }
    guest_close(&guest);
}

/* The same with nothing there any more: it faults right behind the call. */
static void gone_during_call(uint32_t backend)
{
    struct loop loop;
    size_t i;

    for (i = 0; i < ARRAY_SIZE(patched); i++) {
        check_context("%s", patched[i].name);
        loop_open(&loop, backend, 0, &patched[i]);
        loop_warm(&loop);
        CHECK_OK(tg_subprocess_unmap(loop.guest.subprocess, loop.at, loop.guest.page));
        guest_run(&loop.guest);
        CHECK_FAULT(&loop.guest.event, place(&loop, patched[i].behind), TG_ACCESS_EXEC, SIGSEGV, SEGV_MAPERR);
        CHECK_EQ(loop.guest.event.u.fault.ip, place(&loop, patched[i].behind));
        put_code(&loop.guest, loop.at, patched[i].code, PROT_RX);
        loop_warm(&loop);
        loop_close(&loop);
    }
}

/* Everything of a site works: it can be arrived at inside, and has its bytes when it is made writable. */
static void check_site_is_whole(struct loop *loop)
{
    loop_call(loop);
    loop_jump_to_call(loop, 1234);
    loop_jump_behind(loop, 0, 1);
    loop_call(loop);
    protect_page(&loop->guest, loop->at, PROT_RW);
    CHECK(code_is_original(loop));
    protect_page(&loop->guest, loop->at, PROT_RX);
    loop_warm(loop);
}

/* Advice that leaves the bytes alone leaves sites alone. */
static void advice_keeps_sites(uint32_t backend)
{
    static const int advice[] = {MADV_WILLNEED, MADV_NOHUGEPAGE, MADV_HUGEPAGE};
    struct loop loop;
    size_t i;
    size_t j;

    for (i = 0; i < ARRAY_SIZE(patched); i++) {
        loop_open(&loop, backend, 0, &patched[i]);
        for (j = 0; j < ARRAY_SIZE(advice); j++) {
            tg_mem_op op = {.size = sizeof(op), .kind = TG_MEM_ADVISE, .addr = loop.at, .advice = advice[j]};

            check_context("%s, advice %d", patched[i].name, advice[j]);
            op.length = loop.guest.page;
            loop_warm(&loop);
            /* Not every kernel knows the one about huge pages. */
            tg_subprocess_apply(loop.guest.subprocess, &op, 1, NULL);
            check_site_is_whole(&loop);
        }
        loop_close(&loop);
    }
}

/* Operations that fail, or come behind one that fails, change nothing. */
static void failed_operations_keep_sites(uint32_t backend)
{
    struct loop loop;
    size_t done;
    size_t i;

    for (i = 0; i < ARRAY_SIZE(patched); i++) {
        check_context("%s", patched[i].name);
        loop_open(&loop, backend, 0, &patched[i]);
        loop_warm(&loop);
        {
            tg_mem_op ops[] = {
                {.size = sizeof(ops[0]), .kind = TG_MEM_MAP, .addr = loop.at, .length = loop.guest.page, .fd = -1},
                {.size = sizeof(ops[0]), .kind = TG_MEM_UNMAP, .addr = loop.at, .length = loop.guest.page},
            };

            ops[0].flags = TG_MAP_NOREPLACE;
            CHECK_RESULT(tg_subprocess_apply(loop.guest.subprocess, ops, ARRAY_SIZE(ops), &done), -EEXIST);
            CHECK_EQ(done, 0);
        }
        check_site_is_whole(&loop);
        loop_close(&loop);
    }
}

/* Pages that nobody can read for a while: made writable from there, the bytes are the original ones. */
static void unreadable_then_writable(uint32_t backend)
{
    struct loop loop;
    size_t i;

    for (i = 0; i < ARRAY_SIZE(patched); i++) {
        check_context("%s", patched[i].name);
        loop_open(&loop, backend, 0, &patched[i]);
        loop_warm(&loop);
        protect_page(&loop.guest, loop.at, TG_PROT_NONE);
        protect_page(&loop.guest, loop.at, PROT_RW);
        CHECK(code_is_original(&loop));
        protect_page(&loop.guest, loop.at, PROT_RX);
        loop_warm(&loop);
        protect_page(&loop.guest, loop.at, TG_PROT_NONE);
        protect_page(&loop.guest, loop.at, PROT_RX);
        check_site_is_whole(&loop);
        loop_close(&loop);
    }
}

/* ---- mappings that are left alone ---- */

static int code_file(struct guest_code code)
{
    size_t length = (size_t)(code.end - code.start);
    int file = CHECK_SYSTEM(memfd_create("code", MFD_CLOEXEC));

    CHECK_SYSTEM(ftruncate(file, GUEST_CODE_SIZE));
    CHECK_EQ(CHECK_SYSTEM(pwrite(file, code.start, length, 0)), length);
    return file;
}

static void check_file(int file, struct guest_code code)
{
    size_t length = (size_t)(code.end - code.start);
    unsigned char now[256];

    CHECK(length <= sizeof(now));
    CHECK_EQ(CHECK_SYSTEM(pread(file, now, length, 0)), length);
    CHECK_BYTES(now, code.start, length);
}

static void run_in_file(uint32_t backend, const struct pattern *pattern, uint32_t prot, uint32_t flags, bool is_patched)
{
    int file = code_file(pattern->code);
    struct loop loop;

    loop_open(&loop, backend, 0, pattern);
    loop.at = GUEST_HOLE_AT;
    CHECK_OK(tg_subprocess_map(loop.guest.subprocess, loop.at, loop.guest.page, prot, flags, file, 0));
    loop_start(&loop, 3);
    loop_calls(&loop, MANY_CALLS);
    is_patched &= can_patch(&loop.guest);
    CHECK_EQ(last_was_patched(&loop), is_patched);
    CHECK_EQ(code_is_original(&loop), !is_patched);
    check_file(file, pattern->code);
    if (!is_patched)
        check_refused(&loop.guest, TG_PATCH_REFUSED_MAPPING);
    loop_close(&loop);
    check_file(file, pattern->code);
    close(file);
}

static void shared_is_left_alone(uint32_t backend)
{
    size_t i;

    for (i = 0; i < ARRAY_SIZE(patched); i++) {
        check_context("%s", patched[i].name);
        run_in_file(backend, &patched[i], PROT_RX, TG_MAP_SHARED, false);
    }
}

static void writable_is_left_alone(uint32_t backend)
{
    size_t i;

    for (i = 0; i < ARRAY_SIZE(patched); i++) {
        check_context("%s", patched[i].name);
        run_in_file(backend, &patched[i], PROT_RW | TG_PROT_EXEC, 0, false);
        run_in_file(backend, &patched[i], PROT_RW | TG_PROT_EXEC, TG_MAP_SHARED, false);
    }
}

static void private_files_keep_bytes(uint32_t backend)
{
    size_t i;

    for (i = 0; i < ARRAY_SIZE(patched); i++) {
        check_context("%s", patched[i].name);
        run_in_file(backend, &patched[i], PROT_RX, 0, true);
    }
}

/* Patching ends in a subprocess where a context steps. Whatever pages allow by then, they allow afterwards. */
static void turn_off_by_step(const struct guest *guest)
{
    struct guest other = *guest;

    put_code(guest, GUEST_HOLE_AT, GUEST_CODE(steps), PROT_RX);
    other.context = create_context(guest->platform);
    CHECK_OK(tg_context_start(other.context, GUEST_HOLE_AT, GUEST_STACK_TOP));
    arch_set_step(other.context, true);
    guest_run(&other);
    CHECK_EXCEPTION(&other.event, SIGTRAP, TRAP_TRACE);
    tg_context_destroy(other.context);
}

static void turned_off_without_access(uint32_t backend)
{
    static const uint32_t rights[] = {TG_PROT_NONE, TG_PROT_READ, PROT_RX};
    struct loop loop;
    size_t i;

    for (i = 0; i < ARRAY_SIZE(rights); i++) {
        check_context("with rights %u", rights[i]);
        loop_open(&loop, backend, 0, find_pattern("libc_wrapper"));
        if (!(platform_info(loop.guest.platform).capabilities & TG_CAP_SINGLE_STEP))
            SKIP("this backend cannot run single instructions here");
        loop_warm(&loop);
        protect_page(&loop.guest, loop.at, rights[i]);
        turn_off_by_step(&loop.guest);
        if (rights[i] != PROT_RX) {
            arch_set_ip(loop.guest.context, loop.at);
            guest_run(&loop.guest);
            CHECK_FAULT(&loop.guest.event, loop.at, TG_ACCESS_EXEC, SIGSEGV, SEGV_ACCERR);
            protect_page(&loop.guest, loop.at, PROT_RX);
            arch_set_ip(loop.guest.context, place(&loop, loop.pattern->behind));
        }
        CHECK(code_is_original(&loop));
        loop_calls(&loop, MANY_CALLS);
        CHECK(!last_was_patched(&loop));
        CHECK(code_is_original(&loop));
        loop_close(&loop);
    }
}

/* ---- forks ---- */

static void fork_loop(const struct loop *mother, struct loop *child)
{
    *child = *mother;
    CHECK_OK(tg_subprocess_fork(mother->guest.subprocess, &child->guest.subprocess));
    child->guest.context = create_context(mother->guest.platform);
    CHECK_OK(tg_context_copy(child->guest.context, mother->guest.context));
}

static void end_fork(struct loop *child)
{
    tg_context_destroy(child->guest.context);
    tg_subprocess_destroy(child->guest.subprocess);
}

static void check_still_patched(struct loop *loop)
{
    loop_call(loop);
    CHECK_EQ(last_was_patched(loop), can_patch(&loop->guest));
    CHECK_EQ(code_is_original(loop), !can_patch(&loop->guest));
    loop_jump_to_call(loop, 4321);
    loop_jump_behind(loop, 0, 1);
}

/* Each makes its own code writable; the other does not notice. */
static void forks_undo_their_own(uint32_t backend)
{
    struct loop mother;
    struct loop child;
    struct loop grandchild;
    size_t i;

    for (i = 0; i < ARRAY_SIZE(patched); i++) {
        check_context("%s", patched[i].name);
        loop_open(&mother, backend, 0, &patched[i]);
        loop_warm(&mother);
        fork_loop(&mother, &child);
        check_still_patched(&child);
        check_still_patched(&mother);
        fork_loop(&child, &grandchild);
        check_site_is_whole(&child);
        check_still_patched(&mother);
        check_still_patched(&grandchild);
        check_site_is_whole(&mother);
        check_still_patched(&child);
        end_fork(&child);
        check_site_is_whole(&grandchild);
        check_site_is_whole(&mother);
        end_fork(&grandchild);
        loop_close(&mother);
    }
}

static void move_to_other_code(struct loop *loop, const struct pattern *pattern)
{
    loop->pattern = pattern;
    loop->at = GUEST_HOLE_AT;
    put_code(&loop->guest, loop->at, pattern->code, PROT_RX);
    loop_start(loop, 5);
    loop_warm(loop);
}

/* New sites of both, different ones at the same address. */
static void forks_go_their_own_way(uint32_t backend)
{
    struct loop mother;
    struct loop child;

    loop_open(&mother, backend, 0, find_pattern("mov_eax"));
    loop_warm(&mother);
    fork_loop(&mother, &child);
    move_to_other_code(&mother, find_pattern("libc_wrapper"));
    move_to_other_code(&child, find_pattern("movabs"));
    check_still_patched(&mother);
    check_still_patched(&child);
    check_site_is_whole(&mother);
    check_still_patched(&child);
    check_site_is_whole(&child);
    end_fork(&child);
    check_site_is_whole(&mother);
    loop_close(&mother);
}

/* ---- steps and interrupts ---- */

struct step {
    uint32_t kind;
    uint64_t ip;
    uint64_t r15;
};

#define STEPS 120

static void record_steps(struct loop *loop, struct step steps[STEPS])
{
    const tg_event *event = &loop->guest.event;
    int i;

    for (i = 0; i < STEPS; i++) {
        arch_set_step(loop->guest.context, true);
        guest_run(&loop->guest);
        if (event->kind == TG_EVENT_SYSCALL)
            CHECK_CALL(event, GUEST_CALL);
        else
            CHECK_EXCEPTION(event, SIGTRAP, TRAP_TRACE);
        steps[i] = (struct step){event->kind, arch_ip(loop->guest.context), tg_context_regs(loop->guest.context)->r15};
    }
    arch_set_step(loop->guest.context, false);
    guest_run(&loop->guest);
    CHECK_CALL(event, GUEST_CALL);
    CHECK_EQ(event->u.syscall.ip, place(loop, loop->pattern->behind));
}

static void compare_steps(const struct step *steps, const struct step *expected)
{
    unsigned int calls = 0;
    int i;

    for (i = 0; i < STEPS; i++) {
        CHECK_EQ(steps[i].kind, expected[i].kind);
        CHECK_EQ(steps[i].ip, expected[i].ip);
        CHECK_EQ(steps[i].r15, expected[i].r15);
        calls += steps[i].kind == TG_EVENT_SYSCALL;
    }
    CHECK(calls >= 3);
}

/* Stepped, a loop that was patched shows the same instructions as one that never was. */
static void steps_are_original(uint32_t backend)
{
    struct step steps[STEPS];
    struct step expected[STEPS];
    struct loop loop;
    struct loop twin;
    size_t i;

    for (i = 0; i < ARRAY_SIZE(patched); i++) {
        check_context("%s", patched[i].name);
        loop_open(&loop, backend, 0, &patched[i]);
        loop_open(&twin, backend, TG_OPEN_NO_PATCHING, &patched[i]);
        if (!(platform_info(loop.guest.platform).capabilities & TG_CAP_SINGLE_STEP))
            SKIP("this backend cannot run single instructions here");
        loop_warm(&loop);
        loop_warm(&twin);
        record_steps(&loop, steps);
        record_steps(&twin, expected);
        compare_steps(steps, expected);
        CHECK(code_is_original(&loop));
        loop_close(&twin);
        loop_close(&loop);
    }
}

static void between_open(struct guest *guest, uint32_t backend, uint64_t flags)
{
    guest_open_flags(guest, backend, flags, GUEST_CODE(patch_between));
    tg_context_regs_mut(guest->context)->r13 = GUEST_CODE_AT;
}

static bool between_is_original(const struct guest *guest)
{
    const struct guest_code code = GUEST_CODE(patch_between);
    unsigned char now[256];
    size_t length = (size_t)(code.end - code.start);

    CHECK(length <= sizeof(now));
    CHECK_OK(tg_subprocess_read(guest->subprocess, GUEST_CODE_AT, now, length, NULL));
    return memcmp(now, code.start, length) == 0;
}

static void between_calls(struct guest *guest, int calls)
{
    uint64_t r15;

    while (calls-- > 0) {
        r15 = tg_context_regs(guest->context)->r15;
        GUEST_RUN_TO_CALL(guest);
        CHECK_EQ(guest->event.u.syscall.ip, GUEST_PLACE(patch_between, patch_between_behind));
        CHECK_EQ(tg_context_regs(guest->context)->r15, r15 + 1);
    }
}

static void between_warm(struct guest *guest)
{
    between_calls(guest, WARM_CALLS);
    CHECK_EQ(!!(guest->event.flags & TG_FLAG_PATCHED), can_patch(guest));
}

static void between_go(struct guest *guest, const unsigned char *label)
{
    tg_context_regs_mut(guest->context)->r13 = GUEST_CODE_AT + (uint64_t)(label - guest_patch_between);
}

/* The registers are left alone, so that nobody learns from them that the guest steps. */
static void record_own_steps(struct guest *guest, struct step steps[STEPS])
{
    int i;

    between_go(guest, guest_patch_between_set_steps);
    for (i = 0; i < STEPS; i++) {
        guest_run(guest);
        steps[i] = (struct step){.kind = guest->event.kind};
        if (guest->event.kind == TG_EVENT_SYSCALL) {
            CHECK_CALL(&guest->event, GUEST_CALL);
            steps[i].ip = guest->event.u.syscall.ip;
        } else {
            CHECK_EXCEPTION(&guest->event, SIGTRAP, TRAP_TRACE);
            steps[i].ip = guest->event.u.exception.ip;
        }
    }
}

/* A guest that sets the trap flag by itself. */
static void guest_steps_itself(uint32_t backend)
{
    struct step steps[STEPS];
    struct step expected[STEPS];
    struct guest guest;
    struct guest twin;

    between_open(&guest, backend, 0);
    between_open(&twin, backend, TG_OPEN_NO_PATCHING);
    between_warm(&guest);
    between_warm(&twin);
    record_own_steps(&guest, steps);
    record_own_steps(&twin, expected);
    compare_steps(steps, expected);
    guest_close(&twin);
    guest_close(&guest);
}

struct storm {
    tg_context *context;
    _Atomic bool over;
};

static void *interrupt_until_over(void *argument)
{
    struct storm *storm = argument;
    volatile uint64_t spin;
    uint64_t random = 1;

    while (!storm->over) {
        CHECK_OK(tg_context_interrupt(storm->context));
        random = random * 6364136223846793005 + 1442695040888963407;
        for (spin = random >> 48; spin > 0; spin--)
            continue;
    }
    return NULL;
}

/* It is in its own code, and nowhere that the registers would not fit to. */
static void check_interrupted(const struct loop *loop)
{
    const tg_regs *regs = tg_context_regs(loop->guest.context);

    CHECK_KIND(&loop->guest.event, TG_EVENT_INTERRUPTED);
    CHECK(regs->rip >= loop->at && regs->rip < loop->at + CODE_LENGTH(loop));
    CHECK_EQ(regs->rbx, number_of(loop->pattern));
    CHECK_EQ(regs->gs_base, 0);
    CHECK_EQ(regs->cs, 0x33);
    if (loop->stopped && regs->rip == place(loop, loop->pattern->behind))
        CHECK(regs->r15 == loop->r15 - 1 || regs->r15 == loop->r15);
    else
        CHECK(regs->r15 + 1 - loop->r15 <= 1);
}

#define INTERRUPTS 200

/* Each call arrives once and in order, however often the loop is interrupted on its way through the site. */
static void interrupted_everywhere(uint32_t backend, const struct pattern *pattern)
{
    unsigned int interrupts = 0;
    struct storm storm;
    struct loop loop;
    pthread_t thread;

    check_context("%s", pattern->name);
    loop_open(&loop, backend, 0, pattern);
    loop_warm(&loop);
    storm = (struct storm){.context = loop.guest.context};
    thread = start_thread(interrupt_until_over, &storm);
    while (interrupts < INTERRUPTS) {
        loop_expect(&loop);
        guest_run(&loop.guest);
        while (loop.guest.event.kind == TG_EVENT_INTERRUPTED) {
            check_interrupted(&loop);
            interrupts++;
            guest_run(&loop.guest);
        }
        loop_answer(&loop);
    }
    storm.over = true;
    join_thread(thread);
    loop_close(&loop);
}

static void interrupts_lose_nothing(uint32_t backend)
{
    static const char *const names[] = {"mov_eax", "movabs", "libc_wrapper", "nops_behind"};
    size_t i;

    for (i = 0; i < ARRAY_SIZE(names); i++)
        interrupted_everywhere(backend, find_pattern(names[i]));
}

/* ---- gs ---- */

static void check_gs_fault(struct guest *guest)
{
    guest_run(guest);
    CHECK_FAULT(&guest->event, 0, TG_ACCESS_READ, SIGSEGV, SEGV_MAPERR);
    CHECK_EQ(guest->event.u.fault.ip, GUEST_PLACE(patch_between, patch_between_read_gs));
    CHECK_EQ(tg_context_regs(guest->context)->gs_base, 0);
}

/* A guest that uses the register that patched calls work with: it is not patched any more. */
static void check_gives_up(struct guest *guest)
{
    between_calls(guest, WARM_CALLS);
    CHECK(!(guest->event.flags & TG_FLAG_PATCHED));
    CHECK(between_is_original(guest));
}

static void gs_read_without_base(uint32_t backend)
{
    struct guest guest;

    between_open(&guest, backend, 0);
    between_warm(&guest);
    between_go(&guest, guest_patch_between_read_gs);
    check_gs_fault(&guest);
    check_gs_fault(&guest);
    CHECK_EQ(platform_stats(guest.platform).faults, 2);
    arch_set_ip(guest.context, GUEST_CODE_AT);
    check_gives_up(&guest);
    guest_close(&guest);
}

static void gs_base_by_embedder(uint32_t backend)
{
    struct guest guest;
    int i;

    between_open(&guest, backend, 0);
    guest_store(guest.subprocess, GUEST_DATA_AT, 4711);
    between_warm(&guest);
    tg_context_regs_mut(guest.context)->gs_base = GUEST_DATA_AT;
    for (i = 0; i < WARM_CALLS; i++) {
        between_go(&guest, guest_patch_between_read_gs);
        between_calls(&guest, 1);
        CHECK_EQ(guest.event.u.syscall.args[0], 4711);
        CHECK_EQ(tg_context_regs(guest.context)->gs_base, GUEST_DATA_AT);
    }
    check_gives_up(&guest);
    guest_close(&guest);
}

static void gs_base_by_guest(uint32_t backend)
{
    struct guest guest;
    int i;

    if (!cpu_has(CPU_FSGSBASE))
        SKIP("this machine has no wrgsbase in user mode");
    between_open(&guest, backend, 0);
    guest_store(guest.subprocess, GUEST_DATA_AT, 4711);
    tg_context_regs_mut(guest.context)->rbx = GUEST_DATA_AT;
    between_warm(&guest);
    between_go(&guest, guest_patch_between_set_base);
    between_calls(&guest, 1);
    CHECK_EQ(tg_context_regs(guest.context)->gs_base, GUEST_DATA_AT);
    for (i = 0; i < WARM_CALLS; i++) {
        between_go(&guest, guest_patch_between_read_gs);
        between_calls(&guest, 1);
        CHECK_EQ(guest.event.u.syscall.args[0], 4711);
        CHECK_EQ(tg_context_regs(guest.context)->gs_base, GUEST_DATA_AT);
    }
    check_gives_up(&guest);
    guest_close(&guest);
}

/* Without a base of its own it is 0, also for the instruction that reads it. */
static void gs_base_is_read(uint32_t backend)
{
    struct guest guest;

    if (!cpu_has(CPU_FSGSBASE))
        SKIP("this machine has no rdgsbase in user mode");
    between_open(&guest, backend, 0);
    tg_context_regs_mut(guest.context)->rdi = 1;
    between_warm(&guest);
    between_go(&guest, guest_patch_between_get_base);
    between_calls(&guest, 1);
    CHECK_EQ(guest.event.u.syscall.args[0], 0);
    guest_close(&guest);
}

static void gs_null_selector(uint32_t backend)
{
    struct guest guest;
    int i;

    between_open(&guest, backend, 0);
    between_warm(&guest);
    for (i = 0; i < WARM_CALLS; i++) {
        between_go(&guest, guest_patch_between_load_null);
        between_calls(&guest, 4);
        CHECK_EQ(tg_context_regs(guest.context)->gs_base, 0);
    }
    CHECK_EQ(platform_stats(guest.platform).faults, 0);
    guest_close(&guest);
}

/* ---- many sites ---- */

#define MANY_AT      0x50000000ull
#define SITE_BYTES   16
#define FIRST_NUMBER 1000
#define HOT_CALLS    5
#define TABLE_SITES  16384

/* The sites of even numbers have their test behind, the others a jump. The last is followed by a jump to the first. */
static unsigned char *make_sites(uint32_t count)
{
    static const unsigned char even[SITE_BYTES] = {0xb8, 0,    0,    0,    0,    0x0f, 0x05, 0x48,
                                                   0x85, 0xc0, 0x48, 0x85, 0xc0, 0x90, 0x90, 0x90};
    static const unsigned char odd[SITE_BYTES] = {0xb8, 0,    0,    0,    0,    0x0f, 0x05, 0xeb,
                                                  0x07, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90};
    unsigned char *code = calloc(count + 1, SITE_BYTES);
    const int32_t back = -(int32_t)(count * SITE_BYTES + 5);
    uint32_t number;
    uint32_t i;

    CHECK(code != NULL);
    for (i = 0; i < count; i++) {
        number = FIRST_NUMBER + i;
        memcpy(code + (size_t)i * SITE_BYTES, i % 2 ? odd : even, SITE_BYTES);
        memcpy(code + (size_t)i * SITE_BYTES + 1, &number, sizeof(number));
    }
    code[(size_t)count * SITE_BYTES] = 0xe9;
    memcpy(code + (size_t)count * SITE_BYTES + 1, &back, sizeof(back));
    return code;
}

static void check_site_call(struct guest *guest, uint32_t site)
{
    guest_run(guest);
    CHECK_CALL(&guest->event, FIRST_NUMBER + site);
    CHECK_EQ(guest->event.u.syscall.ip, MANY_AT + (uint64_t)site * SITE_BYTES + 7);
}

static void heat_sites(struct guest *guest, uint32_t count)
{
    uint32_t site;
    int i;

    for (site = 0; site < count; site++) {
        for (i = 0; i < HOT_CALLS; i++) {
            arch_set_ip(guest->context, MANY_AT + (uint64_t)site * SITE_BYTES);
            check_site_call(guest, site);
        }
    }
}

static uint64_t run_through_sites(struct guest *guest, uint32_t count)
{
    uint64_t flagged = 0;
    uint32_t site;

    arch_set_ip(guest->context, MANY_AT);
    for (site = 0; site < count; site++) {
        check_site_call(guest, site);
        flagged += !!(guest->event.flags & TG_FLAG_PATCHED);
    }
    return flagged;
}

static void check_many_bytes(const struct guest *guest, const unsigned char *code, size_t length)
{
    unsigned char *now = malloc(length);

    CHECK(now != NULL);
    CHECK_OK(tg_subprocess_protect(guest->subprocess, MANY_AT, length, PROT_RW));
    CHECK_OK(tg_subprocess_read(guest->subprocess, MANY_AT, now, length, NULL));
    CHECK_BYTES(now, code, length);
    CHECK_OK(tg_subprocess_protect(guest->subprocess, MANY_AT, length, PROT_RX));
    free(now);
}

/* A number can make its mov look like the end of other instructions: a few are left alone. */
static uint64_t check_many_sites(const struct guest *guest, uint32_t count)
{
    tg_stats stats = platform_stats(guest->platform);
    uint64_t decoys = stats.patch_refusals[TG_PATCH_REFUSED_DECOY];
    uint64_t fitting = count - decoys;
    uint64_t expected = fitting < TABLE_SITES ? fitting : TABLE_SITES;

    if (!can_patch(guest))
        return 0;
    CHECK(decoys <= count / 1000);
    CHECK_EQ(stats.patch_sites, expected);
    CHECK(stats.patch_sites_after * 2 >= expected && stats.patch_sites_before * 2 >= expected - 2 * decoys);
    CHECK_EQ(stats.patch_refusals[TG_PATCH_REFUSED_FULL], fitting - expected);
    CHECK_EQ(refusals(guest), count - expected);
    return expected;
}

static void many_sites(uint32_t backend, uint32_t count)
{
    size_t length = (size_t)(count + 1) * SITE_BYTES;
    unsigned char *code = make_sites(count);
    struct guest guest;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    put_code(&guest, MANY_AT, (struct guest_code){code, code + length}, PROT_RX);
    heat_sites(&guest, count);
    CHECK_EQ(run_through_sites(&guest, count), check_many_sites(&guest, count));
    check_many_bytes(&guest, code, length);
    run_through_sites(&guest, count);
    guest_close(&guest);
    free(code);
}

static void thousands_of_sites(uint32_t backend)
{
    many_sites(backend, 5000);
}

static void more_sites_than_fit(uint32_t backend)
{
    tg_platform *platform = open_platform(backend, 0);
    bool patching = platform_info(platform).capabilities & TG_CAP_PATCHING;

    tg_platform_close(platform);
    many_sites(backend, patching ? TABLE_SITES + 300 : 300);
}

/* ---- several at one site ---- */

#define RUNNERS      4
#define RUNNER_CALLS 25
#define FRESH_ROUNDS 66

struct runner {
    struct loop loop;
    pthread_barrier_t *start;
    const _Atomic bool *over;
};

static void *run_loop(void *argument)
{
    struct runner *runner = argument;

    pthread_barrier_wait(runner->start);
    loop_calls(&runner->loop, RUNNER_CALLS);
    return NULL;
}

static void runners_start(struct runner runners[RUNNERS], const struct loop *loop, pthread_barrier_t *start)
{
    int i;

    for (i = 0; i < RUNNERS; i++) {
        runners[i] = (struct runner){.loop = *loop, .start = start};
        runners[i].loop.guest.context = create_context(loop->guest.platform);
        loop_start(&runners[i].loop, (uint64_t)i * 100);
    }
}

static void runners_end(struct runner runners[RUNNERS])
{
    int i;

    for (i = 0; i < RUNNERS; i++)
        tg_context_destroy(runners[i].loop.guest.context);
}

/* Four threads meet a site that nobody has been at; each round the code is new, and some lies in two pages. */
static void fresh_code(struct loop *loop, unsigned int round)
{
    loop->pattern = &patched[round % ARRAY_SIZE(patched)];
    loop->at = GUEST_HOLE_AT + loop->guest.page - round % (uint64_t)CODE_LENGTH(loop);
    check_context("round %u, %s", round, loop->pattern->name);
    put_code(&loop->guest, loop->at, loop->pattern->code, PROT_RX);
}

static void threads_at_fresh_site(uint32_t backend)
{
    struct runner runners[RUNNERS];
    pthread_t threads[RUNNERS];
    pthread_barrier_t start;
    struct loop loop;
    unsigned int round;
    int i;

    CHECK_EQ(pthread_barrier_init(&start, NULL, RUNNERS), 0);
    loop_open(&loop, backend, 0, &patched[0]);
    for (round = 0; round < FRESH_ROUNDS; round++) {
        fresh_code(&loop, round);
        runners_start(runners, &loop, &start);
        for (i = 0; i < RUNNERS; i++)
            threads[i] = start_thread(run_loop, &runners[i]);
        for (i = 0; i < RUNNERS; i++)
            join_thread(threads[i]);
        CHECK_EQ(code_is_original(&loop), !can_patch(&loop.guest));
        runners_end(runners);
    }
    if (can_patch(&loop.guest))
        CHECK_EQ(platform_stats(loop.guest.platform).patch_sites, FRESH_ROUNDS);
    loop_close(&loop);
    pthread_barrier_destroy(&start);
}

static void submit_runner(tg_queue *queue, struct runner *runner)
{
    loop_expect(&runner->loop);
    CHECK_OK(tg_queue_submit(queue, runner->loop.guest.context, runner->loop.guest.subprocess));
}

static void run_queue(tg_queue *queue, struct runner runners[RUNNERS])
{
    unsigned int left = RUNNERS;
    struct loop *loop;
    tg_event event;
    size_t count;

    while (left > 0) {
        event = new_event();
        CHECK_OK(tg_queue_wait(queue, &event, 1, -1, &count));
        CHECK_EQ(count, 1);
        CHECK(event.user_data < RUNNERS);
        loop = &runners[event.user_data].loop;
        loop->guest.event = event;
        loop_answer(loop);
        if (loop->calls == RUNNER_CALLS)
            left--;
        else
            submit_runner(queue, &runners[event.user_data]);
    }
}

static void queue_at_fresh_site(uint32_t backend)
{
    struct runner runners[RUNNERS];
    tg_queue *queue = NULL;
    struct loop loop;
    unsigned int round;
    uint64_t i;

    loop_open(&loop, backend, 0, &patched[0]);
    CHECK_OK(tg_queue_create(loop.guest.platform, &queue));
    for (round = 0; round < FRESH_ROUNDS; round++) {
        fresh_code(&loop, round);
        runners_start(runners, &loop, NULL);
        for (i = 0; i < RUNNERS; i++) {
            CHECK_OK(tg_context_set_user_data(runners[i].loop.guest.context, i));
            submit_runner(queue, &runners[i]);
        }
        run_queue(queue, runners);
        CHECK_EQ(code_is_original(&loop), !can_patch(&loop.guest));
        runners_end(runners);
    }
    tg_queue_destroy(queue);
    loop_close(&loop);
}

/* ---- arriving while it changes ---- */

#define CHANGE_ROUNDS 400

/* Runs into the place behind the call again and again; the code may be away meanwhile. */
static void *arrive_behind(void *argument)
{
    struct runner *runner = argument;
    struct loop *loop = &runner->loop;

    while (!*runner->over) {
        if (loop->stopped && loop->calls % 2)
            arch_set_ip(loop->guest.context, place(loop, loop->pattern->behind));
        loop_expect(loop);
        do {
            guest_run(&loop->guest);
            if (loop->guest.event.kind == TG_EVENT_FAULT)
                CHECK_EQ(loop->guest.event.u.fault.access, TG_ACCESS_EXEC);
        } while (loop->guest.event.kind == TG_EVENT_FAULT);
        loop_answer(loop);
    }
    return NULL;
}

static void take_away_and_put_back(const struct loop *loop)
{
    CHECK_OK(tg_subprocess_unmap(loop->guest.subprocess, page_down(&loop->guest, loop->at), loop->guest.page));
    put_code(&loop->guest, loop->at, loop->pattern->code, PROT_RX);
}

static void make_writable_and_back(const struct loop *loop)
{
    protect_page(&loop->guest, loop->at, PROT_RW);
    CHECK(code_is_original(loop));
    protect_page(&loop->guest, loop->at, PROT_RX);
}

static void change_under(uint32_t backend, const char *name, void (*change)(const struct loop *loop))
{
    _Atomic bool over = false;
    struct runner runners[2];
    pthread_t threads[2];
    struct loop loop;
    int i;

    check_context("%s", name);
    loop_open(&loop, backend, 0, find_pattern(name));
    for (i = 0; i < 2; i++) {
        runners[i] = (struct runner){.loop = loop, .over = &over};
        runners[i].loop.guest.context = create_context(loop.guest.platform);
        loop_start(&runners[i].loop, (uint64_t)i * 100);
        threads[i] = start_thread(arrive_behind, &runners[i]);
    }
    for (i = 0; i < CHANGE_ROUNDS; i++) {
        change(&loop);
        /* Long enough for the code to be patched once more, now and then. */
        nanosleep(&(struct timespec){.tv_nsec = 300000}, NULL);
    }
    over = true;
    for (i = 0; i < 2; i++) {
        join_thread(threads[i]);
        tg_context_destroy(runners[i].loop.guest.context);
    }
    CHECK_EQ(platform_stats(loop.guest.platform).exceptions, 0);
    /* Nor did the library take any of it for something that forbids patching. */
    loop_start(&loop, 1000);
    loop_warm(&loop);
    loop_close(&loop);
}

static void unmapped_under_arrivals(uint32_t backend)
{
    change_under(backend, "libc_wrapper", take_away_and_put_back);
    change_under(backend, "mov_eax", take_away_and_put_back);
}

static void writable_under_arrivals(uint32_t backend)
{
    change_under(backend, "libc_wrapper", make_writable_and_back);
    change_under(backend, "mov_eax", make_writable_and_back);
}

/* ---- random neighbours ---- */

/*
 * A loop of calls with random instructions around them. The test carries out the same instructions itself and compares
 * every register at every call. r13 points to data; rcx, r11 and rsp are left alone.
 */
#define REGISTERS     16
#define RANDOM_SITES  6
#define RANDOM_OPS    ((size_t)RANDOM_SITES * 12)
#define RANDOM_BYTES  2048
#define RANDOM_WORDS  8
#define PROGRAMS      40
#define PROGRAM_CALLS 60
#define DATA_REGISTER 13

enum op_kind {
    OP_NOT,
    OP_NEG,
    OP_INC,
    OP_DEC,
    OP_ADD,
    OP_XOR,
    OP_MOV,
    OP_XCHG,
    OP_ADD_BYTE,
    OP_SUB_LONG,
    OP_LEA,
    OP_SHIFT,
    OP_SET_LOW,
    OP_SET_ALL,
    OP_STORE,
    OP_ADD_TO_WORD,
    OP_LOAD,
    OP_COMPARE,
    OP_NOP,
    OP_JUMP,
    OP_KINDS,
    OP_CALL, /* loads the number and calls */
};

struct op {
    enum op_kind kind;
    unsigned int to;
    unsigned int from;
    int32_t number;
    unsigned int form; /* of a call: how the number is loaded; of a nop: its length */
    uint64_t place;    /* of a call: the instruction; behind it 2 bytes on */
};

struct random_guest {
    uint64_t random;
    struct op ops[RANDOM_OPS];
    size_t op_count;
    unsigned char code[RANDOM_BYTES];
    size_t length;
    uint64_t at;
    uint64_t registers[REGISTERS];
    uint64_t words[RANDOM_WORDS];
    size_t next; /* operation */
};

/* As the processor numbers them. */
static const size_t register_offsets[REGISTERS] = {
    offsetof(tg_regs, rax), offsetof(tg_regs, rcx), offsetof(tg_regs, rdx), offsetof(tg_regs, rbx),
    offsetof(tg_regs, rsp), offsetof(tg_regs, rbp), offsetof(tg_regs, rsi), offsetof(tg_regs, rdi),
    offsetof(tg_regs, r8),  offsetof(tg_regs, r9),  offsetof(tg_regs, r10), offsetof(tg_regs, r11),
    offsetof(tg_regs, r12), offsetof(tg_regs, r13), offsetof(tg_regs, r14), offsetof(tg_regs, r15),
};

static const unsigned int usable[] = {0, 2, 3, 5, 6, 7, 8, 9, 10, 14, 15};

static uint64_t next_random(struct random_guest *r)
{
    r->random = r->random * 6364136223846793005 + 1442695040888963407;
    return r->random >> 33;
}

static unsigned int random_register(struct random_guest *r)
{
    return usable[next_random(r) % ARRAY_SIZE(usable)];
}

static void emit(struct random_guest *r, const void *bytes, size_t length)
{
    CHECK(r->length + length <= RANDOM_BYTES);
    memcpy(r->code + r->length, bytes, length);
    r->length += length;
}

static void emit_byte(struct random_guest *r, unsigned int byte)
{
    const unsigned char value = (unsigned char)byte;

    emit(r, &value, 1);
}

/* A 64-bit instruction with a register and a register or memory operand. */
static void emit_instruction(struct random_guest *r, unsigned int opcode, unsigned int mode, unsigned int reg,
                             unsigned int operand)
{
    emit_byte(r, 0x48 | (reg >> 3) << 2 | operand >> 3);
    emit_byte(r, opcode);
    emit_byte(r, mode << 6 | (reg & 7) << 3 | (operand & 7));
}

static void emit_word_access(struct random_guest *r, unsigned int opcode, const struct op *op)
{
    const int32_t offset = op->number * 8;

    emit_instruction(r, opcode, op->form % 2 ? 2 : 1, op->to, DATA_REGISTER);
    emit(r, &offset, op->form % 2 ? 4 : 1);
}

static void emit_nop(struct random_guest *r, unsigned int length)
{
    static const unsigned char nops[][9] = {
        {0x90},
        {0x66, 0x90},
        {0x0f, 0x1f, 0x00},
        {0x0f, 0x1f, 0x40, 0x00},
        {0x0f, 0x1f, 0x44, 0x00, 0x00},
        {0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00},
        {0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00},
        {0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
        {0x66, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
    };

    emit(r, nops[(length - 1) % 9], (length - 1) % 9 + 1);
}

/* Over bytes that are no code. */
static void emit_jump(struct random_guest *r, unsigned int over)
{
    emit_byte(r, 0xeb);
    emit_byte(r, over);
    while (over-- > 0)
        emit_byte(r, (unsigned int)next_random(r) & 0xff);
}

static void emit_call(struct random_guest *r, struct op *op)
{
    const uint64_t number = (uint64_t)op->number;

    switch (op->form % 5) {
    case 0:
        emit_byte(r, 0xb8);
        emit(r, &op->number, 4);
        break;
    case 1:
        emit_instruction(r, 0xc7, 3, 0, 0);
        emit(r, &op->number, 4);
        break;
    case 2:
        emit_byte(r, 0x48);
        emit_byte(r, 0xb8);
        emit(r, &number, 8);
        break;
    case 3:
        emit_byte(r, 0x68); /* push, pop %rax */
        emit(r, &op->number, 4);
        emit_byte(r, 0x58);
        break;
    default:
        emit_byte(r, 0x31); /* xor %eax,%eax; or $number,%eax */
        emit_byte(r, 0xc0);
        emit_byte(r, 0x0d);
        emit(r, &op->number, 4);
        break;
    }
    op->place = r->length;
    emit_byte(r, 0x0f);
    emit_byte(r, 0x05);
}

static void emit_one_register(struct random_guest *r, const struct op *op)
{
    switch (op->kind) {
    case OP_NOT:
        emit_instruction(r, 0xf7, 3, 2, op->to);
        break;
    case OP_NEG:
        emit_instruction(r, 0xf7, 3, 3, op->to);
        break;
    case OP_INC:
        emit_instruction(r, 0xff, 3, 0, op->to);
        break;
    case OP_DEC:
        emit_instruction(r, 0xff, 3, 1, op->to);
        break;
    case OP_ADD_BYTE:
        emit_instruction(r, 0x83, 3, 0, op->to);
        emit_byte(r, (unsigned int)op->number & 0x7f);
        break;
    case OP_SUB_LONG:
        emit_instruction(r, 0x81, 3, 5, op->to);
        emit(r, &op->number, 4);
        break;
    case OP_SHIFT:
        emit_instruction(r, 0xc1, 3, 4, op->to);
        emit_byte(r, (unsigned int)op->number & 7);
        break;
    case OP_SET_LOW:
        if (op->to >= 8)
            emit_byte(r, 0x41);
        emit_byte(r, 0xb8 | (op->to & 7));
        emit(r, &op->number, 4);
        break;
    case OP_SET_ALL:
        emit_instruction(r, 0xc7, 3, 0, op->to);
        emit(r, &op->number, 4);
        break;
    default: /* OP_COMPARE */
        emit_instruction(r, 0x81, 3, 7, op->to);
        emit(r, &op->number, 4);
        break;
    }
}

static void emit_op(struct random_guest *r, struct op *op)
{
    switch (op->kind) {
    case OP_ADD:
        emit_instruction(r, 0x01, 3, op->from, op->to);
        break;
    case OP_XOR:
        emit_instruction(r, 0x31, 3, op->from, op->to);
        break;
    case OP_MOV:
        emit_instruction(r, 0x89, 3, op->from, op->to);
        break;
    case OP_XCHG:
        emit_instruction(r, 0x87, 3, op->from, op->to);
        break;
    case OP_LEA:
        emit_instruction(r, 0x8d, 2, op->to, op->from);
        emit(r, &op->number, 4);
        break;
    case OP_STORE:
        emit_word_access(r, 0x89, op);
        break;
    case OP_ADD_TO_WORD:
        emit_word_access(r, 0x01, op);
        break;
    case OP_LOAD:
        emit_word_access(r, 0x8b, op);
        break;
    case OP_NOP:
        emit_nop(r, op->form);
        break;
    case OP_JUMP:
        emit_jump(r, op->form % 5);
        break;
    case OP_CALL:
        emit_call(r, op);
        break;
    default:
        emit_one_register(r, op);
        break;
    }
}

/* What the instruction does, to the test's own registers. */
static void carry_out(struct random_guest *r, const struct op *op)
{
    uint64_t *to = &r->registers[op->to];
    uint64_t *from = &r->registers[op->from];
    uint64_t *word = &r->words[op->kind >= OP_STORE && op->kind <= OP_LOAD ? op->number : 0];
    uint64_t old = *to;

    switch (op->kind) {
    case OP_NOT:
        *to = ~old;
        break;
    case OP_NEG:
        *to = -old;
        break;
    case OP_INC:
        *to = old + 1;
        break;
    case OP_DEC:
        *to = old - 1;
        break;
    case OP_ADD:
        *to = old + *from;
        break;
    case OP_XOR:
        *to = old ^ *from;
        break;
    case OP_MOV:
        *to = *from;
        break;
    case OP_XCHG:
        *to = *from;
        *from = old;
        break;
    case OP_ADD_BYTE:
        *to = old + ((uint64_t)op->number & 0x7f);
        break;
    case OP_SUB_LONG:
        *to = old - (uint64_t)(int64_t)op->number;
        break;
    case OP_LEA:
        *to = *from + (uint64_t)(int64_t)op->number;
        break;
    case OP_SHIFT:
        *to = old << (op->number & 7);
        break;
    case OP_SET_LOW:
        *to = (uint32_t)op->number;
        break;
    case OP_SET_ALL:
        *to = (uint64_t)(int64_t)op->number;
        break;
    case OP_STORE:
        *word = old;
        break;
    case OP_ADD_TO_WORD:
        *word += old;
        break;
    case OP_LOAD:
        *to = *word;
        break;
    case OP_CALL:
        r->registers[0] = (uint64_t)op->number;
        break;
    default:
        break;
    }
}

static void add_op(struct random_guest *r, enum op_kind kind)
{
    struct op *op = &r->ops[r->op_count++];

    CHECK(r->op_count <= RANDOM_OPS);
    *op = (struct op){.kind = kind, .to = random_register(r), .from = random_register(r)};
    op->form = (unsigned int)next_random(r) % 1000 + 1;
    op->number = (int32_t)(next_random(r) * 3);
    if (kind == OP_CALL)
        op->number = 100 + (int32_t)(next_random(r) % (next_random(r) % 2 ? 100 : 1000000000));
    if (kind >= OP_STORE && kind <= OP_LOAD)
        op->number = (int32_t)(next_random(r) % RANDOM_WORDS);
    emit_op(r, op);
}

static void add_ops(struct random_guest *r, uint64_t count)
{
    while (count-- > 0)
        add_op(r, (enum op_kind)(next_random(r) % OP_KINDS));
}

static void make_program(struct random_guest *r)
{
    int32_t back;
    int i;

    for (i = 0; i < RANDOM_SITES; i++) {
        add_ops(r, next_random(r) % 4);
        add_op(r, OP_CALL);
        add_ops(r, 1 + next_random(r) % 5);
    }
    emit_byte(r, 0xe9);
    back = -(int32_t)(r->length + 4);
    emit(r, &back, 4);
}

/* Carries out all up to the next call. */
static const struct op *run_model(struct random_guest *r)
{
    const struct op *op;

    do {
        op = &r->ops[r->next];
        r->next = (r->next + 1) % r->op_count;
        carry_out(r, op);
    } while (op->kind != OP_CALL);
    return op;
}

static void check_against_model(struct random_guest *r, const struct guest *guest, const struct op *call)
{
    const tg_regs *regs = tg_context_regs(guest->context);
    uint64_t words[RANDOM_WORDS];
    size_t i;

    CHECK_CALL(&guest->event, (uint64_t)call->number);
    CHECK_EQ(guest->event.u.syscall.ip, r->at + call->place + 2);
    for (i = 0; i < REGISTERS; i++) {
        if (i != 1 && i != 11)
            CHECK_EQ(word_of(regs, register_offsets[i]), r->registers[i]);
    }
    CHECK_OK(tg_subprocess_read(guest->subprocess, GUEST_DATA_AT, words, sizeof(words), NULL));
    CHECK_BYTES(words, r->words, sizeof(words));
}

static void check_program_bytes(struct random_guest *r, const struct guest *guest)
{
    uint64_t first = page_down(guest, r->at);
    uint64_t length = page_down(guest, r->at + r->length - 1) - first + guest->page;
    unsigned char now[RANDOM_BYTES];

    CHECK_OK(tg_subprocess_protect(guest->subprocess, first, length, PROT_RW));
    CHECK_OK(tg_subprocess_read(guest->subprocess, r->at, now, r->length, NULL));
    CHECK_BYTES(now, r->code, r->length);
    CHECK_OK(tg_subprocess_protect(guest->subprocess, first, length, PROT_RX));
}

/* Things that a guest must not notice: a restart, a jump to the call, code made writable and executable again. */
static void disturb(struct random_guest *r, struct guest *guest, const struct op *call)
{
    switch (next_random(r) % 16) {
    case 0:
        CHECK_OK(tg_context_restart_syscall(guest->context));
        guest_run(guest);
        check_against_model(r, guest, call);
        break;
    case 1:
        tg_context_regs_mut(guest->context)->rip = r->at + call->place;
        guest_run(guest);
        check_against_model(r, guest, call);
        break;
    case 2:
        if (next_random(r) % 4 == 0)
            check_program_bytes(r, guest);
        break;
    default:
        break;
    }
}

static void start_program(struct random_guest *r, struct guest *guest)
{
    tg_regs *regs;
    size_t i;

    r->at = GUEST_HOLE_AT + guest->page - next_random(r) % r->length;
    put_code(guest, r->at, (struct guest_code){r->code, r->code + r->length}, PROT_RX);
    CHECK_OK(tg_context_start(guest->context, r->at, GUEST_STACK_TOP));
    arch_fill_registers(guest->context, next_random(r));
    regs = tg_context_regs_mut(guest->context);
    regs->r13 = GUEST_DATA_AT;
    for (i = 0; i < REGISTERS; i++)
        r->registers[i] = word_of(regs, register_offsets[i]);
    CHECK_OK(tg_subprocess_write(guest->subprocess, GUEST_DATA_AT, r->words, sizeof(r->words), NULL));
}

static void run_program(struct guest *guest, uint64_t seed)
{
    static struct random_guest r;
    const struct op *call;
    int calls;

    memset(&r, 0, sizeof(r));
    r.random = seed;
    next_random(&r);
    make_program(&r);
    start_program(&r, guest);
    for (calls = 0; calls < PROGRAM_CALLS; calls++) {
        check_context("PATCHING_SEED=%llu, call %d", (unsigned long long)seed, calls);
        call = run_model(&r);
        guest_run(guest);
        check_against_model(&r, guest, call);
        disturb(&r, guest, call);
        r.registers[0] = next_random(&r) % 4096 - 4096;
        CHECK_OK(tg_context_set_return(guest->context, (int64_t)r.registers[0]));
    }
    check_program_bytes(&r, guest);
}

static void random_neighbours(uint32_t backend)
{
    const char *wanted = getenv("PATCHING_SEED");
    const uint64_t first = wanted ? strtoull(wanted, NULL, 10) : (uint64_t)getpid() * 1000;
    struct guest guest;
    uint64_t i;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    for (i = 0; i < (wanted ? 1 : PROGRAMS); i++)
        run_program(&guest, first + i);
    if (can_patch(&guest))
        CHECK(platform_stats(guest.platform).patch_sites > i);
    guest_close(&guest);
}

/* ---- numbers ---- */

/* The kernel looks at the low half of the register alone, patched or not. */
static void wide_numbers(uint32_t backend)
{
    const struct pattern *pattern = find_pattern("libc_wrapper");
    const uint64_t wide = UINT64_C(0x1234567800000000) + GUEST_CALL;
    struct loop loop;
    int i;

    loop_open(&loop, backend, 0, pattern);
    tg_context_regs_mut(loop.guest.context)->rbx = wide;
    for (i = 0; i < WARM_CALLS; i++) {
        guest_run(&loop.guest);
        CHECK_CALL(&loop.guest.event, GUEST_CALL);
        CHECK_EQ(tg_context_regs(loop.guest.context)->rax, wide);
    }
    loop_close(&loop);
}

const struct test_case patch_cases[] = {
    {"patch.patterns", "Calls with neighbours of every kind are patched and keep every register", patterns_work},
    {"patch.left_alone", "Calls whose neighbours forbid it are not, and the statistics say why", others_are_left_alone},
    {"patch.counted", "Patched calls are flagged and counted, each once", calls_are_counted},
    {"patch.not_wanted", "With TG_OPEN_NO_PATCHING no byte of any guest changes", not_wanted},
    {"patch.flags", "Every flag survives patched calls", flags_survive},
    {"patch.fp", "Vector and x87 registers survive patched calls of two contexts that take turns", fp_survives},
    {"patch.guest_jumps_inside", "A guest that jumps to the call or behind it does what the original code would do",
     guest_jumps_inside},
    {"patch.embedder_moves_inside", "So does one whose instruction pointer the embedder sets there",
     embedder_moves_inside},
    {"patch.restart", "A patched call can be restarted, and comes back with what it had", calls_restart},
    {"patch.page_edge", "Sites in two pages work, and lose no byte when one of the pages changes", page_edges_work},
    {"patch.page_edge_refused", "Sites in two pages are left alone when one may not be changed", page_edge_is_refused},
    {"patch.store_faults", "A store behind a patched call faults at its place, and is made once",
     displaced_store_faults},
    {"patch.add_faults", "So does an addition to memory that is not the first instruction behind it",
     displaced_add_faults},
    {"patch.load_faults", "So does a load", displaced_load_faults},
    {"patch.made_writable", "Code that is made writable has its original bytes", writable_is_original},
    {"patch.guest_reads", "A guest finds the original bytes in code that it may write", guest_reads_original},
    {"patch.rewritten", "Code that is rewritten again and again at one address makes the calls it says",
     guest_rewrites_code},
    {"patch.rewritten_during_call", "Code that is rewritten behind a call that is being served runs as rewritten",
     rewritten_during_call},
    {"patch.gone_during_call", "Code that is unmapped under a call that is being served faults right behind it",
     gone_during_call},
    {"patch.advice", "Advice about the memory of code changes nothing", advice_keeps_sites},
    {"patch.failed_operations", "Memory operations that fail change nothing", failed_operations_keep_sites},
    {"patch.no_access", "Code without access rights for a while is what it was", unreadable_then_writable},
    {"patch.shared_mapping", "Code in a shared mapping is never written to", shared_is_left_alone},
    {"patch.writable_mapping", "Nor is code that is writable", writable_is_left_alone},
    {"patch.private_file", "Code in a private mapping of a file is, and the file keeps its bytes",
     private_files_keep_bytes},
    {"patch.turned_off", "When patching ends, pages keep the rights that they have", turned_off_without_access},
    {"patch.fork", "Mother, child and grandchild go on with patched code, and each undoes its own",
     forks_undo_their_own},
    {"patch.fork_apart", "New sites of mother and child at one address do not mix", forks_go_their_own_way},
    {"patch.steps", "Stepped, patched code shows the original instructions", steps_are_original},
    {"patch.guest_steps", "Also to a guest that sets the trap flag by itself", guest_steps_itself},
    {"patch.interrupts", "Interrupts show places of the guest's own code, and no call is lost or made twice",
     interrupts_lose_nothing},
    {"patch.gs_unset", "A read through gs without a base faults as it would natively", gs_read_without_base},
    {"patch.gs_embedder", "A base of gs that the embedder sets is the guest's", gs_base_by_embedder},
    {"patch.gs_guest", "So is one that the guest sets by instruction", gs_base_by_guest},
    {"patch.gs_base_read", "A guest without a base of gs reads 0 by instruction", gs_base_is_read},
    {"patch.gs_null", "A null selector in gs disturbs nothing", gs_null_selector},
    {"patch.thousands", "Five thousand sites are patched, called and undone", thousands_of_sites},
    {"patch.full", "Sites that find no place are left alone, and all calls are right", more_sites_than_fit},
    {"patch.threads", "Four threads run through a site while it is patched", threads_at_fresh_site},
    {"patch.queue", "So do four contexts of one queue", queue_at_fresh_site},
    {"patch.unmapped_under", "Contexts that arrive at code while it is unmapped and comes back see nothing else",
     unmapped_under_arrivals},
    {"patch.writable_under", "Nor do they while it is made writable and executable again", writable_under_arrivals},
    {"patch.random", "Random instructions around calls do what they say, and the code stays what it was",
     random_neighbours},
    {"patch.wide_numbers", "A number is the low half of its register, as for the kernel", wide_numbers},
    {0},
};
