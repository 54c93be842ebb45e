/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A worker: a stub thread that runs guests. It is in guest code, or in its
 * signal handler, or in a patched call, on stacks that the guest can write;
 * nothing here is trusted by anybody. The library validates what it takes from
 * a slot, and the worker's seccomp filter leaves this code only futex(2) and
 * the return from the handler.
 *
 * In the handler the FP state of the context that the worker holds is in the
 * signal frame, in a patched call it is in the processor.
 */
#include <stdbool.h>

#include "systrap_run_ring.h"
#include "systrap_spin.h"
#include "systrap_stub.h"

#define FUTEX_WAIT  0
#define FUTEX_WAKE  1
#define EVERYBODY   0x7fffffff
#define QUICK_LOOKS 64 /* at a state: about a microsecond */
#define RING_LOOKS  4  /* as many for each look at the rings */
#define SIGTRAP     5
#define SIGBUS      7
#define SIGSEGV     11
#define SIGCHLD     17
#define SIGSYS      31

#define LOAD(field)         __atomic_load_n(&(field), __ATOMIC_ACQUIRE)
/* After a store that the library looks at: one of the two sees the other's (docs/memory-order.md). */
#define LOOK(field)         __atomic_load_n(&(field), __ATOMIC_SEQ_CST)
#define STORE(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELEASE)
#define SWAP(field, value)  __atomic_exchange_n(&(field), (value), __ATOMIC_SEQ_CST)
#define ADD(field, value)   __atomic_fetch_add(&(field), (value), __ATOMIC_SEQ_CST)

struct stub {
    uint8_t *region;
    const struct systrap_config *config;
    struct systrap_control *control;
    struct systrap_worker *worker;
    struct stub_sigframe *frame; /* NULL: in a patched call */
};

/* Hidden, so that their addresses are computed from the instruction pointer. */
#pragma GCC visibility push(hidden)
extern const uint8_t tg_systrap_begin[];
extern const uint8_t tg_systrap_slow[];
extern const uint8_t tg_systrap_exit_end[];

void tg_systrap_exit(struct systrap_slot *slot);
uint64_t tg_systrap_copy(void *to, const void *from, uint64_t length);
void tg_systrap_patched_call(struct systrap_slot *slot);

void tg_systrap_handler(int signo, struct stub_siginfo *info, struct stub_sigframe *frame);
#pragma GCC visibility pop

static bool change(uint32_t *word, uint32_t from, uint32_t to)
{
    return __atomic_compare_exchange_n(word, &from, to, false, __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE);
}

/* Where things are follows from where the stack is. */
static struct stub locate(uint64_t here)
{
    struct stub stub = {.frame = NULL};

    stub.region = (uint8_t *)(here & ~(uint64_t)(SYSTRAP_REGION_SIZE - 1));
    stub.config = (const struct systrap_config *)(stub.region + SYSTRAP_CONFIG);
    stub.control = (struct systrap_control *)(stub.region + SYSTRAP_CONTROL);
    stub.worker = (struct systrap_worker *)((here | (SYSTRAP_WORKER_SIZE - 1)) + 1 - WORKER_STRUCT_SIZE);
    return stub;
}

static struct systrap_slot *slot_at(const struct stub *stub, uint32_t number)
{
    return (struct systrap_slot *)(stub->region + SYSTRAP_SLOTS + number * stub->config->slot_size);
}

/* In this worker's own memory. */
static uint8_t *place_of(const struct stub *stub, uint32_t offset)
{
    return (uint8_t *)stub->worker + WORKER_STRUCT_SIZE - SYSTRAP_WORKER_SIZE + offset;
}

static uint8_t *slot_fp(const struct stub *stub, struct systrap_slot *slot)
{
    return (uint8_t *)slot + stub->config->fp_offset;
}

/* ---- rings ---- */

static uint32_t *done_entry(struct systrap_control *control, unsigned int ring, uint32_t position)
{
    return ring == 0 ? &control->done_small[position % RING_SMALL] : &control->done_large[position % RING_LARGE];
}

