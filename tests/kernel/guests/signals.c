/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Handlers: what they are told, what they may change, and that everything else is as it was. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "report.h"

static sigjmp_buf back;
static volatile sig_atomic_t signo_seen, code_seen, count;
static void *volatile address_seen;
static volatile int on_own_stack;
static char *page;
static char own_stack[65536];

static void jump_back(int signo, siginfo_t *info, void *context)
{
    (void)context;
    signo_seen = signo;
    code_seen = info->si_code;
    address_seen = info->si_addr;
    siglongjmp(back, 1);
}

static void make_writable(int signo, siginfo_t *info, void *context)
{
    (void)signo;
    (void)context;
    address_seen = info->si_addr;
    count++;
    mprotect(page, 4096, PROT_READ | PROT_WRITE);
}

static void note_stack(int signo)
{
    char here;

    signo_seen = signo;
    on_own_stack = &here >= own_stack && &here < own_stack + sizeof(own_stack);
}

/* Uses the vector registers, which the interrupted code does not expect to change. */
static void spoil_vectors(int signo)
{
    volatile double values[8];

    for (int i = 0; i < 8; i++)
        values[i] = signo * 1.5 + i;
    for (int i = 0; i < 8; i++)
        values[i] = values[i] * values[(i + 3) % 8] / 7.0;
    memset((char *)own_stack, (int)values[3], 512);
    count++;
}

static void just_count(int signo)
{
    signo_seen = signo;
    count++;
}

static void install(int signo, void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};

    sigaction(signo, &action, NULL);
}

static void install_info(int signo, void (*handler)(int, siginfo_t *, void *), int flags)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = flags | SA_SIGINFO};

    sigaction(signo, &action, NULL);
}

static void check_faults(void)
{
    char *volatile nowhere = (char *)0x10;

    install_info(SIGSEGV, jump_back, 0);
    if (sigsetjmp(back, 1) == 0)
        *nowhere = 1;
    REPORT(signo_seen == SIGSEGV && code_seen == SEGV_MAPERR && address_seen == (void *)0x10);
    mprotect(page, 4096, PROT_READ);
    if (sigsetjmp(back, 1) == 0)
        page[5] = 1;
    REPORT(signo_seen == SIGSEGV && code_seen == SEGV_ACCERR && address_seen == page + 5);
    install_info(SIGFPE, jump_back, 0);
    if (sigsetjmp(back, 1) == 0) {
        volatile int zero = 0;
        volatile int result = 100 / zero;
        (void)result;
    }
    REPORT(signo_seen == SIGFPE && code_seen == FPE_INTDIV);
    install_info(SIGILL, jump_back, 0);
    if (sigsetjmp(back, 1) == 0)
        __builtin_trap();
    REPORT(signo_seen == SIGILL && code_seen == ILL_ILLOPN);
}

static void check_return_from_fault(void)
{
    install_info(SIGSEGV, make_writable, 0);
    mprotect(page, 4096, PROT_NONE);
    count = 0;
    page[100] = 42;
    REPORT(count == 1 && page[100] == 42 && address_seen == page + 100);
}

static void check_alternate_stack(void)
{
    stack_t stack = {.ss_sp = own_stack, .ss_size = sizeof(own_stack)}, old;

    REPORT(sigaltstack(&stack, NULL) == 0);
    REPORT(sigaltstack(NULL, &old) == 0 && old.ss_sp == own_stack && old.ss_size == sizeof(own_stack));
    install(SIGUSR1, note_stack, SA_ONSTACK);
    raise(SIGUSR1);
    REPORT(signo_seen == SIGUSR1 && on_own_stack);
    install(SIGUSR1, note_stack, 0);
    raise(SIGUSR1);
    REPORT(!on_own_stack);
}

static void check_vectors(void)
{
    double a = 1.25, b = 2.5, c = 3.75, d = 5.0;

    install(SIGUSR2, spoil_vectors, 0);
    count = 0;
    for (int i = 0; i < 10; i++) {
        a += 1.0;
        b *= 1.5;
        raise(SIGUSR2);
        c += a;
        d += b / 2;
    }
    printf("%.6f %.6f %.6f %.6f\n", a, b, c, d);
    REPORT(count == 10 && a == 11.25);
}

