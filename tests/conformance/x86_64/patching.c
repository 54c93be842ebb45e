/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Patched system calls: what a guest and its registers must not notice. */
#include <stdlib.h>
#include <string.h>

#include "../cases.h"
#include "answers.h"
#include "patching.h"

/* ---- patterns ---- */

#define DECOY_NUMBER 0x113c9090

#define LEAVES(why) .taken = LEFT_ALONE, .reason = TG_PATCH_REFUSED_##why

static const struct pattern left_alone[] = {
    PATTERN(refused_relative, LEAVES(RELATIVE)),
    PATTERN(refused_rcx, LEAVES(REGISTER)),
    PATTERN(refused_rsp, LEAVES(REGISTER)),
    PATTERN(refused_gs, LEAVES(MEMORY), .moved = true),
    PATTERN(refused_no_room, LEAVES(NO_ROOM)),
    PATTERN(refused_unlisted, LEAVES(UNLISTED)),
    PATTERN(refused_decoy, LEAVES(DECOY), .number = DECOY_NUMBER),
    PATTERN(refused_undecodable, LEAVES(UNDECODABLE), .moved = true),
    PATTERN(two_shorts, LEAVES(SIGNAL_RETURN), .number = SYS_rt_sigreturn),
};

/* A guest that changes its memory between any two calls: what it does elsewhere makes no call a new one. */
static void work_beside_operations(uint32_t backend, const struct pattern *pattern)
{
    struct loop loop;
    int n;

    loop_open(&loop, backend, 0, pattern);
    loop_warm(&loop);
    loop.at = GUEST_HOLE_AT + 16 * loop.guest.page;
    put_code(&loop.guest, loop.at, pattern->code, PROT_RX);
    loop_start(&loop, 3);
    for (n = 0; n < WARM_CALLS; n++) {
        map_pages(loop.guest.subprocess, GUEST_HOLE_AT, loop.guest.page, PROT_RW);
        loop_call(&loop);
        CHECK_OK(tg_subprocess_unmap(loop.guest.subprocess, GUEST_HOLE_AT, loop.guest.page));
    }
    CHECK_EQ(last_was_patched(&loop), can_patch(&loop.guest));
    check_site_is_whole(&loop);
    loop_close(&loop);
}

static void patterns_work(uint32_t backend)
{
    struct loop loop;
    size_t i;

    for (i = 0; i < ARRAY_SIZE(patched_patterns); i++) {
        check_context("%s", patched_patterns[i].name);
        loop_open(&loop, backend, 0, &patched_patterns[i]);
        loop_warm(&loop);
        loop_calls(&loop, MANY_CALLS);
        CHECK_EQ(last_was_patched(&loop), can_patch(&loop.guest));
        if (can_patch(&loop.guest))
            check_sites(&loop.guest, patched_patterns[i].taken == BEFORE, patched_patterns[i].taken == BEHIND);
        loop_close(&loop);
        work_beside_operations(backend, &patched_patterns[i]);
    }
}

