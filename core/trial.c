/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Some of what a host refuses shows only when a guest runs: calls that workers
 * need, copies of guest memory, and filters that stubs inherit, which may kill
 * them for what a guest asks. So a guest makes a call; and if there is a filter
 * all calls there are, many at once: on a busy machine each hand-over waits
 * for a processor. And what wakes sleepers and interrupts guests must get
 * through, or they would wait for ever.
 */
#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "core/interrupt.h"
#include "core/last_error.h"
#include "core/trial.h"

#define STEP          "run a guest"
#define CALL_SIZE_MAX 8
#define CALLS         512 /* more than kernels know */
#define TOGETHER      64

struct trial {
    struct tg_platform *platform;
    struct open_report *report;
    struct tg_subprocess *subprocess;
    struct tg_context *context;
    uint64_t code;
};

/* A call of the host's may find a stub gone before the library knows why; a switch ends when it does. */
static void learn_of_death(struct trial *trial)
{
    struct tg_event event = {.size = sizeof(event)};

    if (!trial->subprocess || !context_take_to_switch(trial->context))
        return;
    trial->platform->ops->context_switch(trial->context, trial->subprocess, &event);
    context_give_back(trial->context);
}

/* What the library says of a call of its own is more than the number. */
static int failed(struct trial *trial, int err)
{
    struct tg_platform *platform = trial->platform;
    int32_t reason;

    if (err == -ESRCH && !atomic_load(&platform->last_reason))
        learn_of_death(trial);
    reason = atomic_load(&platform->last_reason);

    if (reason)
        return open_report_end(trial->report, STEP, reason, atomic_load(&platform->last_status));
    open_report_fill(trial->report, STEP, "see the reason", "%s", last_error_get(platform->id));
    return open_error(err);
}

static int died(const struct trial *trial, uint64_t nr, const struct tg_event_dead *dead)
{
    int err = open_report_end(trial->report, STEP, dead->reason, dead->status);

    if (nr > 0 && err == -EPERM)
        open_report_fill(trial->report, STEP,
                         "use the ptrace backend, or have that filter (systemd: SystemCallFilter=) answer with an "
                         "error number (SystemCallErrorNumber=EPERM) instead of killing",
                         "a seccomp filter that this process had before kills a stub whose guest makes system call "
                         "%llu",
                         (unsigned long long)nr);
    return err;
}

static int write_code(const struct trial *trial)
{
    uint8_t code[CALLS * CALL_SIZE_MAX];
    size_t done;
    int err;

    for (uint64_t nr = 0; nr < CALLS; nr++)
        memcpy(code + nr * tgi_arch.call_code_size, tgi_arch.call_code, tgi_arch.call_code_size);
    err = subprocess_write(trial->subprocess, trial->code, code, CALLS * tgi_arch.call_code_size, &done);
    return err ? err : subprocess_read(trial->subprocess, trial->code, code, 1, &done);
}

/*
 * The second page is there for the operations that code does not need. A host may refuse advice and moves, but not
 * kill for them.
 */
static int load(struct trial *trial)
{
    const uint64_t page = trial->platform->info.page_size;
    const uint64_t at = trial->platform->info.user_end / 2 & ~(page - 1);
    const struct tg_mem_op map = {
        .kind = TG_MEM_MAP, .addr = at, .length = 2 * page, .fd = -1, .prot = TG_PROT_READ | TG_PROT_WRITE};
    const struct tg_mem_op advise = {.kind = TG_MEM_ADVISE, .addr = at + page, .length = page, .advice = MADV_DONTNEED};
    const struct tg_mem_op move = {.kind = TG_MEM_MOVE, .addr = at + page, .length = page, .offset = at + 2 * page};
    const struct tg_mem_op others[] = {
        {.kind = TG_MEM_UNMAP, .addr = at + page, .length = 2 * page},
        {.kind = TG_MEM_PROTECT, .addr = at, .length = page, .prot = TG_PROT_READ | TG_PROT_EXEC},
    };
    size_t done;
    int err = subprocess_apply(trial->subprocess, &map, 1, &done);

    trial->code = at;
    if (!err)
        err = write_code(trial);
    if (!err && (subprocess_apply(trial->subprocess, &advise, 1, &done) == -ESRCH ||
                 subprocess_apply(trial->subprocess, &move, 1, &done) == -ESRCH))
        err = -ESRCH;
    return err ? err : subprocess_apply(trial->subprocess, others, sizeof(others) / sizeof(others[0]), &done);
}

/* Each from a place of its own, so that none is hot. */
static void prepare_call(const struct trial *trial, struct tg_context *context, uint64_t nr)
{
    context_start(context, trial->code + nr * tgi_arch.call_code_size, 0);
    tgi_arch.set_call(context_regs_mut(context), nr);
}

