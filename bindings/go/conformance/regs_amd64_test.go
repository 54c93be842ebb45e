// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import "trapgate.dev/go/trapgate"

const callLength = 2 // of the instruction that makes a system call

// words are the general registers but ip and flags; without those that a system call instruction destroys if asked.
func words(r *trapgate.Registers, afterCall bool) []*uint64 {
	all := []*uint64{&r.RAX, &r.RBX, &r.RDX, &r.RSI, &r.RDI, &r.RBP, &r.R8, &r.R9, &r.R10, &r.R12, &r.R13, &r.R14,
		&r.R15, &r.RSP, &r.RCX, &r.R11}
	if afterCall {
		return all[:len(all)-2]
	}
	return all
}

// fillRegisters gives every general register apart from ip, sp and flags a value of its own.
func fillRegisters(r *trapgate.Registers, seed uint64) {
	sp := r.RSP
	for i, word := range words(r, false) {
		*word = (seed + uint64(i) + 1) * 0x9e3779b97f4a7c15
	}
	r.RSP = sp
}

func argument(r *trapgate.Registers, index int) *uint64 {
	return [...]*uint64{&r.RDI, &r.RSI, &r.RDX, &r.R10, &r.R8, &r.R9}[index]
}

// common is a register that has a name on every architecture.
func common(r *trapgate.Registers, name string) *uint64 {
	return map[string]*uint64{"ip": &r.RIP, "sp": &r.RSP, "nr": &r.RAX}[name]
}
