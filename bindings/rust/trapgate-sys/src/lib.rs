// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The C interface of Trapgate as it is: every function, struct and constant of `trapgate/trapgate.h`, by the same
//! names. The header is the reference; what is said here is a reminder. Programs want the crate `trapgate`.
//!
//! Functions that return [`c_int`] give 0, or a negative errno of the header's closed list.
//! Each struct that begins with `size` wants its own size there; [`Default`] gives zeros with the size set.

#![allow(non_camel_case_types)]
#![deny(missing_docs)]

use std::os::raw::{c_char, c_int, c_void};

#[cfg(test)]
mod header_test;
#[allow(dead_code)] // old compilers do not see what constants without a name use
mod layout;

// ---------------------------------------------------------------------------
// Version and error texts
// ---------------------------------------------------------------------------

/// Major number of the header that these declarations were written from.
pub const TG_VERSION_MAJOR: u32 = 0;
/// Minor number of the same.
pub const TG_VERSION_MINOR: u32 = 1;
/// Patch number of the same.
pub const TG_VERSION_PATCH: u32 = 0;
/// Compare with [`tg_abi_version`].
pub const TG_ABI_VERSION: u32 = 1;

/// Any number of these may exist; only pointers to them are seen.
pub enum tg_platform {}
/// A guest address space, held by a stub process.
pub enum tg_subprocess {}
/// The machine state of one guest thread.
pub enum tg_context {}
/// Runs many contexts for one waiting thread.
pub enum tg_queue {}

// ---------------------------------------------------------------------------
// Platform
// ---------------------------------------------------------------------------

/// The fastest backend that works here.
pub const TG_BACKEND_AUTO: u32 = 0;
/// PTRACE_SYSEMU: stock kernels, no privilege.
pub const TG_BACKEND_PTRACE: u32 = 1;
/// SIGSYS and shared memory.
pub const TG_BACKEND_SYSTRAP: u32 = 2;

/// Deliver the CPUID instruction as an EXCEPTION event.
pub const TG_OPEN_TRAP_CPUID: u64 = 0x1;
/// The same for RDTSC and RDTSCP.
pub const TG_OPEN_TRAP_TSC: u64 = 0x2;
/// systrap: never write into guest code.
pub const TG_OPEN_NO_PATCHING: u64 = 0x4;
/// Leave the placing of stub threads on processors to the kernel.
pub const TG_OPEN_NO_PLACEMENT: u64 = 0x8;
/// Measure how long switches take.
pub const TG_OPEN_LATENCY: u64 = 0x10;
/// Guests get the host's vDSO: see [`tg_info::vdso`].
pub const TG_OPEN_VDSO: u64 = 0x20;
/// Guests get a vDSO of the library's own, whose clocks [`tg_subprocess_set_clocks`] sets.
pub const TG_OPEN_VDSO_OWN: u64 = 0x40;

/// How to open a platform.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tg_platform_options {
    /// The size of this struct.
    pub size: u32,
    /// `TG_BACKEND_*`
    pub backend: u32,
    /// `TG_OPEN_*`
    pub flags: u64,
    /// Where opening writes its sentence when it fails, or null.
    pub message: *mut c_char,
    /// Bytes at `message`; the text is cut and always terminated.
    pub message_capacity: u64,
    /// systrap: how long a side spins before it sleeps; 0: the default.
    pub spin_ns: u64,
}

/// Whether a backend works, and if not, why.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tg_probe {
    /// In: the size of this struct.
    pub size: u32,
    /// The backend that was looked at.
    pub backend: u32,
    /// 1 or 0.
    pub available: u32,
    /// What [`tg_platform_open`] would return.
    pub error: i32,
    /// The step that fails, empty when none does.
    pub step: [c_char; 48],
    /// Why it fails.
    pub reason: [c_char; 208],
    /// What to do about it.
    pub remedy: [c_char; 256],
}

/// FAULT events name the access on the first fault.
pub const TG_CAP_ACCESS_EXACT: u64 = 0x1;
/// Single steps work.
pub const TG_CAP_SINGLE_STEP: u64 = 0x2;
/// [`TG_OPEN_TRAP_CPUID`] works on this machine.
pub const TG_CAP_TRAP_CPUID: u64 = 0x4;
/// [`TG_OPEN_TRAP_TSC`] works on this machine.
pub const TG_CAP_TRAP_TSC: u64 = 0x8;
/// System call sites are patched.
pub const TG_CAP_PATCHING: u64 = 0x10;
/// Compat entries are told apart.
pub const TG_CAP_SYSCALL_ARCH: u64 = 0x20;
/// Calls into the vsyscall page come as SYSCALL events.
pub const TG_CAP_VSYSCALL: u64 = 0x40;
/// [`tg_subprocess_answer`] has an effect.
pub const TG_CAP_ANSWERS: u64 = 0x80;

