/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "core/systrap/strangers.h"

#define PATIENCE_S 1 /* a birth takes far less, unless somebody has stopped the mother */

/* The process's group, from /proc/PID/stat; 0: it has gone. */
static pid_t group_of(const char *pid)
{
    char path[sizeof("/proc//stat") + 16];
    char line[256];
    pid_t group = 0;
    const char *behind_name;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%.16s/stat", pid);
    file = fopen(path, "re");
    if (!file)
        return 0;
    if (fgets(line, sizeof(line), file)) {
        behind_name = strrchr(line, ')');
        if (!behind_name || sscanf(behind_name + 1, " %*c %*d %d", &group) != 1)
            group = 0;
    }
    fclose(file);
    return group;
}

static bool is_known(struct systrap_platform *sp, pid_t pid)
{
    const struct list *node;
    bool known = false;

    pthread_mutex_lock(&sp->watch_lock);
    list_for_each(node, &sp->watched)
    {
        const struct systrap_subprocess *subprocess = container_of(node, struct systrap_subprocess, watched);

        known = known || atomic_load(&subprocess->base.pid) == pid;
    }
    pthread_mutex_unlock(&sp->watch_lock);
    return known;
}

/* 0: there is none. birth_lock is held for writing, so that none is about to be known. */
static pid_t find_stranger(struct tg_platform *platform)
{
    struct systrap_platform *sp = systrap_platform(platform);
    pid_t stranger = 0;
    struct dirent *entry;
    DIR *processes = opendir("/proc");

    if (!processes)
        return 0;
    while (!stranger && (entry = readdir(processes))) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

        if (pid > 0 && group_of(entry->d_name) == sp->group && pid != sp->group && !is_known(sp, pid))
            stranger = pid;
    }
    closedir(processes);
    return stranger;
}

/*
 * Alone with the stubs: no birth goes on, and none begins. Not at any price,
 * for a mother that somebody has stopped (SIGSTOP) gives birth when she goes
 * on, and those of other mothers would have to wait for that too.
 */
static bool stop_births(struct systrap_platform *sp)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    return pthread_rwlock_timedwrlock(&sp->birth_lock, &until) == 0;
}

void kill_strangers(struct tg_platform *platform)
{
    struct systrap_platform *sp = systrap_platform(platform);
    pid_t stranger;

    if (!stop_births(sp))
        return;
    while ((stranger = find_stranger(platform)) > 0) {
        kill(stranger, SIGKILL);
        while (waitpid(stranger, NULL, __WALL) < 0 && errno == EINTR)
            ;
    }
    pthread_rwlock_unlock(&sp->birth_lock);
}
