/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "process_costs.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sample.h"

#define PATH_TEXT_MAX 96

/* A "Name:   123 kB" line of a file under /proc/PID. */
static double proc_field_kib(pid_t pid, const char *file, const char *field)
{
    char path[PATH_TEXT_MAX], line[256];
    size_t length = strlen(field);
    double kib = -1;
    FILE *in;

    snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
    in = fopen(path, "r");
    sample_require(in != NULL, path);
    while (kib < 0 && fgets(line, sizeof(line), in))
        if (strncmp(line, field, length) == 0 && line[length] == ':')
            kib = strtod(line + length + 1, NULL);
    fclose(in);
    if (kib < 0)
        sample_fail("%s has no line \"%s\"", path, field);
    return kib;
}

double process_memory_kib(pid_t pid)
{
    return proc_field_kib(pid, "smaps_rollup", "Pss") + proc_field_kib(pid, "status", "VmPTE");
}

/* The first number of schedstat: ns on a processor. */
static double thread_cpu_seconds(pid_t pid, const char *tid)
{
    char path[PATH_TEXT_MAX], line[256];
    bool filled;
    FILE *in;

    snprintf(path, sizeof(path), "/proc/%d/task/%.16s/schedstat", pid, tid);
    in = fopen(path, "r");
    sample_require(in != NULL, path);
    filled = fgets(line, sizeof(line), in) != NULL;
    fclose(in);
    if (!filled)
        sample_fail("%s cannot be read", path);
    return strtod(line, NULL) * 1e-9;
}

double process_cpu_seconds(pid_t pid)
{
    char path[PATH_TEXT_MAX];
    const struct dirent *entry;
    double seconds = 0;
    DIR *tasks;

    snprintf(path, sizeof(path), "/proc/%d/task", pid);
    tasks = opendir(path);
    sample_require(tasks != NULL, path);
    while ((entry = readdir(tasks)))
        if (entry->d_name[0] != '.')
            seconds += thread_cpu_seconds(pid, entry->d_name);
    closedir(tasks);
    return seconds;
}

double own_cpu_seconds(void)
{
    struct timespec used;

    sample_require(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) == 0, "clock_gettime");
    return (double)used.tv_sec + (double)used.tv_nsec * 1e-9;
}

/* 0 for a process that is gone. The name in front of the fields may contain anything, also brackets. */
static pid_t parent_of(pid_t pid)
{
    char path[PATH_TEXT_MAX], line[512];
    const char *fields = NULL;
    FILE *in;

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    in = fopen(path, "r");
    if (!in)
        return 0;
    if (fgets(line, sizeof(line), in))
        fields = strrchr(line, ')');
    fclose(in);
    /* ") S 123": the state is one letter */
    return fields && strlen(fields) > 4 ? (pid_t)strtol(fields + 4, NULL, 10) : 0;
}

bool process_is_descendant(pid_t pid)
{
    while (pid > 1) {
        pid = parent_of(pid);
        if (pid == getpid())
            return true;
    }
    return false;
}

double descendants_cpu_seconds(void)
{
    const struct dirent *entry;
    DIR *processes = opendir("/proc");
    double seconds = 0;

    sample_require(processes != NULL, "/proc");
    while ((entry = readdir(processes))) {
        pid_t pid = isdigit((unsigned char)entry->d_name[0]) ? (pid_t)strtol(entry->d_name, NULL, 10) : 0;

        if (process_is_descendant(pid))
            seconds += process_cpu_seconds(pid);
    }
    closedir(processes);
    return seconds;
}
