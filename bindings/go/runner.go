// SPDX-License-Identifier: Apache-2.0 OR MIT

package trapgate

// #include "shim.h"
import "C"

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// Runner serves many goroutines from one queue: each calls Run or Switch for its guest thread and sleeps in Go, so that
// thousands of guest threads cost one operating system thread together.
type Runner struct {
	h        *runnerHandle
	platform *Platform // keeps it from being finalized
}

// Handler answers events. It runs in the runner's goroutine, which answers nobody else meanwhile: it must not block, and
// it must not close the runner or the platform. What takes long, or blocks, is for the goroutine that called Run: Stop
// hands the event on to it. The event is the handler's until it returns.
type Handler func(event *Event) Next

// Next is what a Handler decides.
type Next struct {
	kind  nextKind
	value int64
	err   error
}

type nextKind uint8

const (
	nextStop nextKind = iota
	nextResume
	nextReturn
)

// Return goes on in the guest; its system call returns value, which may be the negative of an error number.
func Return(value int64) Next { return Next{kind: nextReturn, value: value} }

// Resume goes on in the guest, with the context as the Handler left it.
func Resume() Next { return Next{kind: nextResume} }

// Stop ends Run, which returns the event and err.
func Stop(err error) Next { return Next{kind: nextStop, err: err} }

// How many events a runner takes at a time: enough to make one call into C for many of them, and a part of what runs
// only, so that the guests have something to do meanwhile.
const (
	mostAtOnce = 64
	partAtOnce = 4
)

type runnerHandle struct {
	gate     // of Switch, while that is in the library
	platform *platformHandle
	ptr      *C.tg_queue
	ended    chan struct{}
	parked   atomic.Int64 // how many sleep in Switch, about

	mu       sync.Mutex
	incoming []*task
	closed   bool
	err      error // why, if nobody closed it
	asleep   atomic.Bool

	// The serving goroutine's own.
	next     []*task // to be started in the next turn
	batch    []*task // being started in this turn
	inside   []*task // in the queue
	orphans  []*task // whose subprocess was closed
	found    []*contextHandle
	starts   *C.struct_tgo_start
	room     int
	events   *C.tg_event
	failures int
}

// A task is a call of Run.
type task struct {
	ctx      context.Context
	context  *Context
	into     *Subprocess
	handler  Handler
	finished chan struct{}

	value     int64 // for the guest, with the next start
	withValue bool
	index     int // in runnerHandle.inside
	event     Event
	err       error
	owned     bool // the context is Run's to release
}

// NewRunner makes a runner and starts its goroutine.
func (p *Platform) NewRunner() (*Runner, error) {
	if err := p.enter("new runner"); err != nil {
		return nil, err
	}
	defer p.leave()
	var ptr *C.tg_queue
	if err := p.h.call("new runner", func() C.int { return C.tg_queue_create(p.h.ptr, &ptr) }); err != nil {
		return nil, err
	}
	h := &runnerHandle{gate: newGate(), platform: p.h, ptr: ptr, ended: make(chan struct{}), events: newEvents(mostAtOnce)}
	remember(p.h, p.h.runners, h)
	r := &Runner{h, p}
	runtime.SetFinalizer(r, func(r *Runner) { go r.h.close() })
	go h.serve()
	return r, nil
}

// Switch is Context.Switch with a thread for short only: it runs the context in the subprocess until an event. An event
// that comes soon is found in the thread of the goroutine; after that the goroutine sleeps in Go, and the guest goes on.
func (r *Runner) Switch(ctx context.Context, c *Context, s *Subprocess) (Event, error) {
	if r == nil {
		return Event{}, errClosed("switch")
	}
	if r.h.platform.backend == BackendPtrace { // there it is the runner's thread that has to start it
		return r.Run(ctx, c, s, nil)
	}
	event, err := c.switchBy(ctx, s, r.h)
	runtime.KeepAlive(r)
	return event, err
}

