// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"syscall"

	"trapgate.dev/go/trapgate"
)

func init() {
	areas = append(areas, []testCase{
		{"descriptor.zero", zeroIsMeant},
	})
}

// In Go a descriptor is always meant, 0 included.
func zeroIsMeant(b trapgate.Backend) {
	g := open(b, "call_loop")
	file := memoryFile(g.page)
	must(syscall.Pwrite(file, []byte{42}, 0))
	ok(syscall.Dup3(file, 0, 0))
	ok(g.subprocess.MapFile(holeAt, g.page, trapgate.ProtRead, trapgate.MapShared, 0, 0))
	equal(loadWord(g.subprocess, holeAt), 42)
	equal(must(g.subprocess.Apply([]trapgate.MemOp{
		trapgate.MapFileOp(holeAt, g.page, trapgate.ProtRead, trapgate.MapShared, 0, 0)})), 1)
	ok(syscall.Close(file))
	g.close()
}
