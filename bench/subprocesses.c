/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What subprocesses cost: to make, to copy, to keep. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "floors/floors.h"
#include "guest.h"
#include "guest_programs.h"
#include "process_costs.h"
#include "sample.h"
#include "timing.h"

#define RESTING_SUBPROCESSES 100

/* Contexts of one subprocess that rest, and the time that the threads which served them have to go to sleep. */
#define RESTING_CONTEXTS 1000
#define SETTLE_SECONDS   0.1

#define TOUCHED_BYTES (64ULL << 20)

static void step_create_destroy(void *state)
{
    const struct guest *guest = state;
    tg_subprocess *subprocess;

    guest_require(guest->platform, tg_subprocess_create(guest->platform, &subprocess), "tg_subprocess_create");
    tg_subprocess_destroy(subprocess);
}

static double create_destroy(const struct sample *sample)
{
    struct guest guest;
    double nanoseconds;

    guest_open(&guest, sample, GUEST_PROGRAM(bench_syscall_loop));
    nanoseconds = nanoseconds_per_step(sample, step_create_destroy, &guest);
    guest_close(&guest);
    return nanoseconds;
}

static void serve_once(const struct guest *guest, tg_subprocess *subprocess)
{
    tg_context *context = guest_context(guest->platform, 0, 0);

    guest_serve_in(guest->platform, context, subprocess);
    tg_subprocess_destroy(subprocess);
    tg_context_destroy(context);
}

static void step_first_switch(void *state)
{
    const struct guest *guest = state;

    serve_once(guest, guest_subprocess(guest->platform, GUEST_PROGRAM(bench_syscall_loop)));
}

static double first_switch(const struct sample *sample)
{
    struct guest guest;
    double nanoseconds;

    guest_open(&guest, sample, GUEST_PROGRAM(bench_syscall_loop));
    nanoseconds = nanoseconds_per_step(sample, step_first_switch, &guest);
    guest_close(&guest);
    return nanoseconds;
}

static void step_fork_switch(void *state)
{
    const struct guest *guest = state;
    tg_subprocess *copy;

    guest_require(guest->platform, tg_subprocess_fork(guest->subprocess, &copy), "tg_subprocess_fork");
    serve_once(guest, copy);
}

/* The original has run, and its guest waits for an answer meanwhile. */
static double fork_switch(const struct sample *sample)
{
    struct guest guest;
    double nanoseconds;

    guest_open(&guest, sample, GUEST_PROGRAM(bench_syscall_loop));
    guest_serve(&guest, guest_context(guest.platform, 0, 0));
    nanoseconds = nanoseconds_per_step(sample, step_fork_switch, &guest);
    guest_close(&guest);
    return nanoseconds;
}

/* As an exec: the context gets a new start anyway. */
static void step_reset(void *state)
{
    const struct guest *guest = state;
    tg_context *context = guest_context(guest->platform, 0, 0);

    guest_require(guest->platform, tg_subprocess_reset(guest->subprocess), "tg_subprocess_reset");
    guest_load(guest->platform, guest->subprocess, GUEST_PROGRAM(bench_syscall_loop));
    guest_serve_in(guest->platform, context, guest->subprocess);
    tg_context_destroy(context);
}

static double reset(const struct sample *sample)
{
    struct guest guest;
    double nanoseconds;

    guest_open(&guest, sample, GUEST_PROGRAM(bench_syscall_loop));
    nanoseconds = nanoseconds_per_step(sample, step_reset, &guest);
    guest_close(&guest);
    return nanoseconds;
}

static void step_fork(void *state)
{
    const struct guest *guest = state;
    tg_subprocess *copy;

    guest_require(guest->platform, tg_subprocess_fork(guest->subprocess, &copy), "tg_subprocess_fork");
    tg_subprocess_destroy(copy);
}