/// An event, as each call at first.
pub const TG_ANSWER_NONE: u32 = 0;
/// The value.
pub const TG_ANSWER_VALUE: u32 = 1;
/// The word with this index of the context that makes the call.
pub const TG_ANSWER_CONTEXT_WORD: u32 = 2;
/// Calls with lower numbers can be answered.
pub const TG_ANSWER_CALLS: u32 = 512;
/// Words of a context.
pub const TG_CONTEXT_WORDS: u32 = 8;

/// Guests have no vDSO.
pub const TG_VDSO_NONE: u32 = 0;
/// The host's.
pub const TG_VDSO_HOST: u32 = 1;
/// The library's.
pub const TG_VDSO_OWN: u32 = 2;

/// Elements of [`tg_info::reserved`].
pub const TG_RESERVED_MAX: usize = 4;

/// A range of addresses.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct tg_range {
    /// The first address.
    pub start: u64,
    /// The address behind the last.
    pub end: u64,
}

/// Facts that do not change while the platform is open.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tg_info {
    /// In: the size of this struct.
    pub size: u32,
    /// Never AUTO.
    pub backend: u32,
    /// `AUDIT_ARCH_*` of native guests.
    pub arch: u32,
    /// Bytes.
    pub page_size: u32,
    /// The lowest address that a guest mapping may have.
    pub user_start: u64,
    /// The address behind the highest.
    pub user_end: u64,
    /// Bytes that [`tg_context_get_fpstate`] writes.
    pub fpstate_size: u64,
    /// `TG_CAP_*`
    pub capabilities: u64,
    /// How many elements of `reserved` count.
    pub reserved_count: u32,
    /// Zero.
    pub pad: u32,
    /// Inside `user_start..user_end`, never available to guests.
    pub reserved: [tg_range; 4],
    /// What `user_end` is at least, in every platform of either backend.
    pub user_end_min: u64,
    /// Its address in every subprocess, for `AT_SYSINFO_EHDR`; 0: guests have none.
    pub vdso: u64,
    /// `TG_VDSO_*`
    pub vdso_kind: u32,
    /// Zero.
    pub vdso_pad: u32,
}

/// Index of [`tg_stats::patch_refusals`]: no memory or mapping for the site, or a stub that died meanwhile.
pub const TG_PATCH_REFUSED_OTHER: usize = 0;
/// Index of [`tg_stats::patch_refusals`]: the bytes there are no system call any more.
pub const TG_PATCH_REFUSED_NO_SYSCALL: usize = 1;
/// Index of [`tg_stats::patch_refusals`]: rt_sigreturn.
pub const TG_PATCH_REFUSED_SIGNAL_RETURN: usize = 2;
/// Index of [`tg_stats::patch_refusals`]: bytes that could not be read.
pub const TG_PATCH_REFUSED_UNREADABLE: usize = 3;
/// Index of [`tg_stats::patch_refusals`]: never counted, why what is behind it does not fit says more.
pub const TG_PATCH_REFUSED_NO_MOV: usize = 4;
/// Index of [`tg_stats::patch_refusals`]: that mov can be the end of other instructions.
pub const TG_PATCH_REFUSED_DECOY: usize = 5;
/// Index of [`tg_stats::patch_refusals`]: its bytes lie in two pages.
pub const TG_PATCH_REFUSED_PAGE_EDGE: usize = 6;
/// Index of [`tg_stats::patch_refusals`]: no instruction follows.
pub const TG_PATCH_REFUSED_UNDECODABLE: usize = 7;
/// Index of [`tg_stats::patch_refusals`]: a neighbour jumps, calls, traps or uses the instruction pointer.
pub const TG_PATCH_REFUSED_RELATIVE: usize = 8;
/// Index of [`tg_stats::patch_refusals`]: a neighbour uses memory through gs.
pub const TG_PATCH_REFUSED_MEMORY: usize = 9;
/// Index of [`tg_stats::patch_refusals`]: a neighbour depends on registers that differ behind a patched call.
pub const TG_PATCH_REFUSED_REGISTER: usize = 10;
/// Index of [`tg_stats::patch_refusals`]: a neighbour that is not known to be harmless.
pub const TG_PATCH_REFUSED_UNLISTED: usize = 11;
/// Index of [`tg_stats::patch_refusals`]: a neighbour starts where the jump has a byte that does not trap.
pub const TG_PATCH_REFUSED_NO_ROOM: usize = 12;
/// Index of [`tg_stats::patch_refusals`]: the code is writable, shared, or not the guest's alone.
pub const TG_PATCH_REFUSED_MAPPING: usize = 13;
/// Index of [`tg_stats::patch_refusals`]: as many sites as a subprocess can have.
pub const TG_PATCH_REFUSED_FULL: usize = 14;
/// Index of [`tg_stats::patch_refusals`]: code in its page changes so often that it must call more for a look.
pub const TG_PATCH_REFUSED_CHANGES: usize = 15;
/// Elements of [`tg_stats::patch_refusals`].
pub const TG_PATCH_REFUSALS: usize = 16;

