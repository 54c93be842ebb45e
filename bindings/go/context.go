// SPDX-License-Identifier: Apache-2.0 OR MIT

package trapgate

// #include "shim.h"
import "C"

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"
)

// ContextFlags change how a context works.
type ContextFlags uint32

// ContextOneThread is for a context that only one operating system thread switches: the goroutine that does so holds
// its thread (runtime.LockOSThread), or a Runner or a Queue runs it. Its FP state then stays in the stub between
// switches, which saves the ptrace backend a copy at every event. Until the thread that ran it reads the FP state,
// clears the flag or ends, another one that switches or copies the context or reads its FP state gets EBUSY. On systrap
// the flag changes nothing.
const ContextOneThread ContextFlags = C.TG_CONTEXT_ONE_THREAD

// Context is the machine state of one guest thread.
type Context struct {
	h        *contextHandle
	platform *Platform // keeps it from being finalized
}

// What a context is doing. Whoever moves it away from idle has it alone.
const (
	contextIdle int32 = iota
	contextUsed
	contextQueued
	contextClosed
)

type contextHandle struct {
	state     atomic.Int32
	closing   atomic.Bool
	lastIn    atomic.Pointer[subprocessHandle] // where Switch ran it last, or runs it
	oneThread atomic.Bool
	ptr       *C.tg_context
	event     *C.tg_event            // malloc: where the library writes the events of Switch
	exchange  *C.struct_tgo_exchange // NULL before the first Exchange
	platform  *platformHandle
	gone      chan struct{}

	// What is said here can be said at any time, and to a context that is being freed.
	interrupts struct {
		sync.Mutex
		alive bool
		user  bool // Interrupt was called, and no event has answered it
	}

	watched watch // of Switch
	parking       // of Runner.Switch

	// While a queue or a runner has the context.
	outer *Context
	into  *subprocessHandle
	queue atomic.Pointer[queueHandle]
	task  *task
}

// NewContext makes the state of one guest thread: general registers zero apart from what user mode needs, FP state as
// after execve.
func (p *Platform) NewContext() (*Context, error) {
	if err := p.enter("new context"); err != nil {
		return nil, err
	}
	defer p.leave()
	var ptr *C.tg_context
	if err := p.h.call("new context", func() C.int { return C.tg_context_create(p.h.ptr, &ptr) }); err != nil {
		return nil, err
	}
	h := &contextHandle{
		ptr:      ptr,
		event:    newEvents(1),
		platform: p.h,
		gone:     make(chan struct{}),
		parking:  parking{arrived: make(chan struct{}, 1)},
	}
	h.interrupts.alive = true
	p.h.mu.Lock()
	p.h.contexts[unsafe.Pointer(ptr)] = h
	p.h.mu.Unlock()
	c := &Context{h, p}
	runtime.SetFinalizer(c, func(c *Context) { c.h.close() })
	return c, nil
}

// acquire takes an idle context for the caller alone.
func (c *Context) acquire(op string, as int32) error {
	if c == nil || c.h.closing.Load() {
		return errClosed(op)
	}
	if c.h.state.CompareAndSwap(contextIdle, as) {
		return nil
	}
	if c.h.closing.Load() {
		return errClosed(op)
	}
	return errBusy(op, "the context is running or in use by another call")
}

func (c *Context) release() {
	c.h.release()
	runtime.KeepAlive(c)
}

func (h *contextHandle) release() {
	h.state.Store(contextIdle)
	if h.closing.Load() {
		h.destroyIdle()
	}
}

func (c *Context) call(op string, call func() C.int) error {
	return c.h.platform.call(op, call)
}

// Start puts the context back to the state of a new one, then sets instruction and stack pointer.
func (c *Context) Start(ip, sp uint64) error {
	if err := c.acquire("start", contextUsed); err != nil {
		return err
	}
	defer c.release()
	return c.call("start", func() C.int {
		return C.tg_context_start(c.h.ptr, C.uint64_t(ip), C.uint64_t(sp))
	})
}

