// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"bytes"
	"math"
	"syscall"
	"unsafe"

	"trapgate.dev/go/trapgate"
)

// System calls whose code may be changed by the library. Whether it is or not, a guest sees what it would see natively:
// every case runs on every backend, and looks at sites and bytes where CapPatching is.

const (
	warmCalls = 12 // by then a call that is to be patched is
	manyCalls = 300
)

// What becomes of the instructions around a call.
type taken int

const (
	leftAlone taken = iota
	before
	behind
)

// A callPattern is one call and its neighbours, for ever: a guest patch_NAME of patching.S.
type callPattern struct {
	name    string
	taken   taken
	reason  int    // trapgate.PatchRefused*, for leftAlone
	number  uint64 // 0: guestCall
	inner   uint64 // where the second instruction behind the call is, from the first; 0: not asked
	innerBy uint64 // what r15 grows by from there
	moved   bool   // the guest cannot run what is behind the call
}

var patchedPatterns = []callPattern{
	{name: "mov_eax", taken: before}, {name: "mov_rax", taken: before}, {name: "movabs", taken: before},
	{name: "mov_return", taken: before}, {name: "libc_inline", taken: behind}, {name: "libc_wrapper", taken: behind},
	{name: "go_wrapper", taken: behind}, {name: "two_shorts", taken: behind, inner: 3, innerBy: 0},
	{name: "nops_behind", taken: behind, inner: 3, innerBy: 1}, {name: "long_lea", taken: behind},
	{name: "to_scratch", taken: behind},
}

func findPattern(name string) callPattern {
	for _, p := range patchedPatterns {
		if p.name == name {
			return p
		}
	}
	fail(1, "no pattern %s", name)
	return callPattern{}
}

func (p *callPattern) nr() uint64 {
	if p.number != 0 {
		return p.number
	}
	return guestCall
}

func (p *callPattern) original() []byte { return code("patch_" + p.name) }

// offset is where a label of the pattern is in its code.
func (p *callPattern) offset(label string) uint64 {
	return symbol("patch_"+p.name+"_"+label) - symbol("patch_"+p.name)
}

// A callLoop is a context that runs a pattern, and what it has to look like.
type callLoop struct {
	*guest
	callPattern
	at      uint64 // where the code is
	words   [10]uint64
	r15     uint64
	stopped bool // at a call, with what is behind it to come
	calls   int
}

// inverted are the registers that a pattern inverts each time round.
func inverted(r *trapgate.Registers) [10]*uint64 {
	return [10]*uint64{&r.RDX, &r.RSI, &r.RDI, &r.RBP, &r.RSP, &r.R8, &r.R9, &r.R10, &r.R12, &r.R14}
}

func (l *callLoop) place(label string) uint64 { return l.at + l.offset(label) }

// start puts the context at the code, with registers of its own.
func (l *callLoop) start(seed uint64) *callLoop {
	ok(l.context.Start(l.at, stackTop))
	change(l.context, func(r *trapgate.Registers) {
		fillRegisters(r, seed)
		r.RBX, r.R13 = l.nr(), l.place("start")
		for i, word := range inverted(r) {
			l.words[i] = *word
		}
		l.r15 = r.R15
	})
	l.stopped, l.calls = false, 0
	return l
}

func openLoop(b trapgate.Backend, flags trapgate.OpenFlags, p callPattern) *callLoop {
	return (&callLoop{guest: openFlags(b, flags, "patch_"+p.name), callPattern: p, at: codeAt}).start(1)
}

// forEachPatched runs a case with every pattern that is patched.
func forEachPatched(scenario func(l *callLoop)) func(trapgate.Backend) {
	return func(b trapgate.Backend) {
		for _, p := range patchedPatterns {
			at("%s", p.name)
			l := openLoop(b, 0, p)
			scenario(l)
			l.close()
		}
	}
}

// beside is the same loop with a context of its own, which has not started.
func (l *callLoop) beside() *callLoop {
	other := *l
	other.guest = l.with(createContext(l.platform))
	return &other
}

// wantAt wants the pattern's call with this number, and every register as it has to be.
func (l *callLoop) wantAt(number uint64) {
	wantCallAt(1, &l.event, number)
	equal(l.event.Syscall.IP, l.place("behind"))
	now := regs(l.context)
	for i, word := range inverted(&now) {
		equal(*word, l.words[i])
	}
	equal(l.event.Syscall.Args, [6]uint64{now.RDI, now.RSI, now.RDX, now.R10, now.R8, now.R9})
	equal(now.RAX, number)
	equal(now.RBX, l.nr())
	equal(now.R13, l.place("start"))
	equal(now.R15, l.r15)
	equal(now.RIP, l.place("behind"))
	equal(now.GSBase, 0)
	l.stopped = true
	l.calls++
}

