// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A runner's futures, with executors of a few lines: the events of many guests, futures that are dropped at any moment,
//! ends in every order.
#![cfg(target_arch = "x86_64")]

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context as Polled, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;
use trapgate::*;

const CODE_AT: u64 = 0x10000;
const SPIN_AT: u64 = CODE_AT + 0x100;

/// again: argument 1 is the last result; count in argument 0; getpid; jump again
const COUNTS: &[u8] = b"\x89\xc6\x48\xff\xc7\xb8\x27\0\0\0\x0f\x05\xeb\xf2";
/// again: pause; jump again
const SPINS: &[u8] = b"\xf3\x90\xeb\xfc";

/// On both backends, with a runner that spins and with one that does not.
fn with_runners(test: impl Fn(&Platform, &Runner, &Subprocess)) {
    for backend in [Backend::Ptrace, Backend::Systrap] {
        let platform = match Platform::options().backend(backend).open() {
            Ok(platform) => platform,
            Err(_) => continue,
        };
        let subprocess = Subprocess::new(&platform).unwrap();
        subprocess.map(CODE_AT, 4096, Protection::READ | Protection::WRITE, Mapping::zeros()).unwrap();
        subprocess.write(CODE_AT, COUNTS).unwrap();
        subprocess.write(SPIN_AT, SPINS).unwrap();
        subprocess.protect(CODE_AT, 4096, Protection::READ | Protection::EXECUTE).unwrap();
        test(&platform, &Runner::new(&platform).unwrap(), &subprocess);
        test(&platform, &Runner::with_spin(&platform, Duration::ZERO).unwrap(), &subprocess);
    }
}

fn context(platform: &Platform, ip: u64) -> Context {
    let mut context = Context::new(platform).unwrap();
    context.start(ip, 0).unwrap();
    context
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = Box::pin(future);
    loop {
        match future.as_mut().poll(&mut Polled::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// One look at a future.
fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    Pin::new(future).poll(&mut Polled::from_waker(&waker))
}

#[track_caller]
fn check_call(event: &Event, calls: u64, result: u64) {
    match event {
        Event::Syscall(call) => assert_eq!((call.args[0], call.args[1]), (calls, result)),
        other => panic!("{:?}", other),
    }
}

#[test]
fn calls_come_in_order_and_get_their_results() {
    with_runners(|platform, runner, subprocess| {
        let mut guest = runner.adopt(context(platform, CODE_AT));
        block_on(async {
            for calls in 1..600 {
                check_call(&guest.switch(subprocess).await.unwrap(), calls, calls - 1);
                guest.context().unwrap().set_return(calls as i64).unwrap();
            }
            assert_eq!(guest.rest().await.unwrap(), None);
        });
        check_call(&guest.into_context().unwrap().switch(subprocess).unwrap(), 600, 599);
    });
}

/// More tasks than processors, in several threads; each is polled wherever it is woken.
#[test]
fn many_guests_have_a_task_each() {
    const GUESTS: usize = 40;
    const CALLS: u64 = 50;
    with_runners(|platform, runner, subprocess| {
        let left = AtomicUsize::new(GUESTS);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| loop {
                    let taken = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(4));
                    if taken.is_err() {
                        return;
                    }
                    let serve = |mut guest: RunnerContext| async move {
                        for calls in 1..=CALLS {
                            check_call(&guest.switch(subprocess).await.unwrap(), calls, calls - 1);
                            guest.context().unwrap().set_return(calls as i64).unwrap();
                        }
                    };
                    let new = |_| Box::pin(serve(runner.adopt(context(platform, CODE_AT))));
                    let mut tasks: Vec<_> = (0..4).map(new).collect();
                    let waker = Waker::from(Arc::new(Unpark(thread::current())));
                    while !tasks.is_empty() {
                        tasks.retain_mut(|task| {
                            task.as_mut().poll(&mut Polled::from_waker(&waker)).is_pending()
                        });
                        if !tasks.is_empty() {
                            thread::park();
                        }
                    }
                });
            }
        });
    });
}

/// At whatever moment: no call is lost or made twice.
#[test]
fn a_dropped_future_loses_nothing() {
    with_runners(|platform, runner, subprocess| {
        let mut guest = runner.adopt(context(platform, CODE_AT));
        for calls in 1..=60 {
            let looked = poll_once(&mut guest.switch(subprocess));
            let mut event = match looked {
                Poll::Ready(event) => event.unwrap(),
                Poll::Pending if calls % 2 == 0 => block_on(guest.rest()).unwrap().unwrap(),
                Poll::Pending => block_on(guest.switch(subprocess)).unwrap(),
            };
            // From here on nobody interrupts, so that the guest gets somewhere.
            while matches!(event, Event::Interrupted(_)) {
                event = block_on(guest.switch(subprocess)).unwrap();
            }
            check_call(&event, calls, calls - 1);
            guest.context().unwrap().set_return(calls as i64).unwrap();
        }
    });
}

#[test]
fn a_dropped_future_interrupts() {
    with_runners(|platform, runner, subprocess| {
        let mut guest = runner.adopt(context(platform, SPIN_AT));
        assert!(poll_once(&mut guest.switch(subprocess)).is_pending());
        assert!(guest.context().is_none());
        let mut guest = guest.into_context().unwrap_err();
        assert!(matches!(block_on(guest.rest()).unwrap(), Some(Event::Interrupted(_))));
        assert_eq!(guest.context().unwrap().regs().instruction_pointer() & !0xf, SPIN_AT);
        assert!(poll_once(&mut guest.switch(subprocess)).is_pending());
        assert!(matches!(block_on(guest.switch(subprocess)).unwrap(), Event::Interrupted(_)));
        guest.context().unwrap().start(CODE_AT, 0).unwrap();
        check_call(&block_on(guest.switch(subprocess)).unwrap(), 1, 0);
    });
}

