// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"syscall"
	"time"

	"trapgate.dev/go/trapgate"
)

func init() {
	areas = append(areas, []testCase{
		{"switch.starts_where_told", startsWhereTold},
		{"switch.empty_space", emptySpaceFaultsAtFirstFetch},
		{"switch.registers_call", registersSurviveCalls},
		{"switch.registers_fault", registersSurviveFaults},
		{"switch.embedder_moves_guest", embedderMovesTheGuest},
		{"switch.partial_restore", movesAfterAFault},
		{"switch.many_contexts", oneSubprocessManyContexts},
		{"switch.many_subprocesses", oneContextManySubprocesses},
		{"switch.thousands_of_contexts", thousandsOfContexts},
		{"switch.copy", copyTakesTheRegisters},
		{"switch.start_again", startAgainForgets},
		{"switch.several_platforms", severalPlatforms},
		{"switch.statistics", statisticsCount},
		{"switch.statistics_calls", callsByWay},
		{"switch.spin_ns", anyTimeToSpin},
		{"switch.latency", latencyIsMeasured},
		{"switch.latency_handoffs", handoffsAreMeasured},
	})
}

func startsWhereTold(b trapgate.Backend) {
	g := open(b, "call_loop")
	equal(ip(g.context), codeAt)
	equal(sp(g.context), stackTop)
	g.call()
	equal(sp(g.context), stackTop)
	g.close()
}

func emptySpaceFaultsAtFirstFetch(b trapgate.Backend) {
	platform := openPlatform(b, 0)
	c := createStarted(platform)
	event := run(c, createSubprocess(platform))
	wantFault(&event, codeAt, trapgate.AccessExec, syscall.SIGSEGV, segvMapErr)
	equal(event.Fault.IP, codeAt)
	equal(ip(c), codeAt)
	platform.Close()
}

func wantInverted(c *trapgate.Context, before *trapgate.Registers, afterCall bool) {
	now := regs(c)
	old := words(before, afterCall)
	for i, word := range words(&now, afterCall) {
		at("register word %d", i)
		equal(*word, ^*old[i])
	}
}

func registersSurviveCalls(b trapgate.Backend) {
	g := open(b, "invert_then_call")
	for seed := uint64(0); seed < 100; seed++ {
		change(g.context, func(r *trapgate.Registers) { fillRegisters(r, seed) })
		before := regs(g.context)
		g.run()
		wantKind(&g.event, trapgate.KindSyscall)
		wantInverted(g.context, &before, true)
	}
	g.close()
}

func registersSurviveFaults(b trapgate.Backend) {
	g := open(b, "invert_then_fault")
	for seed := uint64(0); seed < 100; seed++ {
		g.restart()
		change(g.context, func(r *trapgate.Registers) { fillRegisters(r, seed) })
		before := regs(g.context)
		g.run()
		wantFault(&g.event, 0, trapgate.AccessWrite, syscall.SIGSEGV, segvMapErr)
		equal(g.event.Fault.IP, label("invert_then_fault", "invert_then_fault_at"))
		equal(ip(g.context), g.event.Fault.IP)
		wantInverted(g.context, &before, false)
	}
	g.close()
}

func embedderMovesTheGuest(b trapgate.Backend) {
	g := open(b, "counting_calls")
	for i := 0; i < 3; i++ {
		g.call()
		equal(g.event.Syscall.Args[0], 1)
		setIP(g.context, codeAt)
	}
	g.close()
}

func movesAfterAFault(b trapgate.Backend) {
	g := open(b, "read_calls")
	setArg(g.context, 0, holeAt)
	g.run()
	wantFault(&g.event, holeAt, trapgate.AccessRead, syscall.SIGSEGV, segvMapErr)
	storeWord(g.subprocess, dataAt, 77)
	setArg(g.context, 0, dataAt)
	g.call()
	equal(g.event.Syscall.Args[1], 77)
	g.close()
}

func oneSubprocessManyContexts(b trapgate.Backend) {
	g := open(b, "counting_calls")
	var contexts [100]*trapgate.Context
	for i := range contexts {
		contexts[i] = createStarted(g.platform)
	}
	for round := uint64(1); round <= 5; round++ {
		for _, c := range contexts {
			event := run(c, g.subprocess)
			wantCall(&event, guestCall)
			equal(event.Syscall.Args[0], round)
		}
	}
	for _, c := range contexts {
		ok(c.Close())
	}
	g.close()
}

