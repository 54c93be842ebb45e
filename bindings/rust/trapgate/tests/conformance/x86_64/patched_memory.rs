// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Patched calls and the memory that they lie in: page edges, faults behind the call, code that changes, mappings.

use super::patching::{can_patch, for_each_patched, Loop, Pattern, Taken, MANY_CALLS, PATCHED, WARM_CALLS};
use crate::cases::cases;
use crate::support::*;
use crate::{code, host};
use std::fs::File;
use std::os::unix::fs::FileExt;
use trapgate::*;

cases! { patch:
    page_edge, page_edge_refused, store_faults, add_faults, load_faults, made_writable, guest_reads, rewritten,
    rewritten_during_call, gone_during_call, advice, failed_operations, no_access, shared_mapping, writable_mapping,
    private_file,
}

pub fn find(name: &str) -> &'static Pattern {
    PATCHED.iter().find(|pattern| pattern.name == name).unwrap()
}

fn page_of(guest: &Guest, addr: u64) -> u64 {
    addr & !(guest.page - 1)
}

pub fn protect_page(guest: &Guest, addr: u64, protection: Protection) {
    guest.subprocess.protect(page_of(guest, addr), guest.page, protection).unwrap();
}

/// The code at any address, in fresh pages.
pub fn put_code(guest: &Guest, addr: u64, code: &[u8]) {
    let first = page_of(guest, addr);
    let length = page_of(guest, addr + code.len() as u64 - 1) + guest.page - first;
    map_pages(&guest.subprocess, first, length, RW);
    guest.subprocess.write(addr, code).unwrap();
    guest.subprocess.protect(first, length, RX).unwrap();
}

/// The part of the pattern's code that lies in a page, and where.
fn part_in_page(looped: &Loop<'_>, page: u64) -> (u64, &'static [u8]) {
    let code = code::guest(&looped.code);
    let from = page.max(looped.at);
    let to = (looped.at + code.len() as u64).min(page + looped.guest.page);
    (from, &code[(from - looped.at) as usize..(to - looped.at) as usize])
}

#[track_caller]
fn check_original_in_page(looped: &Loop<'_>, page: u64) {
    let (from, original) = part_in_page(looped, page);
    let mut now = vec![0; original.len()];
    looped.guest.subprocess.read(from, &mut now).unwrap();
    assert_eq!(now, original);
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Writable,
    Unmapped,
    Replaced,
}

/// The other page has its bytes; the code stops where this one is missed, and runs on when it is back.
fn change_and_go_on(looped: &mut Loop<'_>, page: u64, other: u64, change: Change) {
    looped.warm();
    let length = looped.guest.page;
    match change {
        Change::Writable => protect_page(&looped.guest, page, RW),
        Change::Unmapped => looped.guest.subprocess.unmap(page, length).unwrap(),
        Change::Replaced => map_pages(&looped.guest.subprocess, page, length, RW),
    }
    check_original_in_page(looped, other);
    if change == Change::Writable {
        check_original_in_page(looped, page);
    }
    match looped.guest.run() {
        Event::Fault(fault) => {
            assert_eq!((fault.access, page_of(&looped.guest, fault.addr)), (Access::Execute, page))
        }
        event => panic!("{:?}", event),
    }
    if change == Change::Unmapped {
        map_pages(&looped.guest.subprocess, page, length, RW);
    }
    if change != Change::Writable {
        let (from, original) = part_in_page(looped, page);
        looped.guest.subprocess.write(from, original).unwrap();
    }
    protect_page(&looped.guest, page, RX);
    looped.calls(WARM_CALLS);
}

/// So many bytes of the site are in the first page.
fn at_page_edge(backend: Backend, pattern: &Pattern, in_first: u64) {
    let mut looped = Loop::open(Platform::options().backend(backend), pattern);
    let page = looped.guest.page;
    let edge = HOLE_AT + page;
    let site = looped.place(if pattern.taken == Taken::Before { "start" } else { "call" }) - looped.at;
    let at = edge - site - in_first;
    put_code(&looped.guest, at, code::guest(&looped.code));
    looped.start_at(at, 2);
    for change in [Change::Writable, Change::Unmapped, Change::Replaced] {
        change_and_go_on(&mut looped, edge, edge - page, change);
        change_and_go_on(&mut looped, edge - page, edge, change);
    }
    looped.warm();
}

fn page_edge(backend: Backend) {
    for name in ["mov_eax", "mov_rax", "movabs", "libc_wrapper", "two_shorts"] {
        for in_first in 1..7 {
            at_page_edge(backend, find(name), in_first);
        }
    }
}

