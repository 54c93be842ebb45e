// SPDX-License-Identifier: Apache-2.0 OR MIT
use crate::handles::{ContextHandle, SharedContext};
use crate::subprocess::partial;
use crate::{sys, Event, Partial, Platform, Registers, Result, Subprocess, Transfer};
use std::fmt;
use std::sync::Arc;

/// The machine state of one guest thread: registers, FP state, thread-local storage. It belongs to no subprocess and
/// may run in another one each time.
pub struct Context {
    pub(crate) handle: ContextHandle,
}

impl Context {
    /// General registers zero, FP state as after execve(2).
    ///
    /// # Errors
    /// `NoMemory`.
    pub fn new(platform: &Platform) -> Result<Self> {
        ContextHandle::create(&platform.handle).map(|handle| Context { handle })
    }

    /// The platform that it belongs to.
    pub fn platform(&self) -> Platform {
        Platform { handle: Arc::clone(self.handle.platform()) }
    }

    /// Back to the state of a new context, then sets instruction and stack pointer.
    ///
    /// # Errors
    /// `Busy`; see [`Context::set_one_thread`].
    pub fn start(&mut self, ip: u64, sp: u64) -> Result<()> {
        self.handle.start(ip, sp)
    }

    /// Takes over the registers, thread-local storage and FP state of another context: for fork and clone.
    ///
    /// # Errors
    /// `Busy`; see [`Context::set_one_thread`].
    pub fn copy_from(&mut self, from: &Context) -> Result<()> {
        self.handle.copy_from(&from.handle)
    }

    /// Promises that only one thread switches the context, or one queue that one thread waits on. Its FP state then
    /// stays in the stub between switches, which makes ptrace faster; until it is read there or the promise ends, other
    /// threads that switch or copy the context or read its FP state get `Busy`.
    ///
    /// # Errors
    /// `Busy`.
    pub fn set_one_thread(&mut self, on: bool) -> Result<()> {
        self.set_raw_flags(if on { sys::TG_CONTEXT_ONE_THREAD } else { 0 })
    }

    /// All `TG_CONTEXT_*` bits at once, those included that this crate has no name for.
    ///
    /// # Errors
    /// `Invalid` for bits that the library does not know, `Busy`.
    pub fn set_raw_flags(&mut self, flags: u32) -> Result<()> {
        self.handle.set_flags(flags)
    }

    /// A number that comes back in every [`Completion`](crate::Completion) of the context; 0 at first.
    ///
    /// # Errors
    /// None that are known.
    pub fn set_user_data(&mut self, user_data: u64) -> Result<()> {
        self.handle.set_user_data(user_data)
    }

    /// That number.
    pub fn user_data(&self) -> u64 {
        self.handle.user_data()
    }

    /// The general registers as of the last event.
    #[inline]
    pub fn regs(&self) -> &Registers {
        self.handle.regs()
    }

    /// The same for writing: the next switch takes what is in there.
    #[inline]
    pub fn regs_mut(&mut self) -> &mut Registers {
        self.handle.regs_mut()
    }

    /// FP, vector and mask registers in the layout of the kernel's NT_X86_XSTATE or NT_PRFPREG register set:
    /// [`Info::fpstate_size`](crate::Info::fpstate_size) bytes at least.
    ///
    /// # Errors
    /// `Invalid` for a buffer that is too small, `Busy`.
    pub fn read_fpstate(&mut self, buffer: &mut [u8]) -> Result<()> {
        self.handle.get_fpstate(buffer)
    }

    /// The same in a new vector.
    ///
    /// # Errors
    /// `Busy`.
    pub fn fpstate(&mut self) -> Result<Vec<u8>> {
        let size = self.handle.platform().info()?.fpstate_size;
        let mut state = vec![0; size as usize];
        self.read_fpstate(&mut state)?;
        Ok(state)
    }

    /// Sets the FP state.
    ///
    /// # Errors
    /// `Invalid` for another length than [`Info::fpstate_size`](crate::Info::fpstate_size) and for a state that the
    /// processor would refuse; nothing is changed then. `Busy`.
    pub fn set_fpstate(&mut self, state: &[u8]) -> Result<()> {
        self.handle.set_fpstate(state)
    }

    /// The thread-local storage register: fs_base or tpidr_el0.
    ///
    /// # Errors
    /// None that are known.
    pub fn tls(&self) -> Result<u64> {
        self.handle.get_tls()
    }

