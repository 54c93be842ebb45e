/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Descriptors without a name that tasks wait on: pipes, event counters and timers. */
#include "file_calls/file_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "file_calls/file_arguments.h"
#include "memory/task_memory.h"

/* ------------------------------------------------------------------------
 * Pipes
 */

/* Installs both ends; when one fails, none is left. */
static int64_t install_ends(struct task *task, const int host[2], int flags, uint32_t out[2])
{
    int status = flags & (O_NONBLOCK | O_DIRECT);
    bool close_on_exec = (flags & O_CLOEXEC) != 0;
    int64_t reader = task_install_file(task, file_create(host[0], O_RDONLY | status, FILE_STREAM), close_on_exec);
    int64_t writer = task_install_file(task, file_create(host[1], O_WRONLY | status, FILE_STREAM), close_on_exec);

    if (reader >= 0 && writer >= 0) {
        out[0] = (uint32_t)reader;
        out[1] = (uint32_t)writer;
        return 0;
    }
    if (reader >= 0)
        (void)fd_table_close(task->process->fd_table, (uint32_t)reader);
    if (writer >= 0)
        (void)fd_table_close(task->process->fd_table, (uint32_t)writer);
    return reader < 0 ? reader : writer;
}

static int64_t make_pipe(struct task *task, uint64_t addr, int flags)
{
    int host[2];
    uint32_t ends[2];
    int64_t result;

    if ((flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT)) != 0)
        return -EINVAL;
    if (pipe2(host, (flags & O_DIRECT) | O_CLOEXEC | O_NONBLOCK) != 0)
        return -errno;
    result = install_ends(task, host, flags, ends);
    if (result != 0)
        return result;
    if (guest_write(task_memory(task), addr, ends, sizeof(ends)) == 0)
        return 0;
    (void)fd_table_close(task->process->fd_table, ends[0]);
    (void)fd_table_close(task->process->fd_table, ends[1]);
    return -EFAULT;
}

int64_t call_pipe(struct task *task, const uint64_t args[6])
{
    return make_pipe(task, args[0], 0);
}

int64_t call_pipe2(struct task *task, const uint64_t args[6])
{
    return make_pipe(task, args[0], (int)args[1]);
}

/* ------------------------------------------------------------------------
 * Event counters
 */

static int64_t make_eventfd(struct task *task, unsigned int initial, int flags)
{
    int fd;

    if ((flags & ~(EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE)) != 0)
        return -EINVAL;
    fd = eventfd(initial, (flags & EFD_SEMAPHORE) | EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    return task_install_file(task, file_create(fd, O_RDWR | (flags & EFD_NONBLOCK), FILE_STREAM),
                             (flags & EFD_CLOEXEC) != 0);
}

int64_t call_eventfd(struct task *task, const uint64_t args[6])
{
    return make_eventfd(task, (unsigned int)args[0], 0);
}

int64_t call_eventfd2(struct task *task, const uint64_t args[6])
{
    return make_eventfd(task, (unsigned int)args[0], (int)args[1]);
}

/* ------------------------------------------------------------------------
 * Timers
 */

int64_t call_timerfd_create(struct task *task, const uint64_t args[6])
{
    int clock = (int)args[0];
    int flags = (int)args[1];
    int fd;

    /* The other clocks can wake the host up from sleep. */
    if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME)
        return -EINVAL;
    if ((flags & ~(TFD_CLOEXEC | TFD_NONBLOCK)) != 0)
        return -EINVAL;
    fd = timerfd_create(clock, TFD_CLOEXEC | TFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    return task_install_file(task, file_create(fd, O_RDWR | (flags & TFD_NONBLOCK), FILE_STREAM),
                             (flags & TFD_CLOEXEC) != 0);
}

int64_t call_timerfd_settime(struct task *task, const uint64_t args[6])
{
    const struct file *file = task_file(task, args[0]);
    struct itimerspec value;
    struct itimerspec old;

    if (file == NULL)
        return -EBADF;
    if (guest_read(task_memory(task), args[2], &value, sizeof(value)) != 0)
        return -EFAULT;
    if (timerfd_settime(file->host_fd, (int)args[1], &value, &old) != 0)
        return -errno;
    return args[3] == 0 ? 0 : guest_write(task_memory(task), args[3], &old, sizeof(old));
}

int64_t call_timerfd_gettime(struct task *task, const uint64_t args[6])
{
    const struct file *file = task_file(task, args[0]);
    struct itimerspec value;

    if (file == NULL)
        return -EBADF;
    if (timerfd_gettime(file->host_fd, &value) != 0)
        return -errno;
    return guest_write(task_memory(task), args[1], &value, sizeof(value));
}
