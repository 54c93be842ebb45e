/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* read, write and their relatives: bytes between a file and guest memory. */
#include "file_calls/file_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "file_calls/file_arguments.h"
#include "memory/last_write.h"
#include "memory/read_once.h"
#include "memory/task_memory.h"
#include "signals/signals.h"

/* Bytes go through a buffer of this size on the stack; a small transfer touches only its first page. */
#define BOUNCE_SIZE 65536

/* One read or write call: which guest memory, and where in the file. */
struct transfer {
    struct task *task;
    struct file *file;
    const struct guest_span *spans; /* what is left of them */
    uint64_t span_offset;           /* in the first one */
    uint64_t total;                 /* bytes in all spans */
    int64_t offset;                 /* in the file, or FILE_POSITION */
    ssize_t error;                  /* why a write ended before its end: -errno, -EAGAIN for a full file; or 0 */
};

/* Behind the next bytes, of which there are enough in the spans. */
static void pass_bytes(struct transfer *transfer, uint64_t bytes)
{
    bytes += transfer->span_offset;
    while (bytes > 0 && bytes >= transfer->spans->length) {
        bytes -= transfer->spans->length;
        transfer->spans++;
    }
    transfer->span_offset = bytes;
}

/* Leaves out the first bytes. */
static void skip_bytes(struct transfer *transfer, uint64_t bytes)
{
    transfer->total -= bytes;
    pass_bytes(transfer, bytes);
}

_Static_assert(GUEST_IOVEC_MAX <= GUEST_RANGES_MAX, "all spans of a call are copied in one go");

/* Copies length bytes, of which there are enough in the spans, from or to guest memory. Bytes until a fault. */
static size_t copy_spans(struct transfer *transfer, unsigned char *buffer, size_t length, bool to_guest)
{
    tg_transfer ranges[GUEST_IOVEC_MAX];
    uint64_t offset = transfer->span_offset;
    size_t count = 0;
    size_t done = 0;

    for (const struct guest_span *span = transfer->spans; done < length; span++) {
        const uint64_t left = span->length - offset;
        const size_t want = left < length - done ? (size_t)left : length - done;

        ranges[count++] = to_guest ? guest_writing(span->addr + offset, buffer + done, want)
                                   : guest_reading(span->addr + offset, buffer + done, want);
        done += want;
        offset = 0;
    }
    done = guest_transfer_some(task_memory(transfer->task), ranges, count);
    pass_bytes(transfer, done);
    return done;
}

/* So few bytes are the last that a call reads. They go to the guest together with the result, if they may. */
_Static_assert(LAST_WRITE_MAX < BOUNCE_SIZE, "a call that goes on has read more than goes along");
static bool goes_along(const struct transfer *transfer, const unsigned char *bytes, size_t length)
{
    const struct guest_span *span = transfer->spans;

    return length <= span->length - transfer->span_offset &&
           last_write_all(transfer->task, span->addr + transfer->span_offset, bytes, length);
}

static size_t deliver(struct transfer *transfer, unsigned char *bytes, size_t length)
{
    return goes_along(transfer, bytes, length) ? length : copy_spans(transfer, bytes, length, true);
}

static int64_t position_after(const struct transfer *transfer, uint64_t done)
{
    return transfer->offset == FILE_POSITION ? FILE_POSITION : transfer->offset + (int64_t)done;
}

/*
 * Without a copy here. False: that did not give all of it, and it is to be read as if nothing had been done. No other
 * function copies what may have gone: with guest_write_some() a rest that is short would be copied by this process.
 */
static bool deliver_at_once(struct transfer *transfer, size_t length, int64_t offset)
{
    const struct guest_span *span = transfer->spans;
    uint64_t addr = span->addr + transfer->span_offset;
    const unsigned char *bytes = NULL;

    if (length >= FILE_VIEW_LEAST && length <= span->length - transfer->span_offset)
        bytes = file_look(transfer->file, length, offset);
    if (bytes == NULL || tg_subprocess_write(task_memory(transfer->task), addr, bytes, length, NULL) != 0)
        return false;
    pass_bytes(transfer, length);
    return true;
}

/* Puts back what could not be delivered, as far as the file has a position. */
static void unread(const struct transfer *transfer, size_t bytes)
{
    if (transfer->offset == FILE_POSITION && transfer->file->kind == FILE_PLAIN)
        (void)lseek(transfer->file->host_fd, -(off_t)bytes, SEEK_CUR);
}

