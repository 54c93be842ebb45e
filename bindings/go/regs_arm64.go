// SPDX-License-Identifier: Apache-2.0 OR MIT

package trapgate

// #include "shim.h"
import "C"

import "unsafe"

// Registers are the general registers of an AArch64 guest thread, in the order of the kernel's user_pt_regs.
type Registers struct {
	size, arch uint32

	X        [31]uint64 // at a Syscall event: X[8] is the system call number
	StackPtr uint64
	PC       uint64 // at a Syscall event: behind the instruction
	PState   uint64 // bit 21 (SS) runs a single instruction
	TPIDR    uint64 // thread-local storage; Context.SetTLS sets this one
}

const flagSS = 1 << 21

// The two layouts are one: a difference is a negative array length.
var _ [unsafe.Sizeof(Registers{}) - unsafe.Sizeof(C.tg_regs{})]struct{}
var _ [unsafe.Sizeof(C.tg_regs{}) - unsafe.Sizeof(Registers{})]struct{}

// IP is the instruction pointer.
func (r *Registers) IP() uint64 { return r.PC }

// SetIP moves the guest.
func (r *Registers) SetIP(ip uint64) { r.PC = ip }

// SP is the stack pointer.
func (r *Registers) SP() uint64 { return r.StackPtr }

// SetSP moves the stack.
func (r *Registers) SetSP(sp uint64) { r.StackPtr = sp }

// Arg is the register that carries system call argument index, 0 to 5.
func (r *Registers) Arg(index int) uint64 { return r.X[:6][index] }

// SetArg changes the register that carries system call argument index, 0 to 5.
func (r *Registers) SetArg(index int, value uint64) { r.X[:6][index] = value }

// SetSyscall sets the register that carries the number when the guest makes a system call.
func (r *Registers) SetSyscall(nr uint64) { r.X[8] = nr }

// SetStep asks for an Exception event behind the next instruction, or stops asking.
func (r *Registers) SetStep(on bool) {
	r.PState &^= flagSS
	if on {
		r.PState |= flagSS
	}
}