static bool work_waits(const struct stub *stub)
{
    for (unsigned int ring = 0; ring < RINGS; ring++) {
        if (run_ring_waits(stub->control, ring))
            return true;
    }
    return false;
}

static struct systrap_slot *take_from_ring(const struct stub *stub, unsigned int ring)
{
    for (;;) {
        uint32_t number = run_ring_take(stub->control, ring);

        if (!number)
            return NULL;
        if (change(&slot_at(stub, number - 1)->state, SLOT_READY, SLOT_RUNNING))
            return slot_at(stub, number - 1);
    }
}

static struct systrap_slot *take_work(const struct stub *stub)
{
    struct systrap_slot *slot = NULL;

    for (unsigned int ring = 0; ring < RINGS && !slot; ring++)
        slot = take_from_ring(stub, ring);
    return slot;
}

static void push_done(const struct stub *stub, const struct systrap_slot *slot)
{
    struct systrap_control *control = stub->control;
    struct systrap_worker *worker = stub->worker;
    uint32_t number = slot->number;
    unsigned int ring = number < RING_SMALL ? 0 : 1;
    uint32_t position = ADD(control->done[ring].tail, 1);

    /* Pairs with sleep_until() of core/systrap/systrap_queue_wait.c. */
    SWAP(*done_entry(control, ring, position), number + 1);
    if (LOOK(control->sleepers)) {
        ADD(control->doorbell, 1);
        arch_futex(&control->doorbell, FUTEX_WAKE, EVERYBODY);
    }
    worker->shares_queue = position != worker->next_done[ring];
    worker->next_done[ring] = position + 1;
}

/* ---- events ---- */

/* Without an exchange: the processor would stop for that until the line is here, and each patched call with it. */
static void publish(const struct stub *stub, struct systrap_slot *slot, enum systrap_state state)
{
    bool queued = slot->queued;

    stub->worker->shares_queue = 0;
    STORE(slot->state, state);
    if (queued)
        push_done(stub, slot);
}

/*
 * Follows publish() before this thread does anything that takes long. A thread
 * of the library says how it waits and then looks at the state once more: one
 * of the two sees what the other has written. Pairs with systrap_sleep_until_arrived(),
 * and with lone_context_sleep().
 */
static void wake_waiter(const struct stub *stub, struct systrap_slot *slot)
{
    uint8_t waits;

    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    waits = LOOK(slot->waiting);
    if (waits == WAITS_ON_RING)
        push_done(stub, slot);
    else if (waits != WAITS_LOOKING)
        arch_futex(&slot->state, FUTEX_WAKE, EVERYBODY);
}

static void save_fp(const struct stub *stub, struct systrap_slot *slot)
{
    if (stub->frame)
        arch_save_fp(slot_fp(stub, slot), stub->config->fp_size, stub->frame);
    else
        arch_save_live_fp(slot_fp(stub, slot), stub->config->fp_features);
}

/* Nothing of the slot's context stays in this thread. */
static void forget(const struct stub *stub, struct systrap_slot *slot)
{
    save_fp(stub, slot);
    stub->worker->running = 0;
}

static bool give_up_held(const struct stub *stub, struct systrap_slot *slot)
{
    save_fp(stub, slot);
    if (!change(&slot->state, SLOT_HELD, SLOT_EVENT))
        return false;
    stub->worker->running = 0;
    return true;
}

/* The library wants the FP state, or the context elsewhere. */
static void drop_held(const struct stub *stub, struct systrap_slot *slot)
{
    forget(stub, slot);
    /* Pairs with wait_for_drop(). */
    SWAP(slot->state, SLOT_EVENT);
    arch_futex(&slot->state, FUTEX_WAKE, EVERYBODY);
}

/* ---- copies for the library ---- */

#define STRING_PART 64 /* no part reaches into another page */