// CopyFrom copies registers, thread-local storage and FP state of another context: for fork and clone.
func (c *Context) CopyFrom(from *Context) error {
	if err := c.acquire("copy", contextUsed); err != nil {
		return err
	}
	defer c.release()
	if c == from {
		return nil
	}
	if err := from.acquire("copy", contextUsed); err != nil {
		return err
	}
	defer from.release()
	return c.call("copy", func() C.int {
		return C.tg_context_copy(c.h.ptr, from.h.ptr)
	})
}

// SetFlags sets all flags at once.
func (c *Context) SetFlags(flags ContextFlags) error {
	if err := c.acquire("set flags", contextUsed); err != nil {
		return err
	}
	defer c.release()
	err := c.call("set flags", func() C.int {
		return C.tg_context_set_flags(c.h.ptr, C.uint32_t(flags))
	})
	if err == nil {
		c.h.oneThread.Store(flags&ContextOneThread != 0)
	}
	return err
}

// letGo frees the contexts whose FP state the calling thread keeps in a stub, for it will not run them again.
func (h *platformHandle) letGo() {
	h.mu.RLock()
	var kept []*contextHandle
	for _, context := range h.contexts {
		if context.oneThread.Load() {
			kept = append(kept, context)
		}
	}
	h.mu.RUnlock()
	for _, context := range kept {
		if context.state.CompareAndSwap(contextIdle, contextUsed) {
			if C.tg_context_set_flags(context.ptr, 0) == 0 {
				C.tg_context_set_flags(context.ptr, C.TG_CONTEXT_ONE_THREAD)
			}
			context.release()
		}
	}
}

// SetUserData sets a number that comes back in every event of the context; 0 at first.
func (c *Context) SetUserData(data uint64) error {
	if err := c.acquire("set user data", contextUsed); err != nil {
		return err
	}
	defer c.release()
	return c.call("set user data", func() C.int {
		return C.tg_context_set_user_data(c.h.ptr, C.uint64_t(data))
	})
}

// UserData returns the number of SetUserData.
func (c *Context) UserData() (uint64, error) {
	if err := c.acquire("user data", contextUsed); err != nil {
		return 0, err
	}
	defer c.release()
	return uint64(C.tg_context_user_data(c.h.ptr)), nil
}

// Registers copies the general registers as of the last event.
func (c *Context) Registers() (Registers, error) {
	if err := c.acquire("registers", contextUsed); err != nil {
		return Registers{}, err
	}
	defer c.release()
	return *c.h.registers(), nil
}

// registers is the library's memory; each call makes it current.
func (h *contextHandle) registers() *Registers {
	return (*Registers)(unsafe.Pointer(C.tg_context_regs(h.ptr)))
}

// SetRegisters sets the general registers: the next switch takes them.
func (c *Context) SetRegisters(regs *Registers) error {
	if err := c.acquire("set registers", contextUsed); err != nil {
		return err
	}
	defer c.release()
	to := (*Registers)(unsafe.Pointer(C.tg_context_regs_mut(c.h.ptr)))
	if to == nil {
		return errBusy("set registers", "the context is running")
	}
	size, arch := to.size, to.arch
	*to = *regs
	to.size, to.arch = size, arch
	return nil
}

// FPState reads the FP, vector and mask registers in the layout of the kernel's NT_X86_XSTATE (x86-64) or NT_PRFPREG
// (AArch64) register set into buffer, which needs Info.FPStateSize bytes.
func (c *Context) FPState(buffer []byte) error {
	if err := c.acquire("FP state", contextUsed); err != nil {
		return err
	}
	defer c.release()
	return c.call("FP state", func() C.int {
		return C.tg_context_get_fpstate(c.h.ptr, bytesOf(buffer), C.size_t(len(buffer)))
	})
}

// SetFPState sets what FPState reads. It changes nothing when the processor would refuse the state.
func (c *Context) SetFPState(state []byte) error {
	if err := c.acquire("set FP state", contextUsed); err != nil {
		return err
	}
	defer c.release()
	return c.call("set FP state", func() C.int {
		return C.tg_context_set_fpstate(c.h.ptr, bytesOf(state), C.size_t(len(state)))
	})
}

