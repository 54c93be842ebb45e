// SPDX-License-Identifier: Apache-2.0 OR MIT

package trapgate

// #include "shim.h"
import "C"

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// Queue drives many contexts from one goroutine: Submit starts a context and returns, Wait collects events. A Runner is
// built on one and is easier to use.
//
// On the ptrace backend the thread that waits is the tracer of what it started. Wait therefore locks its goroutine to
// its thread, as runtime.LockOSThread does, until Close is called in the same goroutine or the goroutine ends. While
// contexts run, another goroutine that waits gets EBUSY. None of this is so after Descriptor was called.
type Queue struct {
	h        *queueHandle
	platform *Platform // keeps it from being finalized
}

type queueHandle struct {
	gate
	ptr      *C.tg_queue
	platform *platformHandle
	gone     chan struct{}
	destroy  sync.Once

	waiting sync.Mutex // held by the one that waits
	events  *C.tg_event
	room    int
	owner   uint64 // ptrace: the thread whose goroutine is locked to it
	anyone  atomic.Bool
	woken   atomic.Bool // Wake was called, and no wait has ended of it
}

// NewQueue makes a queue.
func (p *Platform) NewQueue() (*Queue, error) {
	if err := p.enter("new queue"); err != nil {
		return nil, err
	}
	defer p.leave()
	var ptr *C.tg_queue
	if err := p.h.call("new queue", func() C.int { return C.tg_queue_create(p.h.ptr, &ptr) }); err != nil {
		return nil, err
	}
	h := &queueHandle{gate: newGate(), ptr: ptr, platform: p.h, gone: make(chan struct{})}
	h.anyone.Store(p.h.backend != BackendPtrace)
	remember(p.h, p.h.queues, h)
	q := &Queue{h, p}
	runtime.SetFinalizer(q, func(q *Queue) { go q.h.close() })
	return q, nil
}

func (q *Queue) enter(op string) error {
	if q == nil || !q.h.enter() {
		return errClosed(op)
	}
	return nil
}

func (q *Queue) leave() {
	q.h.leave()
	runtime.KeepAlive(q)
}

func (q *Queue) call(op string, call func() C.int) error {
	return q.h.platform.call(op, call)
}

// Submit starts the context in the subprocess and returns. Its event comes out of Wait, exactly one for each Submit.
func (q *Queue) Submit(c *Context, s *Subprocess) error {
	if err := q.enter("submit"); err != nil {
		return err
	}
	defer q.leave()
	if err := s.enter("submit"); err != nil {
		return err
	}
	defer s.leave()
	if err := c.acquire("submit", contextQueued); err != nil {
		return err
	}
	c.h.outer, c.h.into = c, s.h
	c.h.queue.Store(q.h) // last: who has seen it sees the others
	err := q.call("submit", func() C.int { return C.tg_queue_submit(q.h.ptr, c.h.ptr, s.h.ptr) })
	if err != nil {
		c.h.unqueue()
	}
	return err
}

// unqueue makes a context idle again whose event is out, or that never got in.
func (h *contextHandle) unqueue() {
	h.outer, h.into = nil, nil
	h.queue.Store(nil)
	h.release()
}

// Wait waits for events, writes them to events and returns how many there are. A negative timeout is none, with 0 it
// only looks. It returns 0 when the time is over or after Wake, and also waits when nothing is submitted: another
// goroutine may still submit. When ctx ends the error is ctx.Err(). One goroutine waits at a time: EBUSY otherwise.
func (q *Queue) Wait(ctx context.Context, events []Event, timeout time.Duration) (int, error) {
	if err := q.enter("wait"); err != nil {
		return 0, err
	}
	if !q.h.waiting.TryLock() {
		q.leave()
		return 0, errBusy("wait", "another goroutine waits on the queue")
	}
	count, err := q.waitAlone(ctx, events, timeout)
	q.leave()
	if q.h.isShut() {
		// Close found us inside. It is this thread that can stop what runs.
		<-q.h.drained
		q.h.free()
		count, err = 0, errClosed("wait")
	}
	q.h.waiting.Unlock()
	runtime.KeepAlive(q)
	return count, err
}

func (q *Queue) waitAlone(ctx context.Context, events []Event, timeout time.Duration) (int, error) {
	if len(events) == 0 {
		return 0, q.call("wait", func() C.int { return C.tg_queue_wait(q.h.ptr, nil, 0, 0, nil) })
	}
	if done := ctx.Done(); done != nil {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		defer afterFunc(ctx, func() {
			if q.h.enter() {
				C.tg_queue_wake(q.h.ptr)
				q.h.leave()
			}
		})()
	}
	q.h.reserve(len(events))
	var end time.Time
	if timeout > 0 {
		end = time.Now().Add(timeout)
	}
	for {
		found, err := q.h.take(len(events), timeout)
		if err != nil {
			return 0, err
		}
		count := 0
		for i := 0; i < found; i++ {
			if q.h.hand(eventAt(q.h.events, i), &events[count]) {
				count++
			}
		}
		if count > 0 || timeout == 0 || q.h.woken.Swap(false) || q.h.isShut() {
			return count, nil
		}
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if timeout > 0 {
			if timeout = time.Until(end); timeout <= 0 {
				return 0, nil
			}
		}
	}
}

