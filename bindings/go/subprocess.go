// SPDX-License-Identifier: Apache-2.0 OR MIT

package trapgate

// #include "shim.h"
import "C"

import (
	"runtime"
	"unsafe"
)

// Prot are the rights of a mapping.
type Prot uint32

// The rights of mappings.
const (
	ProtNone  Prot = C.TG_PROT_NONE
	ProtRead  Prot = C.TG_PROT_READ
	ProtWrite Prot = C.TG_PROT_WRITE
	ProtExec  Prot = C.TG_PROT_EXEC
)

// MapFlags say how memory is mapped.
type MapFlags uint32

// The flags of mappings.
const (
	MapShared    MapFlags = C.TG_MAP_SHARED    // writes reach the descriptor; without it: private, copy-on-write
	MapPopulate  MapFlags = C.TG_MAP_POPULATE  // make the pages present now
	MapNoReserve MapFlags = C.TG_MAP_NORESERVE // MAP_NORESERVE
	MapNoReplace MapFlags = C.TG_MAP_NOREPLACE // EEXIST rather than replace what is there
	// MapCode is for code, executable and not writable, whose bytes change through no other mapping: calls in it may be
	// patched, also with MapShared, which then says nothing.
	MapCode MapFlags = C.TG_MAP_CODE
)

// MemOp is an operation on guest memory, for Subprocess.Apply. MapOp, MapFileOp, UnmapOp, ProtectOp, AdviseOp
// and MoveOp make them; the zero value is none and is refused.
type MemOp struct {
	op C.tg_mem_op
}

func newOp(kind C.uint32_t, addr, length uint64) MemOp {
	var op C.tg_mem_op
	op.size = C.uint32_t(unsafe.Sizeof(op))
	op.kind, op.addr, op.length, op.fd = kind, C.uint64_t(addr), C.uint64_t(length), -1
	return MemOp{op}
}

// MapOp maps zero pages at addr.
func MapOp(addr, length uint64, prot Prot, flags MapFlags) MemOp {
	op := newOp(C.TG_MEM_MAP, addr, length)
	op.op.prot, op.op.flags = C.uint32_t(prot), C.uint32_t(flags)
	return op
}

// meant tells the library that the number of a descriptor was not forgotten, 0 included.
func meant(fd int) C.uint32_t {
	if fd >= 0 {
		return C.TG_MAP_FD
	}
	return 0
}

// MapFileOp maps pages of a descriptor at addr.
func MapFileOp(addr, length uint64, prot Prot, flags MapFlags, fd int, offset uint64) MemOp {
	op := MapOp(addr, length, prot, flags)
	op.op.fd, op.op.offset = C.int32_t(fd), C.uint64_t(offset)
	op.op.flags |= meant(fd)
	return op
}

// UnmapOp unmaps; nothing mapped there is fine.
func UnmapOp(addr, length uint64) MemOp { return newOp(C.TG_MEM_UNMAP, addr, length) }

// ProtectOp changes rights.
func ProtectOp(addr, length uint64, prot Prot) MemOp {
	op := newOp(C.TG_MEM_PROTECT, addr, length)
	op.op.prot = C.uint32_t(prot)
	return op
}

// AdviseOp gives the host's kernel advice, one of MADV_*: DONTNEED, WILLNEED, FREE, HUGEPAGE, NOHUGEPAGE, REMOVE,
// POPULATE_READ, POPULATE_WRITE, COLD, PAGEOUT.
func AdviseOp(addr, length uint64, advice int) MemOp {
	op := newOp(C.TG_MEM_ADVISE, addr, length)
	op.op.advice = C.int32_t(advice)
	return op
}

// MoveOp moves what is mapped at addr, one mapping of the host's, to another address with its pages (mremap(2)), in the
// place of what is mapped there. The two ranges have nothing in common.
func MoveOp(addr, length, to uint64) MemOp {
	op := newOp(C.TG_MEM_MOVE, addr, length)
	op.op.offset = C.uint64_t(to)
	return op
}

// Bring is a piece of guest memory that a system call brings along, for Subprocess.SetBrings. BringBytes, BringCounted and
// BringString make them; the zero value is none and is refused.
type Bring struct {
	bring C.tg_bring
}

// What calls can bring.
const (
	BringCalls  = C.TG_BRING_CALLS  // numbers of calls are below
	BringPieces = C.TG_BRING_PIECES // of a call
	BringMax    = C.TG_BRING_MAX    // bytes, of all pieces of a call
)

func newBring(kind C.uint32_t, nr uint64, arg, max int) Bring {
	var bring C.tg_bring
	bring.size = C.uint32_t(unsafe.Sizeof(bring))
	bring.kind, bring.nr, bring.arg, bring.max = kind, C.uint64_t(nr), C.uint32_t(arg), C.uint32_t(max)
	return Bring{bring}
}

// BringBytes is max bytes at the address that is argument arg, 0 to 5, of the call with that number.
func BringBytes(nr uint64, arg, max int) Bring { return newBring(C.TG_BRING_BYTES, nr, arg, max) }

