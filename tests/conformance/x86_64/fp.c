/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * FP and vector state: x87, SSE, AVX, AVX-512 and the control words, kept
 * wherever a context goes. Each scenario runs once for each part of the state.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cases.h"
#include "arch.h"
#include "cpu.h"
#include "guest.h"
#include "guests_x86_64.h"
#include "threads.h"

#define BLOCK          4096
#define SSE_BYTES      256
#define INITIAL_FCW    0x37f
#define INITIAL_MXCSR  0x1f80
#define LEGACY_FCW     0
#define LEGACY_MXCSR   24
#define LEGACY_XMM     160
#define HEADER_BV      512
#define UNKNOWN_STATES (1ull << 62)

struct fp_part {
    const char *name;
    struct guest_code code;
    size_t bytes;
    enum cpu_feature feature;
    void (*fill)(unsigned char *bytes, size_t length, uint64_t seed);
};

static void fill_any(unsigned char *bytes, size_t length, uint64_t seed)
{
    size_t i;

    for (i = 0; i < length; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        bytes[i] = (unsigned char)(seed >> 56);
    }
}

/* Numbers that a load and a store as double do not change. */
static void fill_doubles(unsigned char *bytes, size_t length, uint64_t seed)
{
    size_t i;

    for (i = 0; i + sizeof(double) <= length; i += sizeof(double)) {
        double value = (double)(seed * 1000 + i) + 0.5;

        memcpy(bytes + i, &value, sizeof(value));
    }
}

/* Rounding modes and masks that differ with the seed; seed 0 has MXCSR 0, everything unmasked. */
static void fill_control(unsigned char *bytes, size_t length, uint64_t seed)
{
    uint16_t fcw = (uint16_t)(0x37f ^ ((seed & 3) << 10));
    uint32_t mxcsr = seed ? (uint32_t)(INITIAL_MXCSR ^ ((seed & 3) << 13) ^ ((seed & 4) << 13)) : 0;

    memset(bytes, 0, length);
    memcpy(bytes, &fcw, sizeof(fcw));
    memcpy(bytes + 4, &mxcsr, sizeof(mxcsr));
}

static const struct fp_part parts[] = {
    {"x87", GUEST_INIT(fp_x87), 64, CPU_ALWAYS, fill_doubles},
    {"SSE", GUEST_INIT(fp_sse), SSE_BYTES, CPU_ALWAYS, fill_any},
    {"AVX", GUEST_INIT(fp_avx), 512, CPU_AVX2, fill_any},
    {"AVX-512", GUEST_INIT(fp_avx512), 2064, CPU_AVX512, fill_any},
    {"control words", GUEST_INIT(fp_control), 8, CPU_ALWAYS, fill_control},
};

/* One context with its input and output blocks in the guest's data. */
struct fp_context {
    const struct fp_part *part;
    tg_context *context;
    uint64_t in;
    uint64_t out;
    uint64_t seed;
};

static struct fp_context create_fp(tg_platform *platform, const struct fp_part *part, unsigned int index)
{
    struct fp_context fp = {
        .part = part,
        .context = create_started_context(platform),
        .in = GUEST_DATA_AT + 2 * BLOCK * (uint64_t)index,
        .seed = index,
    };

    fp.out = fp.in + BLOCK;
    arch_set_argument(fp.context, 0, fp.in);
    arch_set_argument(fp.context, 1, fp.out);
    return fp;
}

/* Puts the next pattern in place and runs to the first call: the state is loaded and nowhere else. */
static void load_fp(struct fp_context *fp, tg_subprocess *subprocess)
{
    unsigned char bytes[BLOCK] = {0};
    tg_event event;

    fp->seed += 16;
    fp->part->fill(bytes, fp->part->bytes, fp->seed % 64 == 0 ? 0 : fp->seed);
    CHECK_OK(tg_subprocess_write(subprocess, fp->in, bytes, sizeof(bytes), NULL));
    run_context(fp->context, subprocess, &event);
    CHECK_CALL(&event, GUEST_CALL);
}

