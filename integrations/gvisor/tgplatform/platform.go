// SPDX-License-Identifier: Apache-2.0 OR MIT

// Package tgplatform runs what gVisor's sentry runs by Trapgate. Importing it registers two platforms: trapgate, whose
// guests make their calls into shared memory, and trapgate-ptrace.
package tgplatform

import (
	"errors"
	"fmt"
	"math"
	"syscall"

	"gvisor.dev/gvisor/pkg/context"
	"gvisor.dev/gvisor/pkg/fd"
	"gvisor.dev/gvisor/pkg/hostarch"
	"gvisor.dev/gvisor/pkg/sentry/hostmm"
	"gvisor.dev/gvisor/pkg/sentry/platform"

	"trapgate.dev/go/trapgate"
)

func init() {
	for _, backend := range []trapgate.Backend{trapgate.BackendSystrap, trapgate.BackendPtrace} {
		platform.Register(nameOf(backend), constructor{backend})
	}
}

func nameOf(backend trapgate.Backend) string {
	if backend == trapgate.BackendSystrap {
		return "trapgate"
	}
	return "trapgate-" + backend.String()
}

type constructor struct {
	backend trapgate.Backend
}

// New implements platform.Constructor.
func (c constructor) New(opts platform.Options) (platform.Platform, error) {
	barrier := hostmm.Probe(false)
	opened, err := open(trapgate.Options{Backend: c.backend, Flags: flagsFor(opts)})
	if err != nil {
		return nil, err
	}
	info, err := opened.Info()
	if err != nil {
		return nil, err
	}
	if err := trapgate.IgnoreChildStops(); err != nil {
		return nil, err
	}
	opts.StartupTimer.Reached("trapgate opened")
	return &guestPlatform{
		UseHostGlobalMemoryBarrier: platform.UseHostGlobalMemoryBarrier{MemBarrier: <-barrier},
		opened:                     opened,
		backend:                    c.backend,
		addresses:                  addressesOf(info),
		fpStateSize:                info.FPStateSize,
	}, nil
}

func flagsFor(opts platform.Options) trapgate.OpenFlags {
	if opts.DisableSyscallPatching {
		return trapgate.OpenNoPatching
	}
	return 0
}

// open has the CPUID instruction handed to the sentry where the processor can do that.
func open(options trapgate.Options) (*trapgate.Platform, error) {
	trapping := options
	trapping.Flags |= trapgate.OpenTrapCPUID
	opened, err := trapgate.Open(trapping)
	if errors.Is(err, syscall.EOPNOTSUPP) {
		opened, err = trapgate.Open(options)
	}
	return opened, err
}

// OpenDevice implements platform.Constructor.
func (constructor) OpenDevice(string) (*fd.FD, error) { return nil, nil }

// Requirements implements platform.Constructor.
func (constructor) Requirements() platform.Requirements { return platform.Requirements{} }

// PrecompiledSeccompInfo implements platform.Constructor.
func (c constructor) PrecompiledSeccompInfo() []platform.SeccompInfo {
	return []platform.SeccompInfo{seccompInfo{c.backend}}
}

type guestPlatform struct {
	platform.NoCPUPreemptionDetection
	platform.NoCPUNumbers
	platform.UseHostGlobalMemoryBarrier

	opened      *trapgate.Platform
	backend     trapgate.Backend
	addresses   addresses
	fpStateSize int
}

// addresses are those that guests can have: one range, for gVisor knows of no holes.
type addresses struct {
	min, max hostarch.Addr // max is exclusive
}

// addressesOf leaves out what is below a reserved range at the lower end, and what is not there in every sandbox: a
// guest's layout should not depend on which one it runs in.
func addressesOf(info trapgate.Info) addresses {
	a := addresses{hostarch.Addr(info.User.Start), hostarch.Addr(info.UserEndMin)}
	for _, reserved := range info.Reserved {
		if end := hostarch.Addr(reserved.End); end > a.min && end < a.max {
			a.min = end
		}
	}
	return a
}

// SupportsAddressSpaceIO implements platform.Platform.
func (*guestPlatform) SupportsAddressSpaceIO() bool { return false }

// MapUnit implements platform.Platform: the host manages page tables, and large mappings cost no more than small ones.
func (*guestPlatform) MapUnit() uint64 { return 0 }

// MinUserAddress implements platform.Platform.
func (p *guestPlatform) MinUserAddress() hostarch.Addr { return p.addresses.min }

// MaxUserAddress implements platform.Platform.
func (p *guestPlatform) MaxUserAddress() hostarch.Addr { return p.addresses.max }

// ConcurrencyCount implements platform.Platform.
func (*guestPlatform) ConcurrencyCount() int { return math.MaxInt }

// NewAddressSpace implements platform.Platform.
func (p *guestPlatform) NewAddressSpace() (platform.AddressSpace, error) {
	subprocess, err := p.opened.NewSubprocess()
	if err != nil {
		return nil, fmt.Errorf("no address space for a guest: %w", err)
	}
	return &addressSpace{subprocess: subprocess, addresses: p.addresses}, nil
}

// NewContext implements platform.Platform.
func (p *guestPlatform) NewContext(context.Context) platform.Context { return newGuestContext(p) }

// SeccompInfo implements platform.Platform.
func (p *guestPlatform) SeccompInfo() platform.SeccompInfo { return seccompInfo{p.backend} }
