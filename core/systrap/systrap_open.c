/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Opening and closing the backend, and its operations table. */
#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/lowest_address.h"
#include "core/quiet_thread.h"
#include "core/systrap/keeper.h"
#include "core/systrap/lifetime.h"
#include "core/systrap/patching/page_orders.h"
#include "core/systrap/patching/patches.h"
#include "core/systrap/queue_rouse.h"
#include "core/systrap/spin_grants.h"
#include "core/systrap/spin_time.h"
#include "core/systrap/statistics.h"
#include "core/systrap/stub_memory.h"
#include "core/systrap/switch_or_submit.h"
#include "core/systrap/systrap_queue.h"
#include "core/systrap/systrap_queue_wait.h"
#include "core/systrap/systrap_reset.h"
#include "core/systrap/systrap_run.h"
#include "core/systrap/systrap_subprocess.h"
#include "core/systrap/systrap_template.h"
#include "core/systrap/worker_answers.h"
#include "core/systrap/worker_bytes.h"
#include "core/systrap/worker_copy.h"

#define FP_SIZE_MAX    ((size_t)64 * 1024)
#define FP_ALIGNMENT   64
#define SLOT_FP_OFFSET 512

_Static_assert(sizeof(struct systrap_slot) <= SLOT_FP_OFFSET, "the FP state lies behind the rest of a slot");

static int learn_fpstate(struct tg_platform *platform)
{
    struct systrap_platform *sp = systrap_platform(platform);
    const uint64_t page = platform->info.page_size;
    size_t size;

    sp->fp_initial = aligned_alloc(FP_ALIGNMENT, FP_SIZE_MAX);
    if (!sp->fp_initial)
        return -ENOMEM;
    memset(sp->fp_initial, 0, FP_SIZE_MAX);
    size = tgi_arch_systrap->fp_learn(sp->fp_initial, FP_SIZE_MAX, &sp->config.fp_features);
    if (!size)
        return -EOPNOTSUPP;
    tgi_arch.fp_init(sp->fp_initial, size);
    platform->info.fpstate_size = size;
    sp->config.fp_offset = SLOT_FP_OFFSET;
    sp->config.fp_size = (uint32_t)size;
    sp->slot_size = (SLOT_FP_OFFSET + size + FP_ALIGNMENT - 1) & ~(uint64_t)(FP_ALIGNMENT - 1);
    sp->config.slot_size = sp->slot_size;
    sp->slots_max = (uint32_t)((SYSTRAP_REGION_SIZE - SYSTRAP_SLOTS - CODE_PAGES * page) / sp->slot_size);
    if (sp->slots_max > RING_LARGE)
        sp->slots_max = RING_LARGE;
    sp->aside_pages = (SYSTRAP_SLOTS + sp->slots_max * sp->slot_size + page - 1) & ~(page - 1);
    sp->slots = STUB_CODE_PAGES + CODE_PAGES * page;
    return 0;
}

static void learn_processors(struct systrap_platform *sp, uint64_t spin_ns, bool places)
{
    int n = sched_getaffinity(0, sizeof(sp->allowed_cpus), &sp->allowed_cpus) ? 1 : CPU_COUNT(&sp->allowed_cpus);

    sp->workers_max = n < SYSTRAP_WORKERS_MAX ? (uint32_t)n : SYSTRAP_WORKERS_MAX;
    sp->workers_usual = sp->workers_max > 1 ? sp->workers_max - 1 : 1;
    sp->config.workers_usual = sp->workers_usual;
    if (n == 1)
        return;
    sp->spinners_max = (uint32_t)n / 2;
    sp->grants_max = (uint32_t)n / 2;
    atomic_store(&sp->places, places);
    if (places) {
        memcpy(sp->config.cpus, &sp->allowed_cpus, sizeof(sp->config.cpus));
        sp->config.cpus_size = sizeof(sp->config.cpus);
    }
    spin_time_learn(sp, spin_ns);
}

static struct systrap_platform *new_platform(void)
{
    struct systrap_platform *sp = calloc(1, sizeof(*sp));

    if (!sp)
        return NULL;
    atomic_store(&sp->next_id, 1);
    pthread_mutex_init(&sp->keeper_lock, NULL);
    site_memory_init(&sp->site_memory);
    list_init(&sp->kept);
    spin_grants_init(sp);
    return sp;
}

static void free_platform(struct systrap_platform *sp)
{
    pthread_mutex_destroy(&sp->keeper_lock);
    site_memory_destroy(&sp->site_memory);
    spin_grants_destroy(sp);
    free(sp->fp_initial);
    free(sp);
}

static void promise_patching(struct tg_info *info)
{
    info->capabilities |= TG_CAP_PATCHING | TG_CAP_ANSWERS;
    info->reserved[info->reserved_count++] = (struct tg_range){
        .start = tgi_arch_patching->table_start,
        .end = tgi_arch_patching->table_start + tgi_arch_patching->table_size,
    };
}

static int open_steps(struct tg_platform *platform, const struct tg_platform_options *options,
                      struct open_report *report)
{
    struct systrap_platform *sp = systrap_platform(platform);
    const char *missing = tgi_arch_systrap->missing();
    struct clock_pair before = {0};
    bool measure;
    int err;

