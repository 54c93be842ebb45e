// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"sync/atomic"
	"syscall"

	"trapgate.dev/go/trapgate"
)

// Patched system calls: what a guest and its registers must not notice.

func init() {
	areas = append(areas, []testCase{
		{"patch.patterns", forEachPatched(patternWorks)},
		{"patch.left_alone", othersAreLeftAlone},
		{"patch.counted", callsAreCounted},
		{"patch.not_wanted", notWanted},
		{"patch.flags", flagsSurvivePatching},
		{"patch.fp", fpSurvivesPatching},
		{"patch.guest_jumps_inside", forEachPatched(guestJumpsInside)},
		{"patch.embedder_moves_inside", forEachPatched(embedderMovesInside)},
		{"patch.restart", forEachPatched(patchedCallsRestart)},
		{"patch.wide_numbers", wideNumbers},
		{"patch.store_faults", displacedStoreFaults},
		{"patch.add_faults", displacedAddFaults},
		{"patch.load_faults", displacedLoadFaults},
		{"patch.steps", forEachPatched(stepsAreOriginal)},
		{"patch.guest_steps", guestStepsItself},
		{"patch.interrupts", interruptsLoseNoCall},
		{"patch.gs_unset", gsReadWithoutBase},
		{"patch.gs_embedder", gsBaseByEmbedder},
		{"patch.gs_guest", gsBaseByGuest},
		{"patch.gs_base_read", gsBaseIsRead},
		{"patch.gs_null", gsNullSelector},
	})
}

var lonePatterns = []callPattern{
	{name: "refused_relative", taken: leftAlone, reason: trapgate.PatchRefusedRelative},
	{name: "refused_rcx", taken: leftAlone, reason: trapgate.PatchRefusedRegister},
	{name: "refused_rsp", taken: leftAlone, reason: trapgate.PatchRefusedRegister},
	{name: "refused_gs", taken: leftAlone, reason: trapgate.PatchRefusedMemory, moved: true},
	{name: "refused_no_room", taken: leftAlone, reason: trapgate.PatchRefusedNoRoom},
	{name: "refused_unlisted", taken: leftAlone, reason: trapgate.PatchRefusedUnlisted},
	{name: "refused_decoy", taken: leftAlone, reason: trapgate.PatchRefusedDecoy, number: 0x113c9090},
	{name: "refused_undecodable", taken: leftAlone, reason: trapgate.PatchRefusedUndecodable, moved: true},
	{name: "two_shorts", taken: leftAlone, reason: trapgate.PatchRefusedSignalReturn, number: syscall.SYS_RT_SIGRETURN},
}

func patternWorks(l *callLoop) {
	l.warm()
	l.round(manyCalls)
	equal(l.wasPatched(), l.canPatch())
	if l.canPatch() && l.taken == before {
		l.wantSites(1, 0)
	} else if l.canPatch() {
		l.wantSites(0, 1)
	}
}

func othersAreLeftAlone(b trapgate.Backend) {
	for _, p := range lonePatterns {
		at("%s, reason %d", p.name, p.reason)
		l := openLoop(b, 0, p)
		l.warm()
		l.round(manyCalls)
		check(l.isOriginal(), "the code is original")
		l.wantRefused(p.reason)
		equal(l.stats().PatchedCalls, 0)
		l.close()
	}
}

func callsAreCounted(b trapgate.Backend) {
	flagged := uint64(0)
	g := openBetween(b, 0)
	for i := 0; i < manyCalls; i++ {
		g.call()
		if g.wasPatched() {
			flagged++
		}
	}
	stats := g.stats()
	equal(stats.PatchedCalls, flagged)
	equal(stats.PatchedCalls+stats.UnpatchedCalls, manyCalls)
	if g.canPatch() {
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
		equal(g.wasPatched(), g.canPatch())
		g.close()
	}
}

// startCounting gives vector register 15 a word of ones, which the guest adds, and says where x87's count goes.
func (g *guest) startCounting(data uint64) {
	state := g.newState()
	ok(g.context.FPState(state))
	binary.LittleEndian.PutUint64(state[xmmAt+15*16:], 1)
	state[headerAt] |= 3 // x87 and SSE are in use
	ok(g.context.SetFPState(state))
	change(g.context, func(r *trapgate.Registers) { r.RBX = data })
}

func (g *guest) wantCounted(data, calls uint64) {
	equal(g.event.Syscall.Args[0], calls)
	equal(g.event.Syscall.Args[1], calls)
	equal(loadWord(g.subprocess, data), calls)
}

