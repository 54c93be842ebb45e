/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/stub_process.h"
#include "core/stub_setup.h"
#include "core/stub_vdso.h"

enum setup_step {
    STEP_NONE,
    STEP_SESSION,
    STEP_SCHEDULING,
    STEP_PERSONALITY,
    STEP_SIGNALS,
    STEP_RSEQ,
    STEP_MAP,
    STEP_PROTECT,
    STEP_HANDLERS,
    STEP_SLEEP,
    STEP_VDSO,
    STEP_TRAP_CPUID,
    STEP_TRAP_TSC,
    STEP_NO_NEW_PRIVS,
    STEP_FILTER,
};

static const struct {
    const char *name;
    const char *call;
} steps[] = {
    [STEP_SESSION] = {"start a session", "setsid(2)"},
    [STEP_SCHEDULING] = {"give up real-time scheduling", "sched_setscheduler(2)"},
    [STEP_PERSONALITY] = {"make readable memory not executable", "personality(2)"},
    [STEP_SIGNALS] = {"reset signals", "rt_sigaction(2) or rt_sigprocmask(2)"},
    [STEP_RSEQ] = {"unregister restartable sequences", "rseq(2)"},
    [STEP_MAP] = {"map the stub", "mmap(2)"},
    [STEP_PROTECT] = {"protect the stub", "mprotect(2)"},
    [STEP_HANDLERS] = {"install the stub's signal handlers", "rt_sigaction(2)"},
    [STEP_SLEEP] = {"let a stub sleep", "ppoll(2)"},
    [STEP_VDSO] = {"give guests a vDSO", "madvise(2), mprotect(2), mremap(2) or mmap(2)"},
    [STEP_TRAP_CPUID] = {"trap CPUID", "the trap"},
    [STEP_TRAP_TSC] = {"trap RDTSC", "the trap"},
    [STEP_NO_NEW_PRIVS] = {"give up new privileges", "prctl(PR_SET_NO_NEW_PRIVS)"},
    [STEP_FILTER] = {"load the stub's seccomp filter", "prctl(PR_SET_SECCOMP)"},
};

/* How far the new process has come, in memory that both share. */
struct stub_setup_progress {
    _Atomic int step; /* where it failed */
    _Atomic int err;
    _Atomic uint64_t vdso; /* where guests have it; 0: nowhere */
    _Atomic uint32_t vdso_kind;
};

/* ---- in the new process: no locks, no allocation, nothing but system calls ---- */

static int fail(const struct stub_setup *setup, enum setup_step step, int err)
{
    atomic_store(&setup->progress->step, (int)step);
    atomic_store(&setup->progress->err, err);
    return err;
}

static int set_traps(const struct stub_setup *setup)
{
    int err;

    if (setup->flags & TG_OPEN_TRAP_CPUID) {
        err = tgi_arch.stub_trap_cpuid();
        if (err)
            return fail(setup, STEP_TRAP_CPUID, err);
    }
    if (setup->flags & TG_OPEN_TRAP_TSC) {
        err = tgi_arch.stub_trap_tsc();
        if (err)
            return fail(setup, STEP_TRAP_TSC, err);
    }
    return 0;
}

/* The host's, or the library's where that does not come. */
static int put_vdso(const struct stub_setup *setup, uint64_t room, uint64_t page)
{
    const struct tg_platform *platform = setup->platform;
    uint32_t kind = TG_VDSO_HOST;
    uint64_t at = 0;
    int err = platform->host_vdso ? stub_vdso_move(platform->host_vdso, room, page, &at) : 0;

    if (!err && !at && platform->own_vdso) {
        kind = TG_VDSO_OWN;
        err = stub_vdso_put(room, page, &at);
    }
    atomic_store(&setup->progress->vdso, at);
    atomic_store(&setup->progress->vdso_kind, at ? kind : TG_VDSO_NONE);
    return err;
}

/* Each subprocess maps its own page of clocks there. */
static void seal_vdso(const struct stub_setup *setup, uint64_t room, uint64_t page)
{
    const uint64_t end = room + STUB_VDSO_PAGES * page;
    const uint64_t clocks = stub_vdso_clocks(room, page);

    if (atomic_load(&setup->progress->vdso_kind) == TG_VDSO_OWN) {
        stub_process_seal(room, clocks);
        room = clocks + page;
    }
    stub_process_seal(room, end);
}

/* It has its place in every stub, so that there is one layout; nobody changes it from here on. */
static int give_vdso(const struct stub_setup *setup)
{
    const uint64_t page = setup->platform->info.page_size;
    const uint64_t room = setup->vdso_room(setup->platform);
    int err;

    /* A filter that kills for one of these calls leaves nobody to say so. */
    fail(setup, STEP_VDSO, -EPERM);
    err = put_vdso(setup, room, page);
    atomic_store(&setup->progress->step, STEP_NONE);
    if (err)
        return fail(setup, STEP_VDSO, err);
    seal_vdso(setup, room, page);
    return 0;
}