/* Up to the 0 byte, or max bytes. How many are left then. */
static uint64_t copy_string(uint8_t *to, const uint8_t *from, uint64_t max)
{
    for (uint64_t done = 0; done < max;) {
        const uint64_t in_part = STRING_PART - ((uint64_t)(from + done) & (STRING_PART - 1));
        const uint64_t end = max - done < in_part ? max : done + in_part;

        if (tg_systrap_copy(to + done, from + done, end - done))
            return max - done;
        while (done < end) {
            if (!to[done++])
                return max - done;
        }
    }
    return 0;
}

/* True: all of it, of a string its 0 byte too. */
static bool copy_piece(struct systrap_piece *piece, uint64_t length)
{
    void *guest = (void *)piece->addr;
    uint64_t left;

    if (piece->kind == COPY_WRITE)
        left = tg_systrap_copy(guest, piece->bytes, length);
    else if (piece->kind == COPY_STRING)
        left = copy_string(piece->bytes, guest, length);
    else
        left = tg_systrap_copy(piece->bytes, guest, length);
    /* Without a store the line need not come over: the library expects nothing else of what goes with an answer. */
    if (piece->left != left)
        piece->left = (uint16_t)left;
    return piece->kind == COPY_STRING ? left < length && !piece->bytes[length - left - 1] : !left;
}

/* True: all of them. In the signal handler faults are blocked: the host would end the process. There nothing is copied.
 */
static bool copy_pieces(const struct stub *stub)
{
    struct systrap_piece *piece = (struct systrap_piece *)place_of(stub, WORKER_COPY);

    if (stub->frame)
        return false;
    for (;;) {
        const uint64_t length = piece->length;
        const bool more = piece->more;

        if (!copy_piece(piece, length))
            return false;
        if (!more)
            return true;
        piece = systrap_piece_behind(piece, length);
    }
}

/* The library may have taken it back. Pairs with ask() of core/systrap/worker_copy.c. */
static void copy_for_library(const struct stub *stub, struct systrap_slot *held)
{
    if (!change(&held->state, SLOT_COPY, SLOT_COPYING))
        return;
    copy_pieces(stub);
    STORE(held->state, SLOT_HELD);
}

/* The context has left guest code. It stays with this worker unless others wait for one. */
static struct systrap_slot *leave(const struct stub *stub, struct systrap_slot *slot, uint32_t signo)
{
    slot->signal = (uint8_t)signo;
    if (work_waits(stub)) {
        forget(stub, slot);
        publish(stub, slot, SLOT_EVENT);
        wake_waiter(stub, slot);
        return NULL;
    }
    slot->fp_at = stub->frame ? (uint32_t)(arch_frame_fp(stub->frame) - stub->region) : 0;
    publish(stub, slot, SLOT_HELD);
    return slot;
}

/* ---- bytes with the answer ---- */

/*
 * True: the context goes on, and its slot stays ATTACHED: to change that would take the line from the library, which
 * looks at it, and give it back. Else the slot says so, the library is to find out why, and *held is what is left of
 * it.
 */
static bool go_on_with_attached(const struct stub *stub, struct systrap_slot **held)
{
    if (copy_pieces(stub))
        return true;
    *held = leave(stub, *held, ANSWER_UNWRITTEN);
    if (*held)
        wake_waiter(stub, *held);
    return false;
}

/* ---- looking for work ---- */

static bool still_ours(uint32_t state)
{
    return state == SLOT_HELD || state == SLOT_ASLEEP || state == SLOT_RESUMED || state == SLOT_RUNNING ||
           state == SLOT_DROP || state == SLOT_COPY || state == SLOT_ATTACHED;
}

/* Nothing of a guest's is in this thread, and the library wants none of it to stay. Pairs with workers_end(). */
static bool is_to_end(const struct stub *stub, const struct systrap_slot *held)
{
    return !held && LOOK(stub->config->leave);
}

static bool something_to_do(const struct stub *stub, const struct systrap_slot *held)
{
    uint32_t state = held ? LOOK(held->state) : SLOT_HELD;

    return is_to_end(stub, held) || state == SLOT_RUNNING || state == SLOT_RESUMED || state == SLOT_DROP ||
           state == SLOT_COPY || state == SLOT_ATTACHED || work_waits(stub);
}

