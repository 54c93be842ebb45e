/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The template: the first stub process of a platform. It is a copy of the
 * embedder that throws away everything but the stub's two mappings before it
 * does anything else; subprocesses are copies of it, so making one costs
 * nothing that depends on the embedder's size, and filters that the embedder
 * loads later do not reach them.
 *
 * Its parent is a thread of its own, the keeper: PR_SET_PDEATHSIG is about the
 * parent thread, and the thread that opens a platform may end before it.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arch/stub_enter.h"
#include "core/futex.h"
#include "core/ptrace/ptrace_backend.h"
#include "core/quiet_thread.h"
#include "core/stub_process.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#define PLACE_TRIES  32
#define PLACE_WINDOW ((uint64_t)1 << 34) /* how far below the end of user space the stub may lie */

extern const uint8_t tgi_stub_blob[];
extern const uint8_t tgi_stub_blob_end[];

enum setup_step {
    STEP_NONE,
    STEP_SESSION,
    STEP_SIGNALS,
    STEP_RSEQ,
    STEP_MAP,
    STEP_PROTECT,
    STEP_TRAP_CPUID,
    STEP_TRAP_TSC,
    STEP_NO_NEW_PRIVS,
    STEP_FILTER,
};

static const char *const step_names[] = {
    [STEP_NONE] = "enter the stub",
    [STEP_SESSION] = "start a session",
    [STEP_SIGNALS] = "reset signals",
    [STEP_RSEQ] = "unregister restartable sequences",
    [STEP_MAP] = "map the stub",
    [STEP_PROTECT] = "protect the stub",
    [STEP_TRAP_CPUID] = "trap CPUID",
    [STEP_TRAP_TSC] = "trap RDTSC",
    [STEP_NO_NEW_PRIVS] = "give up new privileges",
    [STEP_FILTER] = "load the stub's seccomp filter",
};

/* Shared between the keeper and the process it makes, which unmaps it with the rest. */
struct setup_report {
    _Atomic int step; /* where it failed */
    _Atomic int err;
};

struct setup {
    struct tg_platform *platform;
    uint64_t flags; /* TG_OPEN_* */
    struct sock_fprog filter;
    struct setup_report *report;
    pid_t pid; /* out */
    int err;   /* out */
    _Atomic uint32_t done;
};

static int fail(struct setup_report *report, enum setup_step step, int err)
{
    atomic_store(&report->step, (int)step);
    atomic_store(&report->err, err);
    return err;
}

/* ---- in the new process: no locks, no allocation, nothing but system calls ---- */

static int map_stub(const struct ptrace_platform *pp)
{
    size_t size = (size_t)(pp->stub_end - pp->stub_start);
    void *at = mmap((void *)(uintptr_t)pp->stub_start, size, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

    if (at == MAP_FAILED)
        return -errno;
    if (at != (void *)(uintptr_t)pp->stub_start)
        return -EEXIST;
    memcpy(at, tgi_stub_blob, (size_t)(tgi_stub_blob_end - tgi_stub_blob));
    return 0;
}

static int protect_stub(const struct ptrace_platform *pp)
{
    if (mprotect((void *)(uintptr_t)pp->stub_start, (size_t)(pp->batch - pp->stub_start), PROT_READ | PROT_EXEC))
        return -errno;
    return mprotect((void *)(uintptr_t)pp->batch, (size_t)(pp->stub_end - pp->batch), PROT_READ) ? -errno : 0;
}

static int set_traps(const struct setup *setup)
{
    int err;

    if (setup->flags & TG_OPEN_TRAP_CPUID) {
        err = tgi_arch.stub_trap_cpuid();
        if (err)
            return fail(setup->report, STEP_TRAP_CPUID, err);
    }
    if (setup->flags & TG_OPEN_TRAP_TSC) {
        err = tgi_arch.stub_trap_tsc();
        if (err)
            return fail(setup->report, STEP_TRAP_TSC, err);
    }
    return 0;
}

static int become_stub(const struct setup *setup)
{
    const struct ptrace_platform *pp = ptrace_platform(setup->platform);
    int err;

    if (setsid() < 0)
        return fail(setup->report, STEP_SESSION, -errno);
    if ((err = stub_process_reset_signals(STUB_SIGNALS_OF_GUESTS | STUB_SIGNAL_BIT(INTERRUPT_KICK_SIGNAL))))
        return fail(setup->report, STEP_SIGNALS, err);
    if ((err = stub_process_unregister_rseq()))
        return fail(setup->report, STEP_RSEQ, err);
    if ((err = map_stub(pp)))
        return fail(setup->report, STEP_MAP, err);
    if ((err = protect_stub(pp)))
        return fail(setup->report, STEP_PROTECT, err);
    if (set_traps(setup))
        return -1;
    prctl(PR_SET_NAME, "trapgate-stub");
    /* Nothing of the embedder's stays in here, and its tracers must get in whatever its own setting is. */
    prctl(PR_SET_DUMPABLE, 1);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return fail(setup->report, STEP_NO_NEW_PRIVS, -errno);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &setup->filter))
        return fail(setup->report, STEP_FILTER, -errno);
    return 0;
}