// BringCounted is as many bytes as argument lengthArg says, at most max.
func BringCounted(nr uint64, arg, lengthArg, max int) Bring {
	bring := newBring(C.TG_BRING_COUNTED, nr, arg, max)
	bring.bring.length_arg = C.uint32_t(lengthArg)
	return bring
}

// BringString is a string, at most max bytes of it.
func BringString(nr uint64, arg, max int) Bring { return newBring(C.TG_BRING_STRING, nr, arg, max) }

// Subprocess is a guest address space, held by a stub process.
type Subprocess struct {
	h        *subprocessHandle
	platform *Platform // keeps it from being finalized
}

type subprocessHandle struct {
	gate
	ptr      *C.tg_subprocess
	platform *platformHandle
	gone     chan struct{}
}

// NewSubprocess makes an empty address space.
func (p *Platform) NewSubprocess() (*Subprocess, error) {
	if err := p.enter("new subprocess"); err != nil {
		return nil, err
	}
	defer p.leave()
	var ptr *C.tg_subprocess
	if err := p.h.call("new subprocess", func() C.int { return C.tg_subprocess_create(p.h.ptr, &ptr) }); err != nil {
		return nil, err
	}
	return p.newSubprocess(ptr), nil
}

func (p *Platform) newSubprocess(ptr *C.tg_subprocess) *Subprocess {
	h := &subprocessHandle{gate: newGate(), ptr: ptr, platform: p.h, gone: make(chan struct{})}
	remember(p.h, p.h.subprocesses, h)
	s := &Subprocess{h, p}
	runtime.SetFinalizer(s, func(s *Subprocess) { go s.h.close() })
	return s
}

func (s *Subprocess) enter(op string) error {
	if s == nil || !s.h.enter() {
		return errClosed(op)
	}
	return nil
}

func (s *Subprocess) leave() {
	s.h.leave()
	runtime.KeepAlive(s)
}

func (s *Subprocess) call(op string, call func() C.int) error {
	return s.h.platform.call(op, call)
}

// Fork makes a copy: private pages copy-on-write by the host kernel, shared mappings shared, at the same addresses.
// Contexts that run in the original meanwhile go on; what they write during the call may or may not be in the copy.
func (s *Subprocess) Fork() (*Subprocess, error) {
	if s == nil {
		return nil, errClosed("fork")
	}
	if err := s.platform.enter("fork"); err != nil {
		return nil, err
	}
	defer s.platform.leave()
	if err := s.enter("fork"); err != nil {
		return nil, err
	}
	defer s.leave()
	var ptr *C.tg_subprocess
	if err := s.call("fork", func() C.int { return C.tg_subprocess_fork(s.h.ptr, &ptr) }); err != nil {
		return nil, err
	}
	return s.platform.newSubprocess(ptr), nil
}

// Reset makes it an empty address space again, with its process, for the next program or the next guest: nothing of
// what was there can be found or have an effect. Contexts that ran there last keep their state. EBUSY while a context
// runs or is queued there, or another call uses the subprocess or such a context: then nothing has changed.
func (s *Subprocess) Reset() error {
	if err := s.enter("reset"); err != nil {
		return err
	}
	defer s.leave()
	return s.call("reset", func() C.int { return C.tg_subprocess_reset(s.h.ptr) })
}

// Apply runs operations in order. All arguments are checked before the first one runs. It returns the number of
// operations that took effect; the one behind them is the one that failed.
func (s *Subprocess) Apply(ops []MemOp) (int, error) {
	if err := s.enter("apply"); err != nil {
		return 0, err
	}
	defer s.leave()
	var first *C.tg_mem_op
	if len(ops) > 0 {
		first = &ops[0].op
	}
	var done C.size_t
	err := s.call("apply", func() C.int {
		return C.tg_subprocess_apply(s.h.ptr, first, C.size_t(len(ops)), &done)
	})
	return int(done), err
}

// Map maps zero pages at addr.
func (s *Subprocess) Map(addr, length uint64, prot Prot, flags MapFlags) error {
	return s.MapFile(addr, length, prot, flags, -1, 0)
}

// MapFile maps pages of a descriptor at addr. The mapping outlives the descriptor.
func (s *Subprocess) MapFile(addr, length uint64, prot Prot, flags MapFlags, fd int, offset uint64) error {
	if err := s.enter("map"); err != nil {
		return err
	}
	defer s.leave()
	return s.call("map", func() C.int {
		return C.tg_subprocess_map(s.h.ptr, C.uint64_t(addr), C.uint64_t(length), C.uint32_t(prot),
			C.uint32_t(flags)|meant(fd), C.int32_t(fd), C.uint64_t(offset))
	})
}

// Unmap unmaps; nothing mapped there is fine.
func (s *Subprocess) Unmap(addr, length uint64) error {
	if err := s.enter("unmap"); err != nil {
		return err
	}
	defer s.leave()
	return s.call("unmap", func() C.int {
		return C.tg_subprocess_unmap(s.h.ptr, C.uint64_t(addr), C.uint64_t(length))
	})
}

