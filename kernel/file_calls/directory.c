/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Directories: reading them, changing their entries, and the current one. */
#include "file_calls/file_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "file_calls/file_arguments.h"
#include "file_calls/file_proc.h"
#include "files/path_name.h"
#include "memory/task_memory.h"

#define LISTING_SIZE 32768

/* ------------------------------------------------------------------------
 * Reading
 */

int64_t call_getdents64(struct task *task, const uint64_t args[6])
{
    const struct file *file = task_file(task, args[0]);
    char listing[LISTING_SIZE];
    size_t capacity = (uint32_t)args[2] < sizeof(listing) ? (uint32_t)args[2] : sizeof(listing);
    off_t position;
    int64_t length;

    if (file == NULL || (file->status & O_PATH) != 0)
        return -EBADF;
    position = lseek(file->host_fd, 0, SEEK_CUR);
    if (file->kind == FILE_DESCRIPTORS)
        length = proc_list_descriptors(task, file->host_fd, listing, capacity);
    else
        length = host_result(syscall(SYS_getdents64, file->host_fd, listing, capacity));
    if (length <= 0)
        return length;
    if (guest_write(task_memory(task), args[1], listing, (size_t)length) == 0)
        return length;
    (void)lseek(file->host_fd, position, SEEK_SET);
    return -EFAULT;
}

/* ------------------------------------------------------------------------
 * Making entries
 */

/* mkdir and its like say that what is not a plain name is there already. */
static int64_t open_new_entry(struct task *task, uint64_t dirfd, uint64_t path, struct path_entry *out)
{
    int result = path_entry_open(task, dirfd, path, out);

    if (result != 0 || out->last == PATH_LAST_NAME)
        return result;
    path_entry_close(out);
    return -EEXIST;
}

static mode_t masked(const struct task *task, uint64_t mode, mode_t allowed)
{
    return (mode_t)mode & allowed & ~task->process->paths->umask;
}

static int64_t mkdir_at(struct task *task, uint64_t dirfd, uint64_t path, uint64_t mode)
{
    struct path_entry entry;
    int64_t result = open_new_entry(task, dirfd, path, &entry);

    if (result != 0)
        return result;
    result = host_result(mkdirat(entry.parent_fd, entry.name, masked(task, mode, 01777)));
    path_entry_close(&entry);
    return result;
}

int64_t call_mkdirat(struct task *task, const uint64_t args[6])
{
    return mkdir_at(task, args[0], args[1], args[2]);
}

int64_t call_mkdir(struct task *task, const uint64_t args[6])
{
    return mkdir_at(task, (uint64_t)AT_FDCWD, args[0], args[1]);
}

/* Plain files and FIFOs; a device would open a way around the root folder. */
static int64_t mknod_at(struct task *task, uint64_t dirfd, uint64_t path, uint64_t mode)
{
    struct path_entry entry;
    mode_t type = (mode_t)mode & S_IFMT;
    int64_t result;

    if (type == S_IFCHR || type == S_IFBLK || type == S_IFSOCK)
        return -EPERM;
    if (type != 0 && type != S_IFREG && type != S_IFIFO)
        return -EINVAL;
    result = open_new_entry(task, dirfd, path, &entry);
    if (result != 0)
        return result;
    result = host_result(mknodat(entry.parent_fd, entry.name, type | masked(task, mode, 01777), 0));
    path_entry_close(&entry);
    return result;
}

int64_t call_mknodat(struct task *task, const uint64_t args[6])
{
    return mknod_at(task, args[0], args[1], args[2]);
}

int64_t call_mknod(struct task *task, const uint64_t args[6])
{
    return mknod_at(task, (uint64_t)AT_FDCWD, args[0], args[1]);
}

static int64_t symlink_at(struct task *task, uint64_t target_addr, uint64_t dirfd, uint64_t path)
{
    struct path_entry entry;
    char target[PATH_MAX];
    ssize_t length = guest_read_string(task_memory(task), target_addr, target, sizeof(target));
    int64_t result;

    if (length <= 0)
        return length < 0 ? length : -ENOENT;
    result = open_new_entry(task, dirfd, path, &entry);
    if (result != 0)
        return result;
    result = host_result(symlinkat(target, entry.parent_fd, entry.name));
    path_entry_close(&entry);
    return result;
}

