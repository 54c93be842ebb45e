// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Memory faults: the address, the access and the code, right the first time.

use crate::cases::cases;
use crate::support::*;
use crate::{code, host};
use libc::SIGBUS;
use trapgate::*;

const VALUE: u64 = 0x5a5a_5a5a_5a5a_5a5a;

cases! { fault:
    null, address_exact, write_first_time, write_after_read, maperr_accerr, no_access_page, exec_of_data,
    exec_of_nothing, return_to_nothing, invalidate, remap, past_end_of_file, past_end_of_file_write, reserved_ranges,
    stack, per_subprocess,
}

fn null(backend: Backend) {
    let mut guest = Guest::open(backend, "read_calls");
    let event = guest.touch(0, VALUE);
    assert_eq!(check_fault(&event, 0, Access::Read, SIGSEGV, SEGV_MAPERR).ip, CODE_AT);
    check_fault(&guest.run(), 0, Access::Read, SIGSEGV, SEGV_MAPERR);
}

fn address_exact(backend: Backend) {
    let mut guest = Guest::open(backend, "read_calls");
    for offset in [0, 1, 7, 8, 0x7ff, 0xff8] {
        let event = guest.touch(HOLE_AT + offset, VALUE);
        check_fault(&event, HOLE_AT + offset, Access::Read, SIGSEGV, SEGV_MAPERR);
    }
}

fn write_first_time(backend: Backend) {
    let mut guest = Guest::open(backend, "write_calls");
    check_fault(&guest.touch(HOLE_AT + 8, VALUE), HOLE_AT + 8, Access::Write, SIGSEGV, SEGV_MAPERR);
}

fn write_after_read(backend: Backend) {
    let mut guest = Guest::open(backend, "read_then_write");
    check_fault(&guest.touch(HOLE_AT, VALUE), HOLE_AT, Access::Read, SIGSEGV, SEGV_MAPERR);
    map_pages(&guest.subprocess, HOLE_AT, guest.page, R);
    check_fault(&guest.run(), HOLE_AT, Access::Write, SIGSEGV, SEGV_ACCERR);
    guest.subprocess.protect(HOLE_AT, guest.page, RW).unwrap();
    guest.run_to_call();
    assert_eq!(load(&guest.subprocess, HOLE_AT), VALUE);
}

fn maperr_accerr(backend: Backend) {
    let mut guest = Guest::open(backend, "write_calls");
    map_pages(&guest.subprocess, HOLE_AT, guest.page, Protection::NONE);
    check_fault(&guest.touch(HOLE_AT, VALUE), HOLE_AT, Access::Write, SIGSEGV, SEGV_ACCERR);
    guest.subprocess.protect(HOLE_AT, guest.page, R).unwrap();
    check_fault(&guest.touch(HOLE_AT, VALUE), HOLE_AT, Access::Write, SIGSEGV, SEGV_ACCERR);
    guest.subprocess.unmap(HOLE_AT, guest.page).unwrap();
    check_fault(&guest.touch(HOLE_AT, VALUE), HOLE_AT, Access::Write, SIGSEGV, SEGV_MAPERR);
}

fn no_access_page(backend: Backend) {
    let mut guest = Guest::open(backend, "read_calls");
    map_pages(&guest.subprocess, HOLE_AT, guest.page, Protection::NONE);
    check_fault(&guest.touch(HOLE_AT + 16, VALUE), HOLE_AT + 16, Access::Read, SIGSEGV, SEGV_ACCERR);
}

fn exec_of_data(backend: Backend) {
    let target = DATA_AT + 0x124;
    let mut guest = Guest::open(backend, "jump");
    let event = guest.touch(target, VALUE);
    assert_eq!(check_fault(&event, target, Access::Execute, SIGSEGV, SEGV_ACCERR).ip, target);
    assert_eq!(guest.ip(), target);
}

fn exec_of_nothing(backend: Backend) {
    let mut guest = Guest::open(backend, "jump");
    let event = guest.touch(HOLE_AT + 0x44, VALUE);
    let fault = check_fault(&event, HOLE_AT + 0x44, Access::Execute, SIGSEGV, SEGV_MAPERR);
    assert_eq!(fault.ip, HOLE_AT + 0x44);
    load_code(&guest.subprocess, HOLE_AT, code::guest("call_loop"));
    guest.context.regs_mut().set_instruction_pointer(HOLE_AT);
    guest.run_to_call();
}

