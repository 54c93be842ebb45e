/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "core/systrap/patching/file_bytes.h"

#ifndef RWF_NOWAIT
#define RWF_NOWAIT 0x8
#endif

bool file_identity_of(int fd, struct file_identity *identity)
{
    struct stat stat;

    if (fstat(fd, &stat) || !S_ISREG(stat.st_mode))
        return false;
    *identity = (struct file_identity){
        .device = stat.st_dev,
        .inode = stat.st_ino,
        .size = (uint64_t)stat.st_size,
        .changed_s = stat.st_ctim.tv_sec,
        .changed_ns = stat.st_ctim.tv_nsec,
    };
    return true;
}

/*
 * Kinds of file systems that cannot say that a read would wait, and whose reads
 * do not. With others, as those that a process serves, perhaps the embedder's
 * own, the caller might wait for ever.
 */
static bool never_waits(int fd)
{
    struct statfs stat;

    return !fstatfs(fd, &stat) && (stat.f_type == TMPFS_MAGIC || stat.f_type == OVERLAYFS_SUPER_MAGIC);
}

/* By number: not every C library has a function for it. */
static ssize_t read_at_once(int fd, uint64_t offset, uint8_t *bytes, size_t length)
{
    const struct iovec part = {.iov_base = bytes, .iov_len = length};

    return syscall(SYS_preadv2, fd, &part, 1, (unsigned long)offset, 0, RWF_NOWAIT);
}

bool file_bytes_read(int fd, uint64_t offset, uint8_t *bytes, size_t length)
{
    ssize_t done = read_at_once(fd, offset, bytes, length);

    if (done < 0 && errno == EOPNOTSUPP && never_waits(fd))
        done = pread(fd, bytes, length, (off_t)offset);
    return done == (ssize_t)length;
}
