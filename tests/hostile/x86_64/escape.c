/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Every system call number, from guest code through every entry, and from
 * every instruction of the stub that enters the kernel: what comes is an
 * event, or the end of the subprocess, and nothing has happened on the host.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arch.h"
#include "bounded.h"
#include "clock.h"
#include "footprint.h"
#include "guests_x86_64.h"
#include "hostile.h"
#include "proc.h"
#include "soak.h"
#include "stress.h"
#include "text.h"
#include "threads.h"

#define NUMBERS             512
#define URETPROBE           335
#define UPROBE              336
#define ROUNDS              8
#define X32_BIT             0x40000000u
#define PATH_OLD            (GUEST_DATA_AT + 0x1000)
#define PATH_NEW            (GUEST_DATA_AT + 0x2000)
#define BUFFER              (GUEST_DATA_AT + 0x3000)
#define CODE_INT80          (GUEST_CODE_AT + GUEST_CODE_SIZE)
#define CODE_CALLS          (CODE_INT80 + 0x10000)
#define CALLS_TO_PATCH      32
#define KEPT                "kept"
#define STUCK_NS            INT64_C(3000000)
#define LOST_NS             INT64_C(100000000)
#define LOOK_NS             500000
#define MAP_FIXED_ANONYMOUS 0x32
#define CLONE_AS_THREAD     0x50f00 /* VM, FS, FILES, SIGHAND, THREAD, SYSVSEM */
#define STUB_THREADS        (1 + SYSTRAP_WORKERS_MAX)

/* What a call that reached the host would change. */
struct world {
    char folder[64];
    char old_path[96];
    char new_path[96];
    int pipe[2];
    pid_t canary;
    size_t descriptors;
};

struct escape {
    struct world world;
    struct guest guest;
    struct text text;
    struct bounded *bounded;
    size_t stub_mappings;
    pthread_t nudger;
    _Atomic bool over;
    uint64_t tried, events, deaths, lost;
};

/* ---- the world ---- */

static pid_t start_canary(void)
{
    const pid_t pid = CHECK_SYSTEM(fork());
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
    return pid;
}

