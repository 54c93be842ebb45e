// SPDX-License-Identifier: Apache-2.0 OR MIT
use crate::handles::{QueueHandle, Switched, EVENTS_AT_ONCE};
use crate::{Context, Error, ErrorKind, Event, Interrupter, Platform, Result, Subprocess};
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{self, Poll, Waker};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The next call of a guest that makes one after the other is there much sooner.
const DEFAULT_SPIN: Duration = Duration::from_micros(20);
/// Switches in a row that find their event at once, before others of the executor get a turn.
const TURNS: u32 = 256;
/// What the host lacks it may have again: how long to wait for that, and how often.
const PAUSE: Duration = Duration::from_millis(5);
const PATIENCE: u32 = 400;
const EAGAIN: i32 = 11;

/// Switches contexts in futures, with any executor: many guest threads, few threads of the program.
///
/// A switch first looks for its event in the thread that polls it, for some microseconds: the next call of a guest
/// that makes one after the other is found there. After that the future is pending, and a thread of the runner's own
/// wakes its task. The runner, and so its platform, is there as long as it or one of its [`RunnerContext`]s.
///
/// On ptrace a running context cannot change hands, so there the runner's thread is the tracer of all, and each event
/// costs a hand-over: few guest threads are faster in [`Context::switch`].
///
/// ```
/// use std::future::Future;
/// use std::sync::Arc;
/// use std::task::{Poll, Wake, Waker};
/// use trapgate::{Context, Event, Mapping, Platform, Protection, Runner, Subprocess};
///
/// # #[cfg(target_arch = "x86_64")]
/// # fn main() -> trapgate::Result<()> {
/// let platform = Platform::open()?;
/// let subprocess = Subprocess::new(&platform)?;
/// subprocess.map(0x10000, 4096, Protection::ALL, Mapping::zeros())?;
/// subprocess.write(0x10000, b"\x0f\x05\xeb\xfc")?; // again: syscall; jmp again
/// let runner = Runner::new(&platform)?;
/// let serve = |id: u64| {
///     let (runner, platform, subprocess) = (&runner, &platform, &subprocess);
///     async move {
///         let mut context = Context::new(platform)?;
///         context.start(0x10000, 0)?;
///         let mut guest = runner.adopt(context);
///         for _ in 0..100 {
///             assert!(matches!(guest.switch(subprocess).await?, Event::Syscall(_)));
///             guest.context().unwrap().set_return(id as i64)?;
///         }
///         Ok::<(), trapgate::Error>(())
///     }
/// };
///
/// // An executor of a few lines; tokio, smol and the like do as well.
/// struct Unpark(std::thread::Thread);
/// impl Wake for Unpark {
///     fn wake(self: Arc<Self>) {
///         self.0.unpark()
///     }
/// }
/// let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
/// let mut tasks: Vec<_> = (0..10).map(|id| Box::pin(serve(id))).collect();
/// while !tasks.is_empty() {
///     let mut polled = std::task::Context::from_waker(&waker);
///     tasks.retain_mut(|task| match task.as_mut().poll(&mut polled) {
///         Poll::Ready(result) => result.map(|()| false).unwrap(),
///         Poll::Pending => true,
///     });
///     if !tasks.is_empty() {
///         std::thread::park();
///     }
/// }
/// # Ok(())
/// # }
/// # #[cfg(not(target_arch = "x86_64"))]
/// # fn main() {}
/// ```
#[derive(Clone)]
pub struct Runner {
    users: Arc<Users>,
}

impl Runner {
    /// Makes a runner and starts its thread.
    ///
    /// # Errors
    /// `NoMemory`; `TryAgain` when the host has no other thread.
    pub fn new(platform: &Platform) -> Result<Self> {
        Runner::with_spin(platform, DEFAULT_SPIN)
    }

    /// The same with another time for which a switch looks for its event before its future is pending: 100 ms at most,
    /// and with zero it does not.
    ///
    /// # Errors
    /// As [`Runner::new`].
    pub fn with_spin(platform: &Platform, spin: Duration) -> Result<Self> {
        let shared = Arc::new(Shared {
            queue: QueueHandle::create(&platform.handle)?,
            spin_ns: u64::try_from(spin.as_nanos()).unwrap_or(u64::MAX),
            ended: AtomicBool::new(false),
            failure: Mutex::default(),
            tasks: Mutex::default(),
        });
        let serving = Arc::clone(&shared);
        let thread = thread::Builder::new().name("trapgate-runner".into()).spawn(move || serving.serve());
        match thread {
            Ok(thread) => {
                Ok(Runner { users: Arc::new(Users { shared: Some(shared), thread: Some(thread) }) })
            }
            Err(error) => Err(Error::new(
                error.raw_os_error().unwrap_or(EAGAIN),
                format!("make a runner's thread: {}", error),
            )),
        }
    }

