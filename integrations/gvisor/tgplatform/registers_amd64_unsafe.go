// SPDX-License-Identifier: Apache-2.0 OR MIT

package tgplatform

import (
	"unsafe"

	"gvisor.dev/gvisor/pkg/abi/linux"

	"trapgate.dev/go/trapgate"
)

// ptraceRegs is the part of the registers that is laid out as the kernel's user_regs_struct.
func ptraceRegs(regs *trapgate.Registers) *linux.PtraceRegs {
	return (*linux.PtraceRegs)(unsafe.Pointer(&regs.R15))
}

// The two layouts are one: a difference is a negative array length.
const before = unsafe.Offsetof(trapgate.Registers{}.R15)

var _ [unsafe.Sizeof(trapgate.Registers{}) - (before + unsafe.Sizeof(linux.PtraceRegs{}))]struct{}
var _ [before + unsafe.Sizeof(linux.PtraceRegs{}) - unsafe.Sizeof(trapgate.Registers{})]struct{}
var _ [unsafe.Offsetof(trapgate.Registers{}.RIP) - (before + unsafe.Offsetof(linux.PtraceRegs{}.Rip))]struct{}
var _ [before + unsafe.Offsetof(linux.PtraceRegs{}.Gs) - unsafe.Offsetof(trapgate.Registers{}.GS)]struct{}
