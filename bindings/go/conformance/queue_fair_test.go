// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"runtime"

	"trapgate.dev/go/trapgate"
)

func init() {
	areas = append(areas, []testCase{
		{"queue.fair_one", oneBesideMany},
		{"queue.fair_many", manyAlike},
		{"queue.fair_interrupted", besideInterrupted},
		{"queue.fair_fd", fairWithDescriptor},
		{"queue.fair_backlog", backlogBesideBusy},
		{"queue.threads", noThreadInVain},
		{"queue.fd_beside_wake", descriptorBesideWake},
	})
}

const (
	fairRounds  = 40
	settleLooks = 100 // of a millisecond each, at most
)

// A crowd is the contexts of one subprocess that make calls for ever.
type crowd struct {
	subprocess  *trapgate.Subprocess
	callers     int
	interrupted bool // before each submit
	events      int
}

// A caller writes to its word and calls.
type caller struct {
	context *trapgate.Context
	crowd   *crowd
	word    uint64
}

// A market is a queue and the crowds that share it.
type market struct {
	platform *trapgate.Platform
	queue    *trapgate.Queue
	crowds   []*crowd
	callers  []*caller
}

func openMarket(b trapgate.Backend) *market {
	runtime.LockOSThread()
	p := openPlatform(b, 0)
	m := &market{platform: p, queue: must(p.NewQueue())}
	// From now on this thread starts what it submits, also where only one that has waited does.
	wantNoEvent(m.queue, 0)
	return m
}

func (m *market) close() {
	m.queue.Close()
	m.platform.Close()
	runtime.UnlockOSThread()
}

func (m *market) add(callers int) *crowd {
	c := &crowd{subprocess: createLoaded(m.platform, code("write_calls")), callers: callers}
	m.crowds = append(m.crowds, c)
	for i := 0; i < callers; i++ {
		one := &caller{createCounter(m.platform, len(m.callers)), c, dataAt + 8*uint64(i)}
		setArg(one.context, 0, one.word)
		setArg(one.context, 1, 1)
		m.callers = append(m.callers, one)
	}
	return c
}

func (m *market) submit(c *caller) {
	storeWord(c.crowd.subprocess, c.word, 0)
	if c.crowd.interrupted {
		ok(c.context.Interrupt())
	}
	ok(m.queue.Submit(c.context, c.crowd.subprocess))
}

func (m *market) submitAll() {
	for _, c := range m.callers {
		m.submit(c)
	}
}

func (m *market) allHaveCalled() bool {
	for _, c := range m.callers {
		if !c.crowd.interrupted && loadWord(c.crowd.subprocess, c.word) == 0 {
			return false
		}
	}
	return true
}

// settle has something else to do: whoever can leave an event has left one.
func (m *market) settle() {
	for i := 0; i < settleLooks; i++ {
		sleepMicroseconds(1000)
		if m.allHaveCalled() {
			return
		}
	}
}

func (m *market) serve(capacity int) {
	events := make([]trapgate.Event, capacity)
	for _, event := range events[:waitEvents(m.queue, events, forever)] {
		c := m.callers[event.UserData]
		check(event.Context == c.context, "the event names its context")
		if c.crowd.interrupted {
			wantKind(&event, trapgate.KindInterrupted)
		} else {
			wantCall(&event, guestCall)
		}
		c.crowd.events++
		m.submit(c)
	}
}

// serveFairly wants a quarter of what each crowd could have if all shared alike, and its callers were enough.
func (m *market) serveFairly(capacity int) {
	m.submitAll()
	for i := 0; i < fairRounds; i++ {
		m.settle()
		m.serve(capacity)
	}
	for i, c := range m.crowds {
		share := min(1000*capacity/len(m.crowds), 1000*c.callers)
		at("crowd %d of %d, capacity %d: %d events in %d rounds", i, len(m.crowds), capacity, c.events, fairRounds)
		check(4000*c.events >= fairRounds*share, "it has its share")
	}
}

func min(a, b int) int {
	if a < b {
		return a
	}
	return b
}

func oneBesideMany(b trapgate.Backend) {
	for _, shape := range []struct{ capacity, callers int }{{8, 16}, {16, 48}, {1, 4}, {2, 16}} {
		for _, sizes := range [][2]int{{1, shape.callers}, {shape.callers, 1}} {
			m := openMarket(b)
			m.add(sizes[0])
			m.add(sizes[1])
			m.serveFairly(shape.capacity)
			m.close()
		}
	}
}

func manyAlike(b trapgate.Backend) {
	for capacity := 1; capacity <= 3; capacity++ {
		m := openMarket(b)
		for i := 0; i < 5; i++ {
			m.add(4)
		}
		m.serveFairly(capacity)
		m.close()
	}
}

// Their events are there before they run.
func besideInterrupted(b trapgate.Backend) {
	for capacity := 1; capacity <= 8; capacity *= 2 {
		m := openMarket(b)
		m.add(1)
		m.add(16).interrupted = true
		m.serveFairly(capacity)
		m.close()
	}
}

func fairWithDescriptor(b trapgate.Backend) {
	for _, sizes := range [][2]int{{1, 24}, {24, 1}} {
		m := openMarket(b)
		must(m.queue.Descriptor())
		m.add(sizes[0])
		m.add(sizes[1])
		m.serveFairly(2)
		m.close()
	}
}

// As many computing contexts as processors keep all stub threads of the caller's subprocess, unless somebody sees to it.
func backlogBesideBusy(b trapgate.Backend) {
	m := openMarket(b)
	m.add(16)
	slow := m.add(1)
	load(slow.subprocess, otherCode, code("spin"))
	for i := 0; i < runtime.NumCPU(); i++ {
		ok(m.queue.Submit(createAt(m.platform, otherCode), slow.subprocess))
	}
	m.submitAll()
	// Without an end if the caller never gets a turn; then the case's time limit is one.
	for slow.events < 10 {
		sleepMicroseconds(5000)
		m.serve(2)
	}
	m.close()
}

func noThreadInVain(b trapgate.Backend) {
	const subprocesses = 48
	if b != trapgate.BackendSystrap {
		skip("on this backend the thread that waits makes one stub thread for each context that runs")
	}
	m := openMarket(b)
	before := must(m.platform.Stats()).StubThreads
	for i := 0; i < subprocesses; i++ {
		ok(m.queue.Submit(createStarted(m.platform), createLoaded(m.platform, code("call_loop"))))
		var events [1]trapgate.Event
		for waitEvents(m.queue, events[:], 0) == 0 {
		}
		wantCall(&events[0], guestCall)
	}
	threads := must(m.platform.Stats()).StubThreads - before
	at("%d threads in %d subprocesses", threads, subprocesses)
	check(threads >= 2*subprocesses && threads <= 2*subprocesses+subprocesses/4, "few threads are made in vain")
	m.close()
}

// Whichever comes first, the descriptor shows it.
func descriptorBesideWake(b trapgate.Backend) {
	g := open(b, "call_loop")
	for i := 0; i < 50; i++ {
		q := must(g.platform.NewQueue())
		both := make(chan struct{})
		join := start(func() {
			<-both
			ok(q.Wake())
		})
		close(both)
		fd := must(q.Descriptor())
		join()
		at("queue %d", i)
		check(readable(fd, 0), "the wake is seen")
		wantNoEvent(q, forever)
		q.Close()
	}
	g.close()
}
