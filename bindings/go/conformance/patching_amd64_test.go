// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"bytes"
	"math"
	"runtime"
	"syscall"

	"trapgate.dev/go/trapgate"
)

func init() {
	areas = append(areas, []testCase{
		{"patch.patterns", patternsWork},
		{"patch.left_alone", othersAreLeftAlone},
		{"patch.counted", callsAreCounted},
		{"patch.not_wanted", notWanted},
		{"patch.flags", flagsSurvivePatching},
		{"patch.embedder_moves_inside", embedderMovesInside},
		{"patch.restart", patchedCallsRestart},
		{"patch.threads", threadsAtFreshSite},
		{"patch.queue", queueAtFreshSite},
	})
}

const (
	warmCalls = 12 // by then a call that is to be patched is
	manyCalls = 300

	leftAlone = iota
	before
	behind
)

// A callPattern is one call and its neighbours, for ever: a guest patch_NAME of patching.S.
type callPattern struct {
	name   string
	taken  int
	reason int    // trapgate.PatchRefused*, for leftAlone
	number uint64 // 0: guestCall
	moved  bool   // the guest cannot run what is behind the call
}

var patchedPatterns = []callPattern{
	{name: "mov_eax", taken: before}, {name: "mov_rax", taken: before}, {name: "movabs", taken: before},
	{name: "mov_return", taken: before}, {name: "libc_inline", taken: behind}, {name: "libc_wrapper", taken: behind},
	{name: "go_wrapper", taken: behind}, {name: "two_shorts", taken: behind}, {name: "nops_behind", taken: behind},
	{name: "long_lea", taken: behind}, {name: "to_scratch", taken: behind},
}

var lonePatterns = []callPattern{
	{name: "refused_relative", taken: leftAlone, reason: trapgate.PatchRefusedRelative},
	{name: "refused_rcx", taken: leftAlone, reason: trapgate.PatchRefusedRegister},
	{name: "refused_rsp", taken: leftAlone, reason: trapgate.PatchRefusedRegister},
	{name: "refused_no_room", taken: leftAlone, reason: trapgate.PatchRefusedNoRoom},
	{name: "refused_unlisted", taken: leftAlone, reason: trapgate.PatchRefusedUnlisted},
	{name: "refused_decoy", taken: leftAlone, reason: trapgate.PatchRefusedDecoy, number: 0x113c9090},
	{name: "refused_undecodable", taken: leftAlone, reason: trapgate.PatchRefusedUndecodable, moved: true},
	{name: "two_shorts", taken: leftAlone, reason: trapgate.PatchRefusedSignalReturn, number: syscall.SYS_RT_SIGRETURN},
}

func (p *callPattern) nr() uint64 {
	if p.number != 0 {
		return p.number
	}
	return guestCall
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

func (l *callLoop) place(suffix string) uint64 {
	return l.at + symbol("patch_"+l.name+"_"+suffix) - symbol("patch_"+l.name)
}

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
	return l
}

