// SPDX-License-Identifier: Apache-2.0 OR MIT

package tgplatform

import (
	"errors"
	"fmt"
	"syscall"

	"gvisor.dev/gvisor/pkg/hostarch"
	"gvisor.dev/gvisor/pkg/log"
	"gvisor.dev/gvisor/pkg/sentry/memmap"
	"gvisor.dev/gvisor/pkg/sentry/platform"

	"trapgate.dev/go/trapgate"
)

type addressSpace struct {
	platform.NoAddressSpaceIO

	subprocess *trapgate.Subprocess
	addresses  addresses
}

// MapFile implements platform.AddressSpace.
func (a *addressSpace) MapFile(addr hostarch.Addr, file memmap.File, fr memmap.FileRange, at hostarch.AccessType,
	precommit bool) error {
	descriptor, err := file.DataFD(fr)
	if err != nil {
		return err
	}
	err = a.subprocess.MapFile(uint64(addr), fr.Length(), protOf(at), flagsOf(at, precommit), descriptor, fr.Start)
	var failure *trapgate.Error
	if errors.As(err, &failure) {
		log.Debugf("Mapping %#x: %v", addr, err)
		return failure.Errno // gVisor looks for a number
	}
	return err
}

func protOf(at hostarch.AccessType) (prot trapgate.Prot) {
	if at.Read {
		prot |= trapgate.ProtRead
	}
	if at.Write {
		prot |= trapgate.ProtWrite
	}
	if at.Execute {
		prot |= trapgate.ProtExec
	}
	return prot
}

// flagsOf lets calls in code be patched. gVisor maps everything shared, because its own memory is what guests have; of
// code that nobody can write through this mapping, pages that are patched are the guest's own instead.
func flagsOf(at hostarch.AccessType, precommit bool) trapgate.MapFlags {
	flags := trapgate.MapShared
	if at.Execute && !at.Write {
		flags |= trapgate.MapCode
	}
	if precommit {
		flags |= trapgate.MapPopulate
	}
	return flags
}

// Unmap implements platform.AddressSpace. It may be asked for what no guest can have, where nothing is mapped.
func (a *addressSpace) Unmap(addr hostarch.Addr, length uint64) {
	start, end := max(addr, a.addresses.min), min(addr+hostarch.Addr(length), a.addresses.max)
	if start >= end {
		return
	}
	err := a.subprocess.Unmap(uint64(start), uint64(end-start))
	if err != nil && !errors.Is(err, syscall.ESRCH) && !errors.Is(err, trapgate.ErrClosed) {
		// The guest would go on with memory that is somebody else's by now.
		panic(fmt.Sprintf("unmapping %#x to %#x: %v", start, end, err))
	}
}

// Release implements platform.AddressSpace. Waiting for a process to end is nothing for the goroutine of a task.
func (a *addressSpace) Release() {
	go func() {
		if err := a.subprocess.Close(); err != nil {
			log.Warningf("Closing an address space: %v", err)
		}
	}()
}

// PreFork implements platform.AddressSpace.
func (*addressSpace) PreFork() {}

// PostFork implements platform.AddressSpace.
func (*addressSpace) PostFork() {}