/* Runs to the second call and compares what the guest stored with what it loaded. */
static void check_fp(const struct fp_context *fp, tg_subprocess *subprocess)
{
    unsigned char expected[BLOCK];
    unsigned char stored[BLOCK];
    tg_event event;

    run_context(fp->context, subprocess, &event);
    CHECK_CALL(&event, GUEST_CALL);
    CHECK_OK(tg_subprocess_read(subprocess, fp->in, expected, fp->part->bytes, NULL));
    CHECK_OK(tg_subprocess_read(subprocess, fp->out, stored, fp->part->bytes, NULL));
    CHECK_BYTES(stored, expected, fp->part->bytes);
}

static void for_each_part(uint32_t backend, void (*scenario)(struct guest *guest, const struct fp_part *part))
{
    struct guest guest;
    size_t i;

    for (i = 0; i < ARRAY_SIZE(parts); i++) {
        check_context("%s", parts[i].name);
        if (!cpu_has(parts[i].feature)) {
            printf("%s: not on this processor\n", parts[i].name);
            continue;
        }
        guest_open(&guest, backend, parts[i].code);
        scenario(&guest, &parts[i]);
        guest_close(&guest);
    }
}

static void alone(struct guest *guest, const struct fp_part *part)
{
    struct fp_context fp = create_fp(guest->platform, part, 0);
    int i;

    for (i = 0; i < 8; i++) {
        load_fp(&fp, guest->subprocess);
        check_fp(&fp, guest->subprocess);
    }
    tg_context_destroy(fp.context);
}

static void kept_across_calls(uint32_t backend)
{
    for_each_part(backend, alone);
}

/* Many contexts take turns on one stub thread: each finds its own state. */
static void in_turns_with_flags(struct guest *guest, const struct fp_part *part, uint32_t flags)
{
    enum { CONTEXTS = 12 };
    struct fp_context fps[CONTEXTS];
    unsigned int i;
    int round;

    for (i = 0; i < CONTEXTS; i++) {
        fps[i] = create_fp(guest->platform, part, i);
        CHECK_OK(tg_context_set_flags(fps[i].context, flags));
    }
    for (round = 0; round < 5; round++) {
        for (i = 0; i < CONTEXTS; i++)
            load_fp(&fps[i], guest->subprocess);
        for (i = CONTEXTS; i-- > 0;)
            check_fp(&fps[i], guest->subprocess);
    }
    for (i = 0; i < CONTEXTS; i++)
        tg_context_destroy(fps[i].context);
}

static void in_turns(struct guest *guest, const struct fp_part *part)
{
    in_turns_with_flags(guest, part, 0);
}

static void in_turns_one_thread(struct guest *guest, const struct fp_part *part)
{
    in_turns_with_flags(guest, part, TG_CONTEXT_ONE_THREAD);
}

static void contexts_share_a_stub(uint32_t backend)
{
    for_each_part(backend, in_turns);
}

static void contexts_share_a_stub_lazily(uint32_t backend)
{
    for_each_part(backend, in_turns_one_thread);
}

/* Loaded in one address space, stored in another that shares the data pages' contents only by our copying. */
static void across_subprocesses_with_flags(struct guest *guest, const struct fp_part *part, uint32_t flags)
{
    tg_subprocess *other = create_loaded_subprocess(guest->platform, part->code);
    struct fp_context fp = create_fp(guest->platform, part, 0);
    struct fp_context noise = create_fp(guest->platform, part, 1);
    unsigned char bytes[BLOCK];
    int i;

    CHECK_OK(tg_context_set_flags(fp.context, flags));
    for (i = 0; i < 6; i++) {
        tg_subprocess *from = i % 2 ? other : guest->subprocess;
        tg_subprocess *to = i % 2 ? guest->subprocess : other;

        load_fp(&noise, to);
        load_fp(&fp, from);
        check_fp(&noise, to);
        CHECK_OK(tg_subprocess_read(from, fp.in, bytes, sizeof(bytes), NULL));
        CHECK_OK(tg_subprocess_write(to, fp.in, bytes, sizeof(bytes), NULL));
        check_fp(&fp, to);
    }
    tg_context_destroy(noise.context);
    tg_context_destroy(fp.context);
    tg_subprocess_destroy(other);
}

