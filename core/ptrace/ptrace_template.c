/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The template: the first stub process of a platform. It is a copy of the
 * embedder that throws away everything but the stub's own memory before it
 * does anything else; subprocesses are copies of it, so making one costs
 * nothing that depends on the embedder's size, and filters that the embedder
 * loads later do not reach them.
 *
 * Its parent is a thread of its own, the keeper: PR_SET_PDEATHSIG is about the
 * parent thread, and the thread that opens a platform may end before it.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/filter_program.h"
#include "core/futex.h"
#include "core/ptrace/clock_page.h"
#include "core/ptrace/life.h"
#include "core/ptrace/ptrace_filter.h"
#include "core/ptrace/ptrace_subprocess.h"
#include "core/ptrace/ptrace_template.h"
#include "core/ptrace/tracer.h"
#include "core/ptrace/tracer_end.h"
#include "core/ptrace/tracer_thread.h"
#include "core/quiet_thread.h"
#include "core/stub_process.h"
#include "core/stub_setup.h"
#include "core/stub_vdso.h"
#include "core/subprocess_life.h"

#define PLACE_TRIES  32
#define PLACE_WINDOW ((uint64_t)1 << 34) /* how far below the end of user space the stub may lie */
#define END_NS       NS_PER_SECOND       /* for the end of a process that has begun to end */
#define PAUSE_NS     100000

/* One try to make the process. */
struct start {
    const struct stub_setup *setup;
    pid_t pid; /* out */
    int err;   /* out */
    _Atomic uint32_t done;
};

/* ---- in the new process: no locks, no allocation, nothing but system calls ---- */

