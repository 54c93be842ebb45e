// SPDX-License-Identifier: Apache-2.0 OR MIT
use crate::handles::{self, PlatformHandle};
use crate::{sys, Error, Result};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// How guests are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Backend {
    /// The fastest one that works here.
    Auto,
    /// PTRACE_SYSEMU: stock kernels, no privilege.
    Ptrace,
    /// SIGSYS and shared memory.
    Systrap,
    /// A backend that this crate has no name for.
    Other(u32),
}

impl Backend {
    fn to_raw(self) -> u32 {
        match self {
            Backend::Auto => sys::TG_BACKEND_AUTO,
            Backend::Ptrace => sys::TG_BACKEND_PTRACE,
            Backend::Systrap => sys::TG_BACKEND_SYSTRAP,
            Backend::Other(number) => number,
        }
    }

    fn from_raw(raw: u32) -> Self {
        match raw {
            sys::TG_BACKEND_AUTO => Backend::Auto,
            sys::TG_BACKEND_PTRACE => Backend::Ptrace,
            sys::TG_BACKEND_SYSTRAP => Backend::Systrap,
            number => Backend::Other(number),
        }
    }

    /// Tries whether the backend works here, by setting one up and taking it down again: a few milliseconds.
    ///
    /// ```
    /// # fn main() -> trapgate::Result<()> {
    /// let probe = trapgate::Backend::Auto.probe()?;
    /// if let Some(error) = probe.error {
    ///     println!("{}: {} ({}). {}", probe.step, probe.reason, error, probe.remedy);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `Invalid` for a backend that the library does not know.
    pub fn probe(self) -> Result<Probe> {
        let raw = handles::probe(self.to_raw())?;
        let reason = handles::text(&raw.reason);
        Ok(Probe {
            backend: Backend::from_raw(raw.backend),
            available: raw.available != 0,
            error: if raw.error == 0 { None } else { Some(Error::new(raw.error, reason.clone())) },
            step: handles::text(&raw.step),
            reason,
            remedy: handles::text(&raw.remedy),
        })
    }
}

/// Whether a backend works, and if not, why.
#[derive(Debug)]
#[non_exhaustive]
pub struct Probe {
    /// The backend that was looked at; for [`Backend::Auto`] the one it picks.
    pub backend: Backend,
    /// Whether it works.
    pub available: bool,
    /// What opening would fail with.
    pub error: Option<Error>,
    /// The step that fails, "" when none does.
    pub step: String,
    /// Why it fails.
    pub reason: String,
    /// What to do about it.
    pub remedy: String,
}

/// How to open a [`Platform`]; made by [`Platform::options`].
///
/// ```
/// use std::time::Duration;
/// use trapgate::{Backend, Platform};
///
/// # fn main() -> trapgate::Result<()> {
/// let platform = Platform::options().backend(Backend::Ptrace).latency(true).spin(Duration::from_micros(5)).open()?;
/// assert_eq!(platform.info()?.backend, Backend::Ptrace);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Options {
    backend: Backend,
    flags: u64,
    spin_ns: u64,
}

impl Options {
    /// Which backend; [`Backend::Auto`] unless told.
    pub fn backend(mut self, backend: Backend) -> Self {
        self.backend = backend;
        self
    }

    fn flag(mut self, flag: u64, on: bool) -> Self {
        self.flags = if on { self.flags | flag } else { self.flags & !flag };
        self
    }

    /// Deliver CPUID as an [`Exception`](crate::Exception) instead of running it.
    pub fn trap_cpuid(self, on: bool) -> Self {
        self.flag(sys::TG_OPEN_TRAP_CPUID, on)
    }

    /// Deliver RDTSC and RDTSCP as an [`Exception`](crate::Exception) instead of running them.
    pub fn trap_tsc(self, on: bool) -> Self {
        self.flag(sys::TG_OPEN_TRAP_TSC, on)
    }

    /// systrap: write into guest code, so that system calls need not enter the kernel. On unless told.
    pub fn patching(self, on: bool) -> Self {
        self.flag(sys::TG_OPEN_NO_PATCHING, !on)
    }

    /// ptrace: place stub threads on processors. On unless told.
    pub fn placement(self, on: bool) -> Self {
        self.flag(sys::TG_OPEN_NO_PLACEMENT, !on)
    }