func oneContextManySubprocesses(b trapgate.Backend) {
	platform := openPlatform(b, 0)
	var subprocesses [16]*trapgate.Subprocess
	for i := range subprocesses {
		subprocesses[i] = createLoaded(platform, code("read_calls"))
		storeWord(subprocesses[i], dataAt, 1000+uint64(i))
	}
	c := createStarted(platform)
	setArg(c, 0, dataAt)
	for step := 0; step < 5*len(subprocesses); step++ {
		event := run(c, subprocesses[step%len(subprocesses)])
		wantCall(&event, guestCall)
		equal(event.Syscall.Args[1], 1000+uint64(step%len(subprocesses)))
	}
	platform.Close()
}

func thousandsOfContexts(b trapgate.Backend) {
	g := open(b, "counting_calls")
	contexts := make([]*trapgate.Context, 4200)
	for i := range contexts {
		contexts[i] = createStarted(g.platform)
		ok(contexts[i].SetUserData(uint64(i)))
	}
	equal(g.stats().Contexts, uint64(len(contexts)+1))
	for i, c := range contexts {
		event := run(c, g.subprocess)
		wantCall(&event, guestCall)
		equal(event.UserData, uint64(i))
	}
	for _, c := range contexts {
		c.Close()
	}
	equal(g.stats().Contexts, 1)
	g.close()
}

func copyTakesTheRegisters(b trapgate.Backend) {
	g := open(b, "counting_calls")
	g.call()
	g.call()
	other := createContext(g.platform)
	ok(other.CopyFrom(g.context))
	ok(other.SetReturn(0))
	event := run(other, g.subprocess)
	wantCall(&event, guestCall)
	equal(event.Syscall.Args[0], 3)
	g.call()
	equal(g.event.Syscall.Args[0], 3)
	other.Close()
	g.close()
}

func startAgainForgets(b trapgate.Backend) {
	g := open(b, "call_loop")
	change(g.context, func(r *trapgate.Registers) { fillRegisters(r, 3) })
	ok(g.context.SetTLS(dataAt))
	g.restart()
	now := regs(g.context)
	for _, word := range words(&now, false) {
		check(*word == 0 || *word == stackTop, "a register of a started context is 0 or the stack pointer")
	}
	equal(ip(g.context), codeAt)
	equal(must(g.context.TLS()), 0)
	g.call()
	g.close()
}

func severalPlatforms(b trapgate.Backend) {
	first, second := open(b, "counting_calls"), open(b, "counting_calls")
	first.call()
	second.call()
	first.call()
	_, err := first.context.Switch(background, second.subprocess)
	refused(err, syscall.EINVAL)
	first.close()
	second.call()
	equal(second.event.Syscall.Args[0], 2)
	second.close()
}

func statisticsCount(b trapgate.Backend) {
	g := open(b, "read_calls")
	setArg(g.context, 0, dataAt)
	before := g.stats()
	g.call()
	setArg(g.context, 0, holeAt)
	g.run()
	wantKind(&g.event, trapgate.KindFault)
	ok(g.context.Interrupt())
	g.run()
	wantKind(&g.event, trapgate.KindInterrupted)
	after := g.stats()
	equal(after.Subprocesses, 1)
	equal(after.Contexts, 1)
	equal(after.Syscalls-before.Syscalls, 1)
	equal(after.Faults-before.Faults, 1)
	equal(after.Interrupts-before.Interrupts, 1)
	check(after.Switches-before.Switches >= 2, "switches are counted")
	g.close()
}

// patchedOfCalls says how many of a hundred calls were patched, and whether any could be.
func patchedOfCalls(b trapgate.Backend, flags trapgate.OpenFlags) (uint64, bool) {
	const calls = 100
	g := openFlags(b, flags, "counting_calls")
	for i := 0; i < calls; i++ {
		g.call()
	}
	stats := g.stats()
	equal(stats.Syscalls, calls)
	equal(stats.PatchedCalls+stats.UnpatchedCalls, calls)
	equal(stats.PatchSites, stats.PatchSitesBefore+stats.PatchSitesAfter)
	equal(stats.PatchSites > 0, stats.PatchedCalls > 0)
	could := g.info().Capabilities&trapgate.CapPatching != 0
	g.close()
	return stats.PatchedCalls, could
}

