// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Copies of a subprocess.

use crate::cases::cases;
use crate::support::*;
use crate::{code, host};
use trapgate::*;

const AREA: u64 = HOLE_AT;

cases! { fork: private, shared, layout, context, generations, running, dead, parent_dies }

/// The guest's context writes a word, here or in a copy.
fn writes(context: &mut Context, subprocess: &Subprocess, addr: u64, value: u64) {
    context.start(CODE_AT, STACK_TOP).unwrap();
    context.regs_mut().set_argument(0, addr);
    context.regs_mut().set_argument(1, value);
    call(context.switch(subprocess).unwrap());
}

fn private(backend: Backend) {
    let Guest { mut context, subprocess, .. } = Guest::open(backend, "write_calls");
    writes(&mut context, &subprocess, DATA_AT, 1);
    let copy = subprocess.fork().unwrap();
    assert_ne!(copy.pid(), subprocess.pid());
    assert_eq!(load(&copy, DATA_AT), 1);
    writes(&mut context, &subprocess, DATA_AT, 2);
    assert_eq!(load(&copy, DATA_AT), 1);
    writes(&mut context, &copy, DATA_AT, 3);
    assert_eq!((load(&subprocess, DATA_AT), load(&copy, DATA_AT)), (2, 3));
    store(&copy, DATA_AT + 8, 4);
    assert_eq!(load(&subprocess, DATA_AT + 8), 0);
}

fn shared(backend: Backend) {
    let Guest { mut context, subprocess, page, .. } = Guest::open(backend, "write_calls");
    let file = host::memfd("shared", page);
    subprocess.map(AREA, page, RW, Mapping::of(&file, 0).shared()).unwrap();
    subprocess.map(AREA + page, page, RW, Mapping::zeros().shared()).unwrap();
    let copy = subprocess.fork().unwrap();
    writes(&mut context, &subprocess, AREA, 1);
    assert_eq!(load(&copy, AREA), 1);
    writes(&mut context, &copy, AREA, 2);
    assert_eq!(load(&subprocess, AREA), 2);
    writes(&mut context, &copy, AREA + page, 3);
    assert_eq!(load(&subprocess, AREA + page), 3);
}

fn layout(backend: Backend) {
    let mut guest = Guest::open(backend, "write_calls");
    let page = guest.page;
    map_pages(&guest.subprocess, AREA, page, R);
    let copy = guest.subprocess.fork().unwrap();
    guest.subprocess.unmap(AREA, page).unwrap();
    guest.set_argument(0, AREA);
    let event = guest.context.switch(&copy).unwrap();
    check_fault(&event, AREA, Access::Write, SIGSEGV, SEGV_ACCERR);
    map_pages(&copy, AREA + page, page, RW);
    guest.set_argument(0, AREA + page);
    check_fault(&guest.run(), AREA + page, Access::Write, SIGSEGV, SEGV_MAPERR);
}

fn context(backend: Backend) {
    let mut guest = Guest::open(backend, "counting_calls");
    guest.run_to_call();
    let copy = guest.subprocess.fork().unwrap();
    let mut child = Context::new(&guest.platform).unwrap();
    child.copy_from(&guest.context).unwrap();
    child.set_return(0).unwrap();
    assert_eq!(call(child.switch(&copy).unwrap()).args[0], 2);
    assert_eq!(guest.run_to_call().args[0], 2);
}

fn generations(backend: Backend) {
    let Guest { mut context, mut subprocess, .. } = Guest::open(backend, "write_calls");
    // The ancestors go first: nobody depends on them.
    for index in 1..12 {
        store(&subprocess, DATA_AT + 8 * index, index);
        subprocess = std::sync::Arc::new(subprocess.fork().unwrap());
    }
    for index in 1..12 {
        assert_eq!(load(&subprocess, DATA_AT + 8 * index), index);
    }
    writes(&mut context, &subprocess, DATA_AT, 1);
}

fn running(backend: Backend) {
    let mut guest = Guest::open(backend, "spin_counting");
    load_code(&guest.subprocess, OTHER_CODE_AT, code::guest("counting_calls"));
    guest.set_argument(0, DATA_AT);
    let event = guest.run_beside(|beside| {
        wait_change(beside.subprocess, DATA_AT, 0);
        for _ in 0..5 {
            let copy = beside.subprocess.fork().unwrap();
            let seen = load(&copy, DATA_AT);
            assert_ne!(seen, 0);
            wait_change(beside.subprocess, DATA_AT, seen);
            // Nobody runs in the copy, so its word stands still.
            assert_eq!(load(&copy, DATA_AT), seen);
            call(started_at(beside.platform, OTHER_CODE_AT).switch(&copy).unwrap());
        }
        beside.interrupter.interrupt();
    });
    check_interrupted(&event);
}

fn dead(backend: Backend) {
    let mut guest = Guest::open(backend, "call_loop");
    host::kill(guest.subprocess.pid().unwrap(), libc::SIGKILL);
    check_killed(&guest.run());
    fails(guest.subprocess.fork(), libc::ESRCH);
}

/// A death does not spread to the family.
fn parent_dies(backend: Backend) {
    let mut guest = Guest::open(backend, "counting_calls");
    let copy = guest.subprocess.fork().unwrap();
    host::kill(guest.subprocess.pid().unwrap(), libc::SIGKILL);
    check_killed(&guest.run());
    call(guest.context.switch(&copy).unwrap());
    store(&copy, DATA_AT, 8);
    assert_eq!(load(&copy, DATA_AT), 8);
}
