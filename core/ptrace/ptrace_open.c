/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Opening and closing the backend, and its operations table. */
#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "core/memory_calls.h"
#include "core/ptrace/clock_memory.h"
#include "core/ptrace/guest_memory.h"
#include "core/ptrace/lazy_fp.h"
#include "core/ptrace/life.h"
#include "core/ptrace/ptrace_queue.h"
#include "core/ptrace/ptrace_queue_wait.h"
#include "core/ptrace/ptrace_run.h"
#include "core/ptrace/ptrace_subprocess.h"
#include "core/ptrace/ptrace_template.h"
#include "core/ptrace/queue_ends.h"
#include "core/ptrace/queue_lists.h"
#include "core/ptrace/queue_service.h"
#include "core/ptrace/stub_thread.h"
#include "core/ptrace/tracer.h"
#include "core/ptrace/tracer_end.h"
#include "core/ptrace/tracer_thread.h"
#include "core/sweep.h"

#define FP_SIZE_MAX ((size_t)64 * 1024)

/* The FP state's size and what a new thread's looks like, from a stub thread. */
static int learn_fpstate(struct tg_platform *platform, struct stub_thread *thread)
{
    struct ptrace_platform *pp = ptrace_platform(platform);
    uint8_t *image = calloc(1, FP_SIZE_MAX);
    size_t size;
    int err;

    if (!image)
        return -ENOMEM;
    err = stub_thread_fp_size(thread, image, FP_SIZE_MAX, &size);
    if (err) {
        free(image);
        return err;
    }
    tgi_arch.fp_init(image, size);
    pp->fp_initial = image;
    platform->info.fpstate_size = size;
    return 0;
}

static int inject_unmap(void *arg, uint64_t start, uint64_t end)
{
    struct stub_thread *thread = arg;
    const struct ptrace_platform *pp = ptrace_platform(thread->subprocess->base.platform);
    struct arch_stub_request request = {
        .job = ARCH_STUB_CALL,
        .stub_start = pp->stub_start,
        .call = {.nr = tgi_arch.syscalls.munmap, .args = {start, end - start}},
    };
    tg_regs after;
    int err;

    tgi_arch_ptrace->stub_add_cookie(&request.call, pp->cookie);
    err = stub_thread_inject(thread, &request, &after);
    return err ? err : (int)tgi_arch_ptrace->stub_result(&after);
}

static int sweep(struct tg_platform *platform, struct open_report *report)
{
    static const char step[] = "unmap the embedder's memory";
    const struct ptrace_platform *pp = ptrace_platform(platform);
    struct ptrace_subprocess *template = pp->template.subprocess;
    struct stub_thread *thread;
    int err = tracer_acquire(tracer_current(platform), template, NULL, &thread);

    if (!err) {
        err = sweep_all(platform, pp->stub_start, pp->stub_end, inject_unmap, thread);
        tracer_release(thread);
    }
    if (err == -ESRCH)
        return open_report_end(report, step, template->base.death_reason, template->base.death_status);
    return err ? open_report_call(report, step, "munmap(2)", err) : 0;
}

static int inject_operation(struct stub_thread *thread, const struct tg_mem_op *op)
{
    const struct ptrace_platform *pp = ptrace_platform(thread->subprocess->base.platform);
    struct arch_stub_request request = {.job = ARCH_STUB_CALL, .stub_start = pp->stub_start};
    tg_regs after;

    memory_call_fill(&request.call, op);
    tgi_arch_ptrace->stub_add_cookie(&request.call, pp->cookie);
    return stub_thread_inject(thread, &request, &after);
}

/*
 * A filter that stubs inherit may kill them for what a memory operation makes
 * them call. What it refuses is said when the embedder asks for it. 0; -errno.
 */