static void across_subprocesses(struct guest *guest, const struct fp_part *part)
{
    across_subprocesses_with_flags(guest, part, 0);
    across_subprocesses_with_flags(guest, part, TG_CONTEXT_ONE_THREAD);
}

static void migrates_between_subprocesses(uint32_t backend)
{
    for_each_part(backend, across_subprocesses);
}

struct fp_step {
    struct fp_context *fp;
    tg_subprocess *subprocess;
};

static void *load_in_thread(void *argument)
{
    struct fp_step *step = argument;

    load_fp(step->fp, step->subprocess);
    return NULL;
}

static void *check_in_thread(void *argument)
{
    struct fp_step *step = argument;

    check_fp(step->fp, step->subprocess);
    return NULL;
}

static void across_threads(struct guest *guest, const struct fp_part *part)
{
    struct fp_context fp = create_fp(guest->platform, part, 0);
    struct fp_context noise = create_fp(guest->platform, part, 1);
    struct fp_step step = {&fp, guest->subprocess};
    struct fp_step noise_step = {&noise, guest->subprocess};
    int i;

    for (i = 0; i < 6; i++) {
        run_in_thread(load_in_thread, &step);
        run_in_thread(load_in_thread, &noise_step);
        check_fp(&fp, guest->subprocess);
        check_fp(&noise, guest->subprocess);
        load_fp(&fp, guest->subprocess);
        load_fp(&noise, guest->subprocess);
        run_in_thread(check_in_thread, &step);
        run_in_thread(check_in_thread, &noise_step);
    }
    tg_context_destroy(noise.context);
    tg_context_destroy(fp.context);
}

static void dies_elsewhere(struct guest *guest, const struct fp_part *part)
{
    tg_subprocess *doomed = create_loaded_subprocess(guest->platform, part->code);
    struct fp_context fp = create_fp(guest->platform, part, 0);
    unsigned char bytes[BLOCK];
    tg_event event;

    load_fp(&fp, doomed);
    CHECK_OK(tg_subprocess_read(doomed, fp.in, bytes, sizeof(bytes), NULL));
    CHECK_OK(tg_subprocess_write(guest->subprocess, fp.in, bytes, sizeof(bytes), NULL));
    CHECK_SYSTEM(kill(tg_subprocess_pid(doomed), SIGKILL));
    run_context(fp.context, doomed, &event);
    CHECK_KIND(&event, TG_EVENT_DEAD);
    check_fp(&fp, guest->subprocess);
    tg_context_destroy(fp.context);
    tg_subprocess_destroy(doomed);
}

static void migrates_between_threads(uint32_t backend)
{
    for_each_part(backend, across_threads);
}

static void survives_a_death(uint32_t backend)
{
    for_each_part(backend, dies_elsewhere);
}

static void to_a_fork(struct guest *guest, const struct fp_part *part)
{
    struct fp_context parent = create_fp(guest->platform, part, 0);
    struct fp_context child = parent;
    tg_subprocess *copy = NULL;

    load_fp(&parent, guest->subprocess);
    CHECK_OK(tg_subprocess_fork(guest->subprocess, &copy));
    child.context = create_context(guest->platform);
    CHECK_OK(tg_context_copy(child.context, parent.context));
    check_fp(&child, copy);
    load_fp(&child, copy);
    check_fp(&parent, guest->subprocess);
    check_fp(&child, copy);
    tg_context_destroy(child.context);
    tg_context_destroy(parent.context);
    tg_subprocess_destroy(copy);
}

static void copied_for_a_fork(uint32_t backend)
{
    for_each_part(backend, to_a_fork);
}

