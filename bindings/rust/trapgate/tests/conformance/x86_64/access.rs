// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The access of a fault, by every kind of instruction that touches memory, right on the first fault.

use super::native::{self, Needs};
use crate::cases::cases;
use crate::code;
use crate::support::*;
use trapgate::*;

const TARGET_PAGE: u64 = 0x4001_0000;
/// Aligned for every form, and far from the edges of its page.
const TARGET: u64 = TARGET_PAGE + 0x240;
const BASE: u64 = 0x20000;
const EDGE: u64 = DATA_AT + DATA_SIZE;

cases! { access:
    reads, writes, updates, hints, segment_bases, across_pages, repeated, own_code, through_pointer, fetch_across_pages,
    data_behind_code,
}

/// A guest of access.S. Instructions that move a large area may report any byte of its page.
struct Form {
    name: &'static str,
    exact: bool,
    needs: Needs,
}

const fn form(name: &'static str) -> Form {
    Form { name, exact: true, needs: Needs::Nothing }
}

const fn needing(needs: Needs, name: &'static str) -> Form {
    Form { name, exact: true, needs }
}

const fn area(needs: Needs, name: &'static str) -> Form {
    Form { name, exact: false, needs }
}

const READS: &[Form] = &[
    form("load_byte"),
    form("load_word"),
    form("load_indexed"),
    form("load_addr32"),
    form("load_extend"),
    form("load_sign"),
    form("add_from"),
    form("compare"),
    form("compare_zero"),
    form("test_bits"),
    form("bit_test"),
    form("multiply"),
    form("conditional"),
    form("push_from"),
    form("pop_register"),
    form("leave_frame"),
    form("translate"),
    form("load_string"),
    form("scan_string"),
    form("scan_repeated"),
    form("compare_strings"),
    form("move_from"),
    form("move_from_rep"),
    form("move_both"),
    form("load_sse"),
    form("load_sse_op"),
    form("load_sse_scalar"),
    form("load_x87"),
    form("load_x87_cw"),
    form("load_mxcsr"),
    area(Needs::Nothing, "load_fxrstor"),
    area(Needs::Xsave, "load_xrstor"),
    needing(Needs::Avx2, "load_avx"),
    needing(Needs::Avx2, "load_gather"),
    needing(Needs::Avx512, "load_avx512"),
    needing(Needs::Avx512, "load_avx512_op"),
    form("load_fs"),
    form("load_gs"),
];

const WRITES: &[Form] = &[
    form("store_byte"),
    form("store_word"),
    form("store_constant"),
    form("store_indexed"),
    form("store_nontemp"),
    form("store_condition"),
    form("store_segment"),
    form("push_register"),
    form("push_constant"),
    form("push_memory"),
    form("push_flags"),
    form("call_near"),
    form("call_register"),
    form("enter_frame"),
    form("pop_to"),
    form("store_string"),
    form("store_string_rep"),
    form("move_to"),
    form("move_to_rep"),
    form("store_sse"),
    form("store_sse_low"),
    form("store_sse_nt"),
    area(Needs::Nothing, "store_masked"),
    form("store_x87"),
    form("store_x87_int"),
    form("store_x87_cw"),
    area(Needs::Nothing, "store_x87_all"),
    form("store_mxcsr"),
    area(Needs::Nothing, "store_fxsave"),
    area(Needs::Xsave, "store_xsave"),
    needing(Needs::Avx2, "store_avx"),
    needing(Needs::Avx2, "store_avx_mask"),
    needing(Needs::Avx512, "store_avx512"),
    needing(Needs::Avx512, "store_avx512_k"),
    needing(Needs::Avx512, "store_scatter"),
    form("store_fs"),
    form("store_gs"),
];

const UPDATES: &[Form] = &[
    form("add_to"),
    form("or_to"),
    form("increment"),
    form("increment_lock"),
    form("negate"),
    form("shift"),
    form("shift_double"),
    form("bit_set"),
    form("bit_reset_lock"),
    form("exchange"),
    form("exchange_add"),
    form("compare_swap"),
    form("compare_swap_no"),
    needing(Needs::Cx16, "compare_swap_16"),
];

const HINTS: &[Form] = &[form("hint_prefetch"), form("hint_prefetchw"), form("hint_lea"), form("hint_nop")];

fn enter(guest: &mut Guest) -> Event {
    guest.restart();
    let registers = guest.context.regs_mut();
    registers.rdi = TARGET;
    registers.rsi = DATA_AT;
    registers.rcx = 1;
    guest.run()
}

