// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The number and the error code of page faults.

use crate::cases::cases;
use crate::code;
use crate::support::*;
use trapgate::*;

const PAGE_FAULT: u32 = 14;
const SEGV_MAPERR: i32 = 1;

cases! { page_fault: codes, derived }

/// The guest, the rights of its data page, which has been written to before, and the error code.
const CODES: [(&str, Protection, u64); 11] = [
    ("load_page", Protection::NONE, 4),
    ("store_page", Protection::NONE, 6),
    ("run_page", Protection::NONE, 0x14),
    ("store_page", Protection::READ, 7),
    ("run_page", Protection::READ, 0x15),
    ("load_null", Protection::READ, 4),
    ("store_null", Protection::READ, 6),
    ("run_null", Protection::READ, 0x14),
    ("load_kernel", Protection::READ, 5),
    ("store_kernel", Protection::READ, 7),
    ("run_kernel", Protection::READ, 0x15),
];

fn trap_of(event: Event) -> Trap {
    match event {
        Event::Fault(Fault { trap: Some(trap), .. }) => trap,
        other => panic!("{:?}", other),
    }
}

fn codes(backend: Backend) {
    let mut guest = Guest::open(backend, "call_loop");
    for (name, rights, error_code) in CODES {
        load_code(&guest.subprocess, CODE_AT, code::guest(&format!("raise_{}", name)));
        guest.subprocess.protect(DATA_AT, guest.page, Protection::READ | Protection::WRITE).unwrap();
        store(&guest.subprocess, DATA_AT, 0);
        guest.subprocess.protect(DATA_AT, guest.page, rights).unwrap();
        guest.restart();
        guest.set_argument(0, DATA_AT);
        let trap = trap_of(guest.run());
        assert_eq!((trap.number, trap.error_code), (PAGE_FAULT, error_code), "{} {:?}", name, rights);
    }
}

fn derived(backend: Backend) {
    let mut guest = Guest::open(backend, "read_calls");
    let event = guest.run();
    check_fault(&event, 0, Access::Read, SIGSEGV, SEGV_MAPERR);
    assert_eq!(trap_of(event).derived, backend == Backend::Ptrace);
}