static void through_one_queue(struct guest *guest, const struct fp_part *part)
{
    enum { CONTEXTS = 10, CALLS = 8 };
    struct fp_context fps[CONTEXTS];
    unsigned char expected[BLOCK];
    unsigned char stored[BLOCK];
    tg_queue *queue = NULL;
    unsigned int left = CONTEXTS * CALLS;
    unsigned int calls[CONTEXTS] = {0};
    unsigned int i;

    CHECK_OK(tg_queue_create(guest->platform, &queue));
    for (i = 0; i < CONTEXTS; i++) {
        fps[i] = create_fp(guest->platform, part, i);
        part->fill(expected, part->bytes, i);
        CHECK_OK(tg_subprocess_write(guest->subprocess, fps[i].in, expected, part->bytes, NULL));
        CHECK_OK(tg_context_set_user_data(fps[i].context, i));
        CHECK_OK(tg_context_set_flags(fps[i].context, i % 2 ? TG_CONTEXT_ONE_THREAD : 0));
        CHECK_OK(tg_queue_submit(queue, fps[i].context, guest->subprocess));
    }
    while (left-- > 0) {
        tg_event event = new_event();
        size_t count;

        CHECK_OK(tg_queue_wait(queue, &event, 1, -1, &count));
        CHECK_CALL(&event, GUEST_CALL);
        i = (unsigned int)event.user_data;
        if (++calls[i] % 2 == 0) {
            CHECK_OK(tg_subprocess_read(guest->subprocess, fps[i].in, expected, part->bytes, NULL));
            CHECK_OK(tg_subprocess_read(guest->subprocess, fps[i].out, stored, part->bytes, NULL));
            CHECK_BYTES(stored, expected, part->bytes);
        }
        if (calls[i] < CALLS)
            CHECK_OK(tg_queue_submit(queue, event.context, guest->subprocess));
    }
    tg_queue_destroy(queue);
    for (i = 0; i < CONTEXTS; i++)
        tg_context_destroy(fps[i].context);
}

static void kept_through_a_queue(uint32_t backend)
{
    for_each_part(backend, through_one_queue);
}

static unsigned char *new_state(const struct guest *guest, size_t *length)
{
    unsigned char *state;

    *length = platform_info(guest->platform).fpstate_size;
    state = calloc(1, *length);
    CHECK(state != NULL);
    return state;
}

static void new_context_is_clean(uint32_t backend)
{
    static const unsigned char zeroes[SSE_BYTES];
    unsigned char seen[SSE_BYTES + 8];
    unsigned char dirt[SSE_BYTES];
    struct guest guest;
    struct guest dirty;
    int round;

    fill_any(dirt, sizeof(dirt), 1);
    guest_open(&guest, backend, GUEST_CODE(fp_look));
    dirty = guest;
    load_code(guest.subprocess, GUEST_CODE_AT + GUEST_CODE_SIZE, GUEST_CODE(fp_sse));
    for (round = 0; round < 3; round++) {
        uint16_t fcw;
        uint32_t mxcsr;

        /* Somebody else's registers are in the stub. */
        dirty.context = create_context(guest.platform);
        CHECK_OK(tg_context_start(dirty.context, GUEST_CODE_AT + GUEST_CODE_SIZE, GUEST_STACK_TOP));
        CHECK_OK(tg_subprocess_write(guest.subprocess, GUEST_DATA_AT, dirt, sizeof(dirt), NULL));
        arch_set_argument(dirty.context, 0, GUEST_DATA_AT);
        arch_set_argument(dirty.context, 1, GUEST_DATA_AT + BLOCK);
        GUEST_RUN_TO_CALL(&dirty);

        guest_restart(&guest);
        arch_set_argument(guest.context, 1, GUEST_DATA_AT + 2 * BLOCK);
        GUEST_RUN_TO_CALL(&guest);
        CHECK_OK(tg_subprocess_read(guest.subprocess, GUEST_DATA_AT + 2 * BLOCK, seen, sizeof(seen), NULL));
        CHECK_BYTES(seen, zeroes, SSE_BYTES);
        memcpy(&fcw, seen + SSE_BYTES, sizeof(fcw));
        memcpy(&mxcsr, seen + SSE_BYTES + 4, sizeof(mxcsr));
        CHECK_EQ(fcw, INITIAL_FCW);
        CHECK_EQ(mxcsr, INITIAL_MXCSR);
        tg_context_destroy(dirty.context);
    }
    guest_close(&guest);
}