// Protect changes rights.
func (s *Subprocess) Protect(addr, length uint64, prot Prot) error {
	if err := s.enter("protect"); err != nil {
		return err
	}
	defer s.leave()
	return s.call("protect", func() C.int {
		return C.tg_subprocess_protect(s.h.ptr, C.uint64_t(addr), C.uint64_t(length), C.uint32_t(prot))
	})
}

// SetBrings declares what the subprocess's system calls bring along, in place of all that was declared before:
// Context.Brought gives it, by the piece's place among those of its call. Forks have the same.
func (s *Subprocess) SetBrings(brings []Bring) error {
	const op = "declare what calls bring"
	if err := s.enter(op); err != nil {
		return err
	}
	defer s.leave()
	var first *C.tg_bring
	if len(brings) > 0 {
		first = &brings[0].bring
	}
	return s.call(op, func() C.int {
		return C.tg_subprocess_set_brings(s.h.ptr, first, C.size_t(len(brings)))
	})
}

// AnswerKind says what a call is answered with that need not become an event: Subprocess.Answer.
type AnswerKind uint32

// The kinds.
const (
	AnswerNone        AnswerKind = C.TG_ANSWER_NONE         // an event, as each call at first
	AnswerValue       AnswerKind = C.TG_ANSWER_VALUE        // the value, or the negative of an error number
	AnswerContextWord AnswerKind = C.TG_ANSWER_CONTEXT_WORD // the word with this index of the context: Context.SetWord
)

// Numbers of calls that can be answered, and words of a context, are below these.
const (
	AnswerCalls  = C.TG_ANSWER_CALLS
	ContextWords = C.TG_CONTEXT_WORDS
)

// Answer says that system calls with this number need not become events: the guest goes on at once with a result that
// is known beforehand. It may be changed at any time; copies of the subprocess begin with the same answers. Only patched
// calls are answered so, and only with CapAnswers: the event remains what a handler must be there for.
func (s *Subprocess) Answer(nr uint32, kind AnswerKind, value int64) error {
	if err := s.enter("answer"); err != nil {
		return err
	}
	defer s.leave()
	return s.call("answer", func() C.int {
		return C.tg_subprocess_answer(s.h.ptr, C.uint32_t(nr), C.uint32_t(kind), C.uint64_t(value))
	})
}

// ReadMemory copies guest memory into buffer, which respects the rights of the guest's mappings. It returns how many
// bytes were copied, exact to the byte up to the first page that cannot be accessed; fewer than asked for come with an
// error, EFAULT. The copy is not atomic: a guest thread that runs may change the memory meanwhile. Read a thing once,
// then check it.
func (s *Subprocess) ReadMemory(addr uint64, buffer []byte) (int, error) {
	if err := s.enter("read"); err != nil {
		return 0, err
	}
	defer s.leave()
	var done C.size_t
	err := s.call("read", func() C.int {
		return C.tg_subprocess_read(s.h.ptr, C.uint64_t(addr), bytesOf(buffer), C.size_t(len(buffer)), &done)
	})
	return int(done), err
}

// WriteMemory copies data into guest memory; everything said at ReadMemory holds.
func (s *Subprocess) WriteMemory(addr uint64, data []byte) (int, error) {
	if err := s.enter("write"); err != nil {
		return 0, err
	}
	defer s.leave()
	var done C.size_t
	err := s.call("write", func() C.int {
		return C.tg_subprocess_write(s.h.ptr, C.uint64_t(addr), bytesOf(data), C.size_t(len(data)), &done)
	})
	return int(done), err
}

var noBytes [1]byte

func bytesOf(bytes []byte) unsafe.Pointer {
	if len(bytes) == 0 {
		return unsafe.Pointer(&noBytes[0])
	}
	return unsafe.Pointer(&bytes[0])
}

// PID is the process id of the stub, for operators and tests. Do not signal or trace it. 0 when the subprocess is dead
// or closed.
func (s *Subprocess) PID() int {
	if s.enter("pid") != nil {
		return 0
	}
	defer s.leave()
	return int(C.tg_subprocess_pid(s.h.ptr))
}

// Close kills the stub process and reaps it before it returns. A switch that runs in it returns a Dead event first;
// contexts stay usable elsewhere.
func (s *Subprocess) Close() error {
	if s != nil {
		runtime.SetFinalizer(s, nil)
		s.h.close()
	}
	return nil
}

func (h *subprocessHandle) close() {
	if !h.shut() {
		<-h.gone
		return
	}
	// The library's destroy must not meet a call that is about to begin, so what runs is called back first. Contexts in
	// queues need no care: the library gives them their Dead events.
	h.platform.nudge(h)
	<-h.drained
	C.tg_subprocess_destroy(h.ptr)
	forget(h.platform, h.platform.subprocesses, h)
	close(h.gone)
}

// nudge makes every call that is inside of the subprocess come back.
func (h *platformHandle) nudge(subprocess *subprocessHandle) {
	var inside []*contextHandle
	h.mu.RLock()
	for _, context := range h.contexts {
		if context.maybeRunning(subprocess) {
			inside = append(inside, context)
		}
	}
	h.mu.RUnlock()
	for _, context := range inside {
		context.callBack()
	}
	for _, runner := range listOf(h, h.runners) {
		runner.wake()
	}
}
