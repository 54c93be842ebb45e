// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"runtime"

	"trapgate.dev/go/trapgate"
)

func init() {
	areas = append(areas, []testCase{
		{"queue.destroy_keeps_calls", callsAreMadeAgain},
		{"queue.destroy_keeps_interrupts", interruptsStay},
		{"queue.poll_only", pollOnly},
	})
}

const lostRounds = 20

// Who has found the event that nobody fetches.
const (
	foundByNobody = iota
	foundByDescriptor
	foundByOtherQueue
	finders
)

// letFind leaves the event of a context in q to its finder; other is a context for another queue.
func letFind(g *guest, q *trapgate.Queue, finder int, other *trapgate.Context) {
	if finder == foundByDescriptor {
		check(readable(must(q.Descriptor()), -1), "an event comes")
		return
	}
	sleepMicroseconds(1000)
	if finder == foundByOtherQueue {
		beside := must(g.platform.NewQueue())
		ok(beside.Submit(other, g.subprocess))
		event := waitOne(beside)
		wantCall(&event, guestCall)
		check(event.Context == other, "the event names its context")
		beside.Close()
	}
}

func callsAreMadeAgain(b trapgate.Backend) {
	runtime.LockOSThread()
	g := open(b, "counting_calls")
	other := createStarted(g.platform)
	calls := uint64(0)
	for i := 0; i < lostRounds*finders; i++ {
		q := must(g.platform.NewQueue())
		ok(q.Submit(g.context, g.subprocess))
		letFind(g, q, i%finders, other)
		q.Close()
		g.call()
		calls++
		equal(g.event.Syscall.Args[0], calls)
	}
	other.Close()
	g.close()
}

// It was answered, by an event that nobody fetches: the next run answers it.
func interruptsStay(b trapgate.Backend) {
	runtime.LockOSThread()
	g := open(b, "call_loop")
	load(g.subprocess, otherCode, code("spin"))
	other := createStarted(g.platform)
	for i := 0; i < lostRounds*finders; i++ {
		q := must(g.platform.NewQueue())
		ok(g.context.Start(otherCode, stackTop))
		ok(q.Submit(g.context, g.subprocess))
		ok(g.context.Interrupt())
		letFind(g, q, i%finders, other)
		q.Close()
		g.restart()
		g.run()
		wantKind(&g.event, trapgate.KindInterrupted)
		g.call()
	}
	other.Close()
	g.close()
}

// As many spinners as there are processors keep all stub threads busy, unless somebody takes them away.
func pollOnly(b trapgate.Backend) {
	runtime.LockOSThread()
	g, q := openQueue(b, "spin")
	load(g.subprocess, otherCode, code("counting_calls"))
	for i := 0; i < runtime.NumCPU(); i++ {
		ok(q.Submit(createCounter(g.platform, 0), g.subprocess))
	}
	setIP(g.context, otherCode)
	for i := uint64(1); i <= lostRounds; i++ {
		ok(q.Submit(g.context, g.subprocess))
		var events [1]trapgate.Event
		// Without an end if it never gets a turn; then the case's time limit is one.
		for waitEvents(q, events[:], 0) == 0 {
		}
		check(events[0].Context == g.context, "the event names its context")
		wantCall(&events[0], guestCall)
		equal(events[0].Syscall.Args[0], i)
	}
	q.Close()
	g.close()
}
