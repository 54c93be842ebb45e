/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What a guest can learn about a file without opening it. */
#include "file_calls/file_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "file_calls/file_arguments.h"
#include "file_calls/file_proc.h"
#include "files/path_name.h"
#include "memory/last_write.h"
#include "memory/task_memory.h"

#define XATTR_BUFFER_SIZE 65536 /* XATTR_SIZE_MAX and XATTR_LIST_MAX */
#define XATTR_NAME_SIZE   256

/* ------------------------------------------------------------------------
 * stat
 */

static int64_t stat_of(int fd, struct stat *st)
{
    return host_result(fstatat(fd, "", st, AT_EMPTY_PATH));
}

/* What stat(2) says of a path. 0 or -errno. */
static int64_t look(struct task *task, uint64_t dirfd, uint64_t path, uint64_t at_flags, struct stat *st)
{
    struct path_argument argument;
    struct path_target target;
    int64_t result = path_argument_read(task, dirfd, path, at_flags, &argument);

    if (result == 0 && path_argument_is_path(&argument))
        return path_stat(task->process->paths, argument.base_fd, argument.text, path_argument_flags(at_flags), st);
    if (result == 0)
        result = path_argument_open(task, &argument, at_flags, PATH_INSPECT, &target);
    if (result != 0)
        return result;
    result = stat_of(target.fd, st);
    path_target_close(&target);
    return result;
}

/* On 64-bit machines the C library's struct stat is the one of the system call. */
static int64_t stat_at(struct task *task, uint64_t dirfd, uint64_t path, uint64_t addr, uint64_t at_flags)
{
    struct stat st;
    int64_t result;

    if ((at_flags & ~(uint64_t)(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH)) != 0)
        return -EINVAL;
    result = look(task, dirfd, path, at_flags, &st);
    return result != 0 ? result : last_write(task, addr, &st, sizeof(st));
}

int64_t call_newfstatat(struct task *task, const uint64_t args[6])
{
    return stat_at(task, args[0], args[1], args[2], (uint32_t)args[3]);
}

int64_t call_stat(struct task *task, const uint64_t args[6])
{
    return stat_at(task, (uint64_t)AT_FDCWD, args[0], args[1], 0);
}

int64_t call_lstat(struct task *task, const uint64_t args[6])
{
    return stat_at(task, (uint64_t)AT_FDCWD, args[0], args[1], AT_SYMLINK_NOFOLLOW);
}

int64_t call_fstat(struct task *task, const uint64_t args[6])
{
    const struct file *file = task_file(task, args[0]);
    struct stat st;
    int64_t result = file == NULL ? -EBADF : stat_of(file->host_fd, &st);

    return result != 0 ? result : last_write(task, args[1], &st, sizeof(st));
}

/* What statx(2) says of a path. 0 or -errno. */
static int64_t look_closely(struct task *task, const uint64_t args[6], int sync, struct statx *st)
{
    uint32_t at_flags = (uint32_t)args[2];
    unsigned int mask = (unsigned int)args[3];
    struct path_argument argument;
    struct path_target target;
    int64_t result = path_argument_read(task, args[0], args[1], at_flags, &argument);

    if (result == 0 && path_argument_is_path(&argument))
        return path_statx(task->process->paths, argument.base_fd, argument.text, path_argument_flags(at_flags), sync,
                          mask, st);
    if (result == 0)
        result = path_argument_open(task, &argument, at_flags, PATH_INSPECT, &target);
    if (result != 0)
        return result;
    result = host_result(statx(target.fd, "", AT_EMPTY_PATH | sync, mask, st));
    path_target_close(&target);
    return result;
}

int64_t call_statx(struct task *task, const uint64_t args[6])
{
    uint32_t at_flags = (uint32_t)args[2];
    struct statx st;
    int64_t result;

    if ((at_flags & ~(uint32_t)(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE)) != 0)
        return -EINVAL;
    memset(&st, 0, sizeof(st));
    result = look_closely(task, args, (int)(at_flags & AT_STATX_SYNC_TYPE), &st);
    return result != 0 ? result : last_write(task, args[4], &st, sizeof(st));
}

/* ------------------------------------------------------------------------
 * statfs
 */

static int64_t write_statfs(struct task *task, int fd, uint64_t addr)
{
    struct statfs st;

    if (fstatfs(fd, &st) != 0)
        return -errno;
    return last_write(task, addr, &st, sizeof(st));
}

