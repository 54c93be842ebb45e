// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"syscall"
	"time"
	"unsafe"

	"trapgate.dev/go/trapgate"
)

func init() {
	areas = append(areas, []testCase{
		{"queue.many_contexts", manyContexts},
		{"queue.capacity", capacityIsKept},
		{"queue.timeout", timeoutEndsTheWait},
		{"queue.wake", wakeEndsAWait},
		{"queue.second_waiter", secondWaiterIsBusy},
		{"queue.submit_threads", submitsFromManyThreads},
		{"queue.busy", runningContextIsBusy},
		{"queue.fd", descriptorWithPoll},
		{"queue.fd_any_thread", descriptorFreesTheWaiter},
		{"queue.fd_busy", descriptorWhileRunning},
		{"queue.waiting_thread", waitingThreadChanges},
	})
}

const forever = time.Duration(-1)

func waitEvents(q *trapgate.Queue, events []trapgate.Event, timeout time.Duration) int {
	count, err := q.Wait(background, events, timeout)
	if err != nil {
		fail(1, "%v", err)
	}
	return count
}

func waitOne(q *trapgate.Queue) trapgate.Event {
	var events [1]trapgate.Event
	equal(waitEvents(q, events[:], forever), 1)
	return events[0]
}

func wantNoEvent(q *trapgate.Queue, timeout time.Duration) {
	var events [1]trapgate.Event
	if waitEvents(q, events[:], timeout) != 0 {
		fail(1, "event is %v, not none", &events[0])
	}
}

func openQueue(b trapgate.Backend, name string) (*guest, *trapgate.Queue) {
	g := open(b, name)
	return g, must(g.platform.NewQueue())
}

func createCounter(p *trapgate.Platform, index int) *trapgate.Context {
	c := createStarted(p)
	ok(c.SetUserData(uint64(index)))
	return c
}

// driveMany checks that each context's events carry its own data and count, in its own order.
func driveMany(g *guest, q *trapgate.Queue, contexts int, rounds uint64) {
	all, seen := make([]*trapgate.Context, contexts), make([]uint64, contexts)
	for i := range all {
		all[i] = createCounter(g.platform, i)
		ok(q.Submit(all[i], g.subprocess))
	}
	var events [64]trapgate.Event
	for left := contexts * int(rounds); left > 0; {
		count := waitEvents(q, events[:], forever)
		check(count > 0, "a wait without a time limit brings events")
		for i := range events[:count] {
			event := &events[i]
			index := event.UserData
			check(event.Context == all[index], "the event names its context")
			wantCall(event, guestCall)
			seen[index]++
			equal(event.Syscall.Args[0], seen[index])
			left--
			if seen[index] < rounds {
				ok(q.Submit(all[index], g.subprocess))
			}
		}
	}
	wantNoEvent(q, 0)
	for _, c := range all {
		c.Close()
	}
}

func manyContexts(b trapgate.Backend) {
	g, q := openQueue(b, "counting_calls")
	driveMany(g, q, 200, 10)
	q.Close()
	g.close()
}

func capacityIsKept(b trapgate.Backend) {
	const contexts = 10
	g, q := openQueue(b, "counting_calls")
	for i := 0; i < contexts; i++ {
		ok(q.Submit(createCounter(g.platform, 0), g.subprocess))
	}
	events := make([]trapgate.Event, contexts+1)
	total := 0
	for total < contexts {
		for i := range events {
			events[i].Kind = 0xdddd
		}
		total += waitEvents(q, events[:3], forever)
		equal(events[3].Kind, 0xdddd)
	}
	equal(total, contexts)
	wantNoEvent(q, 0)
	q.Close()
	g.close()
}

func timeoutEndsTheWait(b trapgate.Backend) {
	g, q := openQueue(b, "spin")
	wantNoEvent(q, 0)
	wantNoEvent(q, time.Millisecond)
	ok(q.Submit(g.context, g.subprocess))
	wantNoEvent(q, 0)
	wantNoEvent(q, 5*time.Millisecond)
	ok(g.context.Interrupt())
	event := waitOne(q)
	wantKind(&event, trapgate.KindInterrupted)
	q.Close()
	g.close()
}

// startWaiter waits for one event in a thread of its own; wait returns how many came, and which.
func startWaiter(q *trapgate.Queue) (wait func() (int, trapgate.Event)) {
	var events [1]trapgate.Event
	count := 9999
	started := make(chan struct{})
	join := start(func() {
		close(started)
		count = waitEvents(q, events[:], forever)
	})
	<-started
	time.Sleep(5 * time.Millisecond)
	return func() (int, trapgate.Event) {
		join()
		return count, events[0]
	}
}

func wakeEndsAWait(b trapgate.Backend) {
	g, q := openQueue(b, "spin")
	for running := 0; running < 2; running++ {
		if running == 1 {
			ok(q.Submit(g.context, g.subprocess))
		}
		wait := startWaiter(q)
		ok(q.Wake())
		count, _ := wait()
		equal(count, 0)
	}
	q.Close()
	g.close()
}

func secondWaiterIsBusy(b trapgate.Backend) {
	g, q := openQueue(b, "call_loop")
	wait := startWaiter(q)
	var events [1]trapgate.Event
	_, err := q.Wait(background, events[:], forever)
	refused(err, syscall.EBUSY)
	_, err = q.Wait(background, events[:], 0)
	refused(err, syscall.EBUSY)
	ok(q.Wake())
	wait()
	q.Close()
	g.close()
}