// Two contexts on one stub take turns at the same site; now and then the embedder reads the state of one.
func fpSurvivesPatching(b trapgate.Backend) {
	g := open(b, "patch_fp")
	other := g.with(createStarted(g.platform))
	g.startCounting(dataAt)
	other.startCounting(dataAt + 8)
	for i := uint64(1); i <= manyCalls; i++ {
		g.call()
		g.wantCounted(dataAt, i)
		if i%16 == 0 {
			ok(g.context.FPState(g.newState()))
		}
		if i%3 == 0 {
			other.call()
			other.wantCounted(dataAt+8, i/3)
		}
	}
	equal(g.wasPatched(), g.canPatch())
	other.context.Close()
	g.close()
}

func guestJumpsInside(l *callLoop) {
	l.warm()
	for round := uint64(0); round < 10; round++ {
		l.jumpToCall(1000 + round)
		l.jumpBehind(0, 1)
		l.round(1)
		l.jumpToCall(guestCall)
		l.jumpToCall(0x12345678 + round)
		l.jumpBehind(0, 1)
		l.jumpBehind(0, 1)
		if l.inner != 0 {
			l.jumpBehind(l.inner, l.innerBy)
		}
	}
	l.round(warmCalls)
}

// As a signal handler's return, or a debugger, would: to the start, to the call, and behind it.
func embedderMovesInside(l *callLoop) {
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
		setIP(l.context, l.place("behind")+l.inner)
		if l.inner != 0 {
			l.r15 += l.innerBy - 1
		}
		l.round(1)
	}
}

func patchedCallsRestart(l *callLoop) {
	l.warm()
	for i := 0; i < 20; i++ {
		l.round(1)
		args := l.event.Syscall.Args
		ok(l.context.RestartSyscall())
		l.run()
		l.wantAt(guestCall)
		equal(l.event.Syscall.Args, args)
	}
}

// The kernel looks at the low half of the register alone, patched or not.
func wideNumbers(b trapgate.Backend) {
	const wide = 0x1234567800000000 + guestCall
	l := openLoop(b, 0, findPattern("libc_wrapper"))
	change(l.context, func(r *trapgate.Registers) { r.RBX = wide })
	for i := 0; i < warmCalls; i++ {
		l.call()
		equal(regs(l.context).RAX, wide)
	}
	l.close()
}

// Instructions that were moved away from behind a call, and fault.

const dataWord = dataAt + 0x800

// openAtWord opens a guest one of whose instructions behind the call accesses dataWord.
func openAtWord(b trapgate.Backend, name string, rsp, rbp uint64) *guest {
	g := open(b, name)
	change(g.context, func(r *trapgate.Registers) { r.RBX, r.RSP, r.RBP = guestCall, rsp, rbp })
	return g
}

func (g *guest) callWithResult(result uint64) {
	g.call()
	ok(g.context.SetReturn(int64(result)))
}

// faultAtWord takes the data page away. The fault comes with the original place and the registers of behind the call, and
// as often as it runs again. Then the page comes back with a word in it.
func (g *guest) faultAtWord(behind uint64, access trapgate.Access, unmap bool, word uint64) {
	before, code := regs(g.context), int32(segvAccErr)
	if unmap {
		code = segvMapErr
		ok(g.subprocess.Unmap(dataAt, g.page))
	} else {
		g.protectPage(dataAt, trapgate.ProtNone)
	}
	for i := 0; i < 3; i++ {
		g.run()
		wantFault(&g.event, dataWord, access, syscall.SIGSEGV, code)
		now := regs(g.context)
		equal(g.event.Fault.IP, behind)
		equal(now.RIP, behind)
		equal(now.GSBase, 0)
		equal([4]uint64{now.RAX, now.RDX, now.RSP, now.R15}, [4]uint64{before.RAX, before.RDX, before.RSP, before.R15})
	}
	if unmap {
		mapPages(g.subprocess, dataAt, g.page, protRW)
	} else {
		g.protectPage(dataAt, protRW)
	}
	storeWord(g.subprocess, dataWord, word)
}

func (g *guest) wantOperandPatched() {
	equal(g.wasPatched(), g.canPatch())
	if g.canPatch() {
		g.wantSites(0, 1)
	}
}

func displacedStoreFaults(b trapgate.Backend) {
	g := openAtWord(b, "patch_store", dataWord-0x28, 0)
	for i := uint64(1); i < 40; i++ {
		if i > warmCalls {
			g.faultAtWord(label("patch_store", "patch_store_behind"), trapgate.AccessWrite, i%2 == 1, 0)
		}
		g.callWithResult(i)
		equal(loadWord(g.subprocess, dataWord), i-1)
		equal(regs(g.context).R15, i)
		if i == warmCalls {
			g.wantOperandPatched()
		}
	}
	g.close()
}