func (l *callLoop) invert() {
	for i := range l.words {
		l.words[i] = ^l.words[i]
	}
}

// expect is once round the loop, from call to call: what it has to look like at the next one.
func (l *callLoop) expect() {
	if l.stopped && l.moved {
		setIP(l.context, l.place("start"))
		return
	}
	if l.stopped {
		l.r15++
	}
	l.invert()
}

func (l *callLoop) answer() {
	results := []int64{0, 7, -22, -4095, -4096, math.MinInt64, math.MaxInt64}
	l.wantAt(l.nr())
	ok(l.context.SetReturn(results[l.calls%len(results)]))
}

func (l *callLoop) round(times int) {
	for ; times > 0; times-- {
		l.expect()
		l.run()
		l.answer()
	}
}

// jumpToCall has the guest go to the call itself, once, with the number of a result.
func (l *callLoop) jumpToCall(number uint64) {
	ok(l.context.SetReturn(int64(number)))
	change(l.context, func(r *trapgate.Registers) { r.R13 = l.place("call") })
	l.r15++
	l.invert()
	l.run()
	l.wantAt(number)
}

// jumpBehind has it go behind the call, which is not made; from there it comes round to the start.
func (l *callLoop) jumpBehind(offset, adds uint64) {
	change(l.context, func(r *trapgate.Registers) { r.R13 = l.place("behind") + offset })
	l.r15 += 1 + adds
	l.run()
	l.wantAt(l.nr())
}

func (g *guest) canPatch() bool { return g.info().Capabilities&trapgate.CapPatching != 0 }

func (g *guest) wasPatched() bool { return g.event.Flags&trapgate.FlagPatched != 0 }

// isOriginal looks into the stub itself. The embedder reads what the guest wrote in any case.
func (l *callLoop) isOriginal() bool {
	return l.guest.isOriginal(l.at, l.original())
}

func (g *guest) isOriginal(at uint64, original []byte) bool {
	same(read(g.subprocess, at, len(original)), original)
	return bytes.Equal(bytesOfProcess(g.subprocess.PID(), at, len(original)), original)
}

func bytesOfProcess(pid int, at uint64, length int) []byte {
	const sysProcessVMReadv = 310
	bytes := make([]byte, length)
	local := syscall.Iovec{Base: &bytes[0], Len: uint64(length)}
	remote := [2]uint64{at, uint64(length)}
	copied, _, errno := syscall.Syscall6(sysProcessVMReadv, uintptr(pid), uintptr(unsafe.Pointer(&local)), 1,
		uintptr(unsafe.Pointer(&remote)), 1, 0)
	equal(errno, 0)
	equal(int(copied), length)
	return bytes
}

// warm calls until the site is patched, where that is what happens to it.
func (l *callLoop) warm() {
	expected := l.canPatch() && l.taken != leftAlone
	l.round(warmCalls)
	equal(l.wasPatched(), expected)
	equal(l.isOriginal(), !expected)
}

func (g *guest) wantSites(before, behind uint64) {
	stats := g.stats()
	equal(stats.PatchSitesBefore, before)
	equal(stats.PatchSitesAfter, behind)
	equal(stats.PatchSites, before+behind)
}

func (g *guest) refusals() (all uint64) {
	for _, count := range g.stats().PatchRefusals {
		all += count
	}
	return all
}

// wantRefused: one site was looked at, and left alone for this reason.
func (g *guest) wantRefused(reason int) {
	if g.canPatch() {
		equal(g.stats().PatchRefusals[reason], 1)
		equal(g.refusals(), 1)
		g.wantSites(0, 0)
	}
}

func (g *guest) pageDown(addr uint64) uint64 { return addr &^ (g.page - 1) }

// putCode puts code at any address, in fresh pages.
func (g *guest) putCode(addr uint64, code []byte) {
	first := g.pageDown(addr)
	length := g.pageDown(addr+uint64(len(code))-1) + g.page - first
	mapPages(g.subprocess, first, length, protRW)
	write(g.subprocess, addr, code)
	ok(g.subprocess.Protect(first, length, protRX))
}

func (g *guest) protectPage(addr uint64, prot trapgate.Prot) {
	ok(g.subprocess.Protect(g.pageDown(addr), g.page, prot))
}

// wantWhole: everything of a site works. It can be arrived at inside, and has its bytes when it is made writable.
func (l *callLoop) wantWhole() {
	l.round(1)
	l.jumpToCall(1234)
	l.jumpBehind(0, 1)
	l.round(1)
	l.protectPage(l.at, protRW)
	check(l.isOriginal(), "the code is original")
	l.protectPage(l.at, protRX)
	l.warm()
}
