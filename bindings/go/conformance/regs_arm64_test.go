// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import "trapgate.dev/go/trapgate"

const callLength = 4 // of the instruction that makes a system call

// words are the general registers but pc and flags. A system call instruction destroys none.
func words(r *trapgate.Registers, _ bool) (all []*uint64) {
	for i := range r.X {
		all = append(all, &r.X[i])
	}
	return append(all, &r.StackPtr)
}

// fillRegisters gives every general register apart from pc, sp and flags a value of its own.
func fillRegisters(r *trapgate.Registers, seed uint64) {
	for i := range r.X {
		r.X[i] = (seed + uint64(i) + 1) * 0x9e3779b97f4a7c15
	}
}

func argument(r *trapgate.Registers, index int) *uint64 { return &r.X[index] }

// common is a register that has a name on every architecture.
func common(r *trapgate.Registers, name string) *uint64 {
	return map[string]*uint64{"ip": &r.PC, "sp": &r.StackPtr, "nr": &r.X[8]}[name]
}
