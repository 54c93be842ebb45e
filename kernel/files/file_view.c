/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "files/file_view.h"

#include <linux/magic.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define AGAIN_LEAST 8   /* a mapping costs as much as it saves in a few reads */
#define VIEWS_MAX   256 /* of this process, which has a limit of mappings */

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif

static _Atomic unsigned int view_count;

/*
 * File systems of which a mapping and read(2) see the same bytes at any moment. Others ask a server when a file is
 * read, or put another file in its place; and of a file in memory a mapping keeps seals off.
 */
static bool is_coherent(int fd)
{
    struct statfs system;
    struct stat st;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || fstatfs(fd, &system) != 0)
        return false;
    switch ((unsigned long)system.f_type) {
    case EXT4_SUPER_MAGIC:
    case XFS_SUPER_MAGIC:
    case BTRFS_SUPER_MAGIC:
    case F2FS_SUPER_MAGIC:
        return true;
    default:
        return false;
    }
}

void file_view_close(struct file_view *view)
{
    if (view->bytes == NULL)
        return;
    munmap((void *)(uintptr_t)view->bytes, FILE_VIEW_SIZE);
    view->bytes = NULL;
    atomic_fetch_sub(&view_count, 1);
}

/* Also behind the file's end: what is not there yet may come. */
static void open_view(struct file_view *view, int fd, int64_t window)
{
    void *bytes = MAP_FAILED;

    file_view_close(view);
    if (atomic_fetch_add(&view_count, 1) < VIEWS_MAX && is_coherent(fd))
        bytes = mmap(NULL, FILE_VIEW_SIZE, PROT_READ, MAP_SHARED, fd, window);
    if (bytes == MAP_FAILED) {
        atomic_fetch_sub(&view_count, 1);
        view->refused = true;
        return;
    }
    view->bytes = bytes;
    view->offset = window;
}

/* Whoever reads a file from one end to the other, or here and there, comes to no place again. */
static bool comes_again(struct file_view *view, int64_t window, int64_t from, int64_t to)
{
    if (view->watched != window || from < view->seen_from || from > view->seen_to) {
        view->watched = window;
        view->seen_from = from;
        view->seen_to = to;
        view->again = 0;
    } else if (to > view->seen_to) {
        view->seen_to = to;
    } else {
        view->again++;
    }
    return view->again >= AGAIN_LEAST;
}

/* Reads the last byte: the file is as long, and its times and its watchers hear of a read. */
static bool has_all(int fd, int64_t to)
{
    char last;

    return pread(fd, &last, 1, to - 1) == 1;
}

const unsigned char *file_view_find(struct file_view *view, int fd, int64_t offset, size_t length)
{
    const int64_t window = offset & ~(FILE_VIEW_SIZE - 1);

    if (view->refused || length < FILE_VIEW_LEAST || (int64_t)length > window + FILE_VIEW_SIZE - offset)
        return NULL;
    if (view->bytes == NULL || view->offset != window) {
        if (!comes_again(view, window, offset, offset + (int64_t)length))
            return NULL;
        open_view(view, fd, window);
    }
    return view->bytes != NULL && has_all(fd, offset + (int64_t)length) ? view->bytes + (offset - window) : NULL;
}
