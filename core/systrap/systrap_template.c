/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The template: the first stub process of a platform, a copy of the embedder
 * that maps the stub's region, throws away everything else, and from then on
 * does nothing but make the others. No guest ever runs in it.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/filter_program.h"
#include "core/stub_process.h"
#include "core/stub_setup.h"
#include "core/stub_vdso.h"
#include "core/subprocess_life.h"
#include "core/sweep.h"
#include "core/systrap/keeper.h"
#include "core/systrap/lifetime.h"
#include "core/systrap/orders.h"
#include "core/systrap/stub_filters.h"
#include "core/systrap/stub_memory.h"
#include "core/systrap/systrap_subprocess.h"
#include "core/systrap/systrap_template.h"

#define PLACE_TRIES        32
#define PLACE_WINDOW       ((uint64_t)1 << 40) /* how far below the end of user space the region may lie */
#define KERNEL_SIGSET_SIZE 8
#define KERNEL_SA_RESTORER 0x04000000

_Static_assert(SYSTRAP_VDSO + STUB_VDSO_PAGES * 0x4000 <= SYSTRAP_SLOTS, "the vDSO fits, with pages up to 16 KiB");

/* One try to make the process. */
struct start {
    const struct stub_setup *setup;
    pid_t pid; /* out */
};

/* ---- in the new process: no locks, no allocation, nothing but system calls ---- */

