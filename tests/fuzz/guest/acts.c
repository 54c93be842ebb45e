/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What a process does to itself and to others: the ends and beginnings that most of the kernel's pointers are about. */
#include "guest.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROCESSES_MAX 200
#define THREADS_MAX   300
#define EXECS_MAX     24

#define STACK_SIZE      65536
#define SHORT_LIFE      UINT64_C(12)
#define SIGNALS_AT_ONCE 2

bool control_take(atomic_long *made, long limit)
{
    if (atomic_load(&control->stop) || atomic_fetch_add(made, 1) >= limit) {
        atomic_fetch_sub(made, atomic_load(&control->stop) ? 0 : 1);
        return false;
    }
    return true;
}

/* ------------------------------------------------------------------------
 * Beginnings
 */

/* The memory of a thread that shares ours: its stack, and above it what it needs to know. */
struct start {
    struct dice dice;
    uint64_t calls;
    bool exits_alone;
};

static void live_shortly(struct dice *dice, uint64_t calls)
{
    while (calls-- > 0 && !atomic_load(&control->stop)) {
        if (dice_once_in(dice, 6))
            act_at_random(dice);
        else
            call_at_random(dice);
    }
}

static int run_started(void *argument)
{
    struct start *start = argument;

    live_shortly(&start->dice, start->calls);
    syscall(start->exits_alone ? SYS_exit : SYS_exit_group, dice_throw(&start->dice));
    return 0;
}

/* Stacks are never given back: a run is short, and so is their number. */
static struct start *make_start(struct dice *dice, void **stack)
{
    unsigned char *memory =
        mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    struct start *start;

    if (memory == MAP_FAILED)
        return NULL;
    start = (struct start *)(memory + STACK_SIZE - 256);
    start->dice = dice_make(dice_throw(dice));
    start->calls = dice_below(dice, 4 * SHORT_LIFE);
    start->exits_alone = !dice_once_in(dice, 24);
    *stack = start;
    return start;
}

/* Mostly one that a parent can live with. */
static int exit_signal(struct dice *dice)
{
    static const int signals[] = {SIGCHLD, SIGCHLD, SIGCHLD, 0, SIGKILL, SIGUSR1, SIGSEGV, SIGSTOP, 64, 65, 255};

    return dice_once_in(dice, 8) ? (int)dice_below(dice, 256)
                                 : signals[dice_below(dice, sizeof(signals) / sizeof(signals[0]))];
}

static void start_thread(struct dice *dice)
{
    int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
    uint64_t word = argument_make(dice, dice_once_in(dice, 2) ? 'u' : 'a');
    void *stack;
    struct start *start;

    if (!control_take(&control->threads, THREADS_MAX))
        return;
    start = make_start(dice, &stack);
    if (dice_once_in(dice, 2))
        flags |= CLONE_CHILD_CLEARTID;
    if (dice_once_in(dice, 4))
        flags |= CLONE_PARENT_SETTID | CLONE_CHILD_SETTID;
    if (start)
        clone(run_started, stack, flags, start, (void *)(uintptr_t)word, NULL, (void *)(uintptr_t)word);
}

/* A process that shares our memory, files or folders; with CLONE_VFORK the caller waits for its end or execve. */
static void start_sharing_process(struct dice *dice)
{
    static const int shared[] = {CLONE_VM,    CLONE_VM | CLONE_VFORK,
                                 CLONE_FILES, CLONE_FS | CLONE_FILES,
                                 CLONE_VFORK, CLONE_VM | CLONE_FILES | CLONE_VFORK};
    int flags = shared[dice_below(dice, sizeof(shared) / sizeof(shared[0]))] | exit_signal(dice);
    void *stack;
    struct start *start;

    if (!control_take(&control->processes, PROCESSES_MAX))
        return;
    start = make_start(dice, &stack);
    if (dice_once_in(dice, 4))
        flags |= CLONE_CHILD_CLEARTID;
    if (start)
        clone(run_started, stack, flags, start, NULL, NULL, (void *)(uintptr_t)argument_make(dice, 'u'));
}

static void start_process(struct dice *dice)
{
    struct dice child = dice_make(dice_throw(dice));

    if (!control_take(&control->processes, PROCESSES_MAX))
        return;
    if (syscall(SYS_clone, (long)exit_signal(dice), 0, 0, 0, 0) != 0)
        return;
    if (dice_once_in(&child, 3))
        live(&child);
    else
        live_shortly(&child, dice_below(&child, 4 * SHORT_LIFE));
    _exit((int)dice_throw(&child));
}

