// SPDX-License-Identifier: Apache-2.0 OR MIT

package tgplatform

import (
	"math"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/abi/linux"
	"gvisor.dev/gvisor/pkg/hostarch"
	"gvisor.dev/gvisor/pkg/sentry/arch"
	"gvisor.dev/gvisor/pkg/sentry/platform"

	"trapgate.dev/go/trapgate"
)

// loadRegisters takes the sentry's registers. The selectors stay those of the host's user mode, as in gVisor's own
// platforms.
func (c *guestContext) loadRegisters(ac *arch.Context64) {
	from := &ac.StateData().Regs
	to := &c.regs
	*ptraceRegs(to) = from.PtraceRegs
	to.CS, to.SS = c.segments.CS, c.segments.SS
	to.DS, to.ES, to.FS, to.GS = c.segments.DS, c.segments.ES, c.segments.FS, c.segments.GS
}

func (c *guestContext) storeRegisters(ac *arch.Context64) {
	ac.StateData().Regs.PtraceRegs = *ptraceRegs(&c.regs)
}

// The kernel's vsyscall page and what its entries do.
var vsyscallEntries = map[uint64]uint64{
	unix.SYS_GETTIMEOFDAY: 0xffffffffff600000,
	unix.SYS_TIME:         0xffffffffff600400,
	unix.SYS_GETCPU:       0xffffffffff600800,
}

const noSyscall = math.MaxUint64 // a number that no call has

// toldSyscall tells of a call. An entry of the vsyscall page is a fault there to the sentry, and of 32-bit calls, whose
// numbers are others, it knows none.
func toldSyscall(event *trapgate.Event, ac *arch.Context64) (*linux.SignalInfo, hostarch.AccessType, error) {
	regs := &ac.StateData().Regs
	switch {
	case event.Flags&trapgate.FlagVsyscall != 0:
		// The host has returned to the caller already.
		regs.Rip = vsyscallEntries[event.Syscall.Nr]
		regs.Rsp -= 8
		return signal(int32(linux.SIGSEGV), segvMapError, regs.Rip, hostarch.Execute)
	case event.Flags&trapgate.FlagCompat != 0:
		regs.Orig_rax = noSyscall
	}
	return nil, hostarch.NoAccess, nil
}

const segvMapError = 1 // SEGV_MAPERR

var _ platform.Context = (*guestContext)(nil)
