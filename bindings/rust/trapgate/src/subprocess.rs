// SPDX-License-Identifier: Apache-2.0 OR MIT
use crate::handles::SubprocessHandle;
use crate::{sys, ClockLine, Partial, Platform, Result};
use std::fmt;
use std::marker::PhantomData;
use std::ops::{BitOr, BitOrAssign};
use std::os::unix::io::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;

/// What a guest may do with memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Protection(u32);

impl Protection {
    /// Nothing.
    pub const NONE: Protection = Protection(sys::TG_PROT_NONE);
    /// Read it.
    pub const READ: Protection = Protection(sys::TG_PROT_READ);
    /// Write it.
    pub const WRITE: Protection = Protection(sys::TG_PROT_WRITE);
    /// Run it.
    pub const EXECUTE: Protection = Protection(sys::TG_PROT_EXEC);
    /// Read, write and run it.
    pub const ALL: Protection = Protection(sys::TG_PROT_READ | sys::TG_PROT_WRITE | sys::TG_PROT_EXEC);

    /// `TG_PROT_*` bits, which the library checks.
    pub const fn from_bits(bits: u32) -> Self {
        Protection(bits)
    }
}

impl BitOr for Protection {
    type Output = Protection;
    fn bitor(self, other: Protection) -> Protection {
        Protection(self.0 | other.0)
    }
}

impl BitOrAssign for Protection {
    fn bitor_assign(&mut self, other: Protection) {
        self.0 |= other.0;
    }
}

/// What a mapping shows, and how.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Mapping<'fd> {
    fd: RawFd,
    offset: u64,
    flags: u32,
    descriptor: PhantomData<BorrowedFd<'fd>>,
}

impl Mapping<'static> {
    /// Pages of zeros.
    pub const fn zeros() -> Self {
        Mapping { fd: -1, offset: 0, flags: 0, descriptor: PhantomData }
    }
}

impl<'fd> Mapping<'fd> {
    /// What a descriptor of this program holds from an offset on, a multiple of the page size. Private unless
    /// [`Mapping::shared`] says otherwise.
    pub fn of(descriptor: &'fd impl AsFd, offset: u64) -> Self {
        Mapping { fd: descriptor.as_fd().as_raw_fd(), offset, flags: sys::TG_MAP_FD, descriptor: PhantomData }
    }

    /// Writes reach the descriptor, or others that share the pages. Without it they are private, copied on write.
    pub fn shared(self) -> Self {
        self.with_flags(sys::TG_MAP_SHARED)
    }

    /// Make the pages present now.
    pub fn populate(self) -> Self {
        self.with_flags(sys::TG_MAP_POPULATE)
    }

    /// MAP_NORESERVE.
    pub fn no_reserve(self) -> Self {
        self.with_flags(sys::TG_MAP_NORESERVE)
    }

    /// Fail with `Exists` rather than replace what is there.
    pub fn no_replace(self) -> Self {
        self.with_flags(sys::TG_MAP_NOREPLACE)
    }

    /// Code, executable and not writable, whose bytes change through no other mapping: calls in it may be patched, also
    /// where it is [`Mapping::shared`], which then says nothing.
    pub fn code(self) -> Self {
        self.with_flags(sys::TG_MAP_CODE)
    }

    /// `TG_MAP_*` bits, which the library checks.
    pub fn with_flags(mut self, bits: u32) -> Self {
        self.flags |= bits;
        self
    }
}

/// The result of a call that need not become an event: [`Subprocess::answer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// An event, as each call at first.
    Event,
    /// This value, or a negative errno.
    Value(i64),
    /// The word with this index of the context that makes the call: [`Context::set_word`](crate::Context::set_word).
    ContextWord(u32),
}

impl Answer {
    fn raw(self) -> (u32, u64) {
        match self {
            Answer::Event => (sys::TG_ANSWER_NONE, 0),
            Answer::Value(value) => (sys::TG_ANSWER_VALUE, value as u64),
            Answer::ContextWord(index) => (sys::TG_ANSWER_CONTEXT_WORD, index.into()),
        }
    }
}

/// A memory operation, for [`Subprocess::apply`].
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Operation<'fd> {
    raw: sys::tg_mem_op,
    descriptor: PhantomData<BorrowedFd<'fd>>,
}

impl Operation<'static> {
    fn plain(kind: u32, addr: u64, length: u64) -> Self {
        Operation {
            raw: sys::tg_mem_op { kind, addr, length, fd: -1, ..Default::default() },
            descriptor: PhantomData,
        }
    }

    /// munmap(2).
    pub fn unmap(addr: u64, length: u64) -> Self {
        Self::plain(sys::TG_MEM_UNMAP, addr, length)
    }

    /// mprotect(2).
    pub fn protect(addr: u64, length: u64, protection: Protection) -> Self {
        let mut operation = Self::plain(sys::TG_MEM_PROTECT, addr, length);
        operation.raw.prot = protection.0;
        operation
    }

    /// madvise(2) with an advice of the host, `MADV_*`.
    pub fn advise(addr: u64, length: u64, advice: i32) -> Self {
        let mut operation = Self::plain(sys::TG_MEM_ADVISE, addr, length);
        operation.raw.advice = advice;
        operation
    }

    /// mremap(2): what is mapped at `addr`, one mapping of the host's, goes to `to` with its pages, in the place of what
    /// is mapped there. The two ranges have nothing in common.
    pub fn move_to(addr: u64, length: u64, to: u64) -> Self {
        let mut operation = Self::plain(sys::TG_MEM_MOVE, addr, length);
        operation.raw.offset = to;
        operation
    }
}

