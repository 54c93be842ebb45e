// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The queue: one thread drives many contexts.

use crate::cases::cases;
use crate::support::*;
use crate::{code, host};
use libc::SIGUSR1;
use std::os::unix::io::AsRawFd;
use std::sync::atomic::{AtomicPtr, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;
use trapgate::*;

cases! { queue:
    many_contexts, capacity, timeout, wake, wake_signal_handler, second_waiter, submit_threads, fd, fd_any_thread,
    fd_busy, waiting_thread,
}

/// Each context's events carry its own data and count, in its own order.
fn drive_many(guest: &Guest, queue: &Queue, contexts: u64, rounds: u64) {
    let mut seen = vec![0; contexts as usize];
    let mut left = contexts * rounds;
    let was_empty = queue.is_empty();
    for mark in 0..contexts {
        submit(queue, marked_context(&guest.platform, mark), &guest.subprocess);
    }
    while left > 0 {
        let completions = queue.wait(Queue::MOST_EVENTS, None).unwrap();
        assert!(!completions.is_empty());
        for completion in completions {
            let mark = completion.user_data as usize;
            assert_eq!(completion.context.user_data(), completion.user_data);
            seen[mark] += 1;
            assert_eq!(call(completion.event).args[0], seen[mark]);
            left -= 1;
            if seen[mark] < rounds {
                submit(queue, completion.context, &guest.subprocess);
            }
        }
    }
    wait_nothing(queue, NO_TIME);
    assert_eq!(queue.is_empty(), was_empty);
}

fn many_contexts(backend: Backend) {
    let guest = Guest::open(backend, "counting_calls");
    drive_many(&guest, &Queue::new(&guest.platform).unwrap(), 200, 10);
}

fn capacity(backend: Backend) {
    let guest = Guest::open(backend, "counting_calls");
    let queue = Queue::new(&guest.platform).unwrap();
    for _ in 0..10 {
        submit(&queue, started_context(&guest.platform), &guest.subprocess);
    }
    let mut completions = Vec::new();
    while completions.len() < 10 {
        let before = completions.len();
        let found = queue.wait_into(&mut completions, 3, None).unwrap();
        assert!((1..=3).contains(&found));
        assert_eq!(completions.len(), before + found);
    }
    wait_nothing(&queue, NO_TIME);
}

fn timeout(backend: Backend) {
    let Guest { context, subprocess, platform, .. } = Guest::open(backend, "spin");
    let queue = Queue::new(&platform).unwrap();
    let interrupter = context.interrupter();
    wait_nothing(&queue, NO_TIME);
    wait_nothing(&queue, MOMENT);
    submit(&queue, context, &subprocess);
    wait_nothing(&queue, NO_TIME);
    wait_nothing(&queue, 5 * MOMENT);
    interrupter.interrupt();
    check_interrupted(&wait_one(&queue).event);
}

/// What a wait in a thread of its own brings, while the function does something beside it.
fn wait_beside(queue: &Queue, beside: impl FnOnce(std::os::unix::thread::RawPthread)) -> Vec<Completion> {
    let (report, thread) = mpsc::channel();
    thread::scope(|scope| {
        let waiter = scope.spawn(move || {
            report.send(host::this_thread()).unwrap();
            queue.wait(1, None).unwrap()
        });
        let thread = thread.recv().unwrap();
        host::sleep_us(5000);
        beside(thread);
        waiter.join().unwrap()
    })
}

fn wake(backend: Backend) {
    let Guest { context, subprocess, platform, .. } = Guest::open(backend, "spin");
    let queue = Queue::new(&platform).unwrap();
    assert!(wait_beside(&queue, |_| queue.wake()).is_empty());
    submit(&queue, context, &subprocess);
    assert!(wait_beside(&queue, |_| queue.wake()).is_empty());
}

static QUEUE_OF_HANDLER: AtomicPtr<Queue> = AtomicPtr::new(std::ptr::null_mut());

extern "C" fn wake_in_handler(_signal: libc::c_int) {
    // SAFETY: set before the signal is sent to something that lives until the wait is over.
    unsafe { &*QUEUE_OF_HANDLER.load(SeqCst) }.wake();
}

fn wake_signal_handler(backend: Backend) {
    let Guest { context, subprocess, platform, .. } = Guest::open(backend, "spin");
    let mut queue = Queue::new(&platform).unwrap();
    QUEUE_OF_HANDLER.store(&mut queue, SeqCst);
    host::handle_signal(SIGUSR1, wake_in_handler, 0);
    submit(&queue, context, &subprocess);
    assert!(wait_beside(&queue, |thread| host::signal_thread(thread, SIGUSR1)).is_empty());
}

fn second_waiter(backend: Backend) {
    let queue = Queue::new(&open_platform(backend)).unwrap();
    let completions = wait_beside(&queue, |_| {
        fails(queue.wait(1, None), libc::EBUSY);
        fails(queue.wait(1, Some(NO_TIME)), libc::EBUSY);
        queue.wake();
    });
    assert!(completions.is_empty());
}

fn submit_threads(backend: Backend) {
    let guest = Guest::open(backend, "call_loop");
    let queue = Queue::new(&guest.platform).unwrap();
    let (platform, subprocess, to) = (&guest.platform, &guest.subprocess, &queue);
    let mut seen = [false; 200];
    thread::scope(|scope| {
        for first in [0, 50, 100, 150] {
            scope.spawn(move || {
                (first..first + 50).for_each(|mark| submit(to, marked_context(platform, mark), subprocess))
            });
        }
        for _ in 0..seen.len() {
            let completion = wait_one(&queue);
            call(completion.event);
            assert!(!std::mem::replace(&mut seen[completion.user_data as usize], true));
        }
    });
}

fn fd(backend: Backend) {
    let Guest { mut context, subprocess, platform, .. } = Guest::open(backend, "counting_calls");
    let queue = Queue::new(&platform).unwrap();
    let epoll = host::Epoll::new();
    assert_eq!(queue.fd().unwrap().as_raw_fd(), queue.fd().unwrap().as_raw_fd());
    epoll.add(&queue.fd().unwrap());
    assert_eq!(epoll.wait(0), 0);
    for number in 1..=50 {
        submit(&queue, context, &subprocess);
        assert_eq!(epoll.wait(-1), 1);
        let mut completions = queue.wait(1, Some(NO_TIME)).unwrap();
        assert_eq!(completions.len(), 1);
        let completion = completions.remove(0);
        assert_eq!(call(completion.event).args[0], number);
        context = completion.context;
        wait_nothing(&queue, NO_TIME);
        assert_eq!(epoll.wait(0), 0);
    }
}

fn fd_any_thread(backend: Backend) {
    let Guest { mut context, subprocess, platform, .. } = Guest::open(backend, "counting_calls");
    let queue = Queue::new(&platform).unwrap();
    queue.fd().unwrap();
    for number in 1..=20 {
        submit(&queue, context, &subprocess);
        let completion = in_thread(|| wait_one(&queue));
        assert_eq!(call(completion.event).args[0], number);
        context = completion.context;
    }
}

fn fd_busy(backend: Backend) {
    let Guest { context, subprocess, platform, .. } = Guest::open(backend, "spin");
    let queue = Queue::new(&platform).unwrap();
    let interrupter = context.interrupter();
    submit(&queue, context, &subprocess);
    wait_nothing(&queue, MOMENT);
    // ptrace: what runs belongs to the thread that waited.
    if backend == Backend::Ptrace {
        fails(queue.fd(), libc::EBUSY);
        interrupter.interrupt();
    } else {
        let descriptor = queue.fd().unwrap();
        assert!(!host::readable(&descriptor, Some(NO_TIME)));
        interrupter.interrupt();
        assert!(host::readable(&descriptor, None));
    }
    let completion = wait_one(&queue);
    check_interrupted(&completion.event);
    let descriptor = queue.fd().unwrap();
    // Submitted by the thread that waited before, run by whoever waits now.
    submit(&queue, completion.context, &subprocess);
    interrupter.interrupt();
    assert!(host::readable(&descriptor, None));
    check_interrupted(&wait_one(&queue).event);
}

/// A context is started where it is submitted if that thread waited last, so submit and wait go together.
fn submit_and_take(queue: &Queue, context: Context, subprocess: &Subprocess) -> Completion {
    submit(queue, context, subprocess);
    wait_one(queue)
}

/// With nothing running the waiting thread may change; with something running the tracer may not, on ptrace.
fn waiting_thread(backend: Backend) {
    let Guest { mut context, subprocess, platform, .. } = Guest::open(backend, "counting_calls");
    load_code(&subprocess, OTHER_CODE_AT, code::guest("spin"));
    let queue = Queue::new(&platform).unwrap();
    for number in 1..=5 {
        let take = || submit_and_take(&queue, context, &subprocess);
        let completion = if number % 2 == 1 { in_thread(take) } else { take() };
        assert_eq!(call(completion.event).args[0], number);
        context = completion.context;
    }
    context.regs_mut().set_instruction_pointer(OTHER_CODE_AT);
    let interrupter = context.interrupter();
    submit(&queue, context, &subprocess);
    wait_nothing(&queue, MOMENT);
    let elsewhere = in_thread(|| queue.wait(1, Some(NO_TIME)));
    if backend == Backend::Ptrace {
        fails(elsewhere, libc::EBUSY);
    } else {
        assert!(elsewhere.unwrap().is_empty());
    }
    interrupter.interrupt();
    check_interrupted(&wait_one(&queue).event);
}
