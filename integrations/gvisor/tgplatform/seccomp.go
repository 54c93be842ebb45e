// SPDX-License-Identifier: Apache-2.0 OR MIT

package tgplatform

import (
	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/abi/linux"
	"gvisor.dev/gvisor/pkg/seccomp"
	"gvisor.dev/gvisor/pkg/seccomp/precompiledseccomp"

	"trapgate.dev/go/trapgate"
)

// seccompInfo is what the library calls in the sentry once that is locked up, besides what the sentry does itself: by
// Context.Switch and what is done to subprocesses. Queues need more.
type seccompInfo struct {
	backend trapgate.Backend
}

// Variables implements platform.SeccompInfo.
func (seccompInfo) Variables() precompiledseccomp.Values { return nil }

// ConfigKey implements platform.SeccompInfo.
func (s seccompInfo) ConfigKey() string { return nameOf(s.backend) }

// SyscallFilters implements platform.SeccompInfo.
func (s seccompInfo) SyscallFilters(precompiledseccomp.Values) seccomp.SyscallRules {
	if s.backend == trapgate.BackendPtrace {
		return commonRules().Merge(ptraceRules())
	}
	return commonRules().Merge(systrapRules())
}

// HottestSyscalls implements platform.SeccompInfo.
func (s seccompInfo) HottestSyscalls() []uintptr {
	if s.backend == trapgate.BackendPtrace {
		return []uintptr{unix.SYS_PTRACE, unix.SYS_WAIT4}
	}
	return []uintptr{unix.SYS_FUTEX}
}

// number is an argument that the host takes for an int: its upper half means nothing.
func number(value uintptr) seccomp.ValueMatcher { return numberBut(0, value) }

// numberBut leaves it open which of the bits of free are set.
func numberBut(free, value uintptr) seccomp.ValueMatcher {
	const all = 0xffffffff
	return seccomp.MaskedEqual(all&^free, value&all)
}

// oneOf allows a call with one of the values as its argument.
func oneOf(argument int, values ...uintptr) seccomp.SyscallRule {
	var rules seccomp.Or
	for _, value := range values {
		var rule seccomp.PerArg
		for i := range rule {
			rule[i] = seccomp.AnyValue{}
		}
		rule[argument] = number(value)
		rules = append(rules, rule)
	}
	return rules
}

var anything = seccomp.AnyValue{}

func commonRules() seccomp.SyscallRules {
	return seccomp.MakeSyscallRules(map[uintptr]seccomp.SyscallRule{
		// Words that stubs have, too, those of the C library's locks, and whether a thread has ended.
		unix.SYS_FUTEX: seccomp.Or{
			seccomp.PerArg{anything, numberBut(linux.FUTEX_PRIVATE_FLAG|linux.FUTEX_CLOCK_REALTIME, linux.FUTEX_WAIT_BITSET)},
			seccomp.PerArg{anything, number(linux.FUTEX_TRYLOCK_PI | linux.FUTEX_PRIVATE_FLAG)},
		},
		unix.SYS_CLOCK_NANOSLEEP: seccomp.PerArg{number(unix.CLOCK_REALTIME), number(0)},
		// Stubs are asked to look up, or whether they are there, and end. The number is held by one that nobody has reaped.
		unix.SYS_TGKILL: oneOf(2, 0, uintptr(unix.SIGCHLD), uintptr(unix.SIGKILL)),
		unix.SYS_KILL:   oneOf(1, uintptr(unix.SIGKILL)),
		unix.SYS_WAIT4: seccomp.PerArg{anything, anything,
			numberBut(unix.WNOHANG|unix.WNOTHREAD, unix.WALL)},
		// Guest memory.
		unix.SYS_PROCESS_VM_READV:  seccomp.PerArg{anything, anything, anything, anything, anything, number(0)},
		unix.SYS_PROCESS_VM_WRITEV: seccomp.PerArg{anything, anything, anything, anything, anything, number(0)},
		// None is kept below 3.
		unix.SYS_FCNTL:             oneOf(1, unix.F_DUPFD_CLOEXEC, unix.F_ADD_SEALS),
		unix.SYS_SCHED_SETAFFINITY: seccomp.MatchAll{},
		// The C library's memory, see malloc.go.
		unix.SYS_BRK: seccomp.MatchAll{},
	})
}

func systrapRules() seccomp.SyscallRules {
	return seccomp.MakeSyscallRules(map[uintptr]seccomp.SyscallRule{
		// The memory that a stub and the library have: made, as large as the limit for files allows, and mapped.
		unix.SYS_MEMFD_CREATE:    oneOf(1, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING),
		unix.SYS_PRLIMIT64:       seccomp.PerArg{number(0), number(unix.RLIMIT_FSIZE), seccomp.EqualTo(0)},
		unix.SYS_RT_SIGTIMEDWAIT: seccomp.PerArg{anything, seccomp.EqualTo(0)},
		unix.SYS_MMAP: seccomp.PerArg{anything, anything, number(unix.PROT_READ | unix.PROT_WRITE),
			number(unix.MAP_SHARED | unix.MAP_NORESERVE)},
		// How stubs are: children whose numbers nobody has reaped.
		unix.SYS_WAITID: seccomp.PerArg{anything, anything, anything,
			numberBut(unix.WEXITED|unix.WSTOPPED, unix.WNOHANG|unix.WNOWAIT|unix.WALL), seccomp.EqualTo(0)},
		unix.SYS_GETPGID:           seccomp.MatchAll{},
		unix.SYS_PIDFD_OPEN:        oneOf(1, 0),
		unix.SYS_PIDFD_SEND_SIGNAL: seccomp.PerArg{anything, number(uintptr(unix.SIGKILL)), seccomp.EqualTo(0), number(0)},
		unix.SYS_EPOLL_WAIT:        seccomp.PerArg{anything, anything, number(1), number(^uintptr(0))},
	})
}

func ptraceRules() seccomp.SyscallRules {
	return seccomp.MakeSyscallRules(map[uintptr]seccomp.SyscallRule{
		unix.SYS_PTRACE: oneOf(0, unix.PTRACE_SYSEMU, unix.PTRACE_SYSEMU_SINGLESTEP, unix.PTRACE_SINGLESTEP, unix.PTRACE_CONT,
			unix.PTRACE_GETREGS, unix.PTRACE_SETREGS, unix.PTRACE_GETREGSET, unix.PTRACE_SETREGSET, unix.PTRACE_GETSIGINFO,
			ptraceGetSyscallInfo, unix.PTRACE_INTERRUPT, unix.PTRACE_SEIZE, unix.PTRACE_DETACH, unix.PTRACE_SETOPTIONS,
			linux.PTRACE_SETSIGMASK, unix.PTRACE_POKEDATA),
	})
}

const ptraceGetSyscallInfo = 0x420e