/* The answer to a patched call is mostly there before a few pauses would be over. */
static void look_quickly(const struct stub *stub, const struct systrap_slot *held)
{
    if (!LOAD(stub->config->spin_pauses) || (held && LOAD(held->waiting)))
        return;
    for (int i = 0; i < QUICK_LOOKS; i++) {
        if (held && LOAD(held->state) != SLOT_HELD) {
            stub->worker->futile = 0;
            return;
        }
        if (i % RING_LOOKS == 0 && work_waits(stub))
            return;
        arch_between_looks();
    }
}

static bool spin_for(const struct stub *stub, const struct systrap_slot *held, uint32_t pauses)
{
    bool found = false;

    while (pauses-- && !found) {
        arch_pause();
        found = something_to_do(stub, held);
    }
    stub->worker->spins++;
    return found;
}

static bool spin(const struct stub *stub, const struct systrap_slot *held)
{
    const uint32_t pauses = LOAD(stub->config->spin_pauses);
    const uint32_t spinners = LOAD(stub->config->spinners);
    bool found;

    if (!pauses || !spinners)
        return false;
    /* A guest that changes the number slows itself down. */
    if (spin_is_futile(stub->worker->futile)) {
        stub->worker->futile++;
        return false;
    }
    found = ADD(stub->control->spinning, 1) < spinners && spin_for(stub, held, pauses);
    /* Pairs with workers_wake_one(): whoever saw it spin is seen by sleep_until_woken(), which comes next. */
    ADD(stub->control->spinning, (uint32_t)-1);
    stub->worker->futile = found ? 0 : stub->worker->futile + 1;
    return found;
}

/* It counts as asleep. Whoever wakes it wants it to run something: it does so before it rests. */
static void wait_for_wake(const struct stub *stub, uint32_t wake)
{
    struct systrap_worker *worker = stub->worker;

    worker->sleeps++;
    arch_futex(&worker->wake, FUTEX_WAIT, wake);
    worker->shares_queue = 0;
}

static void sleep_until_woken(const struct stub *stub, struct systrap_slot *held)
{
    struct systrap_worker *worker = stub->worker;
    uint32_t wake = LOAD(worker->wake);

    SWAP(worker->asleep, 1);
    if (!held || change(&held->state, SLOT_HELD, SLOT_ASLEEP)) {
        /* Whoever puts something into the ring now wakes one. Pairs with hand_over() and workers_wake_one(). */
        ADD(stub->control->awake, (uint32_t)-1);
        if (!something_to_do(stub, held))
            wait_for_wake(stub, wake);
        ADD(stub->control->awake, 1);
        if (held)
            change(&held->state, SLOT_ASLEEP, SLOT_HELD);
    }
    SWAP(worker->asleep, 0);
}

/*
 * The thread that waits on the queue is awake, more workers are than leave a
 * processor to it, and they do not compute but leave events. Before it sleeps
 * it wakes one again, if there is something to be run.
 */
static bool is_one_too_many(const struct stub *stub, uint32_t *awake)
{
    if (!stub->worker->shares_queue || LOOK(stub->control->sleepers))
        return false;
    *awake = LOAD(stub->control->awake);
    return *awake > stub->config->workers_usual;
}

/* Only as many rest as there are too many. Pairs with sleep_until() of a queue, which then looks for who is asleep. */
static void rest(const struct stub *stub)
{
    struct systrap_worker *worker = stub->worker;
    uint32_t wake = LOAD(worker->wake);
    uint32_t awake;

    SWAP(worker->asleep, 1);
    if (is_one_too_many(stub, &awake) && change(&stub->control->awake, awake, awake - 1)) {
        wait_for_wake(stub, wake);
        ADD(stub->control->awake, 1);
    }
    SWAP(worker->asleep, 0);
}