/* Bytes read, or -errno when there were none. */
static int64_t transfer_in(struct transfer *transfer)
{
    unsigned char bounce[BOUNCE_SIZE];
    uint64_t done = 0;

    do {
        size_t want = transfer->total - done < BOUNCE_SIZE ? (size_t)(transfer->total - done) : BOUNCE_SIZE;
        int64_t offset = position_after(transfer, done);
        size_t delivered;
        ssize_t got;

        if (deliver_at_once(transfer, want, offset)) {
            done += want;
            continue;
        }
        got = file_read_some(transfer->file, bounce, want, offset);
        if (got <= 0)
            return done > 0 ? (int64_t)done : got;
        delivered = deliver(transfer, bounce, (size_t)got);
        done += delivered;
        if (delivered < (size_t)got) {
            unread(transfer, (size_t)got - delivered);
            return done > 0 ? (int64_t)done : -EFAULT;
        }
        if ((size_t)got < want)
            break;
    } while (done < transfer->total);
    return (int64_t)done;
}

/* Bytes written. When that is not all of them, transfer->error says why. */
static uint64_t transfer_out(struct transfer *transfer)
{
    unsigned char bounce[BOUNCE_SIZE];
    uint64_t done = 0;

    do {
        size_t left = transfer->total - done < BOUNCE_SIZE ? (size_t)(transfer->total - done) : BOUNCE_SIZE;
        size_t want = file_write_limit(transfer->file, left);
        size_t taken = copy_spans(transfer, bounce, want, false);
        ssize_t put;

        transfer->error = taken < want ? -EFAULT : 0;
        if (taken == 0 && want > 0)
            return done;
        put = file_write_some(transfer->file, bounce, taken, position_after(transfer, done));
        if (put < (ssize_t)taken)
            transfer->error = put < 0 ? put : -EAGAIN;
        if (put > 0)
            done += (uint64_t)put;
    } while (transfer->error == 0 && done < transfer->total);
    return done;
}

static bool may_wait(const struct file *file)
{
    return file->kind == FILE_STREAM && (file->status & O_NONBLOCK) == 0;
}

/* A file that has nothing for a guest which asked to wait makes it wait. */
static int64_t wait_or(struct task *task, const struct file *file, short events, int64_t result)
{
    return result == -EAGAIN && may_wait(file) ? task_wait_fd(task, file->host_fd, events) : result;
}

static int64_t do_read(struct transfer *transfer)
{
    return wait_or(transfer->task, transfer->file, POLLIN, transfer_in(transfer));
}

static int64_t written_so_far(struct task *task)
{
    return (int64_t)task->wait.transferred;
}

/* A guest that asked to wait gets no short count from a pipe that is full: only a signal ends the call early. */
static int64_t wait_to_write(struct task *task, const struct file *file)
{
    if (task->wait.transferred > 0)
        task->wait.interrupted = written_so_far;
    return task_wait_fd(task, file->host_fd, POLLOUT);
}

static int64_t do_write(struct transfer *transfer)
{
    struct task *task = transfer->task;
    struct wait *wait = &task->wait;

    /* The spans are those of the first time, so what was written lies inside of them. */
    skip_bytes(transfer, wait->transferred);
    wait->transferred += transfer_out(transfer);
    if (transfer->error == -EPIPE)
        signal_send_task(task, SIGPIPE);
    if (transfer->error == -EAGAIN && may_wait(transfer->file))
        return wait_to_write(task, transfer->file);
    return wait->transferred > 0 ? (int64_t)wait->transferred : transfer->error;
}

/* ------------------------------------------------------------------------
 * One buffer
 */

static int64_t transfer_buffer(struct task *task, const uint64_t args[6], int64_t offset,
                               int64_t (*run)(struct transfer *))
{
    struct guest_span span = {.addr = args[1], .length = args[2]};
    struct transfer transfer = {.task = task, .spans = &span, .offset = offset};

    transfer.file = task_file(task, args[0]);
    if (transfer.file == NULL)
        return -EBADF;
    /* Linux finds that no such memory can exist before it looks at the length. */
    if (span.length > INT64_MAX)
        return -EFAULT;
    if (span.length > GUEST_TRANSFER_MAX)
        span.length = GUEST_TRANSFER_MAX;
    transfer.total = span.length;
    return run(&transfer);
}