static int map_stub(const struct tg_platform *platform)
{
    const struct ptrace_platform *pp = ptrace_platform(platform);
    int err = stub_process_map(pp->stub_start, pp->stub_end - pp->stub_start, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

    if (!err)
        stub_process_copy(pp->stub_start, tgi_arch_ptrace->blob, tgi_arch_ptrace->blob_end);
    return err;
}

static int protect_stub(const struct tg_platform *platform)
{
    const struct ptrace_platform *pp = ptrace_platform(platform);
    int err = stub_process_protect(pp->stub_start, pp->batch, PROT_READ | PROT_EXEC);

    if (!err)
        err = stub_process_protect(pp->batch, pp->vdso_room, PROT_READ);
    if (!err)
        err = stub_process_protect(pp->vdso_room, pp->stub_end, PROT_NONE);
    if (!err)
        stub_process_seal(pp->stub_start, pp->vdso_room);
    return err;
}

/* A thread that nobody traces, and the bell, sleep by this call alone: refused, each would take a processor. */
static int try_sleep(const struct tg_platform *platform)
{
    const struct timespec no_time = {0};

    (void)platform;
    return syscall(SYS_ppoll, NULL, 0, &no_time, NULL, 0) < 0 ? -errno : 0;
}

static uint64_t vdso_room(const struct tg_platform *platform)
{
    return ptrace_platform(platform)->vdso_room;
}

__attribute__((noreturn)) static void stub_process(const struct stub_setup *setup)
{
    const struct ptrace_platform *pp = ptrace_platform(setup->platform);

    if (!stub_setup_run(setup))
        tgi_arch_ptrace->enter(pp->stub_start, pp->stub_end, pp->cookie, setup->platform->embedder);
    for (;;)
        syscall(SYS_exit_group, 1);
}

/* ---- in the embedder ---- */

static void *keeper_main(void *arg)
{
    struct start *start = arg;
    struct ptrace_platform *pp = ptrace_platform(start->setup->platform);
    /* No CLONE_VM: a copy. CLONE_FILES: see STUB_CLONE_PROCESS_FLAGS. No exit signal. */
    long pid = syscall(SYS_clone, (unsigned long)CLONE_FILES, NULL, NULL, NULL, NULL);

    if (pid == 0)
        stub_process(start->setup);
    start->err = pid < 0 ? -errno : 0;
    start->pid = (pid_t)pid;
    atomic_store(&start->done, 1);
    futex_wake_all(&start->done);
    /* What started it is the opener's and gone from here on. */
    while (atomic_load(&pp->template.keep))
        futex_wait(&pp->template.keep, 1);
    return NULL;
}

/* It takes no signal of the embedder's, so its stub starts with none pending. */
static int start_keeper(struct ptrace_platform *pp, struct start *start)
{
    int err;

    atomic_store(&pp->template.keep, 1);
    err = quiet_thread_create(&pp->template.keeper, keeper_main, start);
    if (err)
        return err;
    while (!atomic_load(&start->done))
        futex_wait(&start->done, 0);
    return 0;
}

static void stop_keeper(struct ptrace_platform *pp)
{
    atomic_store(&pp->template.keep, 0);
    futex_wake_all(&pp->template.keep);
    pthread_join(pp->template.keeper, NULL);
}

/* Below the end of user space, at random, and across no border of 4 GiB: filter_origin(). */
static int choose_place(struct tg_platform *platform)
{
    struct ptrace_platform *pp = ptrace_platform(platform);
    uint64_t page = platform->info.page_size;
    uint64_t text = ((uint64_t)(tgi_arch_ptrace->blob_end - tgi_arch_ptrace->blob) + page - 1) & ~(page - 1);
    uint64_t vdso = STUB_VDSO_PAGES * page;
    uint64_t size = text + page + vdso;
    uint64_t random;
    int err = stub_process_random(&random, sizeof(random));

    if (err)
        return err;
    pp->stub_start = platform->user_space.end - page - size - (random % PLACE_WINDOW / page * page);
    if (pp->stub_start >> 32 != (pp->stub_start + size) >> 32)
        pp->stub_start -= size;
    pp->batch = pp->stub_start + text;
    pp->vdso_room = pp->batch + page;
    pp->stub_end = pp->vdso_room + vdso;
    platform->info.user_end = pp->stub_start;
    return 0;
}

/* Its children's mother must be in the park loop before anybody copies it: attaching waits for that. */
static int adopt_template(struct tg_platform *platform, pid_t pid, struct open_report *report)
{
    struct ptrace_platform *pp = ptrace_platform(platform);
    struct tg_subprocess *subprocess = subprocess_new(platform);
    int err = subprocess ? ptrace_subprocess_adopt(to_ptrace_subprocess(subprocess), pid) : -ENOMEM;

    if (err) {
        if (subprocess)
            subprocess_release(subprocess);
        life_kill(pid);
        waitpid(pid, NULL, __WALL);
        return open_report_call(report, "allocate", "malloc", err);
    }
    pp->template.subprocess = to_ptrace_subprocess(subprocess);
    pp->template.group = pid;
    return 0;
}

static const char start_step[] = "start the stub process";

/* The keeper and the process. 0 or -errno, and then there is neither. */
static int start_process(const struct stub_setup *setup, pid_t *pid, struct open_report *report)
{
    struct ptrace_platform *pp = ptrace_platform(setup->platform);
    struct start start = {.setup = setup};
    int err = start_keeper(pp, &start);

    if (err)
        return open_report_thread(report, err);
    if (start.err) {
        stop_keeper(pp);
        return open_report_call(report, start_step, "clone(2)", start.err);
    }
    *pid = start.pid;
    return 0;
}

/* When it can be traced it lives, and has got past all steps. */
static int try_tracing(struct tg_platform *platform)
{
    struct tracer *tracer = tracer_current(platform);
    struct stub_thread *thread;
    int err;

    if (!tracer)
        return -ENOMEM;
    err = tracer_acquire(tracer, ptrace_platform(platform)->template.subprocess, NULL, &thread);
    if (!err)
        tracer_release(thread);
    return err;
}

/* A process that has no address space any more is about to end: only then can be told how. */
static bool learn_end(pid_t pid, siginfo_t *info)
{
    const int64_t until = clock_monotonic_ns() + END_NS;

    do {
        if (waitid(P_PID, (id_t)pid, info, WEXITED | WNOHANG | WNOWAIT | __WALL))
            return false;
        if (info->si_pid)
            return true;
        clock_pause(PAUSE_NS);
    } while (clock_monotonic_ns() < until);
    return false;
}

/* It ended before it was traced: what its parent, this process, can see of that. */
static int start_failed(const struct stub_setup *setup, struct open_report *report)
{
    const struct ptrace_subprocess *template = ptrace_platform(setup->platform)->template.subprocess;
    int cause = stub_setup_failed(setup, report);
    siginfo_t info = {0};

    if (cause)
        return cause;
    if (!learn_end(ptrace_platform(setup->platform)->template.group, &info))
        return open_report_end(report, start_step, template->base.death_reason, template->base.death_status);
    return open_report_end(report, start_step, info.si_code == CLD_EXITED ? TG_DEAD_EXITED : TG_DEAD_KILLED,
                           info.si_status);
}

/* err: from tracing; what it gives instead is the cause. */
static int tracing_failed(const struct stub_setup *setup, int err, struct open_report *report)
{
    static const char step[] = "trace the stub process";

    if (err == -ESRCH)
        return start_failed(setup, report);
    if (err != -EPERM)
        return open_report_call(report, step, "ptrace(2)", err);
    open_report_fill(
        report, step,
        "allow ptrace(2): Yama's ptrace_scope at most 1, no other tracer (strace -f, gdb), no seccomp filter "
        "or LSM rule against it, or add CAP_SYS_PTRACE",
        "PTRACE_SEIZE is forbidden");
    return err;
}

/* One try at one address; -EEXIST: something else is there. */
static int start_at(const struct stub_setup *setup, struct open_report *report)
{
    pid_t pid = 0;
    int err;

    stub_setup_reset(setup);
    err = start_process(setup, &pid, report);
    if (err)
        return err;
    err = adopt_template(setup->platform, pid, report);
    if (err) {
        stop_keeper(ptrace_platform(setup->platform));
        return err;
    }
    err = try_tracing(setup->platform);
    if (err) {
        err = tracing_failed(setup, err, report);
        ptrace_template_stop(setup->platform);
        return err;
    }
    stub_setup_learn(setup);
    return 0;
}

/* The program says where the stub's text is. */
static int build_filter(struct stub_setup *setup)
{
    const struct ptrace_platform *pp = ptrace_platform(setup->platform);

    free(setup->filter.filter);
    return ptrace_filter_build(pp->cookie, pp->stub_start, pp->batch, &setup->filter);
}

static int start_somewhere(struct stub_setup *setup, struct open_report *report)
{
    int err = -EIO;

    for (int i = 0; i < PLACE_TRIES; i++) {
        err = choose_place(setup->platform);
        if (err)
            return open_report_call(report, "choose an address", "getrandom(2)", err);
        err = build_filter(setup);
        if (err)
            return filter_program_failed(report, err);
        err = start_at(setup, report);
        if (err != -EEXIST)
            break;
    }
    return open_error(err);
}

int ptrace_template_start(struct tg_platform *platform, const struct tg_platform_options *options,
                          struct open_report *report)
{
    struct ptrace_platform *pp = ptrace_platform(platform);
    struct stub_setup setup = {
        .platform = platform,
        .flags = options->flags,
        .map = map_stub,
        .protect = protect_stub,
        .try_sleep = try_sleep,
        .vdso_room = vdso_room,
    };
    int err = stub_process_random(&pp->cookie, sizeof(pp->cookie));

    if (err)
        return open_report_call(report, "choose a secret", "getrandom(2)", err);
    platform->own_vdso = platform->own_vdso && clock_page_possible(platform);
    err = stub_setup_open(&setup, report);
    if (!err) {
        err = start_somewhere(&setup, report);
        stub_setup_close(&setup);
    }
    free(setup.filter.filter);
    return err;
}

void ptrace_template_stop(struct tg_platform *platform)
{
    struct ptrace_platform *pp = ptrace_platform(platform);

    tracers_close(platform);
    /* A stub that is killed while it makes another one may leave a child that nobody knows: it goes too. */
    ptrace_subprocess_destroy_group(pp->template.subprocess, pp->template.group);
    pp->template.subprocess = NULL;
    stop_keeper(pp);
}
