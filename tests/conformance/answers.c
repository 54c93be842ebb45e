/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Calls that need not become events: tg_subprocess_answer() and tg_context_set_word(). */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "answers.h"
#include "arch.h"
#include "cases.h"
#include "guest.h"
#include "queue_drive.h"
#include "scale.h"
#include "threads.h"

#define WARM_CALLS 64
#define ASKED      1000
#define CROWD_MOST 64

static bool can_answer(const struct guest *guest)
{
    return platform_info(guest->platform).capabilities & TG_CAP_ANSWERS;
}

/* Runs until the guest tells something, and answers what it asks before. How often that was an event. */
static unsigned int run_to_tell(struct guest *guest, tg_context *context, tg_subprocess *subprocess, uint64_t answer)
{
    unsigned int events = 0;

    for (;;) {
        run_context(context, subprocess, &guest->event);
        CHECK_KIND(&guest->event, TG_EVENT_SYSCALL);
        if (guest->event.u.syscall.nr != ASKED_CALL)
            break;
        events++;
        CHECK_OK(tg_context_set_return(context, (int64_t)answer));
    }
    CHECK_CALL(&guest->event, GUEST_CALL);
    return events;
}

/* The next answer is this one, and the library gave it if it can. */
static void check_told_in(struct guest *guest, tg_context *context, tg_subprocess *subprocess, uint64_t answer)
{
    const unsigned int events = run_to_tell(guest, context, subprocess, answer);

    CHECK_EQ(guest->event.u.syscall.args[0], answer);
    CHECK_EQ(events, can_answer(guest) ? 0 : 1);
}

static void check_told(struct guest *guest, uint64_t answer)
{
    check_told_in(guest, guest->context, guest->subprocess, answer);
}

static void warm_up(struct guest *guest, uint64_t answer)
{
    for (int i = 0; i < WARM_CALLS; i++) {
        run_to_tell(guest, guest->context, guest->subprocess, answer);
        CHECK_EQ(guest->event.u.syscall.args[0], answer);
    }
}

static void asking_open(struct guest *guest, uint32_t backend, struct guest_code code)
{
    guest_open(guest, backend, code);
    if (platform_info(guest->platform).capabilities & TG_CAP_PATCHING)
        CHECK(can_answer(guest));
}

/* ---- what is answered ---- */

static void off_at_first(uint32_t backend)
{
    struct guest guest;

    asking_open(&guest, backend, GUEST_CODE(ask_and_tell));
    for (uint64_t i = 0; i < WARM_CALLS; i++) {
        CHECK_EQ(run_to_tell(&guest, guest.context, guest.subprocess, i), 1);
        CHECK_EQ(guest.event.u.syscall.args[0], i);
    }
    CHECK_EQ(platform_stats(guest.platform).answered_calls, 0);
    guest_close(&guest);
}

static void values(uint32_t backend)
{
    static const uint64_t values[] = {1, 0, UINT64_MAX, (uint64_t)-EPERM, (uint64_t)-512, 0x123456789abcdef0};
    struct guest guest;
    tg_stats before;
    tg_stats after;

    asking_open(&guest, backend, GUEST_CODE(ask_and_tell));
    CHECK_OK(tg_subprocess_answer(guest.subprocess, ASKED_CALL, TG_ANSWER_VALUE, 7));
    warm_up(&guest, 7);
    before = platform_stats(guest.platform);
    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        CHECK_OK(tg_subprocess_answer(guest.subprocess, ASKED_CALL, TG_ANSWER_VALUE, values[i]));
        check_told(&guest, values[i]);
    }
    after = platform_stats(guest.platform);
    CHECK_EQ(after.answered_calls - before.answered_calls, can_answer(&guest) ? ARRAY_SIZE(values) : 0);
    CHECK_EQ(after.syscalls - before.syscalls, ARRAY_SIZE(values) * (can_answer(&guest) ? 1 : 2));
    guest_close(&guest);
}

