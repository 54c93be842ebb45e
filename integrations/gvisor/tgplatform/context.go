// SPDX-License-Identifier: Apache-2.0 OR MIT

package tgplatform

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/abi/linux"
	"gvisor.dev/gvisor/pkg/context"
	"gvisor.dev/gvisor/pkg/hostarch"
	"gvisor.dev/gvisor/pkg/sentry/arch"
	"gvisor.dev/gvisor/pkg/sentry/platform"

	"trapgate.dev/go/trapgate"
)

// fpOwner says who has the newest FP state of a guest thread.
type fpOwner int

const (
	fpSentry  fpOwner = iota // the next switch has to take it
	fpLibrary                // the sentry has to ask for it
	fpBoth
)

// guestContext is the machine state of a guest thread. All but Interrupt is called by the goroutine of its task.
type guestContext struct {
	platform.NoCPUNumbers

	context  *trapgate.Context
	made     error              // why there is none
	segments trapgate.Registers // of a new context
	regs     trapgate.Registers // of the last switch, or for the next one
	event    trapgate.Event     // of the last switch
	fp       fpOwner
	fpState  []byte // as large as the library wants it; gVisor leaves parts out
}

func newGuestContext(p *guestPlatform) *guestContext {
	c := &guestContext{fpState: make([]byte, p.fpStateSize)}
	if c.context, c.made = p.opened.NewContext(); c.made == nil {
		c.regs, c.made = c.context.Registers()
		c.segments = c.regs
	}
	return c
}

// Switch implements platform.Context.
func (c *guestContext) Switch(ctx context.Context, mm platform.MemoryManager, ac *arch.Context64, _ int32) (
	*linux.SignalInfo, hostarch.AccessType, error) {
	if c.made != nil {
		return nil, hostarch.NoAccess, failure(c.made)
	}
	space := mm.AddressSpace().(*addressSpace)
	for {
		if err := c.run(space, ac); err != nil {
			return refused(err)
		}
		info, access, err := told(&c.event, ac)
		if info != nil && info.Signo == int32(linux.SIGSEGV) && platform.TryCPUIDEmulate(ctx, mm, ac) {
			continue
		}
		return info, access, err
	}
}

// run takes the guest's state from the sentry and puts it back there.
func (c *guestContext) run(space *addressSpace, ac *arch.Context64) error {
	if err := c.pushFPState(ac); err != nil {
		return err
	}
	c.loadRegisters(ac)
	if err := c.context.Exchange(space.subprocess, &c.regs, trapgate.ExchangeAll, &c.event); err != nil {
		return err
	}
	c.fp = fpLibrary
	c.storeRegisters(ac)
	return nil
}

// told translates an event into what Switch returns.
func told(event *trapgate.Event, ac *arch.Context64) (*linux.SignalInfo, hostarch.AccessType, error) {
	switch event.Kind {
	case trapgate.KindSyscall:
		return toldSyscall(event, ac)
	case trapgate.KindFault:
		return signal(int32(event.Fault.Signal), event.Fault.Code, event.Fault.Addr, accessOf(&event.Fault))
	case trapgate.KindException:
		return signal(int32(event.Exception.Signal), event.Exception.Code, event.Exception.Addr, hostarch.NoAccess)
	case trapgate.KindInterrupted:
		return nil, hostarch.NoAccess, platform.ErrContextInterrupt
	}
	return nil, hostarch.NoAccess, failure(errors.New("the guest's address space has died: " + event.String()))
}

func signal(signo, code int32, addr uint64, access hostarch.AccessType) (*linux.SignalInfo, hostarch.AccessType, error) {
	info := &linux.SignalInfo{Signo: signo, Code: code}
	info.SetAddr(addr)
	return info, access, platform.ErrContextSignal
}

// refused is for registers that no processor takes: what a guest gets that returns to such a place by itself.
func refused(err error) (*linux.SignalInfo, hostarch.AccessType, error) {
	if errors.Is(err, syscall.EINVAL) && !errors.Is(err, trapgate.ErrClosed) {
		return signal(int32(linux.SIGSEGV), linux.SI_KERNEL, 0, hostarch.NoAccess)
	}
	return nil, hostarch.NoAccess, failure(err)
}

func failure(err error) error {
	errno := unix.ECHILD
	errors.As(err, &errno)
	return &platform.ContextError{Err: err, Errno: errno}
}

// accessOf is what the sentry is to serve. Of SIGBUS nothing: it comes of memory that the sentry has mapped.
func accessOf(fault *trapgate.Fault) hostarch.AccessType {
	switch {
	case fault.Signal != syscall.SIGSEGV:
		return hostarch.NoAccess
	case fault.Access == 0:
		return hostarch.Read
	}
	return hostarch.AccessType{
		Read:    fault.Access&trapgate.AccessRead != 0,
		Write:   fault.Access&trapgate.AccessWrite != 0,
		Execute: fault.Access&trapgate.AccessExec != 0,
	}
}

func (c *guestContext) pushFPState(ac *arch.Context64) error {
	if c.fp != fpSentry {
		return nil
	}
	clear(c.fpState[copy(c.fpState, *ac.FloatingPointData()):])
	if err := c.context.SetFPState(c.fpState); err != nil {
		return err
	}
	c.fp = fpBoth
	return nil
}

// PullFullState implements platform.Context.
func (c *guestContext) PullFullState(_ platform.AddressSpace, ac *arch.Context64) error {
	if c.fp != fpLibrary {
		return nil
	}
	if err := c.context.FPState(c.fpState); err != nil {
		return failure(err)
	}
	copy(*ac.FloatingPointData(), c.fpState)
	c.fp = fpBoth
	return nil
}

// FullStateChanged implements platform.Context.
func (c *guestContext) FullStateChanged() { c.fp = fpSentry }

// Interrupt implements platform.Context. It stays until a switch has said so.
func (c *guestContext) Interrupt() {
	if c.made == nil {
		_ = c.context.Interrupt() // fails only for a context that is released, which nobody switches
	}
}

// Release implements platform.Context.
func (c *guestContext) Release() {
	if c.context != nil {
		_ = c.context.Close() // never fails
	}
}

// Preempt implements platform.Context.
func (*guestContext) Preempt() {}

// PrepareSleep implements platform.Context.
func (*guestContext) PrepareSleep() {}

// PrepareUninterruptibleSleep implements platform.Context.
func (*guestContext) PrepareUninterruptibleSleep() {}

// PrepareStop implements platform.Context.
func (*guestContext) PrepareStop() {}

// PrepareExecve implements platform.Context.
func (*guestContext) PrepareExecve() {}

// PrepareExit implements platform.Context.
func (*guestContext) PrepareExit() {}
