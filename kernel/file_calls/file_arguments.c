/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "file_calls/file_arguments.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "file_calls/file_proc.h"
#include "files/path_policy.h"
#include "memory/task_memory.h"

int64_t host_result(int64_t result)
{
    return result < 0 ? -errno : result;
}

uint32_t task_fd_limit(const struct task *task)
{
    uint64_t limit = task->process->limits[RLIMIT_NOFILE].rlim_cur;

    return limit < FD_TABLE_MAX ? (uint32_t)limit : FD_TABLE_MAX;
}

int64_t task_install_file(struct task *task, struct file *file, bool close_on_exec)
{
    if (file == NULL)
        return -ENOMEM;
    return fd_table_add(task->process->fd_table, file, 0, task_fd_limit(task), close_on_exec);
}

/* An empty path stands for dirfd itself. */
static int argument_is_dirfd(struct task *task, uint64_t dirfd, struct path_argument *out)
{
    if ((int32_t)dirfd == AT_FDCWD) {
        out->text[0] = '.';
        out->text[1] = '\0';
        out->base_fd = task->process->paths->cwd_fd;
        return 0;
    }
    out->file = task_file(task, dirfd);
    return out->file != NULL ? 0 : -EBADF;
}

static int find_base(struct task *task, uint64_t dirfd, struct path_argument *out)
{
    struct file *file;

    if (out->text[0] == '/' || (int32_t)dirfd == AT_FDCWD) {
        out->base_fd = task->process->paths->cwd_fd;
        return 0;
    }
    file = task_file(task, dirfd);
    if (file == NULL)
        return -EBADF;
    /* A directory that the embedder was started with may lie outside of the root folder. */
    if (file->inherited)
        return -ENOTDIR;
    out->base_fd = file->host_fd;
    return 0;
}

int path_argument_complete(const struct task *task, uint64_t dirfd, struct path_argument *argument)
{
    static const char folder[] = "/proc/self/fd/";
    const struct file *file = (int32_t)dirfd == AT_FDCWD ? NULL : task_file(task, dirfd);
    size_t size = strlen(argument->text) + 1;

    if (file == NULL || file->kind != FILE_DESCRIPTORS || size == 1 || argument->text[0] == '/')
        return 0;
    if (sizeof(folder) - 1 + size > sizeof(argument->text))
        return -ENAMETOOLONG;
    memmove(argument->text + sizeof(folder) - 1, argument->text, size);
    memcpy(argument->text, folder, sizeof(folder) - 1);
    return 0;
}

int path_argument_place(struct task *task, uint64_t dirfd, uint64_t at_flags, struct path_argument *argument)
{
    int result;

    argument->file = NULL;
    argument->generated_fd = -1;
    argument->lists_fds = false;
    if (argument->text[0] == '\0')
        return (at_flags & AT_EMPTY_PATH) != 0 ? argument_is_dirfd(task, dirfd, argument) : -ENOENT;
    result = path_argument_complete(task, dirfd, argument);
    if (result != 0)
        return result;
    result = proc_path_replace(task, (at_flags & AT_SYMLINK_NOFOLLOW) == 0, argument);
    if (result != 0 || argument->file != NULL || argument->generated_fd >= 0)
        return result;
    return find_base(task, dirfd, argument);
}

int path_argument_read(struct task *task, uint64_t dirfd, uint64_t addr, uint64_t at_flags, struct path_argument *out)
{
    ssize_t length = guest_read_string(task_memory(task), addr, out->text, sizeof(out->text));

    return length < 0 ? (int)length : path_argument_place(task, dirfd, at_flags, out);
}

void path_argument_close(struct path_argument *argument)
{
    if (argument->generated_fd >= 0)
        close(argument->generated_fd);
}

int file_check_change(const struct task *task, const struct file *file)
{
    if (file->inherited)
        return -EPERM;
    return path_policy_filesystem(task->process->paths->root, file->host_fd, PATH_CHANGE);
}

int path_argument_open(struct task *task, const struct path_argument *argument, uint64_t at_flags, enum path_use use,
                       struct path_target *out)
{
    if (argument->file != NULL) {
        *out = (struct path_target){.fd = argument->file->host_fd};
        return use == PATH_CHANGE ? file_check_change(task, argument->file) : 0;
    }
    if (argument->generated_fd >= 0) {
        *out = (struct path_target){.fd = argument->generated_fd, .owned = true};
        if (use == PATH_INSPECT)
            return 0;
        path_target_close(out);
        return -EACCES;
    }
    out->fd = path_lookup(task->process->paths, argument->base_fd, argument->text, path_argument_flags(at_flags), use);
    out->owned = true;
    return out->fd < 0 ? out->fd : 0;
}

int path_target_open(struct task *task, uint64_t dirfd, uint64_t addr, uint64_t at_flags, enum path_use use,
                     struct path_target *out)
{
    struct path_argument argument;
    int result = path_argument_read(task, dirfd, addr, at_flags, &argument);

    return result != 0 ? result : path_argument_open(task, &argument, at_flags, use, out);
}

void path_target_close(struct path_target *target)
{
    if (target->owned)
        close(target->fd);
}

int path_entry_open(struct task *task, uint64_t dirfd, uint64_t addr, struct path_entry *out)
{
    struct path_argument argument;
    int result = path_argument_read(task, dirfd, addr, AT_SYMLINK_NOFOLLOW, &argument);

    if (result != 0)
        return result;
    if (argument.file != NULL || argument.generated_fd >= 0)
        result = -EACCES;
    else
        result = path_entry_lookup(task->process->paths, argument.base_fd, argument.text, out);
    path_argument_close(&argument);
    return result;
}
