// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"encoding/binary"
	"errors"
	"runtime"
	"syscall"

	"trapgate.dev/go/trapgate"
)

func init() {
	areas = append(areas, []testCase{
		{"fp.get_set", embedderReadsAndWrites},
		{"fp.refused", badStatesAreRefused},
		{"fp.one_thread", oneThreadRule},
	})
}

const (
	block        = 4096
	sseBytes     = 256
	initialMXCSR = 0x1f80
	mxcsrAt      = 24
	xmmAt        = 160
	headerAt     = 512
)

func fillAny(bytes []byte, seed uint64) {
	for i := range bytes {
		seed = seed*6364136223846793005 + 1442695040888963407
		bytes[i] = byte(seed >> 56)
	}
}

func ssePattern(seed uint64) []byte {
	bytes := make([]byte, sseBytes)
	fillAny(bytes, seed)
	return bytes
}

func write(s *trapgate.Subprocess, addr uint64, bytes []byte) { must(s.WriteMemory(addr, bytes)) }

func read(s *trapgate.Subprocess, addr uint64, length int) []byte {
	bytes := make([]byte, length)
	must(s.ReadMemory(addr, bytes))
	return bytes
}

func (g *guest) newState() []byte { return make([]byte, g.info().FPStateSize) }

// arguments sets the first registers that carry arguments.
func (g *guest) arguments(values ...uint64) {
	change(g.context, func(r *trapgate.Registers) {
		for i, value := range values {
			r.SetArg(i, value)
		}
	})
}

func embedderReadsAndWrites(b trapgate.Backend) {
	runtime.LockOSThread()
	g := open(b, "fp_load_once")
	state := g.newState()
	xmm := state[xmmAt : xmmAt+sseBytes]
	for i, flags := range []trapgate.ContextFlags{0, trapgate.ContextOneThread} {
		g.restart()
		ok(g.context.SetFlags(flags))
		loaded := ssePattern(10 + uint64(i))
		write(g.subprocess, dataAt, loaded)
		g.arguments(dataAt, dataAt+block)
		g.call()
		ok(g.context.FPState(state))
		same(xmm, loaded)

		set := ssePattern(20 + uint64(i))
		copy(xmm, set)
		ok(g.context.SetFPState(state))
		copy(xmm, make([]byte, sseBytes))
		ok(g.context.FPState(state))
		same(xmm, set)
		g.call()
		same(read(g.subprocess, dataAt+block, sseBytes), set)
	}
	g.close()
}

func badStatesAreRefused(b trapgate.Backend) {
	g := open(b, "fp_load_once")
	state := g.newState()
	loaded := ssePattern(3)
	write(g.subprocess, dataAt, loaded)
	g.arguments(dataAt, dataAt+block)
	g.call()
	ok(g.context.FPState(state))
	refused(g.context.FPState(state[1:]), syscall.EINVAL)
	refused(g.context.SetFPState(state[1:]), syscall.EINVAL)
	refused(g.context.SetFPState(append(append([]byte{}, state...), 0)), syscall.EINVAL)
	refused(g.context.SetFPState([]byte{}), syscall.EINVAL)
	refuse := func(at int, value uint64, size int) {
		bad := append([]byte{}, state...)
		for i := xmmAt; i < xmmAt+sseBytes; i++ {
			bad[i] = 0
		}
		var bytes [8]byte
		binary.LittleEndian.PutUint64(bytes[:], value)
		copy(bad[at:at+size], bytes[:])
		refused(g.context.SetFPState(bad), syscall.EINVAL)
	}
	refuse(mxcsrAt, 0xffff0000|initialMXCSR, 4)
	if has("xsave") {
		refuse(headerAt, 1<<62|3, 8)
		refuse(headerAt+8, 1<<63, 8)
		refuse(headerAt+16, 1, 8)
	}
	ok(g.context.FPState(state))
	same(state[xmmAt:xmmAt+sseBytes], loaded)
	g.call()
	g.close()
}

// wantForeign looks what another thread gets while the first keeps the state in the stub.
func (g *guest) wantForeign(state []byte, errno syscall.Errno) {
	inThread(func() {
		copied := createContext(g.platform)
		refused(g.context.FPState(state), errno)
		refused(copied.CopyFrom(g.context), errno)
		_, err := g.context.Switch(background, g.subprocess)
		refused(err, errno)
		copied.Close()
	})
}

func (g *guest) startOneThread() {
	g.restart()
	ok(g.context.SetFlags(trapgate.ContextOneThread))
	g.arguments(dataAt, dataAt+block)
	g.call()
}

func oneThreadRule(b trapgate.Backend) {
	runtime.LockOSThread()
	// On other backends a state belongs to no thread, and the flag changes nothing.
	errno := syscall.Errno(0)
	if b == trapgate.BackendPtrace {
		errno = syscall.EBUSY
	}
	g := open(b, "fp_load_once")
	loaded := ssePattern(13)
	write(g.subprocess, dataAt, loaded)
	state := g.newState()
	xmm := state[xmmAt : xmmAt+sseBytes]

	g.startOneThread()
	g.wantForeign(state, errno)
	if _, err := g.context.Switch(background, g.subprocess); errors.Is(err, syscall.EBUSY) {
		fail(0, "the thread itself is refused: %v", err)
	}
	ok(g.context.FPState(state))
	same(xmm, loaded)
	g.wantForeign(state, 0)

	g.startOneThread()
	g.wantForeign(state, errno)
	ok(g.context.SetFlags(0))
	copy(xmm, make([]byte, sseBytes))
	g.wantForeign(state, 0)
	same(xmm, loaded)
	g.close()
}
