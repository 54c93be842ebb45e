/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The handlers of the file side, each named after its system call; file_syscalls.c lists them. */
#ifndef TRAPGATE_KERNEL_FILE_CALLS_H
#define TRAPGATE_KERNEL_FILE_CALLS_H

#include "syscall_handler.h"

/* file_open.c */
int64_t call_openat(struct task *task, const uint64_t args[6]);
int64_t call_open(struct task *task, const uint64_t args[6]);
int64_t call_creat(struct task *task, const uint64_t args[6]);
int64_t call_close(struct task *task, const uint64_t args[6]);
int64_t call_memfd_create(struct task *task, const uint64_t args[6]);

/* file_io.c */
int64_t call_read(struct task *task, const uint64_t args[6]);
int64_t call_write(struct task *task, const uint64_t args[6]);
int64_t call_pread64(struct task *task, const uint64_t args[6]);
int64_t call_pwrite64(struct task *task, const uint64_t args[6]);
int64_t call_readv(struct task *task, const uint64_t args[6]);
int64_t call_writev(struct task *task, const uint64_t args[6]);
int64_t call_preadv(struct task *task, const uint64_t args[6]);
int64_t call_pwritev(struct task *task, const uint64_t args[6]);
int64_t call_preadv2(struct task *task, const uint64_t args[6]);
int64_t call_pwritev2(struct task *task, const uint64_t args[6]);
int64_t call_lseek(struct task *task, const uint64_t args[6]);
int64_t call_sendfile(struct task *task, const uint64_t args[6]);
int64_t call_copy_file_range(struct task *task, const uint64_t args[6]);
int64_t call_ftruncate(struct task *task, const uint64_t args[6]);
int64_t call_fallocate(struct task *task, const uint64_t args[6]);
int64_t call_fsync(struct task *task, const uint64_t args[6]);
int64_t call_fdatasync(struct task *task, const uint64_t args[6]);
int64_t call_sync(struct task *task, const uint64_t args[6]);
int64_t call_syncfs(struct task *task, const uint64_t args[6]);
int64_t call_fadvise64(struct task *task, const uint64_t args[6]);
int64_t call_readahead(struct task *task, const uint64_t args[6]);

/* file_stat.c */
int64_t call_newfstatat(struct task *task, const uint64_t args[6]);
int64_t call_stat(struct task *task, const uint64_t args[6]);
int64_t call_lstat(struct task *task, const uint64_t args[6]);
int64_t call_fstat(struct task *task, const uint64_t args[6]);
int64_t call_statx(struct task *task, const uint64_t args[6]);
int64_t call_statfs(struct task *task, const uint64_t args[6]);
int64_t call_fstatfs(struct task *task, const uint64_t args[6]);
int64_t call_access(struct task *task, const uint64_t args[6]);
int64_t call_faccessat(struct task *task, const uint64_t args[6]);
int64_t call_faccessat2(struct task *task, const uint64_t args[6]);
int64_t call_readlinkat(struct task *task, const uint64_t args[6]);
int64_t call_readlink(struct task *task, const uint64_t args[6]);
int64_t call_getxattr(struct task *task, const uint64_t args[6]);
int64_t call_lgetxattr(struct task *task, const uint64_t args[6]);
int64_t call_fgetxattr(struct task *task, const uint64_t args[6]);
int64_t call_listxattr(struct task *task, const uint64_t args[6]);
int64_t call_llistxattr(struct task *task, const uint64_t args[6]);
int64_t call_flistxattr(struct task *task, const uint64_t args[6]);
int64_t call_change_xattr(struct task *task, const uint64_t args[6]);

