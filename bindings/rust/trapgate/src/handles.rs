// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The handles of the C library with safe functions: the only module, with the three in it, that has `unsafe`.
//!
//! Three facts make it sound. A handle is destroyed by `Drop` alone, so no call on it can follow. Every handle holds an
//! `Arc` of its platform, so the platform closes behind all of them. A context that runs is owned by a queue, which
//! stops it before it is dropped.

use crate::event::Event;
use crate::{sys, Error, Platform, Registers, Result};
use std::ffi::CStr;
use std::os::raw::{c_char, c_int, c_void};
use std::os::unix::io::RawFd;
use std::ptr::{self, NonNull};
use std::sync::Arc;

mod queue;
mod raw_event;
mod transfer;
pub(crate) use queue::{QueueHandle, Switched, EVENTS_AT_ONCE};
use raw_event::{decode, unwritten_event};
pub use transfer::Transfer;

pub(crate) fn abi_version() -> u32 {
    // SAFETY: no arguments, no state.
    unsafe { sys::tg_abi_version() }
}

pub(crate) fn version() -> &'static str {
    // SAFETY: a terminated text in static storage.
    unsafe { CStr::from_ptr(sys::tg_version_string()) }.to_str().unwrap_or("")
}

pub(crate) fn strerror(errno: c_int) -> &'static str {
    // SAFETY: any number is allowed; a terminated text in static storage.
    unsafe { CStr::from_ptr(sys::tg_strerror(errno)) }.to_str().unwrap_or("")
}

pub(crate) fn probe(backend: u32) -> Result<sys::tg_probe> {
    let mut out = sys::tg_probe::default();
    // SAFETY: `out` is a struct of the size that it states.
    match unsafe { sys::tg_platform_probe(backend, &mut out) } {
        0 => Ok(out),
        errno => Err(Error::new(errno, strerror(errno).into())),
    }
}

