/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Ids, names, limits, clocks and randomness: what does not depend on pids and on the hour. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "report.h"

static void check_ids(void)
{
    uid_t real, effective, saved;

    printf("%u %u %u %u\n", getuid(), geteuid(), getgid(), getegid());
    REPORT(getresuid(&real, &effective, &saved) == 0 && real == getuid() && effective == geteuid());
    REPORT(syscall(SYS_gettid) == getpid());
    REPORT(setuid(getuid()) == 0);
    REPORT(getpgid(0) == getpgrp() && getpgid(getpid()) == getpgrp());
    REPORT(getpgid(999999) == -1 && errno == ESRCH);
    REPORT(kill(getpid(), 0) == 0);
    REPORT(kill(999999, 0) == -1 && errno == ESRCH);
}

static void check_names(void)
{
    struct utsname names;
    char name[16] = "";

    REPORT(uname(&names) == 0);
    printf("%s %s %s %s\n", names.sysname, names.nodename, names.release, names.machine);
    REPORT(prctl(PR_SET_NAME, "a name that is too long") == 0);
    REPORT(prctl(PR_GET_NAME, name) == 0 && strcmp(name, "a name that is ") == 0);
    REPORT(prctl(99999, 0) == -1 && errno == EINVAL);
}

static void check_limits(void)
{
    struct rlimit limit, low = {.rlim_cur = 64, .rlim_max = 64}, wrong_way = {.rlim_cur = 2, .rlim_max = 1};

    REPORT(getrlimit(RLIMIT_STACK, &limit) == 0);
    printf("%llu\n", (unsigned long long)limit.rlim_cur);
    REPORT(setrlimit(RLIMIT_CORE, &wrong_way) == -1 && errno == EINVAL);
    REPORT(setrlimit(RLIMIT_NOFILE, &low) == 0);
    REPORT(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur == 64 && limit.rlim_max == 64);
    REPORT(getrlimit(9999, &limit) == -1 && errno == EINVAL);
}

static void check_clocks(void)
{
    struct timespec a, b, short_time = {.tv_nsec = 3000000}, wrong_time = {.tv_nsec = 2000000000};
    struct timeval now;
    struct rusage usage;
    struct tms ticks;
    volatile unsigned long work = 0;

    REPORT(clock_gettime(CLOCK_MONOTONIC, &a) == 0);
    REPORT(nanosleep(&short_time, NULL) == 0);
    REPORT(clock_gettime(CLOCK_MONOTONIC, &b) == 0);
    REPORT((b.tv_sec - a.tv_sec) * 1000000000L + b.tv_nsec - a.tv_nsec >= 3000000);
    REPORT(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &a, NULL) == 0);
    REPORT(nanosleep(&wrong_time, NULL) == -1 && errno == EINVAL);
    REPORT(clock_gettime(4711, &a) == -1 && errno == EINVAL);
    REPORT(clock_getres(CLOCK_MONOTONIC, &a) == 0 && a.tv_nsec == 1);
    REPORT(gettimeofday(&now, NULL) == 0);
    REPORT(labs(time(NULL) - now.tv_sec) <= 1); /* time(2) reads a clock that lags by up to a tick */
    for (int i = 0; i < 30000000; i++)
        work = work + 1;
    REPORT(getrusage(RUSAGE_SELF, &usage) == 0 && usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec > 0);
    REPORT(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a) == 0 && a.tv_sec * 1000000000 + a.tv_nsec > 1000000);
    REPORT(times(&ticks) != (clock_t)-1);
}

static void check_scheduling(void)
{
    cpu_set_t set;

    REPORT(sched_yield() == 0);
    REPORT(sched_getaffinity(0, sizeof(set), &set) == 0);
    printf("%d processors, %ld online\n", CPU_COUNT(&set), sysconf(_SC_NPROCESSORS_ONLN));
    REPORT(sched_getscheduler(0) == SCHED_OTHER);
    printf("%d %d\n", sched_get_priority_max(SCHED_FIFO), sched_get_priority_min(SCHED_FIFO));
}