    if (missing) {
        open_report_fill(report, "look at the processor", "use the ptrace backend", "%s", missing);
        return -EOPNOTSUPP;
    }
    err = learn_fpstate(platform);
    if (err) {
        open_report_fill(report, "learn the size of the FP state", "use the ptrace backend", "%s", strerror(-err));
        return err;
    }
    learn_processors(sp, options->spin_ns, !(options->flags & TG_OPEN_NO_PLACEMENT));
    sp->config.patching = tgi_arch_patching && !(options->flags & TG_OPEN_NO_PATCHING) &&
                          lowest_address(platform->info.page_size) <= tgi_arch_patching->table_start;
    /* Where guests must not read the processor's clock the stub, which runs in the same threads, cannot either. */
    measure = platform->measures_latency && !(options->flags & TG_OPEN_TRAP_TSC);
    if (measure)
        before = statistics_read_clocks();
    err = systrap_template_start(platform, options, report);
    if (err)
        return err;
    if (sp->config.patching && !page_orders_register(sp->template)) {
        sp->config.patching = false;
        /* In the template, from which all subprocesses inherit it. */
        patches_turn_off(sp->template);
    }
    if (measure)
        statistics_learn_ticks(sp, &before);
    return 0;
}

static int systrap_open(struct tg_platform *platform, const struct tg_platform_options *options,
                        struct open_report *report)
{
    struct systrap_platform *sp = new_platform();
    int err;

    if (!sp) {
        open_report_fill(report, "allocate", "free some memory", "no memory for the backend");
        return -ENOMEM;
    }
    platform->backend = sp;
    err = open_steps(platform, options, report);
    if (err) {
        free_platform(sp);
        return err;
    }
    platform->info.capabilities |= tgi_arch_systrap->capabilities;
    if (sp->config.patching)
        promise_patching(&platform->info);
    return 0;
}

static void systrap_close(struct tg_platform *platform)
{
    systrap_template_stop(platform);
    free_platform(systrap_platform(platform));
}

static void systrap_forget(struct tg_platform *platform)
{
    struct systrap_platform *sp = systrap_platform(platform);

    systrap_subprocess_forget(&sp->template->base, true);
    keeper_close_copies(sp);
}

static int systrap_fp_check(const struct tg_platform *platform, const void *image)
{
    return tgi_arch.fp_check(image, systrap_platform(platform)->fp_initial, platform->info.fpstate_size);
}

static const int host_calls[] = {
    SCMP_SYS(futex_waitv),
    SCMP_SYS(sched_setaffinity),
    SCMP_SYS(getcpu),
    SCMP_SYS(lseek),
    /* files that are mapped to be run */
    SCMP_SYS(preadv2),
    SCMP_SYS(pread64),
    SCMP_SYS(fstatfs),
    SCMP_SYS(memfd_create),
    SCMP_SYS(ftruncate),
    SCMP_SYS(prlimit64),
    SCMP_SYS(pwrite64),
    SCMP_SYS(rt_sigtimedwait),
    /* ends of stubs */
    SCMP_SYS(pidfd_open),
    SCMP_SYS(pidfd_send_signal),
    SCMP_SYS(getpgid),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_wait),
};

static bool is_ported(void)
{
    return tgi_arch_systrap;
}

const struct backend_ops systrap_backend = {
    .backend = TG_BACKEND_SYSTRAP,
    .name = "systrap",
    .subprocess_size = sizeof(struct systrap_subprocess),
    .context_size = sizeof(struct systrap_context),
    .queue_size = sizeof(struct systrap_queue),
    .host_calls = host_calls,
    .host_call_count = sizeof(host_calls) / sizeof(host_calls[0]),
    .needs_trial = true,
    .is_ported = is_ported,
    .open = systrap_open,
    .subprocess_forget = systrap_subprocess_forget,
    .forget = systrap_forget,
    .end_guests = systrap_end_guests,
    .close = systrap_close,
    .set_spin = systrap_set_spin,
    .add_stub_numbers = systrap_add_stub_numbers,
    .subprocess_create = systrap_subprocess_create,
    .subprocess_destroy = systrap_subprocess_destroy,
    .subprocess_empty = systrap_subprocess_empty,
    .subprocess_reset = systrap_subprocess_reset,
    .subprocess_apply = systrap_subprocess_apply,
    .subprocess_copy = systrap_subprocess_copy,
    .subprocess_answer = systrap_subprocess_answer,
    .subprocess_clocks = stub_memory_clocks,
    .context_set_word = systrap_context_set_word,
    .context_transfer = systrap_context_transfer,
    .subprocess_brings = systrap_subprocess_brings,
    .context_bring = systrap_context_bring,
    .context_create = systrap_context_create,
    .context_reset = systrap_context_reset,
    .context_pull_regs = systrap_context_pull_regs,
    .context_set_return = systrap_context_set_return,
    .context_pull_fp = systrap_context_pull_fp,
    .fp_check = systrap_fp_check,
    .context_fp_changes = systrap_context_fp_changes,
    .context_destroy = systrap_context_destroy,
    .context_switch = systrap_context_switch,
    .context_switch_or_submit = systrap_context_switch_or_submit,
    .queue_create = systrap_queue_create,
    .queue_submit = systrap_queue_submit,
    .queue_wait = systrap_queue_wait,
    .queue_rouse = systrap_queue_rouse,
    .queue_thread = quiet_thread_create,
    .queue_serve = systrap_queue_serve,
    .queue_has_ready = systrap_queue_has_ready,
    .queue_hand_out = systrap_queue_hand_out,
    .queue_destroy = systrap_queue_destroy,
};
