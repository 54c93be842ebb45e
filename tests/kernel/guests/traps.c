/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What the frame of a signal handler says about the trap that raised the
 * signal: its number, its error code, the address. Programs that catch their
 * own faults read them: virtual machines, debuggers, databases.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "report.h"

#ifdef __x86_64__

#define PAGE 4096

static sigjmp_buf back;
static volatile greg_t trap_number, error_code, fault_address;
static volatile int signo, code;
static void *volatile address;

static void take(int number, siginfo_t *info, void *context)
{
    const ucontext_t *frame = context;

    trap_number = frame->uc_mcontext.gregs[REG_TRAPNO];
    error_code = frame->uc_mcontext.gregs[REG_ERR];
    fault_address = frame->uc_mcontext.gregs[REG_CR2];
    signo = number;
    code = info->si_code;
    address = info->si_addr;
    siglongjmp(back, 1);
}

static unsigned char *page;

/* Places in the page are named from its start: it lies elsewhere each time. */
static unsigned long long shown(uint64_t value)
{
    uint64_t start = (uint64_t)(uintptr_t)page;

    return value >= start && value - start < PAGE ? value - start + 0x1000 : value;
}

static void say(const char *name)
{
    /* si_addr of what has no address is that of the instruction. */
    int in_page = shown((uint64_t)(uintptr_t)address) != (uint64_t)(uintptr_t)address;

    printf("%s: signal %d code %d trap %lld error %#llx cr2 %#llx address %s\n", name, signo, code,
           (long long)trap_number, (unsigned long long)error_code, shown((uint64_t)fault_address),
           in_page   ? "in the page"
           : address ? "other"
                     : "0");
}

#define TRY(name, what)                                                                                                \
    do {                                                                                                               \
        if (sigsetjmp(back, 1) == 0) {                                                                                 \
            what;                                                                                                      \
            printf("%s: nothing\n", name);                                                                             \
        } else {                                                                                                       \
            say(name);                                                                                                 \
        }                                                                                                              \
    } while (0)

#define AT(where) (*(volatile char *)(uintptr_t)(where))

static void try_page_faults(void)
{
    TRY("read of nothing", (void)AT(8));
    TRY("write of nothing", AT(8) = 1);
    page[0] = 1;
    mprotect(page, PAGE, PROT_READ);
    TRY("write of what can be read", AT(page + 5) = 1);
    TRY("execution of what can be read", ((void (*)(void))(uintptr_t)page)());
    mprotect(page, PAGE, PROT_NONE);
    TRY("read of a closed page", (void)AT(page + 6));
    TRY("write of a closed page", AT(page + 7) = 1);
    TRY("read of the kernel", (void)AT(UINT64_C(0xffffffff80000000)));
    TRY("write of the kernel", AT(UINT64_C(0xffffffff80000000)) = 1);
}

static void try_others(void)
{
    TRY("read of no address", (void)AT(UINT64_C(0x8000000000000000)));
    TRY("write of no address", AT(UINT64_C(0x8000000000000000)) = 1);
    TRY("division", __asm__ volatile("xorl %%ecx, %%ecx\n\tidivl %%ecx" ::: "eax", "ecx", "edx", "cc"));
    TRY("ud2", __asm__ volatile("ud2"));
    TRY("int3", __asm__ volatile("int3"));
    TRY("icebp", __asm__ volatile(".byte 0xf1"));
    TRY("hlt", __asm__ volatile("hlt"));
    TRY("int 0x50", __asm__ volatile("int $0x50"));
    TRY("movaps", __asm__ volatile("movaps 1(%%rsp), %%xmm0" ::: "xmm0"));
}

int main(void)
{
    const struct sigaction action = {.sa_sigaction = take, .sa_flags = SA_SIGINFO};
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGUSR1};

    page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        sigaction(signals[i], &action, NULL);
    TRY("a signal before all traps", raise(SIGUSR1));
    try_page_faults();
    TRY("a signal after a page fault", raise(SIGUSR1));
    try_others();
    TRY("a signal after another trap", raise(SIGUSR1));
    return report_status();
}

#else

int main(void)
{
    return report_status();
}

#endif