    /// Takes over a context, to be switched in futures. The context of another platform is refused by its switches.
    pub fn adopt(&self, context: Context) -> RunnerContext {
        let address = context.handle.address();
        let task = Arc::new(Mutex::new(Task::default()));
        lock(&self.users.shared().tasks).insert(address, Arc::clone(&task));
        RunnerContext {
            interrupter: context.interrupter(),
            context: Some(context),
            running: false,
            turns: 0,
            address,
            task,
            users: Arc::clone(&self.users),
        }
    }
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner").finish_non_exhaustive()
    }
}

/// Whoever may use the runner: with the last of them its thread ends.
struct Users {
    shared: Option<Arc<Shared>>,
    thread: Option<JoinHandle<()>>,
}

impl Users {
    fn shared(&self) -> &Shared {
        self.shared.as_ref().expect("it is there until this is dropped")
    }
}

impl Drop for Users {
    fn drop(&mut self) {
        self.shared().ended.store(true, Ordering::SeqCst);
        self.shared().queue.wake();
        // The thread has the last one, for it is that which can stop what still runs.
        self.shared = None;
        if let Some(thread) = self.thread.take() {
            // A waker may drop what it has woken.
            if thread.thread().id() != thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

/// What the runner's thread and the contexts have in common.
struct Shared {
    queue: QueueHandle,
    spin_ns: u64,
    ended: AtomicBool,
    /// Why nobody waits for events any more.
    failure: Mutex<Option<(i32, String)>>,
    /// Of every adopted context, by its address.
    tasks: Mutex<HashMap<usize, Arc<Mutex<Task>>>>,
}

/// What is to be said of a context that the queue has.
#[derive(Default)]
struct Task {
    came: Option<(Context, Event)>,
    waker: Option<Waker>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// The runner's thread.
    fn serve(&self) {
        let mut found = Vec::new();
        let mut failures = 0;
        while !self.ended.load(Ordering::SeqCst) {
            let waited = self.queue.wait(EVENTS_AT_ONCE, -1, |handle, _, event| {
                found.push((Context { handle }, event));
            });
            match waited {
                Ok(_) => failures = 0,
                Err(error) if passes(&error) && failures < PATIENCE => {
                    failures += 1;
                    thread::sleep(PAUSE);
                }
                Err(error) => return self.fail(&error),
            }
            for (context, event) in found.drain(..) {
                self.deliver(context, event);
            }
        }
    }

    /// Of a context that nobody waits for any more it is the end.
    fn deliver(&self, context: Context, event: Event) {
        let task = lock(&self.tasks).get(&context.handle.address()).cloned();
        if let Some(task) = task {
            let waker = {
                let mut task = lock(&task);
                task.came = Some((context, event));
                task.waker.take()
            };
            wake(waker);
        }
    }

    /// Who stores a waker then looks for the failure: one of us sees the other.
    fn fail(&self, error: &Error) {
        *lock(&self.failure) = Some((error.errno(), error.message().into()));
        let tasks: Vec<_> = lock(&self.tasks).values().cloned().collect();
        for task in tasks {
            let waker = lock(&task).waker.take();
            wake(waker);
        }
    }
}

/// Without a lock: it may run anything.
fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

fn passes(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NoMemory | ErrorKind::TryAgain)
}

/// A context that a [`Runner`] switches. While it runs nobody can touch it, also when the future that was to wait for it
/// is gone; dropping this interrupts it, and it is freed when it has come back.
pub struct RunnerContext {
    context: Option<Context>,
    /// The queue has it, or its event is in the task.
    running: bool,
    turns: u32,
    interrupter: Interrupter,
    address: usize,
    task: Arc<Mutex<Task>>,
    users: Arc<Users>,
}

impl RunnerContext {
    /// Runs the context in the subprocess until an event. Nothing happens before the future is polled.
    ///
    /// A future that is dropped before it is ready interrupts the context. No event is lost by that: what the context
    /// comes back with, [`Event::Interrupted`] mostly, is what the next switch gives, wherever that is to run it.
    ///
    /// # Errors
    /// As [`Context::switch`]; those of [`Queue::wait`](crate::Queue::wait) when the runner cannot wait any more.
    pub fn switch<'a>(&'a mut self, subprocess: &'a Subprocess) -> Switching<'a> {
        Switching { guest: self, subprocess }
    }

    /// Waits until the context is at rest after a switch whose future was dropped, and gives the event that it came back
    /// with; `None` when it was at rest.
    ///
    /// # Errors
    /// Those of [`Queue::wait`](crate::Queue::wait) when the runner cannot wait any more.
    pub fn rest(&mut self) -> Resting<'_> {
        Resting { guest: self }
    }

    /// The context, for all else that can be done with it. `None` while it runs: that is after a switch whose future was
    /// dropped, until the next one or [`RunnerContext::rest`] is ready.
    pub fn context(&mut self) -> Option<&mut Context> {
        self.context.as_mut()
    }

    /// What interrupts the context from elsewhere, also while it runs.
    pub fn interrupter(&self) -> Interrupter {
        self.interrupter.clone()
    }

    /// Gives the context back; not while it runs.
    pub fn into_context(mut self) -> std::result::Result<Context, RunnerContext> {
        self.context.take().ok_or(self)
    }

    fn poll_switch(&mut self, subprocess: &Subprocess, waker: &Waker) -> Poll<Result<Event>> {
        if self.turns == TURNS {
            self.turns = 0;
            waker.wake_by_ref();
            return Poll::Pending;
        }
        let context = match self.context.take() {
            Some(context) => context,
            None => return self.poll_event(waker),
        };
        let shared = self.users.shared();
        match shared.queue.switch_or_submit(context.handle, &subprocess.handle, shared.spin_ns) {
            Switched::Event(handle, event) => {
                self.turns += 1;
                self.context = Some(Context { handle });
                Poll::Ready(Ok(event))
            }
            Switched::Refused(handle, error) => {
                self.context = Some(Context { handle });
                Poll::Ready(Err(error))
            }
            Switched::Running => {
                self.running = true;
                self.turns = 0;
                self.poll_event(waker)
            }
        }
    }

    fn poll_event(&mut self, waker: &Waker) -> Poll<Result<Event>> {
        let came = {
            let mut task = lock(&self.task);
            let came = task.came.take();
            if came.is_none() {
                task.waker = Some(waker.clone());
            }
            came
        };
        match (came, &*lock(&self.users.shared().failure)) {
            (Some((context, event)), _) => {
                self.running = false;
                self.context = Some(context);
                Poll::Ready(Ok(event))
            }
            (None, Some((errno, message))) => Poll::Ready(Err(Error::new(*errno, message.clone()))),
            (None, None) => Poll::Pending,
        }
    }

    fn interrupt_running(&self) {
        if self.running {
            self.interrupter.interrupt();
        }
    }
}

impl Drop for RunnerContext {
    fn drop(&mut self) {
        self.interrupt_running();
        lock(&self.users.shared().tasks).remove(&self.address);
    }
}

impl fmt::Debug for RunnerContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunnerContext").field("running", &self.running).finish_non_exhaustive()
    }
}

