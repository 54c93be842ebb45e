/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* open and its relatives: new descriptors for names, and for memory without a name. */
#include "file_calls/file_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file_calls/file_arguments.h"
#include "memory/read_once.h"
#include "memory/task_memory.h"

/* How long to wait before an open is tried again that the host cannot tell us the end of. */
#define OPEN_RETRY_NS 10000000

/* What open(2) knows; it ignores all other bits. */
#define OPEN_KNOWN_FLAGS                                                                                               \
    (O_ACCMODE | O_APPEND | O_CLOEXEC | O_CREAT | O_DIRECT | O_DIRECTORY | O_DSYNC | O_EXCL | O_NOATIME | O_NOCTTY |   \
     O_NOFOLLOW | O_NONBLOCK | O_PATH | O_SYNC | O_TMPFILE | O_TRUNC)
#define OPEN_PATH_FLAGS (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static bool is_temporary(int flags)
{
    return (flags & O_TMPFILE) == O_TMPFILE;
}

static bool wants_to_change(int flags)
{
    return (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC) != 0 || is_temporary(flags);
}

/* Files that the guest makes never gain set-user-ID or set-group-ID: they would count on the host too. */
static mode_t creation_mode(const struct task *task, uint64_t mode)
{
    return (mode_t)(mode & 01777) & ~task->process->paths->umask;
}

/* Opens what the lookup found. A host descriptor, -EAGAIN when the guest has to wait, or another -errno. */
static int open_found(const struct task *task, int path_fd, const struct stat *st, int flags, mode_t mode)
{
    int fd;

    if ((flags & O_CREAT) != 0 && S_ISDIR(st->st_mode))
        return -EISDIR;
    fd = path_reopen_stat(task->process->paths->root, path_fd, st, flags & ~(O_CREAT | O_EXCL | O_NOFOLLOW), mode);
    /* Here a blocking open of a FIFO waits until somebody reads it. */
    if (fd == -ENXIO && S_ISFIFO(st->st_mode) && (flags & O_NONBLOCK) == 0)
        return -EAGAIN;
    return fd;
}

static bool only_reads_directory(int flags)
{
    return (flags & O_DIRECTORY) != 0 && (flags & (O_PATH | O_CREAT)) == 0 && !wants_to_change(flags);
}

/* Opens a name as open(2) does. A host descriptor, and in *kind what it is of; or -errno. */
static int open_name(const struct task *task, const struct path_argument *argument, int flags, mode_t mode,
                     enum file_kind *kind)
{
    const struct path_context *paths = task->process->paths;
    bool exclusive = (flags & O_CREAT) != 0 && (flags & O_EXCL) != 0;
    struct stat st;
    int path_fd;
    int fd;

    *kind = FILE_PLAIN;
    if (exclusive)
        return path_create(paths, argument->base_fd, argument->text, flags, mode);
    if (only_reads_directory(flags)) {
        *kind = FILE_DIRECTORY;
        return path_open_directory(paths, argument->base_fd, argument->text, flags);
    }
    path_fd = path_lookup_stat(paths, argument->base_fd, argument->text, flags & (O_NOFOLLOW | O_DIRECTORY),
                               wants_to_change(flags) && (flags & O_PATH) == 0 ? PATH_CHANGE : PATH_INSPECT, &st);
    if (path_fd == -ENOENT && (flags & O_CREAT) != 0)
        return path_create(paths, argument->base_fd, argument->text, flags, mode);
    if (path_fd < 0 || (flags & O_PATH) != 0)
        return path_fd;
    *kind = is_temporary(flags) ? FILE_PLAIN : file_kind_of(&st);
    fd = open_found(task, path_fd, &st, flags, mode);
    close(path_fd);
    return fd;
}

/* A name of a descriptor, "/dev/fd/0": the same description once more, as far as its access mode allows. */
static int64_t open_again(struct task *task, struct file *file, int flags)
{
    int wanted = flags & O_ACCMODE;
    int granted = file->status & O_ACCMODE;

    if ((flags & O_CREAT) != 0 && (flags & O_EXCL) != 0)
        return -EEXIST;
    if (granted != O_RDWR && wanted != granted)
        return -EACCES;
    return task_install_file(task, file_get(file), (flags & O_CLOEXEC) != 0);
}

/* One of proc's files that the kernel answers itself. A host descriptor or -errno. */
static int open_generated(const struct path_argument *argument, int flags)
{
    if (wants_to_change(flags))
        return argument->lists_fds ? -EISDIR : -EACCES;
    return (int)host_result(fcntl(argument->generated_fd, F_DUPFD_CLOEXEC, 0));
}

static int64_t open_argument(struct task *task, const struct path_argument *argument, int flags, mode_t mode)
{
    enum file_kind kind = argument->lists_fds ? FILE_DESCRIPTORS : FILE_PLAIN;
    int fd;

    if (argument->file != NULL)
        return open_again(task, argument->file, flags);
    fd = argument->generated_fd >= 0 ? open_generated(argument, flags) : open_name(task, argument, flags, mode, &kind);
    if (fd < 0)
        return fd;
    return task_install_file(task, file_create(fd, flags, kind), (flags & O_CLOEXEC) != 0);
}

static int64_t open_at(struct task *task, uint64_t dirfd, uint64_t path, uint64_t raw_flags, uint64_t mode)
{
    struct path_argument argument;
    int flags = (int)raw_flags & OPEN_KNOWN_FLAGS;
    int64_t result;
    ssize_t length;

    if ((flags & O_PATH) != 0)
        flags &= OPEN_PATH_FLAGS;
    if (is_temporary(flags) && (flags & O_ACCMODE) == O_RDONLY)
        return -EINVAL;
    length = read_string_once(task, path, argument.text, sizeof(argument.text));
    if (length < 0)
        return length;
    result = path_argument_place(task, dirfd, 0, &argument);
    if (result != 0)
        return result;
    result = open_argument(task, &argument, flags, creation_mode(task, mode));
    path_argument_close(&argument);
    return result == -EAGAIN ? task_wait_until(task, deadline_after(OPEN_RETRY_NS)) : result;
}

int64_t call_openat(struct task *task, const uint64_t args[6])
{
    return open_at(task, args[0], args[1], args[2], args[3]);
}

int64_t call_open(struct task *task, const uint64_t args[6])
{
    return open_at(task, (uint64_t)AT_FDCWD, args[0], args[1], args[2]);
}

int64_t call_creat(struct task *task, const uint64_t args[6])
{
    return open_at(task, (uint64_t)AT_FDCWD, args[0], O_CREAT | O_WRONLY | O_TRUNC, args[1]);
}

int64_t call_close(struct task *task, const uint64_t args[6])
{
    return fd_table_close(task->process->fd_table, (uint32_t)args[0]);
}

int64_t call_memfd_create(struct task *task, const uint64_t args[6])
{
    unsigned int flags = (unsigned int)args[1];
    char name[250];
    ssize_t length = guest_read_string(task_memory(task), args[0], name, sizeof(name));
    int fd;

    if (length < 0)
        return length == -ENAMETOOLONG ? -EINVAL : length;
    if ((flags & ~(unsigned int)(MFD_CLOEXEC | MFD_ALLOW_SEALING)) != 0)
        return -EINVAL;
    fd = memfd_create(name, flags | MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    return task_install_file(task, file_create(fd, O_RDWR, FILE_PLAIN), (flags & MFD_CLOEXEC) != 0);
}
