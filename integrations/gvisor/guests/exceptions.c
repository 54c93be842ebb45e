/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Instructions that trap: the signal, its code, and that the handler's changes to the registers count. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <ucontext.h>

static int signo, code, skip;

static void handler(int signal, siginfo_t *info, void *context)
{
    ucontext_t *machine = context;

    signo = signal;
    code = info->si_code;
    machine->uc_mcontext.gregs[REG_RIP] += skip;
}

static void tell(const char *what)
{
    printf("%s: signal %d code %d\n", what, signo, code);
    signo = code = 0;
}

int main(void)
{
    static const int signals[] = {SIGSEGV, SIGFPE, SIGILL, SIGTRAP};
    const struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    unsigned int low = 7;

    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        sigaction(signals[i], &action, NULL);
    skip = 2;
    __asm__ volatile("xor %%ecx, %%ecx; xor %%edx, %%edx; mov $1, %%eax; .byte 0xf7, 0xf1" : "+a"(low)::"rcx", "rdx");
    tell("division");
    __asm__ volatile("ud2");
    tell("ud2");
    skip = 1;
    __asm__ volatile("hlt");
    tell("hlt");
    skip = 0;
    __asm__ volatile("int3");
    tell("int3");
    __asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq; nop; pushfq; andq $~0x100, (%%rsp); popfq" ::
                         : "memory", "cc");
    tell("steps");
    return 0;
}