/* Private pages that the guest owns one by one: small ones, as in the floor. */
static void touch_small_pages(const struct guest *guest, uint64_t length)
{
    const tg_mem_op ops[] = {
        {
            .size = sizeof(tg_mem_op),
            .kind = TG_MEM_MAP,
            .addr = GUEST_DATA_ADDRESS,
            .length = length,
            .prot = TG_PROT_READ | TG_PROT_WRITE,
            .fd = -1,
        },
        {
            .size = sizeof(tg_mem_op),
            .kind = TG_MEM_ADVISE,
            .addr = GUEST_DATA_ADDRESS,
            .length = length,
            .advice = MADV_NOHUGEPAGE,
        },
    };
    char *content = malloc(length);

    sample_require(content != NULL, "malloc");
    memset(content, 1, length);
    guest_require(guest->platform, tg_subprocess_apply(guest->subprocess, ops, sizeof(ops) / sizeof(ops[0]), NULL),
                  "tg_subprocess_apply");
    guest_require(guest->platform, tg_subprocess_write(guest->subprocess, GUEST_DATA_ADDRESS, content, length, NULL),
                  "tg_subprocess_write");
    free(content);
}

static double fork_touched(const struct sample *sample)
{
    struct guest guest;
    double nanoseconds;

    guest_open(&guest, sample, GUEST_PROGRAM(bench_syscall_loop));
    touch_small_pages(&guest, sample->argument);
    nanoseconds = nanoseconds_per_step(sample, step_fork, &guest);
    guest_close(&guest);
    return nanoseconds;
}

/* At rest: it has run and its guest waits for an answer, as most guests do most of the time. */
static tg_subprocess *resting_subprocess(tg_platform *platform)
{
    tg_subprocess *subprocess = guest_subprocess(platform, GUEST_PROGRAM(bench_syscall_loop));

    guest_serve_in(platform, guest_context(platform, 0, 0), subprocess);
    return subprocess;
}

static double memory_at_rest(const struct sample *sample)
{
    struct guest guest;
    double kib;

    (void)sample;
    guest_open(&guest, sample, GUEST_PROGRAM(bench_syscall_loop));
    guest_serve(&guest, guest_context(guest.platform, 0, 0));
    kib = process_memory_kib(tg_subprocess_pid(guest.subprocess));
    guest_close(&guest);
    return kib;
}

static double cpu_seconds_of_all(tg_subprocess *const *subprocesses)
{
    double seconds = 0;

    for (unsigned i = 0; i < RESTING_SUBPROCESSES; i++)
        seconds += process_cpu_seconds(tg_subprocess_pid(subprocesses[i]));
    return seconds;
}

static double idle_cpu(const struct sample *sample)
{
    tg_subprocess *subprocesses[RESTING_SUBPROCESSES];
    struct guest guest;
    double stubs, own;

    guest_open(&guest, sample, GUEST_PROGRAM(bench_syscall_loop));
    for (unsigned i = 0; i < RESTING_SUBPROCESSES; i++)
        subprocesses[i] = resting_subprocess(guest.platform);
    stubs = cpu_seconds_of_all(subprocesses);
    own = own_cpu_seconds();
    sleep_seconds(sample->rest_seconds);
    own = own_cpu_seconds() - own;
    stubs = cpu_seconds_of_all(subprocesses) - stubs;
    guest_close(&guest);
    return (own + stubs) * 1e6 / sample->rest_seconds;
}

/* Each has had an event by a queue, and nobody resumes it. */
static void bring_contexts_to_rest(const struct guest *guest, uint64_t count)
{
    tg_event event = {.size = sizeof(event)};
    tg_queue *queue;
    size_t arrived;

    guest_require(guest->platform, tg_queue_create(guest->platform, &queue), "tg_queue_create");
    for (uint64_t i = 0; i < count; i++)
        guest_require(guest->platform, tg_queue_submit(queue, guest_context(guest->platform, 0, 0), guest->subprocess),
                      "tg_queue_submit");
    for (uint64_t i = 0; i < count; i += arrived) {
        guest_require(guest->platform, tg_queue_wait(queue, &event, 1, -1, &arrived), "tg_queue_wait");
        if (arrived != 0)
            guest_answer(&event);
    }
    sleep_seconds(SETTLE_SECONDS);
}