fn return_to_nothing(backend: Backend) {
    let mut guest = Guest::open(backend, "jump_by_return");
    check_fault(&guest.touch(HOLE_AT, VALUE), HOLE_AT, Access::Execute, SIGSEGV, SEGV_MAPERR);
    assert_eq!(guest.sp(), STACK_TOP);
}

fn invalidate(backend: Backend) {
    let mut guest = Guest::open(backend, "read_calls");
    map_pages(&guest.subprocess, HOLE_AT, guest.page, RW);
    call(guest.touch(HOLE_AT, VALUE));
    guest.subprocess.unmap(HOLE_AT, guest.page).unwrap();
    check_fault(&guest.run(), HOLE_AT, Access::Read, SIGSEGV, SEGV_MAPERR);
}

fn remap(backend: Backend) {
    let mut guest = Guest::open(backend, "read_calls");
    for round in 1..=20 {
        check_fault(&guest.touch(HOLE_AT, VALUE), HOLE_AT, Access::Read, SIGSEGV, SEGV_MAPERR);
        map_pages(&guest.subprocess, HOLE_AT, guest.page, RW);
        assert_eq!(guest.run_to_call().args[1], 0);
        store(&guest.subprocess, HOLE_AT, round);
        assert_eq!(guest.run_to_call().args[1], round);
        guest.subprocess.unmap(HOLE_AT, guest.page).unwrap();
    }
}

/// A page of a file that the file does not have.
#[track_caller]
fn check_bus_error(event: &Event, page: u64, addr: u64, access: Access) {
    match event {
        Event::Fault(fault) => {
            assert_eq!((fault.signal, fault.code, fault.access), (SIGBUS, BUS_ADRERR, access));
            assert_eq!(fault.addr & !(page - 1), addr);
        }
        other => panic!("{:?}", other),
    }
}

fn past_end_of_file(backend: Backend) {
    let mut guest = Guest::open(backend, "read_calls");
    let (page, file) = (guest.page, host::memfd("short", guest.page));
    guest.subprocess.map(HOLE_AT, 2 * page, RW, Mapping::of(&file, 0).shared()).unwrap();
    call(guest.touch(HOLE_AT + page - 8, VALUE));
    let event = guest.touch(HOLE_AT + page, VALUE);
    check_bus_error(&event, page, HOLE_AT + page, Access::Read);
    file.set_len(2 * page).unwrap();
    guest.run_to_call();
}

fn past_end_of_file_write(backend: Backend) {
    let mut guest = Guest::open(backend, "write_calls");
    let file = host::memfd("empty", 0);
    guest.subprocess.map(HOLE_AT, guest.page, RW, Mapping::of(&file, 0).shared()).unwrap();
    let event = guest.touch(HOLE_AT, VALUE);
    check_bus_error(&event, guest.page, HOLE_AT, Access::Write);
}

/// The reserved ranges are as out of reach as a hole.
fn reserved_ranges(backend: Backend) {
    let mut guest = Guest::open(backend, "write_calls");
    for range in guest.platform.info().unwrap().reserved {
        match guest.touch(range.start, VALUE) {
            Event::Fault(fault) => assert_eq!((fault.addr, fault.access), (range.start, Access::Write)),
            other => panic!("{:?}", other),
        }
    }
}

fn stack(backend: Backend) {
    let mut guest = Guest::open(backend, "jump_by_return");
    guest.context.start(CODE_AT, HOLE_AT + 64).unwrap();
    guest.set_argument(0, CODE_AT);
    check_fault(&guest.run(), HOLE_AT + 56, Access::Write, SIGSEGV, SEGV_MAPERR);
}

fn per_subprocess(backend: Backend) {
    let mut guest = Guest::open(backend, "read_calls");
    let other = loaded_subprocess(&guest.platform, "read_calls");
    map_pages(&guest.subprocess, HOLE_AT, guest.page, RW);
    call(guest.touch(HOLE_AT, VALUE));
    guest.context.regs_mut().set_instruction_pointer(CODE_AT);
    let event = guest.context.switch(&other).unwrap();
    check_fault(&event, HOLE_AT, Access::Read, SIGSEGV, SEGV_MAPERR);
}
