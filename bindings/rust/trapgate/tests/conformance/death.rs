// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The death of a stub, by any cause at any moment, is an event and costs nobody else.

use crate::cases::cases;
use crate::host::{self, Random};
use crate::support::*;
use libc::{ESRCH, SIGKILL};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use trapgate::*;

cases! { death:
    running, idle, unused, memory_operations, copies, during_apply, during_calls, during_fork, all_contexts, destroyed,
    reaped, destroy_dead, stray_signals, stray_signals_running,
}

fn kill_stub(subprocess: &Subprocess) -> u32 {
    let pid = subprocess.pid().unwrap();
    host::kill(pid, SIGKILL);
    pid
}

fn check_gone(subprocess: &Subprocess) {
    assert_eq!(subprocess.pid(), None);
    fails(subprocess.map(HOLE_AT, 4096, RW, Mapping::zeros()), ESRCH);
    fails(subprocess.unmap(HOLE_AT, 4096), ESRCH);
    fails(subprocess.protect(DATA_AT, 4096, RW), ESRCH);
    let applied = subprocess.apply(&[Operation::unmap(HOLE_AT, 1)]);
    for result in [applied, subprocess.read(DATA_AT, &mut [0]), subprocess.write(DATA_AT, &[0])] {
        assert_eq!(result.as_ref().unwrap_err().done, 0);
        fails(result, ESRCH);
    }
    fails(subprocess.fork(), ESRCH);
}

/// The context of a dead subprocess runs elsewhere.
fn check_context_lives(platform: &Platform, context: &mut Context) {
    let other = loaded_subprocess(platform, "counting_calls");
    context.start(CODE_AT, STACK_TOP).unwrap();
    assert_eq!(call(context.switch(&other).unwrap()).args[0], 1);
}

fn running(backend: Backend) {
    let mut guest = Guest::open(backend, "spin_counting");
    guest.set_argument(0, DATA_AT);
    let mut pid = 0;
    let event = guest.run_beside(|beside| {
        wait_change(beside.subprocess, DATA_AT, 0);
        pid = kill_stub(beside.subprocess);
    });
    check_killed(&event);
    check_gone(&guest.subprocess);
    host::wait_gone(pid);
    assert_eq!(guest.platform.stats().unwrap().deaths, 1);
    check_killed(&guest.run());
    check_context_lives(&guest.platform, &mut guest.context);
}

fn idle(backend: Backend) {
    let mut guest = Guest::open(backend, "counting_calls");
    guest.run_to_call();
    kill_stub(&guest.subprocess);
    check_killed(&guest.run());
    check_gone(&guest.subprocess);
    check_context_lives(&guest.platform, &mut guest.context);
}

fn unused(backend: Backend) {
    let mut guest = Guest::open(backend, "counting_calls");
    kill_stub(&guest.subprocess);
    check_killed(&guest.run());
    check_gone(&guest.subprocess);
}

/// Nobody switches: the memory operations themselves find out.
fn memory_operations(backend: Backend) {
    let mut guest = Guest::open(backend, "counting_calls");
    host::wait_gone(kill_stub(&guest.subprocess));
    fails(guest.subprocess.map(HOLE_AT, guest.page, RW, Mapping::zeros()), ESRCH);
    check_gone(&guest.subprocess);
    check_killed(&guest.run());
}

fn copies(backend: Backend) {
    let mut guest = Guest::open(backend, "counting_calls");
    guest.run_to_call();
    host::wait_gone(kill_stub(&guest.subprocess));
    fails(guest.subprocess.read(DATA_AT, &mut [0; 8]), ESRCH);
    fails(guest.subprocess.write(DATA_AT, &[0; 8]), ESRCH);
}

/// Does something again and again until it fails, kills the stub some time after so many rounds, and gives the error.
fn kill_during(
    subprocess: &Subprocess,
    rounds_before: u64,
    delay_us: u64,
    operation: impl Fn(&Subprocess) -> Result<()> + Send + Sync,
) -> Error {
    let rounds = AtomicU64::new(0);
    thread::scope(|scope| {
        let worker = scope.spawn(|| loop {
            let result = operation(subprocess);
            rounds.fetch_add(1, SeqCst);
            if let Err(error) = result {
                return error;
            }
        });
        while rounds.load(SeqCst) < rounds_before {
            host::sleep_us(10);
        }
        host::sleep_us(delay_us);
        kill_stub(subprocess);
        worker.join().unwrap()
    })
}

fn during_apply(backend: Backend) {
    for round in 0..10 {
        let mut guest = Guest::open(backend, "counting_calls");
        let error = kill_during(&guest.subprocess, 3 + round, 0, |subprocess| {
            subprocess.map(HOLE_AT, 4096, RW, Mapping::zeros())
        });
        assert_eq!(error.errno(), ESRCH, "{}", error);
        check_gone(&guest.subprocess);
        check_context_lives(&guest.platform, &mut guest.context);
    }
}

fn during_fork(backend: Backend) {
    let mut random = Random::new(11);
    let mut guest = Guest::open(backend, "counting_calls");
    for _ in 0..20 {
        let victim = loaded_subprocess(&guest.platform, "call_loop");
        let error = kill_during(&victim, 1, random.below(500), |subprocess| subprocess.fork().map(drop));
        assert_eq!(error.errno(), ESRCH, "{}", error);
        drop(victim);
        guest.run_to_call();
    }
    assert_eq!(guest.platform.stats().unwrap().subprocesses, 1);
}

