/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The functions that are counted, and what each counts as. CMakeLists.txt
 * reads the names out of these lines; counted.c makes the functions.
 *
 *   CALL(what it counts as, type, name, parameters, arguments)
 *
 * What the kernel calls beyond these makes no call of the host, or only at a
 * sandbox's start. LIBRARY: counts, and all inside it does not. LIBRARY_VOID
 * returns nothing. An empty name counts nothing.
 */

/* clang-format off */
CALL("openat",       int,     openat,       (int dir, const char *path, int flags, mode_t mode), (dir, path, flags, mode))
CALL(by_number(nr),  long,    syscall,      (long nr, long a, long b, long c, long d, long e, long f), (nr, a, b, c, d, e, f))
CALL("close",        int,     close,        (int fd), (fd))
CALL("fstat",        int,     fstat,        (int fd, struct stat *st), (fd, st))
CALL("fstatat",      int,     fstatat,      (int fd, const char *path, struct stat *st, int flags), (fd, path, st, flags))
CALL("statx",        int,     statx,        (int fd, const char *path, int flags, unsigned int mask, struct statx *st), (fd, path, flags, mask, st))
CALL("fstatfs",      int,     fstatfs,      (int fd, struct statfs *st), (fd, st))
CALL("faccessat",    int,     faccessat,    (int fd, const char *path, int mode, int flags), (fd, path, mode, flags))
CALL("readlinkat",   ssize_t, readlinkat,   (int fd, const char *path, char *buffer, size_t size), (fd, path, buffer, size))
CALL("fcntl",        int,     fcntl,        (int fd, int command, long argument), (fd, command, argument))
CALL("ioctl",        int,     ioctl,        (int fd, unsigned long request, long argument), (fd, request, argument))
CALL("isatty",       int,     isatty,       (int fd), (fd))
CALL("lseek",        off_t,   lseek,        (int fd, off_t offset, int whence), (fd, offset, whence))
CALL("read",         ssize_t, read,         (int fd, void *buffer, size_t size), (fd, buffer, size))
CALL("write",        ssize_t, write,        (int fd, const void *buffer, size_t size), (fd, buffer, size))
CALL("pread",        ssize_t, pread,        (int fd, void *buffer, size_t size, off_t offset), (fd, buffer, size, offset))
CALL("pwrite",       ssize_t, pwrite,       (int fd, const void *buffer, size_t size, off_t offset), (fd, buffer, size, offset))
CALL("pipe2",        int,     pipe2,        (int *fds, int flags), (fds, flags))
CALL("ppoll",        int,     ppoll,        (struct pollfd *fds, nfds_t count, const struct timespec *time, const sigset_t *mask), (fds, count, time, mask))
CALL("unlinkat",     int,     unlinkat,     (int fd, const char *path, int flags), (fd, path, flags))
CALL("mkdirat",      int,     mkdirat,      (int fd, const char *path, mode_t mode), (fd, path, mode))
CALL("getrandom",    ssize_t, getrandom,    (void *buffer, size_t size, unsigned int flags), (buffer, size, flags))
CALL("clock_getres", int,     clock_getcpuclockid, (pid_t pid, clockid_t *clock), (pid, clock))
CALL(by_clock(clock), int,    clock_gettime, (clockid_t clock, struct timespec *time), (clock, time))
CALL("alloc",        void *,  malloc,       (size_t size), (size))
CALL("alloc",        void *,  calloc,       (size_t count, size_t size), (count, size))
CALL("alloc",        void *,  realloc,      (void *old, size_t size), (old, size))
CALL("alloc",        void *,  reallocarray, (void *old, size_t count, size_t size), (old, count, size))
CALL("alloc",        char *,  strdup,       (const char *text), (text))
CALL("alloc",        char *,  strndup,      (const char *text, size_t size), (text, size))
LIBRARY("copy in",   int,     tg_subprocess_read, (tg_subprocess *of, uint64_t addr, void *buffer, size_t length, size_t *done), (of, addr, buffer, length, done))
LIBRARY("copy out",  int,     tg_subprocess_write, (tg_subprocess *of, uint64_t addr, const void *buffer, size_t length, size_t *done), (of, addr, buffer, length, done))
LIBRARY("copy in",   int,     tg_context_read, (tg_context *context, tg_subprocess *of, uint64_t addr, void *buffer, size_t length, size_t *done), (context, of, addr, buffer, length, done))
LIBRARY("copy in",   int,     tg_context_read_string, (tg_context *context, tg_subprocess *of, uint64_t addr, char *buffer, size_t capacity, size_t *length), (context, of, addr, buffer, capacity, length))
LIBRARY("copy many", int,     tg_context_transfer, (tg_context *context, tg_subprocess *of, tg_transfer *pieces, size_t count), (context, of, pieces, count))
LIBRARY("brought",   int,     tg_context_brought, (tg_context *context, tg_subprocess *of, uint32_t piece, const void **bytes, size_t *length), (context, of, piece, bytes, length))
LIBRARY("attached",  int,     tg_context_attach, (tg_context *context, uint64_t addr, const void *bytes, size_t length), (context, addr, bytes, length))
LIBRARY("",          int,     tg_subprocess_set_brings, (tg_subprocess *of, const tg_bring *pieces, size_t count), (of, pieces, count))
LIBRARY("copy out",  int,     tg_context_write, (tg_context *context, tg_subprocess *of, uint64_t addr, const void *buffer, size_t length, size_t *done), (context, of, addr, buffer, length, done))
LIBRARY("map",       int,     tg_subprocess_map, (tg_subprocess *of, uint64_t addr, uint64_t length, uint32_t prot, uint32_t flags, int32_t fd, uint64_t offset), (of, addr, length, prot, flags, fd, offset))
LIBRARY("unmap",     int,     tg_subprocess_unmap, (tg_subprocess *of, uint64_t addr, uint64_t length), (of, addr, length))
LIBRARY("protect",   int,     tg_subprocess_protect, (tg_subprocess *of, uint64_t addr, uint64_t length, uint32_t prot), (of, addr, length, prot))
LIBRARY("apply",     int,     tg_subprocess_apply, (tg_subprocess *of, const tg_mem_op *ops, size_t count, size_t *done), (of, ops, count, done))
LIBRARY("create",    int,     tg_subprocess_create, (tg_platform *platform, tg_subprocess **out), (platform, out))
LIBRARY("fork",      int,     tg_subprocess_fork, (tg_subprocess *from, tg_subprocess **out), (from, out))
LIBRARY_VOID("destroy",       tg_subprocess_destroy, (tg_subprocess *subprocess), (subprocess))
LIBRARY("",          int,     tg_context_create, (tg_platform *platform, tg_context **out), (platform, out))
LIBRARY("",          int,     tg_context_start, (tg_context *context, uint64_t ip, uint64_t sp), (context, ip, sp))
LIBRARY("",          int,     tg_context_copy, (tg_context *to, const tg_context *from), (to, from))
LIBRARY_VOID("",              tg_context_destroy, (tg_context *context), (context))
LIBRARY("",          int,     tg_queue_submit, (tg_queue *queue, tg_context *context, tg_subprocess *subprocess), (queue, context, subprocess))
LIBRARY("",          int,     tg_queue_wait, (tg_queue *queue, tg_event *events, size_t capacity, int64_t timeout, size_t *count), (queue, events, capacity, timeout, count))
/* clang-format on */