    /// Measure how long switches and their handoffs take, for [`Stats::switch_latency`], [`Stats::resume_latency`] and
    /// [`Stats::event_latency`].
    pub fn latency(self, on: bool) -> Self {
        self.flag(sys::TG_OPEN_LATENCY, on)
    }

    /// Guests get the host's vDSO, and look at clocks without an event: [`Info::vdso`]. They then see the host's clocks,
    /// and on which processor they run.
    pub fn vdso(self, on: bool) -> Self {
        self.flag(sys::TG_OPEN_VDSO, on)
    }

    /// Guests get a vDSO of the library's own, which tells the time that [`Subprocess::set_clocks`] says, and makes calls
    /// until then. With [`Options::vdso`] too: where the host's cannot be moved.
    ///
    /// [`Subprocess::set_clocks`]: crate::Subprocess::set_clocks
    pub fn own_vdso(self, on: bool) -> Self {
        self.flag(sys::TG_OPEN_VDSO_OWN, on)
    }

    /// systrap: as for [`Platform::set_spin`].
    pub fn spin(mut self, time: Duration) -> Self {
        self.spin_ns = in_nanoseconds(time);
        self
    }

    /// Any `TG_OPEN_*` bits, those included that this crate has no name for.
    pub fn raw_flags(mut self, flags: u64) -> Self {
        self.flags |= flags;
        self
    }

    /// Opens the backend. Open it before installing a seccomp filter of your own: stubs inherit it.
    ///
    /// # Errors
    /// Any of the closed list but `Dead`, `Fault` and those about descriptors; `Forbidden` and `Unsupported` say that
    /// the backend does not work here, and [`Backend::probe`] says why.
    pub fn open(self) -> Result<Platform> {
        let handle = PlatformHandle::open(self.backend.to_raw(), self.flags, self.spin_ns)?;
        Ok(Platform { handle: Arc::new(handle) })
    }
}

/// One opened backend. Clones are the same platform, which closes when the last clone and the last thing made from it
/// are dropped; then no process, thread or descriptor stays behind.
#[derive(Clone)]
pub struct Platform {
    pub(crate) handle: Arc<PlatformHandle>,
}

fn in_nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl Platform {
    /// Opens the fastest backend that works here.
    ///
    /// # Errors
    /// As [`Options::open`].
    pub fn open() -> Result<Self> {
        Self::options().open()
    }

    /// More to say about how to open.
    pub fn options() -> Options {
        Options { backend: Backend::Auto, flags: 0, spin_ns: 0 }
    }

    /// Facts that do not change while the platform is open.
    ///
    /// # Errors
    /// None that are known.
    pub fn info(&self) -> Result<Info> {
        let raw = self.handle.info()?;
        let reserved = raw.reserved.iter().take(raw.reserved_count as usize);
        Ok(Info {
            backend: Backend::from_raw(raw.backend),
            arch: raw.arch,
            page_size: u64::from(raw.page_size),
            user: raw.user_start..raw.user_end,
            user_end_min: raw.user_end_min,
            fpstate_size: raw.fpstate_size as usize,
            capabilities: Capabilities(raw.capabilities),
            reserved: reserved.map(|range| range.start..range.end).collect(),
            vdso: if raw.vdso == 0 { None } else { Some(raw.vdso) },
            vdso_kind: VdsoKind::from_raw(raw.vdso_kind),
        })
    }

    /// Counters since opening. Each is read by itself, not all at one moment.
    ///
    /// # Errors
    /// None that are known.
    pub fn stats(&self) -> Result<Stats> {
        self.handle.stats().map(Stats::from_raw)
    }

    /// For how long a side spins before it sleeps: a thread that waits for an event, and one of a stub that waits for the
    /// answer. 100 ms at most; zero: the default, 20 us; a nanosecond: not at all. At any time, in any thread; on ptrace
    /// nobody ever spins.
    ///
    /// # Errors
    /// `Forbidden` in a process that was forked from the one that opened the platform.
    pub fn set_spin(&self, time: Duration) -> Result<()> {
        self.handle.set_spin(in_nanoseconds(time))
    }

    /// The counter that guests' clocks go by (the time stamp counter), now; 0 where this process cannot read it, or guests
    /// have no vDSO of the library's own.
    pub fn counter(&self) -> u64 {
        self.handle.counter()
    }

    /// The sentence for the calling thread's newest failure of any call on the platform or on anything made from it; ""
    /// before the first. [`Error::message`] has it already.
    pub fn last_error(&self) -> String {
        self.handle.last_error()
    }
}

