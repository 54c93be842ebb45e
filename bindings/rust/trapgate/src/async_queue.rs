// SPDX-License-Identifier: Apache-2.0 OR MIT
use crate::{Completion, Context, Queue, Refused, Result, Subprocess};
use std::io;
use std::os::unix::io::{AsRawFd, RawFd};
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::io::Interest;

/// A [`Queue`] that is awaited in a tokio runtime (feature `tokio`).
///
/// ```
/// use trapgate::{AsyncQueue, Context, Event, Mapping, Platform, Protection, Queue, Subprocess};
///
/// # #[cfg(target_arch = "x86_64")]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let platform = Platform::open()?;
/// let subprocess = Subprocess::new(&platform)?;
/// subprocess.map(0x10000, 4096, Protection::ALL, Mapping::zeros())?;
/// subprocess.write(0x10000, b"\x0f\x05")?; // syscall
/// let mut queue = AsyncQueue::new(Queue::new(&platform)?)?;
/// let mut context = Context::new(&platform)?;
/// context.start(0x10000, 0)?;
/// queue.submit(context, &subprocess)?;
/// let completions = queue.wait(16).await?;
/// assert!(matches!(completions[0].event, Event::Syscall(_)));
/// # Ok(())
/// # })
/// # }
/// # #[cfg(not(target_arch = "x86_64"))]
/// # fn main() {}
/// ```
#[derive(Debug)]
pub struct AsyncQueue {
    // Dropped first: the runtime must have let go of the descriptor when the queue closes it.
    readable: AsyncFd<QueueDescriptor>,
    queue: Queue,
}

/// The number alone: the queue beside it owns the descriptor.
#[derive(Debug)]
struct QueueDescriptor(RawFd);

impl AsRawFd for QueueDescriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.0
    }
}

impl AsyncQueue {
    /// Takes over a queue in which nothing runs yet. It has to be called inside a runtime with I/O enabled.
    ///
    /// # Errors
    /// What [`Queue::fd`] says, or what the runtime says.
    pub fn new(queue: Queue) -> io::Result<Self> {
        let descriptor = QueueDescriptor(queue.fd()?.as_raw_fd());
        // Newer versions of tokio want an unsafe function here, which promises that the descriptor stays open: it does,
        // for `readable` is dropped before the queue. Older ones have no other than this.
        #[allow(deprecated)]
        let readable = AsyncFd::with_interest(descriptor, Interest::READABLE)?;
        Ok(AsyncQueue { readable, queue })
    }

    /// As [`Queue::submit`].
    ///
    /// # Errors
    /// As [`Queue::submit`].
    pub fn submit(&self, context: Context, subprocess: &Subprocess) -> Result<(), Refused> {
        self.queue.submit(context, subprocess)
    }

    /// Waits for events: one at least, up to `limit` and [`Queue::MOST_EVENTS`]. No event is lost when the future is
    /// dropped before it is ready.
    ///
    /// # Errors
    /// As [`Queue::wait`], or what the runtime says.
    pub async fn wait(&mut self, limit: usize) -> io::Result<Vec<Completion>> {
        loop {
            let mut ready = self.readable.readable().await?;
            let completions = self.queue.wait(limit, Some(Duration::ZERO))?;
            if !completions.is_empty() {
                return Ok(completions);
            }
            ready.clear_ready();
        }
    }

    /// The queue, for what else it can do.
    pub fn queue(&self) -> &Queue {
        &self.queue
    }
}
