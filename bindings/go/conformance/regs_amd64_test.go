// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import "trapgate.dev/go/trapgate"

const sysMemfdCreate = 319

func argument(r *trapgate.Registers, index int) *uint64 {
	return [...]*uint64{&r.RDI, &r.RSI, &r.RDX, &r.R10, &r.R8, &r.R9}[index]
}

// common is a register that has a name on every architecture.
func common(r *trapgate.Registers, name string) *uint64 {
	return map[string]*uint64{"ip": &r.RIP, "sp": &r.RSP, "nr": &r.RAX}[name]
}
