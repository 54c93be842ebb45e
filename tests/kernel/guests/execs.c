/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Many programs one after the other: each begins in memory of its own, with nothing of those before it. */
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "report.h"

#define ROUNDS 12
/* Where neither a program nor its heap, which begins up to 1 GiB behind it, nor mappings come. */
#define PLACE  ((char *)(1L << 32))
#define SIZE   (1L << 20)

static sigjmp_buf back;

static void jump_back(int signo)
{
    siglongjmp(back, signo);
}

static int faults(const volatile char *address)
{
    if (sigsetjmp(back, 1))
        return 1;
    (void)*address;
    return 0;
}

/* Leaves something at a place where nothing is in a new program, and a handler. */
static int fill(void)
{
    char *place = mmap(PLACE, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

    if (place != PLACE)
        return 1;
    memset(place, 'x', SIZE);
    memset(sbrk(SIZE), 'y', SIZE);
    return signal(SIGUSR1, jump_back) != SIG_DFL;
}

static int is_zero(const char *bytes)
{
    for (long i = 0; i < SIZE; i++) {
        if (bytes[i])
            return 0;
    }
    return 1;
}

static int look(void)
{
    struct sigaction action;
    char *fresh = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    signal(SIGSEGV, jump_back);
    sigaction(SIGUSR1, NULL, &action);
    if (action.sa_handler != SIG_DFL || !faults(PLACE) || !faults(PLACE + SIZE - 1))
        return 1;
    return !is_zero(fresh) || !is_zero(sbrk(SIZE));
}

static int run(const char *self, const char *what, pid_t (*make)(void))
{
    pid_t child = make();
    int status;

    if (child == 0) {
        execl(self, self, what, (char *)NULL);
        _exit(9);
    }
    return waitpid(child, &status, 0) == child ? status : -1;
}

int main(int argc, char **argv)
{
    int filled = 0;
    int clean = 0;

    if (argc > 1)
        return strcmp(argv[1], "fill") == 0 ? fill() : look();
    for (int i = 0; i < ROUNDS; i++) {
        filled += run(argv[0], "fill", i % 2 ? fork : vfork) == 0;
        clean += run(argv[0], "look", i % 3 ? fork : vfork) == 0;
    }
    REPORT(filled == ROUNDS);
    REPORT(clean == ROUNDS);
    return report_status();
}
