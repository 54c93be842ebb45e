/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* load.h - arguments and clock of the guest loads. They measure themselves: starting a sandbox is not in the result. */
#ifndef TRAPGATE_BENCH_LOAD_H
#define TRAPGATE_BENCH_LOAD_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Calls between two looks at the clock, which itself may be a system call in a sandbox. */
#define CALLS_PER_LOOK 256

static inline double load_seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* A positive whole number in the given argument, or the end of the program. */
static inline unsigned long load_argument(int argc, char **argv, int index, const char *usage)
{
    char *end = NULL;
    unsigned long number = index < argc ? strtoul(argv[index], &end, 10) : 0;

    if (number == 0 || *end != '\0') {
        fprintf(stderr, "usage: %s\n", usage);
        exit(2);
    }
    return number;
}

#endif
