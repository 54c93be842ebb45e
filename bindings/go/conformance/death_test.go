// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"errors"
	"math/rand"
	"sync/atomic"
	"syscall"
	"time"

	"trapgate.dev/go/trapgate"
)

func init() {
	areas = append(areas, []testCase{
		{"death.running", whileRunning},
		{"death.idle", whileIdle},
		{"death.unused", beforeFirstUse},
		{"death.memory_operations", seenByMemoryOperations},
		{"death.copies", seenByCopies},
		{"death.during_apply", duringApply},
		{"death.during_calls", duringCalls},
		{"death.during_fork", duringFork},
		{"death.all_contexts", allContextsHear},
		{"death.destroyed", destroyWhileRunning},
		{"death.reaped", destroyReaps},
		{"death.destroy_dead", destroyOfADeadOne},
		{"death.stray_signals", straySignals},
		{"death.stray_signals_running", straySignalsWhileRunning},
	})
}

const killed = int32(syscall.SIGKILL)

func wantGone(s *trapgate.Subprocess) {
	equal(s.PID(), 0)
	refused(s.Map(holeAt, 4096, protRW, 0), syscall.ESRCH)
	refused(s.Unmap(holeAt, 4096), syscall.ESRCH)
	refused(s.Protect(dataAt, 4096, protRW), syscall.ESRCH)
	done, err := s.Apply([]trapgate.MemOp{trapgate.UnmapOp(holeAt, 1)})
	partial(done, err, 0, syscall.ESRCH)
	done, err = s.ReadMemory(dataAt, make([]byte, 1))
	partial(done, err, 0, syscall.ESRCH)
	done, err = s.WriteMemory(dataAt, make([]byte, 1))
	partial(done, err, 0, syscall.ESRCH)
	_, err = s.Fork()
	refused(err, syscall.ESRCH)
}

// wantContextAlive: the context of a dead subprocess runs elsewhere.
func wantContextAlive(g *guest) {
	other := createLoaded(g.platform, code("counting_calls"))
	g.restart()
	event := run(g.context, other)
	wantCall(&event, guestCall)
	equal(event.Syscall.Args[0], 1)
	other.Close()
}

// spinning is a guest that counts in a thread of its own.
func spinning(b trapgate.Backend) (g *guest, join func()) {
	g = open(b, "spin_counting")
	setArg(g.context, 0, dataAt)
	join = start(g.run)
	waitChange(g.subprocess, dataAt, 0)
	return g, join
}

func whileRunning(b trapgate.Backend) {
	g, join := spinning(b)
	pid := g.subprocess.PID()
	kill(g.subprocess)
	join()
	wantDead(&g.event, trapgate.DeadKilled, killed)
	wantGone(g.subprocess)
	waitGone(pid)
	equal(g.stats().Deaths, 1)
	g.run()
	wantDead(&g.event, trapgate.DeadKilled, killed)
	wantContextAlive(g)
	g.close()
}

func whileIdle(b trapgate.Backend) {
	g := open(b, "counting_calls")
	g.call()
	kill(g.subprocess)
	g.run()
	wantDead(&g.event, trapgate.DeadKilled, killed)
	wantGone(g.subprocess)
	wantContextAlive(g)
	g.close()
}

func beforeFirstUse(b trapgate.Backend) {
	g := open(b, "counting_calls")
	kill(g.subprocess)
	g.run()
	wantDead(&g.event, trapgate.DeadKilled, killed)
	wantGone(g.subprocess)
	g.close()
}

// Nobody switches: the memory operations themselves find out.
func seenByMemoryOperations(b trapgate.Backend) {
	g := open(b, "counting_calls")
	pid := g.subprocess.PID()
	kill(g.subprocess)
	waitGone(pid)
	refused(g.subprocess.Map(holeAt, g.page, protRW, 0), syscall.ESRCH)
	wantGone(g.subprocess)
	g.run()
	wantDead(&g.event, trapgate.DeadKilled, killed)
	g.close()
}

func seenByCopies(b trapgate.Backend) {
	g := open(b, "counting_calls")
	g.call()
	pid := g.subprocess.PID()
	kill(g.subprocess)
	waitGone(pid)
	_, err := g.subprocess.ReadMemory(dataAt, make([]byte, 8))
	refused(err, syscall.ESRCH)
	_, err = g.subprocess.WriteMemory(dataAt, make([]byte, 8))
	refused(err, syscall.ESRCH)
	g.close()
}

func duringApply(b trapgate.Backend) {
	for round := uint64(0); round < 10; round++ {
		g := open(b, "counting_calls")
		var rounds atomic.Uint64
		var err error
		join := start(func() {
			for err == nil {
				err = g.subprocess.Map(holeAt, 4096, protRW, 0)
				rounds.Add(1)
			}
		})
		for rounds.Load() < 3+round {
			sleepMicroseconds(10)
		}
		kill(g.subprocess)
		join()
		refused(err, syscall.ESRCH)
		wantGone(g.subprocess)
		wantContextAlive(g)
		g.close()
	}
}