int64_t call_symlinkat(struct task *task, const uint64_t args[6])
{
    return symlink_at(task, args[0], args[1], args[2]);
}

int64_t call_symlink(struct task *task, const uint64_t args[6])
{
    return symlink_at(task, args[0], (uint64_t)AT_FDCWD, args[1]);
}

/* The descriptor's name stands for exactly the file that the lookup found, a symbolic link included. */
static int64_t link_target(struct task *task, const struct path_target *target, uint64_t dirfd, uint64_t path)
{
    char name[PATH_FD_NAME_SIZE];
    struct path_entry entry;
    int64_t result = open_new_entry(task, dirfd, path, &entry);

    if (result != 0)
        return result;
    path_fd_name(target->fd, name);
    result =
        host_result(linkat(task->process->paths->root->self_fds, name, entry.parent_fd, entry.name, AT_SYMLINK_FOLLOW));
    path_entry_close(&entry);
    return result;
}

static int64_t link_at(struct task *task, uint64_t from_dirfd, uint64_t from, uint64_t dirfd, uint64_t path,
                       uint64_t at_flags)
{
    uint64_t lookup_flags = at_flags & AT_EMPTY_PATH;
    struct path_target target;
    int64_t result;

    if ((at_flags & ~(uint64_t)(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)) != 0)
        return -EINVAL;
    if ((at_flags & AT_SYMLINK_FOLLOW) == 0)
        lookup_flags |= AT_SYMLINK_NOFOLLOW;
    result = path_target_open(task, from_dirfd, from, lookup_flags, PATH_CHANGE, &target);
    if (result != 0)
        return result;
    result = link_target(task, &target, dirfd, path);
    path_target_close(&target);
    return result;
}

int64_t call_linkat(struct task *task, const uint64_t args[6])
{
    return link_at(task, args[0], args[1], args[2], args[3], (uint32_t)args[4]);
}

int64_t call_link(struct task *task, const uint64_t args[6])
{
    return link_at(task, (uint64_t)AT_FDCWD, args[0], (uint64_t)AT_FDCWD, args[1], 0);
}

/* ------------------------------------------------------------------------
 * Removing and renaming entries
 */

static int64_t remove_directory(struct task *task, uint64_t dirfd, uint64_t path)
{
    static const int errors[] = {[PATH_LAST_DOT] = -EINVAL, [PATH_LAST_DOTDOT] = -ENOTEMPTY, [PATH_LAST_ROOT] = -EBUSY};
    struct path_entry entry;
    int64_t result = path_entry_open(task, dirfd, path, &entry);

    if (result != 0)
        return result;
    if (entry.last == PATH_LAST_NAME)
        result = host_result(unlinkat(entry.parent_fd, entry.name, AT_REMOVEDIR));
    else
        result = errors[entry.last];
    path_entry_close(&entry);
    return result;
}

static int64_t remove_file(struct task *task, uint64_t dirfd, uint64_t path)
{
    struct path_entry entry;
    int64_t result = path_entry_open(task, dirfd, path, &entry);

    if (result != 0)
        return result;
    result = entry.last == PATH_LAST_NAME ? host_result(unlinkat(entry.parent_fd, entry.name, 0)) : -EISDIR;
    path_entry_close(&entry);
    return result;
}

int64_t call_unlinkat(struct task *task, const uint64_t args[6])
{
    uint32_t at_flags = (uint32_t)args[2];

    if ((at_flags & ~(uint32_t)AT_REMOVEDIR) != 0)
        return -EINVAL;
    return at_flags != 0 ? remove_directory(task, args[0], args[1]) : remove_file(task, args[0], args[1]);
}

int64_t call_unlink(struct task *task, const uint64_t args[6])
{
    return remove_file(task, (uint64_t)AT_FDCWD, args[0]);
}

int64_t call_rmdir(struct task *task, const uint64_t args[6])
{
    return remove_directory(task, (uint64_t)AT_FDCWD, args[0]);
}