static void back_to_events(uint32_t backend)
{
    struct guest guest;

    asking_open(&guest, backend, GUEST_CODE(ask_and_tell));
    CHECK_OK(tg_subprocess_answer(guest.subprocess, ASKED_CALL, TG_ANSWER_VALUE, 7));
    warm_up(&guest, 7);
    for (uint64_t i = 0; i < 10; i++) {
        CHECK_OK(tg_subprocess_answer(guest.subprocess, ASKED_CALL, TG_ANSWER_NONE, 0));
        CHECK_EQ(run_to_tell(&guest, guest.context, guest.subprocess, i), 1);
        CHECK_EQ(guest.event.u.syscall.args[0], i);
        CHECK_OK(tg_subprocess_answer(guest.subprocess, ASKED_CALL, TG_ANSWER_VALUE, 100 + i));
        check_told(&guest, 100 + i);
    }
    guest_close(&guest);
}

/* The guest tells by another call than the one that is answered. */
static void others_are_events(uint32_t backend)
{
    struct guest guest;

    asking_open(&guest, backend, GUEST_CODE(ask_and_tell));
    for (uint32_t nr = 0; nr < TG_ANSWER_CALLS; nr++)
        if (nr != GUEST_CALL)
            CHECK_OK(tg_subprocess_answer(guest.subprocess, nr, TG_ANSWER_VALUE, nr));
    warm_up(&guest, ASKED_CALL);
    check_told(&guest, ASKED_CALL);
    guest_close(&guest);
}

/* ---- words of contexts ---- */

static void words(uint32_t backend)
{
    tg_context *other;
    struct guest guest;

    asking_open(&guest, backend, GUEST_CODE(ask_and_tell));
    other = create_started_context(guest.platform);
    CHECK_OK(tg_subprocess_answer(guest.subprocess, ASKED_CALL, TG_ANSWER_CONTEXT_WORD, 3));
    warm_up(&guest, 0);
    CHECK_OK(tg_context_set_word(other, 3, 5));
    check_told_in(&guest, other, guest.subprocess, 5);
    check_told(&guest, 0);
    CHECK_OK(tg_context_set_word(guest.context, 3, 4));
    CHECK_OK(tg_context_set_word(guest.context, 2, 9));
    check_told(&guest, 4);
    check_told_in(&guest, other, guest.subprocess, 5);
    CHECK_OK(tg_subprocess_answer(guest.subprocess, ASKED_CALL, TG_ANSWER_CONTEXT_WORD, 2));
    check_told(&guest, 9);
    check_told_in(&guest, other, guest.subprocess, 0);
    /* A new start and a copy change nothing of it. */
    CHECK_OK(tg_context_copy(other, guest.context));
    check_told_in(&guest, other, guest.subprocess, 0);
    guest_restart(&guest);
    check_told(&guest, 9);
    tg_context_destroy(other);
    guest_close(&guest);
}

/* In each subprocess it has its own words, whoever had the place before. */
static void words_move_along(uint32_t backend)
{
    enum { PLACES = 3 };
    tg_subprocess *places[PLACES];
    tg_context *fresh;
    struct guest guest;

    asking_open(&guest, backend, GUEST_CODE(ask_and_tell));
    CHECK_OK(tg_subprocess_answer(guest.subprocess, ASKED_CALL, TG_ANSWER_CONTEXT_WORD, 0));
    warm_up(&guest, 0);
    CHECK_OK(tg_context_set_word(guest.context, 0, 11));
    for (int i = 0; i < PLACES; i++)
        CHECK_OK(tg_subprocess_fork(guest.subprocess, &places[i]));
    for (int i = 0; i < 3 * PLACES; i++) {
        check_told_in(&guest, guest.context, places[i % PLACES], 11);
        fresh = create_started_context(guest.platform);
        check_told_in(&guest, fresh, places[(i + 1) % PLACES], 0);
        CHECK_OK(tg_context_set_word(fresh, 0, 12));
        check_told_in(&guest, fresh, places[(i + 2) % PLACES], 12);
        tg_context_destroy(fresh);
    }
    for (int i = 0; i < PLACES; i++)
        tg_subprocess_destroy(places[i]);
    guest_close(&guest);
}

