// SPDX-License-Identifier: Apache-2.0 OR MIT

package tgplatform

import (
	"golang.org/x/sys/unix"

	"trapgate.dev/go/trapgate"
)

var commonCalls = []uintptr{
	unix.SYS_FUTEX,
	unix.SYS_CLOCK_GETTIME,
	unix.SYS_NANOSLEEP,
	unix.SYS_CLOCK_NANOSLEEP,
	unix.SYS_SCHED_YIELD,
	unix.SYS_GETPID,
	unix.SYS_KILL,
	unix.SYS_TGKILL,
	unix.SYS_WAIT4,
	unix.SYS_WAITID,
	unix.SYS_PROCESS_VM_READV,
	unix.SYS_PROCESS_VM_WRITEV,
	unix.SYS_CLOSE,
	unix.SYS_FCNTL,
	unix.SYS_EVENTFD2,
	unix.SYS_PPOLL,
	unix.SYS_READ,
	unix.SYS_WRITE,
	unix.SYS_RT_SIGPROCMASK,
	unix.SYS_CLONE,
	unix.SYS_CLONE3,
	unix.SYS_SET_ROBUST_LIST,
	unix.SYS_RSEQ,
	unix.SYS_EXIT,
	unix.SYS_SCHED_GETAFFINITY,
	unix.SYS_MMAP,
	unix.SYS_MUNMAP,
	unix.SYS_MPROTECT,
	unix.SYS_MADVISE,
	unix.SYS_BRK,
	unix.SYS_OPENAT,
	unix.SYS_NEWFSTATAT,
	unix.SYS_FSTAT,
}

var hostCalls = map[trapgate.Backend][]uintptr{
	trapgate.BackendPtrace: {
		unix.SYS_PTRACE,
		unix.SYS_SCHED_SETAFFINITY,
		unix.SYS_GETCPU,
		unix.SYS_PREAD64,
		unix.SYS_PWRITE64,
		unix.SYS_MEMFD_CREATE,
		unix.SYS_FTRUNCATE,
		unix.SYS_PRLIMIT64,
	},
	trapgate.BackendSystrap: {
		unix.SYS_FUTEX_WAITV,
		unix.SYS_SCHED_SETAFFINITY,
		unix.SYS_GETCPU,
		unix.SYS_LSEEK,
		unix.SYS_PREADV2,
		unix.SYS_PREAD64,
		unix.SYS_FSTATFS,
		unix.SYS_MEMFD_CREATE,
		unix.SYS_FTRUNCATE,
		unix.SYS_PRLIMIT64,
		unix.SYS_PWRITE64,
		unix.SYS_RT_SIGTIMEDWAIT,
		unix.SYS_PIDFD_OPEN,
		unix.SYS_PIDFD_SEND_SIGNAL,
		unix.SYS_GETPGID,
		unix.SYS_EPOLL_CTL,
		unix.SYS_EPOLL_WAIT,
	},
}
