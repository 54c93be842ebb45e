/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "hosts.h"

#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "filter.h"
#include "guest.h"

#ifndef SYS_mseal
#define SYS_mseal 462
#endif
#ifndef PR_SET_MDWE
#define PR_SET_MDWE              65
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif
#ifndef PR_MDWE_NO_INHERIT
#define PR_MDWE_NO_INHERIT 2
#endif

#define UNUSED_USER     100000
#define REAL_TIME_LIMIT 3000000 /* microseconds without a sleep: then the kernel ends the process */

static void usual(const struct environment *environment, long value)
{
    (void)environment;
    (void)value;
}

/* ---- descriptors ---- */

static void close_standard_streams(const struct environment *environment, long value)
{
    (void)environment;
    (void)value;
    for (int fd = 0; fd < 3; fd++)
        CHECK_SYSTEM(close(fd));
}

static void close_one(const struct environment *environment, long value)
{
    (void)value;
    CHECK_SYSTEM(close(environment->what));
}

/* ---- limits ---- */

static void limit(const struct environment *environment, long value)
{
    const struct rlimit both = {.rlim_cur = (rlim_t)value, .rlim_max = (rlim_t)value};

    CHECK_SYSTEM(setrlimit((__rlimit_resource_t)environment->what, &both));
}

