// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"runtime"
	"syscall"

	"trapgate.dev/go/trapgate"
)

func init() {
	areas = append(areas, []testCase{
		{"fp.calls", forEachPart(aloneInTheStub)},
		{"fp.shared_stub", forEachPart(func(g *guest, p fpPart) { inTurns(g, p, 0) })},
		{"fp.shared_stub_lazy", forEachPart(func(g *guest, p fpPart) { inTurns(g, p, trapgate.ContextOneThread) })},
		{"fp.subprocesses", forEachPart(func(g *guest, p fpPart) {
			acrossSubprocesses(g, p, 0)
			acrossSubprocesses(g, p, trapgate.ContextOneThread)
		})},
		{"fp.threads", forEachPart(acrossThreads)},
		{"fp.fork", forEachPart(toAFork)},
		{"fp.queue", forEachPart(throughOneQueue)},
		{"fp.death", forEachPart(diesElsewhere)},
		{"fp.faults", keptAcrossFaults},
		{"fp.interrupts", keptAcrossInterrupts},
		{"fp.clean", newContextIsClean},
		{"fp.initial", stateOfANewContext},
		{"fp.get_set", embedderReadsAndWrites},
		{"fp.set_first", setBeforeFirstSwitch},
		{"fp.refused", badStatesAreRefused},
		{"fp.one_thread", oneThreadRule},
		{"fp.one_thread_ends", oneThreadEnds},
	})
}

const (
	block        = 4096
	sseBytes     = 256
	initialFCW   = 0x37f
	initialMXCSR = 0x1f80
	mxcsrAt      = 24
	xmmAt        = 160
	headerAt     = 512
)

type fpPart struct {
	name, guest string
	bytes       int
	feature     string
	fill        func(bytes []byte, seed uint64)
}

var fpParts = []fpPart{
	{"x87", "fp_x87", 64, "", fillDoubles},
	{"SSE", "fp_sse", sseBytes, "", fillAny},
	{"AVX", "fp_avx", 512, "avx2", fillAny},
	{"AVX-512", "fp_avx512", 2064, "avx512f", fillAny},
	{"control words", "fp_control", 8, "", fillControl},
}

func fillAny(bytes []byte, seed uint64) {
	for i := range bytes {
		seed = seed*6364136223846793005 + 1442695040888963407
		bytes[i] = byte(seed >> 56)
	}
}

// fillDoubles makes numbers that a load and a store as double do not change.
func fillDoubles(bytes []byte, seed uint64) {
	for i := 0; i+8 <= len(bytes); i += 8 {
		binary.LittleEndian.PutUint64(bytes[i:], math.Float64bits(float64(seed*1000+uint64(i))+0.5))
	}
}