/// Its second page is one that may not be changed.
fn page_edge_refused(backend: Backend) {
    let mut looped = Loop::open(Platform::options().backend(backend), find("libc_wrapper"));
    let edge = HOLE_AT + looped.guest.page;
    let at = edge - (looped.place("call") - looped.at) - 4;
    put_code(&looped.guest, at, code::guest(&looped.code));
    protect_page(&looped.guest, edge, Protection::ALL);
    looped.start_at(at, 2);
    looped.calls(MANY_CALLS);
    assert!(looped.code_is_original());
    looped.check_refused(PatchRefusal::PageEdge);
}

/// What an instruction behind a patched call reads or writes.
const WORD_AT: u64 = DATA_AT + 0x800;

fn open_at_word(backend: Backend, name: &str, rsp: u64, rbp: u64) -> Guest {
    let mut guest = Guest::open(backend, name);
    let registers = guest.context.regs_mut();
    registers.rbx = GUEST_CALL;
    registers.rsp = rsp;
    registers.rbp = rbp;
    guest
}

fn run_with_result(guest: &mut Guest, result: u64) -> Syscall {
    let call = guest.run_to_call();
    guest.context.set_return(result as i64).unwrap();
    call
}

/// Takes the data page away. The fault comes with the original place and the registers of behind the call, as often as it
/// runs again. Then the page comes back with a word in it.
fn fault_at_word(guest: &mut Guest, label: &str, access: Access, unmap: bool, word: u64) {
    let behind = CODE_AT + code::offset(label, &format!("{}_behind", label));
    let before = *guest.context.regs();
    if unmap {
        guest.subprocess.unmap(DATA_AT, guest.page).unwrap();
    } else {
        protect_page(guest, DATA_AT, Protection::NONE);
    }
    for _ in 0..3 {
        let event = guest.run();
        let fault =
            check_fault(&event, WORD_AT, access, SIGSEGV, if unmap { SEGV_MAPERR } else { SEGV_ACCERR });
        let now = guest.context.regs();
        assert_eq!((fault.ip, now.rip, now.gs_base), (behind, behind, 0));
        assert_eq!((now.rax, now.rdx, now.rsp, now.r15), (before.rax, before.rdx, before.rsp, before.r15));
    }
    if unmap {
        map_pages(&guest.subprocess, DATA_AT, guest.page, RW);
    } else {
        protect_page(guest, DATA_AT, RW);
    }
    store(&guest.subprocess, WORD_AT, word);
}

fn check_patched(guest: &Guest, last: &Syscall) {
    assert_eq!(last.flags.patched(), can_patch(guest));
    if can_patch(guest) {
        let stats = guest.platform.stats().unwrap();
        assert_eq!((stats.patch_sites_before, stats.patch_sites_after), (0, 1));
    }
}

fn store_faults(backend: Backend) {
    let mut guest = open_at_word(backend, "patch_store", WORD_AT - 0x28, 0);
    for number in 1..40 {
        if number > WARM_CALLS {
            fault_at_word(&mut guest, "patch_store", Access::Write, number % 2 == 1, 0);
        }
        let call = run_with_result(&mut guest, number);
        assert_eq!(load(&guest.subprocess, WORD_AT), number - 1);
        if number == WARM_CALLS {
            check_patched(&guest, &call);
        }
        if number > WARM_CALLS {
            assert_eq!(guest.context.regs().r15, number);
        }
    }
}

/// The instruction in front of it was carried out, once, and the sum shows that nothing was added twice.
fn add_faults(backend: Backend) {
    let mut guest = open_at_word(backend, "patch_add", STACK_TOP, WORD_AT);
    let mut sum = 0;
    for number in 1..40 {
        if number > WARM_CALLS {
            fault_at_word(&mut guest, "patch_add", Access::Write, number % 2 == 1, sum - (number - 1));
            assert_eq!(guest.context.regs().r14, number - 1);
        }
        let call = run_with_result(&mut guest, number);
        assert_eq!(load(&guest.subprocess, WORD_AT), sum);
        if number == WARM_CALLS {
            check_patched(&guest, &call);
        }
        if number > WARM_CALLS {
            assert_eq!((guest.context.regs().r14, guest.context.regs().r15), (number - 1, number));
        }
        sum += number;
    }
}