impl fmt::Debug for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Platform").field("info", &self.info().ok()).finish()
    }
}

/// Facts that do not change while a platform is open.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Info {
    /// Never [`Backend::Auto`].
    pub backend: Backend,
    /// `AUDIT_ARCH_*` of native guests.
    pub arch: u32,
    /// Bytes.
    pub page_size: u64,
    /// Where guest mappings may be. The end is another one in each platform.
    pub user: Range<u64>,
    /// What the end of `user` is at least, in every platform of either backend. From 1 MiB to there nothing is ever
    /// reserved: a layout of addresses that has to fit into other platforms too stays in there.
    pub user_end_min: u64,
    /// Bytes of an FP state.
    pub fpstate_size: usize,
    /// What the backend can do on this machine.
    pub capabilities: Capabilities,
    /// Inside `user`, never available to guests.
    pub reserved: Vec<Range<u64>>,
    /// Its address in every subprocess, for `AT_SYSINFO_EHDR`, where guests have one.
    pub vdso: Option<u64>,
    /// Whose it is.
    pub vdso_kind: VdsoKind,
}

/// Which vDSO guests have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum VdsoKind {
    /// None.
    None,
    /// The host's: [`Options::vdso`].
    Host,
    /// The library's: [`Options::own_vdso`].
    Own,
}

impl VdsoKind {
    fn from_raw(raw: u32) -> Self {
        match raw {
            sys::TG_VDSO_HOST => VdsoKind::Host,
            sys::TG_VDSO_OWN => VdsoKind::Own,
            _ => VdsoKind::None,
        }
    }
}

/// What a backend can do on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Capabilities(u64);

impl Capabilities {
    /// The bits, `TG_CAP_*`. Ignore those that you do not know.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// Faults name the access on the first fault.
    pub fn exact_access(self) -> bool {
        self.0 & sys::TG_CAP_ACCESS_EXACT != 0
    }

    /// Single steps work.
    pub fn single_step(self) -> bool {
        self.0 & sys::TG_CAP_SINGLE_STEP != 0
    }

    /// [`Options::trap_cpuid`] works.
    pub fn trap_cpuid(self) -> bool {
        self.0 & sys::TG_CAP_TRAP_CPUID != 0
    }

    /// [`Options::trap_tsc`] works.
    pub fn trap_tsc(self) -> bool {
        self.0 & sys::TG_CAP_TRAP_TSC != 0
    }

    /// System call sites are patched.
    pub fn patching(self) -> bool {
        self.0 & sys::TG_CAP_PATCHING != 0
    }

    /// Compat entries are told apart.
    pub fn syscall_arch(self) -> bool {
        self.0 & sys::TG_CAP_SYSCALL_ARCH != 0
    }

    /// Calls into the vsyscall page come as [`Event::Syscall`](crate::Event::Syscall).
    pub fn vsyscall(self) -> bool {
        self.0 & sys::TG_CAP_VSYSCALL != 0
    }

    /// [`Subprocess::answer`](crate::Subprocess::answer) has an effect.
    pub fn answers(self) -> bool {
        self.0 & sys::TG_CAP_ANSWERS != 0
    }
}