static struct {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t more[4];
} attributes;

static void check_policies(void)
{
    struct sched_param none = {0}, high = {.sched_priority = 5}, got = {.sched_priority = 7};
    struct timespec interval;

    REPORT(sched_setscheduler(0, SCHED_BATCH, &none) == 0 && sched_getscheduler(getpid()) == SCHED_BATCH);
    REPORT(sched_setscheduler(0, SCHED_BATCH, &high) == -1 && errno == EINVAL);
    REPORT(sched_setscheduler(0, SCHED_FIFO, &none) == -1 && errno == EINVAL);
    REPORT(sched_setscheduler(0, 77, &none) == -1 && errno == EINVAL);
    REPORT(sched_setscheduler(0x3fffffff, SCHED_OTHER, &none) == -1 && errno == ESRCH);
    REPORT(sched_setscheduler(-1, SCHED_OTHER, &none) == -1 && errno == EINVAL);
    REPORT(sched_getparam(0, &got) == 0 && got.sched_priority == 0);
    REPORT(sched_getparam(0, NULL) == -1 && errno == EINVAL);
    REPORT(sched_setparam(0, &none) == 0 && sched_setparam(0, &high) == -1 && errno == EINVAL);
    REPORT(sched_rr_get_interval(0, &interval) == 0 && interval.tv_sec == 0);
    REPORT(syscall(SYS_sched_getattr, 0, &attributes, 48, 0) == 0 && attributes.size == 48 && attributes.policy == 3);
    REPORT(syscall(SYS_sched_getattr, 0, &attributes, 40, 0) == -1 && errno == EINVAL);
    REPORT(syscall(SYS_sched_getattr, 0, &attributes, 48, 1) == -1 && errno == EINVAL);
    attributes.policy = SCHED_OTHER;
    attributes.flags = 1;
    REPORT(syscall(SYS_sched_setattr, 0, &attributes, 0) == 0);
    REPORT(sched_getscheduler(0) == (SCHED_OTHER | SCHED_RESET_ON_FORK));
    attributes.policy = 77;
    REPORT(syscall(SYS_sched_setattr, 0, &attributes, 0) == -1 && errno == EINVAL);
    attributes.size = 4;
    REPORT(syscall(SYS_sched_setattr, 0, &attributes, 0) == -1 && errno == E2BIG && attributes.size >= 56);
}

static void *look_at_processors(void *set)
{
    sched_getaffinity(0, sizeof(cpu_set_t), set);
    return NULL;
}

static void check_processors(void)
{
    cpu_set_t all, first, got;
    pthread_t thread;
    int lowest = 0;

    REPORT(sched_getaffinity(0, sizeof(all), &all) == 0);
    while (!CPU_ISSET(lowest, &all))
        lowest++;
    CPU_ZERO(&first);
    REPORT(sched_setaffinity(0, sizeof(first), &first) == -1 && errno == EINVAL);
    CPU_SET(1000, &first);
    REPORT(sched_setaffinity(0, sizeof(first), &first) == -1 && errno == EINVAL);
    CPU_SET(lowest, &first);
    REPORT(sched_setaffinity(0, sizeof(first), &first) == 0);
    CPU_CLR(1000, &first);
    CPU_ZERO(&got);
    REPORT(sched_getaffinity(0, sizeof(got), &got) == 0 && CPU_EQUAL(&got, &first));
    CPU_ZERO(&got);
    REPORT(pthread_create(&thread, NULL, look_at_processors, &got) == 0 && pthread_join(thread, NULL) == 0);
    REPORT(CPU_EQUAL(&got, &first));
    REPORT(sched_setaffinity(0, sizeof(all), &all) == 0);
    REPORT(syscall(SYS_sched_setaffinity, 0x3fffffff, sizeof(all), &all) == -1 && errno == ESRCH);
}