fn load_faults(backend: Backend) {
    let mut guest = open_at_word(backend, "patch_load", STACK_TOP, WORD_AT - 0x100);
    for number in 1..40 {
        if number > WARM_CALLS {
            fault_at_word(&mut guest, "patch_load", Access::Read, number % 2 == 1, 1000 + number);
        }
        let call = run_with_result(&mut guest, number);
        if number == WARM_CALLS {
            check_patched(&guest, &call);
        }
        if number > WARM_CALLS {
            assert_eq!((call.args[2], guest.context.regs().r15), (1000 + number, number));
        }
    }
}

fn made_writable(backend: Backend) {
    for pattern in PATCHED {
        let mut looped = Loop::open(Platform::options().backend(backend), pattern);
        for round in 1..=5 {
            looped.warm();
            if can_patch(&looped.guest) {
                assert_eq!(looped.guest.platform.stats().unwrap().patch_sites, round);
            }
            for protection in [RW, RX] {
                protect_page(&looped.guest, looped.at, protection);
                assert!(looped.code_is_original());
            }
        }
    }
}

/// Made writable and executable at once it is never patched again, and the guest finds its own bytes.
fn guest_reads(backend: Backend) {
    let start = code::offset("patch_read_code", "patch_read_code_start") as usize;
    let original = &code::guest("patch_read_code")[start..start + 16];
    let words = |call: &Syscall| [call.args[0].to_ne_bytes(), call.args[1].to_ne_bytes()].concat();
    let mut guest = Guest::open(backend, "patch_read_code");
    assert_eq!(words(&guest.run_to_call()), original);
    let warm = (0..WARM_CALLS).map(|_| guest.run_to_call()).last().unwrap();
    assert_eq!(warm.flags.patched(), can_patch(&guest));
    protect_page(&guest, CODE_AT, Protection::ALL);
    for _ in 0..MANY_CALLS {
        let call = guest.run_to_call();
        assert_eq!(words(&call), original);
        assert!(!call.flags.patched());
    }
    if can_patch(&guest) {
        assert_eq!(guest.platform.stats().unwrap().refused(PatchRefusal::Mapping), 1);
    }
}

/// mov $0,%eax; syscall, and what goes before a return.
fn set_template(context: &mut Context, with_test: bool) {
    let short = *b"\xb8\0\0\0\0\x0f\x05\xc3\0\0\0\0\0\0\0\0";
    let long = *b"\xb8\0\0\0\0\x0f\x05\x48\x85\xc0\x48\x85\xc0\xc3\0\0";
    let bytes = u128::from_le_bytes(if with_test { long } else { short });
    let registers = context.regs_mut();
    registers.r14 = bytes as u64;
    registers.rbp = (bytes >> 64) as u64;
}

fn serve_protect(guest: &mut Guest) {
    let call = call_of(guest.run(), libc::SYS_mprotect as u64);
    assert_eq!(call.args[0], HOLE_AT);
    protect_page(guest, HOLE_AT, Protection::from_bits(call.args[2] as u32));
    guest.context.set_return(0).unwrap();
}

/// A guest that writes code, runs it and writes other code to the same place.
fn rewritten(backend: Backend) {
    const ROUNDS: u64 = 150;
    let mut guest = Guest::open(backend, "patch_jit");
    map_pages(&guest.subprocess, HOLE_AT, guest.page, RW);
    guest.context.regs_mut().rbx = HOLE_AT;
    guest.context.regs_mut().r12 = 1000;
    set_template(&mut guest.context, false);
    for round in 1..=ROUNDS {
        serve_protect(&mut guest);
        for _ in 0..10 {
            call_of(guest.run(), 1000 + round);
        }
        serve_protect(&mut guest);
        set_template(&mut guest.context, round % 3 == 0);
    }
    // One each round, apart from those of the guest itself.
    if can_patch(&guest) {
        assert!(guest.platform.stats().unwrap().patch_sites >= ROUNDS);
    }
}

/// While the context waits in its call, the code behind it is written anew: that is what runs when it goes on.
fn rewritten_during_call(backend: Backend) {
    let immediate = CODE_AT + code::offset("patch_rewritten", "patch_rewritten_behind") + 3;
    let mut guest = Guest::open(backend, "patch_rewritten");
    let (mut expected, mut value) = (0, 0x101_u32);
    guest.context.regs_mut().rbx = GUEST_CALL;
    for round in 0..60 {
        guest.run_to_call();
        assert_eq!(guest.context.regs().r15, expected);
        if round % 10 == 9 {
            value += 1;
            protect_page(&guest, CODE_AT, RW);
            guest.subprocess.write(immediate, &value.to_ne_bytes()).unwrap();
            protect_page(&guest, CODE_AT, RX);
        }
        expected += u64::from(value);
    }
}