func submitsFromManyThreads(b trapgate.Backend) {
	const threads, each = 4, 50
	g, q := openQueue(b, "call_loop")
	var joins []func()
	for i := 0; i < threads; i++ {
		first := i * each
		joins = append(joins, start(func() {
			for j := first; j < first+each; j++ {
				ok(q.Submit(createCounter(g.platform, j), g.subprocess))
			}
		}))
	}
	var seen [threads * each]bool
	for range seen {
		event := waitOne(q)
		wantCall(&event, guestCall)
		check(!seen[event.UserData], "each comes once")
		seen[event.UserData] = true
	}
	for _, join := range joins {
		join()
	}
	q.Close()
	g.close()
}

func runningContextIsBusy(b trapgate.Backend) {
	g, q := openQueue(b, "spin")
	other := must(g.platform.NewQueue())
	ok(q.Submit(g.context, g.subprocess))
	refused(q.Submit(g.context, g.subprocess), syscall.EBUSY)
	refused(other.Submit(g.context, g.subprocess), syscall.EBUSY)
	_, err := g.context.Switch(background, g.subprocess)
	refused(err, syscall.EBUSY)
	_, err = g.context.Registers()
	refused(err, syscall.EBUSY)
	refused(g.context.SetRegisters(&trapgate.Registers{}), syscall.EBUSY)
	ok(g.context.Interrupt())
	event := waitOne(q)
	wantKind(&event, trapgate.KindInterrupted)
	regs(g.context)
	other.Close()
	q.Close()
	g.close()
}

// readable says whether a descriptor is; with a negative time limit it waits until it is.
func readable(fd, milliseconds int) bool {
	pollfd := struct {
		fd              int32
		events, revents int16
	}{fd: int32(fd), events: 1}
	timeout := unsafe.Pointer(nil)
	if milliseconds >= 0 {
		limit := syscall.NsecToTimespec(int64(milliseconds) * 1e6)
		timeout = unsafe.Pointer(&limit)
	}
	for {
		count, _, errno := syscall.Syscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&pollfd)), 1, uintptr(timeout), 0, 0, 0)
		if errno == 0 {
			return count > 0
		}
		if errno != syscall.EINTR {
			fail(1, "ppoll: %v", errno)
		}
	}
}

func descriptorWithPoll(b trapgate.Backend) {
	g, q := openQueue(b, "counting_calls")
	fd := must(q.Descriptor())
	equal(must(q.Descriptor()), fd)
	check(!readable(fd, 0), "nothing waits")
	for i := uint64(1); i <= 50; i++ {
		ok(q.Submit(g.context, g.subprocess))
		check(readable(fd, -1), "an event comes")
		var events [1]trapgate.Event
		equal(waitEvents(q, events[:], 0), 1)
		wantCall(&events[0], guestCall)
		equal(events[0].Syscall.Args[0], i)
		wantNoEvent(q, 0)
		check(!readable(fd, 0), "nothing waits")
	}
	q.Close()
	g.close()
}

func descriptorFreesTheWaiter(b trapgate.Backend) {
	g, q := openQueue(b, "counting_calls")
	must(q.Descriptor())
	for i := uint64(1); i <= 20; i++ {
		ok(q.Submit(g.context, g.subprocess))
		inThread(func() {
			event := waitOne(q)
			equal(event.Syscall.Args[0], i)
		})
	}
	q.Close()
	g.close()
}

func descriptorWhileRunning(b trapgate.Backend) {
	g, q := openQueue(b, "spin")
	ok(q.Submit(g.context, g.subprocess))
	wantNoEvent(q, time.Millisecond)
	// ptrace: what runs belongs to the thread that waited.
	if b == trapgate.BackendPtrace {
		_, err := q.Descriptor()
		refused(err, syscall.EBUSY)
		ok(g.context.Interrupt())
	} else {
		fd := must(q.Descriptor())
		check(!readable(fd, 0), "nothing waits")
		ok(g.context.Interrupt())
		check(readable(fd, -1), "an event comes")
	}
	event := waitOne(q)
	wantKind(&event, trapgate.KindInterrupted)
	fd := must(q.Descriptor())
	// Submitted by the thread that waited before, run by whoever waits now.
	ok(q.Submit(g.context, g.subprocess))
	ok(g.context.Interrupt())
	check(readable(fd, -1), "an event comes")
	event = waitOne(q)
	wantKind(&event, trapgate.KindInterrupted)
	q.Close()
	g.close()
}

// With nothing running the waiting thread may change; with something running the tracer may not, on ptrace.
func waitingThreadChanges(b trapgate.Backend) {
	g, q := openQueue(b, "counting_calls")
	load(g.subprocess, otherCode, code("spin"))
	for i := uint64(1); i <= 5; i++ {
		submitAndTake := func() {
			ok(q.Submit(g.context, g.subprocess))
			event := waitOne(q)
			equal(event.Syscall.Args[0], i)
		}
		if i%2 == 1 {
			inThread(submitAndTake)
		} else {
			submitAndTake()
		}
	}
	setIP(g.context, otherCode)
	ok(q.Submit(g.context, g.subprocess))
	wantNoEvent(q, time.Millisecond)
	inThread(func() {
		var events [1]trapgate.Event
		_, err := q.Wait(background, events[:], 0)
		if b == trapgate.BackendPtrace {
			refused(err, syscall.EBUSY)
		} else {
			ok(err)
		}
	})
	ok(g.context.Interrupt())
	event := waitOne(q)
	wantKind(&event, trapgate.KindInterrupted)
	q.Close()
	g.close()
}
