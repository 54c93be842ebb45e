/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The three entries of the page that old programs call. */
#include <stdio.h>
#include <sys/time.h>
#include <time.h>

static time_t (*const old_time)(time_t *) = (void *)0xffffffffff600400;
static int (*const old_gettimeofday)(struct timeval *, void *) = (void *)0xffffffffff600000;
static int (*const old_getcpu)(unsigned int *, unsigned int *, void *) = (void *)0xffffffffff600800;

int main(void)
{
    struct timeval now = {0, 0};
    unsigned int cpu = ~0u;
    time_t before = time(NULL);

    printf("time %s\n", old_time(NULL) >= before ? "goes on" : "goes back");
    int result = old_gettimeofday(&now, NULL);
    printf("gettimeofday %d, %s\n", result, now.tv_sec >= before ? "goes on" : "goes back");
    result = old_getcpu(&cpu, NULL, NULL);
    printf("getcpu %d, %s\n", result, cpu != ~0u ? "told" : "not told");
    return 0;
}