static double idle_contexts_cpu(const struct sample *sample)
{
    struct guest guest;
    double stubs, own;

    guest_open(&guest, sample, GUEST_PROGRAM(bench_syscall_loop));
    if (!process_is_descendant(tg_subprocess_pid(guest.subprocess)))
        sample_fail("the stub is not found among the embedder's descendants");
    bring_contexts_to_rest(&guest, sample->argument);
    stubs = descendants_cpu_seconds();
    own = own_cpu_seconds();
    sleep_seconds(sample->rest_seconds);
    own = own_cpu_seconds() - own;
    stubs = descendants_cpu_seconds() - stubs;
    guest_close(&guest);
    return (own + stubs) * 1e6 / sample->rest_seconds;
}

#define FIRST_SWITCH_FLOOR                                                                                             \
    {                                                                                                                  \
        floor_first_switch, "fork, TRACEME, stop, SETOPTIONS, SYSEMU to a call, kill, wait"                            \
    }

static const struct benchmark benchmarks[] = {
    {
        .name = "subprocess.create_destroy",
        .unit = "ns",
        .backend = TG_BACKEND_PTRACE,
        .run = create_destroy,
        .floors = {{floor_create_destroy, "fork, TRACEME, stop, SETOPTIONS, kill, wait"}},
    },
    {
        .name = "ptrace.first_switch",
        .unit = "ns",
        .backend = TG_BACKEND_PTRACE,
        .run = first_switch,
        .floors = {FIRST_SWITCH_FLOOR},
    },
    {
        .name = "ptrace.fork_switch",
        .unit = "ns",
        .backend = TG_BACKEND_PTRACE,
        .run = fork_switch,
        .floors = {FIRST_SWITCH_FLOOR},
    },
    {
        .name = "ptrace.reset",
        .unit = "ns",
        .backend = TG_BACKEND_PTRACE,
        .run = reset,
        .floors = {FIRST_SWITCH_FLOOR},
    },
    {
        .name = "systrap.create_destroy",
        .unit = "ns",
        .backend = TG_BACKEND_SYSTRAP,
        .run = create_destroy,
        .floors = {{floor_create_destroy, "fork, TRACEME, stop, SETOPTIONS, kill, wait"}},
    },
    {
        .name = "systrap.first_switch",
        .unit = "ns",
        .backend = TG_BACKEND_SYSTRAP,
        .run = first_switch,
        .floors = {FIRST_SWITCH_FLOOR},
    },
    {
        .name = "systrap.fork_switch",
        .unit = "ns",
        .backend = TG_BACKEND_SYSTRAP,
        .run = fork_switch,
        .floors = {FIRST_SWITCH_FLOOR},
    },
    {
        .name = "systrap.reset",
        .unit = "ns",
        .backend = TG_BACKEND_SYSTRAP,
        .run = reset,
        .floors = {FIRST_SWITCH_FLOOR},
    },
    {
        .name = "subprocess.fork_64m",
        .unit = "ns",
        .backend = TG_BACKEND_PTRACE,
        .argument = TOUCHED_BYTES,
        .run = fork_touched,
        .floors = {{floor_fork_touched, "fork, kill, wait, 64 MiB touched"}},
    },
    {
        .name = "subprocess.pss_kib",
        .unit = "KiB",
        .backend = TG_BACKEND_PTRACE,
        .run = memory_at_rest,
        .floors = {{floor_memory_at_rest, "a forked tracee of this program"}},
    },
    {
        .name = "subprocess.idle_cpu",
        .unit = "us/s",
        .backend = TG_BACKEND_PTRACE,
        .run = idle_cpu,
        .samples_max = 1,
    },
    {
        .name = "systrap.idle_cpu",
        .unit = "us/s",
        .backend = TG_BACKEND_SYSTRAP,
        .argument = RESTING_CONTEXTS,
        .run = idle_contexts_cpu,
        .floors = {{floor_rest, "a process that sleeps as long"}},
        .samples_max = 1,
    },
};

const struct benchmark_family subprocess_family = {benchmarks, sizeof(benchmarks) / sizeof(benchmarks[0])};
