/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * epoll over the host's epoll: each file has one host descriptor of its own,
 * so the host keeps the interest list and drops what is closed. Only copies of
 * a descriptor made with dup count as one.
 */
#include "file_calls/file_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>

#include "file_calls/file_arguments.h"
#include "file_calls/file_deadline.h"
#include "memory/task_memory.h"

/* The most events that one call gives. */
#define EVENTS_MAX 256

static int64_t create(struct task *task, int flags)
{
    int fd;

    if ((flags & ~EPOLL_CLOEXEC) != 0)
        return -EINVAL;
    fd = epoll_create1(EPOLL_CLOEXEC);
    if (fd < 0)
        return -errno;
    return task_install_file(task, file_create(fd, O_RDWR, FILE_EPOLL), (flags & EPOLL_CLOEXEC) != 0);
}

int64_t call_epoll_create1(struct task *task, const uint64_t args[6])
{
    return create(task, (int)args[0]);
}

int64_t call_epoll_create(struct task *task, const uint64_t args[6])
{
    return (int32_t)args[0] <= 0 ? -EINVAL : create(task, 0);
}

int64_t call_epoll_ctl(struct task *task, const uint64_t args[6])
{
    const struct file *epoll = task_file(task, args[0]);
    const struct file *file = task_file(task, args[2]);
    struct epoll_event event = {0};

    if (epoll == NULL || file == NULL)
        return -EBADF;
    if (epoll->kind != FILE_EPOLL)
        return -EINVAL;
    if ((int)args[1] != EPOLL_CTL_DEL && guest_read(task_memory(task), args[3], &event, sizeof(event)) != 0)
        return -EFAULT;
    /* A guest must not keep the host awake. */
    event.events &= ~(uint32_t)EPOLLWAKEUP;
    return host_result(epoll_ctl(epoll->host_fd, (int)args[1], file->host_fd, &event));
}

static int64_t wait_until(struct task *task, const uint64_t args[6], int64_t deadline)
{
    const struct file *epoll = task_file(task, args[0]);
    int32_t capacity = (int32_t)args[2];
    struct epoll_event events[EVENTS_MAX];
    int64_t count;

    if (epoll == NULL)
        return -EBADF;
    if (epoll->kind != FILE_EPOLL || capacity <= 0)
        return -EINVAL;
    count = host_result(epoll_wait(epoll->host_fd, events, capacity < EVENTS_MAX ? capacity : EVENTS_MAX, 0));
    if (count == 0 && deadline != DEADLINE_NOW) {
        const struct pollfd ready = {.fd = epoll->host_fd, .events = POLLIN};

        return wait_for_files(task, &ready, 1, deadline);
    }
    if (count > 0 && guest_write(task_memory(task), args[1], events, (size_t)count * sizeof(events[0])) != 0)
        return -EFAULT;
    return count;
}

int64_t call_epoll_wait(struct task *task, const uint64_t args[6])
{
    return wait_until(task, args, deadline_of_milliseconds(task, (int32_t)args[3]));
}

int64_t call_epoll_pwait(struct task *task, const uint64_t args[6])
{
    int64_t result = apply_signal_mask(task, args[4], args[5]);

    return result != 0 ? result : wait_until(task, args, deadline_of_milliseconds(task, (int32_t)args[3]));
}

int64_t call_epoll_pwait2(struct task *task, const uint64_t args[6])
{
    int64_t deadline;
    int64_t result = deadline_of_timespec(task, args[3], &deadline);

    if (result == 0)
        result = apply_signal_mask(task, args[4], args[5]);
    return result != 0 ? result : wait_until(task, args, deadline);
}