impl<'fd> Operation<'fd> {
    /// mmap(2), always at the address given.
    pub fn map(addr: u64, length: u64, protection: Protection, mapping: Mapping<'fd>) -> Self {
        let mut raw = Operation::plain(sys::TG_MEM_MAP, addr, length).raw;
        raw.prot = protection.0;
        raw.flags = mapping.flags;
        raw.fd = mapping.fd;
        raw.offset = mapping.offset;
        Operation { raw, descriptor: PhantomData }
    }
}

impl fmt::Debug for Operation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.raw.fmt(f)
    }
}

/// A piece of guest memory that a system call brings along, for [`Subprocess::set_brings`].
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Bring {
    raw: sys::tg_bring,
}

impl Bring {
    fn of(kind: u32, nr: u64, arg: u32, max: u32) -> Self {
        Bring { raw: sys::tg_bring { kind, nr, arg, max, ..Default::default() } }
    }

    /// `max` bytes at the address that is argument `arg`.
    pub fn bytes(nr: u64, arg: u32, max: u32) -> Self {
        Self::of(sys::TG_BRING_BYTES, nr, arg, max)
    }

    /// As many as argument `length_arg` says, at most `max`.
    pub fn counted(nr: u64, arg: u32, length_arg: u32, max: u32) -> Self {
        let mut bring = Self::of(sys::TG_BRING_COUNTED, nr, arg, max);
        bring.raw.length_arg = length_arg;
        bring
    }

    /// A string, at most `max` bytes of it.
    pub fn string(nr: u64, arg: u32, max: u32) -> Self {
        Self::of(sys::TG_BRING_STRING, nr, arg, max)
    }
}

/// A guest address space, held by a stub process. All of it may be used by several threads at once; share it in an
/// [`Arc`].
///
/// Dropping it kills the stub process and whatever guest runs there: contexts that a [`Queue`](crate::Queue) runs in it
/// come back with [`Event::Dead`](crate::Event::Dead). A [`switch`](crate::Context::switch) borrows it, so it cannot be
/// dropped meanwhile.
pub struct Subprocess {
    pub(crate) handle: SubprocessHandle,
}

impl Subprocess {
    /// Makes an empty address space.
    ///
    /// # Errors
    /// `NoMemory`, `TryAgain`, `NoDescriptors`, `Forbidden`, `Unexplained`.
    pub fn new(platform: &Platform) -> Result<Self> {
        SubprocessHandle::create(&platform.handle).map(|handle| Subprocess { handle })
    }

    /// Makes a copy: private pages copied on write, shared mappings shared, at the same addresses. Contexts that run in
    /// the original go on; what they write meanwhile may or may not be in the copy.
    ///
    /// # Errors
    /// As [`Subprocess::new`], and `Dead`.
    pub fn fork(&self) -> Result<Self> {
        self.handle.fork().map(|handle| Subprocess { handle })
    }

    /// Makes it an empty address space again, with its process, for the next program or the next guest: nothing of what
    /// was there can be found or have an effect. Contexts that ran there last keep their state.
    ///
    /// ```
    /// use trapgate::{Mapping, Platform, Protection, Subprocess};
    ///
    /// # fn main() -> trapgate::Result<()> {
    /// # let platform = Platform::open()?;
    /// let subprocess = Subprocess::new(&platform)?;
    /// subprocess.map(0x10000, 4096, Protection::READ, Mapping::zeros())?;
    /// subprocess.reset()?;
    /// assert!(subprocess.read(0x10000, &mut [0]).is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `Busy` while a context runs or is queued there, or another thread uses the subprocess or a context that ran there
    /// last: then nothing has changed. `Dead`; also when its guest has spoilt the stub, which ends it. `NoMemory`,
    /// `TryAgain`, `Unexplained`: it is as it was, or dead.
    pub fn reset(&self) -> Result<()> {
        self.handle.reset()
    }

    /// The platform that it belongs to.
    pub fn platform(&self) -> Platform {
        Platform { handle: Arc::clone(&self.handle.platform) }
    }

