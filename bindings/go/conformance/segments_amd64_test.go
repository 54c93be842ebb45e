// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"errors"
	"math"
	"syscall"

	"trapgate.dev/go/trapgate"
)

func init() {
	areas = append(areas, []testCase{
		{"segment.tls", tlsIsKept},
		{"segment.tls_many", tlsOfManyContexts},
		{"segment.guest_sets_bases", guestSetsItsBases},
		{"segment.guest_sets_kernel_base", guestSetsAKernelBase},
		{"segment.guest_loads_odd", guestLoadsOddSelectors},
		{"segment.bad_tls", badTLSIsRefused},
		{"segment.registers", segmentRegisters},
		{"segment.loaded", loadedSegmentsAreKept},
		{"segment.flags", flagsAreKept},
		{"segment.no_rights", flagsGiveNoRights},
		{"segment.set_rcx_r11", embedderSetsRCXAndR11},
		{"segment.call_rcx_r11", callLeavesRCXAndR11},
		{"segment.bad_ip", badInstructionPointers},
		{"segment.bad_ip_after_call", badInstructionPointerAfterCall},
		{"segment.bad_sp", badStackPointers},
		{"segment.bad_selectors", badSelectors},
	})
}

const (
	noncanonical  = 0x8000000000000000
	kernelAddress = 0xffff888000000000
	userData      = 0x2b
	userCode      = 0x33
	flagCF        = 0x1
	flagDF        = 0x400
	flagOF        = 0x800
	flagIOPL      = 0x3000
)

func tlsIsKept(b trapgate.Backend) {
	g := open(b, "read_fs_gs")
	for i := uint64(0); i < 8; i++ {
		storeWord(g.subprocess, dataAt+8*i, 100+i)
	}
	for i := uint64(0); i < 8; i++ {
		ok(g.context.SetTLS(dataAt + 8*i))
		change(g.context, func(r *trapgate.Registers) { r.GSBase = dataAt + 8*(7-i) })
		g.call()
		equal(g.event.Syscall.Args[0], 100+i)
		equal(g.event.Syscall.Args[1], 107-i)
		equal(must(g.context.TLS()), dataAt+8*i)
		equal(regs(g.context).FSBase, dataAt+8*i)
		equal(regs(g.context).GSBase, dataAt+8*(7-i))
	}
	g.close()
}

// Contexts with different bases take turns, on one and on several threads.
func tlsOfManyContexts(b trapgate.Backend) {
	g := open(b, "read_fs_gs")
	var each [8]*guest
	for i := range each {
		place := dataAt + 8*uint64(i)
		each[i] = g.with(createStarted(g.platform))
		storeWord(g.subprocess, place, 100+uint64(i))
		ok(each[i].context.SetTLS(place))
		change(each[i].context, func(r *trapgate.Registers) { r.GSBase = place })
	}
	for round := 0; round < 4; round++ {
		for i, one := range each {
			if round%2 == 1 {
				inThread(one.call)
			} else {
				one.call()
			}
			equal(one.event.Syscall.Args[0], 100+uint64(i))
			equal(one.event.Syscall.Args[1], 100+uint64(i))
		}
	}
	for _, one := range each {
		one.context.Close()
	}
	g.close()
}

func requireBaseInstructions() {
	if !has("fsgsbase") {
		skip("this machine has no wrfsbase in user mode")
	}
}

func guestSetsItsBases(b trapgate.Backend) {
	requireBaseInstructions()
	g := open(b, "write_bases")
	storeWord(g.subprocess, dataAt+8, 8)
	storeWord(g.subprocess, dataAt+16, 16)
	setArg(g.context, 0, dataAt+8)
	setArg(g.context, 1, dataAt+16)
	g.call()
	equal(must(g.context.TLS()), dataAt+8)
	equal(regs(g.context).GSBase, dataAt+16)
	g.call()
	equal(g.event.Syscall.Args[0], 8)
	equal(g.event.Syscall.Args[1], 16)
	g.close()
}

