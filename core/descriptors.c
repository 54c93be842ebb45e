/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/descriptors.h"

#define LOWEST   3       /* behind the standard streams */
#define PAUSE_NS 1000000 /* where the host refuses to wait */

/* As a call of the C library returned it. */
static int move_up(int fd)
{
    int moved;

    if (fd < 0)
        return -errno;
    if (fd >= LOWEST)
        return fd;
    moved = fcntl(fd, F_DUPFD_CLOEXEC, LOWEST);
    /* EINVAL: the limit ends below. */
    if (moved < 0)
        moved = errno == EINVAL ? -EMFILE : -errno;
    close(fd);
    return moved;
}

int descriptor_memfd(const char *name, unsigned int flags)
{
    return move_up(memfd_create(name, MFD_CLOEXEC | flags));
}

int descriptor_epoll(void)
{
    return move_up(epoll_create1(EPOLL_CLOEXEC));
}

int descriptor_eventfd(int flags)
{
    return move_up(eventfd(0, EFD_CLOEXEC | flags));
}

/* Those are closed by execve(2) anyway. */
int descriptor_pidfd(pid_t pid)
{
    return move_up((int)syscall(SYS_pidfd_open, pid, 0));
}

int descriptor_pipe(int ends[2], int flags)
{
    if (pipe2(ends, O_CLOEXEC | flags))
        return -errno;
    ends[0] = move_up(ends[0]);
    ends[1] = move_up(ends[1]);
    if (ends[0] >= 0 && ends[1] >= 0)
        return 0;
    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0)
            close(ends[i]);
    return ends[0] < 0 ? ends[0] : ends[1];
}

int descriptor_open(const char *path, int flags)
{
    return move_up(open(path, O_CLOEXEC | flags));
}

bool descriptor_wait(int fd, int64_t until_ns)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    int64_t left = until_ns == INT64_MAX ? 0 : until_ns - clock_monotonic_ns();
    struct timespec time = {0};
    int result;

    if (left > 0) {
        time.tv_sec = left / NS_PER_SECOND;
        time.tv_nsec = left % NS_PER_SECOND;
    }
    result = fd < 0 ? -1 : ppoll(&poll_fd, 1, until_ns == INT64_MAX ? NULL : &time, NULL);
    if (result < 0 && (fd < 0 || errno != EINTR))
        clock_pause(PAUSE_NS);
    return result > 0;
}
