/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Calls that change what the host keeps about a file: mode, owner, times, length. */
#include "file_calls/file_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>
#include <utime.h>

#include "file_calls/file_arguments.h"
#include "files/path_name.h"
#include "memory/task_memory.h"

/* A file by descriptor whose attributes the guest may change. 0 or -errno. */
static int64_t changeable_file(const struct task *task, uint64_t fd, struct file **out)
{
    *out = task_file(task, fd);
    return *out == NULL ? -EBADF : file_check_change(task, *out);
}

/* ------------------------------------------------------------------------
 * Mode and owner
 */

/*
 * Set-user-ID and set-group-ID would count on the host, for whoever can reach
 * the root folder there, so files do not get them.
 */
static mode_t allowed_mode(int fd, uint64_t mode)
{
    struct stat st;
    bool directory = fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);

    return (mode_t)(mode & (directory ? 07777 : 01777));
}

static int64_t chmod_at(struct task *task, uint64_t dirfd, uint64_t path, uint64_t mode, uint64_t at_flags)
{
    char name[PATH_FD_NAME_SIZE];
    struct path_target target;
    int64_t result;

    if ((at_flags & ~(uint64_t)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0)
        return -EINVAL;
    result = path_target_open(task, dirfd, path, at_flags, PATH_CHANGE, &target);
    if (result != 0)
        return result;
    path_fd_name(target.fd, name);
    result = host_result(fchmodat(task->process->paths->root->self_fds, name, allowed_mode(target.fd, mode), 0));
    path_target_close(&target);
    return result;
}

int64_t call_chmod(struct task *task, const uint64_t args[6])
{
    return chmod_at(task, (uint64_t)AT_FDCWD, args[0], args[1], 0);
}

int64_t call_fchmodat(struct task *task, const uint64_t args[6])
{
    return chmod_at(task, args[0], args[1], args[2], 0);
}

int64_t call_fchmodat2(struct task *task, const uint64_t args[6])
{
    return chmod_at(task, args[0], args[1], args[2], (uint32_t)args[3]);
}

int64_t call_fchmod(struct task *task, const uint64_t args[6])
{
    struct file *file;
    int64_t result = changeable_file(task, args[0], &file);

    return result != 0 ? result : host_result(fchmod(file->host_fd, allowed_mode(file->host_fd, args[1])));
}

static int64_t chown_at(struct task *task, uint64_t dirfd, uint64_t path, uint64_t uid, uint64_t gid, uint64_t at_flags)
{
    struct path_target target;
    int64_t result;

    if ((at_flags & ~(uint64_t)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0)
        return -EINVAL;
    result = path_target_open(task, dirfd, path, at_flags, PATH_CHANGE, &target);
    if (result != 0)
        return result;
    result = host_result(fchownat(target.fd, "", (uid_t)uid, (gid_t)gid, AT_EMPTY_PATH));
    path_target_close(&target);
    return result;
}

int64_t call_chown(struct task *task, const uint64_t args[6])
{
    return chown_at(task, (uint64_t)AT_FDCWD, args[0], args[1], args[2], 0);
}

int64_t call_lchown(struct task *task, const uint64_t args[6])
{
    return chown_at(task, (uint64_t)AT_FDCWD, args[0], args[1], args[2], AT_SYMLINK_NOFOLLOW);
}

int64_t call_fchownat(struct task *task, const uint64_t args[6])
{
    return chown_at(task, args[0], args[1], args[2], args[3], (uint32_t)args[4]);
}

int64_t call_fchown(struct task *task, const uint64_t args[6])
{
    struct file *file;
    int64_t result = changeable_file(task, args[0], &file);

    return result != 0 ? result : host_result(fchown(file->host_fd, (uid_t)args[1], (gid_t)args[2]));
}

/* ------------------------------------------------------------------------
 * Times
 */

/* times NULL: now. A path at address 0 stands for dirfd itself, as utimensat(2) has it. */
static int64_t set_times(struct task *task, uint64_t dirfd, uint64_t path, const struct timespec *times,
                         uint64_t at_flags)
{
    char name[PATH_FD_NAME_SIZE];
    struct path_target target;
    int64_t result;

    if (path == 0 && (int32_t)dirfd != AT_FDCWD) {
        struct file *file;

        result = changeable_file(task, dirfd, &file);
        return result != 0 ? result : host_result(futimens(file->host_fd, times));
    }
    result = path_target_open(task, dirfd, path, at_flags, PATH_CHANGE, &target);
    if (result != 0)
        return result;
    path_fd_name(target.fd, name);
    result = host_result(utimensat(task->process->paths->root->self_fds, name, times, 0));
    path_target_close(&target);
    return result;
}

int64_t call_utimensat(struct task *task, const uint64_t args[6])
{
    struct timespec times[2];
    uint32_t at_flags = (uint32_t)args[3];

    if ((at_flags & ~(uint32_t)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0)
        return -EINVAL;
    if (args[2] != 0 && guest_read(task_memory(task), args[2], times, sizeof(times)) != 0)
        return -EFAULT;
    return set_times(task, args[0], args[1], args[2] != 0 ? times : NULL, at_flags);
}

/* From the struct timeval pair of the older calls. 0 or -errno. */
static int64_t read_timevals(struct task *task, uint64_t addr, struct timespec times[2])
{
    struct timeval values[2];

    if (guest_read(task_memory(task), addr, values, sizeof(values)) != 0)
        return -EFAULT;
    for (size_t i = 0; i < 2; i++) {
        if (values[i].tv_usec < 0 || values[i].tv_usec >= 1000000)
            return -EINVAL;
        times[i] = (struct timespec){.tv_sec = values[i].tv_sec, .tv_nsec = values[i].tv_usec * 1000};
    }
    return 0;
}

int64_t call_futimesat(struct task *task, const uint64_t args[6])
{
    struct timespec times[2];
    int64_t result = args[2] != 0 ? read_timevals(task, args[2], times) : 0;

    return result != 0 ? result : set_times(task, args[0], args[1], args[2] != 0 ? times : NULL, 0);
}

int64_t call_utimes(struct task *task, const uint64_t args[6])
{
    const uint64_t at_args[6] = {(uint64_t)AT_FDCWD, args[0], args[1]};

    return call_futimesat(task, at_args);
}

int64_t call_utime(struct task *task, const uint64_t args[6])
{
    struct utimbuf values;
    struct timespec times[2];

    if (args[1] == 0)
        return set_times(task, (uint64_t)AT_FDCWD, args[0], NULL, 0);
    if (guest_read(task_memory(task), args[1], &values, sizeof(values)) != 0)
        return -EFAULT;
    times[0] = (struct timespec){.tv_sec = values.actime};
    times[1] = (struct timespec){.tv_sec = values.modtime};
    return set_times(task, (uint64_t)AT_FDCWD, args[0], times, 0);
}

/* ------------------------------------------------------------------------
 * Length and creation mask
 */

int64_t call_truncate(struct task *task, const uint64_t args[6])
{
    struct path_target target;
    int64_t result;
    int fd;

    if ((int64_t)args[1] < 0)
        return -EINVAL;
    result = path_target_open(task, (uint64_t)AT_FDCWD, args[0], 0, PATH_CHANGE, &target);
    if (result != 0)
        return result;
    fd = path_reopen(task->process->paths->root, target.fd, O_WRONLY, 0);
    path_target_close(&target);
    if (fd < 0)
        return fd;
    result = host_result(ftruncate(fd, (off_t)args[1]));
    close(fd);
    return result;
}

int64_t call_umask(struct task *task, const uint64_t args[6])
{
    struct path_context *paths = task->process->paths;
    mode_t old = paths->umask;

    paths->umask = (mode_t)(args[0] & 0777);
    return old;
}
