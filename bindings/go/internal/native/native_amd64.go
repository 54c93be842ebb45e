// SPDX-License-Identifier: Apache-2.0 OR MIT

// Package native runs guest code as an ordinary process of the host, without the library: what the kernel says there is
// what the library has to say. For tests.
package native

// #include "native_amd64.h"
import "C"

import "unsafe"

// Signal is what ended the code.
type Signal struct {
	Number     int // 0: the code ran to its end without a signal; one without a code: it died of that
	Code       int32
	Addr       uint64
	AddrInCode bool   // Addr is an offset into the code, not an address
	IP         uint64 // offset into the code
}

// Run runs the code in a child. The result is false when that could not be done.
func Run(code []byte) (Signal, bool) {
	var seen C.struct_native_signal
	if C.native_run(unsafe.Pointer(&code[0]), C.size_t(len(code)), &seen) != 0 {
		return Signal{}, false
	}
	return Signal{int(seen.number), int32(seen.code), uint64(seen.addr), seen.addr_in_code != 0, uint64(seen.ip)}, true
}

// UpdatesAreWrites reports whether the processor calls the first fault of an instruction that reads and writes a write.
func UpdatesAreWrites() bool {
	return C.native_updates_are_writes() == 1
}