// Run runs the context in the subprocess and gives each event to the handler, until that says Stop. Without a handler
// the first event is returned. When ctx ends first, the guest is interrupted where it is and the error is ctx.Err(). Run
// also ends with an error when the context, the runner or the platform is closed.
func (r *Runner) Run(ctx context.Context, c *Context, s *Subprocess, handler Handler) (Event, error) {
	if r == nil || s == nil {
		return Event{}, errClosed("run")
	}
	if err := ctx.Err(); err != nil {
		return Event{}, err
	}
	if err := c.acquire("run", contextUsed); err != nil {
		return Event{}, err
	}
	t := c.h.task
	if t == nil {
		t = &task{finished: make(chan struct{}, 1)}
		c.h.task = t
	}
	t.ctx, t.context, t.into, t.handler = ctx, c, s, handler
	t.withValue, t.err, t.owned = false, nil, true
	if err := r.h.start(t); err != nil {
		c.release()
		return Event{}, err
	}
	if done := ctx.Done(); done == nil {
		<-t.finished
	} else {
		select {
		case <-t.finished:
		case <-done:
			c.h.callBack()
			<-t.finished
		}
	}
	event, err := t.event, t.err
	t.ctx, t.context, t.into, t.handler, t.event = nil, nil, nil, nil, Event{}
	if t.owned {
		c.release()
	}
	runtime.KeepAlive(r)
	return event, err
}

// start puts a task where the serving goroutine finds it.
func (h *runnerHandle) start(t *task) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return h.whyClosed()
	}
	h.incoming = append(h.incoming, t)
	if h.asleep.Swap(false) {
		C.tg_queue_wake(h.ptr)
	}
	return nil
}

func (h *runnerHandle) whyEnded() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.whyClosed()
}

func (h *runnerHandle) whyClosed() error {
	if h.err != nil {
		return h.err
	}
	return errClosed("run")
}

// wake makes the serving goroutine take a turn.
func (h *runnerHandle) wake() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ptr != nil {
		C.tg_queue_wake(h.ptr)
	}
}

func (h *runnerHandle) serve() {
	if h.platform.backend == BackendPtrace {
		// What this thread starts it has to wait for.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
	}
	for h.takeIncoming() {
		h.turn()
	}
	h.end()
}

// takeIncoming reports whether there is to be another turn.
func (h *runnerHandle) takeIncoming() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.next = append(h.next, h.incoming...)
	forgetTasks(h.incoming)
	h.incoming = h.incoming[:0]
	h.asleep.Store(true)
	return !h.closed
}

func forgetTasks(tasks []*task) {
	for i := range tasks {
		tasks[i] = nil
	}
}

// turn starts what is to be started, waits, and answers.
func (h *runnerHandle) turn() {
	batch := h.fillStarts()
	capacity := (len(h.inside) + len(batch) + int(h.parked.Load())) / partAtOnce
	if capacity < 1 {
		capacity = 1
	} else if capacity > mostAtOnce {
		capacity = mostAtOnce
	}
	timeout := C.int64_t(-1)
	if len(h.orphans) > 0 {
		timeout = 0
	}
	wait := C.tgo_turn(h.platform.address(), C.uintptr_t(uintptr(unsafe.Pointer(h.ptr))),
		C.uintptr_t(uintptr(unsafe.Pointer(h.starts))), C.size_t(len(batch)),
		C.uintptr_t(uintptr(unsafe.Pointer(h.events))), C.size_t(capacity), timeout)
	h.asleep.Store(false)
	h.checkStarts(batch)
	h.answerOrphans()
	if wait.done.result == 0 {
		h.failures = 0
		h.answer(int(wait.count))
	} else {
		h.endure(failed("run", wait.done.result, wait.done.sentence))
	}
}

// fillStarts describes the next batch to C. It keeps the subprocesses from being freed until checkStarts; tasks whose
// subprocess is closed are set aside.
func (h *runnerHandle) fillStarts() []*task {
	h.batch, h.next = h.next, h.batch[:0]
	if len(h.batch) > h.room {
		C.free(unsafe.Pointer(h.starts))
		h.room = 2 * len(h.batch)
		h.starts = (*C.struct_tgo_start)(zeroed(uintptr(h.room) * unsafe.Sizeof(C.struct_tgo_start{})))
	}
	starts := unsafe.Slice(h.starts, h.room)
	count := 0
	for _, t := range h.batch {
		if !t.into.h.enter() {
			h.orphans = append(h.orphans, t)
			continue
		}
		start := &starts[count]
		start.context = C.uintptr_t(uintptr(unsafe.Pointer(t.context.h.ptr)))
		start.subprocess = C.uintptr_t(uintptr(unsafe.Pointer(t.into.h.ptr)))
		start.value, start.with_value = C.int64_t(t.value), 0
		if t.withValue {
			start.with_value = 1
		}
		h.batch[count] = t
		count++
	}
	return h.batch[:count]
}

