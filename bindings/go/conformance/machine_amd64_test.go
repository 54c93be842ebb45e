// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"encoding/binary"
	"os"
	"strings"

	"trapgate.dev/go/trapgate/internal/native"
)

// has says what this processor and kernel let user code do, by the names of /proc/cpuinfo.
func has(feature string) bool {
	if feature == "" {
		return true
	}
	if feature == "fsgsbase" { // the kernel has to allow it: AT_HWCAP2, bit 1
		auxv := must(os.ReadFile("/proc/self/auxv"))
		for ; len(auxv) >= 16; auxv = auxv[16:] {
			if binary.LittleEndian.Uint64(auxv) == 26 {
				return binary.LittleEndian.Uint64(auxv[8:])&2 != 0
			}
		}
		return false
	}
	for _, line := range strings.Split(string(must(os.ReadFile("/proc/cpuinfo"))), "\n") {
		if strings.HasPrefix(line, "flags") {
			return strings.Contains(line+" ", " "+feature+" ")
		}
	}
	return false
}

// runNative is the signal that a guest dies of natively, 0 if none.
func runNative(name string) int {
	signal := native.Run(code(name))
	check(signal >= 0 && signal < 65, "the code can be run natively")
	return signal
}
