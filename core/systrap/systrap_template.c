/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The template: the first stub process of a platform, a copy of the embedder
 * that maps the stub's region, throws away everything else, and from then on
 * does nothing but make the others. No guest ever runs in it.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arch/stub_enter.h"
#include "core/stub_process.h"
#include "core/systrap/stub_filters.h"
#include "core/systrap/systrap_backend.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#define PLACE_TRIES        32
#define PLACE_WINDOW       ((uint64_t)1 << 40) /* how far below the end of user space the region may lie */
#define KERNEL_SIGSET_SIZE 8
#define KERNEL_SA_RESTORER 0x04000000

extern const uint8_t tgi_systrap_blob[];
extern const uint8_t tgi_systrap_blob_end[];

static const char *const step_names[] = {
    "enter the stub",
    "start a session",
    "reset signals",
    "unregister restartable sequences",
    "map the stub",
    "protect the stub",
    "install the stub's signal handlers",
    "trap CPUID",
    "trap RDTSC",
    "give up new privileges",
    "load the stub's seccomp filter",
};

enum setup_step {
    STEP_NONE,
    STEP_SESSION,
    STEP_SIGNALS,
    STEP_RSEQ,
    STEP_MAP,
    STEP_PROTECT,
    STEP_HANDLERS,
    STEP_TRAP_CPUID,
    STEP_TRAP_TSC,
    STEP_NO_NEW_PRIVS,
    STEP_FILTER,
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
};

/* ---- in the new process: no locks, no allocation, nothing but system calls ---- */

static int fail(struct setup_report *report, enum setup_step step, int err)
{
    atomic_store(&report->step, (int)step);
    atomic_store(&report->err, err);
    return err;
}

/* Not the C library's functions: a sanitizer's versions would wait for locks that nobody in this process holds. */
static int map(uint64_t addr, uint64_t length, uint64_t protection, uint64_t flags, int64_t file, uint64_t offset)
{
    long at = syscall(SYS_mmap, addr, length, protection, flags, file, offset);

    if (at == -1)
        return -errno;
    return (uint64_t)at == addr ? 0 : -EEXIST;
}

static void copy_text(uint64_t to)
{
    volatile uint8_t *byte = (volatile uint8_t *)(uintptr_t)to;

    for (const uint8_t *from = tgi_systrap_blob; from < tgi_systrap_blob_end; from++)
        *byte++ = *from;
}

/* All of the region first, so that nothing of the embedder's is left in its gaps. */
static int map_region(const struct systrap_platform *sp)
{
    struct stub_call calls[ORDERS_MAX];
    size_t n = stub_memory_calls(sp->template, calls);
    int err = map(sp->region, SYSTRAP_REGION_SIZE, PROT_NONE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

    if (!err)
        err = map(sp->region, sp->text_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (err)
        return err;
    copy_text(sp->region);
    for (size_t i = 0; i < n && !err; i++) {
        const uint64_t *args = calls[i].args;

        err = map(args[0], args[1], args[2], args[3], (int64_t)args[4], args[5]);
    }
    return err;
}

/* What a processor raises, and the kick: one handler, on the worker's own stack, all of them blocked meanwhile. */
static int install_handlers(const struct systrap_platform *sp)
{
    static const int signals[] = {SIGSYS, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, INTERRUPT_KICK_SIGNAL};
    const uint64_t action[4] = {
        sp->region + tgi_arch.systrap.handler_offset,
        SA_SIGINFO | SA_ONSTACK | KERNEL_SA_RESTORER,
        sp->region + tgi_arch.systrap.restorer_offset,
        STUB_SIGNALS_OF_GUESTS | STUB_SIGNAL_BIT(INTERRUPT_KICK_SIGNAL),
    };

    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        if (syscall(SYS_rt_sigaction, signals[i], action, NULL, KERNEL_SIGSET_SIZE))
            return -errno;
    }
    return 0;
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
    const struct systrap_platform *sp = systrap_platform(setup->platform);
    int err;

    if (setsid() < 0)
        return fail(setup->report, STEP_SESSION, -errno);
    if ((err = stub_process_reset_signals(0)))
        return fail(setup->report, STEP_SIGNALS, err);
    if ((err = stub_process_unregister_rseq()))
        return fail(setup->report, STEP_RSEQ, err);
    if ((err = map_region(sp)))
        return fail(setup->report, STEP_MAP, err);
    if (syscall(SYS_mprotect, sp->region, sp->text_size, PROT_READ | PROT_EXEC))
        return fail(setup->report, STEP_PROTECT, -errno);
    if ((err = install_handlers(sp)))
        return fail(setup->report, STEP_HANDLERS, err);
    if (set_traps(setup))
        return -1;
    prctl(PR_SET_NAME, "trapgate-stub");
    /* Nothing of the embedder's stays in here, and process_vm_readv(2) must get in whatever its own setting is. */
    prctl(PR_SET_DUMPABLE, 1);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return fail(setup->report, STEP_NO_NEW_PRIVS, -errno);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &setup->filter))
        return fail(setup->report, STEP_FILTER, -errno);
    return 0;
}

