// SPDX-License-Identifier: Apache-2.0 OR MIT

package trapgate

// #include "shim.h"
import "C"

import (
	"sync/atomic"
	"time"
	"unsafe"
)

// How long Runner.Switch keeps its thread: the next call of a guest that makes one after the other is there much sooner.
const spinTime = 20 * time.Microsecond

// A parking is where the goroutine of a Runner.Switch sleeps until the runner has the event of its context.
type parking struct {
	in      atomic.Pointer[runnerHandle] // whose switch it is; whoever takes it away is the one that wakes the goroutine
	ended   bool                         // there is no event: the runner has ended
	arrived chan struct{}                // room for one
}

// nextEvent runs the context until h.event is written: in this thread for a while, and then without one.
func (r *runnerHandle) nextEvent(h *contextHandle, s *subprocessHandle) error {
	// Close shuts the gate and then takes the parkings away.
	h.parking.in.Store(r)
	if !r.enter() {
		h.parking.in.Store(nil)
		return r.whyEnded()
	}
	done := C.tgo_switch_or_submit(h.platform.address(), C.uintptr_t(uintptr(unsafe.Pointer(h.ptr))),
		C.uintptr_t(uintptr(unsafe.Pointer(s.ptr))), C.uintptr_t(uintptr(unsafe.Pointer(r.ptr))),
		C.uint64_t(spinTime), C.uintptr_t(uintptr(unsafe.Pointer(h.event))))
	if done.result == 1 {
		r.parked.Add(1)
		r.leave()
		<-h.parking.arrived
		r.parked.Add(-1)
		if h.parking.ended {
			h.parking.ended = false
			return r.whyEnded()
		}
		return nil
	}
	h.parking.in.Store(nil)
	r.leave()
	if done.result != 0 {
		return failed("switch", done.result, done.sentence)
	}
	return nil
}

// deliver wakes the goroutine that waits for this event, if one does.
func (p *parking) deliver(h *contextHandle, r *runnerHandle, event *C.tg_event) bool {
	if !p.in.CompareAndSwap(r, nil) {
		return false
	}
	if event != nil {
		*h.event = *event
	}
	p.ended = event == nil
	p.arrived <- struct{}{}
	return true
}

// nudgeInside makes every switch that is in the library come back.
func (r *runnerHandle) nudgeInside() {
	r.platform.mu.RLock()
	defer r.platform.mu.RUnlock()
	for _, context := range r.platform.contexts {
		if context.parking.in.Load() == r {
			context.callBack()
		}
	}
}

// wakeParked ends the switches that wait for events of a queue that is not there any more.
func (r *runnerHandle) wakeParked() {
	r.platform.mu.RLock()
	defer r.platform.mu.RUnlock()
	for _, context := range r.platform.contexts {
		context.parking.deliver(context, r, nil)
	}
}
