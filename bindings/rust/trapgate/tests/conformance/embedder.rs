// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the library may do to the process that links it, and what is left when that process dies.

use crate::cases::cases;
use crate::host;
use crate::support::*;
use libc::{SIGCHLD, SIGKILL};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use trapgate::*;

cases! { embedder:
    own_children, sigchld, signals_left_alone,
}

/// Own children are reaped by the embedder with their own status, while stubs come, run and go.
fn own_children(backend: Backend) {
    let mut guest = Guest::open(backend, "call_loop");
    let platform = guest.platform.clone();
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..300 {
                guest.run_to_call();
            }
        });
        for number in 0..30 {
            let subprocess = Subprocess::new(&platform).unwrap();
            // Threads are at work, so the child may do nothing but leave.
            let child = host::fork(|| number);
            if number % 2 == 1 {
                drop(subprocess);
            }
            assert_eq!(host::exit_status(child), number);
        }
    });
}

static CHILD_SIGNALS: AtomicU64 = AtomicU64::new(0);

extern "C" fn count_child_signal(_signal: libc::c_int) {
    CHILD_SIGNALS.fetch_add(1, SeqCst);
}

fn sigchld(backend: Backend) {
    host::handle_signal(SIGCHLD, count_child_signal, libc::SA_NOCLDSTOP);
    let mut guest = Guest::open(backend, "call_loop");
    for _ in 0..100 {
        guest.run_to_call();
    }
    map_pages(&guest.subprocess, HOLE_AT, guest.page, RW);
    assert_eq!(CHILD_SIGNALS.load(SeqCst), 0);
    assert_eq!(host::exit_status(host::fork(|| 0)), 0);
    assert_eq!(CHILD_SIGNALS.load(SeqCst), 1);
    host::kill(guest.subprocess.pid().unwrap(), SIGKILL);
    check_killed(&guest.run());
}

fn signals_left_alone(backend: Backend) {
    let before = host::signal_dispositions();
    let mut guest = Guest::open(backend, "call_loop");
    guest.run_to_call();
    guest.context.interrupt();
    check_interrupted(&guest.run());
    assert_eq!(host::signal_dispositions(), before);
    drop(guest);
    assert_eq!(host::signal_dispositions(), before);
}