// The instruction in front of it was carried out, once, and the sum shows that nothing was added twice.
func displacedAddFaults(b trapgate.Backend) {
	requireUpdatesThatWrite(b)
	g := openAtWord(b, "patch_add", stackTop, dataWord)
	sum := uint64(0)
	for i := uint64(1); i < 40; i++ {
		if i > warmCalls {
			g.faultAtWord(label("patch_add", "patch_add_behind"), trapgate.AccessWrite, i%2 == 1, sum-i+1)
			equal(regs(g.context).R14, i-1)
		}
		g.callWithResult(i)
		equal(loadWord(g.subprocess, dataWord), sum)
		equal(regs(g.context).R14, i-1)
		equal(regs(g.context).R15, i)
		if i == warmCalls {
			g.wantOperandPatched()
		}
		sum += i
	}
	g.close()
}

func displacedLoadFaults(b trapgate.Backend) {
	g := openAtWord(b, "patch_load", stackTop, dataWord-0x100)
	for i := uint64(1); i < 40; i++ {
		if i > warmCalls {
			g.faultAtWord(label("patch_load", "patch_load_behind"), trapgate.AccessRead, i%2 == 1, 1000+i)
		}
		g.callWithResult(i)
		equal(regs(g.context).R15, i)
		if i > warmCalls {
			equal(g.event.Syscall.Args[2], 1000+i)
		}
		if i == warmCalls {
			g.wantOperandPatched()
		}
	}
	g.close()
}

// What a guest shows after one step.
type stepSeen struct {
	kind    trapgate.Kind
	ip, r15 uint64
}

const stepsSeen = 120

// wantStep wants the call or a step, and says where it is.
func (g *guest) wantStep() (ip uint64) {
	if g.event.Kind == trapgate.KindSyscall {
		wantCallAt(1, &g.event, guestCall)
		return g.event.Syscall.IP
	}
	wantException(&g.event, syscall.SIGTRAP, trapTrace)
	return g.event.Exception.IP
}

func (l *callLoop) recordSteps() (seen []stepSeen) {
	for len(seen) < stepsSeen {
		l.step()
		l.wantStep()
		now := regs(l.context)
		seen = append(seen, stepSeen{l.event.Kind, now.RIP, now.R15})
	}
	setStep(l.context, false)
	l.call()
	equal(l.event.Syscall.IP, l.place("behind"))
	return seen
}

func compareSteps(seen, expected []stepSeen) {
	calls := 0
	equal(len(seen), len(expected))
	for i := range seen {
		equal(seen[i], expected[i])
		if seen[i].kind == trapgate.KindSyscall {
			calls++
		}
	}
	check(calls >= 3, "there are calls among the steps")
}

// Stepped, a loop that was patched shows the same instructions as one that never was.
func stepsAreOriginal(l *callLoop) {
	l.requireSteps()
	twin := openLoop(l.info().Backend, trapgate.OpenNoPatching, l.callPattern)
	l.warm()
	twin.warm()
	compareSteps(l.recordSteps(), twin.recordSteps())
	check(l.isOriginal(), "the code is original")
	twin.close()
}

// openBetween opens a guest that calls for ever, and between two calls goes once to the place in r13.
func openBetween(b trapgate.Backend, flags trapgate.OpenFlags) *guest {
	g := openFlags(b, flags, "patch_between")
	change(g.context, func(r *trapgate.Registers) { r.R13 = codeAt })
	return g
}

func between(place string) uint64 { return label("patch_between", "patch_between_"+place) }

func (g *guest) betweenCalls(calls int) {
	for ; calls > 0; calls-- {
		r15 := regs(g.context).R15
		g.call()
		equal(g.event.Syscall.IP, between("behind"))
		equal(regs(g.context).R15, r15+1)
	}
}

func (g *guest) betweenWarm() {
	g.betweenCalls(warmCalls)
	equal(g.wasPatched(), g.canPatch())
}

func (g *guest) betweenGo(place string) {
	change(g.context, func(r *trapgate.Registers) { r.R13 = between(place) })
}

// The registers are left alone, so that nobody learns from them that the guest steps.
func (g *guest) recordOwnSteps() (seen []stepSeen) {
	g.betweenWarm()
	g.betweenGo("set_steps")
	for len(seen) < stepsSeen {
		g.run()
		seen = append(seen, stepSeen{kind: g.event.Kind, ip: g.wantStep()})
	}
	return seen
}

// A guest that sets the trap flag by itself.
func guestStepsItself(b trapgate.Backend) {
	g, twin := openBetween(b, 0), openBetween(b, trapgate.OpenNoPatching)
	compareSteps(g.recordOwnSteps(), twin.recordOwnSteps())
	twin.close()
	g.close()
}

