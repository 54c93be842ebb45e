/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "native.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define AREA_SIZE     65536
#define STACK_SIZE    65536
/* Code that never ends ends here, without a signal to report. */
#define LIMIT_SECONDS 10

/* Where code of another width reaches it too. */
#ifndef MAP_32BIT
#define MAP_32BIT 0
#endif

struct native_run {
    struct native_signal seen;
    unsigned char *code;
    uint64_t length;
};

/* Shared with the child, which fills in what it saw. */
static struct native_run *current;

static void record(int signo, siginfo_t *info, void *ucontext)
{
    uint64_t addr = (uint64_t)(uintptr_t)info->si_addr;
    uint64_t start = (uint64_t)(uintptr_t)current->code;
    uint64_t ip = native_ip(ucontext) - start;
    bool inside = addr - start < AREA_SIZE;

    native_settle();
    if (signo == SIGTRAP && ip > current->length && ip < AREA_SIZE)
        _exit(0);
    current->seen = (struct native_signal){
        .signo = signo,
        .code = info->si_code,
        .addr_in_code = inside,
        .addr = inside ? addr - start : addr,
        .ip = ip,
    };
    native_exception(ucontext, &current->seen);
    _exit(0);
}

static void *pages(size_t length, int flags)
{
    return CHECK_SYSTEM(mmap(NULL, length, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0));
}

static _Noreturn void run_and_record(struct guest_code code, int rights)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
    stack_t alternate = {.ss_sp = pages(STACK_SIZE, MAP_PRIVATE), .ss_size = STACK_SIZE};
    struct sigaction action = {.sa_sigaction = record, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    unsigned char *stack = pages(STACK_SIZE, MAP_PRIVATE | MAP_32BIT);
    unsigned char *data = pages(AREA_SIZE, MAP_PRIVATE);
    size_t i;

    CHECK_SYSTEM(sigaltstack(&alternate, NULL));
    for (i = 0; i < ARRAY_SIZE(signals); i++)
        CHECK_SYSTEM(sigaction(signals[i], &action, NULL));
    current->code = pages(AREA_SIZE, MAP_PRIVATE | MAP_32BIT);
    current->length = (uint64_t)(code.end - code.start);
    native_fill_traps(current->code, AREA_SIZE);
    memcpy(current->code, code.start, current->length);
    CHECK_SYSTEM(mprotect(current->code, AREA_SIZE, PROT_READ | PROT_EXEC));
    memset(data, 0, AREA_SIZE);
    CHECK_SYSTEM(mprotect(data, AREA_SIZE, rights));
    native_enter(current->code, data, stack + STACK_SIZE);
}

struct native_signal native_run_with_page(struct guest_code code, int rights)
{
    struct native_signal seen;
    pid_t child;
    int status;

    current = pages(sizeof(*current), MAP_SHARED);
    memset(current, 0, sizeof(*current));
    child = CHECK_SYSTEM(fork());
    if (child == 0) {
        alarm(LIMIT_SECONDS);
        run_and_record(code, rights);
    }
    CHECK_EQ(CHECK_SYSTEM(waitpid(child, &status, 0)), child);
    seen = current->seen;
    if (WIFSIGNALED(status))
        seen = (struct native_signal){.signo = WTERMSIG(status)};
    else
        CHECK_EQ(status, 0);
    CHECK_SYSTEM(munmap(current, sizeof(*current)));
    return seen;
}

struct native_signal native_run(struct guest_code code)
{
    return native_run_with_page(code, PROT_READ | PROT_WRITE);
}