func (h *runnerHandle) checkStarts(batch []*task) {
	starts := unsafe.Slice(h.starts, h.room)
	for i, t := range batch {
		t.into.h.leave()
		if done := starts[i].done; done.result != 0 {
			t.finish(failed("run", done.result, done.sentence))
			continue
		}
		t.index = len(h.inside)
		h.inside = append(h.inside, t)
	}
	forgetTasks(h.batch)
}

// answerOrphans tells the tasks whose subprocess was closed.
func (h *runnerHandle) answerOrphans() {
	for _, t := range h.orphans {
		t.event = Event{Kind: KindDead, Context: t.context, Dead: Dead{Reason: DeadDestroyed}}
		t.event.UserData = uint64(C.tg_context_user_data(t.context.h.ptr))
		h.deliver(t)
	}
	h.orphans = h.orphans[:0]
}

// answer takes the events of a turn to their tasks.
func (h *runnerHandle) answer(count int) {
	h.found = h.found[:0]
	h.platform.mu.RLock()
	for i := 0; i < count; i++ {
		h.found = append(h.found, h.platform.contexts[unsafe.Pointer(eventAt(h.events, i).context)])
	}
	h.platform.mu.RUnlock()
	for i, context := range h.found {
		event, t := eventAt(h.events, i), context.task
		if context.parking.deliver(context, h, event) {
			continue
		}
		last := len(h.inside) - 1
		h.inside[last].index = t.index
		h.inside[t.index], h.inside[last] = h.inside[last], nil
		h.inside = h.inside[:last]
		if context.meant(event) {
			t.event = Event{}
			t.event.read(event, t.context)
			h.deliver(t)
		} else if context.closing.Load() {
			t.finish(errClosed("run"))
		} else if err := t.ctx.Err(); err != nil {
			t.finish(err)
		} else {
			t.withValue = false
			h.next = append(h.next, t)
		}
	}
}

// deliver asks the handler what to do about the task's event. Meanwhile the context is idle, so that the handler may use it.
func (h *runnerHandle) deliver(t *task) {
	if t.handler == nil {
		t.finish(nil)
		return
	}
	t.context.h.release()
	next := t.handler(&t.event)
	if err := t.context.acquire("run", contextUsed); err != nil {
		t.owned = false
		t.finish(err)
		return
	}
	if next.kind == nextStop {
		t.finish(next.err)
		return
	}
	t.value, t.withValue = next.value, next.kind == nextReturn
	h.next = append(h.next, t)
}

func (t *task) finish(err error) {
	t.err = err
	t.finished <- struct{}{}
}

// endure waits for better times when the host lacks something, and gives up when they do not come.
func (h *runnerHandle) endure(err error) {
	const pause, patience = 5 * time.Millisecond, 400
	h.failures++
	if (errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.ENOMEM)) && h.failures < patience {
		time.Sleep(pause)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed, h.err = true, err
}

// end frees the queue, in the thread that waited on it, and ends what is still to be answered.
func (h *runnerHandle) end() {
	if h.shut() {
		h.nudgeInside()
		<-h.drained
	}
	h.mu.Lock()
	h.next = append(h.next, h.incoming...)
	h.incoming = nil
	C.tg_queue_destroy(h.ptr)
	h.ptr = nil
	h.mu.Unlock()
	if h.platform.backend == BackendPtrace {
		h.platform.letGo()
	}
	C.free(unsafe.Pointer(h.starts))
	C.free(unsafe.Pointer(h.events))
	h.wakeParked()
	for _, t := range append(h.next, h.inside...) {
		t.finish(h.whyClosed())
	}
	forget(h.platform, h.platform.runners, h)
	close(h.ended)
}

// Close ends every Run with an error; the contexts can be used again. It waits for the handler that runs.
func (r *Runner) Close() error {
	if r != nil {
		runtime.SetFinalizer(r, nil)
		r.h.close()
	}
	return nil
}

func (h *runnerHandle) close() {
	h.mu.Lock()
	h.closed = true
	if h.ptr != nil {
		C.tg_queue_wake(h.ptr)
	}
	h.mu.Unlock()
	<-h.ended
}