/* The slot to run next, in state RUNNING. The caller's own, if it is to go on, needs no FP state. */
static struct systrap_slot *next_slot(const struct stub *stub, struct systrap_slot *held)
{
    look_quickly(stub, held);
    if (held && LOAD(held->state) == SLOT_HELD)
        wake_waiter(stub, held);
    for (;;) {
        uint32_t state = held ? LOAD(held->state) : SLOT_FREE;
        struct systrap_slot *slot;
        uint32_t awake;

        if (state == SLOT_RUNNING || (state == SLOT_RESUMED && change(&held->state, SLOT_RESUMED, SLOT_RUNNING))) {
            return held;
        }
        if (state == SLOT_ATTACHED) {
            if (go_on_with_attached(stub, &held))
                return held;
        } else if (held && !still_ours(state)) {
            stub->worker->running = 0;
            held = NULL;
        } else if (state == SLOT_DROP) {
            drop_held(stub, held);
            held = NULL;
        } else if (state == SLOT_COPY) {
            copy_for_library(stub, held);
            look_quickly(stub, held);
        } else if (is_to_end(stub, held)) {
            arch_end_thread();
        } else if (is_one_too_many(stub, &awake)) {
            if (held && !give_up_held(stub, held))
                continue;
            held = NULL;
            rest(stub);
        } else if (work_waits(stub)) {
            if (held && !give_up_held(stub, held))
                continue;
            held = NULL;
            slot = take_work(stub);
            if (slot) {
                slot->first |= FIRST_LOAD_FP;
                return slot;
            }
        } else if (!spin(stub, held)) {
            sleep_until_woken(stub, held);
        }
    }
}

static void note_left(const struct stub *stub, struct systrap_slot *slot)
{
    if (stub->worker->rare & RARE_TIMED)
        slot->left_at = arch_ticks();
    stub->worker->rare &= ~(uint32_t)RARE_TIMED;
}

static struct systrap_slot *note_and_leave(const struct stub *stub, struct systrap_slot *slot, uint32_t signo)
{
    note_left(stub, slot);
    return leave(stub, slot, signo);
}

/* True: with the FP state that is in the slot. */
static bool attend_first(const struct stub *stub, struct systrap_slot *slot)
{
    uint32_t first = slot->first;

    if (__builtin_expect(first == 0, 1))
        return false;
    slot->first = 0;
    if (first & FIRST_TIME) {
        slot->taken_at = arch_ticks();
        stub->worker->rare |= RARE_TIMED;
    }
    return first & FIRST_LOAD_FP;
}

/* Inline: each patched call comes through here. */
static inline void make_current(const struct stub *stub, struct systrap_slot *slot)
{
    struct systrap_worker *worker = stub->worker;

    if (LOAD(slot->worker) != worker->index) {
        STORE(slot->worker, worker->index);
        /* Who kicks the context signals this thread, or this thread sees the kick where it looks next: kick(). */
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
    }
    slot->stack = (uint64_t)worker;
    slot->fp_at = 0;
    worker->slot = (uint64_t)slot;
    worker->running = slot->number + 1;
}

/* ---- in the signal handler ---- */

/* Makes the frame the slot's: returning from the handler runs its context. */
static void enter(const struct stub *stub, struct systrap_slot *slot)
{
    /* It may have been another context's. */
    stub->worker->rare &= ~(uint32_t)RARE_STEPPED;
    make_current(stub, slot);
    arch_restore(slot, stub->frame, stub->worker, LOAD(stub->control->hide) != 0);
    if (attend_first(stub, slot))
        arch_load_fp(slot_fp(stub, slot), stub->config->fp_size, stub->frame);
}

/* Until there is a context that is not interrupted before its first instruction. */
static void enter_next(const struct stub *stub, struct systrap_slot *held)
{
    for (;;) {
        struct systrap_slot *slot = next_slot(stub, held);

        enter(stub, slot);
        if (!SWAP(slot->kick, 0))
            return;
        held = note_and_leave(stub, slot, SIGCHLD);
    }
}