int64_t call_read(struct task *task, const uint64_t args[6])
{
    return transfer_buffer(task, args, FILE_POSITION, do_read);
}

int64_t call_write(struct task *task, const uint64_t args[6])
{
    return transfer_buffer(task, args, FILE_POSITION, do_write);
}

int64_t call_pread64(struct task *task, const uint64_t args[6])
{
    return (int64_t)args[3] < 0 ? -EINVAL : transfer_buffer(task, args, (int64_t)args[3], do_read);
}

int64_t call_pwrite64(struct task *task, const uint64_t args[6])
{
    return (int64_t)args[3] < 0 ? -EINVAL : transfer_buffer(task, args, (int64_t)args[3], do_write);
}

/* ------------------------------------------------------------------------
 * Arrays of buffers
 */

static int64_t transfer_vector(struct task *task, const uint64_t args[6], int64_t offset,
                               int64_t (*run)(struct transfer *))
{
    struct guest_span spans[GUEST_IOVEC_MAX];
    struct transfer transfer = {.task = task, .spans = spans, .offset = offset};
    int64_t total;

    transfer.file = task_file(task, args[0]);
    if (transfer.file == NULL)
        return -EBADF;
    if (args[2] > GUEST_IOVEC_MAX)
        return -EINVAL;
    total = read_once(task, args[1], spans, args[2] * sizeof(spans[0]));
    if (total == 0)
        total = guest_cut_spans(spans, args[2]);
    if (total < 0)
        return total;
    transfer.total = (uint64_t)total;
    return run(&transfer);
}

int64_t call_readv(struct task *task, const uint64_t args[6])
{
    return transfer_vector(task, args, FILE_POSITION, do_read);
}

int64_t call_writev(struct task *task, const uint64_t args[6])
{
    return transfer_vector(task, args, FILE_POSITION, do_write);
}

int64_t call_preadv(struct task *task, const uint64_t args[6])
{
    return (int64_t)args[3] < 0 ? -EINVAL : transfer_vector(task, args, (int64_t)args[3], do_read);
}

int64_t call_pwritev(struct task *task, const uint64_t args[6])
{
    return (int64_t)args[3] < 0 ? -EINVAL : transfer_vector(task, args, (int64_t)args[3], do_write);
}

/* preadv2 and pwritev2 take -1 for the file's own position, and flags, of which none is served. */
static int64_t transfer_vector2(struct task *task, const uint64_t args[6], int64_t (*run)(struct transfer *))
{
    int64_t offset = (int64_t)args[3];

    if (args[5] != 0)
        return -EOPNOTSUPP;
    return offset < FILE_POSITION ? -EINVAL : transfer_vector(task, args, offset, run);
}

int64_t call_preadv2(struct task *task, const uint64_t args[6])
{
    return transfer_vector2(task, args, do_read);
}

int64_t call_pwritev2(struct task *task, const uint64_t args[6])
{
    return transfer_vector2(task, args, do_write);
}

/* ------------------------------------------------------------------------
 * Positions, and bytes from file to file
 */

int64_t call_lseek(struct task *task, const uint64_t args[6])
{
    const struct file *file = task_file(task, args[0]);

    return file == NULL ? -EBADF : host_result(lseek(file->host_fd, (off_t)args[1], (int)args[2]));
}

/* An offset that the guest passes by address; 0: the file's own position. */
struct offset_argument {
    uint64_t addr;
    off_t value;
};

static int read_offset(struct task *task, uint64_t addr, struct offset_argument *out)
{
    uint64_t value = 0;
    int err = addr != 0 ? read_once_u64(task, addr, &value) : 0;

    if (err != 0)
        return err;
    *out = (struct offset_argument){.addr = addr, .value = (off_t)value};
    return out->value < 0 ? -EINVAL : 0;
}

static int write_offset(const struct task *task, const struct offset_argument *offset)
{
    return offset->addr == 0 ? 0 : guest_write_u64(task_memory(task), offset->addr, (uint64_t)offset->value);
}

static off_t *offset_pointer(struct offset_argument *offset)
{
    return offset->addr != 0 ? &offset->value : NULL;
}