/* Root's processes are not counted, so root becomes a user that nobody else is. */
static void limit_processes(const struct environment *environment, long value)
{
    const uid_t user = UNUSED_USER + (uid_t)getpid();

    if (geteuid() != 0)
        SKIP("only root can become a user without processes");
    CHECK_SYSTEM(setgroups(0, NULL));
    CHECK_SYSTEM(setresgid(user, user, user));
    CHECK_SYSTEM(setresuid(user, user, user));
    CHECK_SYSTEM(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
    limit(environment, value);
}

static const long file_sizes[] = {0, 1, 4096, 1 << 20, 32 << 20};
static const long address_spaces[] = {100l << 20, 300l << 20, 1l << 30, 2l << 30, 4l << 30, 16l << 30};
static const long process_counts[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12};
static const long descriptor_counts[] = {3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 20};

/* ---- how it runs ---- */

static void run_in_real_time(const struct environment *environment, long value)
{
    const struct rlimit both = {.rlim_cur = REAL_TIME_LIMIT, .rlim_max = REAL_TIME_LIMIT};
    const struct sched_param lowest = {.sched_priority = 1};
    cpu_set_t allowed;

    (void)environment;
    (void)value;
    if (!getenv("HOSTS_REAL_TIME"))
        SKIP("HOSTS_REAL_TIME is not set: this disturbs the rest of the machine");
    CHECK_SYSTEM(sched_getaffinity(0, sizeof(allowed), &allowed));
    if (CPU_COUNT(&allowed) < 2)
        SKIP("one processor");
    CHECK_SYSTEM(setrlimit(RLIMIT_RTTIME, &both));
    if (sched_setscheduler(0, SCHED_FIFO, &lowest))
        SKIP("real-time scheduling: %m");
}

static void be_a_personality(const struct environment *environment, long value)
{
    (void)value;
    CHECK_SYSTEM(personality((unsigned long)environment->what));
}

/* As a kernel with CONFIG_MSEAL_SYSTEM_MAPPINGS leaves every process. */
static void seal_system_mappings(const struct environment *environment, long value)
{
    char line[256];
    FILE *maps = fopen("/proc/self/maps", "re");

    (void)environment;
    (void)value;
    CHECK(maps != NULL);
    while (fgets(line, sizeof(line), maps)) {
        unsigned long start;
        unsigned long end;

        if ((strstr(line, "[vdso]") || strstr(line, "[vvar")) && sscanf(line, "%lx-%lx", &start, &end) == 2 &&
            syscall(SYS_mseal, start, end - start, 0))
            SKIP("mseal: %m");
    }
    fclose(maps);
}

static void refuse_exec_gain(const struct environment *environment, long value)
{
    (void)value;
    if (prctl(PR_SET_MDWE, environment->what, 0, 0, 0))
        SKIP("PR_SET_MDWE: %m");
}

/* ---- what it sees ---- */

static void hide_proc(const struct environment *environment, long value)
{
    (void)environment;
    (void)value;
    if (unshare(CLONE_NEWNS))
        SKIP("unshare(CLONE_NEWNS): %m");
    CHECK_SYSTEM(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
    CHECK_SYSTEM(mount("none", "/proc", "tmpfs", 0, NULL));
    CHECK_SYSTEM(mount("none", "/sys", "tmpfs", 0, NULL));
}

static void live_in_an_empty_folder(const struct environment *environment, long value)
{
    char folder[] = "/tmp/trapgate-hosts-XXXXXX";

    (void)environment;
    (void)value;
    CHECK(mkdtemp(folder) != NULL);
    CHECK_SYSTEM(chdir(folder));
    CHECK_SYSTEM(rmdir(folder));
    if (chroot("."))
        SKIP("chroot: %m");
}

static void unshare_it(const struct environment *environment, long value)
{
    (void)value;
    if (unshare(environment->what))
        SKIP("unshare: %m");
}

static void give_up_root(const struct environment *environment, long value)
{
    limit_processes(environment, value);
}

/* ---- filters ---- */

void refuse_call(const struct environment *environment, long value)
{
    CHECK_EQ(filter_refuse(environment->what, value), 0);
}

static const long denials[] = {EPERM, ENOSYS};
static const long forbidden[] = {EPERM};
static const long missing[] = {ENOSYS};
static const long fatal[] = {KILL};
static const long calls_of_stubs[] = {SYS_mmap,   SYS_munmap, SYS_mprotect, SYS_madvise,
                                      SYS_mremap, SYS_lseek,  SYS_futex,    SYS_clone};

#define VALUES(array) (array), ARRAY_SIZE(array)
#define ONCE          NULL, 0

const struct environment environments[] = {
    {"usual", usual, 0, {.expected = WORKS}, {.expected = WORKS}, ONCE},

    {"no_standard_streams", close_standard_streams, 0, {.expected = WORKS}, {.expected = WORKS}, ONCE},
    {"no_output", close_one, 1, {.expected = WORKS}, {.expected = WORKS}, ONCE},

    {"file_size", limit, RLIMIT_FSIZE, {.expected = WORKS}, {REFUSED, {"RLIMIT_FSIZE"}}, VALUES(file_sizes)},
    {"address_space",
     limit,
     RLIMIT_AS,
     {EITHER, {"RLIMIT_AS", "memory"}},
     {EITHER, {"RLIMIT_AS", "memory"}},
     VALUES(address_spaces)},
    {"processes",
     limit_processes,
     RLIMIT_NPROC,
     {EITHER, {"RLIMIT_NPROC", "thread"}},
     {EITHER, {"RLIMIT_NPROC", "thread"}},
     VALUES(process_counts)},
    {"descriptors",
     limit,
     RLIMIT_NOFILE,
     {EITHER, {"RLIMIT_NOFILE", "open files"}},
     {EITHER, {"RLIMIT_NOFILE", "open files"}},
     VALUES(descriptor_counts)},

    {"real_time", run_in_real_time, 0, {.expected = WORKS}, {.expected = WORKS}, ONCE},
    {"read_implies_exec", be_a_personality, READ_IMPLIES_EXEC, {.expected = WORKS}, {.expected = WORKS}, ONCE},
    {"no_exec_gain",
     refuse_exec_gain,
     PR_MDWE_REFUSE_EXEC_GAIN,
     {REFUSED, {"PR_SET_MDWE"}},
     {REFUSED, {"PR_SET_MDWE"}},
     ONCE},
    {"no_exec_gain_alone",
     refuse_exec_gain,
     PR_MDWE_REFUSE_EXEC_GAIN | PR_MDWE_NO_INHERIT,
     {.expected = WORKS},
     {.expected = WORKS},
     ONCE},

    {"sealed_system_mappings", seal_system_mappings, 0, {.expected = WORKS}, {.expected = WORKS}, ONCE},
    {"no_proc", hide_proc, 0, {.expected = WORKS}, {.expected = WORKS}, ONCE},
    {"empty_folder", live_in_an_empty_folder, 0, {.expected = WORKS}, {.expected = WORKS}, ONCE},
    {"no_root", give_up_root, RLIMIT_MSGQUEUE, {.expected = WORKS}, {.expected = WORKS}, ONCE},
    {"user_namespace", unshare_it, CLONE_NEWUSER, {.expected = WORKS}, {.expected = WORKS}, ONCE},
    {"pid_namespace_to_come", unshare_it, CLONE_NEWPID, {REFUSED, {"unshare"}}, {REFUSED, {"unshare"}}, ONCE},

    {"traced", be_traced, 0, {REFUSED, {"tracer"}}, {.expected = WORKS}, ONCE},

    {"no_sigaltstack", refuse_call, SYS_sigaltstack, {.expected = WORKS}, {REFUSED, {"sigaltstack"}}, VALUES(denials)},
    {"no_seccomp", refuse_call, SYS_seccomp, {REFUSED, {"seccomp(2)"}}, {REFUSED, {"seccomp(2)"}}, VALUES(denials)},
    {"no_memfd", refuse_call, SYS_memfd_create, {.expected = WORKS}, {REFUSED, {"memfd_create"}}, VALUES(denials)},
    {"no_pidfd", refuse_call, SYS_pidfd_open, {EITHER, {"pidfd_open"}}, {REFUSED, {"pidfd_open"}}, VALUES(denials)},
    {"no_pidfd_signal",
     refuse_call,
     SYS_pidfd_send_signal,
     {.expected = WORKS},
     {EITHER, {"pidfd_send_signal"}},
     VALUES(denials)},
    {"no_eventfd", refuse_call, SYS_eventfd2, {EITHER, {"allow both"}}, {REFUSED, {"eventfd2"}}, VALUES(denials)},
    {"no_tgkill", refuse_call, SYS_tgkill, {REFUSED, {"tgkill(2)"}}, {REFUSED, {"tgkill(2)"}}, VALUES(denials)},
    {"no_sleep", refuse_call, SYS_clock_nanosleep, {.expected = WORKS}, {.expected = WORKS}, VALUES(denials)},
    {"no_poll", refuse_call, SYS_ppoll, {REFUSED, {"ppoll(2)"}}, {.expected = WORKS}, VALUES(denials)},
    {"no_random", refuse_call, SYS_getrandom, {REFUSED, {"getrandom"}}, {REFUSED, {"getrandom"}}, VALUES(denials)},
    {"no_clone3", refuse_call, SYS_clone3, {.expected = WORKS}, {.expected = WORKS}, VALUES(missing)},
    {"clone3_forbidden", refuse_call, SYS_clone3, {REFUSED, {"clone3"}}, {REFUSED, {"clone3"}}, VALUES(forbidden)},
    {"no_copies", refuse_call, SYS_process_vm_writev, {.expected = WORKS}, {.expected = WORKS}, VALUES(denials)},
    {"no_limits_shown", refuse_call, SYS_prlimit64, {.expected = WORKS}, {.expected = WORKS}, VALUES(denials)},
    {"fatal_call", refuse_call, SYS_reboot, {.expected = WORKS}, {REFUSED, {"system call 169"}}, VALUES(fatal)},
    {"ended_threads", end_threads_of_stubs, 0, {EITHER, {"filter"}}, {EITHER, {"filter"}}, VALUES(calls_of_stubs)},
    {"fatal_sigaltstack", refuse_call, SYS_sigaltstack, {.expected = WORKS}, {REFUSED, {"filter"}}, VALUES(fatal)},
};

const size_t environment_count = ARRAY_SIZE(environments);