// With the instruction a guest can point fs anywhere canonical, the kernel's half included. What a guest does is never
// an error of the embedder's calls.
func guestSetsAKernelBase(b trapgate.Backend) {
	requireBaseInstructions()
	g := open(b, "write_bad_base")
	setArg(g.context, 0, kernelAddress)
	g.call()
	setIP(g.context, codeAt)
	g.call()
	change(g.context, func(r *trapgate.Registers) { r.RIP, r.RDI = codeAt, noncanonical })
	g.run()
	// Some emulated processors take even that.
	if g.event.Kind != trapgate.KindSyscall {
		wantException(&g.event, syscall.SIGSEGV, siKernel)
	}
	g.restart()
	g.call()
	g.close()
}

// The processor takes selectors that ptrace(2) would not: null ones of any privilege level, data ones of level 0.
func guestLoadsOddSelectors(b trapgate.Backend) {
	g := open(b, "load_segments")
	for _, selector := range []uint64{1, 2, 3, userData &^ 3, userData &^ 1} {
		at("selector %#x", selector)
		g.restart()
		setArg(g.context, 0, selector)
		g.call()
		g.call()
	}
	g.close()
}

func badTLSIsRefused(b trapgate.Backend) {
	g := open(b, "read_fs_gs")
	ok(g.context.SetTLS(dataAt))
	for _, bad := range []uint64{noncanonical, kernelAddress, math.MaxUint64} {
		at("%#x", bad)
		refused(g.context.SetTLS(bad), syscall.EINVAL)
		equal(must(g.context.TLS()), dataAt)
		for _, base := range []func(r *trapgate.Registers) *uint64{
			func(r *trapgate.Registers) *uint64 { return &r.FSBase },
			func(r *trapgate.Registers) *uint64 { return &r.GSBase },
		} {
			change(g.context, func(r *trapgate.Registers) { *base(r) = bad })
			_, err := g.context.Switch(background, g.subprocess)
			refused(err, syscall.EINVAL)
			change(g.context, func(r *trapgate.Registers) { *base(r) = dataAt })
		}
	}
	g.call()
	g.close()
}

func segmentRegisters(b trapgate.Backend) {
	g := open(b, "read_segments")
	for i := 0; i < 3; i++ {
		g.call()
		equal(g.event.Syscall.Args[4], userCode)
		equal(g.event.Syscall.Args[5], userData)
		equal(regs(g.context).CS, userCode)
		equal(regs(g.context).SS, userData)
	}
	g.close()
}

func loadedSegmentsAreKept(b trapgate.Backend) {
	g := open(b, "load_segments")
	other := g.with(createStarted(g.platform))
	setArg(g.context, 0, userData)
	g.call()
	equal(regs(g.context).DS, userData)
	// Another context loads the null selector in between.
	other.call()
	g.call()
	equal(g.event.Syscall.Args[0], userData)
	equal(g.event.Syscall.Args[1], userData)
	other.call()
	equal(other.event.Syscall.Args[0], 0)
	other.context.Close()
	g.close()
}

func flagsAreKept(b trapgate.Backend) {
	const watched = flagCF | flagDF | flagOF
	g := open(b, "keep_flags")
	for _, wanted := range []uint64{0, flagCF, flagDF, flagOF, watched} {
		setArg(g.context, 0, wanted|0x202)
		g.call()
		equal(regs(g.context).EFlags&watched, wanted)
		g.call()
		equal(g.event.Syscall.Args[0]&watched, wanted)
	}
	g.close()
}

// Flags that would give a guest rights are refused or dropped, never taken.
func flagsGiveNoRights(b trapgate.Backend) {
	g := open(b, "call_loop")
	change(g.context, func(r *trapgate.Registers) { r.EFlags |= flagIOPL })
	if _, err := g.context.Switch(background, g.subprocess); err == nil {
		equal(regs(g.context).EFlags&flagIOPL, 0)
	} else {
		refused(err, syscall.EINVAL)
	}
	g.restart()
	g.call()
	g.close()
}

