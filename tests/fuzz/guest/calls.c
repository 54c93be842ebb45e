/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Which calls there are, and what they ask for. */
#include "guest.h"

#include <sys/syscall.h>
#include <unistd.h>

/*
 * a an address, c a clock, d a descriptor, f flags, i a small number, l the
 * length of a mapping, m the address of one, n a count, p a path, q an array of
 * struct pollfd, r a structure, s a signal, t a time or two, u a futex word, v an
 * array of struct iovec, w a process or thread, x any number, z a size, 8 the
 * size of a signal set.
 */
struct known_call {
    long nr;
    const char *arguments;
};

static const struct known_call known_calls[] = {
    {SYS_read, "daz"},
    {SYS_write, "daz"},
    {SYS_pread64, "dazx"},
    {SYS_pwrite64, "dazz"},
    {SYS_readv, "dvn"},
    {SYS_writev, "dvn"},
    {SYS_writev, "dvn"},
    {SYS_preadv, "dvnz"},
    {SYS_pwritev, "dvnz"},
    {SYS_preadv2, "dvnzxf"},
    {SYS_pwritev2, "dvnzxf"},
    {SYS_lseek, "dzi"},
    {SYS_sendfile, "ddaz"},
    {SYS_copy_file_range, "dadazi"},
    {SYS_ftruncate, "dz"},
    {SYS_fallocate, "dizz"},
    {SYS_fadvise64, "dzzi"},
    {SYS_readahead, "dzz"},
    {SYS_openat, "dpfx"},
    {SYS_openat, "dpix"},
    {SYS_close, "d"},
    {SYS_close_range, "ddf"},
    {SYS_memfd_create, "pf"},
    {SYS_pipe2, "af"},
    {SYS_pipe2, "ai"},
    {SYS_eventfd2, "if"},
    {SYS_timerfd_create, "cf"},
    {SYS_timerfd_settime, "dita"},
    {SYS_timerfd_gettime, "da"},
    {SYS_dup, "d"},
    {SYS_dup3, "ddf"},
    {SYS_flock, "di"},
    {SYS_fcntl, "dix"},
    {SYS_fcntl, "dir"},
    {SYS_ioctl, "dxa"},
    {SYS_socket, "iii"},
    {SYS_bind, "daz"},
    {SYS_ppoll, "qnta8"},
    {SYS_ppoll, "qnt"},
    {SYS_pselect6, "naaatr"},
    {SYS_epoll_create1, "f"},
    {SYS_epoll_ctl, "didr"},
    {SYS_epoll_pwait, "daiia8"},
    {SYS_epoll_pwait2, "daita8"},
    {SYS_newfstatat, "dpaf"},
    {SYS_fstat, "da"},
    {SYS_statx, "dpffa"},
    {SYS_statfs, "pa"},
    {SYS_fstatfs, "da"},
    {SYS_faccessat, "dpi"},
    {SYS_faccessat2, "dpif"},
    {SYS_readlinkat, "dpaz"},
    {SYS_getxattr, "ppaz"},
    {SYS_fgetxattr, "dpaz"},
    {SYS_listxattr, "paz"},
    {SYS_setxattr, "ppazi"},
    {SYS_fchmodat, "dpx"},
    {SYS_fchmod, "dx"},
    {SYS_fchownat, "dpiif"},
    {SYS_fchown, "dii"},
    {SYS_utimensat, "dptf"},
    {SYS_truncate, "pz"},
    {SYS_umask, "x"},
    {SYS_getdents64, "daz"},
    {SYS_mkdirat, "dpx"},
    {SYS_mknodat, "dpxx"},
    {SYS_symlinkat, "pdp"},
    {SYS_linkat, "dpdpf"},
    {SYS_unlinkat, "dpf"},
    {SYS_renameat2, "dpdpf"},
    {SYS_chdir, "p"},
    {SYS_fchdir, "d"},
    {SYS_getcwd, "az"},
    {SYS_mmap, "mlffdl"},
    {SYS_mmap, "mliidl"},
    {SYS_munmap, "ml"},
    {SYS_mprotect, "mli"},
    {SYS_mremap, "mllim"},
    {SYS_madvise, "mli"},
    {SYS_mincore, "mla"},
    {SYS_msync, "mli"},
    {SYS_brk, "a"},
    {SYS_clock_gettime, "ca"},
    {SYS_clock_getres, "ca"},
    {SYS_gettimeofday, "aa"},
    {SYS_nanosleep, "ta"},
    {SYS_clock_nanosleep, "cita"},
    {SYS_getrusage, "ia"},
    {SYS_times, "a"},
    {SYS_getrandom, "azi"},
    {SYS_setitimer, "ita"},
    {SYS_getitimer, "ia"},
    {SYS_timer_create, "cra"},
    {SYS_timer_create, "cra"},
    {SYS_timer_settime, "iita"},
    {SYS_timer_settime, "iita"},
    {SYS_timer_gettime, "ia"},
    {SYS_timer_getoverrun, "i"},
    {SYS_timer_delete, "i"},
    {SYS_rt_sigaction, "saa8"},
    {SYS_rt_sigprocmask, "iaa8"},
    {SYS_rt_sigpending, "a8"},
    {SYS_rt_sigsuspend, "a8"},
    {SYS_rt_sigtimedwait, "aat8"},
    {SYS_sigaltstack, "ra"},
    {SYS_kill, "ws"},
    {SYS_tkill, "ws"},
    {SYS_tgkill, "wws"},
    {SYS_wait4, "wafa"},
    {SYS_wait4, "waia"},
    {SYS_waitid, "iwafa"},
    {SYS_waitid, "iwaia"},
    {SYS_futex, "uintui"},
    {SYS_futex, "uintui"},
    {SYS_futex, "uxntux"},
    {SYS_set_robust_list, "rx"},
    {SYS_set_tid_address, "a"},
    {SYS_getpid, ""},
    {SYS_getppid, ""},
    {SYS_gettid, ""},
    {SYS_getuid, ""},
    {SYS_setresuid, "iii"},
    {SYS_getresuid, "aaa"},
    {SYS_getgroups, "na"},
    {SYS_getpgid, "w"},
    {SYS_getsid, "w"},
    {SYS_setpgid, "ww"},
    {SYS_setsid, ""},
    {SYS_uname, "a"},
    {SYS_sysinfo, "a"},
    {SYS_prctl, "iaxxx"},
    {SYS_prctl, "xaxxx"},
    {SYS_prlimit64, "wiaa"},
    {SYS_sched_yield, ""},
    {SYS_sched_getaffinity, "wza"},
    {SYS_sched_setaffinity, "wza"},
    {SYS_sched_getscheduler, "w"},
    {SYS_sched_setscheduler, "wia"},
    {SYS_sched_getparam, "wa"},
    {SYS_sched_get_priority_max, "x"},
    {SYS_sched_setparam, "wa"},
    {SYS_sched_getattr, "wazi"},
    {SYS_sched_setattr, "wai"},
    {SYS_sched_rr_get_interval, "wa"},
    {SYS_personality, "x"},
    {SYS_get_robust_list, "waa"},
    {SYS_capget, "aa"},
    {SYS_capset, "aa"},
    {SYS_setgroups, "za"},
    {SYS_setfsuid, "i"},
    {SYS_setfsgid, "i"},
    {SYS_getpriority, "iw"},
    {SYS_setpriority, "iwi"},
    {SYS_getcpu, "aaa"},
#ifdef SYS_open
    {SYS_open, "pfx"},
    {SYS_creat, "px"},
    {SYS_stat, "pa"},
    {SYS_lstat, "pa"},
    {SYS_access, "pi"},
    {SYS_pipe, "a"},
    {SYS_dup2, "dd"},
    {SYS_poll, "qni"},
    {SYS_select, "naaat"},
    {SYS_epoll_wait, "daii"},
    {SYS_eventfd, "i"},
    {SYS_readlink, "paz"},
    {SYS_mkdir, "px"},
    {SYS_rmdir, "p"},
    {SYS_unlink, "p"},
    {SYS_rename, "pp"},
    {SYS_link, "pp"},
    {SYS_symlink, "pp"},
    {SYS_chmod, "px"},
    {SYS_utimes, "pt"},
    {SYS_utime, "pt"},
    {SYS_alarm, "i"},
    {SYS_time, "a"},
    {SYS_getpgrp, ""},
    {SYS_getrlimit, "ia"},
    {SYS_setrlimit, "ia"},
    {SYS_pause, ""},
#endif
};