int64_t call_sendfile(struct task *task, const uint64_t args[6])
{
    const struct file *out = task_file(task, args[0]);
    const struct file *in = task_file(task, args[1]);
    struct offset_argument offset;
    size_t count = args[3] < GUEST_TRANSFER_MAX ? (size_t)args[3] : GUEST_TRANSFER_MAX;
    int64_t result;

    if (out == NULL || in == NULL)
        return -EBADF;
    if (in->kind != FILE_PLAIN)
        return -EINVAL;
    result = read_offset(task, args[2], &offset);
    if (result != 0)
        return result;
    result = out->inherited && out->kind == FILE_STREAM ? file_is_ready(out, POLLOUT) : 1;
    if (result <= 0)
        return wait_or(task, out, POLLOUT, result < 0 ? result : -EAGAIN);
    result = host_result(sendfile(out->host_fd, in->host_fd, offset_pointer(&offset), file_write_limit(out, count)));
    if (result == -EPIPE)
        signal_send_task(task, SIGPIPE);
    if (result > 0 && write_offset(task, &offset) != 0)
        return -EFAULT;
    return wait_or(task, out, POLLOUT, result);
}

int64_t call_copy_file_range(struct task *task, const uint64_t args[6])
{
    const struct file *in = task_file(task, args[0]);
    const struct file *out = task_file(task, args[2]);
    size_t count = args[4] < GUEST_TRANSFER_MAX ? (size_t)args[4] : GUEST_TRANSFER_MAX;
    struct offset_argument in_offset;
    struct offset_argument out_offset;
    int64_t result;

    if (in == NULL || out == NULL)
        return -EBADF;
    result = read_offset(task, args[1], &in_offset);
    if (result == 0)
        result = read_offset(task, args[3], &out_offset);
    if (result != 0)
        return result;
    result = host_result(copy_file_range(in->host_fd, offset_pointer(&in_offset), out->host_fd,
                                         offset_pointer(&out_offset), count, (unsigned int)args[5]));
    if (result > 0 && (write_offset(task, &in_offset) != 0 || write_offset(task, &out_offset) != 0))
        return -EFAULT;
    return result;
}

/* ------------------------------------------------------------------------
 * Size and storage
 */

int64_t call_ftruncate(struct task *task, const uint64_t args[6])
{
    const struct file *file = task_file(task, args[0]);

    return file == NULL ? -EBADF : host_result(ftruncate(file->host_fd, (off_t)args[1]));
}

int64_t call_fallocate(struct task *task, const uint64_t args[6])
{
    const struct file *file = task_file(task, args[0]);

    return file == NULL ? -EBADF : host_result(fallocate(file->host_fd, (int)args[1], (off_t)args[2], (off_t)args[3]));
}

int64_t call_fsync(struct task *task, const uint64_t args[6])
{
    const struct file *file = task_file(task, args[0]);

    return file == NULL ? -EBADF : host_result(fsync(file->host_fd));
}

int64_t call_fdatasync(struct task *task, const uint64_t args[6])
{
    const struct file *file = task_file(task, args[0]);

    return file == NULL ? -EBADF : host_result(fdatasync(file->host_fd));
}

/* The whole host's data is not the guest's to write out: only the file system under its root. */
int64_t call_sync(struct task *task, const uint64_t args[6])
{
    const struct path_context *paths = task->process->paths;
    int fd = path_reopen(paths->root, paths->cwd_fd, O_RDONLY | O_DIRECTORY, 0);

    (void)args;
    if (fd < 0)
        return 0;
    (void)syncfs(fd);
    close(fd);
    return 0;
}

int64_t call_syncfs(struct task *task, const uint64_t args[6])
{
    const struct file *file = task_file(task, args[0]);

    return file == NULL ? -EBADF : host_result(syncfs(file->host_fd));
}

int64_t call_fadvise64(struct task *task, const uint64_t args[6])
{
    const struct file *file = task_file(task, args[0]);

    return file == NULL ? -EBADF : -posix_fadvise(file->host_fd, (off_t)args[1], (off_t)args[2], (int)args[3]);
}

int64_t call_readahead(struct task *task, const uint64_t args[6])
{
    const struct file *file = task_file(task, args[0]);

    return file == NULL ? -EBADF : host_result(readahead(file->host_fd, (off64_t)args[1], (size_t)args[2]));
}