static int make_room(const struct stub_setup *setup)
{
    int err;

    if ((err = setup->map(setup->platform)))
        return fail(setup, STEP_MAP, err);
    if ((err = setup->protect(setup->platform)))
        return fail(setup, STEP_PROTECT, err);
    if (setup->install_handlers && (err = setup->install_handlers(setup->platform)))
        return fail(setup, STEP_HANDLERS, err);
    if (setup->try_sleep && (err = setup->try_sleep(setup->platform)))
        return fail(setup, STEP_SLEEP, err);
    return give_vdso(setup);
}

static int give_up_rights(const struct stub_setup *setup)
{
    stub_process_drop_capabilities();
    if (syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return fail(setup, STEP_NO_NEW_PRIVS, -errno);
    if (syscall(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &setup->filter, 0, 0))
        return fail(setup, STEP_FILTER, -errno);
    return 0;
}

int stub_setup_run(const struct stub_setup *setup)
{
    int err;

    if (syscall(SYS_setsid) < 0)
        return fail(setup, STEP_SESSION, -errno);
    if ((err = stub_process_reset_scheduling()))
        return fail(setup, STEP_SCHEDULING, err);
    if ((err = stub_process_reset_personality()))
        return fail(setup, STEP_PERSONALITY, err);
    if ((err = stub_process_reset_signals()))
        return fail(setup, STEP_SIGNALS, err);
    if ((err = stub_process_unregister_rseq()))
        return fail(setup, STEP_RSEQ, err);
    if ((err = make_room(setup)))
        return err;
    if ((err = set_traps(setup)))
        return err;
    syscall(SYS_prctl, PR_SET_NAME, "trapgate-stub", 0, 0, 0);
    /* Nothing of the embedder's stays in here, and its tracers and copies must get in whatever its own setting is. */
    syscall(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0);
    return give_up_rights(setup);
}

/* ---- in the embedder ---- */

int stub_setup_open(struct stub_setup *setup, struct open_report *report)
{
    setup->progress = mmap(NULL, sizeof(*setup->progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (setup->progress != MAP_FAILED)
        return 0;
    return open_report_call(report, "allocate", "mmap(2)", -errno);
}

void stub_setup_reset(const struct stub_setup *setup)
{
    atomic_store(&setup->progress->step, STEP_NONE);
    atomic_store(&setup->progress->vdso, 0);
    atomic_store(&setup->progress->vdso_kind, TG_VDSO_NONE);
}

void stub_setup_learn(const struct stub_setup *setup)
{
    setup->platform->info.vdso = atomic_load(&setup->progress->vdso);
    setup->platform->info.vdso_kind = atomic_load(&setup->progress->vdso_kind);
}

void stub_setup_close(struct stub_setup *setup)
{
    munmap(setup->progress, sizeof(*setup->progress));
    setup->progress = NULL;
}

static int filter_failed(struct open_report *report, int err)
{
    const char *remedy = "use a kernel with CONFIG_SECCOMP_FILTER";

    if (err == -ENOMEM)
        remedy = "load fewer seccomp filters before: the kernel allows 32768 instructions in all";
    else if (err != -EINVAL)
        return open_report_call(report, steps[STEP_FILTER].name, steps[STEP_FILTER].call, err);
    open_report_fill(report, steps[STEP_FILTER].name, remedy, "%s: %s", steps[STEP_FILTER].call, strerror(-err));
    return open_error(err);
}

int stub_setup_failed(const struct stub_setup *setup, struct open_report *report)
{
    int step = atomic_load(&setup->progress->step);
    int err = atomic_load(&setup->progress->err);

    if (step == STEP_NONE)
        return 0;
    if (step == STEP_TRAP_CPUID || step == STEP_TRAP_TSC) {
        open_report_fill(report, steps[step].name,
                         "open the platform without that flag: this processor or kernel has no such trap", "%s: %s",
                         steps[step].call, strerror(-err));
        return -EOPNOTSUPP;
    }
    if (step == STEP_RSEQ && err == -EBUSY) {
        open_report_fill(report, steps[step].name,
                         "keep other libraries than glibc from calling rseq(2) in every thread of this program",
                         "another library has registered restartable sequences");
        return -EOPNOTSUPP;
    }
    if (step == STEP_FILTER)
        return filter_failed(report, err);
    if (step == STEP_PROTECT && err == -EACCES) {
        open_report_fill(report, steps[step].name,
                         "open the platform in a process without PR_SET_MDWE (systemd: MemoryDenyWriteExecute=) and "
                         "with SELinux's execmem, or set PR_MDWE_NO_INHERIT (Linux 6.6) as well",
                         "mprotect(2): the host forbids memory to become executable");
        return -EPERM;
    }
    open_report_call(report, steps[step].name, steps[step].call, err);
    /* For whoever tries another address. */
    return err == -EEXIST ? err : open_error(err);
}