/* Flags that mean nothing together, or nothing here. */
static void clone_nonsense(struct dice *dice)
{
    uint64_t flags = argument_make(dice, 'f') | argument_make(dice, 's');

    /* A thread without a stack of its own would run on ours. */
    if (flags & (CLONE_VM | CLONE_THREAD) || !control_take(&control->processes, PROCESSES_MAX))
        return;
    if (syscall(SYS_clone, flags, 0, argument_make(dice, 'a'), argument_make(dice, 'a'), argument_make(dice, 'a')) == 0)
        _exit(0);
}

static void replace_program(struct dice *dice)
{
    char seed[24];
    char *arguments[] = {(char *)(uintptr_t)own_path, "again", seed, NULL};
    char *environment[] = {NULL};

    if (!dice_once_in(dice, 3) || !control_take(&control->execs, EXECS_MAX))
        return;
    snprintf(seed, sizeof(seed), "%llu", (unsigned long long)dice_throw(dice));
    if (dice_once_in(dice, 4))
        syscall(SYS_execve, argument_make(dice, 'p'), argument_make(dice, 'r'), argument_make(dice, 'r'));
    else
        execve(own_path, arguments, environment);
}

/* ------------------------------------------------------------------------
 * Signals and timers
 */

static void on_signal(int signo)
{
    struct dice dice = dice_make((uint64_t)signo + (uint64_t)atomic_load(&control->calls));

    if (dice_once_in(&dice, 2))
        call_at_random(&dice);
}

static void set_handler(struct dice *dice)
{
    struct sigaction action = {.sa_flags = (int)(argument_make(dice, 'f') & ~(uint64_t)SA_SIGINFO)};
    int signo = 1 + (int)dice_below(dice, 31);

    action.sa_handler = dice_once_in(dice, 4) ? SIG_IGN : dice_once_in(dice, 4) ? SIG_DFL : on_signal;
    if (dice_once_in(dice, 4))
        action.sa_mask.__val[0] = dice_throw(dice);
    sigaction(dice_once_in(dice, 3) ? SIGCHLD : signo, &action, NULL);
}

static void set_alternate_stack(struct dice *dice)
{
    void *memory;
    stack_t stack = {.ss_size = STACK_SIZE - 256};

    if (!make_start(dice, &memory))
        return;
    stack.ss_sp = (unsigned char *)memory + 256 - STACK_SIZE;
    sigaltstack(&stack, NULL);
}

static void set_killer(struct dice *dice)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = (int)argument_make(dice, 's')};
    struct itimerspec time = {.it_value.tv_nsec = 1 + (long)dice_below(dice, 3000000)};
    int id;

    time.it_interval.tv_nsec = dice_once_in(dice, 2) ? (long)dice_below(dice, 1000000) : 0;
    if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id) == 0)
        syscall(SYS_timer_settime, id, 0, &time, NULL);
}

static void send_signals(struct dice *dice)
{
    for (int i = 0; i < SIGNALS_AT_ONCE; i++)
        syscall(SYS_kill, argument_make(dice, 'w'), dice_once_in(dice, 8) ? SIGKILL : argument_make(dice, 's'));
}

/* ------------------------------------------------------------------------
 * Waits, and ends
 */

static void fill_pipe(struct dice *dice)
{
    int ends[2];

    if (pipe(ends) != 0)
        return;
    syscall(SYS_writev, ends[1], argument_make(dice, 'v'), argument_make(dice, 'n'));
    if (dice_once_in(dice, 2))
        start_thread(dice);
    syscall(dice_once_in(dice, 2) ? SYS_readv : SYS_writev, ends[dice_below(dice, 2)], argument_make(dice, 'v'),
            argument_make(dice, 'n'));
    close(ends[0]);
    close(ends[1]);
}

static void collect_children(struct dice *dice)
{
    for (uint64_t left = dice_below(dice, 4); left > 0; left--)
        if (waitpid(-1, NULL, dice_once_in(dice, 8) ? 0 : WNOHANG | __WALL) < 0)
            return;
}

static void end(struct dice *dice)
{
    if (!dice_once_in(dice, 16))
        return;
    switch (dice_below(dice, 4)) {
    case 0:
        syscall(SYS_exit, dice_throw(dice));
        break;
    case 1:
        syscall(SYS_exit_group, dice_throw(dice));
        break;
    case 2:
        syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
        break;
    default:
        *(volatile int *)(uintptr_t)argument_make(dice, 'a') = 1;
        break;
    }
}

void act_at_random(struct dice *dice)
{
    static void (*const acts[])(struct dice *) = {
        start_thread, start_thread,    start_sharing_process, start_process,       start_process, clone_nonsense,
        end,          replace_program, set_handler,           set_alternate_stack, set_killer,    send_signals,
        fill_pipe,    collect_children};

    acts[dice_below(dice, sizeof(acts) / sizeof(acts[0]))](dice);
}
