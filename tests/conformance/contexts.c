/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A context that nobody runs: usable whatever happens to the subprocess that it ran in, readable from many threads. */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "arch.h"
#include "cases.h"
#include "guest.h"
#include "guests.h"
#include "threads.h"

#define CALLS_BEFORE 20 /* so many that the call comes through a patched site, where there are any */

struct ending {
    tg_subprocess *subprocess;
    atomic_bool over;
};

static void *destroy(void *arg)
{
    struct ending *ending = arg;

    tg_subprocess_destroy(ending->subprocess);
    atomic_store(&ending->over, true);
    return NULL;
}

static void open_and_run(struct guest *guest, uint32_t backend)
{
    int i;

    guest_open(guest, backend, GUEST_CODE(counting_calls));
    for (i = 0; i < CALLS_BEFORE; i++)
        GUEST_RUN_TO_CALL(guest);
}

/* Its stub is stopped, so that its end takes long where somebody waits for it. */
static pthread_t destroy_stopped(struct ending *ending, tg_subprocess *subprocess)
{
    *ending = (struct ending){.subprocess = subprocess};
    CHECK_SYSTEM(kill(tg_subprocess_pid(subprocess), SIGSTOP));
    return start_thread(destroy, ending);
}

/* Everything but running it, again and again until the subprocess is gone, and once more. */
static void usable_meanwhile(uint32_t backend)
{
    struct guest guest;
    struct ending ending;
    pthread_t thread;
    uint64_t ip;
    bool over;

    open_and_run(&guest, backend);
    ip = guest.event.u.syscall.ip;
    thread = destroy_stopped(&ending, guest.subprocess);
    do {
        uint64_t tls = 1;

        over = atomic_load(&ending.over);
        CHECK_EQ(arch_ip(guest.context), ip);
        CHECK_EQ(arch_argument(guest.context, 0), CALLS_BEFORE);
        CHECK(tg_context_regs_mut(guest.context) != NULL);
        CHECK_OK(tg_context_get_tls(guest.context, &tls));
        CHECK_OK(tg_context_set_tls(guest.context, tls));
        CHECK_OK(tg_context_set_return(guest.context, CALLS_BEFORE)); /* argument 0 may be in that register */
        CHECK_OK(tg_context_set_user_data(guest.context, 5));
    } while (!over);
    join_thread(thread);
    guest.subprocess = create_loaded_subprocess(guest.platform, GUEST_CODE(counting_calls));
    GUEST_RUN_TO_CALL(&guest);
    CHECK_EQ(guest.event.u.syscall.args[0], CALLS_BEFORE + 1);
    guest_close(&guest);
}

static void moves_meanwhile(uint32_t backend)
{
    struct guest guest;
    struct ending ending;
    pthread_t thread;

    open_and_run(&guest, backend);
    thread = destroy_stopped(&ending, guest.subprocess);
    guest.subprocess = create_loaded_subprocess(guest.platform, GUEST_CODE(counting_calls));
    GUEST_RUN_TO_CALL(&guest);
    CHECK_EQ(guest.event.u.syscall.args[0], CALLS_BEFORE + 1);
    join_thread(thread);
    guest_close(&guest);
}

static void copied_meanwhile(uint32_t backend)
{
    struct guest guest;
    tg_context *copy;
    struct ending ending;
    pthread_t thread;
    bool over;

    open_and_run(&guest, backend);
    copy = create_context(guest.platform);
    thread = destroy_stopped(&ending, guest.subprocess);
    do {
        over = atomic_load(&ending.over);
        CHECK_OK(tg_context_copy(copy, guest.context));
    } while (!over);
    join_thread(thread);
    tg_context_destroy(guest.context);
    guest.context = copy;
    guest.subprocess = create_loaded_subprocess(guest.platform, GUEST_CODE(counting_calls));
    GUEST_RUN_TO_CALL(&guest);
    CHECK_EQ(guest.event.u.syscall.args[0], CALLS_BEFORE + 1);
    guest_close(&guest);
}

/* ---- several threads ---- */

struct reader {
    const tg_context *context;
    tg_context *copy;
    uint64_t ip;
    uint64_t argument;
};

static void *read_context(void *arg)
{
    struct reader *reader = arg;
    uint64_t tls;

    reader->ip = arch_ip(reader->context);
    reader->argument = arch_argument(reader->context, 0);
    CHECK_OK(tg_context_get_tls(reader->context, &tls));
    CHECK_EQ(tls, 0);
    return NULL;
}

static void *copy_context(void *arg)
{
    struct reader *reader = arg;

    CHECK_OK(tg_context_copy(reader->copy, reader->context));
    reader->ip = arch_ip(reader->copy);
    reader->argument = arch_argument(reader->copy, 0);
    return NULL;
}

static void several_read(uint32_t backend)
{
    enum { READERS = 3, ROUNDS = 60 };
    struct reader readers[READERS];
    pthread_t threads[READERS];
    struct guest guest;
    tg_context *copy;
    int round;
    int i;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    copy = create_context(guest.platform);
    for (round = 1; round <= ROUNDS; round++) {
        GUEST_RUN_TO_CALL(&guest);
        for (i = 0; i < READERS; i++) {
            readers[i] = (struct reader){.context = guest.context, .copy = copy};
            threads[i] = start_thread(i ? read_context : copy_context, &readers[i]);
        }
        for (i = 0; i < READERS; i++) {
            join_thread(threads[i]);
            CHECK_EQ(readers[i].ip, guest.event.u.syscall.ip);
            CHECK_EQ(readers[i].argument, round);
        }
    }
    tg_context_destroy(copy);
    guest_close(&guest);
}

