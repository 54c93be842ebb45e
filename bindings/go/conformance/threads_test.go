// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"syscall"

	"trapgate.dev/go/trapgate"
)

func init() {
	areas = append(areas, []testCase{
		{"thread.context_migrates", contextChangesThreads},
		{"thread.hand_back", endedThreadsHandBack},
		{"thread.busy", secondSwitchIsBusy},
		{"thread.many_one_subprocess", manyThreadsOneSubprocess},
		{"thread.platforms", platformsInThreads},
		{"thread.creator_ends", creatorEnds},
		{"thread.create_destroy", createFromManyThreads},
		{"thread.spinner", spinnerBlocksNobody},
		{"thread.shared_memory", guestsTalkThroughMemory},
	})
}

func contextChangesThreads(b trapgate.Backend) {
	g := open(b, "counting_calls")
	for i := uint64(1); i <= 60; i++ {
		if i%3 == 0 {
			g.call()
		} else {
			inThread(g.call)
		}
		equal(g.event.Syscall.Args[0], i)
	}
	g.close()
}

// The stub threads of ended embedder threads are used again: their number does not follow ours.
func endedThreadsHandBack(b trapgate.Backend) {
	g := open(b, "counting_calls")
	afterTen := 0
	for i := uint64(1); i <= 200; i++ {
		inThread(g.call)
		equal(g.event.Syscall.Args[0], i)
		if i == 10 {
			afterTen = threadCount(g.subprocess.PID())
		}
	}
	// A goroutine is over before its thread is: some may be on their way.
	check(threadCount(g.subprocess.PID()) <= afterTen+8, "stub threads are used again")
	check(g.stats().StubThreads <= uint64(afterTen+12), "stub threads are used again")
	g.close()
}

func secondSwitchIsBusy(b trapgate.Backend) {
	g := open(b, "spin_counting")
	setArg(g.context, 0, dataAt)
	join := start(g.run)
	waitChange(g.subprocess, dataAt, 0)
	_, err := g.context.Switch(background, g.subprocess)
	refused(err, syscall.EBUSY)
	_, err = g.context.Registers()
	refused(err, syscall.EBUSY)
	refused(g.context.SetRegisters(&trapgate.Registers{}), syscall.EBUSY)
	refused(g.context.Start(codeAt, stackTop), syscall.EBUSY)
	refused(g.context.SetReturn(0), syscall.EBUSY)
	refused(g.context.RestartSyscall(), syscall.EBUSY)
	ok(g.context.Interrupt())
	join()
	wantKind(&g.event, trapgate.KindInterrupted)
	g.close()
}

func runOwnContext(p *trapgate.Platform, s *trapgate.Subprocess, rounds uint64) {
	c := createStarted(p)
	for i := uint64(1); i <= rounds; i++ {
		event := run(c, s)
		wantCall(&event, guestCall)
		equal(event.Syscall.Args[0], i)
	}
	c.Close()
}

// inThreads runs the function in as many threads, and waits for all.
func inThreads(count int, run func(index int)) {
	var joins []func()
	for i := 0; i < count; i++ {
		index := i
		joins = append(joins, start(func() { run(index) }))
	}
	for _, join := range joins {
		join()
	}
}

func manyThreadsOneSubprocess(b trapgate.Backend) {
	g := open(b, "counting_calls")
	inThreads(16, func(int) { runOwnContext(g.platform, g.subprocess, 100) })
	equal(g.stats().Contexts, 1)
	g.close()
}

func platformsInThreads(b trapgate.Backend) {
	inThreads(4, func(int) {
		g := open(b, "counting_calls")
		g.call()
		g.close()
	})
}

// The thread that opened, created and switched is gone; everything works from others.
func creatorEnds(b trapgate.Backend) {
	var g *guest
	inThread(func() {
		g = open(b, "counting_calls")
		g.call()
	})
	g.call()
	equal(g.event.Syscall.Args[0], 2)
	mapPages(g.subprocess, holeAt, g.page, protRW)
	storeWord(g.subprocess, holeAt, 1)
	inThread(g.call)
	equal(g.event.Syscall.Args[0], 3)
	inThread(g.close)
}

func createFromManyThreads(b trapgate.Backend) {
	platform := openPlatform(b, 0)
	inThreads(4, func(int) {
		for i := 0; i < 20; i++ {
			s := createLoaded(platform, code("counting_calls"))
			runOwnContext(platform, s, 2)
			s.Close()
		}
	})
	stats := must(platform.Stats())
	equal(stats.Subprocesses, 0)
	equal(stats.Contexts, 0)
	platform.Close()
}

// A guest that never calls does not keep the others of its subprocess, or of the platform, from running.
func spinnerBlocksNobody(b trapgate.Backend) {
	g := open(b, "counting_calls")
	load(g.subprocess, otherCode, code("spin_counting"))
	var spinners [4]*guest
	var joins [4]func()
	for i := range spinners {
		spinners[i] = g.with(createAt(g.platform, otherCode))
		setArg(spinners[i].context, 0, dataAt+8*uint64(i))
		joins[i] = start(spinners[i].run)
	}
	for i := range spinners {
		waitChange(g.subprocess, dataAt+8*uint64(i), 0)
	}
	for i := uint64(1); i <= 100; i++ {
		g.call()
		equal(g.event.Syscall.Args[0], i)
	}
	for i, spinner := range spinners {
		ok(spinner.context.Interrupt())
		joins[i]()
		wantKind(&spinner.event, trapgate.KindInterrupted)
		spinner.context.Close()
	}
	g.close()
}

// Two guests that wait for each other's word can only end when both run at the same time or in turns.
func guestsTalkThroughMemory(b trapgate.Backend) {
	waiting := open(b, "wait_for_word")
	load(waiting.subprocess, otherCode, code("write_calls"))
	setArg(waiting.context, 0, dataAt)
	join := start(waiting.run)
	writing := waiting.with(createAt(waiting.platform, otherCode))
	change(writing.context, func(r *trapgate.Registers) {
		r.SetArg(0, dataAt)
		r.SetArg(1, 1)
	})
	writing.call()
	join()
	wantCall(&waiting.event, guestCall)
	writing.context.Close()
	waiting.close()
}