static int make_call(struct trial *trial, uint64_t nr)
{
    struct tg_event event = {.size = sizeof(event)};
    int err;

    prepare_call(trial, trial->context, nr);
    if (!context_take_to_switch(trial->context))
        return failed(trial, -EIO);
    err = trial->platform->ops->context_switch(trial->context, trial->subprocess, &event);
    context_give_back(trial->context);
    if (err)
        return failed(trial, err);
    if (event.kind == TG_EVENT_DEAD)
        return died(trial, nr, &event.u.dead);
    /* Newer kernels let uretprobe and uprobe pass every filter, for their own code; others get an error or SIGILL. */
    if (nr > 0 || (event.kind == TG_EVENT_SYSCALL && event.u.syscall.nr == nr))
        return 0;
    open_report_fill(trial->report, STEP, "report this as a bug with the kernel's version",
                     "the call of a guest came back as an event of kind %u", event.kind);
    return -EIO;
}

/* ---- many calls at once ---- */

static int submit_call(const struct trial *trial, struct tg_queue *queue, struct tg_context *context, uint64_t nr)
{
    int err;

    prepare_call(trial, context, nr);
    if (!context_take(context))
        return -EIO;
    err = subprocess_enter(trial->subprocess) ? trial->platform->ops->queue_submit(queue, context, trial->subprocess)
                                              : -EIO;
    if (err)
        context_give_back(context);
    return err;
}

/* Until all of them have left an event. */
static int collect(const struct trial *trial, struct tg_queue *queue, size_t n, bool *dead)
{
    struct tg_event events[TOGETHER] = {{.size = sizeof(events[0])}};
    size_t count;
    int err = 0;

    for (; n && !err; n -= count) {
        err = trial->platform->ops->queue_wait(queue, events, sizeof(events[0]), TOGETHER, -1, &count);
        for (size_t i = 0; i < count; i++)
            *dead |= events[i].kind == TG_EVENT_DEAD;
    }
    return err;
}

static int make_calls_from(const struct trial *trial, struct tg_queue *queue, struct tg_context **contexts,
                           uint64_t first, bool *dead)
{
    size_t submitted = 0;
    int collected;
    int err = 0;

    while (submitted < TOGETHER && !err) {
        err = submit_call(trial, queue, contexts[submitted], first + submitted);
        submitted += !err;
    }
    collected = collect(trial, queue, submitted, dead);
    return err ? err : collected;
}

/* *dead: one of them has cost the stub its life. */
static int make_all_calls(const struct trial *trial, bool *dead)
{
    struct tg_context *contexts[TOGETHER] = {NULL};
    struct tg_queue *queue = NULL;
    int err = queue_create(trial->platform, &queue);

    for (size_t i = 0; i < TOGETHER && !err; i++)
        err = context_create(trial->platform, &contexts[i]);
    for (uint64_t first = 0; first < CALLS && !err && !*dead; first += TOGETHER)
        err = make_calls_from(trial, queue, contexts, first, dead);
    queue_destroy(queue);
    for (size_t i = 0; i < TOGETHER; i++)
        context_destroy(contexts[i]);
    return err;
}

/* ---- the trial ---- */

static int begin(struct trial *trial)
{
    int err = subprocess_create(trial->platform, NULL, &trial->subprocess);

    return err ? err : load(trial);
}

/* Which call it was, by making each alone in another stub; it may have been none. */
static int find_killer(struct trial *trial)
{
    int err;

    subprocess_destroy(trial->subprocess);
    trial->subprocess = NULL;
    err = begin(trial);
    if (err)
        return failed(trial, err);
    for (uint64_t nr = 0; nr < CALLS && !err; nr++)
        err = make_call(trial, nr);
    return err;
}

static int make_calls(struct trial *trial)
{
    bool dead = false;
    int err = make_call(trial, 0);

    if (err || prctl(PR_GET_SECCOMP) == SECCOMP_MODE_DISABLED)
        return err;
    err = make_all_calls(trial, &dead);
    if (err)
        return failed(trial, err);
    return dead ? find_killer(trial) : 0;
}

static int kick(const struct trial *trial)
{
    int err = interrupt_try_kick(atomic_load(&trial->subprocess->pid));

    return err ? open_report_call(trial->report, "interrupt a guest", "tgkill(2)", err) : 0;
}

static int run(struct trial *trial)
{
    int err = context_create(trial->platform, &trial->context);

    if (!err)
        err = begin(trial);
    if (err)
        return failed(trial, err);
    err = make_calls(trial);
    return err ? err : kick(trial);
}

int trial_run(struct tg_platform *platform, struct open_report *report)
{
    struct trial trial = {.platform = platform, .report = report};
    uint64_t before[COUNTERS];
    int err;

    for (size_t i = 0; i < COUNTERS; i++)
        before[i] = atomic_load(&platform->counters[i]);
    err = run(&trial);
    context_destroy(trial.context);
    subprocess_destroy(trial.subprocess);
    for (size_t i = 0; i < COUNTERS; i++)
        atomic_store(&platform->counters[i], before[i]);
    return err;
}
