// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import "trapgate.dev/go/trapgate"

const sysMemfdCreate = 279

func argument(r *trapgate.Registers, index int) *uint64 { return &r.X[index] }

// common is a register that has a name on every architecture.
func common(r *trapgate.Registers, name string) *uint64 {
	return map[string]*uint64{"ip": &r.PC, "sp": &r.StackPtr, "nr": &r.X[8]}[name]
}
