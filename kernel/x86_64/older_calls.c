/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Calls that Linux gave its later processors in another form only. This one has them all. */
#include "arch.h"

#include <sys/syscall.h>

const struct older_call arch_older_calls[] = {
    {"access", SYS_access},
    {"alarm", SYS_alarm},
    {"chmod", SYS_chmod},
    {"chown", SYS_chown},
    {"creat", SYS_creat},
    {"dup2", SYS_dup2},
    {"epoll_create", SYS_epoll_create},
    {"epoll_wait", SYS_epoll_wait},
    {"eventfd", SYS_eventfd},
    {"fork", SYS_fork},
    {"futimesat", SYS_futimesat},
    {"getpgrp", SYS_getpgrp},
    {"getrlimit", SYS_getrlimit},
    {"lchown", SYS_lchown},
    {"link", SYS_link},
    {"lstat", SYS_lstat},
    {"mkdir", SYS_mkdir},
    {"mknod", SYS_mknod},
    {"open", SYS_open},
    {"pause", SYS_pause},
    {"pipe", SYS_pipe},
    {"poll", SYS_poll},
    {"readlink", SYS_readlink},
    {"rename", SYS_rename},
    {"renameat", SYS_renameat},
    {"rmdir", SYS_rmdir},
    {"select", SYS_select},
    {"setrlimit", SYS_setrlimit},
    {"stat", SYS_stat},
    {"symlink", SYS_symlink},
    {"time", SYS_time},
    {"unlink", SYS_unlink},
    {"utime", SYS_utime},
    {"utimes", SYS_utimes},
    {"vfork", SYS_vfork},
};
const size_t arch_older_calls_count = sizeof(arch_older_calls) / sizeof(arch_older_calls[0]);
