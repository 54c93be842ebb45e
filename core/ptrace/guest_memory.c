/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Guest memory; where the host forbids process_vm_readv(2) and
 * process_vm_writev(2) through /proc. The kernel looks at no rights there, so
 * the table of the guest's mappings is asked.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/descriptors.h"
#include "core/process_copy.h"
#include "core/ptrace/guest_memory.h"

#define PART_MAX        ((size_t)256 * 1024)
#define NOBODYS_ADDRESS (1ull << 63)

int guest_memory_open(pid_t thread, int flags)
{
    char path[32];

    snprintf(path, sizeof(path), "/proc/%d/mem", thread);
    return descriptor_open(path, flags);
}

/* Up to the first page that lacks the right. */
static size_t length_with_right(struct tg_subprocess *subprocess, uint32_t right, uint64_t addr, size_t length)
{
    const uint64_t page = subprocess->platform->info.page_size;
    const uint64_t end = addr + (length < PART_MAX ? length : PART_MAX);
    uint64_t at = addr;

    while (at < end && mapping_table_rights(&subprocess->mappings, at) & right)
        at = (at & ~(page - 1)) + page;
    return (size_t)((at < end ? at : end) - addr);
}

static ssize_t copy_failed(int error)
{
    switch (error) {
    case EIO:
        return -EFAULT;
    case ENOENT: /* no /proc: the process is there until it is destroyed */
        return -EPERM;
    default:
        return -error;
    }
}

static ssize_t copy_through_proc(struct tg_subprocess *subprocess, bool to_guest, uint64_t addr, void *buffer,
                                 size_t length)
{
    const size_t part = length_with_right(subprocess, to_guest ? TG_PROT_WRITE : TG_PROT_READ, addr, length);
    const pid_t pid = atomic_load(&subprocess->pid);
    ssize_t copied;
    int error;
    int fd;

    if (!pid)
        return -ESRCH;
    if (!part)
        return -EFAULT;
    fd = guest_memory_open(pid, to_guest ? O_WRONLY : O_RDONLY);
    if (fd < 0)
        return copy_failed(-fd);
    copied = to_guest ? pwrite(fd, buffer, part, (off_t)addr) : pread(fd, buffer, part, (off_t)addr);
    error = errno;
    close(fd);
    if (copied < 0)
        return copy_failed(error);
    return copied ? copied : -ESRCH; /* it has no address space any more */
}

ssize_t ptrace_subprocess_copy(struct tg_subprocess *subprocess, const struct guest_parts *parts)
{
    return process_copy(subprocess, parts, copy_through_proc);
}

size_t ptrace_read_guest(struct ptrace_subprocess *subprocess, uint64_t addr, void *buffer, size_t length)
{
    const struct iovec guest = {(void *)(uintptr_t)addr, length};
    const struct iovec ours = {buffer, length};
    const ssize_t copied = ptrace_subprocess_copy(&subprocess->base, &(struct guest_parts){false, 1, &guest, &ours});

    return copied > 0 ? (size_t)copied : 0;
}

static bool is_gone_in_proc(pid_t thread)
{
    int fd = guest_memory_open(thread, O_RDONLY);
    uint8_t byte;
    bool gone;

    if (fd < 0)
        return fd == -ESRCH;
    gone = pread(fd, &byte, sizeof(byte), 0) == 0;
    close(fd);
    return gone;
}

/*
 * The address that is asked for is above all that a process can have: before
 * Linux 6.5 a look below a stack makes the stack grow down to it, and a new
 * stub still has one, perhaps right above the place that it is about to map.
 */
bool guest_memory_is_gone(pid_t thread)
{
    uint64_t word;
    struct iovec local = {.iov_base = &word, .iov_len = sizeof(word)};
    struct iovec remote = {.iov_base = (void *)(uintptr_t)NOBODYS_ADDRESS, .iov_len = sizeof(word)};

    if (process_vm_readv(thread, &local, 1, &remote, 1, 0) >= 0 || errno == EFAULT)
        return false;
    return errno == ESRCH || is_gone_in_proc(thread);
}