static void state_of_a_new_context(uint32_t backend)
{
    struct guest guest;
    unsigned char *state;
    size_t length;
    uint16_t fcw;
    uint32_t mxcsr;

    guest_open(&guest, backend, GUEST_CODE(fp_look));
    state = new_state(&guest, &length);
    CHECK_OK(tg_context_get_fpstate(guest.context, state, length));
    memcpy(&fcw, state + LEGACY_FCW, sizeof(fcw));
    memcpy(&mxcsr, state + LEGACY_MXCSR, sizeof(mxcsr));
    CHECK_EQ(fcw, INITIAL_FCW);
    CHECK_EQ(mxcsr, INITIAL_MXCSR);
    CHECK_OK(tg_context_set_fpstate(guest.context, state, length));
    arch_set_argument(guest.context, 1, GUEST_DATA_AT);
    GUEST_RUN_TO_CALL(&guest);
    free(state);
    guest_close(&guest);
}

static void embedder_reads_and_writes(uint32_t backend)
{
    static const uint32_t all_flags[] = {0, TG_CONTEXT_ONE_THREAD};
    unsigned char pattern[SSE_BYTES];
    unsigned char seen[SSE_BYTES];
    struct guest guest;
    unsigned char *state;
    size_t length;
    unsigned int i;

    guest_open(&guest, backend, GUEST_CODE(fp_load_once));
    state = new_state(&guest, &length);
    for (i = 0; i < ARRAY_SIZE(all_flags); i++) {
        guest_restart(&guest);
        CHECK_OK(tg_context_set_flags(guest.context, all_flags[i]));
        fill_any(pattern, sizeof(pattern), 10 + i);
        CHECK_OK(tg_subprocess_write(guest.subprocess, GUEST_DATA_AT, pattern, sizeof(pattern), NULL));
        arch_set_argument(guest.context, 0, GUEST_DATA_AT);
        arch_set_argument(guest.context, 1, GUEST_DATA_AT + BLOCK);
        GUEST_RUN_TO_CALL(&guest);
        CHECK_OK(tg_context_get_fpstate(guest.context, state, length));
        CHECK_BYTES(state + LEGACY_XMM, pattern, SSE_BYTES);

        fill_any(pattern, sizeof(pattern), 20 + i);
        memcpy(state + LEGACY_XMM, pattern, SSE_BYTES);
        CHECK_OK(tg_context_set_fpstate(guest.context, state, length));
        memset(state, 0, length);
        CHECK_OK(tg_context_get_fpstate(guest.context, state, length));
        CHECK_BYTES(state + LEGACY_XMM, pattern, SSE_BYTES);
        GUEST_RUN_TO_CALL(&guest);
        CHECK_OK(tg_subprocess_read(guest.subprocess, GUEST_DATA_AT + BLOCK, seen, sizeof(seen), NULL));
        CHECK_BYTES(seen, pattern, SSE_BYTES);
    }
    free(state);
    guest_close(&guest);
}

static void refused(struct guest *guest, unsigned char *state, size_t length, size_t at, uint64_t value, size_t size)
{
    unsigned char kept[8];

    memcpy(kept, state + at, size);
    memcpy(state + at, &value, size);
    CHECK_RESULT(tg_context_set_fpstate(guest->context, state, length), -EINVAL);
    memcpy(state + at, kept, size);
}