/// Elements of [`tg_stats::switch_latency`], [`tg_stats::resume_latency`] and [`tg_stats::event_latency`].
pub const TG_LATENCY_BUCKETS: usize = 32;

/// Counters since opening, unless they say "now".
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tg_stats {
    /// In: the size of this struct.
    pub size: u32,
    /// Zero.
    pub pad: u32,
    /// Alive now.
    pub subprocesses: u64,
    /// Alive now, in all subprocesses.
    pub stub_threads: u64,
    /// Alive now.
    pub contexts: u64,
    /// Times a context was started.
    pub switches: u64,
    /// SYSCALL events.
    pub syscalls: u64,
    /// FAULT events.
    pub faults: u64,
    /// EXCEPTION events.
    pub exceptions: u64,
    /// INTERRUPTED events.
    pub interrupts: u64,
    /// Subprocesses that died by themselves.
    pub deaths: u64,
    /// System calls made inside stubs.
    pub injections: u64,
    /// FP states read from a stub thread.
    pub fpstate_saves: u64,
    /// FP states written to a stub thread.
    pub fpstate_loads: u64,
    /// Stub threads moved to the processor of the thread that uses them.
    pub placements: u64,
    /// Stub threads set free because the guest computed.
    pub releases: u64,
    /// Contexts preempted because others waited.
    pub preemptions: u64,
    /// Stops that were nobody's event.
    pub spurious_stops: u64,
    /// SYSCALL events that did not enter the host kernel.
    pub patched_calls: u64,
    /// All others, on every backend.
    pub unpatched_calls: u64,
    /// Sites that were patched: the two that follow together.
    pub patch_sites: u64,
    /// The call and the instruction before it.
    pub patch_sites_before: u64,
    /// The call and what is behind it.
    pub patch_sites_after: u64,
    /// Sites left alone, by `TG_PATCH_REFUSED_*`.
    pub patch_refusals: [u64; 16],
    /// Times that a thread spun in vain before it slept.
    pub failed_spins: u64,
    /// Times that a thread slept for a stub.
    pub futex_sleeps: u64,
    /// Times that a stub thread was woken.
    pub futex_wakes: u64,
    /// On the stub's side, where a guest can write: a hint.
    pub stub_spins: u64,
    /// On the stub's side, where a guest can write: a hint.
    pub stub_sleeps: u64,
    /// With [`TG_OPEN_LATENCY`]: element i counts 2^i to 2^(i+1) - 1 ns.
    pub switch_latency: [u64; 32],
    /// The same, until a stub thread went on with the context. A guest can write the stub's times: a hint.
    pub resume_latency: [u64; 32],
    /// The same, from the stub's leaving an event until it was taken. A guest can write the stub's times: a hint.
    pub event_latency: [u64; 32],
    /// Copies of guest memory that a thread of a stub made: [`tg_context_read`] and its like.
    pub worker_copies: u64,
    /// Calls that were no events, by [`tg_subprocess_answer`]. A guest can write this number: a hint.
    pub answered_calls: u64,
}

// ---------------------------------------------------------------------------
// Subprocess
// ---------------------------------------------------------------------------

/// mmap(2), always at the address given.
pub const TG_MEM_MAP: u32 = 1;
/// munmap(2).
pub const TG_MEM_UNMAP: u32 = 2;
/// mprotect(2).
pub const TG_MEM_PROTECT: u32 = 3;
/// madvise(2), a few of its advices.
pub const TG_MEM_ADVISE: u32 = 4;
/// mremap(2), to the address in offset.
pub const TG_MEM_MOVE: u32 = 5;

/// No access.
pub const TG_PROT_NONE: u32 = 0;
/// Readable.
pub const TG_PROT_READ: u32 = 1;
/// Writable.
pub const TG_PROT_WRITE: u32 = 2;
/// Executable.
pub const TG_PROT_EXEC: u32 = 4;

/// Writes reach the descriptor; without it: private, copy-on-write.
pub const TG_MAP_SHARED: u32 = 0x1;
/// Make the pages present now.
pub const TG_MAP_POPULATE: u32 = 0x2;
/// MAP_NORESERVE.
pub const TG_MAP_NORESERVE: u32 = 0x4;
/// -EEXIST rather than replace what is there.
pub const TG_MAP_NOREPLACE: u32 = 0x8;
/// `fd` is a descriptor, whatever its number: needed for descriptor 0.
pub const TG_MAP_FD: u32 = 0x10;
/// Code whose bytes change through no other mapping: may be patched, and is mapped privately also with [`TG_MAP_SHARED`].
pub const TG_MAP_CODE: u32 = 0x20;