static void check_masks(void)
{
    sigset_t set, old, pending;
    siginfo_t info;
    struct timespec nothing = {0};

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    install(SIGUSR1, just_count, 0);
    count = 0;
    sigprocmask(SIG_BLOCK, &set, &old);
    raise(SIGUSR1);
    raise(SIGUSR1);
    sigpending(&pending);
    REPORT(count == 0 && sigismember(&pending, SIGUSR1));
    sigprocmask(SIG_SETMASK, &old, NULL);
    REPORT(count == 1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    raise(SIGUSR1);
    REPORT(sigtimedwait(&set, &info, &nothing) == SIGUSR1 && info.si_signo == SIGUSR1);
    REPORT(sigtimedwait(&set, &info, &nothing) == -1 && errno == EAGAIN);
    raise(SIGUSR1);
    REPORT(sigsuspend(&old) == -1 && errno == EINTR && count == 2);
    sigprocmask(SIG_SETMASK, &old, NULL);
    signal(SIGUSR1, SIG_IGN);
    REPORT(raise(SIGUSR1) == 0);
    install(SIGUSR1, just_count, (int)SA_RESETHAND);
    raise(SIGUSR1);
    struct sigaction now;
    sigaction(SIGUSR1, NULL, &now);
    REPORT(count == 3 && now.sa_handler == SIG_DFL);
}

static pthread_t main_thread;

static void *signal_main(void *argument)
{
    usleep(20000);
    pthread_kill(main_thread, SIGUSR1);
    usleep(20000);
    return argument && write(*(int *)argument, "x", 1) != 1 ? argument : NULL;
}

static volatile int interrupted;

/* Until the main thread says that a signal has ended its call: the first may come before that call has begun. */
static void *interrupt_main(void *unused)
{
    while (!interrupted) {
        usleep(20000);
        pthread_kill(main_thread, SIGUSR1);
    }
    return unused;
}

static void check_interrupted_calls(void)
{
    struct timespec request = {.tv_sec = 5}, rest = {0};
    pthread_t helper;
    int pipes[2];
    char byte = 0;

    main_thread = pthread_self();
    REPORT(pipe(pipes) == 0);
    install(SIGUSR1, just_count, 0);
    count = 0;
    pthread_create(&helper, NULL, interrupt_main, NULL);
    REPORT(nanosleep(&request, &rest) == -1 && errno == EINTR);
    REPORT(count > 0 && rest.tv_sec >= 0 && rest.tv_sec < 5);
    interrupted = 1;
    pthread_join(helper, NULL);
    interrupted = 0;
    pthread_create(&helper, NULL, interrupt_main, NULL);
    REPORT(read(pipes[0], &byte, 1) == -1 && errno == EINTR);
    interrupted = 1;
    pthread_join(helper, NULL);
    REPORT(write(pipes[1], "x", 1) == 1 && read(pipes[0], &byte, 1) == 1);
    count = 0;
    install(SIGUSR1, just_count, SA_RESTART);
    pthread_create(&helper, NULL, signal_main, &pipes[1]);
    byte = 0;
    REPORT(read(pipes[0], &byte, 1) == 1 && byte == 'x');
    pthread_join(helper, NULL);
    REPORT(count == 1);
}

static volatile int stop;

static void set_stop(int signo)
{
    (void)signo;
    stop = 1;
}

/* A signal reaches a thread that makes no calls. */
static void check_signal_while_computing(void)
{
    pthread_t helper;

    install(SIGUSR1, set_stop, 0);
    pthread_create(&helper, NULL, signal_main, NULL);
    while (!stop)
        ;
    pthread_join(helper, NULL);
    REPORT(stop == 1);
}

static void change_register(int signo, siginfo_t *info, void *context)
{
    (void)signo;
    (void)info;
    /* ud2 has two bytes: go on behind it. */
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 2;
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RAX] = 4711;
}

static void check_changed_registers(void)
{
    long value = 0;

    install_info(SIGILL, change_register, 0);
    __asm__ volatile("ud2" : "+a"(value));
    REPORT(value == 4711);
}

int main(void)
{
    page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check_faults();
    check_return_from_fault();
    check_alternate_stack();
    check_vectors();
    check_masks();
    check_interrupted_calls();
    check_signal_while_computing();
    check_changed_registers();
    return report_status();
}
