// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A queue, and the contexts that it runs.

use super::raw_event::{decode, unwritten_event};
use super::{ContextHandle, PlatformHandle, SubprocessHandle};
use crate::event::Event;
use crate::{sys, Error, Result};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::mem::MaybeUninit;
use std::os::unix::io::BorrowedFd;
use std::ptr::{self, NonNull};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many events one wait can bring.
pub(crate) const EVENTS_AT_ONCE: usize = 64;

/// The C queue.
struct RawQueue {
    raw: NonNull<sys::tg_queue>,
    platform: Arc<PlatformHandle>,
}

// SAFETY: submit, wake and descriptor are for any thread; a second waiter is refused by the library.
unsafe impl Send for RawQueue {}
// SAFETY: as above; destroying is the last call because only Drop does it.
unsafe impl Sync for RawQueue {}

impl Drop for RawQueue {
    fn drop(&mut self) {
        // SAFETY: nobody else has the handle.
        unsafe { sys::tg_queue_destroy(self.raw.as_ptr()) }
    }
}

type Running = HashMap<usize, Entry, BuildHasherDefault<AddressHasher>>;

/// Of a context in the queue.
enum Entry {
    Runs(ContextHandle),
    /// Its event has been there before the context: whoever left it to the queue is about to look here.
    Came(Event),
}

/// What became of a context.
pub(crate) enum Switched {
    Event(ContextHandle, Event),
    /// It is the queue's.
    Running,
    Refused(ContextHandle, Error),
}

/// A queue and the contexts that it runs, each under the address by which events name it. The order of the fields is
/// the order in which they are dropped: contexts run no more when their turn comes.
pub(crate) struct QueueHandle {
    queue: RawQueue,
    running: Mutex<Running>,
}