// TLS is the thread-local storage register: fs_base or tpidr_el0.
func (c *Context) TLS() (uint64, error) {
	if err := c.acquire("TLS", contextUsed); err != nil {
		return 0, err
	}
	defer c.release()
	var tls C.uint64_t
	err := c.call("TLS", func() C.int { return C.tg_context_get_tls(c.h.ptr, &tls) })
	return uint64(tls), err
}

// SetTLS sets the thread-local storage register.
func (c *Context) SetTLS(tls uint64) error {
	if err := c.acquire("set TLS", contextUsed); err != nil {
		return err
	}
	defer c.release()
	return c.call("set TLS", func() C.int {
		return C.tg_context_set_tls(c.h.ptr, C.uint64_t(tls))
	})
}

// copyMemory is a copy by way of the context, which takes place inside of the subprocess.
func (c *Context) copyMemory(op string, s *Subprocess, copyIn func(done *C.size_t) C.int) (int, error) {
	if err := c.acquire(op, contextUsed); err != nil {
		return 0, err
	}
	defer c.release()
	if err := s.enter(op); err != nil {
		return 0, err
	}
	defer s.leave()
	var done C.size_t
	err := c.call(op, func() C.int { return copyIn(&done) })
	return int(done), err
}

// ReadMemory is Subprocess.ReadMemory for what a call of the context points to, in the subprocess where it ran last or
// in another: on systrap up to 4 KiB are copied sooner by the thread of the stub that waits for the answer.
func (c *Context) ReadMemory(s *Subprocess, addr uint64, buffer []byte) (int, error) {
	return c.copyMemory("read", s, func(done *C.size_t) C.int {
		return C.tg_context_read(c.h.ptr, s.h.ptr, C.uint64_t(addr), bytesOf(buffer), C.size_t(len(buffer)), done)
	})
}

// WriteMemory is Subprocess.WriteMemory in the way of Context.ReadMemory.
func (c *Context) WriteMemory(s *Subprocess, addr uint64, data []byte) (int, error) {
	return c.copyMemory("write", s, func(done *C.size_t) C.int {
		return C.tg_context_write(c.h.ptr, s.h.ptr, C.uint64_t(addr), bytesOf(data), C.size_t(len(data)), done)
	})
}

// ReadString reads a string: bytes up to the first 0, which buffer holds then, too. It returns how many are in front of
// it; len(buffer): there is no 0 among so many bytes. Nothing behind the page of the 0 is read.
func (c *Context) ReadString(s *Subprocess, addr uint64, buffer []byte) (int, error) {
	return c.copyMemory("read a string", s, func(length *C.size_t) C.int {
		return C.tg_context_read_string(c.h.ptr, s.h.ptr, C.uint64_t(addr), (*C.char)(bytesOf(buffer)),
			C.size_t(len(buffer)), length)
	})
}

// Brought gives what the system call of the last event, made in that subprocess, has brought along: the piece with that
// number of those that Subprocess.SetBrings declared for it, copied once, so that what is checked is what is used. It is
// shorter than asked for where guest memory ends; of a string it is what is in front of its 0 byte, or as many bytes as
// were declared where there is none. EFAULT when nothing can be read, or no 0 byte before memory ends; EINVAL when the
// last event was not a Syscall or no such piece is declared.
func (c *Context) Brought(s *Subprocess, piece int) ([]byte, error) {
	const op = "take what a call has brought"
	if err := c.acquire(op, contextUsed); err != nil {
		return nil, err
	}
	defer c.release()
	if err := s.enter(op); err != nil {
		return nil, err
	}
	defer s.leave()
	var bytes unsafe.Pointer
	var length C.size_t
	err := c.call(op, func() C.int {
		return C.tg_context_brought(c.h.ptr, s.h.ptr, C.uint32_t(piece), &bytes, &length)
	})
	if err != nil {
		return nil, err
	}
	return C.GoBytes(bytes, C.int(length)), nil
}

