/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Where handlers run, what they find in the FP registers, and what comes when there is no room for them. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "report.h"

#define STACK_SIZE 65536UL

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1U << 31)
#endif

static sigjmp_buf back;
static volatile sig_atomic_t signo_seen, code_seen, depth;
static volatile uint64_t vector_seen;
static volatile uint32_t control_seen;
static stack_t stack_seen;

static void install(int signo, void (*handler)(int, siginfo_t *, void *), int flags)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = flags | SA_SIGINFO};

    sigaction(signo, &action, NULL);
}

static char *new_pages(size_t size, int prot)
{
    return mmap(NULL, size, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void note_vectors(int signo, siginfo_t *info, void *context)
{
    uint64_t vector;
    uint32_t control;

    (void)info;
    (void)context;
    __asm__ volatile("movq %%xmm0, %0\n stmxcsr %1" : "=r"(vector), "=m"(control));
    vector_seen = vector;
    control_seen = control;
    signo_seen = signo;
}

static void check_initial_vectors(void)
{
    uint64_t vector = 0xdeadbeef;
    uint32_t control = 0x1fa0;
    long pid;

    install(SIGUSR1, note_vectors, 0);
    __asm__ volatile("ldmxcsr %1\n movq %2, %%xmm0\n syscall\n movq %%xmm0, %2\n stmxcsr %1"
                     : "=a"(pid), "+m"(control), "+r"(vector)
                     : "a"(62L), "D"((long)getpid()), "S"((long)SIGUSR1)
                     : "rcx", "r11", "xmm0", "memory");
    REPORT(pid == 0 && signo_seen == SIGUSR1 && vector_seen == 0 && control_seen == 0x1f80);
    REPORT(vector == 0xdeadbeef && control == 0x1fa0);
    control = 0x1f80;
    __asm__ volatile("ldmxcsr %0" : : "m"(control));
}

static void raise_again(int signo, siginfo_t *info, void *context)
{
    (void)info;
    (void)context;
    depth = depth + 1;
    if (depth > 1000)
        _exit(9);
    raise(signo);
}

/* Handlers in handlers until the alternate stack is full; below it lies memory that could be written. */
static void overflow_alternate_stack(void)
{
    char *memory = new_pages(2 * STACK_SIZE, PROT_READ | PROT_WRITE);
    const stack_t stack = {.ss_sp = memory + STACK_SIZE, .ss_size = STACK_SIZE};

    sigaltstack(&stack, NULL);
    install(SIGUSR1, raise_again, SA_ONSTACK | SA_NODEFER);
    raise(SIGUSR1);
    _exit(0);
}

static void spoil_vectors(int signo, siginfo_t *info, void *context)
{
    (void)signo;
    (void)info;
    /* The header behind the 512 bytes of FXSAVE: bits that no state has. */
    memset((char *)((ucontext_t *)context)->uc_mcontext.fpregs + 512 + 16, 0xff, 48);
}

static void leave(int signo, siginfo_t *info, void *context)
{
    (void)context;
    signo_seen = signo;
    code_seen = info->si_code;
    siglongjmp(back, 1);
}

static void note_only(int signo, siginfo_t *info, void *context)
{
    (void)context;
    signo_seen = signo;
    code_seen = info->si_code;
}

static void check_refused_frame(void)
{
    const stack_t stack = {.ss_sp = new_pages(STACK_SIZE, PROT_READ), .ss_size = STACK_SIZE};
    const stack_t none = {.ss_flags = SS_DISABLE};

    sigaltstack(&stack, NULL);
    install(SIGUSR1, note_only, SA_ONSTACK);
    install(SIGSEGV, leave, 0);
    if (sigsetjmp(back, 1) == 0)
        raise(SIGUSR1);
    REPORT(signo_seen == SIGSEGV && code_seen == SI_KERNEL);
    sigaltstack(&none, NULL);
}

static void refuse_both_frames(void)
{
    const stack_t stack = {.ss_sp = new_pages(STACK_SIZE, PROT_READ), .ss_size = STACK_SIZE};

    sigaltstack(&stack, NULL);
    install(SIGUSR1, note_only, SA_ONSTACK);
    install(SIGSEGV, note_only, SA_ONSTACK);
    raise(SIGUSR1);
    _exit(0);
}

static void block_the_answer(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGSEGV);
    sigprocmask(SIG_BLOCK, &set, NULL);
    refuse_both_frames();
}

/* The wait status of a child that does this. */
static int status_of(void (*action)(void))
{
    int status = -1;
    pid_t child = fork();

    if (child == 0) {
        action();
        _exit(1);
    }
    return waitpid(child, &status, 0) == child ? status & 0x7f : -1;
}

static void check_broken_vectors(void)
{
    install(SIGUSR1, spoil_vectors, 0);
    install(SIGSEGV, note_only, 0);
    signo_seen = 0;
    raise(SIGUSR1);
    REPORT(signo_seen == SIGSEGV && code_seen == SI_KERNEL);
}

static void note_stack(int signo, siginfo_t *info, void *context)
{
    (void)info;
    (void)context;
    signo_seen = signo;
    sigaltstack(NULL, &stack_seen);
}

static void check_flags_of_stacks(void)
{
    char *memory = new_pages(STACK_SIZE, PROT_READ | PROT_WRITE);
    stack_t stack = {.ss_sp = memory, .ss_size = STACK_SIZE}, now;

    install(SIGUSR1, note_stack, SA_ONSTACK);
    REPORT(sigaltstack(&stack, NULL) == 0);
    raise(SIGUSR1);
    REPORT(stack_seen.ss_sp == memory && stack_seen.ss_flags == SS_ONSTACK && stack_seen.ss_size == STACK_SIZE);
    stack.ss_flags = (int)SS_AUTODISARM;
    REPORT(sigaltstack(&stack, NULL) == 0);
    REPORT(sigaltstack(NULL, &now) == 0 && now.ss_flags == (int)SS_AUTODISARM && now.ss_sp == memory);
    raise(SIGUSR1);
    REPORT(stack_seen.ss_flags == SS_DISABLE && stack_seen.ss_size == 0);
    REPORT(sigaltstack(NULL, &now) == 0 && now.ss_flags == (int)SS_AUTODISARM && now.ss_sp == memory);
    stack.ss_flags = SS_ONSTACK;
    REPORT(sigaltstack(&stack, NULL) == 0);
    stack.ss_flags = SS_ONSTACK | SS_DISABLE;
    REPORT(sigaltstack(&stack, NULL) == -1 && errno == EINVAL);
    stack.ss_flags = 4;
    REPORT(sigaltstack(&stack, NULL) == -1 && errno == EINVAL);
    stack = (stack_t){.ss_sp = memory, .ss_size = 1000};
    REPORT(sigaltstack(&stack, NULL) == -1 && errno == ENOMEM);
    stack = (stack_t){.ss_flags = SS_DISABLE, .ss_sp = memory, .ss_size = 5000};
    REPORT(sigaltstack(&stack, NULL) == 0);
    REPORT(sigaltstack(NULL, &now) == 0 && now.ss_flags == SS_DISABLE && now.ss_sp == NULL && now.ss_size == 0);
}

int main(void)
{
    check_initial_vectors();
    REPORT(status_of(overflow_alternate_stack) == SIGSEGV);
    check_refused_frame();
    REPORT(status_of(refuse_both_frames) == SIGSEGV);
    REPORT(status_of(block_the_answer) == SIGSEGV);
    check_broken_vectors();
    check_flags_of_stacks();
    return report_status();
}