struct raiser {
    tg_context *context;
    atomic_bool stop;
};

static void *raise_interrupts(void *arg)
{
    struct raiser *raiser = arg;

    while (!atomic_load(&raiser->stop))
        CHECK_OK(tg_context_interrupt(raiser->context));
    return NULL;
}

/* Both at any time: what an interrupt needs of a context is there from its beginning. */
static void started_and_interrupted(uint32_t backend)
{
    struct raiser raiser = {0};
    struct guest guest;
    pthread_t thread;
    int calls = 0;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    raiser.context = guest.context;
    thread = start_thread(raise_interrupts, &raiser);
    while (calls < 20) {
        guest_restart(&guest);
        guest_run(&guest);
        if (guest.event.kind == TG_EVENT_INTERRUPTED)
            continue;
        CHECK_CALL(&guest.event, GUEST_CALL);
        CHECK_EQ(guest.event.u.syscall.args[0], 1);
        calls++;
    }
    atomic_store(&raiser.stop, true);
    join_thread(thread);
    guest_close(&guest);
}

/* ---- while it runs ---- */

static void check_all_refuse(const struct guest *guest, tg_queue *queue)
{
    unsigned char fpstate[16384];
    const size_t size = platform_info(guest->platform).fpstate_size;
    tg_context *other = create_context(guest->platform);
    tg_context *context = guest->context;
    tg_event event = new_event();
    uint64_t tls;

    CHECK(size <= sizeof(fpstate));
    CHECK_OK(tg_context_get_fpstate(other, fpstate, sizeof(fpstate)));
    CHECK_RESULT(tg_context_switch(context, guest->subprocess, &event), -EBUSY);
    CHECK_RESULT(tg_queue_submit(queue, context, guest->subprocess), -EBUSY);
    CHECK_RESULT(tg_context_start(context, 0, 0), -EBUSY);
    CHECK_RESULT(tg_context_copy(context, other), -EBUSY);
    CHECK_RESULT(tg_context_copy(other, context), -EBUSY);
    CHECK_RESULT(tg_context_set_flags(context, 0), -EBUSY);
    CHECK_RESULT(tg_context_set_user_data(context, 2), -EBUSY);
    CHECK_RESULT(tg_context_get_fpstate(context, fpstate, size), -EBUSY);
    CHECK_RESULT(tg_context_set_fpstate(context, fpstate, size), -EBUSY);
    CHECK_RESULT(tg_context_get_tls(context, &tls), -EBUSY);
    CHECK_RESULT(tg_context_set_tls(context, 0x1000), -EBUSY);
    CHECK_RESULT(tg_context_set_return(context, 0), -EBUSY);
    CHECK_RESULT(tg_context_restart_syscall(context), -EBUSY);
    CHECK(tg_context_regs_mut(context) == NULL);
    CHECK(tg_context_regs(context) != NULL);
    CHECK_EQ(tg_context_user_data(context), 1);
    /* It does not go, and says so. */
    tg_context_destroy(context);
    CHECK(strstr(tg_platform_last_error(guest->platform), "destroy a context") != NULL);
    CHECK_EQ(platform_stats(guest->platform).contexts, 2);
    tg_context_destroy(other);
}

static void refuses_while_switched(uint32_t backend)
{
    struct guest guest;
    pthread_t thread;
    tg_queue *queue;

    guest_open(&guest, backend, GUEST_CODE(spin_counting));
    CHECK_OK(tg_queue_create(guest.platform, &queue));
    CHECK_OK(tg_context_set_user_data(guest.context, 1));
    arch_set_argument(guest.context, 0, GUEST_DATA_AT);
    thread = start_thread(guest_run_thread, &guest);
    guest_wait_change(guest.subprocess, GUEST_DATA_AT, 0);
    check_all_refuse(&guest, queue);
    CHECK_OK(tg_context_interrupt(guest.context));
    join_thread(thread);
    CHECK_KIND(&guest.event, TG_EVENT_INTERRUPTED);
    guest_close(&guest);
}

static void refuses_while_submitted(uint32_t backend)
{
    struct guest guest;
    tg_queue *queue;
    size_t count;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    CHECK_OK(tg_queue_create(guest.platform, &queue));
    CHECK_OK(tg_context_set_user_data(guest.context, 1));
    CHECK_OK(tg_queue_submit(queue, guest.context, guest.subprocess));
    check_all_refuse(&guest, queue);
    guest.event = new_event();
    CHECK_OK(tg_queue_wait(queue, &guest.event, 1, -1, &count));
    CHECK_EQ(count, 1);
    CHECK_CALL(&guest.event, GUEST_CALL);
    CHECK_EQ(guest.event.u.syscall.args[0], 1);
    CHECK_EQ(arch_argument(guest.context, 0), 1);
    guest_close(&guest);
}

const struct test_case context_cases[] = {
    {"context.usable", "A context stays usable in every moment while the subprocess it ran in last is destroyed",
     usable_meanwhile},
    {"context.moves", "It can go on in another subprocess meanwhile", moves_meanwhile},
    {"context.copied", "It can be copied meanwhile", copied_meanwhile},
    {"context.readers", "Several threads read and copy one context at once, and all see the same", several_read},
    {"context.refuses_switched", "While a thread runs it every other call on it is refused, and nothing changes",
     refuses_while_switched},
    {"context.refuses_submitted", "The same from a submit until its event is taken", refuses_while_submitted},
    {"context.start_interrupt", "Contexts are started while another thread interrupts them", started_and_interrupted},
    {0},
};