__attribute__((noreturn)) static void stub_process(const struct setup *setup)
{
    const struct ptrace_platform *pp = ptrace_platform(setup->platform);

    if (!become_stub(setup))
        stub_enter(pp->stub_start, pp->stub_end, pp->cookie, setup->platform->owner);
    for (;;)
        syscall(SYS_exit_group, 1);
}

/* ---- in the embedder ---- */

static void *keeper_main(void *arg)
{
    struct setup *setup = arg;
    struct ptrace_platform *pp = ptrace_platform(setup->platform);
    /* No CLONE_VM: a copy. CLONE_FILES: see STUB_CLONE_PROCESS_FLAGS. No exit signal. */
    long pid = syscall(SYS_clone, (unsigned long)CLONE_FILES, NULL, NULL, NULL, NULL);

    if (pid == 0)
        stub_process(setup);
    setup->err = pid < 0 ? -errno : 0;
    setup->pid = (pid_t)pid;
    atomic_store(&setup->done, 1);
    futex_wake_all(&setup->done);
    /* The setup is the opener's and gone from here on. */
    while (atomic_load(&pp->template.keep))
        futex_wait(&pp->template.keep, 1);
    return NULL;
}

/* It takes no signal of the embedder's, so its stub starts with none pending. */
static int start_keeper(struct setup *setup)
{
    struct ptrace_platform *pp = ptrace_platform(setup->platform);
    int err;

    atomic_store(&pp->template.keep, 1);
    err = quiet_thread_create(&pp->template.keeper, keeper_main, setup);
    if (err)
        return err;
    while (!atomic_load(&setup->done))
        futex_wait(&setup->done, 0);
    return 0;
}

static void stop_keeper(struct ptrace_platform *pp)
{
    atomic_store(&pp->template.keep, 0);
    futex_wake_all(&pp->template.keep);
    pthread_join(pp->template.keeper, NULL);
}

/* Below the end of user space, at random. */
static int choose_place(struct tg_platform *platform)
{
    struct ptrace_platform *pp = ptrace_platform(platform);
    uint64_t page = platform->info.page_size;
    uint64_t text = ((uint64_t)(tgi_stub_blob_end - tgi_stub_blob) + page - 1) & ~(page - 1);
    uint64_t random;

    if (stub_process_random(&random, sizeof(random)))
        return -EIO;
    pp->stub_start = tgi_arch.user_end - 2 * page - text - (random % PLACE_WINDOW / page * page);
    pp->batch = pp->stub_start + text;
    pp->stub_end = pp->batch + page;
    platform->info.user_end = pp->stub_start;
    return 0;
}

static void report_step(struct open_report *report, int step, int err)
{
    const char *remedy = "report this as a bug with the kernel's version";

    if (step == STEP_TRAP_CPUID || step == STEP_TRAP_TSC)
        remedy = "open the platform without that flag: this processor or kernel has no such trap";
    else if (step == STEP_FILTER)
        remedy = "use a kernel with CONFIG_SECCOMP_FILTER, and allow seccomp(2) and prctl(2) in the container";
    open_report_fill(report, step_names[step], remedy, "the new stub process failed: %s", strerror(-err));
}

