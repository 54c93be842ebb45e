/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Bounded copies between the kernel and guest memory. Each function reads a
 * thing once, into memory that the guest cannot reach; callers check the copy
 * and never look at the guest's version again.
 *
 * The only failure of guest memory is -EFAULT. A subprocess that died counts
 * as one: its DEAD event tells the loop.
 */
#ifndef TRAPGATE_KERNEL_GUEST_COPY_H
#define TRAPGATE_KERNEL_GUEST_COPY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <trapgate/trapgate.h>

/* Linux cuts every read and write to this many bytes (MAX_RW_COUNT). */
#define GUEST_TRANSFER_MAX UINT64_C(0x7ffff000)
/* The most entries that an iovec array may have (UIO_MAXIOV). */
#define GUEST_IOVEC_MAX    1024

/*
 * From now on copies in this subprocess go by way of the context, which rests there after that call, or after something
 * else: then nr is GUEST_NO_CALL; NULL: of none. Whoever lets it run or end says so before.
 */
#define GUEST_NO_CALL UINT64_MAX
void guest_copy_by(tg_context *context, tg_subprocess *subprocess, uint64_t nr, const uint64_t args[6]);
void guest_copy_by_none(void);

/* All of it or -EFAULT. A length of 0 touches nothing. */
int guest_read(tg_subprocess *subprocess, uint64_t addr, void *buffer, size_t length);
int guest_write(tg_subprocess *subprocess, uint64_t addr, const void *buffer, size_t length);

/* As many bytes as can be reached from addr on; fewer than length only in front of a page that cannot. */
size_t guest_read_some(tg_subprocess *subprocess, uint64_t addr, void *buffer, size_t length);
size_t guest_write_some(tg_subprocess *subprocess, uint64_t addr, const void *buffer, size_t length);

/* A range for guest_transfer(). */
static inline tg_transfer guest_reading(uint64_t addr, void *buffer, size_t length)
{
    return (tg_transfer){
        .size = sizeof(tg_transfer), .kind = TG_TRANSFER_READ, .addr = addr, .buffer = buffer, .length = length};
}

static inline tg_transfer guest_writing(uint64_t addr, const void *bytes, size_t length)
{
    return (tg_transfer){.size = sizeof(tg_transfer),
                         .kind = TG_TRANSFER_WRITE,
                         .addr = addr,
                         .buffer = (void *)(uintptr_t)bytes,
                         .length = length};
}

/*
 * Several ranges in one go and in their order, GUEST_RANGES_MAX at most. 0, or -EFAULT at the first byte that cannot be
 * reached: done of that range says where, and is 0 in those behind it.
 */
#define GUEST_RANGES_MAX TG_TRANSFER_PIECES
int guest_transfer(tg_subprocess *subprocess, tg_transfer *ranges, size_t count);
/* The same: how many bytes of all of them. */
size_t guest_transfer_some(tg_subprocess *subprocess, tg_transfer *ranges, size_t count);

int guest_read_u32(tg_subprocess *subprocess, uint64_t addr, uint32_t *out);
int guest_read_u64(tg_subprocess *subprocess, uint64_t addr, uint64_t *out);
int guest_write_u32(tg_subprocess *subprocess, uint64_t addr, uint32_t value);
int guest_write_u64(tg_subprocess *subprocess, uint64_t addr, uint64_t value);

/* Writes zero bytes. */
int guest_clear(tg_subprocess *subprocess, uint64_t addr, size_t length);

/*
 * A NUL-terminated string. Returns its length without the NUL, -EFAULT, or
 * -ENAMETOOLONG when no NUL is among the first capacity bytes.
 */
ssize_t guest_read_string(tg_subprocess *subprocess, uint64_t addr, char *buffer, size_t capacity);

/* What a 64-bit struct iovec looks like. */
struct guest_span {
    uint64_t addr;
    uint64_t length;
};

/*
 * Cuts spans, which were read as an array of struct iovec, to a total of
 * GUEST_TRANSFER_MAX as Linux does. Returns the number of bytes in all of them,
 * or -EINVAL for a length that Linux refuses.
 */
int64_t guest_cut_spans(struct guest_span *spans, uint64_t count);

#endif
