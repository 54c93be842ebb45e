/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Users, groups and capabilities: what is told, what may be changed by whom, and what goes with it. */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "report.h"

#define OTHER 4711

static struct __user_cap_data_struct data[2];

static long get_capabilities(int pid)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = pid};

    memset(data, 0, sizeof(data));
    return syscall(SYS_capget, &header, data);
}

static long set_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

    return syscall(SYS_capset, &header, data);
}

static int has(int capability)
{
    return get_capabilities(0) == 0 && (data[capability / 32].effective >> capability % 32 & 1);
}

static void print_capabilities(void)
{
    REPORT(get_capabilities(0) == 0);
    for (int i = 0; i < 2; i++)
        printf("%08x %08x %08x\n", data[i].effective, data[i].permitted, data[i].inheritable);
}

static void print_ids(void)
{
    uid_t users[3] = {0};
    gid_t groups[3] = {0};

    REPORT(getresuid(&users[0], &users[1], &users[2]) == 0 && getresgid(&groups[0], &groups[1], &groups[2]) == 0);
    printf("%u %u %u, %u %u %u, %u %u\n", users[0], users[1], users[2], groups[0], groups[1], groups[2], getuid(),
           geteuid());
}

static void check_headers(void)
{
    struct __user_cap_header_struct header = {.version = 1};

    REPORT(syscall(SYS_capget, &header, NULL) == 0 && header.version == _LINUX_CAPABILITY_VERSION_3);
    header.version = 1;
    REPORT(syscall(SYS_capget, &header, data) == -1 && errno == EINVAL);
    REPORT(syscall(SYS_capget, NULL, data) == -1 && errno == EFAULT);
    REPORT(get_capabilities(-1) == -1 && errno == EINVAL);
    REPORT(get_capabilities(0x3fffffff) == -1 && errno == ESRCH);
    header = (struct __user_cap_header_struct){.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0x3fffffff};
    REPORT(syscall(SYS_capset, &header, data) == -1 && errno == EPERM);
}

static void check_groups(void)
{
    gid_t groups[3] = {10, 20, 30}, got[64] = {0};
    int count = getgroups(64, got);

    printf("%d groups:", count);
    for (int i = 0; i < count; i++)
        printf(" %u", got[i]);
    printf("\n");
    REPORT(getgroups(0, NULL) == count && syscall(SYS_getgroups, -1, got) == -1 && errno == EINVAL);
    if (!has(CAP_SETGID)) {
        REPORT(syscall(SYS_setgroups, 3, groups) == -1 && errno == EPERM);
        return;
    }
    REPORT(setgroups(3, groups) == 0 && getgroups(64, got) == 3 && got[0] == 10 && got[2] == 30);
    REPORT(getgroups(2, got) == -1 && errno == EINVAL);
    REPORT(syscall(SYS_setgroups, 70000, groups) == -1 && errno == EINVAL);
    REPORT(syscall(SYS_setgroups, 3, 8) == -1 && errno == EFAULT);
    REPORT(setgroups(0, NULL) == 0 && getgroups(64, got) == 0);
}

static void check_wrong_ids(void)
{
    REPORT(setuid((uid_t)-1) == -1 && errno == EINVAL);
    REPORT(setgid((gid_t)-1) == -1 && errno == EINVAL);
    REPORT(setreuid((uid_t)-1, (uid_t)-1) == 0 && setregid((gid_t)-1, (gid_t)-1) == 0);
    REPORT(setresuid((uid_t)-1, geteuid(), (uid_t)-1) == 0);
    REPORT((uid_t)setfsuid((uid_t)-1) == geteuid());
}

/* The wait status of a child that does this. */
static int status_of(void (*action)(void))
{
    int status = -1;
    pid_t child;

    fflush(stdout);
    child = fork();
    if (child == 0) {
        action();
        _exit(report_status());
    }
    return waitpid(child, &status, 0) == child ? status : -1;
}

static void become_somebody_else(void)
{
    REPORT(setresgid(OTHER, OTHER, OTHER) == 0);
    REPORT(prctl(PR_SET_PDEATHSIG, SIGUSR1) == 0);
    REPORT(seteuid(OTHER) == 0);
    print_ids();
    print_capabilities();
    REPORT(kill(getppid(), 0) == 0);
    REPORT(prctl(PR_GET_DUMPABLE) == 0);
    REPORT(seteuid(0) == 0);
    print_capabilities();
    REPORT(setfsuid(OTHER) == 0 && setfsuid(0) == OTHER);
    REPORT(setuid(OTHER) == 0);
    print_ids();
    print_capabilities();
    REPORT(kill(getppid(), 0) == -1 && errno == EPERM);
    REPORT(setuid(0) == -1 && errno == EPERM);
    REPORT(setresuid(0, 0, 0) == -1 && errno == EPERM);
    REPORT(setreuid(OTHER, OTHER) == 0);
    REPORT(syscall(SYS_setgroups, 0, NULL) == -1 && errno == EPERM);
}