// The kill meets calls, stops and resumes; the other subprocess goes on all the while.
func duringCalls(b trapgate.Backend) {
	random := rand.New(rand.NewSource(7))
	g := open(b, "counting_calls")
	for round := uint64(0); round < 50; round++ {
		victim := createLoaded(g.platform, code("call_loop"))
		var rounds atomic.Uint64
		var event trapgate.Event
		join := start(func() {
			c := createStarted(g.platform)
			for event.Kind = trapgate.KindSyscall; event.Kind == trapgate.KindSyscall; rounds.Add(1) {
				event = run(c, victim)
			}
			c.Close()
		})
		for rounds.Load() < 2 {
			sleepMicroseconds(10)
		}
		sleepMicroseconds(random.Intn(300))
		kill(victim)
		join()
		wantDead(&event, trapgate.DeadKilled, killed)
		victim.Close()
		g.call()
		equal(g.event.Syscall.Args[0], round+1)
	}
	g.close()
}

func duringFork(b trapgate.Backend) {
	random := rand.New(rand.NewSource(11))
	g := open(b, "counting_calls")
	for round := 0; round < 20; round++ {
		victim := createLoaded(g.platform, code("call_loop"))
		var rounds atomic.Uint64
		var err error
		join := start(func() {
			for err == nil {
				var copied *trapgate.Subprocess
				copied, err = victim.Fork()
				copied.Close()
				rounds.Add(1)
			}
		})
		for rounds.Load() < 1 {
			sleepMicroseconds(10)
		}
		sleepMicroseconds(random.Intn(500))
		kill(victim)
		join()
		check(errors.Is(err, syscall.ESRCH), "the fork of a dead one is refused")
		victim.Close()
		g.call()
	}
	equal(g.stats().Subprocesses, 1)
	g.close()
}

// Everybody who runs there hears of it.
func allContextsHear(b trapgate.Backend) {
	g := open(b, "spin_counting")
	var each [6]*guest
	var joins [6]func()
	for i := range each {
		each[i] = g.with(createStarted(g.platform))
		setArg(each[i].context, 0, dataAt+8*uint64(i))
		joins[i] = start(each[i].run)
	}
	for i := range each {
		waitChange(g.subprocess, dataAt+8*uint64(i), 0)
	}
	kill(g.subprocess)
	for i := range each {
		joins[i]()
		wantDead(&each[i].event, trapgate.DeadKilled, killed)
		each[i].context.Close()
	}
	equal(g.stats().Deaths, 1)
	g.close()
}

// By a switch and through a queue: the package calls the one back, the library ends the other.
func destroyWhileRunning(b trapgate.Backend) {
	g, join := spinning(b)
	pid := g.subprocess.PID()
	g.subprocess.Close()
	check(!processAlive(pid), "the stub is gone")
	join()
	wantDead(&g.event, trapgate.DeadDestroyed, 0)
	equal(g.stats().Deaths, 0)
	wantContextAlive(g)
	g.close()

	g, q := openQueue(b, "spin")
	ok(q.Submit(g.context, g.subprocess))
	wantNoEvent(q, time.Millisecond)
	g.subprocess.Close()
	event := waitOne(q)
	wantKind(&event, trapgate.KindDead)
	equal(event.Dead.Reason, trapgate.DeadDestroyed)
	wantContextAlive(g)
	q.Close()
	g.close()
}

// Close reaps: when it returns there is not even a zombie.
func destroyReaps(b trapgate.Backend) {
	for used := 0; used < 2; used++ {
		g := open(b, "call_loop")
		if used == 1 {
			g.call()
		}
		pid := g.subprocess.PID()
		g.subprocess.Close()
		equal(processState(pid), 0)
		g.close()
	}
}

func destroyOfADeadOne(b trapgate.Backend) {
	g := open(b, "call_loop")
	g.call()
	pid := g.subprocess.PID()
	kill(g.subprocess)
	g.subprocess.Close()
	equal(processState(pid), 0)
	wantContextAlive(g)
	g.close()
}

// Signals that other programs send by mistake: the default action of most would end a process.
func straySignals(b trapgate.Backend) {
	g := open(b, "counting_calls")
	calls := uint64(0)
	next := func() {
		calls++
		g.call()
		equal(g.event.Syscall.Args[0], calls)
	}
	for _, signal := range []syscall.Signal{syscall.SIGUSR1, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT,
		syscall.SIGCHLD, syscall.SIGALRM, syscall.SIGCONT, syscall.SIGSEGV, syscall.SIGTRAP, syscall.SIGFPE,
		syscall.SIGILL, syscall.SIGBUS, syscall.SIGSYS, syscall.SIGABRT, syscall.SIGPIPE, syscall.SIGIO,
		syscall.SIGQUIT, syscall.SIGPROF, syscall.SIGXCPU} {
		at("signal %d", int(signal))
		ok(syscall.Kill(g.subprocess.PID(), signal))
		next()
		next()
		mapPages(g.subprocess, holeAt, g.page, protRW)
	}
	for signal := 34; signal <= 64; signal++ {
		at("signal %d", signal)
		ok(syscall.Kill(g.subprocess.PID(), syscall.Signal(signal)))
		next()
	}
	g.close()
}

func straySignalsWhileRunning(b trapgate.Backend) {
	g, join := spinning(b)
	for _, signal := range []syscall.Signal{syscall.SIGUSR1, syscall.SIGTERM, syscall.SIGCHLD, syscall.SIGSEGV,
		syscall.SIGTRAP, syscall.SIGHUP, syscall.SIGCONT} {
		ok(syscall.Kill(g.subprocess.PID(), signal))
		waitChange(g.subprocess, dataAt, loadWord(g.subprocess, dataAt))
	}
	ok(g.context.Interrupt())
	join()
	wantKind(&g.event, trapgate.KindInterrupted)
	g.close()
}
