// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The death of a stub, by any cause at any moment, is an event and costs nobody else.

use crate::cases::cases;
use crate::host;
use crate::support::*;
use libc::{ESRCH, SIGKILL};
use trapgate::*;

cases! { death:
    running, destroyed,
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