/// The kill meets calls, stops and resumes; the other subprocess goes on all the while.
fn during_calls(backend: Backend) {
    let mut random = Random::new(7);
    let mut guest = Guest::open(backend, "counting_calls");
    for round in 1..=50 {
        let victim = loaded_subprocess(&guest.platform, "call_loop");
        let rounds = AtomicU64::new(0);
        let event = thread::scope(|scope| {
            let caller = scope.spawn(|| {
                let mut context = started_context(&guest.platform);
                loop {
                    let event = context.switch(&victim).unwrap();
                    rounds.fetch_add(1, SeqCst);
                    if !matches!(event, Event::Syscall(_)) {
                        return event;
                    }
                }
            });
            while rounds.load(SeqCst) < 2 {
                host::sleep_us(10);
            }
            host::sleep_us(random.below(300));
            kill_stub(&victim);
            caller.join().unwrap()
        });
        check_killed(&event);
        drop(victim);
        assert_eq!(guest.run_to_call().args[0], round);
    }
}

/// Everybody who runs there hears of it.
fn all_contexts(backend: Backend) {
    let guest = Guest::open(backend, "spin_counting");
    let subprocess = &guest.subprocess;
    thread::scope(|scope| {
        let mut runners = Vec::new();
        for index in 0..6 {
            let mut context = started_context(&guest.platform);
            context.regs_mut().set_argument(0, DATA_AT + 8 * index);
            runners.push(scope.spawn(move || context.switch(subprocess).unwrap()));
        }
        for index in 0..6 {
            wait_change(subprocess, DATA_AT + 8 * index, 0);
        }
        kill_stub(subprocess);
        for runner in runners {
            check_killed(&runner.join().unwrap());
        }
    });
    assert_eq!(guest.platform.stats().unwrap().deaths, 1);
}

/// A switch borrows its subprocess, so only a queue can run contexts in one that is dropped.
fn destroyed(backend: Backend) {
    let Guest { mut context, subprocess, platform, .. } = Guest::open(backend, "spin_counting");
    let queue = Queue::new(&platform).unwrap();
    let pid = subprocess.pid().unwrap();
    context.regs_mut().set_argument(0, DATA_AT);
    submit(&queue, context, &subprocess);
    while load(&subprocess, DATA_AT) == 0 {
        wait_nothing(&queue, MOMENT);
    }
    drop(subprocess);
    let mut completion = wait_one(&queue);
    check_dead(&completion.event, DeathCause::Destroyed);
    assert!(!host::is_alive(pid));
    assert_eq!(platform.stats().unwrap().deaths, 0);
    check_context_lives(&platform, &mut completion.context);
}

/// Dropping reaps: when it returns there is not even a zombie.
fn reaped(backend: Backend) {
    for used in [false, true] {
        let mut guest = Guest::open(backend, "call_loop");
        if used {
            guest.run_to_call();
        }
        let pid = guest.subprocess.pid().unwrap();
        drop(guest.subprocess);
        assert_eq!(host::process_state(pid), None);
    }
}

fn destroy_dead(backend: Backend) {
    let mut guest = Guest::open(backend, "call_loop");
    guest.run_to_call();
    let pid = kill_stub(&guest.subprocess);
    drop(guest.subprocess);
    assert_eq!(host::process_state(pid), None);
    check_context_lives(&guest.platform, &mut guest.context);
}

/// Signals that other programs send by mistake: the default action of most would end a process.
fn stray_signals(backend: Backend) {
    let standard = (1..32).filter(|signal| ![SIGKILL, libc::SIGSTOP].contains(signal));
    let stopping = [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
    let signals =
        standard.filter(|signal| !stopping.contains(signal)).chain(libc::SIGRTMIN()..=libc::SIGRTMAX());
    let mut guest = Guest::open(backend, "counting_calls");
    let mut calls = 0;
    for signal in signals {
        host::kill(guest.subprocess.pid().unwrap(), signal);
        for _ in 0..2 {
            calls += 1;
            assert_eq!(guest.run_to_call().args[0], calls, "signal {}", signal);
        }
        map_pages(&guest.subprocess, HOLE_AT, guest.page, RW);
    }
}

fn stray_signals_running(backend: Backend) {
    let signals = [
        libc::SIGUSR1,
        libc::SIGTERM,
        libc::SIGCHLD,
        libc::SIGSEGV,
        libc::SIGTRAP,
        libc::SIGHUP,
        libc::SIGCONT,
    ];
    let mut guest = Guest::open(backend, "spin_counting");
    guest.set_argument(0, DATA_AT);
    let event = guest.run_beside(|beside| {
        wait_change(beside.subprocess, DATA_AT, 0);
        for signal in signals {
            host::kill(beside.subprocess.pid().unwrap(), signal);
            let seen = load(beside.subprocess, DATA_AT);
            wait_change(beside.subprocess, DATA_AT, seen);
        }
        beside.interrupter.interrupt();
    });
    check_interrupted(&event);
}
