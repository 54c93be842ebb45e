/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Vector registers across calls and across signals whose handlers use them, in several processes at once. */
#include <cpuid.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES 4
#define ROUNDS    3000

static void clobber(int signal)
{
    (void)signal;
    __asm__ volatile("xorps %%xmm8, %%xmm8; xorps %%xmm9, %%xmm9" ::: "xmm8", "xmm9");
}

/* The halves of a ymm register are kept in different places of the state. */
static int keeps_wide(const double *in)
{
    double out[4];
    long result;

    __asm__ volatile("vmovupd %2, %%ymm8; vmovupd %2, %%ymm9; mov %3, %%eax; syscall; mov $2000, %%ecx; 1: dec %%ecx; "
                     "jnz 1b; vaddpd %%ymm8, %%ymm9, %%ymm9; vmovupd %%ymm9, %1; vzeroupper"
                     : "=&a"(result), "=m"(out)
                     : "m"(*(const double(*)[4])in), "i"(SYS_getppid)
                     : "rcx", "r11", "xmm8", "xmm9", "memory");
    return out[0] == 2 * in[0] && out[1] == 2 * in[1] && out[2] == 2 * in[2] && out[3] == 2 * in[3];
}

static int keeps_narrow(const double *in)
{
    double out[2];
    long result;

    __asm__ volatile("movupd %2, %%xmm8; movupd %2, %%xmm9; mov %3, %%eax; syscall; mov $2000, %%ecx; 1: dec %%ecx; "
                     "jnz 1b; addpd %%xmm8, %%xmm9; movupd %%xmm9, %1"
                     : "=&a"(result), "=m"(out)
                     : "m"(*(const double(*)[2])in), "i"(SYS_getppid)
                     : "rcx", "r11", "xmm8", "xmm9", "memory");
    return out[0] == 2 * in[0] && out[1] == 2 * in[1];
}

static int work(int number)
{
    const double in[4] = {number + .25, number + .5, number + .75, number + 1};
    const struct itimerval often = {{0, 1000}, {0, 1000}};
    int wide = __builtin_cpu_supports("avx");

    setitimer(ITIMER_REAL, &often, NULL);
    for (int i = 0; i < ROUNDS; i++)
        if (!(wide ? keeps_wide(in) : keeps_narrow(in)))
            return 3;
    return 5;
}

int main(void)
{
    const struct sigaction action = {.sa_handler = clobber};
    int status, kept = 0;

    sigaction(SIGALRM, &action, NULL);
    for (int i = 0; i < PROCESSES; i++)
        if (!fork())
            _exit(work(i));
    while (wait(&status) > 0)
        kept += WIFEXITED(status) && WEXITSTATUS(status) == 5;
    printf("%d of %d processes kept their registers\n", kept, PROCESSES);
    return 0;
}