func callsByWay(b trapgate.Backend) {
	patched, could := patchedOfCalls(b, 0)
	if !could {
		equal(patched, 0)
	}
	patched, could = patchedOfCalls(b, trapgate.OpenNoPatching)
	equal(patched, 0)
	check(!could, "without patching there is no such capability")
}

func anyTimeToSpin(b trapgate.Backend) {
	for _, spin := range []time.Duration{1, time.Millisecond, 1<<63 - 1} {
		g := openOptions(trapgate.Options{Backend: b, Spin: spin}, "counting_calls")
		for i := uint64(1); i <= 10; i++ {
			g.call()
			equal(g.event.Syscall.Args[0], i)
		}
		g.close()
	}
	_, err := trapgate.Open(trapgate.Options{Backend: b, Spin: -1})
	refused(err, syscall.EINVAL)
}

func latencies(g *guest) uint64 {
	stats := g.stats()
	return sum(stats.SwitchLatency[:])
}

func latencyIsMeasured(b trapgate.Backend) {
	g := open(b, "counting_calls")
	g.call()
	equal(latencies(g), 0)
	g.close()

	g = openFlags(b, trapgate.OpenLatency, "counting_calls")
	equal(latencies(g), 0)
	for i := 0; i < 10; i++ {
		g.call()
	}
	equal(latencies(g), 10)
	queue := must(g.platform.NewQueue())
	ok(queue.Submit(g.context, g.subprocess))
	waitOne(queue)
	equal(latencies(g), 11)
	queue.Close()
	g.close()
}

const (
	measuredCalls = 50
	delay         = 40 * time.Millisecond
	delayBucket   = 24 // from 17 ms on
	delayTries    = 50
)

func sum(counts []uint64) (sum uint64) {
	for _, count := range counts {
		sum += count
	}
	return sum
}

func (g *guest) wantHandoffs(count uint64) {
	stats := g.stats()
	equal(sum(stats.ResumeLatency[:]), count)
	equal(sum(stats.EventLatency[:]), count)
}

func handoffsUnmeasured(b trapgate.Backend, flags trapgate.OpenFlags) {
	g := openFlags(b, flags, "counting_calls")
	for i := 0; i < measuredCalls; i++ {
		g.call()
	}
	g.wantHandoffs(0)
	g.close()
}

// lateResumeIsSeen stops the stub, so that it goes on late.
func (g *guest) lateResumeIsSeen(queue *trapgate.Queue) {
	pid := g.subprocess.PID()
	ok(syscall.Kill(pid, syscall.SIGSTOP))
	for processState(pid) != 'T' {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(delay) // its other threads stop a little later
	ok(queue.Submit(g.context, g.subprocess))
	time.Sleep(delay)
	ok(syscall.Kill(pid, syscall.SIGCONT))
	waitOne(queue)
	stats := g.stats()
	check(sum(stats.ResumeLatency[delayBucket:]) > 0, "the stub went on late")
}

// lateTakingIsSeen leaves an event waiting. More than one try: the guest may itself be kept from running.
func (g *guest) lateTakingIsSeen(queue *trapgate.Queue) {
	for i := 0; i < delayTries; i++ {
		ok(queue.Submit(g.context, g.subprocess))
		time.Sleep(delay)
		waitOne(queue)
		if stats := g.stats(); sum(stats.EventLatency[delayBucket:]) > 0 {
			return
		}
	}
	fail(0, "no event was taken late")
}

func handoffsAreMeasured(b trapgate.Backend) {
	handoffsUnmeasured(b, 0)
	g := openFlags(b, trapgate.OpenLatency, "counting_calls")
	defer g.close()
	if g.info().Capabilities&trapgate.CapTrapTSC != 0 {
		handoffsUnmeasured(b, trapgate.OpenLatency|trapgate.OpenTrapTSC)
	}
	if b != trapgate.BackendSystrap {
		handoffsUnmeasured(b, trapgate.OpenLatency)
		return
	}
	for i := 0; i < measuredCalls; i++ {
		g.call()
	}
	g.wantHandoffs(measuredCalls + g.stats().SpuriousStops)
	queue := must(g.platform.NewQueue())
	g.lateResumeIsSeen(queue)
	g.lateTakingIsSeen(queue)
	queue.Close()
}
