// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the library may do to the process that links it, and what is left when that process dies.

use crate::cases::cases;
use crate::host;
use crate::support::*;
use libc::{SIGCHLD, SIGKILL};
use std::io::{Read, Write};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use trapgate::*;

cases! { embedder:
    killed, killed_any_moment, exits, own_children, wait_any, wait_any_death, sigchld, sigchld_stops, sigchld_ignored,
    signals_left_alone, signals_blocked, affinity_left_alone, forks,
}

/// An embedder with an idle, a used and a running subprocess; says so and waits to be killed.
fn be_an_embedder(backend: Backend, mut report: impl Write) -> i32 {
    let mut guest = Guest::open(backend, "spin_counting");
    let used = loaded_subprocess(&guest.platform, "call_loop");
    call(started_context(&guest.platform).switch(&used).unwrap());
    let _idle = Subprocess::new(&guest.platform).unwrap();
    guest.set_argument(0, DATA_AT);
    guest.run_beside(|beside| {
        wait_change(beside.subprocess, DATA_AT, 0);
        for pid in [beside.subprocess.pid(), used.pid()] {
            report.write_all(&pid.unwrap().to_ne_bytes()).unwrap();
        }
    });
    1
}

fn killed(backend: Backend) {
    host::become_subreaper();
    let (mut here, there) = host::pipe();
    let child = host::fork(|| be_an_embedder(backend, &there));
    drop(there);
    let pids = [0; 2].map(|_: u32| {
        let mut pid = [0; 4];
        here.read_exact(&mut pid).unwrap();
        u32::from_ne_bytes(pid)
    });
    assert!(pids.iter().all(|pid| host::is_alive(*pid)));
    host::kill(child, SIGKILL);
    pids.into_iter().for_each(host::wait_gone);
    host::wait_for_orphans();
}

fn live_in_a_hurry(backend: Backend, mut report: impl Write) -> i32 {
    report.write_all(b"x").unwrap();
    loop {
        let mut guest = Guest::open(backend, "call_loop");
        guest.run_to_call();
        let copy = guest.subprocess.fork().unwrap();
        call(guest.context.switch(&copy).unwrap());
    }
}

fn killed_any_moment(backend: Backend) {
    let mut random = host::Random::new(3);
    host::become_subreaper();
    for _ in 0..60 {
        let (mut here, there) = host::pipe();
        let child = host::fork(|| live_in_a_hurry(backend, &there));
        drop(there);
        here.read_exact(&mut [0]).unwrap();
        host::sleep_us(random.below(8000));
        host::kill(child, SIGKILL);
        host::wait_for_orphans();
    }
}

/// The embedder leaves without closing anything.
fn exits(backend: Backend) {
    host::become_subreaper();
    let child = host::fork(|| {
        let mut guest = Guest::open(backend, "call_loop");
        guest.run_to_call();
        host::exit_at_once(5)
    });
    assert_eq!(host::exit_status(child), 5);
    host::wait_for_orphans();
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

/// With no switch in progress, a wait for any child sees the embedder's children and no living stub.
fn wait_any(backend: Backend) {
    let mut guest = Guest::open(backend, "call_loop");
    let _idle = Subprocess::new(&guest.platform).unwrap();
    guest.run_to_call();
    match host::wait(-1, libc::WNOHANG | libc::WUNTRACED | libc::WCONTINUED) {
        Ok((0, _)) | Err(libc::ECHILD) => (),
        other => panic!("{:?}", other),
    }
    let child = host::fork(|| 7);
    let (found, status) = host::wait(-1, 0).unwrap();
    assert_eq!((found as u32, libc::WEXITSTATUS(status)), (child, 7));
    guest.run_to_call();
}

/// An embedder that takes the death of a tracee with a wait of its own keeps no event from anybody.
fn wait_any_death(backend: Backend) {
    let mut guest = Guest::open(backend, "call_loop");
    guest.run_to_call();
    let victim = guest.subprocess.pid().unwrap();
    host::kill(victim, SIGKILL);
    host::wait_gone(victim);
    while matches!(host::wait(-1, libc::__WALL | libc::WNOHANG), Ok((found, _)) if found > 0) {}
    assert!(matches!(guest.run(), Event::Dead(_)));
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

/// Without SA_NOCLDSTOP ptrace(2) raises SIGCHLD at every stop. Everything works all the same.
fn sigchld_stops(backend: Backend) {
    host::handle_signal(SIGCHLD, count_child_signal, 0);
    let mut guest = Guest::open(backend, "counting_calls");
    for number in 1..=100 {
        assert_eq!(guest.run_to_call().args[0], number);
    }
}

/// SIGCHLD ignored reaps children by itself in the kernel: stubs must still be reaped and found dead.
fn sigchld_ignored(backend: Backend) {
    host::ignore_signal(SIGCHLD);
    for _ in 0..3 {
        let mut guest = Guest::open(backend, "counting_calls");
        guest.run_to_call();
        guest.run_to_call();
        host::kill(guest.subprocess.pid().unwrap(), SIGKILL);
        assert!(matches!(guest.run(), Event::Dead(_)));
    }
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

/// An embedder that blocks every signal, as signalfd programs do, is interrupted all the same.
fn signals_blocked(backend: Backend) {
    host::block_all_signals();
    let mut guest = Guest::open(backend, "spin_counting");
    guest.set_argument(0, DATA_AT);
    let event = guest.run_beside(|beside| {
        wait_change(beside.subprocess, DATA_AT, 0);
        beside.interrupter.interrupt();
    });
    check_interrupted(&event);
}

/// The library places stub threads, never the embedder's.
fn affinity_left_alone(backend: Backend) {
    let before = host::affinity();
    let mut guest = Guest::open(backend, "call_loop");
    for _ in 0..100 {
        guest.run_to_call();
    }
    assert_eq!(host::affinity(), before);
}

/// fork(2) in the embedder: the child leaves, the parent goes on.
fn forks(backend: Backend) {
    let mut guest = Guest::open(backend, "counting_calls");
    guest.run_to_call();
    assert_eq!(host::exit_status(host::fork(|| 3)), 3);
    assert_eq!(guest.run_to_call().args[0], 2);
}