#define KNOWN_CALLS (sizeof(known_calls) / sizeof(known_calls[0]))

/* What acts.c does with care; what would change memory that this program needs; what would keep the host's disk busy.
 */
static bool is_left_out(long nr)
{
    static const long left_out[] = {
        SYS_exit,       SYS_exit_group, SYS_clone,  SYS_execve, SYS_rt_sigreturn,
        SYS_mmap,       SYS_munmap,     SYS_mremap, SYS_brk,    SYS_mprotect,
        SYS_madvise,    SYS_sync,       SYS_syncfs, SYS_kill,   SYS_rt_sigsuspend,
#ifdef SYS_fork
        SYS_fork,       SYS_vfork,      SYS_pause,
#endif
#ifdef SYS_arch_prctl
        SYS_arch_prctl,
#endif
    };

    for (size_t i = 0; i < sizeof(left_out) / sizeof(left_out[0]); i++)
        if (nr == left_out[i])
            return true;
    return false;
}

static void make_call(struct dice *dice, long nr, const char *kinds)
{
    uint64_t args[6] = {0};

    for (size_t i = 0; i < 6 && kinds[i]; i++)
        args[i] = dice_once_in(dice, 40) ? argument_make(dice, 'x') : argument_make(dice, kinds[i]);
    atomic_fetch_add_explicit(&control->calls, 1, memory_order_relaxed);
    syscall(nr, args[0], args[1], args[2], args[3], args[4], args[5]);
}

void call_at_random(struct dice *dice)
{
    static const char any[] = "acdfiklmnpqrstuvwxz";
    const struct known_call *known = &known_calls[dice_below(dice, KNOWN_CALLS)];
    char kinds[7] = {0};
    long nr = (long)dice_below(dice, 520);

    if (!dice_once_in(dice, 20)) {
        make_call(dice, known->nr, known->arguments);
        return;
    }
    for (size_t i = 0; i < 6; i++)
        kinds[i] = any[dice_below(dice, sizeof(any) - 1)];
    if (!is_left_out(nr))
        make_call(dice, nr, kinds);
}