__attribute__((noreturn)) static void stub_process(const struct setup *setup)
{
    const struct systrap_platform *sp = systrap_platform(setup->platform);

    if (!become_stub(setup))
        systrap_enter(sp->region, sp->template->file, setup->platform->owner);
    for (;;)
        syscall(SYS_exit_group, 1);
}

/* ---- in the embedder ---- */

static int make_process(void *arg)
{
    struct setup *setup = arg;
    /* No CLONE_VM: a copy. CLONE_FILES: the embedder's descriptors are to be mapped. No exit signal. */
    long pid = syscall(SYS_clone, (unsigned long)CLONE_FILES, NULL, NULL, NULL, NULL);

    if (pid == 0)
        stub_process(setup);
    setup->pid = (pid_t)pid;
    return pid < 0 ? -errno : 0;
}

static int choose_place(struct tg_platform *platform)
{
    struct systrap_platform *sp = systrap_platform(platform);
    const uint64_t size = SYSTRAP_REGION_SIZE;
    uint64_t random;

    if (stub_process_random(&random, sizeof(random)))
        return -EIO;
    sp->text_size = ((uint64_t)(tgi_systrap_blob_end - tgi_systrap_blob) + platform->info.page_size - 1) &
                    ~(uint64_t)(platform->info.page_size - 1);
    sp->region = ((tgi_arch.user_end - 2 * size) & ~(size - 1)) - random % (PLACE_WINDOW / size) * size;
    platform->info.user_end = sp->region;
    return 0;
}

static void fill_stacks(struct systrap_platform *sp)
{
    for (uint64_t i = 0; i < SYSTRAP_WORKERS_MAX; i++) {
        sp->config.stacks[i].start = sp->region + SYSTRAP_WORKERS + i * SYSTRAP_WORKER_SIZE;
        sp->config.stacks[i].size = WORKER_SIGNAL_STACK;
    }
}

static int fill_config(struct systrap_platform *sp, struct sock_fprog *base)
{
    const uint64_t config = sp->region + SYSTRAP_CONFIG;
    const struct stub_filter_layout layout = {
        .region_start = sp->region,
        .text_start = sp->region,
        .text_end = sp->region + sp->text_size,
        .guest_program = config + CONFIG_GUEST_PROGRAM,
    };
    struct sock_fprog guest;
    int err = stub_filters_build(&layout, base, &guest);

    if (err)
        return err;
    if (guest.len * sizeof(guest.filter[0]) > sizeof(sp->config.filter)) {
        free(guest.filter);
        free(base->filter);
        return -E2BIG;
    }
    memcpy(sp->config.filter, guest.filter, guest.len * sizeof(guest.filter[0]));
    sp->config.program_length = guest.len;
    sp->config.program = config + offsetof(struct systrap_config, filter);
    free(guest.filter);
    sp->config.region = sp->region;
    sp->config.signal_mask = ~(STUB_SIGNALS_OF_GUESTS | STUB_SIGNAL_BIT(INTERRUPT_KICK_SIGNAL));
    sp->config.begin_mask = ~STUB_SIGNALS_OF_GUESTS;
    fill_stacks(sp);
    return 0;
}

