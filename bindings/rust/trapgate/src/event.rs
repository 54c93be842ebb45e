// SPDX-License-Identifier: Apache-2.0 OR MIT
use crate::sys;

/// Why a switch came back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The guest made a system call.
    Syscall(Syscall),
    /// The guest touched memory that it cannot: SIGSEGV or SIGBUS with an address.
    Fault(Fault),
    /// The processor raised another signal: SIGILL, SIGFPE, SIGTRAP, ...
    Exception(Exception),
    /// Somebody interrupted the context.
    Interrupted(Interrupted),
    /// The subprocess is gone; its contexts can run elsewhere.
    Dead(Dead),
}

impl Event {
    /// What is true of the event beside its data.
    #[inline]
    pub fn flags(&self) -> EventFlags {
        match self {
            Event::Syscall(Syscall { flags, .. })
            | Event::Fault(Fault { flags, .. })
            | Event::Exception(Exception { flags, .. })
            | Event::Interrupted(Interrupted { flags, .. })
            | Event::Dead(Dead { flags, .. }) => *flags,
        }
    }

    /// True when an interrupt came too: the next switch returns [`Event::Interrupted`].
    #[inline]
    pub fn interrupt_pending(&self) -> bool {
        self.flags().interrupt_pending()
    }
}

/// A system call.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Syscall {
    /// Its number, in the table that `arch` names.
    pub nr: u64,
    /// Its arguments.
    pub args: [u64; 6],
    /// The address behind the instruction.
    pub ip: u64,
    /// `AUDIT_ARCH_*` of the entry that was used.
    pub arch: u32,
    /// How the call came in.
    pub flags: EventFlags,
}

/// A memory access that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// The address as the processor reported it: exact to the byte for SIGSEGV.
    pub addr: u64,
    /// The instruction.
    pub ip: u64,
    /// What the instruction wanted.
    pub access: Access,
    /// SIGSEGV or SIGBUS.
    pub signal: i32,
    /// SEGV_MAPERR, SEGV_ACCERR, BUS_ADRERR, ...
    pub code: i32,
    /// What a signal frame of the host says of it. `None` where nobody knows.
    pub trap: Option<Trap>,
    /// Whether an interrupt is pending.
    pub flags: EventFlags,
}

/// A signal that the processor raised.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exception {
    /// si_addr where the signal has one, else 0.
    pub addr: u64,
    /// Where the guest stands.
    pub ip: u64,
    /// The signal.
    pub signal: i32,
    /// si_code
    pub code: i32,
    /// si_errno
    pub errno: i32,
    /// What a signal frame of the host says of it. `None` where nobody knows.
    pub trap: Option<Trap>,
    /// Whether an interrupt is pending.
    pub flags: EventFlags,
}

/// An exception of the processor, as signal frames name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Trap {
    /// On x86-64 the number of the exception, REG_TRAPNO: 14 is a page fault.
    pub number: u32,
    /// On x86-64 its error code, REG_ERR.
    pub error_code: u64,
    /// Nobody has reported them (the ptrace backend): they follow from the signal, the access and the instruction.
    /// The comment at `tg_event_fault` in `trapgate.h` lists where that can differ from what was reported.
    pub derived: bool,
}

impl Trap {
    #[inline]
    pub(crate) fn from_raw(flags: EventFlags, number: u32, error_code: u64) -> Option<Self> {
        let derived = flags.0 & sys::TG_FLAG_TRAP_DERIVED != 0;
        Some(Trap { number, error_code, derived }).filter(|_| flags.0 & sys::TG_FLAG_TRAP != 0)
    }
}

/// An interrupt.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Interrupted {
    /// Whether another interrupt is pending.
    pub flags: EventFlags,
}

/// The end of a subprocess.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dead {
    /// How it ended.
    pub cause: DeathCause,
    /// Whether an interrupt is pending.
    pub flags: EventFlags,
}

/// What an instruction wanted of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Access {
    /// To read it.
    Read,
    /// To write it, or to read and write it.
    Write,
    /// To run it.
    Execute,
    /// Nobody knows: the instruction could not be read or decoded. Treat it as a read.
    Unknown,
}

impl Access {
    #[inline]
    pub(crate) fn from_raw(access: u32) -> Self {
        match access {
            sys::TG_ACCESS_READ => Access::Read,
            sys::TG_ACCESS_WRITE => Access::Write,
            sys::TG_ACCESS_EXEC => Access::Execute,
            _ => Access::Unknown,
        }
    }
}

/// How a subprocess ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeathCause {
    /// By a signal.
    Killed {
        /// Its number.
        signal: i32,
    },
    /// The stub exited.
    Exited {
        /// Its status.
        status: i32,
    },
    /// The [`Subprocess`](crate::Subprocess) was dropped.
    Destroyed,
    /// The stub broke the protocol, and the library killed it.
    Corrupt,
    /// The library is newer than this crate and knows another end.
    Unknown,
}

impl DeathCause {
    #[inline]
    pub(crate) fn from_raw(raw: sys::tg_event_dead) -> Self {
        match raw.reason {
            sys::TG_DEAD_KILLED => DeathCause::Killed { signal: raw.status },
            sys::TG_DEAD_EXITED => DeathCause::Exited { status: raw.status },
            sys::TG_DEAD_DESTROYED => DeathCause::Destroyed,
            sys::TG_DEAD_CORRUPT => DeathCause::Corrupt,
            _ => DeathCause::Unknown,
        }
    }
}

/// What is true of an event beside its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventFlags(pub(crate) u32);

impl EventFlags {
    /// The bits, `TG_FLAG_*`. Ignore those that you do not know.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// An interrupt came too; the next switch returns [`Event::Interrupted`].
    #[inline]
    pub fn interrupt_pending(self) -> bool {
        self.0 & sys::TG_FLAG_INTERRUPT_PENDING != 0
    }

    /// The call came through a patched site.
    pub fn patched(self) -> bool {
        self.0 & sys::TG_FLAG_PATCHED != 0
    }

    /// The site of the call may be patched later.
    pub fn patchable(self) -> bool {
        self.0 & sys::TG_FLAG_PATCHABLE != 0
    }

    /// The call came by `int 0x80` or `sysenter`; its `arch` says which table the number belongs to.
    pub fn compat(self) -> bool {
        self.0 & sys::TG_FLAG_COMPAT != 0
    }

    /// An x32 call: its number has `__X32_SYSCALL_BIT` set.
    pub fn x32(self) -> bool {
        self.0 & sys::TG_FLAG_X32 != 0
    }

    /// A call into the vsyscall page, which has returned already: its instruction pointer is there.
    pub fn vsyscall(self) -> bool {
        self.0 & sys::TG_FLAG_VSYSCALL != 0
    }
}