// Attach attaches bytes to the answer to the system call of the last event: they are in guest memory when the context
// goes on, and not before. Where that cannot be, the call's result is -EFAULT. Start, CopyFrom, RestartSyscall and the
// death of the subprocess drop them. EINVAL when the last event was not a Syscall, and for more than AttachPieces pieces
// or AttachMax bytes, which WriteMemory writes.
func (c *Context) Attach(addr uint64, data []byte) error {
	const op = "attach bytes to an answer"
	if err := c.acquire(op, contextUsed); err != nil {
		return err
	}
	defer c.release()
	return c.call(op, func() C.int {
		return C.tg_context_attach(c.h.ptr, C.uint64_t(addr), bytesOf(data), C.size_t(len(data)))
	})
}

// What an answer can have attached.
const (
	AttachPieces = C.TG_ATTACH_PIECES
	AttachMax    = C.TG_ATTACH_MAX // bytes, in all
)

// SetReturn sets the result of the system call that the context came back with, or the one that it was copied from: a
// value, or the negative of an error number. Any value passes as it is. EINVAL when the last event was not a Syscall, the
// call is to be raised once more, or the context was started since.
func (c *Context) SetReturn(value int64) error {
	if err := c.acquire("set return", contextUsed); err != nil {
		return err
	}
	defer c.release()
	done := C.tgo_set_return(c.h.platform.address(), C.uintptr_t(uintptr(unsafe.Pointer(c.h.ptr))), C.int64_t(value))
	if done.result != 0 {
		return failed("set return", done.result, done.sentence)
	}
	return nil
}

// RestartSyscall makes the next switch raise the system call of the last event once more. EINVAL when the last event
// was not a Syscall or the registers were changed to another place since.
func (c *Context) RestartSyscall() error {
	if err := c.acquire("restart", contextUsed); err != nil {
		return err
	}
	defer c.release()
	return c.call("restart", func() C.int {
		return C.tg_context_restart_syscall(c.h.ptr)
	})
}

// Switch runs the context in the subprocess until an event. It blocks an operating system thread meanwhile; Runner.Switch
// does not. When ctx ends first, the guest is interrupted where it is and the error is ctx.Err(); an event that comes at
// the same time is returned, and the next Switch fails. After an error the context is as it was, or at the place where
// it was interrupted.
func (c *Context) Switch(ctx context.Context, s *Subprocess) (Event, error) {
	return c.switchBy(ctx, s, nil)
}

// switchBy blocks a thread; with a runner it waits there instead, when it takes long.
func (c *Context) switchBy(ctx context.Context, s *Subprocess, r *runnerHandle) (event Event, err error) {
	if err := c.acquire("switch", contextUsed); err != nil {
		return Event{}, err
	}
	if s == nil {
		c.release()
		return Event{}, errClosed("switch")
	}
	// Who ends something shuts its gate and then looks who is running; we say that we run and then pass the gate. So one
	// of us sees the other, here and with the end of ctx.
	if c.h.lastIn.Load() != s.h {
		c.h.lastIn.Store(s.h)
	}
	if s.h.enter() {
		err = c.switchInside(ctx, s.h, r, &event)
		s.leave()
	} else {
		err = errClosed("switch")
	}
	c.release()
	return event, err
}

func (c *Context) switchInside(ctx context.Context, s *subprocessHandle, r *runnerHandle, event *Event) error {
	h := c.h
	done := ctx.Done()
	if done != nil {
		h.watched.arm(ctx, done, h)
	}
	for {
		if done != nil {
			select {
			case <-done:
				return ctx.Err()
			default:
			}
		}
		if err := h.nextEvent(s, r); err != nil {
			return err
		}
		if h.meant(h.event) {
			event.read(h.event, c)
			return nil
		}
		if h.closing.Load() {
			return errClosed("switch")
		}
		if s.isShut() {
			event.Kind, event.Arch, event.Context = KindDead, uint32(h.event.arch), c
			event.UserData, event.Dead = uint64(h.event.user_data), Dead{Reason: DeadDestroyed}
			return nil
		}
		// ctx has ended, or something that ended too late for the switch that it was about.
	}
}

