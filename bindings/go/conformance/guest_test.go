// SPDX-License-Identifier: Apache-2.0 OR MIT

package conformance

import (
	"context"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"trapgate.dev/go/trapgate"
)

// A guest has code, a stack and data at these addresses. Nothing of ours maps anything at the hole.
const (
	guestsVariable = "TRAPGATE_GUESTS"

	codeAt    = 0x10000000
	codeSize  = 0x10000
	stackAt   = 0x20000000
	stackSize = 0x10000
	stackTop  = stackAt + stackSize
	dataAt    = 0x30000000
	dataSize  = 0x100000
	holeAt    = 0x40000000
	otherCode = codeAt + codeSize // for cases that need two kinds of guests

	guestCall = uint64(syscall.SYS_GETPID)

	protRW = trapgate.ProtRead | trapgate.ProtWrite
	protRX = trapgate.ProtRead | trapgate.ProtExec

	segvAccErr = 2
)

var background = context.Background()

// The file of guests: code between the symbols guest_NAME and guest_NAME_end.
var guestFile struct {
	once    sync.Once
	symbols map[string]uint64
	section *elf.Section
	bytes   []byte
}

func readGuests() {
	file, err := elf.Open(os.Getenv(guestsVariable))
	ok(err)
	symbols, err := file.Symbols()
	ok(err)
	guestFile.symbols = map[string]uint64{}
	for _, symbol := range symbols {
		guestFile.symbols[symbol.Name] = symbol.Value
	}
	address := guestFile.symbols["guest_call_loop"]
	for _, section := range file.Sections {
		if section.Flags&elf.SHF_ALLOC != 0 && section.Addr <= address && address < section.Addr+section.Size {
			guestFile.section = section
			guestFile.bytes, err = section.Data()
			ok(err)
		}
	}
	check(guestFile.section != nil, "the guests have a section")
}

func symbol(name string) uint64 {
	guestFile.once.Do(readGuests)
	address, there := guestFile.symbols["guest_"+name]
	if !there {
		fail(2, "no guest is called %s", name)
	}
	return address
}

// code is the code of a guest.
func code(name string) []byte {
	start, end := symbol(name), symbol(name+"_end")
	return guestFile.bytes[start-guestFile.section.Addr : end-guestFile.section.Addr]
}

// label is where a label of a guest ends up when the guest is loaded at codeAt.
func label(name, label string) uint64 { return codeAt + symbol(label) - symbol(name) }

type guest struct {
	platform   *trapgate.Platform
	subprocess *trapgate.Subprocess
	context    *trapgate.Context
	event      trapgate.Event
	page       uint64
}

func openPlatform(backend trapgate.Backend, flags trapgate.OpenFlags) *trapgate.Platform {
	return must(trapgate.Open(trapgate.Options{Backend: backend, Flags: flags}))
}

func createSubprocess(p *trapgate.Platform) *trapgate.Subprocess { return must(p.NewSubprocess()) }

func mapPages(s *trapgate.Subprocess, addr, length uint64, prot trapgate.Prot) {
	ok(s.Map(addr, length, prot, 0))
}

// load puts code into pages that end up readable and executable.
func load(s *trapgate.Subprocess, addr uint64, code []byte) {
	length := uint64(len(code))
	mapPages(s, addr, length, protRW)
	equal(must(s.WriteMemory(addr, code)), len(code))
	ok(s.Protect(addr, length, protRX))
}

func createLoaded(p *trapgate.Platform, code []byte) *trapgate.Subprocess {
	s := createSubprocess(p)
	load(s, codeAt, code)
	mapPages(s, stackAt, stackSize, protRW)
	mapPages(s, dataAt, dataSize, protRW)
	return s
}

func createContext(p *trapgate.Platform) *trapgate.Context { return must(p.NewContext()) }

func createAt(p *trapgate.Platform, ip uint64) *trapgate.Context {
	c := createContext(p)
	ok(c.Start(ip, stackTop))
	return c
}

func createStarted(p *trapgate.Platform) *trapgate.Context { return createAt(p, codeAt) }

func open(backend trapgate.Backend, name string) *guest { return openFlags(backend, 0, name) }

func openFlags(backend trapgate.Backend, flags trapgate.OpenFlags, name string) *guest {
	return openOptions(trapgate.Options{Backend: backend, Flags: flags}, name)
}

func openOptions(options trapgate.Options, name string) *guest {
	g := &guest{platform: must(trapgate.Open(options))}
	g.page = g.info().PageSize
	g.subprocess = createLoaded(g.platform, code(name))
	g.context = createStarted(g.platform)
	return g
}

func (g *guest) close() {
	g.context.Close()
	g.subprocess.Close()
	g.platform.Close()
}

func (g *guest) info() trapgate.Info   { return must(g.platform.Info()) }
func (g *guest) stats() trapgate.Stats { return must(g.platform.Stats()) }