func openLoop(b trapgate.Backend, flags trapgate.OpenFlags, p callPattern) *callLoop {
	return (&callLoop{guest: openFlags(b, flags, "patch_"+p.name), callPattern: p, at: codeAt}).start(1)
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

// expect is once round the loop, from call to call: what it has to look like at the next one.
func (l *callLoop) expect() {
	if l.stopped && l.moved {
		setIP(l.context, l.place("start"))
		return
	}
	if l.stopped {
		l.r15++
	}
	for i := range l.words {
		l.words[i] = ^l.words[i]
	}
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

func (l *callLoop) canPatch() bool { return l.info().Capabilities&trapgate.CapPatching != 0 }

func (l *callLoop) wasPatched() bool { return l.event.Flags&trapgate.FlagPatched != 0 }

func (l *callLoop) isOriginal() bool {
	original := code("patch_" + l.name)
	now := make([]byte, len(original))
	must(l.subprocess.ReadMemory(l.at, now))
	return bytes.Equal(now, original)
}

// warm calls until the site is patched, where that is what happens to it.
func (l *callLoop) warm() {
	expected := l.canPatch() && l.taken != leftAlone
	l.round(warmCalls)
	equal(l.wasPatched(), expected)
	equal(l.isOriginal(), !expected)
}

func (l *callLoop) wantSites(before, behind uint64) {
	stats := l.stats()
	equal(stats.PatchSitesBefore, before)
	equal(stats.PatchSitesAfter, behind)
	equal(stats.PatchSites, before+behind)
}

func (l *callLoop) refusals() (all uint64) {
	for _, count := range l.stats().PatchRefusals {
		all += count
	}
	return all
}

func patternsWork(b trapgate.Backend) {
	for _, p := range patchedPatterns {
		at("%s", p.name)
		l := openLoop(b, 0, p)
		l.warm()
		l.round(manyCalls)
		equal(l.wasPatched(), l.canPatch())
		if l.canPatch() && p.taken == before {
			l.wantSites(1, 0)
		} else if l.canPatch() {
			l.wantSites(0, 1)
		}
		l.close()
	}
}

func othersAreLeftAlone(b trapgate.Backend) {
	for _, p := range lonePatterns {
		at("%s, reason %d", p.name, p.reason)
		l := openLoop(b, 0, p)
		l.warm()
		l.round(manyCalls)
		check(l.isOriginal(), "the code is original")
		if l.canPatch() {
			equal(l.stats().PatchRefusals[p.reason], 1)
			equal(l.refusals(), 1)
			l.wantSites(0, 0)
		}
		equal(l.stats().PatchedCalls, 0)
		l.close()
	}
}

func callsAreCounted(b trapgate.Backend) {
	flagged := uint64(0)
	g := open(b, "patch_between")
	change(g.context, func(r *trapgate.Registers) { r.R13 = codeAt })
	for i := 0; i < manyCalls; i++ {
		g.call()
		if g.event.Flags&trapgate.FlagPatched != 0 {
			flagged++
		}
	}
	stats := g.stats()
	equal(stats.PatchedCalls, flagged)
	equal(stats.PatchedCalls+stats.UnpatchedCalls, manyCalls)
	if g.info().Capabilities&trapgate.CapPatching != 0 {
		check(flagged >= manyCalls-warmCalls, "nearly all are patched")
	} else {
		equal(flagged, 0)
	}
	g.close()
}

func notWanted(b trapgate.Backend) {
	for _, p := range patchedPatterns {
		at("%s", p.name)
		l := openLoop(b, trapgate.OpenNoPatching, p)
		check(!l.canPatch(), "there is no patching")
		l.warm()
		l.round(50)
		check(l.isOriginal(), "the code is original")
		l.wantSites(0, 0)
		equal(l.refusals(), 0)
		l.close()
	}
}

func flagsSurvivePatching(b trapgate.Backend) {
	const watched = 0x8d5 | 0x400 | 0x40000 | 0x200000 // the arithmetic ones, DF, AC, ID
	runtime.LockOSThread()                             // ptrace(2) cannot move ID from one stub thread to another
	for _, name := range []string{"patch_flags_before", "patch_flags_behind"} {
		g := open(b, name)
		change(g.context, func(r *trapgate.Registers) { r.RBX = dataAt })
		random, last := uint64(1), uint64(0)
		for i := 0; i < manyCalls; i++ {
			random = random*6364136223846793005 + 1442695040888963407
			flags := random>>32&watched | 0x202
			storeWord(g.subprocess, dataAt, flags)
			g.call()
			// The flags that the last call came back with were stored meanwhile.
			if i > 0 {
				equal(loadWord(g.subprocess, dataAt+8)&watched, last)
			}
			last = flags & watched
			// Every other time nobody asks for the registers, and they stay in the stub.
			if i%2 == 1 {
				equal(regs(g.context).EFlags&watched, last)
			}
		}
		equal(g.event.Flags&trapgate.FlagPatched != 0, g.info().Capabilities&trapgate.CapPatching != 0)
		g.close()
	}
}

// As a signal handler's return, or a debugger, would: to the start, to the call, and behind it.
func embedderMovesInside(b trapgate.Backend) {
	for _, p := range patchedPatterns {
		at("%s", p.name)
		l := openLoop(b, 0, p)
		l.warm()
		for round := uint64(0); round < 10; round++ {
			setIP(l.context, l.place("start"))
			l.run()
			l.wantAt(guestCall)
			change(l.context, func(r *trapgate.Registers) { r.RIP, r.RAX = l.place("call"), 2000+round })
			l.run()
			l.wantAt(2000 + round)
			setIP(l.context, l.place("behind"))
			l.round(1)
		}
		l.close()
	}
}

func patchedCallsRestart(b trapgate.Backend) {
	for _, p := range patchedPatterns {
		at("%s", p.name)
		l := openLoop(b, 0, p)
		l.warm()
		for i := 0; i < 20; i++ {
			l.round(1)
			args := l.event.Syscall.Args
			ok(l.context.RestartSyscall())
			l.run()
			l.wantAt(guestCall)
			equal(l.event.Syscall.Args, args)
		}
		l.close()
	}
}

// freshSites gives four contexts code that nobody has been at, again and again; some of it lies in two pages.
func freshSites(b trapgate.Backend, meet func(loops []*callLoop)) {
	const rounds, contexts = 66, 4
	first := openLoop(b, 0, patchedPatterns[0])
	page := first.page
	for round := 0; round < rounds; round++ {
		p := patchedPatterns[round%len(patchedPatterns)]
		at("round %d, %s", round, p.name)
		bytes := code("patch_" + p.name)
		place := holeAt + page - uint64(round%len(bytes))
		mapPages(first.subprocess, holeAt, 2*page, protRW)
		must(first.subprocess.WriteMemory(place, bytes))
		ok(first.subprocess.Protect(holeAt, 2*page, protRX))
		var loops []*callLoop
		for i := 0; i < contexts; i++ {
			l := &callLoop{guest: first.with(createContext(first.platform)), callPattern: p, at: place}
			loops = append(loops, l.start(uint64(i)*100))
		}
		meet(loops)
		equal(loops[0].isOriginal(), !first.canPatch())
		for _, l := range loops {
			l.context.Close()
		}
	}
	if first.canPatch() {
		equal(first.stats().PatchSites, rounds)
	}
	first.close()
}

const freshCalls = 25

func threadsAtFreshSite(b trapgate.Backend) {
	freshSites(b, func(loops []*callLoop) {
		inThreads(len(loops), func(i int) { loops[i].round(freshCalls) })
	})
}

func queueAtFreshSite(b trapgate.Backend) {
	freshSites(b, func(loops []*callLoop) {
		q := must(loops[0].platform.NewQueue())
		submit := func(l *callLoop) {
			l.expect()
			ok(q.Submit(l.context, l.subprocess))
		}
		for i, l := range loops {
			ok(l.context.SetUserData(uint64(i)))
			submit(l)
		}
		for left := len(loops); left > 0; {
			event := waitOne(q)
			l := loops[event.UserData]
			l.event = event
			l.answer()
			if l.calls == freshCalls {
				left--
			} else {
				submit(l)
			}
		}
		q.Close()
	})
}
