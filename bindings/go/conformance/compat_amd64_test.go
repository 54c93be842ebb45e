// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"fmt"
	"syscall"

	"trapgate.dev/go/trapgate"
)

func init() {
	areas = append(areas, []testCase{
		{"compat.int80", int80},
		{"compat.int80_narrow", int80IsNarrow},
		{"compat.int80_result", int80Results},
		{"compat.int80_restart", int80Restarts},
		{"compat.mixed", entriesMix},
		{"compat.code32", codeOf32Bits},
		{"compat.code32_stub", stubAfter32Bits},
		{"compat.x32", x32},
		{"compat.sysenter", sysenter},
		{"vsyscall.gettimeofday", func(b trapgate.Backend) { checkVsyscall(b, 0, syscall.SYS_GETTIMEOFDAY) }},
		{"vsyscall.time", func(b trapgate.Backend) { checkVsyscall(b, 1, syscall.SYS_TIME) }},
		{"vsyscall.getcpu", func(b trapgate.Backend) { checkVsyscall(b, 2, sysGetcpu) }},
		{"vsyscall.writes_nothing", vsyscallWritesNothing},
		{"vsyscall.restart", vsyscallRestarts},
		{"vsyscall.elsewhere", vsyscallElsewhere},
	})
}

const (
	i386Getpid     = 20
	x32Bit         = 0x40000000
	compatCode     = 0x23
	archI386       = 0x40000003
	archX8664      = 0xc000003e
	sysGetcpu      = 309
	vsyscallPage   = 0xffffffffff600000
	vsyscallStride = 0x400
)

func openCompat(b trapgate.Backend, name string) *guest {
	g := open(b, name)
	if g.info().Capabilities&trapgate.CapSyscallArch == 0 {
		skip("this kernel does not say which way a call came")
	}
	if runNative("int80_once").Number != 0 {
		skip("this kernel has no 32-bit entries")
	}
	return g
}

func openCode32(b trapgate.Backend) *guest {
	g := openCompat(b, "code32")
	if runNative("code32").Number != 0 {
		skip("32-bit code does not run natively either")
	}
	return g
}

func (g *guest) compatCall(number uint64) {
	g.run()
	wantCallAt(1, &g.event, number)
	equal(g.event.Flags&(trapgate.FlagCompat|trapgate.FlagX32), trapgate.FlagCompat)
	equal(g.event.Arch, archI386)
}

func int80(b trapgate.Backend) {
	g := openCompat(b, "int80_loop")
	for _, number := range []uint64{0, 1, i386Getpid, 119, 252, 1000} {
		at("number %d", number)
		change(g.context, func(r *trapgate.Registers) {
			r.RAX, r.RBX, r.RCX, r.RDX, r.RSI, r.RDI, r.RBP = number, 1, 2, 3, 4, 5, 6
		})
		g.compatCall(number)
		equal(g.event.Syscall.Args, [6]uint64{1, 2, 3, 4, 5, 6})
		equal(g.event.Syscall.IP, codeAt+2)
		equal(ip(g.context), codeAt+2)
	}
	g.close()
}

// Arguments of the 32-bit table are 32 bits wide.
func int80IsNarrow(b trapgate.Backend) {
	g := openCompat(b, "int80_loop")
	change(g.context, func(r *trapgate.Registers) { r.RAX, r.RBX = i386Getpid, 0xaaaaaaaa11111111 })
	g.compatCall(i386Getpid)
	equal(g.event.Syscall.Args[0], 0x11111111)
	equal(regs(g.context).RBX, 0xaaaaaaaa11111111)
	g.close()
}

func int80Results(b trapgate.Backend) {
	g := openCompat(b, "int80_echo")
	g.run()
	for _, value := range []int64{0, 7, -14, -512, -516} {
		at("result %d", value)
		ok(g.context.SetReturn(value))
		g.compatCall(i386Getpid)
		equal(uint32(g.event.Syscall.Args[0]), uint32(value))
	}
	g.close()
}

func int80Restarts(b trapgate.Backend) {
	g := openCompat(b, "int80_loop")
	change(g.context, func(r *trapgate.Registers) { r.RAX = i386Getpid })
	g.run()
	for i := 0; i < 3; i++ {
		ok(g.context.SetReturn(-int64(syscall.EINTR)))
		ok(g.context.RestartSyscall())
		g.compatCall(i386Getpid)
	}
	g.close()
}

// A native call after a compat call, and the other way round: nothing sticks.
func entriesMix(b trapgate.Backend) {
	g := openCompat(b, "int80_loop")
	load(g.subprocess, otherCode, code("call_loop"))
	for i := 0; i < 4; i++ {
		change(g.context, func(r *trapgate.Registers) { r.RAX, r.RIP = i386Getpid, codeAt })
		g.compatCall(i386Getpid)
		setIP(g.context, otherCode)
		g.call()
		equal(g.event.Arch, archX8664)
		equal(g.event.Flags&trapgate.FlagCompat, 0)
	}
	g.close()
}

func codeOf32Bits(b trapgate.Backend) {
	g := openCode32(b)
	g.compatCall(i386Getpid)
	equal(g.event.Syscall.Args[0], 0x11111111)
	equal(g.event.Syscall.Args[5], 0x66666666)
	equal(g.event.Syscall.IP, label("code32", "code32_first")+2)
	equal(regs(g.context).CS, compatCode)
	ok(g.context.SetReturn(77))
	g.compatCall(i386Getpid)
	equal(g.event.Syscall.Args[0], 77)
	// Back to 64 bits.
	g.restart()
	g.compatCall(i386Getpid)
	g.close()
}

