/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Patched system calls: what a guest and its registers must not notice. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "../cases.h"
#include "cpu.h"
#include "patching.h"
#include "threads.h"
#include "updates.h"

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

    need_updates_that_write(backend);
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

    for (i = 0; i < ARRAY_SIZE(patched_patterns); i++) {
        check_context("%s", patched_patterns[i].name);
        loop_open(&loop, backend, 0, &patched_patterns[i]);
        loop_open(&twin, backend, TG_OPEN_NO_PATCHING, &patched_patterns[i]);
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

#define INTERRUPTS 100

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

/* Accesses through other registers fault as those through the hidden base do; no patching ends for them. */
static void addresses_without_gs(uint32_t backend)
{
    static const uint64_t wild[] = {UINT64_C(0xffff800000000000), UINT64_MAX - 7, UINT64_C(0x8000000000000000),
                                    UINT64_C(0x800000000000)};
    struct guest guest;
    size_t i;

    between_open(&guest, backend, 0);
    between_warm(&guest);
    for (i = 0; i < ARRAY_SIZE(wild); i++) {
        tg_context_regs_mut(guest.context)->rbx = wild[i];
        between_go(&guest, guest_patch_between_read_at);
        guest_run(&guest);
        CHECK(guest.event.kind == TG_EVENT_FAULT || guest.event.kind == TG_EVENT_EXCEPTION);
        CHECK_EQ(tg_context_regs(guest.context)->rip, GUEST_PLACE(patch_between, patch_between_read_at));
        arch_set_ip(guest.context, GUEST_CODE_AT);
        between_calls(&guest, 2);
        CHECK_EQ(!!(guest.event.flags & TG_FLAG_PATCHED), can_patch(&guest));
    }
    guest_close(&guest);
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
    addresses_without_gs(backend);
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

/* Without a base of its own it is 0, also for the instruction that reads it: where nothing is hidden in it. */
static void gs_base_is_read(uint32_t backend)
{
    struct guest guest;

    if (!cpu_has(CPU_FSGSBASE))
        SKIP("this machine has no rdgsbase in user mode");
    between_open(&guest, backend, TG_OPEN_NO_PATCHING);
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

const struct test_case patch_cases[] = {
    {"patch.patterns",
     "Calls with neighbours of every kind are patched and keep every register, whatever is mapped beside them",
     patterns_work},
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
    {"patch.wide_numbers", "A number is the low half of its register, as for the kernel", wide_numbers},
    {"patch.store_faults", "A store behind a patched call faults at its place, and is made once",
     displaced_store_faults},
    {"patch.add_faults", "So does an addition to memory that is not the first instruction behind it",
     displaced_add_faults},
    {"patch.load_faults", "So does a load", displaced_load_faults},
    {"patch.steps", "Stepped, patched code shows the original instructions", steps_are_original},
    {"patch.guest_steps", "Also to a guest that sets the trap flag by itself", guest_steps_itself},
    {"patch.interrupts", "Interrupts show places of the guest's own code, and no call is lost or made twice",
     interrupts_lose_nothing},
    {"patch.gs_unset", "A read through gs without a base faults as it would natively; it alone ends patching",
     gs_read_without_base},
    {"patch.gs_embedder", "A base of gs that the embedder sets is the guest's", gs_base_by_embedder},
    {"patch.gs_guest", "So is one that the guest sets by instruction", gs_base_by_guest},
    {"patch.gs_base_read", "Without patching, a guest without a base of gs reads 0 by instruction", gs_base_is_read},
    {"patch.gs_null", "A null selector in gs disturbs nothing", gs_null_selector},
    {0},
};
