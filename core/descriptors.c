/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/descriptors.h"

#define LOWEST 3 /* behind the standard streams */

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

int descriptor_open(const char *path, int flags)
{
    return move_up(open(path, O_CLOEXEC | flags));
}