static void world_open(struct world *world)
{
    strcpy(world->folder, "/tmp/hostile.XXXXXX");
    CHECK(mkdtemp(world->folder) != NULL);
    snprintf(world->old_path, sizeof(world->old_path), "%s/old", world->folder);
    snprintf(world->new_path, sizeof(world->new_path), "%s/new", world->folder);
    const int file = CHECK_SYSTEM(open(world->old_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    CHECK_EQ(CHECK_SYSTEM(write(file, KEPT, sizeof(KEPT))), sizeof(KEPT));
    CHECK_SYSTEM(close(file));
    CHECK_SYSTEM(pipe2(world->pipe, O_CLOEXEC));
    world->canary = start_canary();
}

static void world_close(const struct world *world)
{
    CHECK_SYSTEM(kill(world->canary, SIGKILL));
    CHECK_EQ(CHECK_SYSTEM(waitpid(world->canary, NULL, 0)), world->canary);
    CHECK_SYSTEM(close(world->pipe[0]));
    CHECK_SYSTEM(close(world->pipe[1]));
    CHECK_SYSTEM(unlink(world->old_path));
    CHECK_SYSTEM(rmdir(world->folder));
}

static void check_world(const struct world *world)
{
    struct stat status;
    int waiting = -1;
    CHECK_SYSTEM(stat(world->old_path, &status));
    CHECK_EQ(status.st_size, sizeof(KEPT));
    CHECK_EQ(status.st_mode, S_IFREG | 0600);
    CHECK_EQ(status.st_nlink, 1);
    CHECK(access(world->new_path, F_OK) != 0);
    CHECK_SYSTEM(ioctl(world->pipe[0], FIONREAD, &waiting));
    CHECK_EQ(waiting, 0);
    CHECK_EQ(CHECK_SYSTEM(fcntl(world->pipe[1], F_GETFD)), FD_CLOEXEC);
    CHECK_EQ(waitpid(world->canary, NULL, WNOHANG | WUNTRACED), 0);
    CHECK_EQ(proc_count("/proc/self/fd"), world->descriptors);
}

/* ---- the stub ---- */

static void check_stub(struct escape *escape)
{
    const pid_t pid = tg_subprocess_pid(escape->guest.subprocess);
    if (pid <= 0 || !proc_alive(pid))
        return;
    CHECK(proc_thread_count(pid) <= STUB_THREADS);
    CHECK_EQ(proc_mappings(pid, NULL, 0), escape->stub_mappings);
}

/* Calls from a place that is worth a patch, so that there is a trampoline. An interrupt may be left over. */
static void make_calls(struct guest *guest)
{
    CHECK_OK(tg_context_start(guest->context, CODE_CALLS, GUEST_STACK_TOP));
    for (int i = 0; i < CALLS_TO_PATCH; i++) {
        guest_run(guest);
        CHECK(guest->event.kind == TG_EVENT_SYSCALL || guest->event.kind == TG_EVENT_INTERRUPTED);
    }
}

static void fill_stub(struct escape *escape)
{
    tg_subprocess *subprocess = escape->guest.subprocess;
    const struct world *world = &escape->world;
    load_code(subprocess, CODE_INT80, GUEST_CODE(int80_loop));
    load_code(subprocess, CODE_CALLS, GUEST_CODE(call_loop));
    CHECK_OK(tg_subprocess_write(subprocess, PATH_OLD, world->old_path, sizeof(world->old_path), NULL));
    CHECK_OK(tg_subprocess_write(subprocess, PATH_NEW, world->new_path, sizeof(world->new_path), NULL));
    make_calls(&escape->guest);
    escape->stub_mappings = proc_mappings(tg_subprocess_pid(subprocess), NULL, 0);
}

static void replace_stub(struct escape *escape)
{
    BOUNDED_VOID(escape->bounded, tg_subprocess_destroy(escape->guest.subprocess));
    escape->guest.subprocess = create_loaded_subprocess(escape->guest.platform, GUEST_CODE(raw_call_loop));
    fill_stub(escape);
}

static void escape_open(struct escape *escape, uint32_t backend)
{
    *escape = (struct escape){.bounded = bounded_new("the guest's thread")};
    world_open(&escape->world);
    guest_open(&escape->guest, backend, GUEST_CODE(raw_call_loop));
    fill_stub(escape);
    escape->world.descriptors = proc_count("/proc/self/fd");
}

static void escape_close(struct escape *escape)
{
    check_world(&escape->world);
    check_stub(escape);
    guest_close(&escape->guest);
    world_close(&escape->world);
    printf("%llu calls tried: %llu events, %llu dead stubs, of which %llu were killed here\n",
           (unsigned long long)escape->tried, (unsigned long long)escape->events, (unsigned long long)escape->deaths,
           (unsigned long long)escape->lost);
}

/* ---- arguments that would do something ---- */

#define ARGUMENT_SETS 13

static void set_arguments(struct escape *escape, unsigned int set)
{
    const struct world *world = &escape->world;
    const uint64_t canary = (uint64_t)world->canary;
    const uint64_t end_of_pipe = (uint64_t)world->pipe[1];
    const uint64_t user_end = platform_info(escape->guest.platform).user_end;
    const uint64_t here = (uint64_t)AT_FDCWD;
    const uint64_t sets[ARGUMENT_SETS][6] = {
        {0},
        {PATH_NEW, O_CREAT | O_WRONLY, 0700, 0, 0, 0},
        {here, PATH_NEW, O_CREAT | O_WRONLY, 0700, 0, 0},
        {PATH_OLD, PATH_NEW, 0, 0, 0, 0},
        {PATH_OLD, 0, 0, 0, 0, 0},
        {here, PATH_OLD, 0, 0, 0, 0},
        {here, PATH_OLD, here, PATH_NEW, 0, 0},
        {end_of_pipe, BUFFER, 16, 0, 0, 0},
        {canary, SIGKILL, 0, 0, 0, 0},
        {canary, canary, SIGSTOP, BUFFER, 0, 0},
        {user_end, SYSTRAP_REGION_SIZE, 7, MAP_FIXED_ANONYMOUS, ~0ull, 0},
        {CLONE_AS_THREAD, GUEST_STACK_TOP, 0, 0, 0, 0},
        {user_end + SYSTRAP_CONTROL, 0, 0, 0, 0, 0},
    };
    for (unsigned int i = 0; i < 6; i++)
        arch_set_argument(escape->guest.context, i, sets[set][i]);
}

static void prepare(struct escape *escape, uint64_t ip, uint64_t number, unsigned int set)
{
    CHECK_OK(tg_context_start(escape->guest.context, ip, GUEST_STACK_TOP - 4096));
    arch_set_call_number(escape->guest.context, number);
    set_arguments(escape, set);
    escape->tried++;
}

/* ---- from guest code ---- */

/*
 * Newer kernels let no seccomp filter see these two. They belong to probes that
 * a debugger has set; where there is none, one is an invalid instruction and
 * the other an error, with which the guest goes on to its next call.
 */
static bool came_unfiltered(const struct escape *escape, uint64_t number)
{
    const tg_event *event = &escape->guest.event;
    if (platform_info(escape->guest.platform).backend != TG_BACKEND_SYSTRAP)
        return false;
    if (number == URETPROBE && event->kind == TG_EVENT_EXCEPTION)
        return event->u.exception.signo == SIGILL && event->u.exception.code == SI_KERNEL;
    return number == UPROBE && event->kind == TG_EVENT_SYSCALL && event->u.syscall.nr == (uint64_t)-ENXIO;
}

static void try_number(struct escape *escape, uint64_t ip, uint64_t number, uint32_t flag)
{
    const tg_event *event = &escape->guest.event;
    for (unsigned int set = 0; set < ARGUMENT_SETS; set++) {
        check_context("number 0x%llx, arguments %u, flag 0x%x", (unsigned long long)number, set, flag);
        prepare(escape, ip, number, set);
        BOUNDED_VOID(escape->bounded, guest_run(&escape->guest));
        if (came_unfiltered(escape, number))
            continue;
        CHECK_CALL(event, number);
        CHECK_EQ(event->flags & (TG_FLAG_COMPAT | TG_FLAG_X32), flag);
        escape->events++;
    }
    check_world(&escape->world);
    check_stub(escape);
}

void hostile_calls_from_guest(uint32_t backend)
{
    static const uint64_t odd[] = {~0ull, ~1ull, 0xffffffff, 0x80000000, 0x7fffffff, 0x100000027, 0x1000, 0xf0001};
    const struct footprint before = footprint_take();
    struct escape escape;
    escape_open(&escape, backend);
    for (uint64_t number = 0; number < NUMBERS; number++) {
        try_number(&escape, GUEST_CODE_AT, number, 0);
        try_number(&escape, GUEST_CODE_AT, number | X32_BIT, TG_FLAG_X32);
        try_number(&escape, CODE_INT80, number, TG_FLAG_COMPAT);
    }
    for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
        prepare(&escape, GUEST_CODE_AT, odd[i], 0);
        BOUNDED_VOID(escape.bounded, guest_run(&escape.guest));
        CHECK_KIND(&escape.guest.event, TG_EVENT_SYSCALL);
    }
    escape_close(&escape);
    footprint_check(&before);
}

/* ---- from the stub ---- */

/* What waits is interrupted. What has forged itself a way not to hear of that is another test's: it is killed. */
static void *nudge(void *argument)
{
    struct escape *escape = argument;
    int64_t stuck = 0;
    while (!atomic_load(&escape->over)) {
        const int64_t before = stuck;
        pause_ns(LOOK_NS);
        stuck = bounded_ns(escape->bounded);
        if (stuck > STUCK_NS)
            CHECK_OK(tg_context_interrupt(escape->guest.context));
        if (stuck < LOST_NS || before >= LOST_NS)
            continue;
        const pid_t pid = tg_subprocess_pid(escape->guest.subprocess);
        if (pid > 0 && kill(pid, SIGKILL) == 0)
            escape->lost++;
    }
    return NULL;
}

static void start_nudging(struct escape *escape)
{
    atomic_store(&escape->over, false);
    escape->nudger = start_thread(nudge, escape);
}

static void stop_nudging(struct escape *escape)
{
    atomic_store(&escape->over, true);
    join_thread(escape->nudger);
}

/* An event of any kind. An interrupt may be left over: the next run ends with it then. */
static void run_to_any_event(struct escape *escape)
{
    const tg_event *event = &escape->guest.event;
    BOUNDED_VOID(escape->bounded, guest_run(&escape->guest));
    escape->events++;
    if (event->kind != TG_EVENT_DEAD)
        return;
    escape->deaths++;
    check_world(&escape->world);
    stop_nudging(escape);
    replace_stub(escape);
    start_nudging(escape);
}

static void try_site(struct escape *escape, uint64_t site, uint64_t number)
{
    for (unsigned int set = 0; set < ARGUMENT_SETS; set++) {
        const unsigned long long offset = site - escape->text.region.start;
        check_context("stub + 0x%llx, number 0x%llx, arguments %u", offset, (unsigned long long)number, set);
        bounded_note("stub + 0x%llx, number 0x%llx, arguments %u", offset, (unsigned long long)number, set);
        prepare(escape, site, number, set);
        run_to_any_event(escape);
    }
}

void hostile_calls_from_stub(uint32_t backend)
{
    const struct footprint before = footprint_take();
    struct escape escape;
    need_shared_memory(backend);
    escape_open(&escape, backend);
    text_read(&escape.text, escape.guest.platform, escape.guest.subprocess);
    start_nudging(&escape);
    for (size_t i = 0; i < escape.text.call_site_count; i++) {
        for (uint64_t number = 0; number < NUMBERS; number++) {
            try_site(&escape, escape.text.call_sites[i], number);
            try_site(&escape, escape.text.call_sites[i], number | X32_BIT);
            check_world(&escape.world);
        }
        check_stub(&escape);
    }
    stop_nudging(&escape);
    escape_close(&escape);
    footprint_check(&before);
}

/* ---- any byte of the stub ---- */

/* Registers as the stub's own code has them, or might: places of the region, of the guest, small numbers, noise. */
static void forge_registers(const struct escape *escape, uint64_t *random)
{
    tg_regs *regs = tg_context_regs_mut(escape->guest.context);
    uint64_t *const words[] = {&regs->rax, &regs->rbx, &regs->rcx, &regs->rdx, &regs->rsi,
                               &regs->rdi, &regs->rbp, &regs->r8,  &regs->r9,  &regs->r10,
                               &regs->r11, &regs->r12, &regs->r13, &regs->r14, &regs->r15};
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        *words[i] = region_pick_value(&escape->text.region, random);
    /* Half of them with what the syscall thread keeps there. */
    if (next_number(random) % 2) {
        regs->r12 = escape->text.region.start;
        regs->rbx = BUFFER;
        regs->rbp = 1 + next_number(random) % 3;
    }
    if (next_number(random) % 4 == 0)
        regs->rsp = region_pick_value(&escape->text.region, random);
}

/* Orders as the embedder gives them: mprotect of the stub, clone, kill. */
static void forge_orders(struct escape *escape)
{
    const struct stub_call calls[] = {
        {SYS_mprotect, {escape->text.region.start, escape->text.region.text_size, 7, 0, 0, 0}},
        {SYS_clone, {CLONE_AS_THREAD, 0, 0, 0, 0, 1}},
        {SYS_kill, {(uint64_t)escape->world.canary, SIGKILL, 0, 0, 0, 0}},
    };
    const int result = tg_subprocess_write(escape->guest.subprocess, BUFFER, calls, sizeof(calls), NULL);
    /* What the last run has begun may end the stub between two runs. */
    CHECK(result == 0 || result == -ESRCH);
}

void hostile_stub_code_anywhere(uint32_t backend)
{
    const struct footprint before = footprint_take();
    const uint64_t seed = hostile_seed();
    uint64_t random = seed;
    struct escape escape;
    need_shared_memory(backend);
    escape_open(&escape, backend);
    text_read(&escape.text, escape.guest.platform, escape.guest.subprocess);
    start_nudging(&escape);
    for (size_t i = 0; i < escape.text.length * scaled(ROUNDS); i++) {
        const uint64_t ip = text_address(&escape.text, i % escape.text.length);
        const unsigned long long offset = ip - escape.text.region.start;
        check_context("HOSTILE_SEED=%llu stub + 0x%llx", (unsigned long long)seed, offset);
        bounded_note("HOSTILE_SEED=%llu stub + 0x%llx", (unsigned long long)seed, offset);
        prepare(&escape, ip, 0, 0);
        forge_registers(&escape, &random);
        forge_orders(&escape);
        run_to_any_event(&escape);
        if (i % 16 == 0) {
            check_world(&escape.world);
            check_stub(&escape);
        }
    }
    stop_nudging(&escape);
    escape_close(&escape);
    footprint_check(&before);
}

/* ---- writing to the stub ---- */

static void check_refused(struct guest *guest, uint64_t addr)
{
    check_context("address 0x%llx", (unsigned long long)addr);
    guest_restart(guest);
    arch_set_argument(guest->context, 0, addr);
    arch_set_argument(guest->context, 1, 0);
    guest_run(guest);
    CHECK_KIND(&guest->event, TG_EVENT_FAULT);
    CHECK_EQ(guest->event.u.fault.addr, addr);
    CHECK_EQ(guest->event.u.fault.access, TG_ACCESS_WRITE);
}

void hostile_stub_pages_stay(uint32_t backend)
{
    struct guest guest;
    need_shared_memory(backend);
    guest_open(&guest, backend, GUEST_CODE(write_calls));
    const struct region region = region_of(guest.platform, guest.subprocess);
    for (uint64_t offset = 0; offset < SYSTRAP_CONTROL; offset += guest.page)
        check_refused(&guest, region.start + offset);
    guest_close(&guest);
}
