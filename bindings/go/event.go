// SPDX-License-Identifier: Apache-2.0 OR MIT

package trapgate

// #include "shim.h"
import "C"

import (
	"fmt"
	"syscall"
	"unsafe"
)

// Kind says why a switch came back.
type Kind uint32

// The kinds of events. Treat one that you do not know as Dead.
const (
	KindSyscall     Kind = C.TG_EVENT_SYSCALL     // the guest made a system call
	KindFault       Kind = C.TG_EVENT_FAULT       // the guest touched memory it cannot: SIGSEGV or SIGBUS with an address
	KindException   Kind = C.TG_EVENT_EXCEPTION   // any other signal the processor raised
	KindInterrupted Kind = C.TG_EVENT_INTERRUPTED // Context.Interrupt was called
	KindDead        Kind = C.TG_EVENT_DEAD        // the subprocess is gone; its contexts can run elsewhere
)

// String names the kind.
func (k Kind) String() string {
	names := [...]string{"none", "syscall", "fault", "exception", "interrupted", "dead"}
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("kind %d", uint32(k))
}

// EventFlags say more about an event.
type EventFlags uint32

// The flags of events.
const (
	FlagInterruptPending EventFlags = C.TG_FLAG_INTERRUPT_PENDING // an interrupt came too; the next switch returns Interrupted
	FlagPatched          EventFlags = C.TG_FLAG_PATCHED           // Syscall: came through a patched site
	FlagPatchable        EventFlags = C.TG_FLAG_PATCHABLE         // Syscall: the site may be patched later
	FlagCompat           EventFlags = C.TG_FLAG_COMPAT            // Syscall: int 0x80 or sysenter; Arch says which table Nr belongs to
	FlagX32              EventFlags = C.TG_FLAG_X32               // Syscall: an x32 call
	FlagVsyscall         EventFlags = C.TG_FLAG_VSYSCALL          // Syscall: a call into the vsyscall page, which has returned: IP is there
	FlagTrap             EventFlags = C.TG_FLAG_TRAP              // Fault, Exception: Trap is set
	FlagTrapDerived      EventFlags = C.TG_FLAG_TRAP_DERIVED      // besides it: Trap follows from the signal, nobody has reported it
)

// Access says what a faulting instruction wanted. 0: the instruction could not be decoded; treat it as a read.
type Access uint32

// The accesses of faults.
const (
	AccessRead  Access = C.TG_ACCESS_READ
	AccessWrite Access = C.TG_ACCESS_WRITE // read-modify-write instructions count as writes
	AccessExec  Access = C.TG_ACCESS_EXEC
)

// DeadReason says how a subprocess ended.
type DeadReason int32

// The reasons of Dead events.
const (
	DeadKilled    DeadReason = C.TG_DEAD_KILLED    // a signal ended the stub: Status is its number
	DeadExited    DeadReason = C.TG_DEAD_EXITED    // the stub exited: Status is its code
	DeadDestroyed DeadReason = C.TG_DEAD_DESTROYED // Subprocess.Close
	DeadCorrupt   DeadReason = C.TG_DEAD_CORRUPT   // the stub broke the protocol; the library killed it
)

// Syscall is a system call of the guest. Context.SetReturn sets its result.
type Syscall struct {
	Nr   uint64
	Args [6]uint64
	IP   uint64 // behind the system call instruction
}

// Trap is an exception of the processor, as signal frames of the host name it. With FlagTrap in the event; where
// FlagTrapDerived is there too, the comment at tg_event_fault in trapgate.h says what can differ from what was reported.
type Trap struct {
	Number    uint32 // on x86-64 that of the exception, REG_TRAPNO: 14 is a page fault
	ErrorCode uint64 // on x86-64 its error code, REG_ERR
}

// Fault is an access to memory that is not there or forbids it.
type Fault struct {
	Addr   uint64 // exact to the byte for SIGSEGV
	IP     uint64
	Access Access
	Signal syscall.Signal // SIGSEGV or SIGBUS
	Code   int32          // SEGV_MAPERR, SEGV_ACCERR, BUS_ADRERR, ...
	Trap   Trap           // with FlagTrap
}

// Exception is a signal that the processor raised: SIGILL, SIGFPE, SIGTRAP, ...
type Exception struct {
	Addr   uint64 // si_addr where the signal has one, else 0
	IP     uint64
	Signal syscall.Signal
	Code   int32 // si_code
	Errno  int32 // si_errno
	Trap   Trap  // with FlagTrap
}

// Dead says how the subprocess ended.
type Dead struct {
	Reason DeadReason
	Status int32
}

// Event is why a switch came back. Kind says which of the last four members is set.
type Event struct {
	Kind     Kind
	Flags    EventFlags
	Arch     uint32   // Syscall: AUDIT_ARCH_* of the entry used; otherwise the native one
	Context  *Context // whose event this is
	UserData uint64   // Context.SetUserData

	Syscall   Syscall
	Fault     Fault
	Exception Exception
	Dead      Dead
}

// String describes the event in one line.
func (e *Event) String() string {
	switch e.Kind {
	case KindSyscall:
		return fmt.Sprintf("syscall nr %d ip %#x flags %#x", int64(e.Syscall.Nr), e.Syscall.IP, uint32(e.Flags))
	case KindFault:
		return fmt.Sprintf("fault signal %d code %d access %d addr %#x ip %#x", int(e.Fault.Signal), e.Fault.Code,
			e.Fault.Access, e.Fault.Addr, e.Fault.IP)
	case KindException:
		return fmt.Sprintf("exception signal %d code %d addr %#x ip %#x", int(e.Exception.Signal), e.Exception.Code,
			e.Exception.Addr, e.Exception.IP)
	case KindDead:
		return fmt.Sprintf("dead reason %d status %d", e.Dead.Reason, e.Dead.Status)
	}
	return e.Kind.String()
}

// read copies an event of the library. Of the last four members it writes the one that the kind names.
func (e *Event) read(from *C.tg_event, context *Context) {
	e.Kind, e.Flags, e.Arch = Kind(from.kind), EventFlags(from.flags), uint32(from.arch)
	e.Context, e.UserData = context, uint64(from.user_data)
	data := unsafe.Pointer(&from.u)
	switch e.Kind {
	case KindSyscall:
		e.Syscall = *(*Syscall)(data)
	case KindFault:
		f := (*C.tg_event_fault)(data)
		e.Fault = Fault{uint64(f.addr), uint64(f.ip), Access(f.access), syscall.Signal(f.signo), int32(f.code),
			Trap{uint32(f.trap), uint64(f.error_code)}}
	case KindException:
		x := (*C.tg_event_exception)(data)
		e.Exception = Exception{uint64(x.addr), uint64(x.ip), syscall.Signal(x.signo), int32(x.code), int32(x.trap_errno),
			Trap{uint32(x.trap), uint64(x.error_code)}}
	case KindDead:
		d := (*C.tg_event_dead)(data)
		e.Dead = Dead{DeadReason(d.reason), int32(d.status)}
	}
}

// Syscall is laid out as tg_event_syscall.
var _ [unsafe.Sizeof(Syscall{}) - unsafe.Sizeof(C.tg_event_syscall{})]struct{}
var _ [unsafe.Sizeof(C.tg_event_syscall{}) - unsafe.Sizeof(Syscall{})]struct{}
var _ [unsafe.Offsetof(Syscall{}.IP) - unsafe.Offsetof(C.tg_event_syscall{}.ip)]struct{}