/* All of the region first, so that nothing of the embedder's is left in its gaps. */
static int map_region(const struct tg_platform *platform)
{
    const struct systrap_platform *sp = systrap_platform(platform);
    struct stub_call calls[ORDERS_MAX];
    size_t n = stub_memory_calls(sp->template, calls);
    int err = stub_process_map(sp->region, SYSTRAP_REGION_SIZE, PROT_NONE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

    if (!err)
        err = stub_process_map(sp->region, sp->text_size, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (err)
        return err;
    stub_process_copy(sp->region, tgi_arch_systrap->blob, tgi_arch_systrap->blob_end);
    for (size_t i = 0; i < n && !err; i++) {
        const uint64_t *args = calls[i].args;

        err = stub_process_map(args[0], args[1], args[2], args[3], (int64_t)args[4], args[5]);
    }
    return err;
}

static int protect_text(const struct tg_platform *platform)
{
    const struct systrap_platform *sp = systrap_platform(platform);

    int err = stub_process_protect(sp->region, sp->region + sp->text_size, PROT_READ | PROT_EXEC);

    if (!err)
        stub_process_seal(sp->region, sp->region + sp->text_size);
    return err;
}

static uint64_t vdso_room(const struct tg_platform *platform)
{
    return systrap_platform(platform)->region + SYSTRAP_VDSO;
}

/* One handler for what a processor raises and for the kick, on the worker's signal stack, with all of these blocked. */
static int install_handlers(const struct tg_platform *platform)
{
    const struct systrap_platform *sp = systrap_platform(platform);
    static const int signals[] = {SIGSYS, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, INTERRUPT_KICK_SIGNAL};
    const uint64_t action[4] = {
        sp->region + tgi_arch_systrap->handler_offset,
        SA_SIGINFO | SA_ONSTACK | KERNEL_SA_RESTORER,
        sp->region + tgi_arch_systrap->restorer_offset,
        STUB_SIGNALS_OF_GUESTS | STUB_SIGNAL_BIT(INTERRUPT_KICK_SIGNAL),
    };

    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        if (syscall(SYS_rt_sigaction, signals[i], action, NULL, KERNEL_SIGSET_SIZE))
            return -errno;
    }
    return 0;
}

__attribute__((noreturn)) static void stub_process(const struct stub_setup *setup)
{
    const struct systrap_platform *sp = systrap_platform(setup->platform);

    if (!stub_setup_run(setup))
        tgi_arch_systrap->enter(sp->region, sp->template->file, setup->platform->embedder);
    for (;;)
        syscall(SYS_exit_group, 1);
}

/* ---- in the embedder ---- */

static int make_process(void *arg)
{
    struct start *start = arg;
    /* No CLONE_VM: a copy. CLONE_FILES: it maps the embedder's descriptors. No exit signal. */
    long pid = syscall(SYS_clone, (unsigned long)CLONE_FILES, NULL, NULL, NULL, NULL);

    if (pid == 0)
        stub_process(start->setup);
    start->pid = (pid_t)pid;
    return pid < 0 ? -errno : 0;
}

static int choose_place(struct tg_platform *platform)
{
    struct systrap_platform *sp = systrap_platform(platform);
    const uint64_t size = SYSTRAP_REGION_SIZE;
    uint64_t random;
    int err = stub_process_random(&random, sizeof(random));

    if (err)
        return err;
    sp->text_size = ((uint64_t)(tgi_arch_systrap->blob_end - tgi_arch_systrap->blob) + platform->info.page_size - 1) &
                    ~(uint64_t)(platform->info.page_size - 1);
    sp->region = ((platform->user_space.end - 2 * size) & ~(size - 1)) - random % (PLACE_WINDOW / size) * size;
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
        .cpus = config + CONFIG_CPUS,
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

static const char start_step[] = "start the stub process";

/* Fills the report: the new process has ended before its first reply. Returns the error. */
static int start_failed(const struct stub_setup *setup, struct open_report *report)
{
    const struct systrap_subprocess *template = systrap_platform(setup->platform)->template;
    int cause = stub_setup_failed(setup, report);

    return cause ? cause
                 : open_report_end(report, start_step, template->base.death_reason, template->base.death_status);
}

static int order_unmap(void *arg, uint64_t start, uint64_t end)
{
    struct systrap_subprocess *template = arg;
    struct order_reply reply;
    int err;

    orders_of(template)->calls[0] = (struct stub_call){.nr = tgi_arch.syscalls.munmap, .args = {start, end - start}};
    err = orders_give(template, 1, &reply);
    return err ? err : (int)reply.result;
}

static int sweep(struct systrap_subprocess *template, struct open_report *report)
{
    static const char step[] = "unmap the embedder's memory";
    const uint64_t region = systrap_platform(template->base.platform)->region;
    int err;

    pthread_mutex_lock(&template->order_lock);
    err = sweep_all(template->base.platform, region, region + SYSTRAP_REGION_SIZE, order_unmap, template);
    pthread_mutex_unlock(&template->order_lock);
    if (err == -ESRCH)
        return open_report_end(report, step, template->base.death_reason, template->base.death_status);
    return err ? open_report_call(report, step, "munmap(2)", err) : 0;
}

static int adopt(const struct stub_setup *setup, pid_t pid, struct open_report *report)
{
    struct systrap_platform *sp = systrap_platform(setup->platform);
    struct order_reply reply;
    int err;

    sp->group = pid;
    err = systrap_subprocess_adopt(sp->template, pid);
    if (err)
        return open_report_call(report, start_step, "pidfd_open(2) or epoll_ctl(2)", err);
    if (lseek(sp->template->file, 0, SEEK_CUR) < 0)
        return open_report_call(report, start_step, "lseek(2)", -errno);
    if (orders_first_reply(sp->template, &reply))
        return start_failed(setup, report);
    stub_setup_learn(setup);
    err = stub_memory_seal(sp->template);
    return err ? open_report_call(report, "seal the stub's memory", "fcntl(F_ADD_SEALS)", err)
               : sweep(sp->template, report);
}

static int new_template(struct tg_platform *platform, struct open_report *report)
{
    struct tg_subprocess *template = subprocess_new(platform);
    const char *call = "malloc";
    int err = template ? systrap_subprocess_init(to_systrap_subprocess(template), &call) : -ENOMEM;

    if (err) {
        if (template)
            subprocess_free(template);
        return open_report_call(report, "allocate the stub's memory", call, err);
    }
    systrap_platform(platform)->template = to_systrap_subprocess(template);
    return 0;
}

/* One try to start the template with the region at sp->region; -EEXIST: something else is there. */
static int start_at(struct stub_setup *setup, struct open_report *report)
{
    struct systrap_platform *sp = systrap_platform(setup->platform);
    struct start start = {.setup = setup};
    int err = fill_config(sp, &setup->filter);

    if (err)
        return filter_program_failed(report, err);
    stub_setup_reset(setup);
    err = new_template(setup->platform, report);
    if (err) {
        free(setup->filter.filter);
        return err;
    }
    err = keeper_start(sp, make_process, &start, report);
    free(setup->filter.filter);
    if (!err)
        err = adopt(setup, start.pid, report);
    if (err)
        systrap_template_stop(setup->platform);
    return err;
}

int systrap_template_start(struct tg_platform *platform, const struct tg_platform_options *options,
                           struct open_report *report)
{
    struct stub_setup setup = {
        .platform = platform,
        .flags = options->flags,
        .map = map_region,
        .protect = protect_text,
        .install_handlers = install_handlers,
        .vdso_room = vdso_room,
    };
    int err = stub_setup_open(&setup, report);

    if (err)
        return err;
    for (int i = 0; i < PLACE_TRIES; i++) {
        err = choose_place(platform);
        if (err) {
            err = open_report_call(report, "choose an address", "getrandom(2)", err);
            break;
        }
        err = start_at(&setup, report);
        if (err != -EEXIST)
            break;
    }
    stub_setup_close(&setup);
    return open_error(err);
}

void systrap_template_stop(struct tg_platform *platform)
{
    struct systrap_platform *sp = systrap_platform(platform);

    keeper_reap_strangers(sp);
    systrap_subprocess_destroy(&sp->template->base);
    sp->template = NULL;
    keeper_stop(sp);
}