/* ---- while the guest runs ---- */

/* A guest that asks all the time, and a thread that runs it until it is interrupted. */
struct asker {
    struct guest guest;
    _Atomic uint64_t answer; /* where the library does not give it */
    tg_event event;
};

static void *run_asker(void *argument)
{
    struct asker *asker = argument;

    for (;;) {
        run_context(asker->guest.context, asker->guest.subprocess, &asker->event);
        if (asker->event.kind != TG_EVENT_SYSCALL)
            return NULL;
        CHECK_EQ(asker->event.u.syscall.nr, ASKED_CALL);
        CHECK_OK(tg_context_set_return(asker->guest.context, (int64_t)atomic_load(&asker->answer)));
    }
}

static void asker_open(struct asker *asker, uint32_t backend, struct guest_code code)
{
    *asker = (struct asker){0};
    asking_open(&asker->guest, backend, code);
    arch_set_argument(asker->guest.context, 0, GUEST_DATA_AT);
}

static void end_asking(struct asker *asker, pthread_t thread)
{
    CHECK_OK(tg_context_interrupt(asker->guest.context));
    join_thread(thread);
    CHECK_KIND(&asker->event, TG_EVENT_INTERRUPTED);
}

static void wait_for_answer(const struct asker *asker, uint64_t answer)
{
    while (guest_load(asker->guest.subprocess, GUEST_DATA_AT + sizeof(uint64_t)) != answer)
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
}

static void changed_while_it_runs(uint32_t backend)
{
    struct asker asker;
    pthread_t thread;

    asker_open(&asker, backend, GUEST_CODE(ask_counting));
    CHECK_OK(tg_subprocess_answer(asker.guest.subprocess, ASKED_CALL, TG_ANSWER_VALUE, 0));
    thread = start_thread(run_asker, &asker);
    guest_wait_change(asker.guest.subprocess, GUEST_DATA_AT, 0);
    for (uint64_t i = 1; i <= 20; i++) {
        atomic_store(&asker.answer, i);
        if (i % 2) {
            CHECK_OK(tg_context_set_word(asker.guest.context, 1, i));
            CHECK_OK(tg_subprocess_answer(asker.guest.subprocess, ASKED_CALL, TG_ANSWER_CONTEXT_WORD, 1));
        } else {
            CHECK_OK(tg_subprocess_answer(asker.guest.subprocess, ASKED_CALL, TG_ANSWER_VALUE, i));
        }
        wait_for_answer(&asker, i);
        atomic_store(&asker.answer, 100 + i);
        if (i % 2)
            CHECK_OK(tg_context_set_word(asker.guest.context, 1, 100 + i));
        else
            CHECK_OK(tg_subprocess_answer(asker.guest.subprocess, ASKED_CALL, TG_ANSWER_VALUE, 100 + i));
        wait_for_answer(&asker, 100 + i);
    }
    end_asking(&asker, thread);
    guest_close(&asker.guest);
}

/* Wherever it is met, it goes on with the right answer: the guest looks at each. */
static void interrupts_reach_it(uint32_t backend)
{
    const uint64_t answer = 0x1234567812345678;
    const uint64_t rounds = scaled(200);
    struct asker asker;

    asker_open(&asker, backend, GUEST_CODE(ask_checked));
    CHECK_OK(tg_subprocess_answer(asker.guest.subprocess, ASKED_CALL, TG_ANSWER_VALUE, answer));
    atomic_store(&asker.answer, answer);
    for (uint64_t i = 0; i < rounds; i++) {
        pthread_t thread = start_thread(run_asker, &asker);

        if (i % 2)
            nanosleep(&(struct timespec){.tv_nsec = (long)(1000 * i)}, NULL);
        end_asking(&asker, thread);
        CHECK(arch_ip(asker.guest.context) - GUEST_CODE_AT < 64);
    }
    CHECK_EQ(platform_stats(asker.guest.platform).interrupts, rounds);
    guest_close(&asker.guest);
}