// A stub thread that was in 32-bit code serves the library and other contexts like any other.
func stubAfter32Bits(b trapgate.Backend) {
	g := openCode32(b)
	load(g.subprocess, otherCode, code("counting_calls"))
	other := g.with(createAt(g.platform, otherCode))
	g.compatCall(i386Getpid)
	mapPages(g.subprocess, holeAt, g.page, protRW)
	other.call()
	equal(other.event.Syscall.Args[0], 1)
	ok(g.context.SetReturn(78))
	g.compatCall(i386Getpid)
	equal(g.event.Syscall.Args[0], 78)
	other.call()
	other.context.Close()
	g.close()
}

func x32(b trapgate.Backend) {
	g := open(b, "raw_call_loop")
	for i := 0; i < 3; i++ {
		setCall(g.context, x32Bit|syscall.SYS_GETPID, [6]uint64{55})
		g.run()
		wantCall(&g.event, x32Bit|syscall.SYS_GETPID)
		equal(g.event.Arch, archX8664)
		equal(g.event.Flags&(trapgate.FlagX32|trapgate.FlagCompat), trapgate.FlagX32)
		equal(g.event.Syscall.Args[0], 55)
	}
	g.close()
}

// On some processors this is a call, on others an undefined instruction.
func sysenter(b trapgate.Backend) {
	seen := runNative("sysenter_once")
	g := open(b, "sysenter_once")
	g.run()
	switch {
	case seen.Number == int(syscall.SIGILL):
		wantException(&g.event, syscall.SIGILL, seen.Code)
		equal(ip(g.context), codeAt+seen.IP)
		fmt.Println("sysenter is an undefined instruction here")
	case g.event.Kind == trapgate.KindSyscall:
		wantCall(&g.event, i386Getpid)
		equal(g.event.Arch, archI386)
	default:
		wantException(&g.event, syscall.Signal(seen.Number), seen.Code)
	}
	g.restart()
	load(g.subprocess, codeAt, code("call_loop"))
	g.call()
	g.close()
}

func openVsyscall(b trapgate.Backend, entry uint64) *guest {
	g := open(b, "vsyscall_loop")
	change(g.context, func(r *trapgate.Registers) { r.RDI, r.RSI, r.RDX = dataAt, dataAt+8, entry })
	return g
}

// serveVsyscall: a page that cannot be mapped does not go away. Its entries come as calls, or as fetch faults to serve.
func (g *guest) serveVsyscall(entry, number uint64, result int64) {
	g.run()
	if g.event.Kind == trapgate.KindFault {
		wantFault(&g.event, entry, trapgate.AccessExec, syscall.SIGSEGV, g.event.Fault.Code)
		back := loadWord(g.subprocess, sp(g.context))
		change(g.context, func(r *trapgate.Registers) { r.RIP, r.RSP, r.RAX = back, r.RSP+8, uint64(result) })
		return
	}
	wantCall(&g.event, number)
	equal(g.event.Flags&trapgate.FlagVsyscall, trapgate.FlagVsyscall)
	equal(g.event.Syscall.Args[0], dataAt)
	equal(g.event.Syscall.Args[1], dataAt+8)
	ok(g.context.SetReturn(result))
}

func checkVsyscall(b trapgate.Backend, index, number uint64) {
	entry := vsyscallPage + index*vsyscallStride
	g := openVsyscall(b, entry)
	for i := int64(1); i <= 5; i++ {
		g.serveVsyscall(entry, number, 1000+i)
		if g.info().Capabilities&trapgate.CapVsyscall != 0 {
			wantKind(&g.event, trapgate.KindSyscall)
		}
		g.call()
		equal(g.event.Flags&trapgate.FlagVsyscall, 0)
		equal(g.event.Syscall.Args[0], uint64(1000+i))
		equal(sp(g.context), stackTop)
	}
	g.close()
}

// Whatever the entry, the guest's memory is written by the embedder alone.
func vsyscallWritesNothing(b trapgate.Backend) {
	g := openVsyscall(b, vsyscallPage)
	g.serveVsyscall(vsyscallPage, syscall.SYS_GETTIMEOFDAY, 0)
	g.call()
	equal(loadWord(g.subprocess, dataAt), 0)
	equal(loadWord(g.subprocess, dataAt+8), 0)
	g.close()
}

func vsyscallRestarts(b trapgate.Backend) {
	interrupted := -int64(syscall.EINTR)
	g := openVsyscall(b, vsyscallPage+vsyscallStride)
	if g.info().Capabilities&trapgate.CapVsyscall == 0 {
		skip("vsyscalls come as faults here")
	}
	for i := 0; i < 3; i++ {
		g.run()
		wantCall(&g.event, syscall.SYS_TIME)
		equal(g.event.Flags&trapgate.FlagVsyscall, trapgate.FlagVsyscall)
		ok(g.context.SetReturn(interrupted))
		if i < 2 {
			ok(g.context.RestartSyscall())
		}
	}
	g.call()
	equal(g.event.Syscall.Args[0], uint64(interrupted))
	equal(sp(g.context), stackTop)
	g.close()
}

// The middle of the page is no entry.
func vsyscallElsewhere(b trapgate.Backend) {
	g := open(b, "jump")
	for _, offset := range []uint64{1, 0x10, 0x401, 0xc00, 0xff8} {
		at("offset %#x", offset)
		g.touch(vsyscallPage + offset)
		// A kernel that emulates the page says only that this is no entry.
		if g.event.Kind == trapgate.KindException {
			wantException(&g.event, syscall.SIGSEGV, siKernel)
		} else {
			wantFault(&g.event, vsyscallPage+offset, trapgate.AccessExec, syscall.SIGSEGV, g.event.Fault.Code)
		}
		equal(ip(g.context), vsyscallPage+offset)
	}
	g.close()
}
