// SPDX-License-Identifier: Apache-2.0 OR MIT

package trapgate

// #include "shim.h"
import "C"

import "unsafe"

// Exchange is what Context.Exchange puts in.
type Exchange uint32

// What can be put in.
const (
	ExchangeNothing Exchange = C.TG_EXCHANGE_NOTHING // the context goes on as it is
	ExchangeReturn  Exchange = C.TG_EXCHANGE_RETURN  // the register of a result, as Context.SetReturn does
	ExchangeAll     Exchange = C.TG_EXCHANGE_ALL     // all registers; those that are as they came out are not written again
)

// Exchange is a switch with registers of the caller's, in one call of the library: it puts in what has changed in regs
// since the last event, runs the context in the subprocess until an event, and writes that to event and its registers to
// regs. Of the last four members of the event only the one that Kind names is written. It blocks an operating system
// thread meanwhile, allocates nothing and has no context.Context: Interrupt ends it. After an error nothing has run, regs
// and event are as they were, and the same call can be made again; what was to be put in may be in.
func (c *Context) Exchange(s *Subprocess, regs *Registers, what Exchange, event *Event) error {
	const op = "exchange"
	if err := c.acquire(op, contextUsed); err != nil {
		return err
	}
	if s == nil {
		c.release()
		return errClosed(op)
	}
	if c.h.lastIn.Load() != s.h {
		c.h.lastIn.Store(s.h)
	}
	var err error
	if s.h.enter() { // as in Switch
		err = c.exchangeInside(s.h, regs, what, event)
		s.leave()
	} else {
		err = errClosed(op)
	}
	c.release()
	return err
}

func (c *Context) exchangeInside(s *subprocessHandle, regs *Registers, what Exchange, event *Event) error {
	h := c.h
	if h.exchange == nil {
		h.exchange = (*C.struct_tgo_exchange)(zeroed(unsafe.Sizeof(C.struct_tgo_exchange{})))
	}
	inside := (*Registers)(unsafe.Pointer(&h.exchange.regs))
	*inside = *regs
	for {
		done := C.tgo_exchange(h.platform.address(), C.uintptr_t(uintptr(unsafe.Pointer(h.ptr))),
			C.uintptr_t(uintptr(unsafe.Pointer(s.ptr))), C.uint32_t(what),
			C.uintptr_t(uintptr(unsafe.Pointer(h.exchange))))
		if done.result != 0 {
			return failed("exchange", done.result, done.sentence)
		}
		if h.meant(&h.exchange.event) {
			break
		}
		if h.closing.Load() {
			return errClosed("exchange")
		}
		if s.isShut() {
			h.exchange.event.kind = C.TG_EVENT_DEAD
			*(*C.tg_event_dead)(unsafe.Pointer(&h.exchange.event.u)) = C.tg_event_dead{reason: C.TG_DEAD_DESTROYED}
			break
		}
		what = ExchangeNothing // something that ended too late for the switch that it was about: what goes in is in
	}
	*regs = *inside
	event.read(&h.exchange.event, c)
	return nil
}