// reserve makes room for events in the library's kind of memory.
func (h *queueHandle) reserve(room int) {
	if room <= h.room {
		return
	}
	C.free(unsafe.Pointer(h.events))
	h.events, h.room = newEvents(room), room
}

// zeroed is memory of the library's kind; C.malloc never fails, for it ends the program as Go's own memory does.
func zeroed(length uintptr) unsafe.Pointer {
	memory := C.malloc(C.size_t(length))
	bytes := unsafe.Slice((*byte)(memory), length)
	for i := range bytes {
		bytes[i] = 0
	}
	return memory
}

func newEvents(room int) *C.tg_event {
	return (*C.tg_event)(zeroed(uintptr(room) * unsafe.Sizeof(C.tg_event{})))
}

func eventAt(events *C.tg_event, i int) *C.tg_event {
	return (*C.tg_event)(unsafe.Add(unsafe.Pointer(events), uintptr(i)*unsafe.Sizeof(C.tg_event{})))
}

// take waits in the library.
func (h *queueHandle) take(room int, timeout time.Duration) (int, error) {
	if !h.anyone.Load() {
		runtime.LockOSThread()
	}
	wait := C.tgo_wait(h.platform.address(), C.uintptr_t(uintptr(unsafe.Pointer(h.ptr))),
		C.uintptr_t(uintptr(unsafe.Pointer(h.events))), C.size_t(room), C.int64_t(timeout))
	if !h.anyone.Load() {
		switch {
		case h.owner == uint64(wait.thread):
			runtime.UnlockOSThread() // it was locked before
		case wait.done.result != 0:
			runtime.UnlockOSThread()
		default:
			h.owner = uint64(wait.thread)
		}
	}
	if wait.done.result != 0 {
		return 0, failed("wait", wait.done.result, wait.done.sentence)
	}
	return int(wait.count), nil
}

// hand makes an event of the library one of the caller, and its context idle. Interrupts that the caller did not ask for
// go back into the queue, events of contexts that were closed are dropped.
func (h *queueHandle) hand(from *C.tg_event, to *Event) bool {
	context := h.platform.lookup(unsafe.Pointer(from.context))
	context.queue.Load()
	if !context.meant(from) && !context.closing.Load() && context.submitAgain() {
		return false
	}
	closed := context.closing.Load()
	if !closed {
		*to = Event{}
		to.read(from, context.outer)
	}
	context.unqueue()
	return !closed
}

func (h *contextHandle) submitAgain() bool {
	if !h.into.enter() {
		return false
	}
	defer h.into.leave()
	return C.tg_queue_submit(h.queue.Load().ptr, h.ptr, h.into.ptr) == 0
}

// Wake makes the Wait that runs now, or else the next one, return.
func (q *Queue) Wake() error {
	if err := q.enter("wake"); err != nil {
		return err
	}
	defer q.leave()
	q.h.woken.Store(true)
	return q.call("wake", func() C.int {
		return C.tg_queue_wake(q.h.ptr)
	})
}

// Descriptor returns a descriptor that is readable while events wait, for epoll and the like. It belongs to the queue.
// Do not read it: call Wait with timeout 0 until it gives nothing. From the first call on a thread of the library does
// the waiting, so that any goroutine may call Wait; this adds a thread hand-over to every event. EBUSY while a goroutine
// waits, and on ptrace while contexts run.
func (q *Queue) Descriptor() (int, error) {
	if err := q.enter("descriptor"); err != nil {
		return -1, err
	}
	defer q.leave()
	fd := C.int(-1)
	err := q.call("descriptor", func() C.int {
		fd = C.tg_queue_fd(q.h.ptr)
		return fd
	})
	if err != nil {
		return -1, err
	}
	q.h.anyone.Store(true)
	return int(fd), nil
}

// Close stops the contexts that still run; they can be used again. A Wait that runs ends with an error. On ptrace only
// the goroutine that waited can stop contexts without harm: when another one closes the queue while no Wait runs, the
// subprocesses in which contexts still run are killed.
func (q *Queue) Close() error {
	if q != nil {
		runtime.SetFinalizer(q, nil)
		q.h.close()
	}
	return nil
}

func (h *queueHandle) close() {
	if h.enter() {
		if h.shut() {
			C.tg_queue_wake(h.ptr) // one that waits comes back of this, and frees
		}
		h.leave()
		h.waiting.Lock()
		<-h.drained
		h.free()
		h.waiting.Unlock()
	}
	<-h.gone
}

// free is called with the waiting lock held and nobody inside.
func (h *queueHandle) free() {
	h.destroy.Do(func() {
		C.tg_queue_destroy(h.ptr)
		if h.owner != 0 && h.owner == uint64(C.tgo_thread()) {
			runtime.UnlockOSThread()
		}
		h.platform.mu.RLock()
		var inside []*contextHandle
		for _, context := range h.platform.contexts {
			if context.state.Load() == contextQueued && context.queue.Load() == h {
				inside = append(inside, context)
			}
		}
		h.platform.mu.RUnlock()
		for _, context := range inside {
			context.unqueue()
		}
		C.free(unsafe.Pointer(h.events))
		forget(h.platform, h.platform.queues, h)
		close(h.gone)
	})
}
