/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * With the host's own root as root folder, its proc is in reach of paths. What
 * belongs to a process there, the embedder above all, must not be. argv[1] is
 * the embedder's process id.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "report.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

static const char *const entries[] = {
    "",
    "/cmdline",
    "/cwd",
    "/environ",
    "/exe",
    "/fd",
    "/fd/0",
    "/fd/3",
    "/fdinfo",
    "/map_files",
    "/mem",
    "/maps",
    "/mounts",
    "/mountinfo",
    "/ns/mnt",
    "/root",
    "/root/etc/passwd",
    "/stat",
    "/status",
    "/task",
};

static void folder_of_embedder(const char *process, int proc)
{
    char path[100];
    struct stat st;

    for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
        snprintf(path, sizeof(path), "/proc/%s%s", process, entries[i]);
        REPORT(open(path, O_RDONLY) == -1);
        REPORT(open(path, O_RDWR) == -1);
        REPORT(open(path, O_PATH | O_NOFOLLOW) == -1);
        REPORT(stat(path, &st) == -1 && lstat(path, &st) == -1);
        REPORT(access(path, F_OK) == -1);
        /* The same by a path that starts in proc. */
        REPORT(openat(proc, path + strlen("/proc/"), O_RDONLY) == -1);
        REPORT(openat(proc, path + strlen("/"), O_RDONLY) == -1);
        snprintf(path, sizeof(path), "/etc/..//proc/./%s%s", process, entries[i]);
        REPORT(open(path, O_RDONLY) == -1);
        REPORT(readlink(path, (char[10]){0}, 10) == -1);
        REPORT(chdir(path) == -1);
        REPORT(truncate(path, 0) == -1);
    }
}

/* The whole of a small file. */
static ssize_t contents(const char *path, char *text, size_t capacity)
{
    int fd = open(path, O_RDONLY);
    ssize_t length = fd < 0 ? -1 : read(fd, text, capacity - 1);

    text[length < 0 ? 0 : length] = '\0';
    close(fd);
    return length;
}

/* These names mean the guest. */
static void own_names(const char *program)
{
    char text[65536];
    char line[64];
    ssize_t length;

    REPORT(readlink("/proc/self/exe", text, sizeof(text)) == (ssize_t)strlen(program));
    REPORT(memcmp(text, program, strlen(program)) == 0);
    REPORT(contents("/proc/self/cmdline", text, sizeof(text)) > 0 && strcmp(text, program) == 0);
    REPORT(contents("/proc/self/maps", text, sizeof(text)) > 0 && strstr(text, "[stack]") != NULL);
    REPORT(contents("/proc/self/status", text, sizeof(text)) > 0);
    snprintf(line, sizeof(line), "Pid:\t%d\n", getpid());
    REPORT(strstr(text, line) != NULL);
    REPORT(open("/proc/self/maps", O_RDWR) == -1);
    length = contents("/proc/self/environ", text, sizeof(text));
    REPORT(length > 0 && memmem(text, (size_t)length, "ONLY_FOR=guest", sizeof("ONLY_FOR=guest")) != NULL);
    REPORT(contents("/proc/meminfo", text, sizeof(text)) > 0);
    REPORT(contents("/proc/self/exe", text, sizeof(text)) > 4 && memcmp(text, "\177ELF", 4) == 0);
    REPORT(open("/proc/meminfo", O_WRONLY) == -1);
    REPORT(open("/proc/sys/kernel/pid_max", O_WRONLY) == -1);
    REPORT(open("/proc/sysrq-trigger", O_WRONLY) == -1);
    REPORT(open("/sys/kernel/uevent_helper", O_WRONLY | O_CREAT, 0600) == -1);
    REPORT(open("/proc", O_RDONLY | O_DIRECTORY) == -1 || chdir("/proc") == 0);
}

int main(int argc, char **argv)
{
    int proc = open("/proc", O_PATH | O_DIRECTORY);

    if (argc != 2)
        return 2;
    own_names(argv[0]);
    REPORT(proc >= 0);
    folder_of_embedder(argv[1], proc);
    REPORT(openat(proc, "self/environ", O_RDONLY) == -1);
    REPORT(openat(proc, "self/exe", O_RDONLY) == -1);
    REPORT(openat(proc, "thread-self/maps", O_RDONLY) == -1);
    REPORT(chdir("/proc") == 0 && open("self/mem", O_RDWR) == -1 && open("self/fd/0", O_RDONLY) == -1);
    return report_status();
}