static int64_t rename_entries(const struct path_entry *from, const struct path_entry *to, unsigned int flags)
{
    if (from->last != PATH_LAST_NAME)
        return -EBUSY;
    if (to->last != PATH_LAST_NAME)
        return (flags & RENAME_NOREPLACE) != 0 ? -EEXIST : -EBUSY;
    return host_result(syscall(SYS_renameat2, from->parent_fd, from->name, to->parent_fd, to->name, flags));
}

static int64_t rename_at(struct task *task, uint64_t from_dirfd, uint64_t from_path, uint64_t to_dirfd,
                         uint64_t to_path, uint64_t flags)
{
    struct path_entry from;
    struct path_entry to;
    int64_t result;

    /* RENAME_WHITEOUT makes a device. */
    if ((flags & ~(uint64_t)(RENAME_NOREPLACE | RENAME_EXCHANGE)) != 0)
        return -EINVAL;
    result = path_entry_open(task, from_dirfd, from_path, &from);
    if (result != 0)
        return result;
    result = path_entry_open(task, to_dirfd, to_path, &to);
    if (result == 0) {
        result = rename_entries(&from, &to, (unsigned int)flags);
        path_entry_close(&to);
    }
    path_entry_close(&from);
    return result;
}

int64_t call_renameat2(struct task *task, const uint64_t args[6])
{
    return rename_at(task, args[0], args[1], args[2], args[3], (uint32_t)args[4]);
}

int64_t call_renameat(struct task *task, const uint64_t args[6])
{
    return rename_at(task, args[0], args[1], args[2], args[3], 0);
}

int64_t call_rename(struct task *task, const uint64_t args[6])
{
    return rename_at(task, (uint64_t)AT_FDCWD, args[0], (uint64_t)AT_FDCWD, args[1], 0);
}

/* ------------------------------------------------------------------------
 * The current directory
 */

/* Owns fd: it becomes the current directory if it is a directory that can be searched. */
static int64_t enter(struct task *task, int fd)
{
    struct path_context *paths = task->process->paths;
    char name[PATH_FD_NAME_SIZE];
    struct stat st;
    int result = 0;

    if (fd < 0)
        return -errno;
    path_fd_name(fd, name);
    if (fstat(fd, &st) != 0 || !S_ISDIR(st.st_mode))
        result = -ENOTDIR;
    else if (faccessat(paths->root->self_fds, name, X_OK, 0) != 0)
        result = -errno;
    if (result != 0) {
        close(fd);
        return result;
    }
    close(paths->cwd_fd);
    paths->cwd_fd = fd;
    return 0;
}

int64_t call_chdir(struct task *task, const uint64_t args[6])
{
    struct path_argument argument;
    struct path_target target;
    int64_t result = path_argument_read(task, (uint64_t)AT_FDCWD, args[0], 0, &argument);

    if (result != 0)
        return result;
    if (argument.generated_fd >= 0) {
        /* Linux lets a guest enter /proc/self/fd; here it is a folder of the embedder's. */
        path_argument_close(&argument);
        return argument.lists_fds ? -EACCES : -ENOTDIR;
    }
    result = path_argument_open(task, &argument, 0, PATH_INSPECT, &target);
    if (result != 0)
        return result;
    if (target.owned)
        return enter(task, target.fd);
    /* The path was a descriptor's name. */
    return enter(task, fcntl(target.fd, F_DUPFD_CLOEXEC, 0));
}

int64_t call_fchdir(struct task *task, const uint64_t args[6])
{
    const struct file *file = task_file(task, args[0]);

    if (file == NULL)
        return -EBADF;
    /* It may lie outside of the root folder. */
    if (file->inherited)
        return -ENOTDIR;
    if (file->kind == FILE_DESCRIPTORS)
        return -EACCES;
    return enter(task, fcntl(file->host_fd, F_DUPFD_CLOEXEC, 0));
}

int64_t call_getcwd(struct task *task, const uint64_t args[6])
{
    const struct path_context *paths = task->process->paths;
    char name[PATH_MAX];
    ssize_t length = path_name_of(paths->root, paths->cwd_fd, name, sizeof(name));

    if (length < 0)
        return length;
    if ((uint64_t)length + 1 > args[1])
        return -ERANGE;
    return guest_write(task_memory(task), args[0], name, (size_t)length + 1) != 0 ? -EFAULT : length + 1;
}
