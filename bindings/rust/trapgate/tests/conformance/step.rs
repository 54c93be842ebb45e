// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One instruction at a time.

use crate::cases::cases;
use crate::support::*;
use libc::SIGTRAP;
use trapgate::*;

cases! { step: every_instruction, across_call, stops, does_not_leak, onto_fault }

fn open(backend: Backend, name: &str) -> Guest {
    let guest = Guest::open(backend, name);
    if !guest.platform.info().unwrap().capabilities.single_step() {
        skip("this backend cannot run single instructions here");
    }
    guest
}

fn step_once(guest: &mut Guest) -> Event {
    guest.context.regs_mut().set_single_step(true);
    guest.run()
}

fn every_instruction(backend: Backend) {
    let mut guest = open(backend, "steps");
    let mut last = CODE_AT;
    for _ in 0..3 {
        let event = step_once(&mut guest);
        let exception = check_exception(&event, SIGTRAP, TRAP_TRACE);
        assert!(guest.ip() > last && guest.ip() <= place("steps", "steps_call"));
        assert_eq!(exception.ip, guest.ip());
        last = guest.ip();
    }
    assert_eq!(last, place("steps", "steps_call"));
}

/// The call itself comes as a call; the steps go on behind it.
fn across_call(backend: Backend) {
    let mut guest = open(backend, "steps");
    let after = place("steps", "steps_after_call");
    let mut steps = 0;
    let event = loop {
        assert!(steps < 5);
        steps += 1;
        match step_once(&mut guest) {
            Event::Exception(exception) if exception.signal == SIGTRAP => (),
            event => break event,
        }
    };
    call(event);
    assert_eq!(guest.ip(), after);
    guest.context.set_return(0).unwrap();
    let event = step_once(&mut guest);
    check_exception(&event, SIGTRAP, TRAP_TRACE);
    assert!(guest.ip() - after <= 1);
}

fn stops(backend: Backend) {
    let mut guest = open(backend, "steps");
    let event = step_once(&mut guest);
    check_exception(&event, SIGTRAP, TRAP_TRACE);
    guest.context.regs_mut().set_single_step(false);
    guest.run_to_call();
    assert_eq!(guest.ip(), place("steps", "steps_after_call"));
    guest.run_to_call();
}

/// A context that steps and one that does not share the stub.
fn does_not_leak(backend: Backend) {
    let mut guest = open(backend, "steps");
    let mut other = started_context(&guest.platform);
    for _ in 0..3 {
        let event = step_once(&mut guest);
        check_exception(&event, SIGTRAP, TRAP_TRACE);
        other.start(CODE_AT, STACK_TOP).unwrap();
        call(other.switch(&guest.subprocess).unwrap());
    }
}

fn onto_fault(backend: Backend) {
    let mut guest = open(backend, "read_calls");
    guest.set_argument(0, HOLE_AT);
    let event = step_once(&mut guest);
    check_fault(&event, HOLE_AT, Access::Read, SIGSEGV, SEGV_MAPERR);
    guest.set_argument(0, DATA_AT);
    let event = step_once(&mut guest);
    check_exception(&event, SIGTRAP, TRAP_TRACE);
}