static int make_operations(const struct tg_platform *platform, struct stub_thread *thread)
{
    const uint64_t page = platform->info.page_size;
    const uint64_t at = platform->info.user_end / 2 & ~(page - 1);
    const struct tg_mem_op operations[] = {
        {.kind = TG_MEM_MAP, .addr = at, .length = page, .fd = -1, .prot = TG_PROT_READ},
        {.kind = TG_MEM_PROTECT, .addr = at, .length = page},
        {.kind = TG_MEM_ADVISE, .addr = at, .length = page, .advice = MADV_DONTNEED},
        {.kind = TG_MEM_MOVE, .addr = at, .length = page, .offset = at + page},
        {.kind = TG_MEM_UNMAP, .addr = at, .length = 2 * page},
    };
    int err = 0;

    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]) && !err; i++)
        err = inject_operation(thread, &operations[i]);
    return err;
}

static int try_operations(struct tg_platform *platform, struct open_report *report)
{
    static const char step[] = "change a stub's memory";
    struct ptrace_subprocess *template = ptrace_platform(platform)->template.subprocess;
    struct stub_thread *thread;
    int err = tracer_acquire(tracer_current(platform), template, NULL, &thread);

    if (!err) {
        err = make_operations(platform, thread);
        tracer_release(thread);
    }
    if (err == -ESRCH)
        return open_report_end(report, step, template->base.death_reason, template->base.death_status);
    return err ? open_report_call(report, step, "ptrace(2)", err) : 0;
}

/* Do calls stop, and does the kernel say how they were made? A guest of one instruction tells. */
static int learn_from_stub(struct tg_platform *platform, struct open_report *report)
{
    struct tracer *tracer = tracer_current(platform);
    struct stub_thread *thread;
    int err = tracer_acquire(tracer, ptrace_platform(platform)->template.subprocess, NULL, &thread);

    if (!err) {
        err = learn_fpstate(platform, thread);
        if (!err)
            err = stub_thread_try_call(thread);
        tracer_release(thread);
    }
    if (err)
        open_report_fill(report, "trace a system call",
                         "use a kernel from 5.10 on with CONFIG_HAVE_ARCH_TRACEHOOK, and allow ptrace(2)",
                         "PTRACE_SYSEMU, PTRACE_GETREGSET or PTRACE_GET_SYSCALL_INFO does not work: %s",
                         strerror(-err));
    return err == -EIO || err == -EINVAL ? -EOPNOTSUPP : err;
}

/* Without kicks no signal reaches a bell, and who sleeps would sleep for ever. */
static int try_kick(const struct tg_platform *platform, struct open_report *report)
{
    int err = interrupt_try_kick(ptrace_platform(platform)->template.group);

    return err ? open_report_call(report, "wake a stub", "tgkill(2)", err) : 0;
}

/* Without it every stub that is traced seems dead. This process is no child of its own, so it hears of that. */
static int try_wait(const struct tg_platform *platform, struct open_report *report)
{
    waitpid(platform->embedder, NULL, WNOHANG | __WALL);
    return errno == ECHILD ? 0 : open_report_call(report, "wait for stubs", "wait4(2)", -errno);
}

static struct ptrace_platform *new_platform(uint64_t flags)
{
    struct ptrace_platform *pp = calloc(1, sizeof(*pp));

    if (!pp)
        return NULL;
    atomic_store(&pp->next_id, 1);
    pthread_mutex_init(&pp->fp_lock, NULL);
    pthread_mutex_init(&pp->tracers_lock, NULL);
    pthread_mutex_init(&pp->queues_lock, NULL);
    pthread_mutex_init(&pp->bell_lock, NULL);
    list_init(&pp->tracers);
    atomic_store(&pp->placement,
                 !(flags & TG_OPEN_NO_PLACEMENT) && !sched_getaffinity(0, sizeof(pp->allowed_cpus), &pp->allowed_cpus));
    return pp;
}

static void free_platform(struct ptrace_platform *pp)
{
    pthread_mutex_destroy(&pp->fp_lock);
    pthread_mutex_destroy(&pp->tracers_lock);
    pthread_mutex_destroy(&pp->queues_lock);
    pthread_mutex_destroy(&pp->bell_lock);
    free(pp->fp_initial);
    free(pp);
}

