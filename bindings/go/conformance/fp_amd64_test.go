// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"runtime"
	"syscall"

	"trapgate.dev/go/trapgate"
)

func init() {
	areas = append(areas, []testCase{
		{"fp.get_set", embedderReadsAndWrites},
	})
}

const (
	block    = 4096
	sseBytes = 256
	xmmAt    = 160
)

// registers are the contents of all SSE registers, different ones for each seed.
func registers(seed int) []byte { return pattern(sseBytes + seed)[seed:] }

func embedderReadsAndWrites(b trapgate.Backend) {
	runtime.LockOSThread()
	g := open(b, "fp_load_once")
	state, stored := make([]byte, g.info().FPStateSize), make([]byte, sseBytes)
	xmm := state[xmmAt : xmmAt+sseBytes]
	for i, flags := range []trapgate.ContextFlags{0, trapgate.ContextOneThread} {
		g.restart()
		ok(g.context.SetFlags(flags))
		loaded := registers(10 + i)
		must(g.subprocess.WriteMemory(dataAt, loaded))
		setArg(g.context, 0, dataAt)
		setArg(g.context, 1, dataAt+block)
		g.call()
		ok(g.context.FPState(state))
		same(xmm, loaded)

		set := registers(20 + i)
		copy(xmm, set)
		ok(g.context.SetFPState(state))
		copy(xmm, make([]byte, sseBytes))
		ok(g.context.FPState(state))
		same(xmm, set)
		g.call()
		must(g.subprocess.ReadMemory(dataAt+block, stored))
		same(stored, set)
	}
	refused(g.context.FPState(state[1:]), syscall.EINVAL)
	for _, wrong := range [][]byte{state[1:], append(state, 0), {}} {
		refused(g.context.SetFPState(wrong), syscall.EINVAL)
	}
	g.close()
}