// fillControl makes rounding modes and masks that differ with the seed; seed 0 has MXCSR 0, everything unmasked.
func fillControl(bytes []byte, seed uint64) {
	for i := range bytes {
		bytes[i] = 0
	}
	binary.LittleEndian.PutUint16(bytes, uint16(initialFCW^(seed&3)<<10))
	if seed != 0 {
		binary.LittleEndian.PutUint32(bytes[4:], uint32(initialMXCSR^(seed&3)<<13^(seed&4)<<13))
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

// fpContext is one context with its input and output blocks in the guest's data.
type fpContext struct {
	fpPart
	context *trapgate.Context
	in, out uint64
	seed    uint64
}

func createFP(p *trapgate.Platform, part fpPart, index int) *fpContext {
	in := dataAt + 2*block*uint64(index)
	fp := &fpContext{part, createStarted(p), in, in + block, uint64(index)}
	change(fp.context, func(r *trapgate.Registers) {
		r.SetArg(0, fp.in)
		r.SetArg(1, fp.out)
	})
	return fp
}

// load puts the next pattern in place and runs to the first call: the state is loaded and nowhere else.
func (fp *fpContext) load(s *trapgate.Subprocess) {
	fp.seed += 16
	seed := fp.seed
	if seed%64 == 0 {
		seed = 0
	}
	bytes := make([]byte, block)
	fp.fill(bytes[:fp.bytes], seed)
	write(s, fp.in, bytes)
	event := run(fp.context, s)
	wantCall(&event, guestCall)
}

// check runs to the second call and compares what the guest stored with what it loaded.
func (fp *fpContext) check(s *trapgate.Subprocess) {
	event := run(fp.context, s)
	wantCall(&event, guestCall)
	same(read(s, fp.out, fp.bytes), read(s, fp.in, fp.bytes))
}

func forEachPart(scenario func(*guest, fpPart)) func(trapgate.Backend) {
	return func(b trapgate.Backend) {
		// Contexts with ContextOneThread ask for it, and the others do not mind.
		runtime.LockOSThread()
		for _, part := range fpParts {
			at("%s", part.name)
			if !has(part.feature) {
				fmt.Printf("%s: not on this processor\n", part.name)
				continue
			}
			g := open(b, part.guest)
			scenario(g, part)
			g.close()
		}
	}
}

func aloneInTheStub(g *guest, part fpPart) {
	fp := createFP(g.platform, part, 0)
	for i := 0; i < 8; i++ {
		fp.load(g.subprocess)
		fp.check(g.subprocess)
	}
	fp.context.Close()
}

// Many contexts take turns on one stub thread: each finds its own state.
func inTurns(g *guest, part fpPart, flags trapgate.ContextFlags) {
	var all [12]*fpContext
	for i := range all {
		all[i] = createFP(g.platform, part, i)
		ok(all[i].context.SetFlags(flags))
	}
	for round := 0; round < 5; round++ {
		for _, fp := range all {
			fp.load(g.subprocess)
		}
		for i := len(all) - 1; i >= 0; i-- {
			all[i].check(g.subprocess)
		}
	}
	for _, fp := range all {
		fp.context.Close()
	}
}

// Loaded in one address space, stored in another that shares the contents of data pages only by our copying.
func acrossSubprocesses(g *guest, part fpPart, flags trapgate.ContextFlags) {
	both := []*trapgate.Subprocess{g.subprocess, createLoaded(g.platform, code(part.guest))}
	fp, noise := createFP(g.platform, part, 0), createFP(g.platform, part, 1)
	ok(fp.context.SetFlags(flags))
	for i := 0; i < 6; i++ {
		from, to := both[i%2], both[(i+1)%2]
		noise.load(to)
		fp.load(from)
		noise.check(to)
		write(to, fp.in, read(from, fp.in, block))
		fp.check(to)
	}
	noise.context.Close()
	fp.context.Close()
	both[1].Close()
}

func acrossThreads(g *guest, part fpPart) {
	fp, noise := createFP(g.platform, part, 0), createFP(g.platform, part, 1)
	s := g.subprocess
	for i := 0; i < 6; i++ {
		inThread(func() { fp.load(s) })
		inThread(func() { noise.load(s) })
		fp.check(s)
		noise.check(s)
		fp.load(s)
		noise.load(s)
		inThread(func() { fp.check(s) })
		inThread(func() { noise.check(s) })
	}
	noise.context.Close()
	fp.context.Close()
}

func diesElsewhere(g *guest, part fpPart) {
	doomed := createLoaded(g.platform, code(part.guest))
	fp := createFP(g.platform, part, 0)
	fp.load(doomed)
	write(g.subprocess, fp.in, read(doomed, fp.in, block))
	kill(doomed)
	event := run(fp.context, doomed)
	wantKind(&event, trapgate.KindDead)
	fp.check(g.subprocess)
	fp.context.Close()
	doomed.Close()
}

func toAFork(g *guest, part fpPart) {
	parent := createFP(g.platform, part, 0)
	parent.load(g.subprocess)
	copied := forkOf(g.subprocess)
	child := *parent
	child.context = createContext(g.platform)
	ok(child.context.CopyFrom(parent.context))
	child.check(copied)
	child.load(copied)
	parent.check(g.subprocess)
	child.check(copied)
	child.context.Close()
	parent.context.Close()
	copied.Close()
}

func throughOneQueue(g *guest, part fpPart) {
	const contexts, most = 10, 8
	q := must(g.platform.NewQueue())
	var all [contexts]*fpContext
	var calls [contexts]int
	for i := range all {
		fp := createFP(g.platform, part, i)
		all[i] = fp
		bytes := make([]byte, part.bytes)
		part.fill(bytes, uint64(i))
		write(g.subprocess, fp.in, bytes)
		ok(fp.context.SetUserData(uint64(i)))
		if i%2 == 1 {
			ok(fp.context.SetFlags(trapgate.ContextOneThread))
		}
		ok(q.Submit(fp.context, g.subprocess))
	}
	for left := contexts * most; left > 0; left-- {
		event := waitOne(q)
		wantCall(&event, guestCall)
		i := event.UserData
		calls[i]++
		if calls[i]%2 == 0 {
			same(read(g.subprocess, all[i].out, part.bytes), read(g.subprocess, all[i].in, part.bytes))
		}
		if calls[i] < most {
			ok(q.Submit(event.Context, g.subprocess))
		}
	}
	q.Close()
	for _, fp := range all {
		fp.context.Close()
	}
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

func newContextIsClean(b trapgate.Backend) {
	g := open(b, "fp_look")
	load(g.subprocess, otherCode, code("fp_sse"))
	for round := 0; round < 3; round++ {
		// Somebody else's registers are in the stub.
		dirty := g.with(createAt(g.platform, otherCode))
		write(g.subprocess, dataAt, ssePattern(1))
		dirty.arguments(dataAt, dataAt+block)
		dirty.call()

		g.restart()
		g.arguments(0, dataAt+2*block)
		g.call()
		seen := read(g.subprocess, dataAt+2*block, sseBytes+8)
		same(seen[:sseBytes], make([]byte, sseBytes))
		equal(binary.LittleEndian.Uint16(seen[sseBytes:]), initialFCW)
		equal(binary.LittleEndian.Uint32(seen[sseBytes+4:]), initialMXCSR)
		dirty.context.Close()
	}
	g.close()
}

func stateOfANewContext(b trapgate.Backend) {
	g := open(b, "fp_look")
	state := g.newState()
	ok(g.context.FPState(state))
	equal(binary.LittleEndian.Uint16(state), initialFCW)
	equal(binary.LittleEndian.Uint32(state[mxcsrAt:]), initialMXCSR)
	ok(g.context.SetFPState(state))
	g.arguments(0, dataAt)
	g.call()
	g.close()
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

// setBeforeFirstSwitch: and starting again clears it.
func setBeforeFirstSwitch(b trapgate.Backend) {
	g := open(b, "fp_look")
	state := g.newState()
	ok(g.context.FPState(state))
	set := ssePattern(5)
	copy(state[xmmAt:], set)
	if has("xsave") {
		state[headerAt] |= 3
	}
	ok(g.context.SetFPState(state))
	g.arguments(0, dataAt)
	g.call()
	same(read(g.subprocess, dataAt, sseBytes), set)
	g.restart()
	g.arguments(0, dataAt)
	g.call()
	same(read(g.subprocess, dataAt, sseBytes), make([]byte, sseBytes))
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

func keptAcrossFaults(b trapgate.Backend) {
	g := open(b, "fp_fault")
	loaded := ssePattern(9)
	write(g.subprocess, dataAt, loaded)
	g.arguments(dataAt, dataAt+block, holeAt)
	g.run()
	wantFault(&g.event, holeAt, trapgate.AccessRead, syscall.SIGSEGV, segvMapErr)
	mapPages(g.subprocess, holeAt, g.page, protRW)
	g.call()
	same(read(g.subprocess, dataAt+block, sseBytes), loaded)
	g.close()
}

func keptAcrossInterrupts(b trapgate.Backend) {
	g := open(b, "fp_spin")
	loaded := ssePattern(10)
	write(g.subprocess, dataAt, loaded)
	g.arguments(dataAt, dataAt+block, dataAt+2*block)
	for i := 0; i < 20; i++ {
		join := start(g.run)
		waitChange(g.subprocess, dataAt+2*block, 0)
		ok(g.context.Interrupt())
		join()
		wantKind(&g.event, trapgate.KindInterrupted)
	}
	storeWord(g.subprocess, dataAt+2*block+8, 1)
	g.call()
	same(read(g.subprocess, dataAt+block, sseBytes), loaded)
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

// The thread that kept the state ends: the state is not lost with it.
func oneThreadEnds(b trapgate.Backend) {
	runtime.LockOSThread() // so that the other thread is not Go's first, which never ends
	g := open(b, "fp_load_once")
	loaded := ssePattern(12)
	write(g.subprocess, dataAt, loaded)
	inThread(g.startOneThread)
	state := g.newState()
	ok(g.context.FPState(state))
	same(state[xmmAt:xmmAt+sseBytes], loaded)
	g.call()
	g.close()
}