static bool is_at(const struct stub_sigframe *frame, const uint8_t *label)
{
    return arch_ip(frame) == (uint64_t)label;
}

/* A patched call has come upon a context that only a return from the handler can run. */
static void enter_from_patched_call(const struct stub *stub)
{
    struct systrap_slot *slot = slot_at(stub, stub->worker->entering - 1);

    stub->worker->entering = 0;
    enter(stub, slot);
    if (SWAP(slot->kick, 0))
        enter_next(stub, note_and_leave(stub, slot, SIGCHLD));
}

/* A signal in the middle of a patched call. True: nothing else is to be done. */
static bool in_patched_call(const struct stub *stub, struct systrap_slot *slot, int signo)
{
    uint64_t ip = arch_ip(stub->frame);

    if (signo == SIGTRAP) {
        stub->worker->rare |= RARE_STEPPED;
        arch_stop_stepping(stub->frame);
        return true;
    }
    if ((signo == SIGSEGV || signo == SIGBUS) && arch_end_copy(stub->frame))
        return true;
    if (signo != SIGCHLD)
        return false;
    /* On its way out: the slot has all that there is. Elsewhere the call looks for kicks itself. */
    if (ip >= (uint64_t)tg_systrap_exit && ip < (uint64_t)tg_systrap_exit_end && SWAP(slot->kick, 0))
        enter_next(stub, note_and_leave(stub, slot, SIGCHLD));
    return true;
}

static bool in_text(const struct stub *stub)
{
    return arch_ip(stub->frame) - (uint64_t)stub->region < SYSTRAP_TEXT_MAX;
}

void tg_systrap_handler(int signo, struct stub_siginfo *info, struct stub_sigframe *frame)
{
    struct stub stub = locate((uint64_t)frame);
    uint32_t running = stub.worker->running;
    struct systrap_slot *slot = running ? slot_at(&stub, running - 1) : NULL;

    stub.frame = frame;
    if (is_at(frame, tg_systrap_slow) && stub.worker->entering) {
        enter_from_patched_call(&stub);
        return;
    }
    if (!slot) {
        /* A new worker begins at one place; before that its filter may not be complete. */
        if (is_at(frame, tg_systrap_begin)) {
            arch_set_signal_mask(frame, stub.config->signal_mask);
            ADD(stub.control->awake, 1);
            enter_next(&stub, NULL);
        }
        return;
    }
    /* Sent by somebody, not raised by the processor; the kick is the library's and says so. */
    if (signo != SIGCHLD && info->code <= 0)
        return;
    if (in_text(&stub) && in_patched_call(&stub, slot, signo))
        return;
    if (signo == SIGCHLD && !SWAP(slot->kick, 0))
        return;
    arch_save(slot, info, frame, stub.worker);
    if (arch_is_declined_patch(frame)) {
        if (stub.worker->rare & RARE_STEPPED)
            arch_go_on_stepping(slot);
        arch_make_syscall(slot);
        signo = SIGSYS;
    }
    enter_next(&stub, note_and_leave(&stub, slot, (uint32_t)signo));
}

/* ---- bytes with the event ---- */

/* True: up to the 0 byte, or as many as there may be. */
static bool bring_string(uint8_t *to, const uint8_t *from, uint64_t max)
{
    const uint64_t left = copy_string(to, from, max);

    return !left || (left < max && !to[max - left - 1]);
}

/* True: all of it. Where that is how many bytes, the library knows. */
static bool bring_piece(const struct stub *stub, const struct systrap_slot *slot, const struct systrap_bring *piece)
{
    const uint8_t *from = (const uint8_t *)arch_patched_argument(slot, piece->arg);
    uint8_t *to = place_of(stub, WORKER_BROUGHT) + piece->at;
    uint64_t length = piece->max;

    if (piece->kind == BRING_STRING)
        return bring_string(to, from, length);
    if (piece->kind == BRING_COUNTED) {
        const uint64_t counted = arch_patched_argument(slot, piece->length_arg);

        length = counted < length ? counted : length;
    }
    return !tg_systrap_copy(to, from, length);
}

