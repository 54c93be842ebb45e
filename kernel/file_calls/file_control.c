/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* dup, fcntl, ioctl and ranges of descriptors: what changes a descriptor rather than a file. */
#include "file_calls/file_calls.h"

#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "file_calls/file_arguments.h"
#include "file_calls/file_locks.h"
#include "memory/task_memory.h"

/* The most that a guest may make a pipe's buffer: what the host lets everybody have. */
#define PIPE_SIZE_MAX 1048576

/* ------------------------------------------------------------------------
 * dup and close_range
 */

static int64_t duplicate_from(struct task *task, struct file *file, uint64_t lowest, bool close_on_exec)
{
    if (lowest >= task_fd_limit(task))
        return -EINVAL;
    return fd_table_add(task->process->fd_table, file_get(file), (uint32_t)lowest, task_fd_limit(task), close_on_exec);
}

int64_t call_dup(struct task *task, const uint64_t args[6])
{
    struct file *file = task_file(task, args[0]);

    return file == NULL ? -EBADF : task_install_file(task, file_get(file), false);
}

static int64_t duplicate_to(struct task *task, struct file *file, uint32_t fd, bool close_on_exec)
{
    return fd_table_set(task->process->fd_table, file_get(file), fd, task_fd_limit(task), close_on_exec);
}

int64_t call_dup2(struct task *task, const uint64_t args[6])
{
    struct file *file = task_file(task, args[0]);

    if (file == NULL)
        return -EBADF;
    if ((uint32_t)args[0] == (uint32_t)args[1])
        return (int64_t)(uint32_t)args[1];
    return duplicate_to(task, file, (uint32_t)args[1], false);
}

int64_t call_dup3(struct task *task, const uint64_t args[6])
{
    struct file *file = task_file(task, args[0]);
    uint32_t flags = (uint32_t)args[2];

    if ((flags & ~(uint32_t)O_CLOEXEC) != 0 || (uint32_t)args[0] == (uint32_t)args[1])
        return -EINVAL;
    return file == NULL ? -EBADF : duplicate_to(task, file, (uint32_t)args[1], flags != 0);
}

int64_t call_close_range(struct task *task, const uint64_t args[6])
{
    uint32_t first = (uint32_t)args[0];
    uint32_t last = (uint32_t)args[1];
    uint32_t flags = (uint32_t)args[2];
    struct process *process = task->process;

    if (first > last || (flags & ~(uint32_t)(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC)) != 0)
        return -EINVAL;
    if ((flags & CLOSE_RANGE_UNSHARE) != 0 && process->fd_table->references > 1) {
        struct fd_table *own = fd_table_copy(process->fd_table);

        if (own == NULL)
            return -ENOMEM;
        fd_table_put(process->fd_table);
        process->fd_table = own;
    }
    if ((flags & CLOSE_RANGE_CLOEXEC) != 0)
        fd_table_mark_range(process->fd_table, first, last);
    else
        fd_table_close_range(process->fd_table, first, last);
    return 0;
}

/* ------------------------------------------------------------------------
 * fcntl
 */

#define STATUS_CHANGEABLE (O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME)

static int64_t set_status(struct file *file, int flags)
{
    int status = (file->status & ~STATUS_CHANGEABLE) | (flags & STATUS_CHANGEABLE);

    /* The host's O_NONBLOCK stays as it is: whether the guest waits is decided by the kernel. */
    if (!file->inherited && fcntl(file->host_fd, F_SETFL, (status & STATUS_CHANGEABLE) | O_NONBLOCK) != 0)
        return -errno;
    file->status = status;
    return 0;
}

static int64_t descriptor_flags(struct task *task, uint32_t fd, uint64_t command, uint64_t value)
{
    struct fd_slot *slot = &task->process->fd_table->slots[fd];

    if (command == F_GETFD)
        return slot->close_on_exec ? FD_CLOEXEC : 0;
    slot->close_on_exec = (value & FD_CLOEXEC) != 0;
    return 0;
}