// with is the same guest with another context.
func (g *guest) with(c *trapgate.Context) *guest {
	other := *g
	other.context = c
	return &other
}

// restart goes back to the first instruction, with a new context's registers.
func (g *guest) restart() { ok(g.context.Start(codeAt, stackTop)) }

func run(c *trapgate.Context, s *trapgate.Subprocess) trapgate.Event {
	event, err := c.Switch(background, s)
	if err != nil {
		fail(2, "%v", err)
	}
	if event.Context != c {
		fail(2, "the event is of another context")
	}
	return event
}

func (g *guest) run() { g.event = run(g.context, g.subprocess) }

// call runs the guest and expects the system call that test guests make.
func (g *guest) call() {
	g.run()
	wantCallAt(1, &g.event, guestCall)
}

func loadWord(s *trapgate.Subprocess, addr uint64) uint64 {
	var bytes [8]byte
	if _, err := s.ReadMemory(addr, bytes[:]); err != nil {
		fail(1, "%v", err)
	}
	return binary.LittleEndian.Uint64(bytes[:])
}

func storeWord(s *trapgate.Subprocess, addr, value uint64) {
	var bytes [8]byte
	binary.LittleEndian.PutUint64(bytes[:], value)
	if _, err := s.WriteMemory(addr, bytes[:]); err != nil {
		fail(1, "%v", err)
	}
}

// waitChange waits until the guest has changed the word. The case's time limit ends a wait that never succeeds.
func waitChange(s *trapgate.Subprocess, addr, old uint64) {
	for loadWord(s, addr) == old {
		time.Sleep(100 * time.Microsecond)
	}
}

func regs(c *trapgate.Context) trapgate.Registers {
	r, err := c.Registers()
	if err != nil {
		fail(2, "%v", err)
	}
	return r
}

// change sets what the function changes.
func change(c *trapgate.Context, with func(r *trapgate.Registers)) {
	r := regs(c)
	with(&r)
	if err := c.SetRegisters(&r); err != nil {
		fail(2, "%v", err)
	}
}

func ip(c *trapgate.Context) uint64 { r := regs(c); return r.IP() }
func sp(c *trapgate.Context) uint64 { r := regs(c); return r.SP() }

func arg(c *trapgate.Context, index int) uint64 { r := regs(c); return r.Arg(index) }

func setIP(c *trapgate.Context, ip uint64) {
	change(c, func(r *trapgate.Registers) { r.SetIP(ip) })
}

func setArg(c *trapgate.Context, index int, value uint64) {
	change(c, func(r *trapgate.Registers) { r.SetArg(index, value) })
}

func wantKind(event *trapgate.Event, kind trapgate.Kind) {
	if event.Kind != kind {
		fail(1, "event is %v, not %v", event, kind)
	}
}

func wantCallAt(skip int, event *trapgate.Event, number uint64) {
	if event.Kind != trapgate.KindSyscall || event.Syscall.Nr != number {
		fail(skip+1, "event is %v, not syscall nr %d", event, number)
	}
}

func wantCall(event *trapgate.Event, number uint64) { wantCallAt(1, event, number) }

func wantFault(event *trapgate.Event, addr uint64, access trapgate.Access, signal syscall.Signal, code int32) {
	f := &event.Fault
	if event.Kind != trapgate.KindFault || f.Addr != addr || f.Access != access || f.Signal != signal || f.Code != code {
		fail(1, "event is %v, not fault signal %d code %d access %d addr %#x", event, int(signal), code, access, addr)
	}
}

func wantDead(event *trapgate.Event, reason trapgate.DeadReason, status int32) {
	d := &event.Dead
	if event.Kind != trapgate.KindDead || d.Reason != reason || d.Status != status {
		fail(1, "event is %v, not dead reason %d status %d", event, reason, status)
	}
}

// start runs the function in a thread of its own, which ends with it. join waits for that end.
func start(run func()) (join func()) {
	thread := make(chan int)
	go func() {
		defer close(thread)
		runtime.LockOSThread() // and never unlocked, so that the thread goes too
		run()
		thread <- syscall.Gettid()
	}()
	return func() {
		tid := <-thread
		<-thread
		for tid != os.Getpid() && fileExists(fmt.Sprintf("/proc/self/task/%d", tid)) {
			sleepMicroseconds(20) // Go's first thread stays, the others go
		}
	}
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func inThread(run func()) { start(run)() }

func sleepMicroseconds(n int) { time.Sleep(time.Duration(n) * time.Microsecond) }

// touch sends the guest at an address, from its beginning.
func (g *guest) touch(addr uint64) {
	g.restart()
	change(g.context, func(r *trapgate.Registers) {
		r.SetArg(0, addr)
		r.SetArg(1, 0x5a5a5a5a5a5a5a5a)
	})
	g.run()
}
