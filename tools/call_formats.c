/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "call_formats.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct call_format {
    const char *name;
    const char *format;
};

/* Sorted by name. */
static const struct call_format formats[] = {
    {"access", "dso"},
    {"arch_prctl", "dxx"},
    {"brk", "xx"},
    {"chdir", "ds"},
    {"chmod", "dso"},
    {"clock_gettime", "ddx"},
    {"clock_nanosleep", "ddxxx"},
    {"clone", "dxxxxx"},
    {"close", "dd"},
    {"dup", "dd"},
    {"dup2", "ddd"},
    {"dup3", "dddx"},
    {"execve", "dsxx"},
    {"exit", "dd"},
    {"exit_group", "dd"},
    {"faccessat", "ddso"},
    {"faccessat2", "ddsox"},
    {"fadvise64", "ddddd"},
    {"fchmod", "ddo"},
    {"fcntl", "dddx"},
    {"fork", "d"},
    {"fstat", "ddx"},
    {"fsync", "dd"},
    {"ftruncate", "ddd"},
    {"futex", "dxxuxxx"},
    {"getcwd", "dxu"},
    {"getdents64", "ddxu"},
    {"getegid", "d"},
    {"geteuid", "d"},
    {"getgid", "d"},
    {"getpgrp", "d"},
    {"getpid", "d"},
    {"getppid", "d"},
    {"getpriority", "ddd"},
    {"getrandom", "dxux"},
    {"getrusage", "ddx"},
    {"gettid", "d"},
    {"gettimeofday", "dxx"},
    {"getuid", "d"},
    {"ioctl", "ddxx"},
    {"kill", "ddd"},
    {"link", "dss"},
    {"lseek", "dddd"},
    {"lstat", "dsx"},
    {"madvise", "dxud"},
    {"mkdir", "dso"},
    {"mkdirat", "ddso"},
    {"mmap", "xxuxxdx"},
    {"mprotect", "dxux"},
    {"mremap", "xxuuxx"},
    {"munmap", "dxu"},
    {"nanosleep", "dxx"},
    {"newfstatat", "ddsxx"},
    {"open", "dsxo"},
    {"openat", "ddsxo"},
    {"pipe", "dx"},
    {"pipe2", "dxx"},
    {"poll", "dxud"},
    {"prctl", "ddxxxx"},
    {"pread64", "ddxud"},
    {"prlimit64", "dduxx"},
    {"pwrite64", "ddxud"},
    {"read", "ddxu"},
    {"readlink", "dsxu"},
    {"readlinkat", "ddsxu"},
    {"readv", "ddxu"},
    {"rename", "dss"},
    {"renameat2", "ddsdsx"},
    {"rmdir", "ds"},
    {"rseq", "dxuxx"},
    {"rt_sigaction", "ddxxu"},
    {"rt_sigprocmask", "ddxxu"},
    {"rt_sigreturn", "x"},
    {"sched_getaffinity", "dduxx"},
    {"sched_yield", "d"},
    {"set_robust_list", "dxu"},
    {"set_tid_address", "dx"},
    {"setpriority", "dddd"},
    {"sigaltstack", "dxx"},
    {"stat", "dsx"},
    {"statfs", "dsx"},
    {"statx", "ddsxxx"},
    {"symlink", "dss"},
    {"sysinfo", "dx"},
    {"tgkill", "dddd"},
    {"umask", "oo"},
    {"uname", "dx"},
    {"unlink", "ds"},
    {"unlinkat", "ddsx"},
    {"utimensat", "ddsxx"},
    {"vfork", "d"},
    {"wait4", "ddxxx"},
    {"write", "ddxu"},
    {"writev", "ddxu"},
};

static int compare(const void *name, const void *entry)
{
    return strcmp(name, ((const struct call_format *)entry)->name);
}

const char *call_format(const char *name)
{
    const struct call_format *found =
        bsearch(name, formats, sizeof(formats) / sizeof(formats[0]), sizeof(formats[0]), compare);

    return found ? found->format : "dxxxxxx";
}