static void killed_while_it_asks(uint32_t backend)
{
    struct asker asker;
    pthread_t thread;

    asker_open(&asker, backend, GUEST_CODE(ask_counting));
    CHECK_OK(tg_subprocess_answer(asker.guest.subprocess, ASKED_CALL, TG_ANSWER_VALUE, 0));
    thread = start_thread(run_asker, &asker);
    guest_wait_change(asker.guest.subprocess, GUEST_DATA_AT, 0);
    CHECK_SYSTEM(kill(tg_subprocess_pid(asker.guest.subprocess), SIGKILL));
    join_thread(thread);
    CHECK_DEAD(&asker.event, TG_DEAD_KILLED, SIGKILL);
    CHECK_OK(tg_subprocess_answer(asker.guest.subprocess, ASKED_CALL, TG_ANSWER_VALUE, 1));
    CHECK_OK(tg_context_set_word(asker.guest.context, 0, 1));
    guest_close(&asker.guest);
}

static void destroyed_while_it_asks(uint32_t backend)
{
    struct asker asker;
    pthread_t thread;

    asker_open(&asker, backend, GUEST_CODE(ask_counting));
    CHECK_OK(tg_subprocess_answer(asker.guest.subprocess, ASKED_CALL, TG_ANSWER_VALUE, 0));
    thread = start_thread(run_asker, &asker);
    guest_wait_change(asker.guest.subprocess, GUEST_DATA_AT, 0);
    tg_subprocess_destroy(asker.guest.subprocess);
    join_thread(thread);
    CHECK_DEAD(&asker.event, TG_DEAD_DESTROYED, 0);
    tg_context_destroy(asker.guest.context);
    tg_platform_close(asker.guest.platform);
}

/* More of them than there can be workers, and one that makes other calls: it gets its turns. */
static void they_give_way(uint32_t backend)
{
    const size_t crowd = (size_t)sysconf(_SC_NPROCESSORS_ONLN) + 2;
    tg_context *contexts[CROWD_MOST];
    tg_context *caller;
    tg_queue *queue;
    struct guest guest;
    tg_event event;

    if (crowd > CROWD_MOST)
        SKIP("too many processors to occupy them all");
    asking_open(&guest, backend, GUEST_CODE(ask_counting));
    load_code(guest.subprocess, GUEST_CODE_AT + GUEST_CODE_SIZE, GUEST_CODE(call_loop));
    queue = create_queue(guest.platform);
    CHECK_OK(tg_subprocess_answer(guest.subprocess, ASKED_CALL, TG_ANSWER_VALUE, 1));
    for (size_t i = 0; i < crowd; i++) {
        contexts[i] = create_started_context(guest.platform);
        arch_set_argument(contexts[i], 0, GUEST_DATA_AT + 16 * i);
        CHECK_OK(tg_queue_submit(queue, contexts[i], guest.subprocess));
    }
    caller = create_context(guest.platform);
    CHECK_OK(tg_context_start(caller, GUEST_CODE_AT + GUEST_CODE_SIZE, GUEST_STACK_TOP));
    CHECK_OK(tg_queue_submit(queue, caller, guest.subprocess));
    for (int calls = 0; calls < 20;) {
        if (!wait_events(queue, &event, 1, -1))
            continue;
        CHECK_KIND(&event, TG_EVENT_SYSCALL);
        calls += event.context == caller;
        CHECK_OK(tg_context_set_return(event.context, 1));
        CHECK_OK(tg_queue_submit(queue, event.context, guest.subprocess));
    }
    tg_queue_destroy(queue);
    for (size_t i = 0; i < crowd; i++)
        tg_context_destroy(contexts[i]);
    tg_context_destroy(caller);
    guest_close(&guest);
}