/// The same with nothing there any more: it faults right behind the call.
fn gone_during_call(backend: Backend) {
    for_each_patched(backend, |looped| {
        looped.guest.subprocess.unmap(looped.at, looped.guest.page).unwrap();
        let event = looped.guest.run();
        let behind = looped.place("behind");
        assert_eq!(check_fault(&event, behind, Access::Execute, SIGSEGV, SEGV_MAPERR).ip, behind);
        put_code(&looped.guest, looped.at, code::guest(&looped.code));
        looped.warm();
    });
}

/// Everything of a site works: it can be arrived at inside, and has its bytes when it is made writable.
pub fn check_site_is_whole(looped: &mut Loop<'_>) {
    looped.call();
    looped.jump_to_call(1234);
    looped.jump_behind(0, 1);
    looped.call();
    protect_page(&looped.guest, looped.at, RW);
    assert!(looped.code_is_original());
    protect_page(&looped.guest, looped.at, RX);
    looped.warm();
}

/// Advice that leaves the bytes alone leaves sites alone.
fn advice(backend: Backend) {
    for_each_patched(backend, |looped| {
        for advice in [libc::MADV_WILLNEED, libc::MADV_NOHUGEPAGE, libc::MADV_HUGEPAGE] {
            looped.warm();
            // Not every kernel knows those about huge pages.
            let operation = Operation::advise(looped.at, looped.guest.page, advice);
            if let Err(partial) = looped.guest.subprocess.apply(&[operation]) {
                assert_ne!(advice, libc::MADV_WILLNEED, "{}", partial);
            }
            check_site_is_whole(looped);
        }
    });
}

/// Operations that fail, or come behind one that fails, change nothing.
fn failed_operations(backend: Backend) {
    for_each_patched(backend, |looped| {
        let (at, length) = (looped.at, looped.guest.page);
        let operations = [
            Operation::map(at, length, Protection::NONE, Mapping::zeros().no_replace()),
            Operation::unmap(at, length),
        ];
        let partial = looped.guest.subprocess.apply(&operations).unwrap_err();
        assert_eq!((partial.done, partial.error.kind()), (0, ErrorKind::Exists));
        check_site_is_whole(looped);
    });
}

/// Pages that nobody can read for a while: made writable from there, the bytes are the original ones.
fn no_access(backend: Backend) {
    for_each_patched(backend, |looped| {
        protect_page(&looped.guest, looped.at, Protection::NONE);
        protect_page(&looped.guest, looped.at, RW);
        assert!(looped.code_is_original());
        protect_page(&looped.guest, looped.at, RX);
        looped.warm();
        protect_page(&looped.guest, looped.at, Protection::NONE);
        protect_page(&looped.guest, looped.at, RX);
        check_site_is_whole(looped);
    });
}

#[track_caller]
fn check_file(file: &File, code: &[u8]) {
    let mut now = vec![0; code.len()];
    file.read_exact_at(&mut now, 0).unwrap();
    assert_eq!(now, code);
}

fn run_in_file(backend: Backend, pattern: &Pattern, protection: Protection, shared: bool, patched: bool) {
    let mut looped = Loop::open(Platform::options().backend(backend), pattern);
    let code = code::guest(&looped.code);
    let file = host::memfd("code", CODE_SIZE);
    file.write_all_at(code, 0).unwrap();
    let mapping = if shared { Mapping::of(&file, 0).shared() } else { Mapping::of(&file, 0) };
    looped.guest.subprocess.map(HOLE_AT, looped.guest.page, protection, mapping).unwrap();
    looped.start_at(HOLE_AT, 3);
    looped.calls(MANY_CALLS);
    let patched = patched && can_patch(&looped.guest);
    assert_eq!((looped.last_was_patched(), looped.code_is_original()), (patched, !patched));
    check_file(&file, code);
    if !patched {
        looped.check_refused(PatchRefusal::Mapping);
    }
    drop(looped);
    check_file(&file, code);
}

fn shared_mapping(backend: Backend) {
    for pattern in PATCHED {
        run_in_file(backend, pattern, RX, true, false);
    }
}

fn writable_mapping(backend: Backend) {
    for pattern in PATCHED {
        run_in_file(backend, pattern, Protection::ALL, false, false);
        run_in_file(backend, pattern, Protection::ALL, true, false);
    }
}

fn private_file(backend: Backend) {
    for pattern in PATCHED {
        run_in_file(backend, pattern, RX, false, true);
    }
}