/* For slot.signal. Whatever is not brought, the library reads when it is asked for that. */
static uint32_t bring(const struct stub *stub, const struct systrap_slot *slot)
{
    const uint64_t number = arch_patched_number(slot);
    const struct systrap_bring *piece = (const struct systrap_bring *)(stub->region + SYSTRAP_BRINGS);
    uint32_t n = 0;

    /* Whoever waits takes the place where it would lie. */
    if (number >= BRING_NUMBERS || work_waits(stub))
        return 0;
    for (piece += number * BRING_PIECES; n < BRING_PIECES && piece->kind; n++, piece++) {
        if (!bring_piece(stub, slot, piece))
            return 0;
    }
    return n ? PATCHED_BROUGHT : 0;
}

/* ---- in a patched call ---- */

static void leave_through_handler(const struct stub *stub, const struct systrap_slot *slot)
{
    stub->worker->entering = slot->number + 1;
    arch_leave_by_handler();
}

static void attend_rare(const struct stub *stub, struct systrap_slot *slot)
{
    note_left(stub, slot);
    if (stub->worker->rare & RARE_STEPPED)
        arch_go_on_stepping(slot);
    stub->worker->rare = 0;
}

static struct systrap_slot *leave_patched(const struct stub *stub, struct systrap_slot *slot)
{
    uint32_t signo = PATCHED_CALL | (stub->worker->index & PATCHED_WORKER);

    if (__builtin_expect(stub->worker->rare != 0, 0))
        attend_rare(stub, slot);
    if (__builtin_expect(stub->config->brings != 0, 0))
        signo |= bring(stub, slot);
    return leave(stub, slot, signo);
}

static uint64_t word_of_context(const struct stub *stub, unsigned int index)
{
    const struct systrap_words *words = (const struct systrap_words *)(stub->region + SYSTRAP_WORDS);

    return LOAD(words[(stub->worker->running - 1) % RING_LARGE].words[index]);
}

/* As the embedder has said beforehand. False: it is to hear of the call, as of each that is stepped into. */
static bool answer(const struct stub *stub, struct systrap_slot *slot)
{
    const struct systrap_answers *answers = (const struct systrap_answers *)(stub->region + SYSTRAP_ANSWERS);
    const uint64_t number = arch_patched_number(slot);
    const uint8_t how = number < ANSWER_CALLS ? LOAD(answers->how[number]) : ANSWER_EVENT;

    if (how == ANSWER_EVENT || stub->worker->rare & RARE_STEPPED)
        return false;
    if (how == ANSWER_VALUE)
        arch_answer_patched(slot, LOAD(answers->values[number]));
    else
        arch_answer_patched(slot, word_of_context(stub, how - ANSWER_WORDS));
    stub->worker->answered++;
    return true;
}

/* Out to the guest, and back when there is a kick. */
static struct systrap_slot *run_until_kick(const struct stub *stub, struct systrap_slot *slot)
{
    tg_systrap_exit(slot);
    SWAP(slot->kick, 0);
    return note_and_leave(stub, slot, SIGCHLD);
}

void tg_systrap_patched_call(struct systrap_slot *slot)
{
    const struct stub stub = locate((uint64_t)__builtin_frame_address(0));
    uint64_t in_processor = arch_save_patched(slot, (uint64_t)stub.region + SYSTRAP_TRAMPOLINES);

    if (__builtin_expect(LOAD(stub.config->answers) != 0, 0) && answer(&stub, slot))
        slot = run_until_kick(&stub, slot);
    else
        slot = leave_patched(&stub, slot);
    for (;;) {
        slot = next_slot(&stub, slot);
        if (!arch_resumable(slot))
            leave_through_handler(&stub, slot);
        make_current(&stub, slot);
        if (attend_first(&stub, slot))
            arch_load_live_fp(slot_fp(&stub, slot), stub.config->fp_features);
        in_processor = arch_restore_patched(slot, in_processor);
        slot = run_until_kick(&stub, slot);
    }
}
