// SPDX-License-Identifier: Apache-2.0 OR MIT

package trapgate

// #include "shim.h"
import "C"

import "unsafe"

// Registers are the general registers of an x86-64 guest thread, in the order of the kernel's user_regs_struct.
type Registers struct {
	size, arch uint32

	R15, R14, R13, R12 uint64
	RBP, RBX           uint64
	R11, R10, R9, R8   uint64
	RAX                uint64 // at a Syscall event: the system call number, as the guest had it
	RCX, RDX, RSI, RDI uint64
	OrigRAX            uint64 // at a Syscall event: the number; otherwise all ones; ignored when set
	RIP                uint64 // at a Syscall event: behind the instruction
	CS                 uint64
	EFlags             uint64 // bit 8 (TF) runs a single instruction; ptrace(2) cannot set bit 21 (ID)
	RSP, SS            uint64
	FSBase             uint64 // thread-local storage; Context.SetTLS sets this one
	GSBase             uint64
	DS, ES, FS, GS     uint64
}

const flagTF = 0x100

// The two layouts are one: a difference is a negative array length.
var _ [unsafe.Sizeof(Registers{}) - unsafe.Sizeof(C.tg_regs{})]struct{}
var _ [unsafe.Sizeof(C.tg_regs{}) - unsafe.Sizeof(Registers{})]struct{}
var _ [unsafe.Offsetof(Registers{}.RIP) - unsafe.Offsetof(C.tg_regs{}.rip)]struct{}
var _ [unsafe.Offsetof(C.tg_regs{}.gs) - unsafe.Offsetof(Registers{}.GS)]struct{}

// IP is the instruction pointer.
func (r *Registers) IP() uint64 { return r.RIP }

// SetIP moves the guest.
func (r *Registers) SetIP(ip uint64) { r.RIP = ip }

// SP is the stack pointer.
func (r *Registers) SP() uint64 { return r.RSP }

// SetSP moves the stack.
func (r *Registers) SetSP(sp uint64) { r.RSP = sp }

func (r *Registers) argument(index int) *uint64 {
	return [...]*uint64{&r.RDI, &r.RSI, &r.RDX, &r.R10, &r.R8, &r.R9}[index]
}

// Arg is the register that carries system call argument index, 0 to 5.
func (r *Registers) Arg(index int) uint64 { return *r.argument(index) }

// SetArg changes the register that carries system call argument index, 0 to 5.
func (r *Registers) SetArg(index int, value uint64) { *r.argument(index) = value }

// SetSyscall sets the register that carries the number when the guest makes a system call.
func (r *Registers) SetSyscall(nr uint64) { r.RAX = nr }

// SetStep asks for an Exception event behind the next instruction, or stops asking.
func (r *Registers) SetStep(on bool) {
	r.EFlags &^= flagTF
	if on {
		r.EFlags |= flagTF
	}
}
