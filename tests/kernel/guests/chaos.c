/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Makes calls at random, with arguments that are right, wrong, huge, and
 * pointers that lead nowhere or to bytes that change. Not for a native run: it
 * does whatever the dice say. Each worker dies or is killed after a while; the
 * program itself ends with 0 when all have been waited for.
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CALLS_PER_WORKER 3000
#define WORKERS          8
#define PATIENCE_MS      1500

static uint64_t state;
static unsigned char *buffer;

static uint64_t dice(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* What would end the worker or its parent at once, or only wait. */
static int is_left_out(long nr)
{
    static const long left_out[] = {SYS_exit,         SYS_exit_group,     SYS_kill,          SYS_tkill,
                                    SYS_tgkill,       SYS_fork,           SYS_vfork,         SYS_clone,
                                    SYS_rt_sigreturn, SYS_pause,          SYS_rt_sigsuspend, SYS_rt_sigtimedwait,
                                    SYS_nanosleep,    SYS_clock_nanosleep};

    for (size_t i = 0; i < sizeof(left_out) / sizeof(left_out[0]); i++)
        if (nr == left_out[i])
            return 1;
    return 0;
}

static long argument(void)
{
    static const uint64_t edges[] = {0,
                                     1,
                                     UINT64_MAX,
                                     4096,
                                     0x7fffffff,
                                     0x80000000,
                                     0x7fffffffffffffff,
                                     0x8000000000000000,
                                     0xfff,
                                     0x7ffffffff000,
                                     0xffffffff80000000,
                                     0xffffffff};

    switch (dice() % 8) {
    case 0:
        return (long)edges[dice() % (sizeof(edges) / sizeof(edges[0]))];
    case 1:
        return (long)dice();
    case 2:
    case 3:
        return (long)(dice() % 16);
    case 4:
        return (long)(1UL << (dice() % 64));
    default:
        /* Often near the end of the buffer, behind which is nothing. */
        return (long)(buffer + (dice() % 2 ? dice() % 4096 : 4096 - dice() % 64));
    }
}

static void fill_buffer(void)
{
    static const char *const paths[] = {"/", "file", "../..", "/proc/self/exe", "folder/../file", "", "/dev/null"};

    for (size_t i = 0; i + 8 <= 4096; i += 8) {
        uint64_t word = dice() % 3 ? dice() % 4 : (uint64_t)argument();
        memcpy(buffer + i, &word, sizeof(word));
    }
    for (int i = 0; i < 32; i++)
        strcpy((char *)buffer + dice() % 3900, paths[dice() % (sizeof(paths) / sizeof(paths[0]))]);
}

static void work(void)
{
    for (int i = 0; i < CALLS_PER_WORKER; i++) {
        long nr = (long)(dice() % 460);
        if (i % 16 == 0)
            fill_buffer();
        if (!is_left_out(nr))
            syscall(nr, argument(), argument(), argument(), argument(), argument(), argument());
    }
}

/* Gives the worker some time, then kills it. */
static int wait_for(pid_t worker)
{
    int status;

    for (int waited = 0; waited < PATIENCE_MS; waited += 5) {
        if (waitpid(worker, &status, WNOHANG) == worker)
            return 1;
        usleep(5000);
    }
    kill(worker, SIGKILL);
    return waitpid(worker, &status, 0) == worker;
}

int main(int argc, char **argv)
{
    int waited_for = 0;

    state = 88172645463325252u + (argc > 1 ? strtoul(argv[1], NULL, 10) * 7919 : 0);
    buffer = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(buffer + 4096, 4096);
    for (int i = 0; i < WORKERS; i++) {
        pid_t worker = fork();
        dice();
        if (worker == 0) {
            setsid();
            work();
            _exit(0);
        }
        waited_for += wait_for(worker);
    }
    return waited_for == WORKERS ? 0 : 1;
}
