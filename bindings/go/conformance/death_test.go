// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"syscall"
	"time"

	"trapgate.dev/go/trapgate"
)

func init() {
	areas = append(areas, []testCase{
		{"death.running", whileRunning},
		{"death.destroyed", destroyWhileRunning},
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
