// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"math"
	"syscall"

	"trapgate.dev/go/trapgate"
)

func init() {
	areas = append(areas, []testCase{
		{"syscall.carries_everything", carriesEverything},
		{"syscall.any_number", anyNumber},
		{"syscall.minus_one", minusOneIsANumber},
		{"syscall.result", returnsAnyValue},
		{"syscall.result_and_interrupt", restartCodesMeetInterrupts},
		{"syscall.never_on_host", hostNeverRunsThem},
		{"syscall.restart", restartRaisesItAgain},
		{"syscall.result_refused", resultNeedsACall},
		{"syscall.restart_refused", restartNeedsACall},
		{"syscall.restart_and_interrupt", restartAfterInterrupt},
	})
}

func setCall(c *trapgate.Context, number uint64, args [6]uint64) {
	change(c, func(r *trapgate.Registers) {
		r.SetSyscall(number)
		for i, value := range args {
			r.SetArg(i, value)
		}
	})
}

func carriesEverything(b trapgate.Backend) {
	args := [6]uint64{1, math.MaxUint64, 0x8000000000000000, 0x00007fffffffffff, 0x123456789abcdef0, 0}
	g := open(b, "raw_call_loop")
	ok(g.context.SetUserData(0xfeedfacecafebeef))
	setCall(g.context, syscall.SYS_WRITE, args)
	g.run()
	wantCall(&g.event, syscall.SYS_WRITE)
	for i, value := range args {
		equal(g.event.Syscall.Args[i], value)
		equal(arg(g.context, i), value)
	}
	equal(g.event.Syscall.IP, codeAt+callLength)
	equal(ip(g.context), g.event.Syscall.IP)
	equal(g.event.Arch, g.info().Arch)
	equal(g.event.UserData, 0xfeedfacecafebeef)
	equal(g.event.Flags&^(trapgate.FlagPatched|trapgate.FlagPatchable), 0)
	g.close()
}

func anyNumber(b trapgate.Backend) {
	g := open(b, "raw_call_loop")
	for _, number := range []uint64{0, 1, syscall.SYS_GETPID, syscall.SYS_RESTART_SYSCALL, 511, 1000, 4096, 0x3fffffff} {
		setCall(g.context, number, [6]uint64{})
		g.run()
		wantCall(&g.event, number)
	}
	g.close()
}

func minusOneIsANumber(b trapgate.Backend) {
	g := open(b, "raw_call_loop")
	for i := 0; i < 3; i++ {
		setCall(g.context, math.MaxUint64, [6]uint64{5, 6, 7, 8, 9, 10})
		g.run()
		wantKind(&g.event, trapgate.KindSyscall)
		equal(int32(g.event.Syscall.Nr), -1)
		equal(g.event.Syscall.Args[5], 10)
		ok(g.context.SetReturn(-int64(syscall.ENOSYS)))
	}
	g.close()
}

func returnsAnyValue(b trapgate.Backend) {
	g := open(b, "echo_result")
	g.call()
	for _, value := range []int64{0, 1, -1, -4, -512, -513, -514, -515, -516, -517, -4095, math.MaxInt64, math.MinInt64} {
		at("result %d", value)
		ok(g.context.SetReturn(value))
		g.call()
		equal(g.event.Syscall.Args[0], uint64(value))
	}
	g.close()
}

// The kernel would go back to the instruction when it sees such a result at a signal.
func restartCodesMeetInterrupts(b trapgate.Backend) {
	g := open(b, "echo_result")
	g.call()
	for _, value := range []int64{-512, -513, -514, -516} {
		ok(g.context.SetReturn(value))
		ok(g.context.Interrupt())
		g.run()
		wantKind(&g.event, trapgate.KindInterrupted)
		g.call()
		equal(g.event.Syscall.Args[0], uint64(value))
	}
	g.close()
}

// Calls that would end, stop or change the stub if the host ever ran them.
func hostNeverRunsThem(b trapgate.Backend) {
	g := open(b, "raw_call_loop")
	pid := g.subprocess.PID()
	for _, number := range []uint64{syscall.SYS_EXIT_GROUP, syscall.SYS_EXIT, syscall.SYS_KILL, syscall.SYS_EXECVE,
		syscall.SYS_MUNMAP, syscall.SYS_REBOOT, syscall.SYS_CLONE, syscall.SYS_RT_SIGRETURN} {
		setCall(g.context, number, [6]uint64{uint64(pid), 9})
		g.run()
		wantCall(&g.event, number)
		ok(g.context.SetReturn(0))
	}
	equal(g.subprocess.PID(), pid)
	check(processAlive(pid), "the stub lives")
	g.close()
}

func restartRaisesItAgain(b trapgate.Backend) {
	args := [6]uint64{11, 12, 13, 14, 15, 16}
	g := open(b, "raw_call_loop")
	setCall(g.context, syscall.SYS_FUTEX, args)
	g.run()
	for round := 0; round < 5; round++ {
		if round%2 == 1 {
			ok(g.context.SetReturn(-int64(syscall.EINTR)))
		}
		ok(g.context.RestartSyscall())
		g.run()
		wantCall(&g.event, syscall.SYS_FUTEX)
		equal(g.event.Syscall.Args, args)
		equal(g.event.Syscall.IP, codeAt+callLength)
	}
	g.close()
}

func restartNeedsACall(b trapgate.Backend) {
	g := open(b, "read_calls")
	refused(g.context.RestartSyscall(), syscall.EINVAL)
	setArg(g.context, 0, holeAt)
	g.run()
	wantKind(&g.event, trapgate.KindFault)
	refused(g.context.RestartSyscall(), syscall.EINVAL)
	setArg(g.context, 0, dataAt)
	g.call()
	setIP(g.context, codeAt)
	refused(g.context.RestartSyscall(), syscall.EINVAL)
	g.call()
	g.close()
}

func restartAfterInterrupt(b trapgate.Backend) {
	g := open(b, "counting_calls")
	g.call()
	ok(g.context.RestartSyscall())
	ok(g.context.Interrupt())
	g.run()
	wantKind(&g.event, trapgate.KindInterrupted)
	g.call()
	equal(g.event.Syscall.Args[0], 1)
	g.call()
	equal(g.event.Syscall.Args[0], 2)
	g.close()
}

// It would overwrite a register that the guest computes with.
func resultNeedsACall(b trapgate.Backend) {
	g := open(b, "read_calls")
	copied := must(g.platform.NewContext())
	refused(g.context.SetReturn(1), syscall.EINVAL)
	setArg(g.context, 0, holeAt)
	g.run()
	equal(g.event.Kind, trapgate.KindFault)
	refused(g.context.SetReturn(1), syscall.EINVAL)
	setArg(g.context, 0, dataAt)
	g.call()
	ok(copied.CopyFrom(g.context))
	ok(copied.SetReturn(1))
	ok(g.context.SetReturn(1))
	ok(g.context.RestartSyscall())
	refused(g.context.SetReturn(1), syscall.EINVAL)
	g.call()
	ok(g.context.Start(codeAt, 0))
	refused(g.context.SetReturn(1), syscall.EINVAL)
	copied.Close()
	g.close()
}