/// A future that is forgotten does not interrupt, and the context is not to be had before somebody does.
#[test]
fn a_forgotten_future_keeps_the_context_away() {
    with_runners(|platform, runner, subprocess| {
        let mut guest = runner.adopt(context(platform, SPIN_AT));
        let mut switching = guest.switch(subprocess);
        assert!(poll_once(&mut switching).is_pending());
        std::mem::forget(switching);
        assert!(guest.context().is_none());
        assert!(poll_once(&mut guest.rest()).is_pending());
        guest.interrupter().interrupt();
        assert!(matches!(block_on(guest.rest()).unwrap(), Some(Event::Interrupted(_))));
        assert!(guest.context().is_some());
    });
}

/// A future may be polled by another thread and with another waker each time.
#[test]
fn the_newest_waker_is_woken() {
    with_runners(|platform, runner, subprocess| {
        let mut guest = runner.adopt(context(platform, SPIN_AT));
        let interrupter = guest.interrupter();
        let mut switching = guest.switch(subprocess);
        thread::scope(|scope| {
            scope.spawn(|| assert!(poll_once(&mut switching).is_pending()));
        });
        thread::scope(|scope| {
            scope.spawn(|| assert!(matches!(block_on(&mut switching).unwrap(), Event::Interrupted(_))));
            interrupter.interrupt();
        });
    });
}

#[test]
fn a_death_is_an_event() {
    with_runners(|platform, runner, subprocess| {
        let other = subprocess.fork().unwrap();
        let mut guest = runner.adopt(context(platform, SPIN_AT));
        assert!(poll_once(&mut guest.switch(&other)).is_pending());
        drop(other);
        let event = block_on(guest.rest()).unwrap().unwrap();
        assert!(matches!(event, Event::Dead(_) | Event::Interrupted(_)), "{:?}", event);
        guest.context().unwrap().start(CODE_AT, 0).unwrap();
        loop {
            match block_on(guest.switch(subprocess)).unwrap() {
                Event::Interrupted(_) => continue,
                event => break check_call(&event, 1, 0),
            }
        }
    });
}

#[test]
fn a_refused_switch_gives_the_context_back() {
    with_runners(|_, runner, subprocess| {
        let foreign = Platform::options().backend(Backend::Ptrace).open().unwrap();
        let mut guest = runner.adopt(context(&foreign, CODE_AT));
        assert_eq!(block_on(guest.switch(subprocess)).unwrap_err().kind(), ErrorKind::Invalid);
        assert!(guest.into_context().is_ok());
    });
}

/// The contexts that still run, the runner and the platform may go in any order.
#[test]
fn everything_may_end_at_any_time() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        for backend in [Backend::Ptrace, Backend::Systrap] {
            let platform = match Platform::options().backend(backend).open() {
                Ok(platform) => platform,
                Err(_) => continue,
            };
            let subprocess = Subprocess::new(&platform).unwrap();
            subprocess.map(CODE_AT, 4096, Protection::ALL, Mapping::zeros()).unwrap();
            subprocess.write(CODE_AT, SPINS).unwrap();
            let runner = Runner::new(&platform).unwrap();
            let mut guest = runner.adopt(context(&platform, CODE_AT));
            assert!(poll_once(&mut guest.switch(&subprocess)).is_pending());
            let mut parts = (Some(guest), Some(runner), Some((platform, subprocess)));
            for part in order {
                match part {
                    0 => parts.0 = None,
                    1 => parts.1 = None,
                    _ => parts.2 = None,
                }
            }
        }
    }
}

/// What is woken may drop the last one that uses the runner, in the runner's own thread.
#[test]
fn a_waker_may_end_the_runner() {
    struct DropAll(Mutex<Option<(RunnerContext, Runner)>>, Thread);
    impl Wake for DropAll {
        fn wake(self: Arc<Self>) {
            drop(self.0.lock().unwrap().take());
            self.1.unpark();
        }
    }
    with_runners(|platform, _, subprocess| {
        let runner = Runner::new(platform).unwrap();
        let mut guest = runner.adopt(context(platform, SPIN_AT));
        let interrupter = guest.interrupter();
        let all = Arc::new(DropAll(Mutex::default(), thread::current()));
        let waker = Waker::from(Arc::clone(&all));
        let mut switching = guest.switch(subprocess);
        assert!(Pin::new(&mut switching).poll(&mut Polled::from_waker(&waker)).is_pending());
        std::mem::forget(switching);
        *all.0.lock().unwrap() = Some((guest, runner));
        interrupter.interrupt();
        while all.0.lock().unwrap().is_some() {
            thread::park_timeout(Duration::from_millis(10));
        }
    });
}

fn is_send<T: Send>() {}
fn is_sync<T: Sync>() {}

#[test]
fn threads_may_have_them() {
    is_send::<Runner>();
    is_sync::<Runner>();
    is_send::<RunnerContext>();
    is_send::<Switching<'static>>();
    is_send::<Resting<'static>>();
}
