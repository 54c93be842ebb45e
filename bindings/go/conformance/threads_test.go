// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"syscall"

	"trapgate.dev/go/trapgate"
)

func init() {
	areas = append(areas, []testCase{
		{"thread.context_migrates", contextChangesThreads},
		{"thread.busy", secondSwitchIsBusy},
		{"thread.many_one_subprocess", manyThreadsOneSubprocess},
		{"thread.platforms", platformsInThreads},
		{"thread.create_destroy", createFromManyThreads},
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