#[track_caller]
fn check_form_fault(guest: &Guest, event: &Event, form: &Form, access: Access, code: i32) {
    let addr = match event {
        Event::Fault(fault) if !form.exact && fault.addr & !(guest.page - 1) == TARGET_PAGE => fault.addr,
        _ => TARGET,
    };
    let fault = check_fault(event, addr, access, SIGSEGV, code);
    assert_eq!(fault.ip, place(form.name, &format!("{}_at", form.name)), "{}", form.name);
}

fn check_form(guest: &mut Guest, form: &Form, access: Access) {
    let page = guest.page;
    load_code(&guest.subprocess, CODE_AT, code::guest(form.name));
    map_pages(&guest.subprocess, DATA_AT, page, RW);
    guest.subprocess.unmap(TARGET_PAGE, page).unwrap();
    let event = enter(guest);
    check_form_fault(guest, &event, form, access, SEGV_MAPERR);

    map_pages(&guest.subprocess, TARGET_PAGE, page, Protection::NONE);
    let event = enter(guest);
    check_form_fault(guest, &event, form, access, SEGV_ACCERR);

    if access == Access::Write {
        guest.subprocess.protect(TARGET_PAGE, page, R).unwrap();
        let event = enter(guest);
        check_form_fault(guest, &event, form, access, SEGV_ACCERR);
    }
    guest.subprocess.protect(TARGET_PAGE, page, RW).unwrap();
    guest.run_to_call();
}

fn check_forms(backend: Backend, forms: &[Form], access: Access) {
    let mut guest = Guest::open(backend, "call_loop");
    if !guest.platform.info().unwrap().capabilities.exact_access() {
        skip("this backend does not name the access exactly");
    }
    for form in forms {
        if native::has(form.needs) {
            println!("{}", form.name);
            check_form(&mut guest, form, access);
        } else {
            println!("{}: not on this processor", form.name);
        }
    }
}

fn reads(backend: Backend) {
    check_forms(backend, READS, Access::Read);
}

fn writes(backend: Backend) {
    check_forms(backend, WRITES, Access::Write);
}

fn updates(backend: Backend) {
    // ptrace has no error code and looks at the instruction.
    if backend != Backend::Ptrace && !native::updates_count_as_writes() {
        skip("this machine calls the first fault of an update a read, also natively");
    }
    check_forms(backend, UPDATES, Access::Write);
}

/// These touch nothing.
fn hints(backend: Backend) {
    let mut guest = Guest::open(backend, "call_loop");
    for form in HINTS {
        load_code(&guest.subprocess, CODE_AT, code::guest(form.name));
        call(enter(&mut guest));
    }
}

/// The target is reached through a segment base; the address reported is the linear one.
fn segment_bases(backend: Backend) {
    let forms = [
        ("load_fs", Access::Read),
        ("store_fs", Access::Write),
        ("load_gs", Access::Read),
        ("store_gs", Access::Write),
    ];
    let mut guest = Guest::open(backend, "call_loop");
    for (name, access) in forms {
        load_code(&guest.subprocess, CODE_AT, code::guest(name));
        guest.restart();
        let registers = guest.context.regs_mut();
        registers.fs_base = BASE;
        registers.gs_base = BASE;
        registers.rdi = TARGET - BASE;
        let event = guest.run();
        check_form_fault(&guest, &event, &form(name), access, SEGV_MAPERR);
    }
}

/// An access that begins on a good page and ends on a bad one: the address is on the bad page.
fn across_pages(backend: Backend) {
    let mut guest = Guest::open(backend, "read_calls");
    guest.set_argument(0, EDGE - 3);
    check_fault(&guest.run(), EDGE, Access::Read, SIGSEGV, SEGV_MAPERR);
    load_code(&guest.subprocess, CODE_AT, code::guest("write_calls"));
    check_fault(&guest.touch(EDGE - 3, u64::MAX), EDGE, Access::Write, SIGSEGV, SEGV_MAPERR);
    // Nothing of the write may show.
    assert_eq!(load(&guest.subprocess, EDGE - 8), 0);
    map_pages(&guest.subprocess, EDGE, guest.page, RW);
    guest.run_to_call();
    assert_eq!(load(&guest.subprocess, EDGE - 3), u64::MAX);
}