int64_t call_fcntl(struct task *task, const uint64_t args[6])
{
    struct file *file = task_file(task, args[0]);
    uint32_t command = (uint32_t)args[1];

    if (file == NULL)
        return -EBADF;
    switch (command) {
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
        return duplicate_from(task, file, args[2], command == F_DUPFD_CLOEXEC);
    case F_GETFD:
    case F_SETFD:
        return descriptor_flags(task, (uint32_t)args[0], command, args[2]);
    case F_GETFL:
        return file->status;
    case F_SETFL:
        return set_status(file, (int)args[2]);
    case F_GETLK:
    case F_SETLK:
    case F_SETLKW:
    case F_OFD_GETLK:
    case F_OFD_SETLK:
    case F_OFD_SETLKW:
        return file_record_lock(task, file, (int)command, args[2]);
    case F_SETPIPE_SZ:
        if ((uint32_t)args[2] > INT32_MAX)
            return -EINVAL;
        if ((uint32_t)args[2] > PIPE_SIZE_MAX)
            return -EPERM;
        return host_result(fcntl(file->host_fd, F_SETPIPE_SZ, (int)args[2]));
    case F_ADD_SEALS:
        return host_result(fcntl(file->host_fd, F_ADD_SEALS, (int)args[2]));
    case F_GETPIPE_SZ:
    case F_GET_SEALS:
        return host_result(fcntl(file->host_fd, (int)command));
    default:
        return -EINVAL;
    }
}

/* ------------------------------------------------------------------------
 * ioctl
 */

/*
 * The requests that go to the host, with the size of what they read or write.
 * None of them can put input into a terminal or make it somebody's controlling
 * one.
 */
static const struct host_ioctl {
    uint32_t request;
    uint32_t size;
    bool from_guest; /* the guest gives the data; otherwise it gets them */
} host_ioctls[] = {
    {TCGETS, sizeof(struct termios), false},
    {TCSETS, sizeof(struct termios), true},
    {TCSETSW, sizeof(struct termios), true},
    {TCSETSF, sizeof(struct termios), true},
    {TIOCGWINSZ, sizeof(struct winsize), false},
    {FIONREAD, sizeof(int), false},
    {TIOCOUTQ, sizeof(int), false},
};

static const struct host_ioctl *find_host_ioctl(uint32_t request)
{
    for (size_t i = 0; i < sizeof(host_ioctls) / sizeof(host_ioctls[0]); i++) {
        if (host_ioctls[i].request == request)
            return &host_ioctls[i];
    }
    return NULL;
}

static int64_t run_host_ioctl(struct task *task, const struct file *file, const struct host_ioctl *known, uint64_t addr)
{
    unsigned char data[sizeof(struct termios)];

    _Static_assert(sizeof(struct termios) >= sizeof(struct winsize), "data has room for every request");
    if (known->from_guest && guest_read(task_memory(task), addr, data, known->size) != 0)
        return -EFAULT;
    if (ioctl(file->host_fd, known->request, data) != 0)
        return -errno;
    return known->from_guest ? 0 : guest_write(task_memory(task), addr, data, known->size);
}

static int64_t set_nonblock(struct task *task, struct file *file, uint64_t addr)
{
    uint32_t on;

    if (guest_read_u32(task_memory(task), addr, &on) != 0)
        return -EFAULT;
    file->status = on != 0 ? file->status | O_NONBLOCK : file->status & ~O_NONBLOCK;
    return 0;
}

/* The guest's processes are not the ones that the host's terminal knows. */
static int64_t terminal_group(struct task *task, const struct file *file, uint64_t addr)
{
    if (isatty(file->host_fd) == 0)
        return -ENOTTY;
    return guest_write_u32(task_memory(task), addr, (uint32_t)task->process->pgid);
}

int64_t call_ioctl(struct task *task, const uint64_t args[6])
{
    struct file *file = task_file(task, args[0]);
    uint32_t request = (uint32_t)args[1];
    const struct host_ioctl *known = find_host_ioctl(request);

    if (file == NULL || (file->status & O_PATH) != 0)
        return -EBADF;
    if (known != NULL)
        return run_host_ioctl(task, file, known, args[2]);
    switch (request) {
    case FIOCLEX:
    case FIONCLEX:
        return descriptor_flags(task, (uint32_t)args[0], F_SETFD, request == FIOCLEX ? FD_CLOEXEC : 0);
    case FIONBIO:
        return set_nonblock(task, file, args[2]);
    case TIOCGPGRP:
        return terminal_group(task, file, args[2]);
    default:
        return -ENOTTY;
    }
}

/* ------------------------------------------------------------------------
 * Sockets: there is no network
 */

int64_t call_socket(struct task *task, const uint64_t args[6])
{
    (void)task;
    (void)args;
    return -EAFNOSUPPORT;
}

/* Every call on a socket gets something that is none. */
int64_t call_on_socket(struct task *task, const uint64_t args[6])
{
    return task_file(task, args[0]) == NULL ? -EBADF : -ENOTSOCK;
}