static void check_personality(void)
{
    int old = personality(0xffffffff);

    REPORT(personality((unsigned long)old | ADDR_COMPAT_LAYOUT) == old);
    REPORT(personality((unsigned long)old) == (old | ADDR_COMPAT_LAYOUT));
    REPORT(personality(0xffffffff) == old);
}

static void *nicer_thread(void *own)
{
    *(int *)own = getpriority(PRIO_PROCESS, 0);
    REPORT(setpriority(PRIO_PROCESS, 0, *(int *)own + 1) == 0);
    REPORT(getpriority(PRIO_PROCESS, 0) == *(int *)own + 1);
    return NULL;
}

/* Whether a child has the value and keeps it when it is told a higher one, which ends at 19. */
static int child_is_told(int expected)
{
    int status, told, to_child[2];
    char byte;
    pid_t child;

    if (pipe(to_child) || (child = fork()) < 0)
        return 0;
    if (child == 0) {
        close(to_child[1]);
        _exit(read(to_child[0], &byte, 1) != 0 || getpriority(PRIO_PROCESS, 0) != 19);
    }
    told = getpriority(PRIO_PROCESS, (id_t)child) == expected && setpriority(PRIO_PROCESS, (id_t)child, 4711) == 0 &&
           getpriority(PRIO_PROCESS, (id_t)child) == 19;
    close(to_child[0]);
    close(to_child[1]);
    return waitpid(child, &status, 0) == child && status == 0 && told;
}

/* Only upwards: who may go back is the host's decision. What the program starts with is its parent's. */
static void check_nice(void)
{
    int before = getpriority(PRIO_PROCESS, 0), of_thread = 4711;
    pthread_t thread;

    printf("nice %d\n", before);
    REPORT(syscall(SYS_getpriority, PRIO_PROCESS, 0) == 20 - before);
    REPORT(setpriority(PRIO_PROCESS, 0, before + 2) == 0 && getpriority(PRIO_PROCESS, getpid()) == before + 2);
    REPORT(pthread_create(&thread, NULL, nicer_thread, &of_thread) == 0 && pthread_join(thread, NULL) == 0);
    REPORT(of_thread == before + 2 && getpriority(PRIO_PROCESS, 0) == before + 2);
    REPORT(child_is_told(before + 2));
    REPORT(setsid() >= 0 || getpgrp() == getpid());
    REPORT(setpriority(PRIO_PGRP, 0, before + 3) == 0 && getpriority(PRIO_PGRP, getpgrp()) == before + 3);
    REPORT(setpriority(PRIO_PROCESS, 0, -4711) == 0 || errno == EACCES);
    REPORT(getpriority(PRIO_USER, 0) <= before + 3);
    REPORT(getpriority(3, 0) == -1 && errno == EINVAL);
    REPORT(setpriority(-1, 0, 0) == -1 && errno == EINVAL);
    REPORT(getpriority(PRIO_PROCESS, 0x3fffffff) == -1 && errno == ESRCH);
    REPORT(setpriority(PRIO_PGRP, 0x3fffffff, 0) == -1 && errno == ESRCH);
    REPORT(setpriority(PRIO_USER, 4711, 0) == -1 && errno == ESRCH);
}

static void check_randomness(void)
{
    unsigned char a[1000] = {0}, b[1000] = {0};

    REPORT(getrandom(a, sizeof(a), 0) == sizeof(a) && getrandom(b, sizeof(b), 0) == sizeof(b));
    REPORT(memcmp(a, b, sizeof(a)) != 0);
    REPORT(getrandom(a, 1, 999) == -1 && errno == EINVAL);
    REPORT(syscall(SYS_getrandom, 8, 16, 0) == -1 && errno == EFAULT);
}

int main(void)
{
    check_ids();
    check_names();
    check_limits();
    check_clocks();
    check_scheduling();
    check_policies();
    check_processors();
    check_personality();
    check_nice();
    check_randomness();
    REPORT(syscall(499) == -1 && errno == ENOSYS);
    REPORT(syscall(100000) == -1 && errno == ENOSYS);
    return report_status();
}