// interruptAnywhere interrupts at moments that have nothing to do with what the guest is at.
func interruptAnywhere(c *trapgate.Context) (stop func()) {
	var told atomic.Bool
	join := start(func() {
		for random := uint64(1); !told.Load(); {
			ok(c.Interrupt())
			random = random*6364136223846793005 + 1442695040888963407
			for spin := random >> 48; spin > 0 && !told.Load(); spin-- {
			}
		}
	})
	return func() {
		told.Store(true)
		join()
	}
}

// wantInterrupted: it is in its own code, and nowhere that the registers would not fit to.
func (l *callLoop) wantInterrupted() {
	now := regs(l.context)
	wantKind(&l.event, trapgate.KindInterrupted)
	check(now.RIP >= l.at && now.RIP < l.at+uint64(len(l.original())), "the guest is in its own code")
	equal(now.RBX, l.nr())
	equal(now.GSBase, 0)
	equal(now.CS, userCode)
	ahead := l.r15 - now.R15
	check(ahead <= 1, "what is behind the call is done once, or still to come")
}

// Each call arrives once and in order, however often the loop is interrupted on its way through the site.
func interruptsLoseNoCall(b trapgate.Backend) {
	for _, name := range []string{"mov_eax", "movabs", "libc_wrapper", "nops_behind"} {
		at("%s", name)
		l := openLoop(b, 0, findPattern(name))
		l.warm()
		stop := interruptAnywhere(l.context)
		for interrupts := 0; interrupts < 100; l.answer() {
			l.expect()
			for l.run(); l.event.Kind == trapgate.KindInterrupted; l.run() {
				l.wantInterrupted()
				interrupts++
			}
		}
		stop()
		l.close()
	}
}

// The register that patched calls work with.

func (g *guest) wantGSFault() {
	g.run()
	wantFault(&g.event, 0, trapgate.AccessRead, syscall.SIGSEGV, segvMapErr)
	equal(g.event.Fault.IP, between("read_gs"))
	equal(regs(g.context).GSBase, 0)
}

// wantGivenUp: a guest that uses the register itself is not patched any more.
func (g *guest) wantGivenUp() {
	g.betweenCalls(warmCalls)
	check(!g.wasPatched(), "the call is not patched")
	original := code("patch_between")
	check(bytes.Equal(read(g.subprocess, codeAt, len(original)), original), "the code is original")
}

func gsReadWithoutBase(b trapgate.Backend) {
	g := openBetween(b, 0)
	g.betweenWarm()
	g.betweenGo("read_gs")
	g.wantGSFault()
	g.wantGSFault()
	equal(g.stats().Faults, 2)
	setIP(g.context, codeAt)
	g.wantGivenUp()
	g.close()
}

// gsIsRead wants the guest to read its word through the base, again and again.
func (g *guest) gsIsRead() {
	for i := 0; i < warmCalls; i++ {
		g.betweenGo("read_gs")
		g.betweenCalls(1)
		equal(g.event.Syscall.Args[0], 4711)
		equal(regs(g.context).GSBase, dataAt)
	}
	g.wantGivenUp()
}

func gsBaseByEmbedder(b trapgate.Backend) {
	g := openBetween(b, 0)
	storeWord(g.subprocess, dataAt, 4711)
	g.betweenWarm()
	change(g.context, func(r *trapgate.Registers) { r.GSBase = dataAt })
	g.gsIsRead()
	g.close()
}

func gsBaseByGuest(b trapgate.Backend) {
	requireBaseInstructions()
	g := openBetween(b, 0)
	storeWord(g.subprocess, dataAt, 4711)
	change(g.context, func(r *trapgate.Registers) { r.RBX = dataAt })
	g.betweenWarm()
	g.betweenGo("set_base")
	g.betweenCalls(1)
	equal(regs(g.context).GSBase, dataAt)
	g.gsIsRead()
	g.close()
}

// Without a base of its own it is 0, also for the instruction that reads it: where nothing is hidden in it.
func gsBaseIsRead(b trapgate.Backend) {
	requireBaseInstructions()
	g := openBetween(b, trapgate.OpenNoPatching)
	change(g.context, func(r *trapgate.Registers) { r.RDI = 1 })
	g.betweenWarm()
	g.betweenGo("get_base")
	g.betweenCalls(1)
	equal(g.event.Syscall.Args[0], 0)
	g.close()
}

func gsNullSelector(b trapgate.Backend) {
	g := openBetween(b, 0)
	g.betweenWarm()
	for i := 0; i < warmCalls; i++ {
		g.betweenGo("load_null")
		g.betweenCalls(4)
		equal(regs(g.context).GSBase, 0)
	}
	equal(g.stats().Faults, 0)
	g.close()
}