// As rt_sigreturn needs it: the embedder sets rcx and r11 at a call, and the guest sees them.
func embedderSetsRCXAndR11(b trapgate.Backend) {
	g := open(b, "echo_rcx_r11")
	change(g.context, func(r *trapgate.Registers) { r.R12 = guestCall })
	g.call()
	change(g.context, func(r *trapgate.Registers) { r.RCX, r.R11 = 0x1122334455667788, 0x99aabbccddeeff00 })
	g.call()
	equal(g.event.Syscall.Args[0], 0x1122334455667788)
	equal(g.event.Syscall.Args[1], 0x99aabbccddeeff00)
	g.close()
}

// Untouched, they are what the instruction leaves: the address behind it, and the flags.
func callLeavesRCXAndR11(b trapgate.Backend) {
	g := open(b, "echo_rcx_r11")
	change(g.context, func(r *trapgate.Registers) { r.R12 = guestCall })
	g.call()
	equal(regs(g.context).RCX, g.event.Syscall.IP)
	equal(regs(g.context).R11, regs(g.context).EFlags)
	g.close()
}

func badInstructionPointers(b trapgate.Backend) {
	g := open(b, "call_loop")
	for _, bad := range []uint64{noncanonical, 0x0000800000000000, 0x00007ffffffff000, kernelAddress, math.MaxUint64} {
		at("ip %#x", bad)
		g.restart()
		setIP(g.context, bad)
		g.run()
		if g.event.Kind == trapgate.KindFault {
			equal(g.event.Fault.Signal, syscall.SIGSEGV)
			equal(g.event.Fault.Access, trapgate.AccessExec)
			equal(g.event.Fault.IP, bad)
		} else {
			wantException(&g.event, syscall.SIGSEGV, siKernel)
		}
		g.restart()
		g.call()
	}
	g.close()
}

// After a call the kernel would take its fast way out, which some processors cannot do to such addresses.
func badInstructionPointerAfterCall(b trapgate.Backend) {
	g := open(b, "call_loop")
	g.call()
	change(g.context, func(r *trapgate.Registers) { r.RIP, r.RCX = noncanonical, noncanonical })
	g.run()
	wantException(&g.event, syscall.SIGSEGV, siKernel)
	g.restart()
	g.call()
	g.close()
}

// A call needs no stack, so the pointer may be anything; a push through it is a stack fault.
func badStackPointers(b trapgate.Backend) {
	g := open(b, "call_loop")
	for _, bad := range []uint64{noncanonical, 0x0000800000000000, kernelAddress, math.MaxUint64, 0} {
		at("sp %#x", bad)
		ok(g.context.Start(codeAt, bad))
		g.call()
		equal(sp(g.context), bad)
		g.call()
	}
	load(g.subprocess, codeAt, code("jump_by_return"))
	ok(g.context.Start(codeAt, noncanonical))
	g.run()
	wantException(&g.event, syscall.Signal(runNative("raise_noncanonical_ss").Number), siKernel)
	g.close()
}

// Selectors that user mode cannot have: refused, or set right; never an error of another kind, never a dead stub.
func badSelectors(b trapgate.Backend) {
	g := open(b, "call_loop")
	for _, bad := range []uint64{0, 0x10, 0x18, 0xffff, 0x1000033} {
		at("selector %#x", bad)
		for _, set := range []func(r *trapgate.Registers){
			func(r *trapgate.Registers) { r.CS = bad },
			func(r *trapgate.Registers) { r.SS = bad },
		} {
			g.restart()
			change(g.context, set)
			event, err := g.context.Switch(background, g.subprocess)
			check(errors.Is(err, syscall.EINVAL) || err == nil && event.Kind != trapgate.KindDead, "the stub lives")
		}
		g.restart()
		g.call()
	}
	g.close()
}