    /// Applies operations in order, in one go where the backend can. All are checked before the first one runs.
    ///
    /// ```
    /// use trapgate::{Mapping, Operation, Platform, Protection, Subprocess};
    ///
    /// # fn main() -> trapgate::Result<()> {
    /// let subprocess = Subprocess::new(&Platform::open()?)?;
    /// subprocess.apply(&[
    ///     Operation::map(0x10000, 0x3000, Protection::READ | Protection::WRITE, Mapping::zeros()),
    ///     Operation::protect(0x11000, 0x1000, Protection::READ),
    ///     Operation::unmap(0x12000, 0x1000),
    /// ])?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// How many operations took effect, and what stopped the next one.
    pub fn apply(&self, operations: &[Operation<'_>]) -> Result<(), Partial> {
        let raw: Vec<sys::tg_mem_op> = operations.iter().map(|operation| operation.raw).collect();
        partial(self.handle.apply(&raw))
    }

    /// Maps pages, always at the address given.
    ///
    /// # Errors
    /// `Invalid` also for ranges outside of [`Info::user`](crate::Info::user) and inside reserved ones; any of the list.
    pub fn map(&self, addr: u64, length: u64, protection: Protection, mapping: Mapping<'_>) -> Result<()> {
        self.handle.map(addr, length, protection.0, mapping.flags, mapping.fd, mapping.offset)
    }

    /// Unmaps pages. Ranges with nothing mapped are fine.
    ///
    /// # Errors
    /// As [`Subprocess::map`].
    pub fn unmap(&self, addr: u64, length: u64) -> Result<()> {
        self.handle.unmap(addr, length)
    }

    /// Changes what the guest may do with pages.
    ///
    /// # Errors
    /// As [`Subprocess::map`].
    pub fn protect(&self, addr: u64, length: u64, protection: Protection) -> Result<()> {
        self.handle.protect(addr, length, protection.0)
    }

    /// Declares what the subprocess's system calls bring along, in place of all that was declared before:
    /// [`Context::brought`](crate::Context::brought) gives it, by the piece's place among those of its call. Forks have
    /// the same.
    ///
    /// # Errors
    /// `Invalid` for pieces that cannot be, and for more than [`TG_BRING_PIECES`](sys::TG_BRING_PIECES) pieces or
    /// [`TG_BRING_MAX`](sys::TG_BRING_MAX) bytes of a call; `NoMemory`.
    pub fn set_brings(&self, brings: &[Bring]) -> Result<()> {
        let raw: Vec<sys::tg_bring> = brings.iter().map(|bring| bring.raw).collect();
        self.handle.set_brings(&raw)
    }

    /// System calls with this number need not become events: the guest goes on at once with a result that is known
    /// beforehand. It may be changed at any time; copies of the subprocess begin with the same answers. Only patched
    /// calls are answered so, and only where [`Capabilities::answers`](crate::Capabilities::answers) says that they can
    /// be: the event remains what a handler must be there for.
    ///
    /// # Errors
    /// `Invalid` for a number that is not below [`sys::TG_ANSWER_CALLS`], or a word that is not below
    /// [`sys::TG_CONTEXT_WORDS`].
    pub fn answer(&self, nr: u32, answer: Answer) -> Result<()> {
        let (kind, value) = answer.raw();
        self.handle.answer(nr, kind, value)
    }

    /// Sets these clocks of the subprocess, by the numbers that clock_gettime(2) takes, and leaves all others as they
    /// are; `None`: guests make the call, as at first. A guest that reads meanwhile gets the old time or the new one,
    /// never a mixture. Copies of the subprocess begin with the clocks as they are then.
    ///
    /// # Errors
    /// `Invalid` for a number that is none of a clock that can be set; `Unsupported` where the vDSO of guests is not the
    /// library's, or the counter cannot be read.
    pub fn set_clocks(&self, clocks: &[(u32, Option<ClockLine>)]) -> Result<()> {
        let raw: Vec<sys::tg_clock> =
            clocks.iter().map(|&(clock, line)| ClockLine::to_raw(clock, line)).collect();
        self.handle.set_clocks(&raw)
    }

    /// The clock as it was set last, and what guests read of it at this moment: what to answer calls with that look at
    /// the same clock. `None`: they make calls.
    ///
    /// # Errors
    /// As [`Subprocess::set_clocks`].
    pub fn clock(&self, clock: u32) -> Result<Option<(ClockLine, u64)>> {
        let (raw, ns) = self.handle.clock(clock)?;
        Ok(ClockLine::from_raw(&raw).map(|line| (line, ns)))
    }

    /// Copies guest memory, which a guest that runs may change meanwhile: read a thing once, then check it.
    ///
    /// # Errors
    /// How many bytes were copied before the first page that cannot be read, exact to the byte, and why it ended there.
    pub fn read(&self, addr: u64, buffer: &mut [u8]) -> Result<(), Partial> {
        partial(self.handle.read(addr, buffer))
    }

    /// Copies into guest memory. The guest's protections hold.
    ///
    /// # Errors
    /// As [`Subprocess::read`].
    pub fn write(&self, addr: u64, bytes: &[u8]) -> Result<(), Partial> {
        partial(self.handle.write(addr, bytes))
    }

    /// The process id of the stub, for operators (ps, /proc). Do not signal or trace it. None when it is dead.
    pub fn pid(&self) -> Option<u32> {
        u32::try_from(self.handle.pid()).ok().filter(|pid| *pid != 0)
    }
}

pub(crate) fn partial((done, result): (usize, Result<()>)) -> Result<(), Partial> {
    result.map_err(|error| Partial { done, error })
}

impl fmt::Debug for Subprocess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subprocess").field("pid", &self.pid()).finish()
    }
}