fn repeated(backend: Backend) {
    let mut guest = Guest::open(backend, "copy_words");
    for index in 0..4 {
        store(&guest.subprocess, DATA_AT + 8 * index, 100 + index);
    }
    let registers = guest.context.regs_mut();
    registers.rsi = DATA_AT;
    registers.rdi = EDGE - 16;
    registers.rcx = 4;
    check_fault(&guest.run(), EDGE, Access::Write, SIGSEGV, SEGV_MAPERR);
    assert_eq!((guest.context.regs().rcx, guest.context.regs().rdi), (2, EDGE));
    map_pages(&guest.subprocess, EDGE, guest.page, RW);
    guest.run_to_call();
    for index in 0..4 {
        assert_eq!(load(&guest.subprocess, EDGE - 16 + 8 * index), 100 + index);
    }
}

fn own_code(backend: Backend) {
    let mut guest = Guest::open(backend, "write_own_code");
    let event = guest.run();
    assert_eq!(check_fault(&event, CODE_AT, Access::Write, SIGSEGV, SEGV_ACCERR).ip, CODE_AT);
    guest.subprocess.protect(CODE_AT, guest.page, Protection::ALL).unwrap();
    guest.run_to_call();
}

fn through_pointer(backend: Backend) {
    let mut guest = Guest::open(backend, "jump_through");
    check_fault(&enter(&mut guest), TARGET, Access::Read, SIGSEGV, SEGV_MAPERR);
    load_code(&guest.subprocess, CODE_AT, code::guest("return_through"));
    let event = enter(&mut guest);
    let fault = check_fault(&event, TARGET, Access::Read, SIGSEGV, SEGV_MAPERR);
    assert_eq!(fault.ip, place("return_through", "return_through_at"));
    // With a pointer there, the pointer's target is what faults.
    map_pages(&guest.subprocess, TARGET_PAGE, guest.page, RW);
    store(&guest.subprocess, TARGET, HOLE_AT);
    check_fault(&guest.run(), HOLE_AT, Access::Execute, SIGSEGV, SEGV_MAPERR);
}

/// Places code so that so many of its bytes are on the first page, and nothing behind it; returns the edge.
fn place_across(guest: &Guest, first: &[u8]) -> u64 {
    let edge = TARGET_PAGE + guest.page;
    map_pages(&guest.subprocess, TARGET_PAGE, guest.page, RW);
    guest.subprocess.write(edge - first.len() as u64, first).unwrap();
    guest.subprocess.protect(TARGET_PAGE, guest.page, RX).unwrap();
    guest.subprocess.unmap(edge, guest.page).unwrap();
    edge
}

fn check_fetch_across(guest: &mut Guest, code: &[u8], count: usize) {
    let (first, rest) = code.split_at(count);
    let edge = place_across(guest, first);
    let start = edge - count as u64;
    guest.restart();
    guest.context.regs_mut().rip = start;
    let event = guest.run();
    assert_eq!(check_fault(&event, edge, Access::Execute, SIGSEGV, SEGV_MAPERR).ip, start);
    map_pages(&guest.subprocess, edge, guest.page, RW);
    guest.subprocess.write(edge, rest).unwrap();
    check_fault(&guest.run(), edge, Access::Execute, SIGSEGV, SEGV_ACCERR);
    guest.subprocess.protect(edge, guest.page, RX).unwrap();
    guest.run_to_call();
}

fn fetch_across_pages(backend: Backend) {
    let mut guest = Guest::open(backend, "call_loop");
    for count in 1..10 {
        check_fetch_across(&mut guest, code::guest("long_instruction"), count);
    }
    for count in 1..9 {
        check_fetch_across(&mut guest, code::guest("long_nop"), count);
    }
}

/// The instruction ends at the page's end and touches data right behind itself: no fetch, whatever the address.
fn data_behind_code(backend: Backend) {
    let load_byte = [0x8a, 0x07]; // mov (%rdi), %al
    let store_byte = [0x88, 0x07]; // mov %al, (%rdi)
    let mut guest = Guest::open(backend, "call_loop");
    let mut edge = 0;
    for (code, access) in [(load_byte, Access::Read), (store_byte, Access::Write)] {
        edge = place_across(&guest, &code);
        guest.restart();
        guest.context.regs_mut().rip = edge - code.len() as u64;
        guest.set_argument(0, edge);
        check_fault(&guest.run(), edge, access, SIGSEGV, SEGV_MAPERR);
    }
    map_pages(&guest.subprocess, edge, guest.page, RW);
    check_fault(&guest.run(), edge, Access::Execute, SIGSEGV, SEGV_ACCERR);
}