/* file_attributes.c */
int64_t call_chmod(struct task *task, const uint64_t args[6]);
int64_t call_fchmodat(struct task *task, const uint64_t args[6]);
int64_t call_fchmodat2(struct task *task, const uint64_t args[6]);
int64_t call_fchmod(struct task *task, const uint64_t args[6]);
int64_t call_chown(struct task *task, const uint64_t args[6]);
int64_t call_lchown(struct task *task, const uint64_t args[6]);
int64_t call_fchownat(struct task *task, const uint64_t args[6]);
int64_t call_fchown(struct task *task, const uint64_t args[6]);
int64_t call_utimensat(struct task *task, const uint64_t args[6]);
int64_t call_futimesat(struct task *task, const uint64_t args[6]);
int64_t call_utimes(struct task *task, const uint64_t args[6]);
int64_t call_utime(struct task *task, const uint64_t args[6]);
int64_t call_truncate(struct task *task, const uint64_t args[6]);
int64_t call_umask(struct task *task, const uint64_t args[6]);

/* directory.c */
int64_t call_getdents64(struct task *task, const uint64_t args[6]);
int64_t call_mkdirat(struct task *task, const uint64_t args[6]);
int64_t call_mkdir(struct task *task, const uint64_t args[6]);
int64_t call_mknodat(struct task *task, const uint64_t args[6]);
int64_t call_mknod(struct task *task, const uint64_t args[6]);
int64_t call_symlinkat(struct task *task, const uint64_t args[6]);
int64_t call_symlink(struct task *task, const uint64_t args[6]);
int64_t call_linkat(struct task *task, const uint64_t args[6]);
int64_t call_link(struct task *task, const uint64_t args[6]);
int64_t call_unlinkat(struct task *task, const uint64_t args[6]);
int64_t call_unlink(struct task *task, const uint64_t args[6]);
int64_t call_rmdir(struct task *task, const uint64_t args[6]);
int64_t call_renameat2(struct task *task, const uint64_t args[6]);
int64_t call_renameat(struct task *task, const uint64_t args[6]);
int64_t call_rename(struct task *task, const uint64_t args[6]);
int64_t call_chdir(struct task *task, const uint64_t args[6]);
int64_t call_fchdir(struct task *task, const uint64_t args[6]);
int64_t call_getcwd(struct task *task, const uint64_t args[6]);

/* pipe.c */
int64_t call_pipe(struct task *task, const uint64_t args[6]);
int64_t call_pipe2(struct task *task, const uint64_t args[6]);
int64_t call_eventfd(struct task *task, const uint64_t args[6]);
int64_t call_eventfd2(struct task *task, const uint64_t args[6]);
int64_t call_timerfd_create(struct task *task, const uint64_t args[6]);
int64_t call_timerfd_settime(struct task *task, const uint64_t args[6]);
int64_t call_timerfd_gettime(struct task *task, const uint64_t args[6]);

/* file_locks.c */
int64_t call_flock(struct task *task, const uint64_t args[6]);

/* file_control.c */
int64_t call_dup(struct task *task, const uint64_t args[6]);
int64_t call_dup2(struct task *task, const uint64_t args[6]);
int64_t call_dup3(struct task *task, const uint64_t args[6]);
int64_t call_close_range(struct task *task, const uint64_t args[6]);
int64_t call_fcntl(struct task *task, const uint64_t args[6]);
int64_t call_ioctl(struct task *task, const uint64_t args[6]);
int64_t call_socket(struct task *task, const uint64_t args[6]);
int64_t call_on_socket(struct task *task, const uint64_t args[6]);

/* file_poll.c */
int64_t call_poll(struct task *task, const uint64_t args[6]);
int64_t call_ppoll(struct task *task, const uint64_t args[6]);
int64_t call_select(struct task *task, const uint64_t args[6]);
int64_t call_pselect6(struct task *task, const uint64_t args[6]);

/* file_epoll.c */
int64_t call_epoll_create1(struct task *task, const uint64_t args[6]);
int64_t call_epoll_create(struct task *task, const uint64_t args[6]);
int64_t call_epoll_ctl(struct task *task, const uint64_t args[6]);
int64_t call_epoll_wait(struct task *task, const uint64_t args[6]);
int64_t call_epoll_pwait(struct task *task, const uint64_t args[6]);
int64_t call_epoll_pwait2(struct task *task, const uint64_t args[6]);

#endif
