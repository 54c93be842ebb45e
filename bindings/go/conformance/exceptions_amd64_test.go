// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"fmt"
	"strings"
	"syscall"

	"trapgate.dev/go/trapgate"
	"trapgate.dev/go/trapgate/internal/native"
)

func init() {
	areas = append(areas, []testCase{
		{"exception.general", exceptions(syscall.SIGSEGV, `halt port_in port_out cli read_msr load_cr0 invalidate bad_vector
			bad_segment noncanonical noncanonical_ss:7 misaligned_sse misaligned_cas overflow_vector too_long bad_mxcsr`)},
		{"exception.opcodes", exceptions(syscall.SIGILL, `undefined bad_opcode bad_lock old_push`)},
		{"exception.traps", exceptions(syscall.SIGTRAP, `breakpoint breakpoint_long icebp trap_flag`)},
		{"exception.divide", exceptions(syscall.SIGFPE, `divide_zero divide_overflow divide_memory`)},
		{"exception.alignment", exceptions(syscall.SIGBUS, `aligned_check aligned_check_st`)},
		{"exception.x87", exceptions(syscall.SIGFPE, `x87_divide x87_invalid x87_overflow x87_inexact x87_stack x87_masked:0`)},
		{"exception.sse", exceptions(syscall.SIGFPE, `sse_divide sse_invalid sse_inexact sse_overflow sse_masked:0`)},
		{"exception.x87_status", x87Status},
		{"exception.breakpoints", goesOnBehindBreakpoints},
		{"exception.again", sameExceptionAgain},
		{"exception.cpuid_trap", cpuidTraps},
		{"exception.cpuid_runs", func(b trapgate.Backend) { runsFreely(b, "read_cpuid") }},
		{"exception.tsc_trap", tscTraps},
		{"exception.tsc_runs", func(b trapgate.Backend) { runsFreely(b, "read_tsc") }},
	})
}

func (g *guest) enterException(name string) {
	load(g.subprocess, codeAt, code(name))
	g.restart()
	setArg(g.context, 0, dataAt)
	g.run()
}

func wantLikeNative(g *guest, seen native.Signal) {
	base := uint64(0)
	if seen.AddrInCode {
		base = codeAt
	}
	wantException(&g.event, syscall.Signal(seen.Number), seen.Code)
	equal(g.event.Exception.Addr, base+seen.Addr)
	equal(g.event.Exception.IP, codeAt+seen.IP)
	equal(ip(g.context), codeAt+seen.IP)
	equal(g.event.Exception.Errno, 0)
}

// exceptions are guests of exceptions.S that raise the signal, or the one behind the colon; 0: masked, so it calls.
func exceptions(usual syscall.Signal, names string) func(trapgate.Backend) {
	return func(b trapgate.Backend) {
		raised := 0
		g := open(b, "call_loop")
		for _, entry := range strings.Fields(names) {
			name, number, other := strings.Cut(entry, ":")
			signal := int(usual)
			if other {
				must(fmt.Sscan(number, &signal))
			}
			at("%s", name)
			seen := runNative("raise_" + name)
			if seen.Number != signal {
				fmt.Printf("%s: this machine raises signal %d natively, not %d\n", name, seen.Number, signal)
				continue
			}
			raised++
			g.enterException("raise_" + name)
			if signal == 0 {
				wantCall(&g.event, guestCall)
			} else {
				wantLikeNative(g, seen)
			}
		}
		if raised == 0 {
			skip("this machine raises none of these exceptions natively")
		}
		g.close()
	}
}

// The status word says why also after the event.
func x87Status(b trapgate.Backend) {
	const divide, zeroDivide, statusAt = 3, 0x4, 2
	if runNative("raise_x87_divide").Number != int(syscall.SIGFPE) {
		skip("this machine does not raise x87 exceptions")
	}
	g := open(b, "call_loop")
	g.enterException("raise_x87_divide")
	wantException(&g.event, syscall.SIGFPE, divide)
	state := make([]byte, g.info().FPStateSize)
	ok(g.context.FPState(state))
	check(state[statusAt]&zeroDivide != 0, "the status word says why")
	g.close()
}

func goesOnBehindBreakpoints(b trapgate.Backend) {
	g := open(b, "breakpoints")
	for i := uint64(0); i < 2; i++ {
		g.run()
		wantException(&g.event, syscall.SIGTRAP, siKernel)
		equal(arg(g.context, 1), i)
	}
	g.call()
	equal(g.event.Syscall.Args[1], 2)
	g.close()
}

func sameExceptionAgain(b trapgate.Backend) {
	const illegalOperand = 2
	g := open(b, "raise_undefined")
	for i := 0; i < 50; i++ {
		g.run()
		wantException(&g.event, syscall.SIGILL, illegalOperand)
		equal(g.event.Exception.Addr, codeAt)
		equal(ip(g.context), codeAt)
	}
	g.close()
}

// requireTrap skips where the machine cannot, after it has seen that opening says so.
func requireTrap(b trapgate.Backend, capability trapgate.Capabilities, flag trapgate.OpenFlags) {
	platform := openPlatform(b, 0)
	can := must(platform.Info()).Capabilities&capability != 0
	platform.Close()
	if !can {
		_, err := trapgate.Open(trapgate.Options{Backend: b, Flags: flag})
		refused(err, syscall.EOPNOTSUPP)
		skip("this machine cannot trap that; opening says so")
	}
}

func (g *guest) wantTrapped(place, length uint64) {
	g.run()
	wantException(&g.event, syscall.SIGSEGV, siKernel)
	equal(g.event.Exception.IP, place)
	setIP(g.context, place+length)
	g.call()
}

func cpuidTraps(b trapgate.Backend) {
	requireTrap(b, trapgate.CapTrapCPUID, trapgate.OpenTrapCPUID)
	g := openFlags(b, trapgate.OpenTrapCPUID, "read_cpuid")
	g.wantTrapped(label("read_cpuid", "read_cpuid_at"), 2)
	g.close()
}

func tscTraps(b trapgate.Backend) {
	requireTrap(b, trapgate.CapTrapTSC, trapgate.OpenTrapTSC)
	g := openFlags(b, trapgate.OpenTrapTSC, "read_tsc")
	g.wantTrapped(codeAt, 2)
	copied := forkOf(g.subprocess)
	g.restart()
	event := run(g.context, copied)
	wantException(&event, syscall.SIGSEGV, siKernel)
	if has("rdtscp") {
		load(g.subprocess, codeAt, code("read_tscp"))
		g.restart()
		g.wantTrapped(codeAt, 3)
	}
	g.close()
}

func runsFreely(b trapgate.Backend, name string) {
	g := open(b, name)
	g.call()
	g.close()
}