int64_t call_statfs(struct task *task, const uint64_t args[6])
{
    struct path_target target;
    int64_t result = path_target_open(task, (uint64_t)AT_FDCWD, args[0], 0, PATH_INSPECT, &target);

    if (result != 0)
        return result;
    result = write_statfs(task, target.fd, args[1]);
    path_target_close(&target);
    return result;
}

int64_t call_fstatfs(struct task *task, const uint64_t args[6])
{
    const struct file *file = task_file(task, args[0]);

    return file == NULL ? -EBADF : write_statfs(task, file->host_fd, args[1]);
}

/* ------------------------------------------------------------------------
 * access
 */

static int64_t access_at(struct task *task, uint64_t dirfd, uint64_t path, uint64_t mode, uint64_t at_flags)
{
    char name[PATH_FD_NAME_SIZE];
    struct path_target target;
    struct stat st;
    int64_t result;

    if ((mode & ~(uint64_t)(R_OK | W_OK | X_OK)) != 0)
        return -EINVAL;
    if ((at_flags & ~(uint64_t)(AT_SYMLINK_NOFOLLOW | AT_EACCESS | AT_EMPTY_PATH)) != 0)
        return -EINVAL;
    if (mode == F_OK)
        return look(task, dirfd, path, at_flags, &st);
    result = path_target_open(task, dirfd, path, at_flags, (mode & W_OK) != 0 ? PATH_CHANGE : PATH_INSPECT, &target);
    if (result != 0)
        return result;
    path_fd_name(target.fd, name);
    result = host_result(faccessat(task->process->paths->root->self_fds, name, (int)mode, 0));
    path_target_close(&target);
    return result;
}

int64_t call_access(struct task *task, const uint64_t args[6])
{
    return access_at(task, (uint64_t)AT_FDCWD, args[0], (uint32_t)args[1], 0);
}

int64_t call_faccessat(struct task *task, const uint64_t args[6])
{
    return access_at(task, args[0], args[1], (uint32_t)args[2], 0);
}

int64_t call_faccessat2(struct task *task, const uint64_t args[6])
{
    return access_at(task, args[0], args[1], (uint32_t)args[2], (uint32_t)args[3]);
}

/* ------------------------------------------------------------------------
 * readlink
 */

/* What the link says; the length, or -errno. */
static int64_t read_link(struct task *task, uint64_t dirfd, uint64_t path, char *buffer, size_t capacity)
{
    struct path_argument argument;
    struct path_target target;
    ssize_t length = guest_read_string(task_memory(task), path, argument.text, sizeof(argument.text));
    int64_t result;

    if (length < 0)
        return length;
    result = path_argument_complete(task, dirfd, &argument);
    if (result == 0)
        result = proc_readlink(task, argument.text, buffer, capacity);
    if (result != 0)
        return result;
    result = path_argument_place(task, dirfd, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH, &argument);
    if (result == 0 && argument.generated_fd >= 0) {
        /* What is a link there was answered above. */
        path_argument_close(&argument);
        return -EINVAL;
    }
    if (result == 0)
        result = path_argument_open(task, &argument, AT_SYMLINK_NOFOLLOW, PATH_INSPECT, &target);
    if (result != 0)
        return result;
    result = host_result(readlinkat(target.fd, "", buffer, capacity));
    path_target_close(&target);
    /* For what is no link the host's answer to an empty path is ENOENT. */
    return result == -ENOENT && length > 0 ? -EINVAL : result;
}

static int64_t readlink_at(struct task *task, uint64_t dirfd, uint64_t path, uint64_t addr, int32_t capacity)
{
    char link[PATH_MAX];
    int64_t length;

    if (capacity <= 0)
        return -EINVAL;
    length = read_link(task, dirfd, path, link, sizeof(link));
    if (length < 0)
        return length;
    if (length > capacity)
        length = capacity;
    return guest_write(task_memory(task), addr, link, (size_t)length) != 0 ? -EFAULT : length;
}

int64_t call_readlinkat(struct task *task, const uint64_t args[6])
{
    return readlink_at(task, args[0], args[1], args[2], (int32_t)args[3]);
}

int64_t call_readlink(struct task *task, const uint64_t args[6])
{
    return readlink_at(task, (uint64_t)AT_FDCWD, args[0], args[1], (int32_t)args[2]);
}

/* ------------------------------------------------------------------------
 * Extended attributes: the host's can be read, and none can be set
 */