static void bad_states_are_refused(uint32_t backend)
{
    unsigned char pattern[SSE_BYTES];
    struct guest guest;
    unsigned char *state;
    size_t length;

    guest_open(&guest, backend, GUEST_CODE(fp_load_once));
    state = new_state(&guest, &length);
    fill_any(pattern, sizeof(pattern), 3);
    CHECK_OK(tg_subprocess_write(guest.subprocess, GUEST_DATA_AT, pattern, sizeof(pattern), NULL));
    arch_set_argument(guest.context, 0, GUEST_DATA_AT);
    arch_set_argument(guest.context, 1, GUEST_DATA_AT + BLOCK);
    GUEST_RUN_TO_CALL(&guest);
    CHECK_OK(tg_context_get_fpstate(guest.context, state, length));
    CHECK_RESULT(tg_context_get_fpstate(guest.context, state, length - 1), -EINVAL);
    CHECK_RESULT(tg_context_set_fpstate(guest.context, state, length - 1), -EINVAL);
    CHECK_RESULT(tg_context_set_fpstate(guest.context, state, length + 1), -EINVAL);
    CHECK_RESULT(tg_context_set_fpstate(guest.context, state, 0), -EINVAL);
    memset(state + LEGACY_XMM, 0, SSE_BYTES);
    refused(&guest, state, length, LEGACY_MXCSR, 0xffff0000u | INITIAL_MXCSR, 4);
    if (cpu_has(CPU_XSAVE)) {
        refused(&guest, state, length, HEADER_BV, UNKNOWN_STATES | 3, 8);
        refused(&guest, state, length, HEADER_BV + 8, 1ull << 63, 8);
        refused(&guest, state, length, HEADER_BV + 16, 1, 8);
    }
    CHECK_OK(tg_context_get_fpstate(guest.context, state, length));
    CHECK_BYTES(state + LEGACY_XMM, pattern, SSE_BYTES);
    GUEST_RUN_TO_CALL(&guest);
    guest_close(&guest);
    free(state);
}

/* A set before the first switch, and between two contexts' turns. */
static void set_before_first_switch(uint32_t backend)
{
    unsigned char pattern[SSE_BYTES];
    unsigned char seen[SSE_BYTES];
    struct guest guest;
    unsigned char *state;
    size_t length;

    guest_open(&guest, backend, GUEST_CODE(fp_look));
    state = new_state(&guest, &length);
    CHECK_OK(tg_context_get_fpstate(guest.context, state, length));
    fill_any(pattern, sizeof(pattern), 5);
    memcpy(state + LEGACY_XMM, pattern, SSE_BYTES);
    if (cpu_has(CPU_XSAVE))
        state[HEADER_BV] |= 3;
    CHECK_OK(tg_context_set_fpstate(guest.context, state, length));
    arch_set_argument(guest.context, 1, GUEST_DATA_AT);
    GUEST_RUN_TO_CALL(&guest);
    CHECK_OK(tg_subprocess_read(guest.subprocess, GUEST_DATA_AT, seen, sizeof(seen), NULL));
    CHECK_BYTES(seen, pattern, SSE_BYTES);
    guest_restart(&guest);
    arch_set_argument(guest.context, 1, GUEST_DATA_AT);
    GUEST_RUN_TO_CALL(&guest);
    CHECK_OK(tg_subprocess_read(guest.subprocess, GUEST_DATA_AT, seen, sizeof(seen), NULL));
    memset(pattern, 0, sizeof(pattern));
    CHECK_BYTES(seen, pattern, SSE_BYTES);
    free(state);
    guest_close(&guest);
}