impl QueueHandle {
    pub(crate) fn create(platform: &Arc<PlatformHandle>) -> Result<Self> {
        let mut raw = ptr::null_mut();
        // SAFETY: the platform is open; `raw` is written.
        let result = unsafe { sys::tg_queue_create(platform.0.as_ptr(), &mut raw) };
        match (result, NonNull::new(raw)) {
            (0, Some(raw)) => {
                let queue = RawQueue { raw, platform: Arc::clone(platform) };
                Ok(QueueHandle { queue, running: Mutex::default() })
            }
            (errno, _) => Err(platform.error(errno)),
        }
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the context and keeps it until its event comes. After an error it is given back.
    pub(crate) fn submit(
        &self,
        context: ContextHandle,
        subprocess: &SubprocessHandle,
    ) -> Result<(), (ContextHandle, Error)> {
        let raw = context.raw;
        // Kept before it runs: another thread may have its event at once.
        self.running().insert(raw.as_ptr() as usize, Entry::Runs(context));
        // SAFETY: the context is kept until its event comes or the queue is gone, and nobody touches it meanwhile; the
        // subprocess is borrowed, and may be destroyed while contexts run in it.
        let result =
            unsafe { sys::tg_queue_submit(self.queue.raw.as_ptr(), raw.as_ptr(), subprocess.raw.as_ptr()) };
        if result == 0 {
            return Ok(());
        }
        let error = self.queue.platform.error(result);
        match self.running().remove(&(raw.as_ptr() as usize)) {
            Some(Entry::Runs(context)) => Err((context, error)),
            _ => Ok(()), // it ran all the same, and its event is on its way
        }
    }

    /// Runs the context, and looks for its event for about `spin_ns` before it is the queue's.
    #[inline]
    pub(crate) fn switch_or_submit(
        &self,
        context: ContextHandle,
        subprocess: &SubprocessHandle,
        spin_ns: u64,
    ) -> Switched {
        let (queue, raw) = (self.queue.raw.as_ptr(), context.raw.as_ptr());
        let mut event = unwritten_event();
        // SAFETY: the handles exist until the call returns; after 1 the context is kept, here or in the table, until its
        // event comes or the queue is gone, and nobody touches it meanwhile. The library asks the event for its size alone.
        let result = unsafe {
            sys::tg_context_switch_or_submit(raw, subprocess.raw.as_ptr(), queue, spin_ns, event.as_mut_ptr())
        };
        match result {
            // SAFETY: after 0 the library has written an event.
            0 => Switched::Event(context, decode(unsafe { &*event.as_ptr() })),
            1 => self.keep(context),
            errno => {
                let error = self.queue.platform.error(errno);
                Switched::Refused(context, error)
            }
        }
    }

    fn keep(&self, context: ContextHandle) -> Switched {
        let address = context.address();
        let mut running = self.running();
        match running.remove(&address) {
            Some(Entry::Came(event)) => Switched::Event(context, event),
            _ => {
                running.insert(address, Entry::Runs(context));
                Switched::Running
            }
        }
    }

    /// Hands up to `limit` events to `found`, each with its context and the context's user data.
    pub(crate) fn wait(
        &self,
        limit: usize,
        timeout_ns: i64,
        mut found: impl FnMut(ContextHandle, u64, Event),
    ) -> Result<usize> {
        let mut events = MaybeUninit::<[MaybeUninit<sys::tg_event>; EVENTS_AT_ONCE]>::uninit();
        let first = events.as_mut_ptr().cast::<sys::tg_event>();
        let mut count = 0;
        // SAFETY: room for so many events, of which the library asks the first one for its size and no other for
        // anything, because the size is the one it knows.
        let result = unsafe {
            ptr::addr_of_mut!((*first).size).write(std::mem::size_of::<sys::tg_event>() as u32);
            let limit = limit.min(EVENTS_AT_ONCE);
            sys::tg_queue_wait(self.queue.raw.as_ptr(), first, limit, timeout_ns, &mut count)
        };
        self.queue.platform.check(result)?;
        if count == 0 {
            return Ok(0);
        }
        let mut running = self.running();
        for index in 0..count {
            // SAFETY: the library has written so many events.
            let event = unsafe { &*first.add(index) };
            let address = event.context as usize;
            match running.remove(&address) {
                Some(Entry::Runs(context)) => found(context, event.user_data, decode(event)),
                _ => drop(running.insert(address, Entry::Came(decode(event)))),
            }
        }
        Ok(count)
    }

    pub(crate) fn wake(&self) {
        // SAFETY: the queue is not destroyed. The only error is a null handle.
        unsafe { sys::tg_queue_wake(self.queue.raw.as_ptr()) };
    }

    pub(crate) fn fd(&self) -> Result<BorrowedFd<'_>> {
        // SAFETY: the queue is not destroyed.
        let fd = unsafe { sys::tg_queue_fd(self.queue.raw.as_ptr()) };
        if fd < 0 {
            return Err(self.queue.platform.error(fd));
        }
        // SAFETY: the queue keeps the descriptor open until it is destroyed.
        Ok(unsafe { BorrowedFd::borrow_raw(fd) })
    }

    pub(crate) fn running_count(&self) -> usize {
        self.running().len()
    }

    /// Destroys the queue; what it ran is stopped and can be used again.
    pub(crate) fn into_contexts(self) -> Vec<ContextHandle> {
        let QueueHandle { queue, running } = self;
        drop(queue);
        let running = running.into_inner().unwrap_or_else(PoisonError::into_inner);
        let contexts = running.into_values().filter_map(|entry| match entry {
            Entry::Runs(context) => Some(context),
            Entry::Came(_) => None,
        });
        contexts.collect()
    }
}

/// Addresses are their own hash but for their low bits, which are always zero.
#[derive(Default)]
struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_usize(usize::from(*byte));
        }
    }

    fn write_usize(&mut self, address: usize) {
        // The table takes its index from the low bits and a tag from the high ones: a product spreads over both.
        self.0 = (self.0 ^ (address as u64 >> 4)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_spread_over_the_table() {
        let hash = |address| {
            let mut hasher = AddressHasher::default();
            hasher.write_usize(address);
            hasher.finish()
        };
        let hashes: Vec<u64> = (0..256).map(|index| hash(0x5500_0000_0000 + index * 512)).collect();
        let distinct =
            |part: fn(&u64) -> u64| hashes.iter().map(part).collect::<std::collections::HashSet<_>>().len();
        assert!(distinct(|hash| hash & 0xff) > 128);
        assert!(distinct(|hash| hash >> 57) > 64);
    }
}