    /// Sets it.
    ///
    /// # Errors
    /// `Invalid` for an address that a guest cannot have.
    pub fn set_tls(&mut self, tls: u64) -> Result<()> {
        self.handle.set_tls(tls)
    }

    /// As [`Subprocess::read`], for what a call of the context points to, in the subprocess where it ran last or in
    /// another: on systrap up to 4 KiB are copied sooner by the thread of the stub that waits for the answer.
    ///
    /// # Errors
    /// As [`Subprocess::read`].
    pub fn read_memory(
        &mut self,
        subprocess: &Subprocess,
        addr: u64,
        buffer: &mut [u8],
    ) -> Result<(), Partial> {
        partial(self.handle.read(&subprocess.handle, addr, buffer))
    }

    /// As [`Subprocess::write`], in the way of [`Context::read_memory`].
    ///
    /// # Errors
    /// As [`Subprocess::read`].
    pub fn write_memory(&mut self, subprocess: &Subprocess, addr: u64, bytes: &[u8]) -> Result<(), Partial> {
        partial(self.handle.write(&subprocess.handle, addr, bytes))
    }

    /// Reads a string: bytes up to the first 0, which the buffer holds then, too. Gives how many are in front of it;
    /// as many as the buffer holds: there is no 0 among them. Nothing behind its page is read.
    ///
    /// # Errors
    /// As [`Subprocess::read`].
    pub fn read_string(
        &mut self,
        subprocess: &Subprocess,
        addr: u64,
        buffer: &mut [u8],
    ) -> Result<usize, Partial> {
        let (length, result) = self.handle.read_string(&subprocess.handle, addr, buffer);
        partial((length, result)).map(|()| length)
    }

    /// Does for each of the pieces what [`Context::read_memory`], [`Context::write_memory`] or [`Context::read_string`]
    /// does, in their order and in one go where the backend can: what a piece writes the pieces behind it read.
    ///
    /// # Errors
    /// `Fault` at the first byte that cannot be moved: [`Transfer::done`] of its piece says where, exact to the byte, and is
    /// 0 for all pieces behind it. `Invalid` for more than
    /// [`TG_TRANSFER_PIECES`](crate::sys::TG_TRANSFER_PIECES) pieces; those of [`Subprocess::read`].
    pub fn transfer(&mut self, subprocess: &Subprocess, pieces: &mut [Transfer<'_>]) -> Result<()> {
        self.handle.transfer(&subprocess.handle, pieces)
    }

    /// What the system call of the last event, made in that subprocess, has brought along: the piece with that number of
    /// those that [`Subprocess::set_brings`] declared for it, copied once, so that what is checked is what is used.
    /// Shorter than asked for where guest memory ends; of a string what is in front of its 0 byte, or as many bytes as
    /// were declared where there is none.
    ///
    /// # Errors
    /// `Fault` when nothing can be read, or no 0 byte before memory ends; `Invalid` when the last event was not a
    /// [`Syscall`](crate::Syscall) or no such piece is declared; `NoMemory` and those of [`Subprocess::read`].
    pub fn brought(&mut self, subprocess: &Subprocess, piece: u32) -> Result<&[u8]> {
        self.handle.brought(&subprocess.handle, piece)
    }

    /// Attaches bytes to the answer to the system call of the last event: they are in guest memory when the context goes
    /// on, and not before. Where that cannot be, the call's result is -EFAULT. [`Context::start`],
    /// [`Context::copy_from`], [`Context::restart_syscall`] and the death of the subprocess drop them.
    ///
    /// # Errors
    /// `Invalid` when the last event was not a [`Syscall`](crate::Syscall), or for more than
    /// [`TG_ATTACH_PIECES`](sys::TG_ATTACH_PIECES) pieces or [`TG_ATTACH_MAX`](sys::TG_ATTACH_MAX) bytes, which
    /// [`Context::write_memory`] writes; `NoMemory`.
    pub fn attach(&mut self, addr: u64, bytes: &[u8]) -> Result<()> {
        self.handle.attach(addr, bytes)
    }

    /// A word for [`Answer::ContextWord`](crate::Answer::ContextWord), 0 at first: the context's own, wherever it runs.
    /// Copies do not have it.
    ///
    /// # Errors
    /// `Invalid` for an index that is not below [`sys::TG_CONTEXT_WORDS`](crate::sys::TG_CONTEXT_WORDS).
    pub fn set_word(&self, index: u32, value: u64) -> Result<()> {
        self.handle.set_word(index, value)
    }

    /// Sets the result of the system call that the context came back with, or the one that it was copied from: any
    /// value, or a negative errno.
    ///
    /// # Errors
    /// `Invalid` when the last event was not a [`Syscall`](crate::Syscall), the call is to be raised once more, or the
    /// context was started since.
    #[inline]
    pub fn set_return(&mut self, value: i64) -> Result<()> {
        self.handle.set_return(value)
    }

    /// Makes the next switch raise the system call of the last event once more, with the registers it had.
    ///
    /// # Errors
    /// `Invalid` when the last event was no system call, or the guest was moved since.
    pub fn restart_syscall(&mut self) -> Result<()> {
        self.handle.restart_syscall()
    }

    /// Runs the context in the subprocess until an event. The calling thread sleeps meanwhile.
    ///
    /// # Errors
    /// `Invalid` (another platform's subprocess, registers that the processor refuses), `Busy`, `NoMemory`, `TryAgain`,
    /// `Forbidden`, `Unexplained`. After an error the context is as it was.
    #[inline]
    pub fn switch(&mut self, subprocess: &Subprocess) -> Result<Event> {
        self.handle.switch(&subprocess.handle)
    }

    /// A switch with registers of the caller's, in one call: puts in what has changed in `regs` since the last event,
    /// does what [`Context::switch`] does, and writes the registers of the event to `regs`. FP state is not touched.
    ///
    /// # Errors
    /// As [`Context::switch`]; `Invalid` also for registers that the processor refuses, and for [`Exchange::Return`]
    /// where [`Context::set_return`] says it. After an error nothing has run, `regs` is as it was, and the same call can
    /// be made again; what was to be put in may be in.
    #[inline]
    pub fn exchange(
        &mut self,
        subprocess: &Subprocess,
        regs: &mut Registers,
        what: Exchange,
    ) -> Result<Event> {
        self.handle.exchange(&subprocess.handle, regs, what as u32)
    }

    /// Makes the next switch return [`Event::Interrupted`] at once.
    pub fn interrupt(&self) {
        self.handle.shared.interrupt()
    }

    /// What interrupts the context from elsewhere, also while it runs.
    pub fn interrupter(&self) -> Interrupter {
        Interrupter { context: Arc::clone(&self.handle.shared) }
    }
}

/// What [`Context::exchange`] puts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Exchange {
    /// Nothing: the context goes on as it is.
    Nothing = sys::TG_EXCHANGE_NOTHING,
    /// The register of a result, as [`Context::set_return`] does.
    Return = sys::TG_EXCHANGE_RETURN,
    /// All registers. Those that are as they came out are not written to the guest again.
    All = sys::TG_EXCHANGE_ALL,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("user_data", &self.user_data()).field("regs", self.regs()).finish()
    }
}