/// One memory operation of a batch.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tg_mem_op {
    /// The size of this struct; the same in all elements of an array.
    pub size: u32,
    /// `TG_MEM_*`
    pub kind: u32,
    /// A multiple of the page size.
    pub addr: u64,
    /// Bytes, more than 0.
    pub length: u64,
    /// MAP, PROTECT: `TG_PROT_*`
    pub prot: u32,
    /// MAP: `TG_MAP_*`; MOVE: 0
    pub flags: u32,
    /// MAP: a descriptor of the embedder, or -1 for zero pages.
    pub fd: i32,
    /// ADVISE: `MADV_*` of the host.
    pub advice: i32,
    /// MAP with a descriptor, MOVE (the new address): a multiple of the page size.
    pub offset: u64,
}

/// max bytes at argument arg.
pub const TG_BRING_BYTES: u32 = 1;
/// As many as argument length_arg says, at most max.
pub const TG_BRING_COUNTED: u32 = 2;
/// Up to the 0 byte, at most max.
pub const TG_BRING_STRING: u32 = 3;
/// Numbers of calls are below.
pub const TG_BRING_CALLS: u32 = 512;
/// Pieces that a call can bring.
pub const TG_BRING_PIECES: u32 = 2;
/// Bytes, of all pieces of a call.
pub const TG_BRING_MAX: u32 = 4096;

/// A piece of guest memory that a system call brings along.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tg_bring {
    /// The size of this struct; the same in all elements of an array.
    pub size: u32,
    /// `TG_BRING_*`
    pub kind: u32,
    /// Of the call, in the native table.
    pub nr: u64,
    /// The argument that is its address.
    pub arg: u32,
    /// COUNTED: the argument that is its length; else 0.
    pub length_arg: u32,
    /// Bytes, 1 to [`TG_BRING_MAX`].
    pub max: u32,
    /// 0
    pub flags: u32,
}

// ---------------------------------------------------------------------------
// Clocks of guests
// ---------------------------------------------------------------------------

/// Numbers of clocks are below.
pub const TG_CLOCKS: u32 = 16;
/// Guests make the call, as at first.
pub const TG_CLOCK_CALL: u32 = 0;
/// Guests read `base_ns + (counter - base_counter) * multiplier / 2^32`.
pub const TG_CLOCK_TIME: u32 = 1;
/// By this change the clock does not go back.
pub const TG_CLOCK_FORWARD: u32 = 0x1;

/// What a clock of a guest shows.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tg_clock {
    /// The size of this struct; the same in all elements of an array.
    pub size: u32,
    /// `CLOCK_REALTIME` (0), `CLOCK_MONOTONIC` (1), ...
    pub clock: u32,
    /// `TG_CLOCK_CALL`, `TG_CLOCK_TIME`
    pub kind: u32,
    /// `TG_CLOCK_FORWARD`
    pub flags: u32,
    /// Of [`tg_platform_counter`].
    pub base_counter: u64,
    /// Nanoseconds since the clock's epoch.
    pub base_ns: u64,
    /// Nanoseconds for each tick of the counter, in 2^-32; 0: it stands still.
    pub multiplier: u64,
}

/// A clock of the host's that a guest's follows: the state of [`tg_platform_follow_clock`].
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tg_host_clock {
    /// The size of this struct.
    pub size: u32,
    /// In: `CLOCK_REALTIME` (0), `CLOCK_MONOTONIC` (1), ... of the host.
    pub clock: u32,
    /// When it was looked at last; 0: it was not.
    pub counter: u64,
    /// What it showed.
    pub ns: u64,
    /// How fast it went; 0: not known yet.
    pub slope: u64,
    /// What guests saw at that moment.
    pub guest_ns: u64,
    /// What was given out for them.
    pub multiplier: u64,
    /// How far guests were off then, before this was put right.
    pub error_ns: u64,
}

// ---------------------------------------------------------------------------
// Context
// ---------------------------------------------------------------------------

/// Only one thread switches the context: its FP state stays in the stub (ptrace).
pub const TG_CONTEXT_ONE_THREAD: u32 = 0x1;

/// length bytes at addr to buffer.
pub const TG_TRANSFER_READ: u32 = 1;
/// length bytes at buffer to addr.
pub const TG_TRANSFER_WRITE: u32 = 2;
/// As [`tg_context_read_string`]: length is what buffer holds.
pub const TG_TRANSFER_STRING: u32 = 3;
/// Pieces that can be moved in one go.
pub const TG_TRANSFER_PIECES: u32 = 1024;

/// A piece of guest memory that is read or written beside others.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tg_transfer {
    /// The size of this struct; the same in all elements of an array.
    pub size: u32,
    /// `TG_TRANSFER_*`
    pub kind: u32,
    /// In the guest.
    pub addr: u64,
    /// The embedder's; only read for WRITE.
    pub buffer: *mut c_void,
    /// Bytes; 0 touches nothing.
    pub length: u64,
    /// Out: how many were moved; STRING: how many are in front of the 0.
    pub done: u64,
}

/// Pieces that an answer can have attached.
pub const TG_ATTACH_PIECES: u32 = 8;
/// Bytes that an answer can have attached, in all.
pub const TG_ATTACH_MAX: u32 = 4096;