static int report_step(struct open_report *report, const struct setup *setup, int err)
{
    int step = atomic_load(&setup->report->step);
    const char *remedy = "report this as a bug with the kernel's version";

    if (step == STEP_NONE) {
        open_report_fill(report, "start the stub process", "raise RLIMIT_NPROC or the pids limit of the cgroup",
                         "it ended while it set itself up (%s)", strerror(-err));
        return err == -ESRCH ? -EIO : err;
    }
    err = atomic_load(&setup->report->err);
    if (step == STEP_TRAP_CPUID || step == STEP_TRAP_TSC)
        remedy = "open the platform without that flag: this processor or kernel has no such trap";
    else if (step == STEP_FILTER)
        remedy = "use a kernel with CONFIG_SECCOMP_FILTER, and allow seccomp(2) and prctl(2) in the container";
    open_report_fill(report, step_names[step], remedy, "the new stub process failed: %s", strerror(-err));
    return step == STEP_TRAP_CPUID || step == STEP_TRAP_TSC ? -EOPNOTSUPP : err;
}

static int adopt(struct systrap_subprocess *template, pid_t pid)
{
    struct answer answer;
    int err;

    systrap_platform(template->base.platform)->group = pid;
    err = systrap_subprocess_adopt(template, pid);
    return err ? err : orders_first_answer(template, &answer);
}

/* One try at one address. */
static int start_at(struct setup *setup, struct open_report *report)
{
    struct systrap_platform *sp = systrap_platform(setup->platform);
    int err = fill_config(sp, &setup->filter);

    if (err) {
        open_report_fill(report, "build the stub's seccomp filters", "report this as a bug", "%s", strerror(-err));
        return err;
    }
    atomic_store(&setup->report->step, STEP_NONE);
    sp->template = calloc(1, sizeof(*sp->template));
    if (sp->template) {
        sp->template->base.platform = setup->platform;
        err = systrap_subprocess_init(sp->template);
        if (err) {
            free(sp->template);
            sp->template = NULL;
        }
    }
    if (!sp->template) {
        free(setup->filter.filter);
        open_report_fill(report, "allocate the stub's memory", "free some memory or descriptors", "%s",
                         strerror(err ? -err : ENOMEM));
        return err ? err : -ENOMEM;
    }
    err = keeper_start(sp, make_process, setup);
    free(setup->filter.filter);
    if (!err)
        err = adopt(sp->template, setup->pid);
    if (!err)
        return 0;
    err = report_step(report, setup, err);
    systrap_template_stop(setup->platform);
    return err;
}

int systrap_template_start(struct tg_platform *platform, const struct tg_platform_options *options,
                           struct open_report *report)
{
    struct setup setup = {.platform = platform, .flags = options->flags};
    int err = -EIO;

    setup.report = mmap(NULL, sizeof(*setup.report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (setup.report == MAP_FAILED) {
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
    return err;
}

/* A stub that is killed while it makes another one may leave a child that nobody knows: it goes too. */
static void kill_group(pid_t group)
{
    kill(-group, SIGKILL);
    while (waitpid(-group, NULL, __WALL) > 0 || errno == EINTR)
        ;
}

void systrap_template_stop(struct tg_platform *platform)
{
    struct systrap_platform *sp = systrap_platform(platform);

    systrap_subprocess_destroy(&sp->template->base);
    sp->template = NULL;
    if (!platform_is_ours(platform))
        return;
    /* Its own first: it may have been too young to have a group. */
    if (sp->group > 0)
        kill_group(sp->group);
    keeper_stop(sp);
}