/* The name of a descriptor for calls that take nothing but a path. */
static void host_path(int fd, char path[sizeof("/proc/self/fd/") + PATH_FD_NAME_SIZE])
{
    static const char folder[] = "/proc/self/fd/";

    memcpy(path, folder, sizeof(folder));
    path_fd_name(fd, path + sizeof(folder) - 1);
}

/*
 * Where the host has nothing on /proc the file is opened again, which needs the
 * right to read it and is not for devices and links.
 */
static int64_t reopened_xattr(const struct task *task, int path_fd, const char *name, char *value, size_t size)
{
    int fd = path_reopen(task->process->paths->root, path_fd, O_RDONLY, 0);
    int64_t length;

    if (fd < 0)
        return -EOPNOTSUPP;
    length = host_result(name == NULL ? flistxattr(fd, value, size) : fgetxattr(fd, name, value, size));
    close(fd);
    return length;
}

/* An attribute, or with name == NULL the names of all: the length or -errno. */
static int64_t host_xattr(const struct task *task, int fd, const char *name, char value[XATTR_BUFFER_SIZE])
{
    char path[sizeof("/proc/self/fd/") + PATH_FD_NAME_SIZE];
    int64_t length;

    host_path(fd, path);
    length = host_result(name == NULL ? listxattr(path, value, XATTR_BUFFER_SIZE)
                                      : getxattr(path, name, value, XATTR_BUFFER_SIZE));
    return length == -ENOENT ? reopened_xattr(task, fd, name, value, XATTR_BUFFER_SIZE) : length;
}

/* Gives the guest what was read, or only its length when the guest has no room for anything. */
static int64_t return_xattr(struct task *task, const char *value, int64_t length, uint64_t addr, uint64_t capacity)
{
    if (length < 0 || capacity == 0)
        return length;
    if ((uint64_t)length > capacity)
        return -ERANGE;
    return guest_write(task_memory(task), addr, value, (size_t)length) != 0 ? -EFAULT : length;
}

static int64_t get_xattr(struct task *task, int fd, const uint64_t args[6])
{
    char name[XATTR_NAME_SIZE];
    char value[XATTR_BUFFER_SIZE];
    ssize_t length = guest_read_string(task_memory(task), args[1], name, sizeof(name));

    if (length <= 0)
        return length == -EFAULT ? -EFAULT : -ERANGE;
    return return_xattr(task, value, host_xattr(task, fd, name, value), args[2], args[3]);
}

static int64_t list_xattr(struct task *task, int fd, const uint64_t args[6])
{
    char names[XATTR_BUFFER_SIZE];

    return return_xattr(task, names, host_xattr(task, fd, NULL, names), args[1], args[2]);
}

static int64_t xattr_of_path(struct task *task, const uint64_t args[6], uint64_t at_flags,
                             int64_t (*run)(struct task *, int, const uint64_t *))
{
    struct path_target target;
    int64_t result = path_target_open(task, (uint64_t)AT_FDCWD, args[0], at_flags, PATH_INSPECT, &target);

    if (result != 0)
        return result;
    result = run(task, target.fd, args);
    path_target_close(&target);
    return result;
}

int64_t call_getxattr(struct task *task, const uint64_t args[6])
{
    return xattr_of_path(task, args, 0, get_xattr);
}

int64_t call_lgetxattr(struct task *task, const uint64_t args[6])
{
    return xattr_of_path(task, args, AT_SYMLINK_NOFOLLOW, get_xattr);
}

int64_t call_fgetxattr(struct task *task, const uint64_t args[6])
{
    const struct file *file = task_file(task, args[0]);

    return file == NULL ? -EBADF : get_xattr(task, file->host_fd, args);
}

int64_t call_listxattr(struct task *task, const uint64_t args[6])
{
    return xattr_of_path(task, args, 0, list_xattr);
}

int64_t call_llistxattr(struct task *task, const uint64_t args[6])
{
    return xattr_of_path(task, args, AT_SYMLINK_NOFOLLOW, list_xattr);
}

int64_t call_flistxattr(struct task *task, const uint64_t args[6])
{
    const struct file *file = task_file(task, args[0]);

    return file == NULL ? -EBADF : list_xattr(task, file->host_fd, args);
}

/* All calls that set or remove an attribute. */
int64_t call_change_xattr(struct task *task, const uint64_t args[6])
{
    (void)task;
    (void)args;
    return -EOPNOTSUPP;
}
