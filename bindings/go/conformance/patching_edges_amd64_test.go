// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"encoding/binary"
	"math"
	"runtime"
	"syscall"
	"unsafe"

	"trapgate.dev/go/trapgate"
)

// Patched system calls where something is in the way: others' flags, a host that refuses memory, code without rest.

func init() {
	areas = append(areas, []testCase{
		{"patch.flags_apart", flagsApart},
		{"patch.memory_refused", memoryIsRefused},
		{"patch.never_rests", neverRests},
	})
}

const (
	flagsNone = 0x202
	flagNT    = 0x4000
	flagAC    = 0x40000
	flagID    = 0x200000
)

// A flagged context sets its flags from a word, and leaves those that it finds behind its call in the next one.
type flagged struct {
	*guest
	data, flags uint64
}

func (g *guest) beside(data, flags uint64) flagged {
	f := flagged{g.with(createStarted(g.platform)), data, flags}
	change(f.context, func(r *trapgate.Registers) { r.RBX = data })
	storeWord(g.subprocess, data, flags)
	storeWord(g.subprocess, data+8, flags)
	return f
}

func (f *flagged) turn(bit uint64) {
	f.call()
	equal(loadWord(f.subprocess, f.data+8)&bit, f.flags&bit)
	equal(regs(f.context).EFlags&bit, f.flags&bit)
}

// One has the flag, the other has not; when the embedder writes registers they stay what they are.
func takeTurns(b trapgate.Backend, options trapgate.OpenFlags, name string, bit uint64) {
	at("%s, options %d, flag %#x", name, options, bit)
	g := openFlags(b, options, name)
	both := [2]flagged{g.beside(dataAt, flagsNone|bit), g.beside(dataAt+64, flagsNone)}
	for i := 0; i < warmCalls; i++ {
		for j := range both {
			both[j].turn(bit)
			if i%3 == 2 {
				change(both[j].context, func(r *trapgate.Registers) { r.RDI = 1 })
			}
		}
	}
	g.close()
}

func flagsApart(b trapgate.Backend) {
	for _, bit := range []uint64{flagDF, flagNT, flagAC, flagID} {
		// No call of ptrace(2) sets this one.
		if bit == flagID && b == trapgate.BackendPtrace {
			continue
		}
		takeTurns(b, trapgate.OpenNoPatching, "patch_flags_before", bit)
		takeTurns(b, 0, "patch_flags_before", bit)
		takeTurns(b, 0, "patch_flags_behind", bit)
	}
}

const (
	noPages      = 1 // byte; for the kernel 0 is no limit
	rlimitAS     = 9
	sysPrlimit64 = 302
)

// limitPages says how much memory the stub may have from now on.
func (g *guest) limitPages(bytes uint64) {
	var limit [2]uint64
	pid := uintptr(g.subprocess.PID())
	_, _, errno := syscall.RawSyscall6(sysPrlimit64, pid, rlimitAS, 0, uintptr(unsafe.Pointer(&limit)), 0, 0)
	equal(errno, 0)
	limit[0] = bytes
	if bytes > limit[1] {
		limit[0] = limit[1]
	}
	_, _, errno = syscall.RawSyscall6(sysPrlimit64, pid, rlimitAS, uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
	equal(errno, 0)
}

func (g *guest) isWritable(addr uint64) bool {
	for _, m := range mappings(g.subprocess.PID()) {
		if m.start <= addr && addr < m.end {
			return m.rights[1] == 'w'
		}
	}
	fail(1, "nothing is mapped at %#x", addr)
	return false
}

// putInTwoMappings: the code's bytes from the edge on lie in a mapping of their own.
func (l *callLoop) putInTwoMappings(edge uint64) {
	first, second := l.original()[:edge-l.at], l.original()[edge-l.at:]
	mapPages(l.subprocess, edge-l.page, l.page, protRW)
	write(l.subprocess, l.at, first)
	l.protectPage(l.at, protRX)
	file := memoryFile(l.page)
	equal(must(syscall.Pwrite(file, second, 0)), len(second))
	ok(l.subprocess.MapFile(edge, l.page, protRX, 0, file, 0))
	syscall.Close(file)
}

// There is room for one of a site's two pages: both stay what they are, and the calls are right.
func onePageAloneIsNotChanged(b trapgate.Backend) {
	l := openLoop(b, 0, findPattern("libc_wrapper"))
	edge := holeAt + l.page
	l.at = edge - l.offset("call") - 4
	l.putInTwoMappings(edge)
	l.start(2)
	l.round(2)
	l.limitPages(uint64(statusField(l.subprocess.PID(), "VmSize"))*1024 - l.page)
	l.round(warmCalls)
	check(!l.isWritable(edge-1) && !l.isWritable(edge), "no page is writable")
	check(l.isOriginal(), "the code is original")
	l.wantRefused(trapgate.PatchRefusedOther)
	// With memory it is looked at again once something has changed there.
	l.limitPages(math.MaxUint64)
	l.protectPage(edge, protRX)
	l.warm()
	l.close()
}

// Code that goes away altogether needs no bytes back.
func goesWithoutMemory(l *callLoop) {
	l.warm()
	l.limitPages(noPages)
	ok(l.subprocess.Unmap(l.at, l.page))
	l.run()
	wantFault(&l.event, l.place("behind"), trapgate.AccessExec, syscall.SIGSEGV, segvMapErr)
	l.limitPages(math.MaxUint64)
	l.putCode(l.at, l.original())
	l.warm()
}

func memoryIsRefused(b trapgate.Backend) {
	runtime.LockOSThread() // a stub thread for another thread of ours would want memory too
	onePageAloneIsNotChanged(b)
	forEachPatched(goesWithoutMemory)(b)
}

const (
	rewrites         = 100000
	rewritesOfOthers = 1000 // where nothing is patched there is nothing to find out
	rewriteCalls     = 4    // the last one finds the site hot
	rewriteSitesMost = 16384 / 16
)

// rewrite: mov $number,%eax; syscall; jmp to the start.
func (g *guest) rewrite(number uint32) {
	code := []byte{0xb8, 0, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7}
	binary.LittleEndian.PutUint32(code[1:], number)
	g.protectPage(holeAt, protRW)
	write(g.subprocess, holeAt, code)
	g.protectPage(holeAt, protRX)
}

// A page that is written and run for ever costs a bounded number of sites, and others find a place after it.
func neverRests(b trapgate.Backend) {
	l := openLoop(b, 0, findPattern("libc_wrapper"))
	other := l.with(createAt(l.platform, holeAt))
	mapPages(l.subprocess, holeAt, l.page, protRW)
	count := uint32(rewritesOfOthers)
	if l.canPatch() {
		count = rewrites
	}
	for number := uint32(1000); number < 1000+count; number++ {
		other.rewrite(number)
		setIP(other.context, holeAt)
		for i := 0; i < rewriteCalls; i++ {
			other.run()
			wantCall(&other.event, uint64(number))
		}
	}
	check(l.stats().PatchSites < rewriteSitesMost, "few sites are patched")
	equal(l.stats().PatchRefusals[trapgate.PatchRefusedFull], 0)
	l.warm()
	l.close()
}
