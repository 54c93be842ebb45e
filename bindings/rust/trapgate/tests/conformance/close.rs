// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Closing is complete: no process, thread, descriptor or mapping stays behind.

use crate::cases::cases;
use crate::host;
use crate::support::*;
use trapgate::*;

cases! { close:
    used, everything_alive,
}

/// Descriptors, and mappings by number and size.
fn take_stock() -> (usize, usize, u64) {
    let mappings = host::mappings(std::process::id());
    // The C library keeps what was freed as it likes.
    let mine: Vec<_> = mappings.iter().filter(|mapping| mapping.name != "[heap]").collect();
    let bytes = mine.iter().map(|mapping| mapping.end - mapping.start).sum();
    (host::entries("/proc/self/fd"), mine.len(), bytes)
}

/// A thread that was joined may be listed a moment longer; one that stays makes the wait run into the time limit.
fn wait_for_threads(expected: usize) {
    while host::thread_count(std::process::id()) != expected {
        host::sleep_us(1000);
    }
}

/// The first rounds fill the caches of the C library; the others must not add anything.
fn leaves_nothing(backend: Backend, used: fn(Backend)) {
    let threads = host::thread_count(std::process::id());
    host::one_heap();
    used(backend);
    used(backend);
    host::check_no_child();
    wait_for_threads(threads);
    let before = take_stock();
    for _ in 0..5 {
        used(backend);
        host::check_no_child();
    }
    wait_for_threads(threads);
    assert_eq!(take_stock(), before);
}

fn used(backend: Backend) {
    leaves_nothing(backend, |backend| {
        let mut guest = Guest::open(backend, "call_loop");
        guest.run_to_call();
        let copy = guest.subprocess.fork().unwrap();
        call(guest.context.switch(&copy).unwrap());
    });
}

/// The platform's own handle goes first, and what runs in the queue goes with the queue.
fn everything_alive(backend: Backend) {
    leaves_nothing(backend, |backend| {
        let Guest { context, subprocess, platform, .. } = Guest::open(backend, "spin");
        let copy = subprocess.fork().unwrap();
        let queue = Queue::new(&platform).unwrap();
        for index in 0..5 {
            let home = if index % 2 == 1 { &copy } else { &subprocess };
            submit(&queue, started_context(&platform), home);
        }
        wait_nothing(&queue, MOMENT);
        let idle = Subprocess::new(&platform).unwrap();
        drop(platform);
        drop((idle, context, copy, subprocess));
        drop(queue);
    });
}
