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

static const char *const step_names[] = {
    [STEP_SESSION] = "start a session",
    [STEP_SIGNALS] = "reset signals",
    [STEP_RSEQ] = "unregister restartable sequences",
    [STEP_MAP] = "map the stub",
    [STEP_PROTECT] = "protect the stub",
    [STEP_HANDLERS] = "install the stub's signal handlers",
    [STEP_TRAP_CPUID] = "trap CPUID",
    [STEP_TRAP_TSC] = "trap RDTSC",
    [STEP_NO_NEW_PRIVS] = "give up new privileges",
    [STEP_FILTER] = "load the stub's seccomp filter",
};

struct stub_setup_report {
    _Atomic int step; /* where it failed */
    _Atomic int err;
};

/* ---- in the new process: no locks, no allocation, nothing but system calls ---- */

static int fail(const struct stub_setup *setup, enum setup_step step, int err)
{
    atomic_store(&setup->report->step, (int)step);
    atomic_store(&setup->report->err, err);
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

static int make_room(const struct stub_setup *setup)
{
    int err;

    if ((err = setup->map(setup->platform)))
        return fail(setup, STEP_MAP, err);
    if ((err = setup->protect(setup->platform)))
        return fail(setup, STEP_PROTECT, err);
    if (setup->install_handlers && (err = setup->install_handlers(setup->platform)))
        return fail(setup, STEP_HANDLERS, err);
    return 0;
}

static int give_up_rights(const struct stub_setup *setup)
{
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
    if ((err = stub_process_reset_signals(setup->unblocked_signals)))
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
    setup->report = mmap(NULL, sizeof(*setup->report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (setup->report != MAP_FAILED)
        return 0;
    open_report_fill(report, "allocate", "free some memory", "%s", strerror(errno));
    return -ENOMEM;
}

void stub_setup_reset(const struct stub_setup *setup)
{
    atomic_store(&setup->report->step, STEP_NONE);
}

void stub_setup_close(struct stub_setup *setup)
{
    munmap(setup->report, sizeof(*setup->report));
    setup->report = NULL;
}

int stub_setup_failed(const struct stub_setup *setup, struct open_report *report)
{
    const char *remedy = "report this as a bug with the kernel's version";
    int step = atomic_load(&setup->report->step);
    int err = atomic_load(&setup->report->err);
    bool trap = step == STEP_TRAP_CPUID || step == STEP_TRAP_TSC;

    if (step == STEP_NONE)
        return 0;
    if (trap)
        remedy = "open the platform without that flag: this processor or kernel has no such trap";
    else if (step == STEP_FILTER)
        remedy = "use a kernel with CONFIG_SECCOMP_FILTER, and allow seccomp(2) and prctl(2) in the container";
    else if (step == STEP_RSEQ)
        remedy = "keep other libraries than glibc from calling rseq(2) in every thread of this program";
    open_report_fill(report, step_names[step], remedy, "the new stub process failed: %s", strerror(-err));
    return trap || step == STEP_RSEQ ? -EOPNOTSUPP : err;
}