static int ptrace_open(struct tg_platform *platform, const struct tg_platform_options *options,
                       struct open_report *report)
{
    struct ptrace_platform *pp = new_platform(options->flags);
    int err;

    if (!pp) {
        open_report_fill(report, "allocate", "free some memory", "no memory for the backend");
        return -ENOMEM;
    }
    platform->backend = pp;
    tracers_init(tracers_thread_ends);
    err = try_wait(platform, report);
    if (!err)
        err = ptrace_template_start(platform, options, report);
    if (!err) {
        err = sweep(platform, report);
        if (!err)
            err = try_operations(platform, report);
        if (!err)
            err = learn_from_stub(platform, report);
        if (!err)
            err = try_kick(platform, report);
        if (err)
            ptrace_template_stop(platform);
    }
    if (err)
        free_platform(pp);
    else
        platform->info.capabilities |= tgi_arch_ptrace->capabilities;
    return err;
}

static void ptrace_close(struct tg_platform *platform)
{
    ptrace_template_stop(platform);
    free_platform(ptrace_platform(platform));
}

static int ptrace_fp_check(const struct tg_platform *platform, const void *image)
{
    return tgi_arch.fp_check(image, ptrace_platform(platform)->fp_initial, platform->info.fpstate_size);
}

static const int host_calls[] = {
    SCMP_SYS(ptrace),
    SCMP_SYS(sched_setaffinity),
    SCMP_SYS(getcpu),
    /* guest memory, by /proc/THREAD/mem where process_vm_readv(2) is refused */
    SCMP_SYS(pread64),
    SCMP_SYS(pwrite64),
    /* the page of clocks of each subprocess, with TG_OPEN_VDSO_OWN */
    SCMP_SYS(memfd_create),
    SCMP_SYS(ftruncate),
    SCMP_SYS(prlimit64),
};

static bool is_ported(void)
{
    return tgi_arch_ptrace;
}

const struct backend_ops ptrace_backend = {
    .backend = TG_BACKEND_PTRACE,
    .name = "ptrace",
    .subprocess_size = sizeof(struct ptrace_subprocess),
    .context_size = sizeof(struct ptrace_context),
    .queue_size = sizeof(struct ptrace_queue),
    .host_calls = host_calls,
    .host_call_count = sizeof(host_calls) / sizeof(host_calls[0]),
    .is_ported = is_ported,
    .open = ptrace_open,
    .subprocess_forget = ptrace_subprocess_forget,
    .close = ptrace_close,
    .subprocess_create = ptrace_subprocess_create,
    .subprocess_destroy = ptrace_subprocess_destroy,
    .subprocess_empty = ptrace_subprocess_empty,
    .subprocess_reset = ptrace_subprocess_reset,
    .subprocess_apply = ptrace_subprocess_apply,
    .subprocess_copy = ptrace_subprocess_copy,
    .subprocess_clocks = clock_memory_of,
    .context_reset = ptrace_context_reset,
    .context_pull_fp = ptrace_context_pull_fp,
    .fp_check = ptrace_fp_check,
    .context_fp_changes = ptrace_context_fp_changes,
    .context_destroy = ptrace_context_destroy,
    .context_switch = ptrace_context_switch,
    .queue_create = ptrace_queue_create,
    .queue_submit = ptrace_queue_submit,
    .queue_wait = ptrace_queue_wait,
    .queue_rouse = ptrace_queue_rouse,
    .queue_hand_over = ptrace_queue_hand_over,
    .queue_thread = ptrace_queue_thread,
    .queue_serve = ptrace_queue_serve,
    .queue_has_ready = ptrace_queue_has_ready,
    .queue_hand_out = ptrace_queue_hand_out,
    .queue_destroy = ptrace_queue_destroy,
};