/// The future of [`RunnerContext::switch`].
#[must_use = "nothing happens before it is polled"]
pub struct Switching<'a> {
    guest: &'a mut RunnerContext,
    subprocess: &'a Subprocess,
}

impl Future for Switching<'_> {
    type Output = Result<Event>;

    fn poll(mut self: Pin<&mut Self>, polled: &mut task::Context<'_>) -> Poll<Self::Output> {
        let subprocess = self.subprocess;
        self.guest.poll_switch(subprocess, polled.waker())
    }
}

impl Drop for Switching<'_> {
    fn drop(&mut self) {
        self.guest.interrupt_running();
    }
}

impl fmt::Debug for Switching<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Switching").field("guest", &self.guest).finish_non_exhaustive()
    }
}

/// The future of [`RunnerContext::rest`].
#[must_use = "nothing happens before it is polled"]
#[derive(Debug)]
pub struct Resting<'a> {
    guest: &'a mut RunnerContext,
}

impl Future for Resting<'_> {
    type Output = Result<Option<Event>>;

    fn poll(mut self: Pin<&mut Self>, polled: &mut task::Context<'_>) -> Poll<Self::Output> {
        if !self.guest.running {
            return Poll::Ready(Ok(None));
        }
        self.guest.poll_event(polled.waker()).map_ok(Some)
    }
}