/// The general registers of an x86-64 guest thread.
#[cfg(target_arch = "x86_64")]
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct tg_regs {
    /// Set by the library: the size of this struct there.
    pub size: u32,
    /// Set by the library: AUDIT_ARCH_X86_64.
    pub arch: u32,
    /// r15
    pub r15: u64,
    /// r14
    pub r14: u64,
    /// r13
    pub r13: u64,
    /// r12
    pub r12: u64,
    /// rbp
    pub rbp: u64,
    /// rbx
    pub rbx: u64,
    /// r11
    pub r11: u64,
    /// r10
    pub r10: u64,
    /// r9
    pub r9: u64,
    /// r8
    pub r8: u64,
    /// At a SYSCALL event: the system call number, as the guest had it.
    pub rax: u64,
    /// rcx
    pub rcx: u64,
    /// rdx
    pub rdx: u64,
    /// rsi
    pub rsi: u64,
    /// rdi
    pub rdi: u64,
    /// At a SYSCALL event: the number; otherwise all ones; ignored when set.
    pub orig_rax: u64,
    /// At a SYSCALL event: behind the instruction.
    pub rip: u64,
    /// cs
    pub cs: u64,
    /// Set bit 8 (TF) to run a single instruction; ptrace(2) cannot set bit 21 (ID).
    pub eflags: u64,
    /// rsp
    pub rsp: u64,
    /// ss
    pub ss: u64,
    /// Thread-local storage.
    pub fs_base: u64,
    /// gs_base
    pub gs_base: u64,
    /// ds
    pub ds: u64,
    /// es
    pub es: u64,
    /// fs
    pub fs: u64,
    /// gs
    pub gs: u64,
}

/// The general registers of an AArch64 guest thread.
#[cfg(target_arch = "aarch64")]
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct tg_regs {
    /// Set by the library: the size of this struct there.
    pub size: u32,
    /// Set by the library: AUDIT_ARCH_AARCH64.
    pub arch: u32,
    /// At a SYSCALL event `x[8]` is the system call number.
    pub x: [u64; 31],
    /// Stack pointer.
    pub sp: u64,
    /// At a SYSCALL event: behind the instruction.
    pub pc: u64,
    /// Set bit 21 (SS) to run a single instruction.
    pub pstate: u64,
    /// Thread-local storage.
    pub tpidr_el0: u64,
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("Trapgate supports x86-64 and AArch64 only");

// ---------------------------------------------------------------------------
// Events
// ---------------------------------------------------------------------------

/// The context goes on as it is; the registers are only written.
pub const TG_EXCHANGE_NOTHING: u32 = 0;
/// The call returns what the registers have in that of a result.
pub const TG_EXCHANGE_RETURN: u32 = 1;
/// The context goes on with all that is in the registers.
pub const TG_EXCHANGE_ALL: u32 = 2;

/// The guest made a system call.
pub const TG_EVENT_SYSCALL: u32 = 1;
/// The guest touched memory it cannot.
pub const TG_EVENT_FAULT: u32 = 2;
/// Any other signal that the processor raised.
pub const TG_EVENT_EXCEPTION: u32 = 3;
/// [`tg_context_interrupt`] was called.
pub const TG_EVENT_INTERRUPTED: u32 = 4;
/// The subprocess is gone; its contexts can run elsewhere.
pub const TG_EVENT_DEAD: u32 = 5;

/// An interrupt came too; the next switch returns INTERRUPTED.
pub const TG_FLAG_INTERRUPT_PENDING: u32 = 0x1;
/// SYSCALL: came through a patched site.
pub const TG_FLAG_PATCHED: u32 = 0x2;
/// SYSCALL: the site may be patched later.
pub const TG_FLAG_PATCHABLE: u32 = 0x4;
/// SYSCALL: int 0x80 or sysenter.
pub const TG_FLAG_COMPAT: u32 = 0x8;
/// SYSCALL: an x32 call.
pub const TG_FLAG_X32: u32 = 0x10;
/// SYSCALL: a call into the vsyscall page, by nr; it has returned already: ip is there.
pub const TG_FLAG_VSYSCALL: u32 = 0x20;
/// FAULT, EXCEPTION: `trap` and `error_code` are set.
pub const TG_FLAG_TRAP: u32 = 0x40;
/// Besides it: they follow from the signal, nobody has reported them.
pub const TG_FLAG_TRAP_DERIVED: u32 = 0x80;

/// Data of a SYSCALL event.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tg_event_syscall {
    /// The number.
    pub nr: u64,
    /// The arguments.
    pub args: [u64; 6],
    /// Behind the system call instruction.
    pub ip: u64,
}

/// A read.
pub const TG_ACCESS_READ: u32 = 1;
/// A write, or a read and a write.
pub const TG_ACCESS_WRITE: u32 = 2;
/// An instruction fetch.
pub const TG_ACCESS_EXEC: u32 = 4;