/* ---- what the guest must not notice ---- */

static void registers_stay(uint32_t backend)
{
    uint64_t before[ARCH_MAX_WORDS];
    uint64_t after[ARCH_MAX_WORDS];
    struct guest guest;

    asking_open(&guest, backend, GUEST_CODE(ask_then_tell));
    CHECK_OK(tg_subprocess_answer(guest.subprocess, ASKED_CALL, TG_ANSWER_VALUE, 1));
    for (uint64_t i = 0; i < WARM_CALLS; i++)
        run_to_tell(&guest, guest.context, guest.subprocess, 1);
    for (uint64_t i = 0; i < 20; i++) {
        unsigned int count;

        arch_fill_registers(guest.context, i);
        arch_set_call_number(guest.context, GUEST_CALL);
        count = arch_register_words(guest.context, true, before);
        CHECK_EQ(run_to_tell(&guest, guest.context, guest.subprocess, 1), can_answer(&guest) ? 0 : 1);
        CHECK_EQ(arch_register_words(guest.context, true, after), count);
        CHECK_BYTES(after, before, count * sizeof(before[0]));
    }
    guest_close(&guest);
}

/* Each instruction traps, and what is stepped into is a call that the embedder hears of. */
static void steps_are_events(uint32_t backend)
{
    unsigned int asked = 0;
    struct guest guest;

    asking_open(&guest, backend, GUEST_CODE(ask_and_tell));
    CHECK_OK(tg_subprocess_answer(guest.subprocess, ASKED_CALL, TG_ANSWER_VALUE, 7));
    warm_up(&guest, 7);
    for (int told = 0; told < 2;) {
        arch_set_step(guest.context, true);
        guest_run(&guest);
        if (guest.event.kind == TG_EVENT_SYSCALL && guest.event.u.syscall.nr == ASKED_CALL) {
            asked++;
            CHECK_OK(tg_context_set_return(guest.context, 8));
        } else if (guest.event.kind == TG_EVENT_SYSCALL) {
            CHECK_CALL(&guest.event, GUEST_CALL);
            CHECK_EQ(guest.event.u.syscall.args[0], 8);
            told++;
        } else {
            CHECK_EXCEPTION(&guest.event, SIGTRAP, TRAP_TRACE);
        }
    }
    CHECK_EQ(asked, 2);
    guest_close(&guest);
}

static void latency_changes_nothing(uint32_t backend)
{
    struct guest guest;

    guest_open_flags(&guest, backend, TG_OPEN_LATENCY, GUEST_CODE(ask_and_tell));
    CHECK_OK(tg_subprocess_answer(guest.subprocess, ASKED_CALL, TG_ANSWER_VALUE, 7));
    warm_up(&guest, 7);
    for (int i = 0; i < 10; i++)
        check_told(&guest, 7);
    guest_close(&guest);
}

/* ---- others ---- */

static void copies_have_them(uint32_t backend)
{
    tg_subprocess *copy = NULL;
    tg_subprocess *copy_of_copy = NULL;
    struct guest guest;

    asking_open(&guest, backend, GUEST_CODE(ask_and_tell));
    CHECK_OK(tg_subprocess_answer(guest.subprocess, ASKED_CALL, TG_ANSWER_VALUE, 7));
    warm_up(&guest, 7);
    CHECK_OK(tg_subprocess_fork(guest.subprocess, &copy));
    CHECK_OK(tg_subprocess_answer(guest.subprocess, ASKED_CALL, TG_ANSWER_VALUE, 8));
    check_told_in(&guest, guest.context, copy, 7);
    check_told(&guest, 8);
    CHECK_OK(tg_subprocess_answer(copy, ASKED_CALL, TG_ANSWER_VALUE, 9));
    CHECK_OK(tg_subprocess_fork(copy, &copy_of_copy));
    tg_subprocess_destroy(copy);
    check_told_in(&guest, guest.context, copy_of_copy, 9);
    check_told(&guest, 8);
    tg_subprocess_destroy(copy_of_copy);
    guest_close(&guest);
}

