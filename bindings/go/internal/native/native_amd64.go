// SPDX-License-Identifier: Apache-2.0 OR MIT

// Package native runs guest code as an ordinary process of the host, without the library: what the kernel says there is
// what the library has to say. For tests.
package native

// #include "native_amd64.h"
import "C"

import "unsafe"

// Run runs the code in a child, and says which signal it died of: 0 if it ran to its end without one.
func Run(code []byte) int { return int(C.native_run(unsafe.Pointer(&code[0]), C.size_t(len(code)))) }