/// Data of a FAULT event.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tg_event_fault {
    /// As the processor reported it.
    pub addr: u64,
    /// The instruction.
    pub ip: u64,
    /// `TG_ACCESS_*`, or 0 when nobody knows.
    pub access: u32,
    /// SIGSEGV or SIGBUS.
    pub signo: i32,
    /// SEGV_MAPERR, SEGV_ACCERR, BUS_ADRERR, ...
    pub code: i32,
    /// With `TG_FLAG_TRAP`: the number of the exception.
    pub trap: u32,
    /// Its error code.
    pub error_code: u64,
}

/// Data of an EXCEPTION event.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tg_event_exception {
    /// si_addr where the signal has one, else 0.
    pub addr: u64,
    /// The instruction, or the one behind it.
    pub ip: u64,
    /// The signal.
    pub signo: i32,
    /// si_code
    pub code: i32,
    /// si_errno
    pub trap_errno: i32,
    /// With `TG_FLAG_TRAP`: the number of the exception.
    pub trap: u32,
    /// Its error code.
    pub error_code: u64,
}

/// A signal ended the stub: `status` is its number.
pub const TG_DEAD_KILLED: i32 = 1;
/// The stub exited: `status` is its code.
pub const TG_DEAD_EXITED: i32 = 2;
/// [`tg_subprocess_destroy`] was called.
pub const TG_DEAD_DESTROYED: i32 = 3;
/// The stub broke the protocol; the library killed it.
pub const TG_DEAD_CORRUPT: i32 = 4;

/// Data of a DEAD event.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tg_event_dead {
    /// `TG_DEAD_*`
    pub reason: i32,
    /// What goes with the reason.
    pub status: i32,
}

/// What an event carries, by its kind.
#[repr(C)]
#[derive(Clone, Copy)]
pub union tg_event_data {
    /// SYSCALL.
    pub syscall: tg_event_syscall,
    /// FAULT.
    pub fault: tg_event_fault,
    /// EXCEPTION.
    pub exception: tg_event_exception,
    /// DEAD.
    pub dead: tg_event_dead,
    /// Room for kinds to come.
    pub reserved: [u64; 16],
}

/// Why a switch came back.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct tg_event {
    /// In: the size of this struct.
    pub size: u32,
    /// `TG_EVENT_*`; treat one you do not know as DEAD.
    pub kind: u32,
    /// `TG_FLAG_*`
    pub flags: u32,
    /// SYSCALL: `AUDIT_ARCH_*` of the entry used; otherwise the native one.
    pub arch: u32,
    /// Whose event this is.
    pub context: *mut tg_context,
    /// [`tg_context_set_user_data`].
    pub user_data: u64,
    /// By kind.
    pub u: tg_event_data,
}

macro_rules! zeros_with_size {
    ($($name:ident),*) => {$(
        impl Default for $name {
            fn default() -> Self {
                // SAFETY: the struct has integers, arrays of integers and raw pointers only: zeros are valid.
                let mut zeros: Self = unsafe { std::mem::zeroed() };
                zeros.size = std::mem::size_of::<Self>() as u32;
                zeros
            }
        }
    )*};
}
zeros_with_size!(
    tg_platform_options,
    tg_probe,
    tg_info,
    tg_stats,
    tg_mem_op,
    tg_bring,
    tg_clock,
    tg_host_clock,
    tg_transfer,
    tg_event,
    tg_regs
);

// ---------------------------------------------------------------------------
// Functions
// ---------------------------------------------------------------------------