macro_rules! stats {
    ($($(#[$doc:meta])* $name:ident: $type:ty,)*) => {
        /// Counters since opening, unless they say "now". What a backend does not have stays 0.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Stats {
            $($(#[$doc])* pub $name: $type,)*
        }

        impl Stats {
            fn from_raw(raw: sys::tg_stats) -> Self {
                Stats { $($name: raw.$name,)* }
            }
        }
    };
}

stats! {
    /// Alive now.
    subprocesses: u64,
    /// Alive now, in all subprocesses.
    stub_threads: u64,
    /// Alive now.
    contexts: u64,
    /// Times a context was started.
    switches: u64,
    /// System calls of guests.
    syscalls: u64,
    /// Faults of guests.
    faults: u64,
    /// Exceptions of guests.
    exceptions: u64,
    /// Interrupts that were delivered.
    interrupts: u64,
    /// Subprocesses that died by themselves.
    deaths: u64,
    /// System calls made inside stubs.
    injections: u64,
    /// FP states read from a stub thread.
    fpstate_saves: u64,
    /// FP states written to a stub thread.
    fpstate_loads: u64,
    /// Stub threads moved to the processor of the thread that uses them.
    placements: u64,
    /// Stub threads set free because the guest computed.
    releases: u64,
    /// Contexts preempted because others waited.
    preemptions: u64,
    /// Stops that were nobody's event.
    spurious_stops: u64,
    /// System calls that did not enter the host kernel.
    patched_calls: u64,
    /// All others.
    unpatched_calls: u64,
    /// Sites that were patched: the two that follow together.
    patch_sites: u64,
    /// With the instruction before the call.
    patch_sites_before: u64,
    /// With what is behind the call.
    patch_sites_after: u64,
    /// Sites left alone; see [`Stats::refused`].
    patch_refusals: [u64; sys::TG_PATCH_REFUSALS],
    /// Times that a thread of ours spun in vain before it slept.
    failed_spins: u64,
    /// Times that a thread of ours slept for a stub.
    futex_sleeps: u64,
    /// Times that a stub thread was woken.
    futex_wakes: u64,
    /// On the stub's side, where a guest can write: a hint.
    stub_spins: u64,
    /// On the stub's side, where a guest can write: a hint.
    stub_sleeps: u64,
    /// With [`Options::latency`]: element i counts switches of 2^i to 2^(i+1) - 1 ns.
    switch_latency: [u64; sys::TG_LATENCY_BUCKETS],
    /// The same, until a stub thread went on with the context. A guest can write the stub's times: a hint.
    resume_latency: [u64; sys::TG_LATENCY_BUCKETS],
    /// The same, from the stub's leaving an event until it was taken. A guest can write the stub's times: a hint.
    event_latency: [u64; sys::TG_LATENCY_BUCKETS],
    /// systrap: copies of guest memory that a stub's thread made, [`Context::read_memory`](crate::Context::read_memory).
    worker_copies: u64,
    /// systrap: calls that were no events, by [`Subprocess::answer`](crate::Subprocess::answer). A guest can write it.
    answered_calls: u64,
}

impl Stats {
    /// How many system call sites were left alone for a reason.
    pub fn refused(&self, reason: PatchRefusal) -> u64 {
        self.patch_refusals[reason as usize]
    }
}

/// Why a system call site is left as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(usize)]
pub enum PatchRefusal {
    /// No memory or mapping for the site, or a stub that died meanwhile.
    Other = sys::TG_PATCH_REFUSED_OTHER,
    /// The bytes there are no system call any more.
    NoSyscall = sys::TG_PATCH_REFUSED_NO_SYSCALL,
    /// rt_sigreturn.
    SignalReturn = sys::TG_PATCH_REFUSED_SIGNAL_RETURN,
    /// It depends on bytes that could not be read.
    Unreadable = sys::TG_PATCH_REFUSED_UNREADABLE,
    /// Never counted: why what is behind it does not fit says more.
    NoMov = sys::TG_PATCH_REFUSED_NO_MOV,
    /// What looks like that mov can be the end of other instructions.
    Decoy = sys::TG_PATCH_REFUSED_DECOY,
    /// Its bytes lie in two pages.
    PageEdge = sys::TG_PATCH_REFUSED_PAGE_EDGE,
    /// No instruction follows.
    Undecodable = sys::TG_PATCH_REFUSED_UNDECODABLE,
    /// A neighbour jumps, calls, traps or uses the instruction pointer.
    Relative = sys::TG_PATCH_REFUSED_RELATIVE,
    /// A neighbour uses memory through gs.
    Memory = sys::TG_PATCH_REFUSED_MEMORY,
    /// A neighbour depends on registers that differ behind a patched call.
    Register = sys::TG_PATCH_REFUSED_REGISTER,
    /// A neighbour that is not known to be harmless.
    Unlisted = sys::TG_PATCH_REFUSED_UNLISTED,
    /// A neighbour starts where the jump has a byte that does not trap.
    NoRoom = sys::TG_PATCH_REFUSED_NO_ROOM,
    /// The code is writable, shared, or not the guest's alone.
    Mapping = sys::TG_PATCH_REFUSED_MAPPING,
    /// As many sites as a subprocess can have.
    Full = sys::TG_PATCH_REFUSED_FULL,
    /// Code in its page changes so often that it must call more for a look.
    Changes = sys::TG_PATCH_REFUSED_CHANGES,
}
