// SPDX-License-Identifier: Apache-2.0 OR MIT
use crate::handles::{QueueHandle, EVENTS_AT_ONCE};
use crate::{Context, Error, Event, Platform, Result, Subprocess};
use std::fmt;
use std::os::unix::io::BorrowedFd;
use std::time::Duration;

/// Runs many contexts for one waiting thread. What is submitted belongs to the queue until its event comes.
///
/// ```
/// use trapgate::{Context, Event, Mapping, Platform, Protection, Queue, Subprocess};
///
/// # #[cfg(target_arch = "x86_64")]
/// # fn main() -> trapgate::Result<()> {
/// let platform = Platform::open()?;
/// let subprocess = Subprocess::new(&platform)?;
/// subprocess.map(0x10000, 4096, Protection::ALL, Mapping::zeros())?;
/// subprocess.write(0x10000, b"\x0f\x05\xeb\xfc")?; // again: syscall; jmp again
/// let queue = Queue::new(&platform)?;
/// for id in 0..10 {
///     let mut context = Context::new(&platform)?;
///     context.start(0x10000, 0)?;
///     context.set_user_data(id)?;
///     queue.submit(context, &subprocess)?;
/// }
/// let mut calls = 0;
/// while calls < 100 {
///     for mut completion in queue.wait(16, None)? {
///         if let Event::Syscall(_) = completion.event {
///             calls += 1;
///             completion.context.set_return(0)?;
///             queue.submit(completion.context, &subprocess)?;
///         }
///     }
/// }
/// # Ok(())
/// # }
/// # #[cfg(not(target_arch = "x86_64"))]
/// # fn main() {}
/// ```
///
/// On ptrace the waiting thread is the tracer of what it started. Drop the queue in that thread, or when nothing runs:
/// another thread cannot stop guests that still run, so it kills their subprocesses.
pub struct Queue {
    handle: QueueHandle,
}

/// An event, and the context that it is about.
#[derive(Debug)]
#[non_exhaustive]
pub struct Completion {
    /// Whose event this is: yours again.
    pub context: Context,
    /// Why it came back.
    pub event: Event,
    /// What [`Context::set_user_data`] said.
    pub user_data: u64,
}

/// A context that could not be submitted.
#[derive(Debug)]
pub struct Refused {
    /// The context: yours again, as it was.
    pub context: Context,
    /// Why.
    pub error: Error,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for Refused {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        refused.error
    }
}

impl Queue {
    /// Events that one call of [`Queue::wait`] brings at most.
    pub const MOST_EVENTS: usize = EVENTS_AT_ONCE;

    /// Makes a queue.
    ///
    /// # Errors
    /// `NoMemory`.
    pub fn new(platform: &Platform) -> Result<Self> {
        QueueHandle::create(&platform.handle).map(|handle| Queue { handle })
    }

    /// Starts the context in the subprocess and returns. Its event comes out of [`Queue::wait`], exactly one for each
    /// submit. Any thread.
    ///
    /// # Errors
    /// The context, and `Invalid`, `Busy`, `Dead`, `NoMemory`, `TryAgain`, `Forbidden` or `Unexplained`.
    // The context is as large as two pointers, so this error is not large for what it gives back.
    pub fn submit(&self, context: Context, subprocess: &Subprocess) -> Result<(), Refused> {
        self.handle
            .submit(context.handle, &subprocess.handle)
            .map_err(|(handle, error)| Refused { context: Context { handle }, error })
    }

    /// Waits for events, up to `limit` and [`Queue::MOST_EVENTS`] of them. None comes when the time is over or after
    /// [`Queue::wake`]. `None` waits for ever, a zero duration only looks. It also waits when nothing is submitted:
    /// another thread may still submit.
    ///
    /// # Errors
    /// `Busy` while another thread waits, and on ptrace also while contexts run that another thread has started, unless
    /// [`Queue::fd`] was called before. `Invalid` for a limit of 0. `NoMemory`, `TryAgain`, `Forbidden`, `Unexplained`.
    pub fn wait(&self, limit: usize, timeout: Option<Duration>) -> Result<Vec<Completion>> {
        let mut completions = Vec::new();
        self.wait_into(&mut completions, limit, timeout)?;
        Ok(completions)
    }

    /// The same, appended to a vector that keeps its memory. Returns how many there are.
    ///
    /// # Errors
    /// As [`Queue::wait`].
    pub fn wait_into(
        &self,
        completions: &mut Vec<Completion>,
        limit: usize,
        timeout: Option<Duration>,
    ) -> Result<usize> {
        let timeout_ns = timeout.map_or(-1, |time| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX));
        self.handle.wait(limit, timeout_ns, |handle, user_data, event| {
            completions.push(Completion { context: Context { handle }, event, user_data });
        })
    }

    /// Makes the wait that runs now, or else the next one, return. Any thread and any signal handler.
    pub fn wake(&self) {
        self.handle.wake()
    }

    /// A descriptor that is readable while events wait: for epoll and event loops. Do not read it: call [`Queue::wait`]
    /// with a zero duration until it gives nothing. From the first call on a thread of the library does the waiting, so
    /// any thread may wait, and every event costs a thread hand-over.
    ///
    /// # Errors
    /// `Busy` while a thread waits, and on ptrace while contexts run. `NoDescriptors`, `NoMemory`, `TryAgain`.
    pub fn fd(&self) -> Result<BorrowedFd<'_>> {
        self.handle.fd()
    }

    /// How many contexts the queue owns: submitted, and not yet handed back.
    pub fn len(&self) -> usize {
        self.handle.running_count()
    }

    /// True when it owns none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Destroys the queue, stops what it runs and hands it back, without events and in no order.
    pub fn into_contexts(self) -> Vec<Context> {
        self.handle.into_contexts().into_iter().map(|handle| Context { handle }).collect()
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("len", &self.len()).finish()
    }
}
