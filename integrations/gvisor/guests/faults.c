/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A fault of each kind comes as the signal that it is, with its code and address. */
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>

#define UNMAPPED ((char *)0x123456789000)

static sigjmp_buf back;
static siginfo_t got;

static void handler(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    got = *info;
    siglongjmp(back, 1);
}

static void tell(const char *what, const char *relative_to)
{
    printf("%s: signal %d code %d address +%ld\n", what, got.si_signo, got.si_code,
           (long)((const char *)got.si_addr - relative_to));
}

#define TRY(what, relative_to, ...)                                                                                    \
    do {                                                                                                               \
        if (!sigsetjmp(back, 1)) {                                                                                     \
            __VA_ARGS__;                                                                                               \
            printf("%s: nothing happened\n", what);                                                                    \
        } else {                                                                                                       \
            tell(what, relative_to);                                                                                   \
        }                                                                                                              \
    } while (0)

int main(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS};
    const struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_NODEFER};
    FILE *empty = tmpfile();

    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        sigaction(signals[i], &action, NULL);
    char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *beyond = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fileno(empty), 0);
    TRY("write", page, page[5] = 1);
    TRY("read", UNMAPPED, (void)*(volatile char *)UNMAPPED);
    TRY("execute", page, ((void (*)(void))(void *)page)());
    TRY("beyond a file", beyond, (void)*(volatile char *)beyond);
    TRY("non-canonical", NULL, __asm__ volatile("mov (%0), %%rax" ::"r"(0xdead000000000000ul) : "rax"));
    return 0;
}
