/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "proc.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

/* What /proc/PID/stat has behind the name, in which there may be anything: " S 1 ..."; "" when there is no such
 * process. */
static void read_stat(pid_t pid, char *fields, size_t capacity)
{
    char path[64];
    char line[512] = "";
    const char *name_end;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    file = fopen(path, "re");
    if (file) {
        if (!fgets(line, sizeof(line), file))
            line[0] = '\0';
        fclose(file);
    }
    name_end = strrchr(line, ')');
    snprintf(fields, capacity, "%s", name_end ? name_end + 1 : "");
}

char proc_state(pid_t pid)
{
    char fields[512];

    read_stat(pid, fields, sizeof(fields));
    return fields[0] == ' ' ? fields[1] : 0;
}

pid_t proc_parent(pid_t pid)
{
    char fields[512];
    pid_t parent = 0;

    read_stat(pid, fields, sizeof(fields));
    sscanf(fields, " %*c %d", &parent);
    return parent;
}

bool proc_alive(pid_t pid)
{
    char state = proc_state(pid);

    return state != 0 && state != 'Z' && state != 'X';
}

void proc_wait_gone(pid_t pid)
{
    while (proc_alive(pid))
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

size_t proc_count(const char *folder)
{
    DIR *listing = opendir(folder);
    const struct dirent *entry;
    size_t count = 0;

    if (!listing)
        check_failed(CHECK_HERE, "%s: %m", folder);
    while ((entry = readdir(listing)) != NULL) {
        if (entry->d_name[0] != '.')
            count++;
    }
    closedir(listing);
    return strcmp(folder, "/proc/self/fd") == 0 ? count - 1 : count;
}

size_t proc_thread_count(pid_t pid)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/task", pid);
    return proc_count(path);
}

size_t proc_threads_not(pid_t pid, char state)
{
    char path[64];
    size_t others = 0;
    snprintf(path, sizeof(path), "/proc/%d/task", pid);
    DIR *threads = opendir(path);
    CHECK(threads != NULL);
    for (const struct dirent *entry; (entry = readdir(threads)) != NULL;) {
        const pid_t thread = atoi(entry->d_name);
        others += thread > 0 && proc_state(thread) != state;
    }
    closedir(threads);
    return others;
}

size_t proc_mappings(pid_t pid, struct proc_mapping *mappings, size_t capacity)
{
    char path[64];
    char line[512];
    size_t count = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/maps", pid);
    file = fopen(path, "re");
    if (!file)
        check_failed(CHECK_HERE, "%s: %m", path);
    while (fgets(line, sizeof(line), file)) {
        struct proc_mapping mapping = {0};

        CHECK(sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %*s %*s %*s %127[^\n]", &mapping.start, &mapping.end,
                     mapping.name) >= 2);
        if (count < capacity)
            mappings[count] = mapping;
        count++;
    }
    fclose(file);
    return count;
}

uint64_t proc_resident(pid_t pid, uint64_t addr)
{
    char path[64];
    char line[512];
    uint64_t kib = 0;
    bool inside = false;
    bool found = false;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
    file = fopen(path, "re");
    if (!file)
        check_failed(CHECK_HERE, "%s: %m", path);
    while (fgets(line, sizeof(line), file)) {
        uint64_t start;
        uint64_t end;

        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &start, &end) == 2)
            inside = start <= addr && addr < end;
        else if (inside && sscanf(line, "Rss: %" SCNu64 " kB", &kib) == 1)
            found = true;
    }
    fclose(file);
    CHECK(found);
    return kib * 1024;
}

int proc_leave(void)
{
    char folder[] = "/tmp/trapgate-empty-XXXXXX";
    int root = CHECK_SYSTEM(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));

    if (geteuid() != 0)
        SKIP("only root can leave /proc behind");
    CHECK(mkdtemp(folder) != NULL);
    CHECK_SYSTEM(chdir(folder));
    CHECK_SYSTEM(rmdir(folder));
    CHECK_SYSTEM(chroot("."));
    CHECK_EQ(access("/proc", F_OK), -1);
    return root;
}

void proc_return(int root)
{
    CHECK_SYSTEM(fchdir(root));
    CHECK_SYSTEM(chroot("."));
    CHECK_SYSTEM(close(root));
}

size_t proc_field(const char *path, const char *field)
{
    char line[256];
    const size_t length = strlen(field);
    size_t value = 0;
    FILE *file = fopen(path, "re");

    while (file && fgets(line, sizeof(line), file))
        if (strncmp(line, field, length) == 0)
            value = strtoul(line + length, NULL, 10);
    if (file)
        fclose(file);
    return value;
}
