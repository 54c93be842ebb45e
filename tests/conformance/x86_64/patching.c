/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * System calls whose code may be changed by the library. Whether it is or not, a guest sees what it would see natively:
 * every case runs on every backend, and looks at sites and bytes where TG_CAP_PATCHING is.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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

/* From call to call once round the loop. */
static void loop_call(struct loop *loop)
{
    static const int64_t results[] = {0, 7, -EINVAL, -4095, -4096, INT64_MIN, INT64_MAX};

    if (loop->stopped && loop->pattern->moved) {
        arch_set_ip(loop->guest.context, place(loop, loop->pattern->start));
    } else {
        if (loop->stopped)
            loop->r15++;
        invert_words(loop);
    }
    guest_run(&loop->guest);
    check_loop_call(loop, number_of(loop->pattern));
    CHECK_OK(tg_context_set_return(loop->guest.context, results[loop->calls % ARRAY_SIZE(results)]));
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
    {0},
};