extern "C" {
    /// The ABI version of the library at run time.
    pub fn tg_abi_version() -> u32;
    /// "0.1.0"; static storage.
    pub fn tg_version_string() -> *const c_char;
    /// A short English text for a result; static storage.
    pub fn tg_strerror(err: c_int) -> *const c_char;

    /// Tries whether a backend works here.
    pub fn tg_platform_probe(backend: u32, out: *mut tg_probe) -> c_int;
    /// Opens a backend; `opts` may be null.
    pub fn tg_platform_open(opts: *const tg_platform_options, out: *mut *mut tg_platform) -> c_int;
    /// Facts that do not change while the platform is open.
    pub fn tg_platform_info(platform: *const tg_platform, out: *mut tg_info) -> c_int;
    /// Counters since opening.
    pub fn tg_platform_stats(platform: *const tg_platform, out: *mut tg_stats) -> c_int;
    /// For how long a side spins before it sleeps, in ns; 0: the default, 1: not at all.
    pub fn tg_platform_set_spin(platform: *mut tg_platform, ns: u64) -> c_int;
    /// The counter that guests' clocks go by, now; 0: there is none to be read.
    pub fn tg_platform_counter(platform: *const tg_platform) -> u64;
    /// One look at a clock of the host's, and what makes a guest's follow it.
    pub fn tg_platform_follow_clock(
        platform: *const tg_platform,
        host: *mut tg_host_clock,
        out: *mut tg_clock,
    ) -> c_int;
    /// Adds to a libseccomp filter what the library calls in the embedder.
    pub fn tg_platform_add_seccomp_rules(platform: *const tg_platform, scmp_filter_ctx: *mut c_void)
        -> c_int;
    /// The sentence for the calling thread's newest failure.
    pub fn tg_platform_last_error(platform: *const tg_platform) -> *const c_char;
    /// Closes the platform and everything made from it. Null is allowed.
    pub fn tg_platform_close(platform: *mut tg_platform);

    /// Makes an empty address space.
    pub fn tg_subprocess_create(platform: *mut tg_platform, out: *mut *mut tg_subprocess) -> c_int;
    /// Makes a copy.
    pub fn tg_subprocess_fork(subprocess: *mut tg_subprocess, out: *mut *mut tg_subprocess) -> c_int;
    /// Makes it an empty address space again, with its process.
    pub fn tg_subprocess_reset(subprocess: *mut tg_subprocess) -> c_int;
    /// Applies `n` operations in order.
    pub fn tg_subprocess_apply(
        subprocess: *mut tg_subprocess,
        ops: *const tg_mem_op,
        n: usize,
        done: *mut usize,
    ) -> c_int;
    /// One [`TG_MEM_MAP`].
    pub fn tg_subprocess_map(
        subprocess: *mut tg_subprocess,
        addr: u64,
        length: u64,
        prot: u32,
        flags: u32,
        fd: i32,
        offset: u64,
    ) -> c_int;
    /// One [`TG_MEM_UNMAP`].
    pub fn tg_subprocess_unmap(subprocess: *mut tg_subprocess, addr: u64, length: u64) -> c_int;
    /// One [`TG_MEM_PROTECT`].
    pub fn tg_subprocess_protect(subprocess: *mut tg_subprocess, addr: u64, length: u64, prot: u32) -> c_int;
    /// Declares what the calls of a subprocess bring along, in place of all that was declared.
    pub fn tg_subprocess_set_brings(
        subprocess: *mut tg_subprocess,
        pieces: *const tg_bring,
        n: usize,
    ) -> c_int;
    /// Copies out of guest memory.
    pub fn tg_subprocess_read(
        subprocess: *mut tg_subprocess,
        addr: u64,
        buffer: *mut c_void,
        length: usize,
        done: *mut usize,
    ) -> c_int;
    /// Copies into guest memory.
    pub fn tg_subprocess_write(
        subprocess: *mut tg_subprocess,
        addr: u64,
        buffer: *const c_void,
        length: usize,
        done: *mut usize,
    ) -> c_int;
    /// Calls of this number need not become events: [`TG_ANSWER_VALUE`] and its like. At any time, from any thread.
    pub fn tg_subprocess_answer(subprocess: *mut tg_subprocess, nr: u32, kind: u32, value: u64) -> c_int;
    /// Sets these clocks of the subprocess. At any time, from any thread.
    pub fn tg_subprocess_set_clocks(
        subprocess: *mut tg_subprocess,
        clocks: *const tg_clock,
        n: usize,
    ) -> c_int;
    /// The clock as it was set last, and what guests read of it at this moment.
    pub fn tg_subprocess_clock(
        subprocess: *mut tg_subprocess,
        clock: u32,
        out: *mut tg_clock,
        ns: *mut u64,
    ) -> c_int;
    /// The process id of the stub, 0 when the subprocess is dead.
    pub fn tg_subprocess_pid(subprocess: *const tg_subprocess) -> i32;
    /// Kills the stub process and reaps it. Null is allowed.
    pub fn tg_subprocess_destroy(subprocess: *mut tg_subprocess);

    /// Makes the state of one guest thread.
    pub fn tg_context_create(platform: *mut tg_platform, out: *mut *mut tg_context) -> c_int;
    /// Back to the state of a new context, then sets instruction and stack pointer.
    pub fn tg_context_start(context: *mut tg_context, ip: u64, sp: u64) -> c_int;
    /// Copies registers, thread-local storage and FP state.
    pub fn tg_context_copy(to: *mut tg_context, from: *const tg_context) -> c_int;
    /// Sets all flags at once: `TG_CONTEXT_*`.
    pub fn tg_context_set_flags(context: *mut tg_context, flags: u32) -> c_int;
    /// A number of the embedder's that comes back in every event.
    pub fn tg_context_set_user_data(context: *mut tg_context, user_data: u64) -> c_int;
    /// That number.
    pub fn tg_context_user_data(context: *const tg_context) -> u64;
    /// The general registers as of the last event.
    pub fn tg_context_regs(context: *const tg_context) -> *const tg_regs;
    /// The same for writing; null while the context is running.
    pub fn tg_context_regs_mut(context: *mut tg_context) -> *mut tg_regs;
    /// Writes the FP state to `buffer`.
    pub fn tg_context_get_fpstate(context: *mut tg_context, buffer: *mut c_void, capacity: usize) -> c_int;
    /// Checks and sets the FP state.
    pub fn tg_context_set_fpstate(context: *mut tg_context, buffer: *const c_void, length: usize) -> c_int;
    /// Reads the thread-local storage register.
    pub fn tg_context_get_tls(context: *const tg_context, out: *mut u64) -> c_int;
    /// Sets it.
    pub fn tg_context_set_tls(context: *mut tg_context, tls: u64) -> c_int;
    /// Copies out of guest memory, by way of a context that is at rest.
    pub fn tg_context_read(
        context: *mut tg_context,
        subprocess: *mut tg_subprocess,
        addr: u64,
        buffer: *mut c_void,
        length: usize,
        done: *mut usize,
    ) -> c_int;
    /// Copies into guest memory, by way of a context that is at rest.
    pub fn tg_context_write(
        context: *mut tg_context,
        subprocess: *mut tg_subprocess,
        addr: u64,
        buffer: *const c_void,
        length: usize,
        done: *mut usize,
    ) -> c_int;
    /// What the call of the last event has brought: valid until the context runs again or is destroyed.
    pub fn tg_context_brought(
        context: *mut tg_context,
        subprocess: *mut tg_subprocess,
        piece: u32,
        bytes: *mut *const c_void,
        length: *mut usize,
    ) -> c_int;
    /// Moves pieces of guest memory in one go, by way of a context that is at rest.
    pub fn tg_context_transfer(
        context: *mut tg_context,
        subprocess: *mut tg_subprocess,
        pieces: *mut tg_transfer,
        n: usize,
    ) -> c_int;
    /// Attaches bytes to the answer to the call of the last event.
    pub fn tg_context_attach(
        context: *mut tg_context,
        addr: u64,
        bytes: *const c_void,
        length: usize,
    ) -> c_int;
    /// Copies a string with its 0 byte out of guest memory, by way of a context that is at rest.
    pub fn tg_context_read_string(
        context: *mut tg_context,
        subprocess: *mut tg_subprocess,
        addr: u64,
        buffer: *mut c_char,
        capacity: usize,
        length: *mut usize,
    ) -> c_int;
    /// Sets the result of the system call that the context came back with.
    pub fn tg_context_set_return(context: *mut tg_context, value: i64) -> c_int;
    /// A word for [`TG_ANSWER_CONTEXT_WORD`], 0 at first. Any thread, also while the context runs.
    pub fn tg_context_set_word(context: *mut tg_context, index: u32, value: u64) -> c_int;
    /// Makes the next switch raise the system call of the last event once more.
    pub fn tg_context_restart_syscall(context: *mut tg_context) -> c_int;
    /// Runs the context in the subprocess until an event.
    pub fn tg_context_switch(
        context: *mut tg_context,
        subprocess: *mut tg_subprocess,
        event: *mut tg_event,
    ) -> c_int;
    /// A switch that takes registers in, as `what` says (`TG_EXCHANGE_*`), and gives out those of the event.
    pub fn tg_context_exchange(
        context: *mut tg_context,
        subprocess: *mut tg_subprocess,
        regs: *mut tg_regs,
        what: u32,
        event: *mut tg_event,
    ) -> c_int;
    /// Makes the switch that runs now, or else the next one, return INTERRUPTED.
    pub fn tg_context_interrupt(context: *mut tg_context) -> c_int;
    /// Frees the context. Null is allowed.
    pub fn tg_context_destroy(context: *mut tg_context);

    /// Makes a queue.
    pub fn tg_queue_create(platform: *mut tg_platform, out: *mut *mut tg_queue) -> c_int;
    /// Starts the context in the subprocess and returns.
    pub fn tg_queue_submit(
        queue: *mut tg_queue,
        context: *mut tg_context,
        subprocess: *mut tg_subprocess,
    ) -> c_int;
    /// A switch for about `spin_ns`, which then leaves the context to the queue and returns 1.
    pub fn tg_context_switch_or_submit(
        context: *mut tg_context,
        subprocess: *mut tg_subprocess,
        queue: *mut tg_queue,
        spin_ns: u64,
        event: *mut tg_event,
    ) -> c_int;
    /// Waits for events and writes up to `capacity` of them.
    pub fn tg_queue_wait(
        queue: *mut tg_queue,
        events: *mut tg_event,
        capacity: usize,
        timeout_ns: i64,
        count: *mut usize,
    ) -> c_int;
    /// Makes the wait that runs now, or else the next one, return.
    pub fn tg_queue_wake(queue: *mut tg_queue) -> c_int;
    /// A descriptor that is readable while events wait.
    pub fn tg_queue_fd(queue: *mut tg_queue) -> c_int;
    /// Stops the contexts that still run. Null is allowed.
    pub fn tg_queue_destroy(queue: *mut tg_queue);
}