static void *look_from_thread(void *out)
{
    *(uid_t *)out = geteuid();
    return NULL;
}

static void keep_capabilities(void)
{
    pthread_t thread;
    uid_t seen = 0;

    REPORT(prctl(PR_SET_KEEPCAPS, 1) == 0 && prctl(PR_GET_KEEPCAPS) == 1);
    REPORT(setreuid(OTHER, OTHER) == 0);
    print_ids();
    REPORT(get_capabilities(0) == 0 && data[0].permitted != 0 && data[0].effective == 0);
    data[0].effective = data[0].permitted;
    data[1].effective = data[1].permitted;
    REPORT(set_capabilities() == 0);
    REPORT(pthread_create(&thread, NULL, look_from_thread, &seen) == 0 && pthread_join(thread, NULL) == 0);
    REPORT(seen == OTHER);
}

static void give_up_capabilities(void)
{
    REPORT(get_capabilities(0) == 0);
    data[0].effective &= ~(1U << CAP_SETUID);
    REPORT(set_capabilities() == 0 && !has(CAP_SETUID));
    REPORT(setuid(OTHER) == -1 && errno == EPERM);
    data[0].permitted &= ~(1U << CAP_SETUID);
    REPORT(set_capabilities() == 0);
    data[0].permitted |= 1U << CAP_SETUID;
    REPORT(set_capabilities() == -1 && errno == EPERM);
    REPORT(prctl(PR_CAPBSET_DROP, CAP_CHOWN) == 0 && prctl(PR_CAPBSET_READ, CAP_CHOWN) == 0);
    REPORT(prctl(PR_CAPBSET_READ, CAP_KILL) == 1);
}

/* Only who may become somebody else natively can be compared. */
static void check_changes(void)
{
    if (!has(CAP_SETUID) || !has(CAP_SETGID) || !has(CAP_SETPCAP) || geteuid() != 0)
        return;
    REPORT(status_of(become_somebody_else) == 0);
    REPORT(status_of(keep_capabilities) == 0);
    REPORT(status_of(give_up_capabilities) == 0);
}

static void check_settings(void)
{
    int value = -1;

    REPORT(prctl(PR_CAPBSET_READ, 200) == -1 && errno == EINVAL);
    REPORT(prctl(PR_SET_KEEPCAPS, 2) == -1 && errno == EINVAL);
    REPORT(prctl(PR_SET_DUMPABLE, 5) == -1 && errno == EINVAL);
    REPORT(prctl(PR_SET_PDEATHSIG, 65) == -1 && errno == EINVAL);
    REPORT(prctl(PR_SET_PDEATHSIG, SIGUSR1) == 0 && prctl(PR_GET_PDEATHSIG, &value) == 0 && value == SIGUSR1);
    REPORT(prctl(PR_SET_PDEATHSIG, 0) == 0 && prctl(PR_GET_PDEATHSIG, &value) == 0 && value == 0);
    REPORT(prctl(PR_GET_CHILD_SUBREAPER, &value) == 0 && value == 0);
}

/* A grandchild says that its parent is gone: by the signal that it asked for. */
static void wait_for_end_of_parent(int ready, int done)
{
    sigset_t set;
    int signo = 0;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    prctl(PR_SET_PDEATHSIG, SIGUSR2);
    if (write(ready, "r", 1) == 1 && sigwait(&set, &signo) == 0 && signo == SIGUSR2)
        _exit(write(done, "d", 1) == 1 ? 3 : 1);
    _exit(1);
}

static void check_end_of_parent(void)
{
    int ready[2], done[2], status = 0;
    pid_t child, orphan = 0;
    char byte = 0;

    REPORT(pipe(ready) == 0 && pipe(done) == 0);
    REPORT(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    child = fork();
    if (child == 0) {
        if (fork() == 0)
            wait_for_end_of_parent(ready[1], done[1]);
        _exit(read(ready[0], &byte, 1) == 1 ? 0 : 1);
    }
    REPORT(waitpid(child, &status, 0) == child && status == 0);
    REPORT(read(done[0], &byte, 1) == 1 && byte == 'd');
    orphan = wait(&status);
    REPORT(orphan > 0 && orphan != child && WIFEXITED(status) && WEXITSTATUS(status) == 3);
}

int main(void)
{
    print_ids();
    print_capabilities();
    check_headers();
    check_groups();
    check_wrong_ids();
    check_settings();
    check_changes();
    check_end_of_parent();
    return report_status();
}
