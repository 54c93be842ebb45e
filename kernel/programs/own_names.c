/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "programs/own_names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "files/executable.h"
#include "files/fd_table.h"
#include "tasks/process.h"

static const char *behind(const char *path, const char *prefix)
{
    size_t length = strlen(prefix);

    return strncmp(path, prefix, length) == 0 ? path + length : NULL;
}

/* What follows the process's own folder in /proc, or NULL. */
static const char *behind_own_folder(const struct process *process, const char *path)
{
    char by_number[32];
    const char *rest = behind(path, "/proc/self/");

    snprintf(by_number, sizeof(by_number), "/proc/%d/", process->pid);
    rest = rest ? rest : behind(path, "/proc/thread-self/");
    return rest ? rest : behind(path, by_number);
}

/* What the embedder gave the guest as a standard stream may lie outside of the root folder. */
static int open_descriptor(const struct process *process, const char *number)
{
    char *end;
    unsigned long fd = strtoul(number, &end, 10);
    const struct file *file;

    if (number[0] < '0' || number[0] > '9' || *end != '\0' || fd >= FD_TABLE_MAX)
        return -ENOENT;
    file = fd_table_file(process->fd_table, (uint32_t)fd);
    if (!file)
        return -ENOENT;
    return file->inherited ? -EACCES : executable_reopen(process->paths, file->host_fd);
}

int own_name_open(const struct process *process, const char *path)
{
    const char *own = behind_own_folder(process, path);
    const char *number = own ? behind(own, "fd/") : behind(path, "/dev/fd/");

    if (number)
        return open_descriptor(process, number);
    if (!own || strcmp(own, "exe") != 0)
        return -ENODEV;
    return process->executable ? executable_open(process->paths, process->executable) : -ENOENT;
}
