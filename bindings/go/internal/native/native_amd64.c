/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The child runs nothing of Go: it sets handlers of its own and jumps into the code, with a page of zeroes as the first
 * argument. Memory behind the code traps, which is its end.
 */
#define _GNU_SOURCE
#include "native_amd64.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define AREA_SIZE     65536
#define LIMIT_SECONDS 10
#define INT3          0xcc

struct run {
    size_t length;
    unsigned char code[AREA_SIZE];
    unsigned char data[AREA_SIZE];
    unsigned char stack[AREA_SIZE];
    unsigned char handler_stack[AREA_SIZE];
};

static struct run *current;

static void *pages(size_t length, int flags)
{
    void *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

static void record(int number, siginfo_t *info, void *frame)
{
    const greg_t *regs = ((const ucontext_t *)frame)->uc_mcontext.gregs;
    uint64_t ip = (uint64_t)regs[REG_RIP] - (uint64_t)current->code;

    (void)info;
    /* The alignment check flag stays set in handlers. */
    __asm__ volatile("pushf\n\tandl $~0x40000, (%%rsp)\n\tpopf" ::: "memory", "cc");
    _exit(number == SIGTRAP && ip > current->length && ip < AREA_SIZE ? 0 : number);
}

static void run_and_record(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
    stack_t alternate = {.ss_sp = current->handler_stack, .ss_size = AREA_SIZE};
    struct sigaction action = {.sa_sigaction = record, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigset_t none;

    sigemptyset(&none);
    sigaltstack(&alternate, NULL);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        sigaction(signals[i], &action, NULL);
    signal(SIGALRM, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    alarm(LIMIT_SECONDS);
    if (mprotect(current->code, AREA_SIZE, PROT_READ | PROT_EXEC))
        _exit(-1);
    __asm__ volatile("mov %[stack], %%rsp\n\tjmp *%[code]"
                     :
                     : [code] "r"(current->code), [stack] "r"(current->stack + AREA_SIZE), "D"(current->data)
                     : "memory");
    __builtin_unreachable();
}

/* Calls come one at a time. Code of another width reaches the low addresses, too. */
int native_run(const void *code, size_t length)
{
    size_t head = 4096; /* so that the code is at the beginning of a page */
    size_t size = head + sizeof(struct run);
    unsigned char *memory = pages(size, MAP_SHARED | MAP_32BIT);
    int status = -1;
    pid_t child;

    if (!memory || length > AREA_SIZE)
        return -1;
    current = (struct run *)(memory + head - offsetof(struct run, code));
    current->length = length;
    memset(current->code, INT3, AREA_SIZE);
    memcpy(current->code, code, length);
    child = fork();
    if (child == 0)
        run_and_record();
    if (child > 0)
        waitpid(child, &status, 0);
    munmap(memory, size);
    if (child < 0)
        return -1;
    return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}