static void counted(uint32_t backend)
{
    const uint64_t asked = scaled(ASKED);
    tg_stats before;
    tg_stats after;
    struct guest guest;

    asking_open(&guest, backend, GUEST_CODE(ask_times));
    CHECK_OK(tg_subprocess_answer(guest.subprocess, ASKED_CALL, TG_ANSWER_VALUE, 1));
    arch_set_argument(guest.context, 0, WARM_CALLS);
    run_to_tell(&guest, guest.context, guest.subprocess, 1);
    before = platform_stats(guest.platform);
    arch_set_argument(guest.context, 0, asked);
    CHECK_EQ(run_to_tell(&guest, guest.context, guest.subprocess, 1), can_answer(&guest) ? 0 : asked);
    after = platform_stats(guest.platform);
    CHECK_EQ(after.answered_calls - before.answered_calls, can_answer(&guest) ? asked : 0);
    /* Those of a subprocess that is gone count on. */
    tg_subprocess_destroy(guest.subprocess);
    CHECK_EQ(platform_stats(guest.platform).answered_calls, after.answered_calls);
    tg_context_destroy(guest.context);
    tg_platform_close(guest.platform);
}

/* A process that was forked from the opener's has the same memory, and must not reach its parent's guests by it. */
static void not_from_a_fork(uint32_t backend)
{
    struct guest guest;
    pid_t child;
    int status;

    asking_open(&guest, backend, GUEST_CODE(ask_and_tell));
    CHECK_OK(tg_subprocess_answer(guest.subprocess, ASKED_CALL, TG_ANSWER_VALUE, 7));
    CHECK_OK(tg_context_set_word(guest.context, 0, 7));
    warm_up(&guest, 7);
    child = CHECK_SYSTEM(fork());
    if (child == 0)
        _exit(tg_subprocess_answer(guest.subprocess, ASKED_CALL, TG_ANSWER_VALUE, 8) != -EPERM ||
              tg_context_set_word(guest.context, 0, 8) != -EPERM);
    CHECK_EQ(CHECK_SYSTEM(waitpid(child, &status, 0)), child);
    CHECK_EQ(status, 0);
    check_told(&guest, 7);
    guest_close(&guest);
}

const struct test_case answer_cases[] = {
    {"answer.off", "Each call is an event until the embedder says otherwise", off_at_first},
    {"answer.value", "A call with a known result makes no event once it is patched, and the result is the newest one",
     values},
    {"answer.back", "It becomes an event again, and none again, as the embedder says", back_to_events},
    {"answer.others", "Calls of other numbers stay events", others_are_events},
    {"answer.word", "A word of the context: each is answered with its own", words},
    {"answer.word_moves", "Words go with the context, and nobody is answered with who was there before",
     words_move_along},
    {"answer.while_running", "Answers and words change while the guest asks", changed_while_it_runs},
    {"answer.interrupt", "A guest that does nothing but ask is interrupted anywhere, and goes on with the right answer",
     interrupts_reach_it},
    {"answer.killed", "A guest that does nothing but ask is killed", killed_while_it_asks},
    {"answer.destroyed", "Its subprocess is destroyed beside it", destroyed_while_it_asks},
    {"answer.give_way", "Guests that do nothing but ask give way to others, as those that compute", they_give_way},
    {"answer.registers", "An answered call changes no register but those that a call changes", registers_stay},
    {"answer.step", "Calls that are stepped into are events", steps_are_events},
    {"answer.latency", "Measuring latencies makes no events of them", latency_changes_nothing},
    {"answer.fork", "Copies of a subprocess begin with the same answers", copies_have_them},
    {"answer.counted", "They are counted, also those of subprocesses that are gone", counted},
    {"answer.own_fork", "A process that was forked from the embedder cannot change them", not_from_a_fork},
    {0},
};
