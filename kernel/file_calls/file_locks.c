/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Locks of whole files and of ranges in them. Whoever waits for one looks again and again: the host tells nobody. */
#include "file_calls/file_locks.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "file_calls/file_arguments.h"
#include "file_calls/file_calls.h"
#include "files/fd_table.h"
#include "memory/read_once.h"
#include "memory/task_memory.h"
#include "tasks/sandbox_state.h"

/* How long a guest waits before it looks again whether a lock is free. */
#define LOCK_RETRY_NS 10000000

int64_t call_flock(struct task *task, const uint64_t args[6])
{
    const struct file *file = task_file(task, args[0]);
    int operation = (int)args[1];
    int64_t result;

    if (file == NULL)
        return -EBADF;
    result = host_result(flock(file->host_fd, operation | LOCK_NB));
    if (result == -EWOULDBLOCK && (operation & LOCK_NB) == 0)
        return task_wait_until(task, deadline_after(LOCK_RETRY_NS));
    return result;
}

/* ------------------------------------------------------------------------
 * Locks of a process
 */

/* A description of the file of its own, for both kinds of locks where that can be had. */
static int open_for_locks(const struct task *task, const struct file *file)
{
    const struct root_folder *root = task->process->paths->root;
    int fd = (file->status & O_ACCMODE) == O_RDONLY ? -EBADF : path_reopen(root, file->host_fd, O_RDWR, 0);

    return fd >= 0 ? fd : path_reopen(root, file->host_fd, file->status & O_ACCMODE, 0);
}

/* The host's descriptor that has the process's locks of the file, or -errno. */
static int owner_fd(struct task *task, const struct file *file, const struct stat *st)
{
    struct fd_table *table = task->process->fd_table;
    const struct lock_owner *owner = lock_owner_find(table->lock_owners, st);
    int fd = owner != NULL ? owner->host_fd : open_for_locks(task, file);

    if (owner != NULL)
        return fd;
    if (fd < 0 || lock_owner_add(&table->lock_owners, st, fd, task->process->pid) != 0)
        return -ENOLCK;
    return fd;
}

/* The positions of two descriptions are two. */
static int make_absolute(const struct file *file, struct flock *lock)
{
    off_t position;

    if (lock->l_whence != SEEK_CUR)
        return 0;
    position = lseek(file->host_fd, 0, SEEK_CUR);
    if (position < 0)
        return -errno;
    lock->l_whence = SEEK_SET;
    return __builtin_add_overflow(lock->l_start, position, &lock->l_start) ? -EOVERFLOW : 0;
}

/* Its own lock is in nobody's way. */
static bool has_lock(const struct lock_owner *owner, const struct flock *lock)
{
    struct flock probe = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = lock->l_start, .l_len = lock->l_len};

    if (fcntl(owner->host_fd, F_OFD_GETLK, &probe) != 0)
        return false;
    return probe.l_type == F_UNLCK || probe.l_start != lock->l_start || probe.l_len != lock->l_len;
}

/* -1: of an open file description, or of somebody outside. */
static int32_t pid_of_owner(const struct sandbox *sandbox, const struct file *file, const struct flock *lock)
{
    struct stat st;

    if (fstat(file->host_fd, &st) != 0)
        return -1;
    for (const struct process *process = sandbox->processes; process != NULL; process = process->next) {
        const struct lock_owner *owner =
            process->fd_table != NULL ? lock_owner_find(process->fd_table->lock_owners, &st) : NULL;

        if (owner != NULL && has_lock(owner, lock))
            return owner->pid;
    }
    return -1;
}

static int64_t lock_of_process(struct task *task, const struct file *file, int command, struct flock *lock)
{
    struct stat st;
    int fd;
    int err = fstat(file->host_fd, &st) != 0 ? -errno : make_absolute(file, lock);

    if (err != 0)
        return err;
    /* Opening anything else once more may have effects; its locks are those of the description. */
    if (!S_ISREG(st.st_mode))
        return host_result(fcntl(file->host_fd, command, lock));
    fd = owner_fd(task, file, &st);
    if (fd < 0)
        return fd;
    return host_result(fcntl(fd, command, lock));
}

/* ------------------------------------------------------------------------
 * The calls
 */

static bool is_of_process(int command)
{
    return command == F_GETLK || command == F_SETLK || command == F_SETLKW;
}

/* The host is asked for locks of open file descriptions only, and never waits. */
static int host_command(int command)
{
    return command == F_GETLK || command == F_OFD_GETLK ? F_OFD_GETLK : F_OFD_SETLK;
}

static bool mode_allows(const struct file *file, short type)
{
    int mode = file->status & O_ACCMODE;

    return !(type == F_RDLCK && mode == O_WRONLY) && !(type == F_WRLCK && mode == O_RDONLY);
}

/* As on Linux, l_pid means nothing to a lock of a process. Of a description's lock the host wants it to be 0. */
static int64_t run(struct task *task, const struct file *file, int command, struct flock *lock)
{
    if (command != F_GETLK && command != F_OFD_GETLK && !mode_allows(file, lock->l_type))
        return -EBADF;
    if (!is_of_process(command))
        return host_result(fcntl(file->host_fd, host_command(command), lock));
    lock->l_pid = 0;
    return lock_of_process(task, file, host_command(command), lock);
}

int64_t file_record_lock(struct task *task, const struct file *file, int command, uint64_t addr)
{
    struct flock lock;
    int64_t result = read_once(task, addr, &lock, sizeof(lock));

    if (result != 0)
        return result;
    if ((file->status & O_PATH) != 0)
        return -EBADF;
    result = run(task, file, command, &lock);
    if (result == -EAGAIN && (command == F_SETLKW || command == F_OFD_SETLKW))
        return task_wait_until(task, deadline_after(LOCK_RETRY_NS));
    if (result != 0 || host_command(command) != F_OFD_GETLK)
        return result;
    if (lock.l_type != F_UNLCK)
        lock.l_pid = pid_of_owner(task->sandbox, file, &lock);
    return guest_write(task_memory(task), addr, &lock, sizeof(lock));
}