/// Interrupts a context from any thread and from signal handlers, while it runs and while it does not.
///
/// ```
/// use trapgate::{Context, Event, Mapping, Platform, Protection, Subprocess};
///
/// # #[cfg(target_arch = "x86_64")]
/// # fn main() -> trapgate::Result<()> {
/// let platform = Platform::open()?;
/// let subprocess = Subprocess::new(&platform)?;
/// subprocess.map(0x10000, 4096, Protection::ALL, Mapping::zeros())?;
/// subprocess.write(0x10000, b"\xeb\xfe")?; // jmp .
/// let mut context = Context::new(&platform)?;
/// context.start(0x10000, 0)?;
/// let interrupter = context.interrupter();
/// let thread = std::thread::spawn(move || interrupter.interrupt());
/// assert!(matches!(context.switch(&subprocess)?, Event::Interrupted(_)));
/// thread.join().unwrap();
/// # Ok(())
/// # }
/// # #[cfg(not(target_arch = "x86_64"))]
/// # fn main() {}
/// ```
///
/// It keeps the context's memory, and so the platform, until it is dropped. Do not drop the last one in a signal
/// handler.
#[derive(Clone)]
pub struct Interrupter {
    context: Arc<SharedContext>,
}

impl Interrupter {
    /// Makes the switch that runs now, or else the next one, return [`Event::Interrupted`]. Several calls before that
    /// count as one. When another event comes first, its
    /// [`interrupt_pending`](Event::interrupt_pending) is true and the next switch returns at once. Never blocks.
    pub fn interrupt(&self) {
        self.context.interrupt()
    }
}

impl fmt::Debug for Interrupter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interrupter").finish_non_exhaustive()
    }
}
