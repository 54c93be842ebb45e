/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Copies of guest memory; where the host forbids process_vm_readv(2) and process_vm_writev(2) the stub makes them. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/memory_file.h"
#include "core/process_copy.h"
#include "core/systrap/death.h"
#include "core/systrap/orders.h"
#include "core/systrap/stub_copy.h"
#include "core/systrap/stub_memory.h"

static ssize_t order_copy(struct systrap_subprocess *subprocess, uint64_t nr, uint64_t addr, size_t length)
{
    struct order_reply reply;
    int err;

    orders_of(subprocess)->calls[0] =
        (struct stub_call){.nr = nr, .args = {(uint64_t)subprocess->window_file, addr, length, 0}};
    err = orders_give(subprocess, 1, &reply);
    if (err)
        return err;
    if (reply.result > (int64_t)length) {
        systrap_subprocess_die(subprocess, TG_DEAD_CORRUPT, 0);
        return -ESRCH;
    }
    return (ssize_t)reply.result;
}

/* Kernels before 5.16 read nothing of a part that reaches from a good page into a bad one. */
static ssize_t order_copy_of_pages(struct systrap_subprocess *subprocess, uint64_t nr, uint64_t addr, size_t length)
{
    uint64_t page = subprocess->base.platform->info.page_size;
    size_t in_page = (size_t)(page - (addr & (page - 1)));
    ssize_t copied = order_copy(subprocess, nr, addr, length);

    return copied == -EFAULT && length > in_page ? order_copy(subprocess, nr, addr, in_page) : copied;
}

/*
 * How many bytes are ready to be copied. The host puts them there: it answers for a buffer in a mapped file that was
 * cut short, and we would get a signal. Beyond the limit of file sizes we would get one, too.
 */
static ssize_t prepare_window(struct systrap_subprocess *subprocess, bool to_guest, const void *buffer, size_t length)
{
    int err = stub_memory_make_window(subprocess);
    ssize_t put;

    if (!err && to_guest)
        err = memory_file_grow(subprocess->window_file, STUB_WINDOW_SIZE);
    if (err || !to_guest)
        return err ? err : (ssize_t)length;
    put = pwrite(subprocess->window_file, buffer, length, 0);
    return put < 0 ? -errno : put;
}

/* The stub reads and writes a file that we have mapped; the kernel checks its memory's rights on the way. */
static ssize_t copy_by_stub(struct tg_subprocess *base, bool to_guest, uint64_t addr, void *buffer, size_t length)
{
    struct systrap_subprocess *subprocess = to_systrap_subprocess(base);
    uint64_t nr = to_guest ? tgi_arch.syscalls.pread64 : tgi_arch.syscalls.pwrite64;
    ssize_t copied;

    if (length > STUB_WINDOW_SIZE)
        length = STUB_WINDOW_SIZE;
    pthread_mutex_lock(&subprocess->order_lock);
    copied = prepare_window(subprocess, to_guest, buffer, length);
    if (copied > 0)
        copied = order_copy_of_pages(subprocess, nr, addr, (size_t)copied);
    if (!to_guest && copied > 0)
        memcpy(buffer, subprocess->window, (size_t)copied);
    if (length > base->platform->info.page_size && subprocess->window)
        madvise(subprocess->window, STUB_WINDOW_SIZE, MADV_REMOVE);
    pthread_mutex_unlock(&subprocess->order_lock);
    return copied;
}

ssize_t stub_copy(struct tg_subprocess *subprocess, const struct guest_parts *parts)
{
    return process_copy(subprocess, parts, copy_by_stub);
}