/* Its children's mother must be in the park loop before anybody copies it: attaching waits for that. */
static int adopt_template(struct tg_platform *platform, pid_t pid, struct open_report *report)
{
    struct ptrace_platform *pp = ptrace_platform(platform);
    struct ptrace_subprocess *subprocess = calloc(1, sizeof(*subprocess));
    int err = -ENOMEM;

    if (subprocess) {
        subprocess->base.platform = platform;
        err = ptrace_subprocess_adopt(subprocess, pid);
    }
    if (err) {
        free(subprocess);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, __WALL);
        open_report_fill(report, "allocate", "free some memory", "%s", strerror(-err));
        return err;
    }
    pp->template.subprocess = subprocess;
    pp->template.group = pid;
    return 0;
}

/* One try at one address. */
static int start_at(struct setup *setup, struct open_report *report)
{
    struct ptrace_platform *pp = ptrace_platform(setup->platform);
    int err;
    int step;

    atomic_store(&setup->report->step, STEP_NONE);
    atomic_store(&setup->done, 0);
    err = start_keeper(setup);
    if (err) {
        open_report_fill(report, "start a thread", "raise RLIMIT_NPROC or the pids limit of the cgroup", "%s",
                         strerror(-err));
        return err;
    }
    if (setup->err) {
        stop_keeper(pp);
        open_report_fill(report, "start the stub process", "raise RLIMIT_NPROC or the pids limit of the cgroup", "%s",
                         strerror(-setup->err));
        return setup->err;
    }
    err = adopt_template(setup->platform, setup->pid, report);
    if (err) {
        stop_keeper(pp);
        return err;
    }
    /* A failure shows in the report once the process is gone; when it lives, it has got past all steps soon. */
    err = tracer_current(setup->platform) ? 0 : -ENOMEM;
    if (!err) {
        struct stub_thread *thread;

        err = tracer_acquire(tracer_current(setup->platform), pp->template.subprocess, NULL, &thread);
        if (!err) {
            tracer_release(thread);
            return 0;
        }
    }
    step = atomic_load(&setup->report->step);
    if (err == -ESRCH && step != STEP_NONE) {
        err = atomic_load(&setup->report->err);
        report_step(report, step, err);
    } else if (err == -EPERM) {
        open_report_fill(report, "trace the stub process",
                         "allow ptrace(2): Yama's ptrace_scope at most 1, no seccomp filter or LSM rule against it, or "
                         "add CAP_SYS_PTRACE",
                         "PTRACE_SEIZE is forbidden");
    } else {
        open_report_fill(report, "trace the stub process", "see the reason", "%s",
                         err == -ESRCH ? "it died while it set itself up" : strerror(-err));
        if (err == -ESRCH)
            err = -EIO;
    }
    stub_template_stop(setup->platform);
    if (err == -EEXIST && step == STEP_MAP)
        return -EEXIST;
    if (step == STEP_TRAP_CPUID || step == STEP_TRAP_TSC)
        return -EOPNOTSUPP;
    return err;
}

int stub_template_start(struct tg_platform *platform, const struct tg_platform_options *options,
                        struct open_report *report)
{
    struct ptrace_platform *pp = ptrace_platform(platform);
    struct setup setup = {.platform = platform, .flags = options->flags};
    int err = stub_process_random(&pp->cookie, sizeof(pp->cookie));

    if (!err)
        err = stub_filter_build(pp->cookie, &setup.filter);
    if (err) {
        open_report_fill(report, "build the stub's seccomp filter", "report this as a bug", "%s", strerror(-err));
        return err;
    }
    setup.report = mmap(NULL, sizeof(*setup.report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (setup.report == MAP_FAILED) {
        free(setup.filter.filter);
        open_report_fill(report, "allocate", "free some memory", "%s", strerror(errno));
        return -ENOMEM;
    }
    for (int i = 0; i < PLACE_TRIES; i++) {
        err = choose_place(platform);
        if (!err)
            err = start_at(&setup, report);
        if (err != -EEXIST)
            break;
    }
    munmap(setup.report, sizeof(*setup.report));
    free(setup.filter.filter);
    return err;
}

void stub_template_stop(struct tg_platform *platform)
{
    struct ptrace_platform *pp = ptrace_platform(platform);

    tracers_close(platform);
    /* A stub that is killed while it makes another one may leave a child that nobody knows: it goes too. */
    ptrace_subprocess_destroy_group(pp->template.subprocess, pp->template.group);
    pp->template.subprocess = NULL;
    /* A forked child has no keeper, and its stubs are not its own. */
    if (platform_is_ours(platform))
        stop_keeper(pp);
}