/* The call is the last thing in its page, and nobody can read the next one. */
static void unreadable_is_left_alone(uint32_t backend)
{
    struct pattern pattern = *find_pattern("libc_wrapper");
    struct loop loop;
    uint64_t edge;

    pattern.moved = true;
    loop_open(&loop, backend, 0, &pattern);
    edge = GUEST_HOLE_AT + loop.guest.page;
    loop.at = edge - (uint64_t)(pattern.behind - pattern.code.start);
    put_code(&loop.guest, loop.at, pattern.code, PROT_RX);
    CHECK_OK(tg_subprocess_unmap(loop.guest.subprocess, edge, loop.guest.page));
    loop_start(&loop, 2);
    loop_calls(&loop, MANY_CALLS);
    check_refused(&loop.guest, TG_PATCH_REFUSED_UNREADABLE);
    loop_close(&loop);
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
    unreadable_is_left_alone(backend);
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

    for (i = 0; i < ARRAY_SIZE(patched_patterns); i++) {
        check_context("%s", patched_patterns[i].name);
        loop_open(&loop, backend, TG_OPEN_NO_PATCHING, &patched_patterns[i]);
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

/* The same for a call that is answered without an event. */
static void flags_survive_answers(uint32_t backend)
{
    uint64_t random = 1;
    struct guest guest;

    guest_open(&guest, backend, GUEST_CODE(ask_flags));
    CHECK_OK(tg_subprocess_answer(guest.subprocess, ASKED_CALL, TG_ANSWER_VALUE, 1));
    tg_context_regs_mut(guest.context)->rbx = GUEST_DATA_AT;
    for (int i = 0; i < MANY_CALLS; i++) {
        random = random * 6364136223846793005 + 1442695040888963407;
        const uint64_t flags = (random >> 32 & FLAGS_WATCHED) | 0x202;
        guest_store(guest.subprocess, GUEST_DATA_AT, flags);
        guest_run(&guest);
        if (guest.event.u.syscall.nr == ASKED_CALL)
            guest_run(&guest);
        CHECK_CALL(&guest.event, GUEST_CALL);
        CHECK_EQ(guest_load(guest.subprocess, GUEST_DATA_AT + 8) & FLAGS_WATCHED, flags & FLAGS_WATCHED);
    }
    CHECK_EQ(platform_stats(guest.platform).answered_calls != 0, can_patch(&guest));
    guest_close(&guest);
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

static void guest_jumps_inside(uint32_t backend)
{
    struct loop loop;
    uint64_t round;
    size_t i;

    for (i = 0; i < ARRAY_SIZE(patched_patterns); i++) {
        check_context("%s", patched_patterns[i].name);
        loop_open(&loop, backend, 0, &patched_patterns[i]);
        loop_warm(&loop);
        for (round = 0; round < 10; round++) {
            loop_jump_to_call(&loop, 1000 + round);
            loop_jump_behind(&loop, 0, 1);
            loop_call(&loop);
            loop_jump_to_call(&loop, GUEST_CALL);
            loop_jump_to_call(&loop, UINT64_C(0x12345678) + round);
            loop_jump_behind(&loop, 0, 1);
            loop_jump_behind(&loop, 0, 1);
            if (patched_patterns[i].inner)
                loop_jump_behind(&loop, patched_patterns[i].inner, patched_patterns[i].inner_by);
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

    for (i = 0; i < ARRAY_SIZE(patched_patterns); i++) {
        check_context("%s", patched_patterns[i].name);
        loop_open(&loop, backend, 0, &patched_patterns[i]);
        loop_warm(&loop);
        for (round = 0; round < 10; round++) {
            arch_set_ip(loop.guest.context, place(&loop, patched_patterns[i].start));
            guest_run(&loop.guest);
            check_loop_call(&loop, GUEST_CALL);
            regs = tg_context_regs_mut(loop.guest.context);
            regs->rip = place(&loop, patched_patterns[i].call);
            regs->rax = 2000 + round;
            guest_run(&loop.guest);
            check_loop_call(&loop, 2000 + round);
            arch_set_ip(loop.guest.context, place(&loop, patched_patterns[i].behind));
            loop_call(&loop);
            arch_set_ip(loop.guest.context, place(&loop, patched_patterns[i].behind) + patched_patterns[i].inner);
            loop.r15 += (patched_patterns[i].inner ? patched_patterns[i].inner_by : 1) - 1;
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

    for (i = 0; i < ARRAY_SIZE(patched_patterns); i++) {
        check_context("%s", patched_patterns[i].name);
        loop_open(&loop, backend, 0, &patched_patterns[i]);
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
    {"patch.patterns",
     "Calls with neighbours of every kind are patched and keep every register, whatever is mapped beside them",
     patterns_work},
    {"patch.left_alone", "Calls whose neighbours forbid it are not, and the statistics say why", others_are_left_alone},
    {"patch.counted", "Patched calls are flagged and counted, each once", calls_are_counted},
    {"patch.not_wanted", "With TG_OPEN_NO_PATCHING no byte of any guest changes", not_wanted},
    {"patch.flags", "Every flag survives patched calls", flags_survive},
    {"patch.answered_flags", "Flags survive a call that is answered without an event", flags_survive_answers},
    {"patch.fp", "Vector and x87 registers survive patched calls of two contexts that take turns", fp_survives},
    {"patch.guest_jumps_inside", "A guest that jumps to the call or behind it does what the original code would do",
     guest_jumps_inside},
    {"patch.embedder_moves_inside", "So does one whose instruction pointer the embedder sets there",
     embedder_moves_inside},
    {"patch.restart", "A patched call can be restarted, and comes back with what it had", calls_restart},
    {"patch.wide_numbers", "A number is the low half of its register, as for the kernel", wide_numbers},
    {0},
};
