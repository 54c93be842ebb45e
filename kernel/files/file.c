/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "files/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Linux sets it for every file that open(2) makes in a 64-bit process. The C library's O_LARGEFILE is 0. */
#define KERNEL_O_LARGEFILE 0100000

enum file_kind file_kind_of(const struct stat *st)
{
    switch (st->st_mode & S_IFMT) {
    case S_IFREG:
    case S_IFBLK:
    case S_IFCHR:
        return FILE_PLAIN;
    case S_IFDIR:
        return FILE_DIRECTORY;
    default:
        return FILE_STREAM;
    }
}

/* Linux counts as large what open(2) makes, and nothing that has no name. */
static bool can_be_large(int status, enum file_kind kind)
{
    return kind != FILE_STREAM && kind != FILE_EPOLL && (status & O_PATH) == 0;
}

struct file *file_create(int host_fd, int status, enum file_kind kind)
{
    struct file *file = calloc(1, sizeof(*file));

    if (file == NULL) {
        close(host_fd);
        return NULL;
    }
    file->references = 1;
    file->host_fd = host_fd;
    file->status = status & ~(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC);
    file->kind = kind;
    if (can_be_large(status, kind))
        file->status |= KERNEL_O_LARGEFILE;
    return file;
}

static enum file_kind inherited_kind(int host_fd, int status)
{
    struct stat st;

    if ((status & O_PATH) != 0 || fstat(host_fd, &st) != 0)
        return FILE_PLAIN;
    return S_ISCHR(st.st_mode) && isatty(host_fd) ? FILE_STREAM : file_kind_of(&st);
}

struct file *file_inherit(int host_fd)
{
    int status = fcntl(host_fd, F_GETFL);
    int copy = fcntl(host_fd, F_DUPFD_CLOEXEC, 3);
    struct file *file;

    if (copy < 0)
        return NULL;
    file = file_create(copy, status, inherited_kind(copy, status));
    if (file != NULL)
        file->inherited = true;
    return file;
}

struct file *file_get(struct file *file)
{
    file->references++;
    return file;
}

void file_put(struct file *file)
{
    if (--file->references > 0)
        return;
    file_view_close(&file->view);
    close(file->host_fd);
    free(file);
}

int file_is_ready(const struct file *file, short events)
{
    static const struct timespec now;
    struct pollfd fd = {.fd = file->host_fd, .events = events};
    int n = ppoll(&fd, 1, &now, NULL);

    return n < 0 ? -errno : n;
}

/* A description that may block is looked at before each use. 0, -EAGAIN or another -errno. */
static int check_ready(const struct file *file, int64_t offset, size_t length, short events)
{
    int ready = 1;

    if (file->inherited && file->kind == FILE_STREAM && offset == FILE_POSITION && length > 0)
        ready = file_is_ready(file, events);
    return ready > 0 ? 0 : ready < 0 ? ready : -EAGAIN;
}

/*
 * A FIFO that was opened to read before anybody opened it to write gives an end
 * of file, where the open of a blocking one would have waited. Only a FIFO that
 * had a writer shows a hang-up.
 */
static bool is_waiting_for_first_writer(const struct file *file)
{
    return !file->inherited && file->kind == FILE_STREAM && (file->status & O_NONBLOCK) == 0 &&
           file_is_ready(file, POLLIN) == 0;
}

ssize_t file_read_some(const struct file *file, void *buffer, size_t length, int64_t offset)
{
    ssize_t got = check_ready(file, offset, length, POLLIN);

    if (got < 0)
        return got;
    do {
        got = offset == FILE_POSITION ? read(file->host_fd, buffer, length)
                                      : pread(file->host_fd, buffer, length, offset);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return -errno;
    if (got == 0 && length > 0 && is_waiting_for_first_writer(file))
        return -EAGAIN;
    return got;
}

const unsigned char *file_look(struct file *file, size_t length, int64_t offset)
{
    if (file->kind != FILE_PLAIN || file->inherited || offset == FILE_POSITION || (file->status & O_DIRECT) != 0)
        return NULL;
    return file_view_find(&file->view, file->host_fd, offset, length);
}

ssize_t file_write_some(const struct file *file, const void *buffer, size_t length, int64_t offset)
{
    ssize_t put = check_ready(file, offset, length, POLLOUT);

    if (put < 0)
        return put;
    do {
        put = offset == FILE_POSITION ? write(file->host_fd, buffer, length)
                                      : pwrite(file->host_fd, buffer, length, offset);
    } while (put < 0 && errno == EINTR);
    return put < 0 ? -errno : put;
}

size_t file_write_limit(const struct file *file, size_t length)
{
    /* A blocking pipe that is ready has room for this much. */
    if (file->inherited && file->kind == FILE_STREAM && length > PIPE_BUF)
        return PIPE_BUF;
    return length;
}