static void kept_across_faults(uint32_t backend)
{
    unsigned char pattern[SSE_BYTES];
    unsigned char seen[SSE_BYTES];
    struct guest guest;

    guest_open(&guest, backend, GUEST_CODE(fp_fault));
    fill_any(pattern, sizeof(pattern), 9);
    CHECK_OK(tg_subprocess_write(guest.subprocess, GUEST_DATA_AT, pattern, sizeof(pattern), NULL));
    arch_set_argument(guest.context, 0, GUEST_DATA_AT);
    arch_set_argument(guest.context, 1, GUEST_DATA_AT + BLOCK);
    arch_set_argument(guest.context, 2, GUEST_HOLE_AT);
    guest_run(&guest);
    CHECK_FAULT(&guest.event, GUEST_HOLE_AT, TG_ACCESS_READ, SIGSEGV, SEGV_MAPERR);
    map_pages(guest.subprocess, GUEST_HOLE_AT, guest.page, PROT_RW);
    GUEST_RUN_TO_CALL(&guest);
    CHECK_OK(tg_subprocess_read(guest.subprocess, GUEST_DATA_AT + BLOCK, seen, sizeof(seen), NULL));
    CHECK_BYTES(seen, pattern, SSE_BYTES);
    guest_close(&guest);
}

static void kept_across_interrupts(uint32_t backend)
{
    unsigned char pattern[SSE_BYTES];
    unsigned char seen[SSE_BYTES];
    struct guest guest;
    int i;

    guest_open(&guest, backend, GUEST_CODE(fp_spin));
    fill_any(pattern, sizeof(pattern), 10);
    CHECK_OK(tg_subprocess_write(guest.subprocess, GUEST_DATA_AT, pattern, sizeof(pattern), NULL));
    arch_set_argument(guest.context, 0, GUEST_DATA_AT);
    arch_set_argument(guest.context, 1, GUEST_DATA_AT + BLOCK);
    arch_set_argument(guest.context, 2, GUEST_DATA_AT + 2 * BLOCK);
    for (i = 0; i < 20; i++) {
        pthread_t thread = start_thread(guest_run_thread, &guest);

        guest_wait_change(guest.subprocess, GUEST_DATA_AT + 2 * BLOCK, 0);
        CHECK_OK(tg_context_interrupt(guest.context));
        join_thread(thread);
        CHECK_KIND(&guest.event, TG_EVENT_INTERRUPTED);
    }
    guest_store(guest.subprocess, GUEST_DATA_AT + 2 * BLOCK + 8, 1);
    GUEST_RUN_TO_CALL(&guest);
    CHECK_OK(tg_subprocess_read(guest.subprocess, GUEST_DATA_AT + BLOCK, seen, sizeof(seen), NULL));
    CHECK_BYTES(seen, pattern, SSE_BYTES);
    guest_close(&guest);
}

/* What another thread gets while the first keeps the state in the stub. */
struct foreign_use {
    struct guest *guest;
    unsigned char *state;
    size_t length;
    int switched;
    int copied;
    int read;
};

static void *use_from_elsewhere(void *argument)
{
    struct foreign_use *use = argument;
    tg_context *copy = create_context(use->guest->platform);
    tg_event event = new_event();

    use->read = tg_context_get_fpstate(use->guest->context, use->state, use->length);
    use->copied = tg_context_copy(copy, use->guest->context);
    use->switched = tg_context_switch(use->guest->context, use->guest->subprocess, &event);
    tg_context_destroy(copy);
    return NULL;
}

static void check_foreign(struct foreign_use *use, int expected)
{
    run_in_thread(use_from_elsewhere, use);
    CHECK_RESULT(use->read, expected);
    CHECK_RESULT(use->copied, expected);
    CHECK_RESULT(use->switched, expected);
}

static void start_one_thread(struct guest *guest)
{
    guest_restart(guest);
    CHECK_OK(tg_context_set_flags(guest->context, TG_CONTEXT_ONE_THREAD));
    arch_set_argument(guest->context, 0, GUEST_DATA_AT);
    arch_set_argument(guest->context, 1, GUEST_DATA_AT + BLOCK);
    GUEST_RUN_TO_CALL(guest);
}