/// The text before the first zero.
pub(crate) fn text(chars: &[c_char]) -> String {
    let bytes: Vec<u8> = chars.iter().take_while(|c| **c != 0).map(|c| *c as u8).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// An open platform.
pub(crate) struct PlatformHandle(NonNull<sys::tg_platform>);

// SAFETY: every function on a platform may be called by any thread, and by several at once (docs/threading.md).
unsafe impl Send for PlatformHandle {}
// SAFETY: as above; closing is the last call because only Drop does it.
unsafe impl Sync for PlatformHandle {}

impl PlatformHandle {
    pub(crate) fn open(backend: u32, flags: u64, spin_ns: u64) -> Result<Self> {
        let mut message: [c_char; 512] = [0; 512];
        let options = sys::tg_platform_options {
            backend,
            flags,
            spin_ns,
            message: message.as_mut_ptr(),
            message_capacity: message.len() as u64,
            ..Default::default()
        };
        let mut raw = ptr::null_mut();
        // SAFETY: the options state their size, and `message` has the room that they say.
        let result = unsafe { sys::tg_platform_open(&options, &mut raw) };
        match (result, NonNull::new(raw)) {
            (0, Some(raw)) => Ok(PlatformHandle(raw)),
            (errno, _) => Err(Error::new(errno, with_default(text(&message), errno))),
        }
    }

    pub(crate) fn info(&self) -> Result<sys::tg_info> {
        let mut out = sys::tg_info::default();
        // SAFETY: the handle is open; `out` is of the size that it states.
        self.check(unsafe { sys::tg_platform_info(self.0.as_ptr(), &mut out) })?;
        Ok(out)
    }

    pub(crate) fn stats(&self) -> Result<sys::tg_stats> {
        let mut out = sys::tg_stats::default();
        // SAFETY: as for `info`.
        self.check(unsafe { sys::tg_platform_stats(self.0.as_ptr(), &mut out) })?;
        Ok(out)
    }

    pub(crate) fn set_spin(&self, ns: u64) -> Result<()> {
        // SAFETY: the handle is open.
        self.check(unsafe { sys::tg_platform_set_spin(self.0.as_ptr(), ns) })
    }

    pub(crate) fn last_error(&self) -> String {
        // SAFETY: the text is the calling thread's own, and is copied before that makes another call.
        unsafe { CStr::from_ptr(sys::tg_platform_last_error(self.0.as_ptr())) }.to_string_lossy().into_owned()
    }

    /// A result of the library: 0 or a negative errno.
    #[inline]
    pub(crate) fn counter(&self) -> u64 {
        // SAFETY: the platform is open.
        unsafe { sys::tg_platform_counter(self.0.as_ptr()) }
    }

    pub(crate) fn follow_clock(&self, host: &mut sys::tg_host_clock) -> Result<sys::tg_clock> {
        let mut out = sys::tg_clock::default();
        // SAFETY: the platform is open; both structs state their sizes and may be written.
        self.check(unsafe { sys::tg_platform_follow_clock(self.0.as_ptr(), host, &mut out) })?;
        Ok(out)
    }

    fn check(&self, result: c_int) -> Result<()> {
        if result == 0 {
            Ok(())
        } else {
            Err(self.error(result))
        }
    }

    #[cold]
    fn error(&self, errno: c_int) -> Error {
        Error::new(errno, with_default(self.last_error(), errno))
    }
}

impl Platform {
    /// Adds to a libseccomp filter the rules for every system call that the library makes in this program. For programs
    /// that filter themselves: open the platform, build the filter, call this, load it.
    ///
    /// The one function of this crate that needs `unsafe`, because the filter is another library's pointer.
    ///
    /// # Errors
    /// `Unsupported` when the library was built without, `NoMemory`, `Unexplained`.
    ///
    /// # Safety
    /// `filter` is a live `scmp_filter_ctx`.
    pub unsafe fn add_seccomp_rules(&self, filter: *mut c_void) -> Result<()> {
        // SAFETY: the platform is open; the caller vouches for the filter.
        let result = unsafe { sys::tg_platform_add_seccomp_rules(self.handle.0.as_ptr(), filter) };
        self.handle.check(result)
    }
}

impl Drop for PlatformHandle {
    fn drop(&mut self) {
        // SAFETY: everything made from the platform holds an Arc of it, so this is the last call on any of it.
        unsafe { sys::tg_platform_close(self.0.as_ptr()) }
    }
}

fn with_default(sentence: String, errno: c_int) -> String {
    if sentence.is_empty() {
        strerror(errno).into()
    } else {
        sentence
    }
}

/// A guest address space.
pub(crate) struct SubprocessHandle {
    raw: NonNull<sys::tg_subprocess>,
    pub(crate) platform: Arc<PlatformHandle>,
}

// SAFETY: every operation on a subprocess may be called by any thread, and by several at once.
unsafe impl Send for SubprocessHandle {}
// SAFETY: as above; destroying is the last call because only Drop does it.
unsafe impl Sync for SubprocessHandle {}

impl SubprocessHandle {
    pub(crate) fn create(platform: &Arc<PlatformHandle>) -> Result<Self> {
        let mut raw = ptr::null_mut();
        // SAFETY: the platform is open; `raw` is written.
        let result = unsafe { sys::tg_subprocess_create(platform.0.as_ptr(), &mut raw) };
        Self::from_raw(result, raw, platform)
    }

    pub(crate) fn fork(&self) -> Result<Self> {
        let mut raw = ptr::null_mut();
        // SAFETY: the subprocess is not destroyed; `raw` is written.
        let result = unsafe { sys::tg_subprocess_fork(self.raw.as_ptr(), &mut raw) };
        Self::from_raw(result, raw, &self.platform)
    }

    pub(crate) fn reset(&self) -> Result<()> {
        // SAFETY: the subprocess is not destroyed.
        self.platform.check(unsafe { sys::tg_subprocess_reset(self.raw.as_ptr()) })
    }

    fn from_raw(result: c_int, raw: *mut sys::tg_subprocess, platform: &Arc<PlatformHandle>) -> Result<Self> {
        match (result, NonNull::new(raw)) {
            (0, Some(raw)) => Ok(SubprocessHandle { raw, platform: Arc::clone(platform) }),
            (errno, _) => Err(platform.error(errno)),
        }
    }

    /// How many operations took effect, and what stopped the others.
    pub(crate) fn apply(&self, operations: &[sys::tg_mem_op]) -> (usize, Result<()>) {
        let mut done = 0;
        // SAFETY: `operations` are so many structs of the size that they state; descriptors are checked by the kernel.
        let result = unsafe {
            sys::tg_subprocess_apply(self.raw.as_ptr(), operations.as_ptr(), operations.len(), &mut done)
        };
        (done, self.platform.check(result))
    }

    pub(crate) fn map(
        &self,
        addr: u64,
        length: u64,
        prot: u32,
        flags: u32,
        fd: RawFd,
        offset: u64,
    ) -> Result<()> {
        // SAFETY: numbers only, which the library checks; they concern the guest's memory, never ours.
        self.platform.check(unsafe {
            sys::tg_subprocess_map(self.raw.as_ptr(), addr, length, prot, flags, fd, offset)
        })
    }

    pub(crate) fn unmap(&self, addr: u64, length: u64) -> Result<()> {
        // SAFETY: as for `map`.
        self.platform.check(unsafe { sys::tg_subprocess_unmap(self.raw.as_ptr(), addr, length) })
    }

    pub(crate) fn protect(&self, addr: u64, length: u64, prot: u32) -> Result<()> {
        // SAFETY: as for `map`.
        self.platform.check(unsafe { sys::tg_subprocess_protect(self.raw.as_ptr(), addr, length, prot) })
    }

    pub(crate) fn set_brings(&self, brings: &[sys::tg_bring]) -> Result<()> {
        // SAFETY: the handle exists until it is dropped; `brings` may be read for their number.
        let result =
            unsafe { sys::tg_subprocess_set_brings(self.raw.as_ptr(), brings.as_ptr(), brings.len()) };
        self.platform.check(result)
    }

    pub(crate) fn answer(&self, nr: u32, kind: u32, value: u64) -> Result<()> {
        // SAFETY: as for `map`.
        self.platform.check(unsafe { sys::tg_subprocess_answer(self.raw.as_ptr(), nr, kind, value) })
    }

    pub(crate) fn set_clocks(&self, clocks: &[sys::tg_clock]) -> Result<()> {
        // SAFETY: the handle exists until it is dropped; `clocks` may be read for their number.
        let result =
            unsafe { sys::tg_subprocess_set_clocks(self.raw.as_ptr(), clocks.as_ptr(), clocks.len()) };
        self.platform.check(result)
    }

    pub(crate) fn clock(&self, clock: u32) -> Result<(sys::tg_clock, u64)> {
        let mut out = sys::tg_clock::default();
        let mut ns = 0;
        // SAFETY: the handle exists until it is dropped; both may be written.
        let result = unsafe { sys::tg_subprocess_clock(self.raw.as_ptr(), clock, &mut out, &mut ns) };
        self.platform.check(result).map(|()| (out, ns))
    }

    pub(crate) fn read(&self, addr: u64, buffer: &mut [u8]) -> (usize, Result<()>) {
        let mut done = 0;
        // SAFETY: `buffer` may be written for its length.
        let result = unsafe {
            sys::tg_subprocess_read(
                self.raw.as_ptr(),
                addr,
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                &mut done,
            )
        };
        (done, self.platform.check(result))
    }

    pub(crate) fn write(&self, addr: u64, buffer: &[u8]) -> (usize, Result<()>) {
        let mut done = 0;
        // SAFETY: `buffer` may be read for its length.
        let result = unsafe {
            sys::tg_subprocess_write(self.raw.as_ptr(), addr, buffer.as_ptr().cast(), buffer.len(), &mut done)
        };
        (done, self.platform.check(result))
    }

    pub(crate) fn pid(&self) -> i32 {
        // SAFETY: the subprocess is not destroyed.
        unsafe { sys::tg_subprocess_pid(self.raw.as_ptr()) }
    }
}

impl Drop for SubprocessHandle {
    fn drop(&mut self) {
        // SAFETY: nobody else has the handle. The library allows contexts to be running in it: their queues hand out
        // DEAD events.
        unsafe { sys::tg_subprocess_destroy(self.raw.as_ptr()) }
    }
}

/// `tg_context_read` and its like, with the type that C has for bytes.
type CopyOut<T> = unsafe extern "C" fn(
    *mut sys::tg_context,
    *mut sys::tg_subprocess,
    u64,
    *mut T,
    usize,
    *mut usize,
) -> c_int;

/// A context that may be interrupted by anybody; all else goes through [`ContextHandle`].
pub(crate) struct SharedContext {
    raw: NonNull<sys::tg_context>,
    platform: Arc<PlatformHandle>,
}

// SAFETY: the one function is tg_context_interrupt(), which any thread may call at any time. Drop may run in any thread.
unsafe impl Send for SharedContext {}
// SAFETY: as above.
unsafe impl Sync for SharedContext {}

impl SharedContext {
    pub(crate) fn interrupt(&self) {
        // SAFETY: the context is not destroyed. The only error is a null handle.
        unsafe { sys::tg_context_interrupt(self.raw.as_ptr()) };
    }
}

impl Drop for SharedContext {
    fn drop(&mut self) {
        // SAFETY: nobody else has the handle, and it does not run: a queue drops its contexts after it was destroyed,
        // and a switch borrows the context.
        unsafe { sys::tg_context_destroy(self.raw.as_ptr()) }
    }
}

/// The one owner of a context's state. It is not `Sync`, because looking at a context may fetch what is looked at; the
/// pointer in it sees to that.
pub(crate) struct ContextHandle {
    raw: NonNull<sys::tg_context>,
    pub(crate) shared: Arc<SharedContext>,
}

// SAFETY: a context works in every thread, in one at a time, and there is one owner.
unsafe impl Send for ContextHandle {}

impl ContextHandle {
    pub(crate) fn create(platform: &Arc<PlatformHandle>) -> Result<Self> {
        let mut raw = ptr::null_mut();
        // SAFETY: the platform is open; `raw` is written.
        let result = unsafe { sys::tg_context_create(platform.0.as_ptr(), &mut raw) };
        match (result, NonNull::new(raw)) {
            (0, Some(raw)) => {
                let shared = Arc::new(SharedContext { raw, platform: Arc::clone(platform) });
                Ok(ContextHandle { raw, shared })
            }
            (errno, _) => Err(platform.error(errno)),
        }
    }

    pub(crate) fn platform(&self) -> &Arc<PlatformHandle> {
        &self.shared.platform
    }

    /// By which events name it; no other context has it at the same time.
    #[inline]
    pub(crate) fn address(&self) -> usize {
        self.raw.as_ptr() as usize
    }

    #[inline]
    fn check(&self, result: c_int) -> Result<()> {
        self.shared.platform.check(result)
    }

    pub(crate) fn start(&mut self, ip: u64, sp: u64) -> Result<()> {
        // SAFETY: the context exists, and its owner calls.
        self.check(unsafe { sys::tg_context_start(self.raw.as_ptr(), ip, sp) })
    }

    pub(crate) fn copy_from(&mut self, from: &ContextHandle) -> Result<()> {
        // SAFETY: both exist, and their owner calls: `from` is not shared between threads.
        self.check(unsafe { sys::tg_context_copy(self.raw.as_ptr(), from.raw.as_ptr()) })
    }

    pub(crate) fn set_flags(&mut self, flags: u32) -> Result<()> {
        // SAFETY: as for `start`.
        self.check(unsafe { sys::tg_context_set_flags(self.raw.as_ptr(), flags) })
    }

    pub(crate) fn set_user_data(&mut self, user_data: u64) -> Result<()> {
        // SAFETY: as for `start`.
        self.check(unsafe { sys::tg_context_set_user_data(self.raw.as_ptr(), user_data) })
    }

    pub(crate) fn set_word(&self, index: u32, value: u64) -> Result<()> {
        // SAFETY: as for `start`; any thread, whatever the context does.
        self.check(unsafe { sys::tg_context_set_word(self.raw.as_ptr(), index, value) })
    }

    pub(crate) fn user_data(&self) -> u64 {
        // SAFETY: as for `start`.
        unsafe { sys::tg_context_user_data(self.raw.as_ptr()) }
    }

    #[inline]
    pub(crate) fn regs(&self) -> &Registers {
        // SAFETY: the registers are the context's own memory, there until it is destroyed, and change only when it is
        // switched, submitted or written, all of which want this handle mutably. `Registers` is transparent.
        unsafe { &*sys::tg_context_regs(self.raw.as_ptr()).cast::<Registers>() }
    }

    #[inline]
    pub(crate) fn regs_mut(&mut self) -> &mut Registers {
        // SAFETY: as for `start`.
        let registers = unsafe { sys::tg_context_regs_mut(self.raw.as_ptr()) }.cast::<Registers>();
        // SAFETY: null only while the context runs, and then a queue owns it. Else as for `regs`.
        unsafe { registers.as_mut() }.expect("a context that runs belongs to its queue")
    }

    pub(crate) fn get_fpstate(&mut self, buffer: &mut [u8]) -> Result<()> {
        // SAFETY: `buffer` may be written for its length.
        self.check(unsafe {
            sys::tg_context_get_fpstate(self.raw.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len())
        })
    }

    pub(crate) fn set_fpstate(&mut self, state: &[u8]) -> Result<()> {
        // SAFETY: `state` may be read for its length; what it says is checked.
        self.check(unsafe {
            sys::tg_context_set_fpstate(self.raw.as_ptr(), state.as_ptr().cast(), state.len())
        })
    }

    pub(crate) fn get_tls(&self) -> Result<u64> {
        let mut tls = 0;
        // SAFETY: as for `start`; `tls` is written.
        self.check(unsafe { sys::tg_context_get_tls(self.raw.as_ptr(), &mut tls) })?;
        Ok(tls)
    }

    pub(crate) fn set_tls(&mut self, tls: u64) -> Result<()> {
        // SAFETY: as for `start`; the value is checked.
        self.check(unsafe { sys::tg_context_set_tls(self.raw.as_ptr(), tls) })
    }

    #[inline]
    pub(crate) fn set_return(&mut self, value: i64) -> Result<()> {
        // SAFETY: as for `start`.
        self.check(unsafe { sys::tg_context_set_return(self.raw.as_ptr(), value) })
    }

    pub(crate) fn read(
        &mut self,
        subprocess: &SubprocessHandle,
        addr: u64,
        buffer: &mut [u8],
    ) -> (usize, Result<()>) {
        // SAFETY: it writes what `copy_out` asks for.
        unsafe { self.copy_out(sys::tg_context_read, subprocess, addr, buffer) }
    }

    pub(crate) fn read_string(
        &mut self,
        subprocess: &SubprocessHandle,
        addr: u64,
        buffer: &mut [u8],
    ) -> (usize, Result<()>) {
        // SAFETY: as for `read`.
        unsafe { self.copy_out(sys::tg_context_read_string, subprocess, addr, buffer) }
    }

    /// # Safety
    /// `copy` takes two handles that exist until it returns, and writes a number and at most the buffer's length of bytes.
    unsafe fn copy_out<T>(
        &mut self,
        copy: CopyOut<T>,
        subprocess: &SubprocessHandle,
        addr: u64,
        buffer: &mut [u8],
    ) -> (usize, Result<()>) {
        let (context, subprocess) = (self.raw.as_ptr(), subprocess.raw.as_ptr());
        let mut done = 0;
        // SAFETY: the handles are borrowed; `buffer` may be written for its length.
        let result =
            unsafe { copy(context, subprocess, addr, buffer.as_mut_ptr().cast(), buffer.len(), &mut done) };
        (done, self.check(result))
    }

    pub(crate) fn write(
        &mut self,
        subprocess: &SubprocessHandle,
        addr: u64,
        bytes: &[u8],
    ) -> (usize, Result<()>) {
        let (context, subprocess) = (self.raw.as_ptr(), subprocess.raw.as_ptr());
        let mut done = 0;
        // SAFETY: both handles exist until the call returns, because they are borrowed; `bytes` may be read for their
        // length.
        let result = unsafe {
            sys::tg_context_write(context, subprocess, addr, bytes.as_ptr().cast(), bytes.len(), &mut done)
        };
        (done, self.check(result))
    }

    pub(crate) fn brought(&mut self, subprocess: &SubprocessHandle, piece: u32) -> Result<&[u8]> {
        let mut bytes = std::ptr::null();
        let mut length = 0;
        // SAFETY: as for `read`; `bytes` and `length` are written.
        self.check(unsafe {
            sys::tg_context_brought(
                self.raw.as_ptr(),
                subprocess.raw.as_ptr(),
                piece,
                &mut bytes,
                &mut length,
            )
        })?;
        // SAFETY: after 0 there are so many bytes of the context's own, which stay until it is switched, submitted or
        // dropped, or asked again: all of these want this handle mutably, and it is borrowed as long as the bytes are.
        Ok(unsafe { std::slice::from_raw_parts(bytes.cast(), length) })
    }

    pub(crate) fn attach(&mut self, addr: u64, bytes: &[u8]) -> Result<()> {
        // SAFETY: as for `start`; `bytes` may be read for their length.
        self.check(unsafe {
            sys::tg_context_attach(self.raw.as_ptr(), addr, bytes.as_ptr().cast(), bytes.len())
        })
    }

    pub(crate) fn restart_syscall(&mut self) -> Result<()> {
        // SAFETY: as for `start`.
        self.check(unsafe { sys::tg_context_restart_syscall(self.raw.as_ptr()) })
    }

    #[inline]
    pub(crate) fn switch(&mut self, subprocess: &SubprocessHandle) -> Result<Event> {
        let mut event = unwritten_event();
        // SAFETY: both handles exist until the call returns, because they are borrowed. The library asks the event for
        // its size alone.
        let result =
            unsafe { sys::tg_context_switch(self.raw.as_ptr(), subprocess.raw.as_ptr(), event.as_mut_ptr()) };
        self.check(result)?;
        // SAFETY: after 0 the library has written an event.
        Ok(decode(unsafe { &*event.as_ptr() }))
    }

    #[inline]
    pub(crate) fn exchange(
        &mut self,
        subprocess: &SubprocessHandle,
        regs: &mut Registers,
        what: u32,
    ) -> Result<Event> {
        let (context, subprocess) = (self.raw.as_ptr(), subprocess.raw.as_ptr());
        let mut event = unwritten_event();
        // SAFETY: as for `switch`; the registers state the size that they have.
        let result =
            unsafe { sys::tg_context_exchange(context, subprocess, regs.sized(), what, event.as_mut_ptr()) };
        self.check(result)?;
        // SAFETY: after 0 the library has written an event.
        Ok(decode(unsafe { &*event.as_ptr() }))
    }
}

#[cfg(test)]
mod tests {
    //! What needs no library, so that Miri can look at it, too.
    use super::*;

    #[test]
    fn texts_end_at_the_first_zero() {
        assert_eq!(text(&[b'a' as c_char, b'b' as c_char, 0, b'c' as c_char]), "ab");
        assert_eq!(text(&[b'a' as c_char]), "a");
        assert_eq!(text(&[]), "");
    }
}
