// SPDX-License-Identifier: Apache-2.0 OR MIT

package trapgate

// #include "shim.h"
import "C"

import (
	"fmt"
	"runtime"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// Backend is a way of running guests.
type Backend uint32

// The backends.
const (
	BackendAuto    Backend = C.TG_BACKEND_AUTO    // the fastest one that works here
	BackendPtrace  Backend = C.TG_BACKEND_PTRACE  // PTRACE_SYSEMU: stock kernels, no privilege
	BackendSystrap Backend = C.TG_BACKEND_SYSTRAP // SIGSYS and shared memory
)

// String names the backend.
func (b Backend) String() string {
	switch b {
	case BackendAuto:
		return "auto"
	case BackendPtrace:
		return "ptrace"
	case BackendSystrap:
		return "systrap"
	}
	return fmt.Sprintf("backend %d", uint32(b))
}

// OpenFlags change how a platform works.
type OpenFlags uint64

// The flags of Options.
const (
	OpenTrapCPUID   OpenFlags = C.TG_OPEN_TRAP_CPUID   // CPUID comes as an Exception (see CapTrapCPUID)
	OpenTrapTSC     OpenFlags = C.TG_OPEN_TRAP_TSC     // the same for RDTSC and RDTSCP (see CapTrapTSC)
	OpenNoPatching  OpenFlags = C.TG_OPEN_NO_PATCHING  // systrap: never write into guest code
	OpenNoPlacement OpenFlags = C.TG_OPEN_NO_PLACEMENT // leave the placing of stub threads on processors to the kernel
	OpenLatency     OpenFlags = C.TG_OPEN_LATENCY      // measure how long switches and their handoffs take
	OpenVDSO        OpenFlags = C.TG_OPEN_VDSO         // guests get the host's vDSO (see Info.VDSO)
	OpenVDSOOwn     OpenFlags = C.TG_OPEN_VDSO_OWN     // one of the library's: alone, or where the host's cannot be moved
)

// Options say how a platform is opened. The zero value is right for most programs.
type Options struct {
	Backend Backend
	Flags   OpenFlags
	Spin    time.Duration // systrap: how long a side spins before it sleeps, 100 ms at most; 0: the default
}

// Capabilities say what a platform can do on this machine.
type Capabilities uint64

// The capabilities.
const (
	CapAccessExact Capabilities = C.TG_CAP_ACCESS_EXACT // Fault events name the access on the first fault
	CapSingleStep  Capabilities = C.TG_CAP_SINGLE_STEP
	CapTrapCPUID   Capabilities = C.TG_CAP_TRAP_CPUID   // OpenTrapCPUID works
	CapTrapTSC     Capabilities = C.TG_CAP_TRAP_TSC     // OpenTrapTSC works
	CapPatching    Capabilities = C.TG_CAP_PATCHING     // system call sites are patched
	CapSyscallArch Capabilities = C.TG_CAP_SYSCALL_ARCH // compat entries are told apart
	CapVsyscall    Capabilities = C.TG_CAP_VSYSCALL     // vsyscall page calls come as Syscall events
	CapAnswers     Capabilities = C.TG_CAP_ANSWERS      // Subprocess.Answer has an effect
)

// Range is a range of guest addresses.
type Range struct {
	Start uint64
	End   uint64 // exclusive
}

// Info holds facts that do not change while the platform is open.
type Info struct {
	Backend      Backend // never BackendAuto
	Arch         uint32  // AUDIT_ARCH_* of native guests
	PageSize     uint64
	User         Range // the addresses that a guest mapping may have
	FPStateSize  int   // bytes of Context.FPState
	Capabilities Capabilities
	Reserved     []Range // inside User, never available to guests
	// What User.End is at least, in every platform of either backend. From 1 MiB to there nothing is ever reserved: a
	// layout of addresses that has to fit into other platforms too stays in there.
	UserEndMin uint64
	// The vDSO's address in every subprocess, for AT_SYSINFO_EHDR; 0: guests have none.
	VDSO     uint64
	VDSOKind VDSOKind
}

// VDSOKind says which vDSO guests have.
type VDSOKind uint32

// The kinds.
const (
	VDSONone VDSOKind = C.TG_VDSO_NONE
	VDSOHost VDSOKind = C.TG_VDSO_HOST // OpenVDSO
	VDSOOwn  VDSOKind = C.TG_VDSO_OWN  // OpenVDSOOwn: Subprocess.SetClocks
)

// The indices of Stats.PatchRefusals: why a system call site is left as it is.
const (
	PatchRefusedOther        = C.TG_PATCH_REFUSED_OTHER
	PatchRefusedNoSyscall    = C.TG_PATCH_REFUSED_NO_SYSCALL
	PatchRefusedSignalReturn = C.TG_PATCH_REFUSED_SIGNAL_RETURN
	PatchRefusedUnreadable   = C.TG_PATCH_REFUSED_UNREADABLE
	PatchRefusedNoMov        = C.TG_PATCH_REFUSED_NO_MOV
	PatchRefusedDecoy        = C.TG_PATCH_REFUSED_DECOY
	PatchRefusedPageEdge     = C.TG_PATCH_REFUSED_PAGE_EDGE
	PatchRefusedUndecodable  = C.TG_PATCH_REFUSED_UNDECODABLE
	PatchRefusedRelative     = C.TG_PATCH_REFUSED_RELATIVE
	PatchRefusedMemory       = C.TG_PATCH_REFUSED_MEMORY
	PatchRefusedRegister     = C.TG_PATCH_REFUSED_REGISTER
	PatchRefusedUnlisted     = C.TG_PATCH_REFUSED_UNLISTED
	PatchRefusedNoRoom       = C.TG_PATCH_REFUSED_NO_ROOM
	PatchRefusedMapping      = C.TG_PATCH_REFUSED_MAPPING
	PatchRefusedFull         = C.TG_PATCH_REFUSED_FULL
	PatchRefusedChanges      = C.TG_PATCH_REFUSED_CHANGES
	PatchRefusals            = C.TG_PATCH_REFUSALS // how many indices there are
)

// LatencyBuckets is the length of Stats.SwitchLatency, ResumeLatency and EventLatency.
const LatencyBuckets = C.TG_LATENCY_BUCKETS

// Stats are counters since opening, unless they say "now". What a backend does not have stays 0. Each is described at
// tg_stats in trapgate.h.
type Stats struct {
	size, pad uint32

	Subprocesses     uint64 // alive now
	StubThreads      uint64 // alive now, in all subprocesses
	Contexts         uint64 // alive now
	Switches         uint64 // times a context was started
	Syscalls         uint64 // Syscall events
	Faults           uint64 // Fault events
	Exceptions       uint64 // Exception events
	Interrupts       uint64 // Interrupted events
	Deaths           uint64 // subprocesses that died by themselves
	Injections       uint64 // system calls made inside stubs
	FPStateSaves     uint64 // FP states read from a stub thread
	FPStateLoads     uint64 // FP states written to a stub thread
	Placements       uint64 // stub threads moved to the processor of the thread that uses them
	Releases         uint64 // stub threads set free because the guest computed
	Preemptions      uint64 // contexts preempted because others waited
	SpuriousStops    uint64 // stops that were nobody's event
	PatchedCalls     uint64 // Syscall events that did not enter the host kernel
	UnpatchedCalls   uint64 // all others, on every backend
	PatchSites       uint64 // sites that were patched: the two that follow together
	PatchSitesBefore uint64 // the call and the instruction before it
	PatchSitesAfter  uint64 // the call and what is behind it
	PatchRefusals    [PatchRefusals]uint64
	FailedSpins      uint64 // times that a thread spun in vain before it slept
	FutexSleeps      uint64 // times that a thread slept for a stub
	FutexWakes       uint64 // times that a stub thread was woken
	StubSpins        uint64 // the guest can write this one: a hint
	StubSleeps       uint64 // the guest can write this one: a hint
	SwitchLatency    [LatencyBuckets]uint64
	ResumeLatency    [LatencyBuckets]uint64 // a hint: the guest can write the stub's times
	EventLatency     [LatencyBuckets]uint64 // the same
	WorkerCopies     uint64                 // copies of guest memory that a stub's thread made: Context.ReadMemory
	AnsweredCalls    uint64                 // calls that were no events: Subprocess.Answer. A guest can write it
}

// Stats is laid out as tg_stats.
var _ [unsafe.Sizeof(Stats{}) - unsafe.Sizeof(C.tg_stats{})]struct{}
var _ [unsafe.Sizeof(C.tg_stats{}) - unsafe.Sizeof(Stats{})]struct{}

// Availability is what Probe found.
type Availability struct {
	Backend   Backend // the backend that was looked at (BackendAuto: the one it picks)
	Available bool
	Err       error  // what Open would return, or nil
	Step      string // the step that fails, "" when none does
	Reason    string // why it fails
	Remedy    string // what to do about it
}

// Platform is one opened backend.
type Platform struct {
	h *platformHandle
}

type platformHandle struct {
	gate
	ptr     *C.tg_platform
	backend Backend
	gone    chan struct{}

	mu           sync.RWMutex
	subprocesses map[*subprocessHandle]struct{}
	contexts     map[unsafe.Pointer]*contextHandle
	queues       map[*queueHandle]struct{}
	runners      map[*runnerHandle]struct{}
}

// Version is the version of the library at run time, such as "0.1.0".
func Version() string { return C.GoString(C.tg_version_string()) }

// ABIVersion is the version of the library's ABI at run time.
func ABIVersion() uint32 { return uint32(C.tg_abi_version()) }

// Probe tries whether a backend works here, by setting one up and taking it down again.
func Probe(backend Backend) (Availability, error) {
	var probe C.tg_probe
	probe.size = C.uint32_t(unsafe.Sizeof(probe))
	if result := C.tg_platform_probe(C.uint32_t(backend), &probe); result != 0 {
		return Availability{}, &Error{Op: "probe", Errno: syscall.Errno(-result)}
	}
	found := Availability{
		Backend:   Backend(probe.backend),
		Available: probe.available != 0,
		Step:      C.GoString(&probe.step[0]),
		Reason:    C.GoString(&probe.reason[0]),
		Remedy:    C.GoString(&probe.remedy[0]),
	}
	if probe.error != 0 {
		found.Err = &Error{Op: "probe", Errno: syscall.Errno(-probe.error), Message: found.Reason}
	}
	return found, nil
}

// Open opens a backend. Stubs, and so every subprocess, die with this program however it ends. Open the platform before
// installing a seccomp filter: stubs inherit it.
func Open(options Options) (*Platform, error) {
	if ABIVersion() != C.TG_ABI_VERSION {
		return nil, &Error{Op: "open", Errno: syscall.EOPNOTSUPP,
			Message: fmt.Sprintf("the library has ABI version %d, this program needs %d", ABIVersion(), C.TG_ABI_VERSION)}
	}
	if options.Spin < 0 {
		return nil, &Error{Op: "open", Errno: syscall.EINVAL, Message: "the time to spin is negative"}
	}
	// In the library's memory, because it holds a pointer.
	const capacity = 512
	opts := (*C.tg_platform_options)(zeroed(unsafe.Sizeof(C.tg_platform_options{}) + capacity))
	defer C.free(unsafe.Pointer(opts))
	opts.size = C.uint32_t(unsafe.Sizeof(*opts))
	opts.backend = C.uint32_t(options.Backend)
	opts.flags = C.uint64_t(options.Flags)
	opts.spin_ns = C.uint64_t(options.Spin)
	opts.message = (*C.char)(unsafe.Add(unsafe.Pointer(opts), unsafe.Sizeof(*opts)))
	opts.message_capacity = capacity
	var ptr *C.tg_platform
	if result := C.tg_platform_open(opts, &ptr); result != 0 {
		return nil, &Error{Op: "open", Errno: syscall.Errno(-result), Message: C.GoString(opts.message)}
	}
	h := &platformHandle{
		gate: newGate(), ptr: ptr, gone: make(chan struct{}),
		subprocesses: map[*subprocessHandle]struct{}{},
		contexts:     map[unsafe.Pointer]*contextHandle{},
		queues:       map[*queueHandle]struct{}{},
		runners:      map[*runnerHandle]struct{}{},
	}
	p := &Platform{h}
	runtime.SetFinalizer(p, func(p *Platform) { go p.h.close() })
	info, err := p.Info()
	if err != nil {
		p.h.close()
		return nil, err
	}
	h.backend = info.Backend
	return p, nil
}

func (p *Platform) enter(op string) error {
	if p == nil || !p.h.enter() {
		return errClosed(op)
	}
	return nil
}

// Info returns facts that do not change while the platform is open.
func (p *Platform) Info() (Info, error) {
	if err := p.enter("info"); err != nil {
		return Info{}, err
	}
	defer p.leave()
	var info C.tg_info
	info.size = C.uint32_t(unsafe.Sizeof(info))
	if err := p.h.call("info", func() C.int { return C.tg_platform_info(p.h.ptr, &info) }); err != nil {
		return Info{}, err
	}
	reserved := make([]Range, info.reserved_count)
	for i := range reserved {
		reserved[i] = Range{uint64(info.reserved[i].start), uint64(info.reserved[i].end)}
	}
	return Info{
		Backend:      Backend(info.backend),
		Arch:         uint32(info.arch),
		PageSize:     uint64(info.page_size),
		User:         Range{uint64(info.user_start), uint64(info.user_end)},
		UserEndMin:   uint64(info.user_end_min),
		FPStateSize:  int(info.fpstate_size),
		Capabilities: Capabilities(info.capabilities),
		Reserved:     reserved,
		VDSO:         uint64(info.vdso),
		VDSOKind:     VDSOKind(info.vdso_kind),
	}, nil
}

// SetSpin says for how long a side spins before it sleeps: a thread that waits for an event, and one of a stub that waits
// for the answer. 100 ms at most; 0: the default, 20 us; 1 ns: not at all. At any time; on ptrace nobody ever spins.
func (p *Platform) SetSpin(spin time.Duration) error {
	if spin < 0 {
		return &Error{Op: "set spin", Errno: syscall.EINVAL, Message: "the time to spin is negative"}
	}
	if err := p.enter("set spin"); err != nil {
		return err
	}
	defer p.leave()
	return p.h.call("set spin", func() C.int { return C.tg_platform_set_spin(p.h.ptr, C.uint64_t(spin)) })
}

// Stats reads the counters; each is read atomically, not all together.
func (p *Platform) Stats() (Stats, error) {
	if err := p.enter("stats"); err != nil {
		return Stats{}, err
	}
	defer p.leave()
	var stats Stats
	stats.size = uint32(unsafe.Sizeof(stats))
	err := p.h.call("stats", func() C.int {
		return C.tg_platform_stats(p.h.ptr, (*C.tg_stats)(unsafe.Pointer(&stats)))
	})
	if err != nil {
		return Stats{}, err
	}
	return stats, nil
}

// AddSeccompRules adds to a libseccomp filter (a scmp_filter_ctx of C) the rules for every system call that the library
// makes in this program. For programs that filter themselves: open the platform, build the filter, call this, load it.
func (p *Platform) AddSeccompRules(filter unsafe.Pointer) error {
	if err := p.enter("seccomp rules"); err != nil {
		return err
	}
	defer p.leave()
	return p.h.call("seccomp rules", func() C.int { return C.tg_platform_add_seccomp_rules(p.h.ptr, filter) })
}

// LastError is the sentence for the newest failure of a call on the platform or on a handle made from it, by the thread
// that the goroutine is on now; "" before the first, and after Close. It means something to a goroutine that has called
// runtime.LockOSThread. Errors carry their sentence themselves.
func (p *Platform) LastError() string {
	if p.enter("last error") != nil {
		return ""
	}
	defer p.leave()
	return C.GoString(C.tg_platform_last_error(p.h.ptr))
}

// address is the handle as shim.c takes it.
func (h *platformHandle) address() C.uintptr_t { return C.uintptr_t(uintptr(unsafe.Pointer(h.ptr))) }

func (p *Platform) leave() {
	p.h.leave()
	runtime.KeepAlive(p)
}

// Close ends what runs, closes everything made from the platform, kills and reaps the stubs. Nothing stays behind. It
// waits for the calls that it ends, so it must not be called by a runner's Handler.
func (p *Platform) Close() error {
	if p != nil {
		runtime.SetFinalizer(p, nil)
		p.h.close()
	}
	return nil
}

func (h *platformHandle) close() {
	if !h.shut() {
		<-h.gone
		return
	}
	<-h.drained // no more handles are made from here on
	for _, runner := range listOf(h, h.runners) {
		runner.close()
	}
	for _, queue := range listOf(h, h.queues) {
		queue.close()
	}
	h.mu.RLock()
	contexts := make([]*contextHandle, 0, len(h.contexts))
	for _, context := range h.contexts {
		contexts = append(contexts, context)
	}
	h.mu.RUnlock()
	for _, context := range contexts {
		context.close()
	}
	for _, context := range contexts {
		<-context.gone
	}
	for _, subprocess := range listOf(h, h.subprocesses) {
		subprocess.close()
	}
	C.tg_platform_close(h.ptr)
	close(h.gone)
}

func listOf[T comparable](h *platformHandle, set map[T]struct{}) []T {
	h.mu.RLock()
	defer h.mu.RUnlock()
	list := make([]T, 0, len(set))
	for member := range set {
		list = append(list, member)
	}
	return list
}

func remember[T comparable](h *platformHandle, set map[T]struct{}, member T) {
	h.mu.Lock()
	defer h.mu.Unlock()
	set[member] = struct{}{}
}

func forget[T comparable](h *platformHandle, set map[T]struct{}, member T) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(set, member)
}

// lookup finds the Go side of an event's context.
func (h *platformHandle) lookup(context unsafe.Pointer) *contextHandle {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.contexts[context]
}
