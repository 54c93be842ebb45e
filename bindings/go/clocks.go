// SPDX-License-Identifier: Apache-2.0 OR MIT

package trapgate

// #include "shim.h"
import "C"

import (
	"runtime"
	"time"
	"unsafe"
)

// ClockKind says where guests have the time of a clock from.
type ClockKind uint32

// The kinds.
const (
	ClockCall ClockKind = C.TG_CLOCK_CALL // they make the call, as at first
	ClockTime ClockKind = C.TG_CLOCK_TIME // they read it: see Clock
)

// Clocks is above the number of each clock.
const Clocks = C.TG_CLOCKS

// Clock is what a clock of a guest shows where the vDSO is the library's (OpenVDSOOwn). With ClockTime guests read
// BaseNS + (counter - BaseCounter) * Multiplier / 2^32 of it, and BaseNS while the counter is below BaseCounter.
type Clock struct {
	Number      uint32 // CLOCK_REALTIME (0), CLOCK_MONOTONIC (1), ...
	Kind        ClockKind
	Forward     bool   // by this change it does not go back: if it would, it stands still meanwhile
	BaseCounter uint64 // of Platform.Counter
	BaseNS      uint64
	Multiplier  uint64 // ns for each tick of the counter, in 2^-32; 0: it stands still, and the counter is not read
}

func (c *Clock) raw() C.tg_clock {
	var raw C.tg_clock
	raw.size = C.uint32_t(unsafe.Sizeof(raw))
	raw.clock, raw.kind = C.uint32_t(c.Number), C.uint32_t(c.Kind)
	raw.base_counter, raw.base_ns = C.uint64_t(c.BaseCounter), C.uint64_t(c.BaseNS)
	raw.multiplier = C.uint64_t(c.Multiplier)
	if c.Forward {
		raw.flags = C.TG_CLOCK_FORWARD
	}
	return raw
}

func newClock(raw *C.tg_clock) Clock {
	return Clock{
		Number:      uint32(raw.clock),
		Kind:        ClockKind(raw.kind),
		Forward:     raw.flags&C.TG_CLOCK_FORWARD != 0,
		BaseCounter: uint64(raw.base_counter),
		BaseNS:      uint64(raw.base_ns),
		Multiplier:  uint64(raw.multiplier),
	}
}

// SetClocks sets these clocks of the subprocess and leaves all others as they are. A guest that reads meanwhile gets the
// old time or the new one, never a mixture. Copies of the subprocess begin with the clocks as they are then.
func (s *Subprocess) SetClocks(clocks []Clock) error {
	const op = "set clocks"
	if err := s.enter(op); err != nil {
		return err
	}
	defer s.leave()
	raw := make([]C.tg_clock, len(clocks))
	for i := range clocks {
		raw[i] = clocks[i].raw()
	}
	var first *C.tg_clock
	if len(raw) > 0 {
		first = &raw[0]
	}
	return s.call(op, func() C.int {
		return C.tg_subprocess_set_clocks(s.h.ptr, first, C.size_t(len(raw)))
	})
}

// Clock is the clock with that number as it was set last, and what guests read of it at this moment, 0 with ClockCall:
// what to answer calls with that look at the same clock.
func (s *Subprocess) Clock(number uint32) (Clock, uint64, error) {
	const op = "clock"
	if err := s.enter(op); err != nil {
		return Clock{}, 0, err
	}
	defer s.leave()
	var raw C.tg_clock
	var ns C.uint64_t
	raw.size = C.uint32_t(unsafe.Sizeof(raw))
	err := s.call(op, func() C.int {
		return C.tg_subprocess_clock(s.h.ptr, C.uint32_t(number), &raw, &ns)
	})
	if err != nil {
		return Clock{}, 0, err
	}
	return newClock(&raw), uint64(ns), nil
}

// Counter is the counter that guests' clocks go by (the time stamp counter), now; 0 where this process cannot read it, or
// guests have no vDSO of the library's own, and after Close.
func (p *Platform) Counter() uint64 {
	if p.enter("counter") != nil {
		return 0
	}
	defer p.leave()
	return uint64(C.tg_platform_counter(p.h.ptr))
}

// HostClock is a clock of the host's that guests' clocks follow. One goroutine at a time.
type HostClock struct {
	platform *Platform
	state    C.tg_host_clock
}

// NewHostClock is for the host's clock with that number: CLOCK_REALTIME (0), CLOCK_MONOTONIC (1), ...
func (p *Platform) NewHostClock(number uint32) *HostClock {
	h := &HostClock{platform: p}
	h.state.size = C.uint32_t(unsafe.Sizeof(h.state))
	h.state.clock = C.uint32_t(number)
	return h
}

// Follow looks at the clock and returns what makes a guest's follow it, for Subprocess.SetClocks, as it is or with BaseNS
// moved, in any number of subprocesses. To be called again and again, in intervals of about the same length or at most
// twice the one before, a millisecond or more. It returns ClockCall the first time and where the counter is not to be
// relied on.
func (h *HostClock) Follow() (Clock, error) {
	const op = "follow clock"
	defer runtime.KeepAlive(h)
	if err := h.platform.enter(op); err != nil {
		return Clock{}, err
	}
	defer h.platform.leave()
	var raw C.tg_clock
	raw.size = C.uint32_t(unsafe.Sizeof(raw))
	err := h.platform.h.call(op, func() C.int {
		return C.tg_platform_follow_clock(h.platform.h.ptr, &h.state, &raw)
	})
	if err != nil {
		return Clock{}, err
	}
	return newClock(&raw), nil
}

// Error is how far guests were off when the clock was looked at last, before that was put right.
func (h *HostClock) Error() time.Duration {
	return time.Duration(h.state.error_ns)
}