static void one_thread_rule(uint32_t backend)
{
    /* On other backends a state belongs to no thread, and the flag changes nothing. */
    const int refused = backend == TG_BACKEND_PTRACE ? -EBUSY : 0;
    unsigned char pattern[SSE_BYTES];
    struct foreign_use use = {0};
    struct guest guest;

    guest_open(&guest, backend, GUEST_CODE(fp_load_once));
    fill_any(pattern, sizeof(pattern), 13);
    CHECK_OK(tg_subprocess_write(guest.subprocess, GUEST_DATA_AT, pattern, sizeof(pattern), NULL));
    use.guest = &guest;
    use.state = new_state(&guest, &use.length);

    start_one_thread(&guest);
    check_foreign(&use, refused);
    GUEST_RUN_TO_CALL(&guest);
    CHECK_OK(tg_context_get_fpstate(guest.context, use.state, use.length));
    CHECK_BYTES(use.state + LEGACY_XMM, pattern, SSE_BYTES);
    check_foreign(&use, 0);

    start_one_thread(&guest);
    check_foreign(&use, refused);
    CHECK_OK(tg_context_set_flags(guest.context, 0));
    memset(use.state, 0, use.length);
    check_foreign(&use, 0);
    CHECK_BYTES(use.state + LEGACY_XMM, pattern, SSE_BYTES);
    free(use.state);
    guest_close(&guest);
}

static void *load_and_end(void *argument)
{
    start_one_thread(argument);
    return NULL;
}

/* The thread that kept the state ends: the state is not lost with it. */
static void one_thread_ends(uint32_t backend)
{
    unsigned char pattern[SSE_BYTES];
    struct guest guest;
    unsigned char *state;
    size_t length;

    guest_open(&guest, backend, GUEST_CODE(fp_load_once));
    state = new_state(&guest, &length);
    fill_any(pattern, sizeof(pattern), 12);
    CHECK_OK(tg_subprocess_write(guest.subprocess, GUEST_DATA_AT, pattern, sizeof(pattern), NULL));
    run_in_thread(load_and_end, &guest);
    CHECK_OK(tg_context_get_fpstate(guest.context, state, length));
    CHECK_BYTES(state + LEGACY_XMM, pattern, SSE_BYTES);
    GUEST_RUN_TO_CALL(&guest);
    free(state);
    guest_close(&guest);
}

const struct test_case fp_cases[] = {
    {"fp.calls", "x87, SSE, AVX, AVX-512 and control words are kept across calls, MXCSR 0 included", kept_across_calls},
    {"fp.shared_stub", "Twelve contexts on one stub thread each find their own state", contexts_share_a_stub},
    {"fp.shared_stub_lazy", "The same with TG_CONTEXT_ONE_THREAD, where state stays in the stub",
     contexts_share_a_stub_lazily},
    {"fp.subprocesses", "State goes with a context from one address space to another", migrates_between_subprocesses},
    {"fp.threads", "State goes with a context from one thread to another", migrates_between_threads},
    {"fp.fork", "A copied context in a forked subprocess has its own copy of the state", copied_for_a_fork},
    {"fp.queue", "State is kept through a queue with ten contexts", kept_through_a_queue},
    {"fp.death", "State survives the death of the subprocess it was used in", survives_a_death},
    {"fp.faults", "State is kept across a fault", kept_across_faults},
    {"fp.interrupts", "State is kept across twenty interrupts", kept_across_interrupts},
    {"fp.clean", "A new context sees clean registers whatever ran before it", new_context_is_clean},
    {"fp.initial", "The state of a context that never ran can be read and set", state_of_a_new_context},
    {"fp.get_set", "The embedder reads what the guest loaded, and the guest finds what the embedder set",
     embedder_reads_and_writes},
    {"fp.set_first", "State set before the first switch is there; starting again clears it", set_before_first_switch},
    {"fp.refused", "Wrong lengths and states that the processor refuses are -EINVAL and change nothing",
     bad_states_are_refused},
    {"fp.one_thread",
     "TG_CONTEXT_ONE_THREAD: on ptrace other threads get -EBUSY until the state is read or the flag cleared",
     one_thread_rule},
    {"fp.one_thread_ends", "When the one thread ends the state is not lost", one_thread_ends},
    {0},
};