// nextEvent runs the context until h.event is written.
func (h *contextHandle) nextEvent(s *subprocessHandle, r *runnerHandle) error {
	if r != nil {
		return r.nextEvent(h, s)
	}
	done := C.tgo_switch(h.platform.address(), C.uintptr_t(uintptr(unsafe.Pointer(h.ptr))),
		C.uintptr_t(uintptr(unsafe.Pointer(s.ptr))), C.uintptr_t(uintptr(unsafe.Pointer(h.event))))
	if done.result != 0 {
		return failed("switch", done.result, done.sentence)
	}
	return nil
}

// SetWord sets a word for AnswerContextWord, 0 at first: the context's own, wherever it runs. Any goroutine, also while
// it runs. Copies do not have it.
func (c *Context) SetWord(index uint32, value uint64) error {
	if c == nil {
		return errClosed("set word")
	}
	defer runtime.KeepAlive(c)
	i := &c.h.interrupts
	i.Lock()
	defer i.Unlock()
	if !i.alive || c.h.closing.Load() {
		return errClosed("set word")
	}
	return c.call("set word", func() C.int {
		return C.tg_context_set_word(c.h.ptr, C.uint32_t(index), C.uint64_t(value))
	})
}

// Interrupt makes the switch that runs now, or else the next one, return an Interrupted event with the registers of
// where the guest was. Several calls before that count as one. When the switch meets another event first, that one is
// returned with FlagInterruptPending, and the next switch returns Interrupted at once. Any goroutine; it does not block.
func (c *Context) Interrupt() error {
	if c == nil {
		return errClosed("interrupt")
	}
	defer runtime.KeepAlive(c)
	i := &c.h.interrupts
	i.Lock()
	defer i.Unlock()
	if !i.alive || c.h.closing.Load() {
		return errClosed("interrupt")
	}
	i.user = true
	return c.call("interrupt", func() C.int {
		return C.tg_context_interrupt(c.h.ptr)
	})
}

// maybeRunning reports whether a switch may be running: in the subprocess, or in any if that is nil.
func (h *contextHandle) maybeRunning(in *subprocessHandle) bool {
	return h.state.Load() == contextUsed && (in == nil || h.lastIn.Load() == in)
}

// callBack interrupts for this package's own reasons.
func (h *contextHandle) callBack() {
	i := &h.interrupts
	i.Lock()
	defer i.Unlock()
	if i.alive {
		C.tg_context_interrupt(h.ptr)
	}
}

// meant sorts out an event that an interrupt made or came with. It reports whether the event is to be handed on: an
// Interrupted event that nobody but this package asked for is not. The flag stays only for what the caller asked for.
func (h *contextHandle) meant(event *C.tg_event) bool {
	if event.kind != C.TG_EVENT_INTERRUPTED && event.flags&C.TG_FLAG_INTERRUPT_PENDING == 0 {
		return true
	}
	i := &h.interrupts
	i.Lock()
	defer i.Unlock()
	if event.kind != C.TG_EVENT_INTERRUPTED {
		if !i.user {
			event.flags &^= C.TG_FLAG_INTERRUPT_PENDING
		}
		return true
	}
	user := i.user
	i.user = false
	return user
}

// Close frees the context. One that runs is interrupted and freed when it comes back; its call then fails.
func (c *Context) Close() error {
	if c != nil {
		runtime.SetFinalizer(c, nil)
		c.h.close()
	}
	return nil
}

func (h *contextHandle) close() {
	if h.closing.Swap(true) {
		return
	}
	h.destroyIdle()
	h.callBack()
}

func (h *contextHandle) destroyIdle() {
	if !h.state.CompareAndSwap(contextIdle, contextClosed) {
		return
	}
	h.watched.disarm()
	h.interrupts.Lock()
	h.interrupts.alive = false
	h.platform.mu.Lock()
	delete(h.platform.contexts, unsafe.Pointer(h.ptr))
	h.platform.mu.Unlock()
	C.tg_context_destroy(h.ptr)
	C.free(unsafe.Pointer(h.event))
	C.free(unsafe.Pointer(h.exchange))
	h.interrupts.Unlock()
	close(h.gone)
}
