// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Patched calls where something is in the way: others' flags, a host that refuses memory, code without rest.

use super::patched_memory::{find, protect_page, put_code};
use super::patching::{can_patch, for_each_patched, Loop, WARM_CALLS};
use crate::cases::cases;
use crate::support::*;
use crate::{code, host};
use std::os::unix::fs::FileExt;
use trapgate::*;

cases! { patch:
    flags_apart, memory_refused, never_rests,
}

const FLAGS_NONE: u64 = 0x202;
const FLAG_DF: u64 = 0x400;
const FLAG_NT: u64 = 0x4000;
const FLAG_AC: u64 = 0x4_0000;
const FLAG_ID: u64 = 0x20_0000;

/// A context, the word of the flags that it sets, and these.
struct Flagged(Context, u64, u64);

impl Flagged {
    fn new(guest: &Guest, data: u64, flags: u64) -> Self {
        let mut context = started_context(&guest.platform);
        context.regs_mut().rbx = data;
        store(&guest.subprocess, data, flags);
        store(&guest.subprocess, data + 8, flags);
        Flagged(context, data, flags)
    }

    /// The next word is what it found behind its last call.
    fn run(&mut self, guest: &Guest, bit: u64) {
        call(self.0.switch(&guest.subprocess).unwrap());
        assert_eq!(load(&guest.subprocess, self.1 + 8) & bit, self.2 & bit);
        assert_eq!(self.0.regs().eflags & bit, self.2 & bit);
    }
}

/// One has the flag, the other has not; when the embedder writes registers they stay what they are.
fn take_turns(options: Options, name: &str, bit: u64) {
    println!("{}, flag {:#x}", name, bit);
    let guest = Guest::open_with(options, name);
    let mut with = Flagged::new(&guest, DATA_AT, FLAGS_NONE | bit);
    let mut without = Flagged::new(&guest, DATA_AT + 64, FLAGS_NONE);
    for turn in 0..WARM_CALLS {
        with.run(&guest, bit);
        without.run(&guest, bit);
        if turn % 3 == 2 {
            with.0.regs_mut().rdi = 1;
            without.0.regs_mut().rdi = 1;
        }
    }
}

fn flags_apart(backend: Backend) {
    for bit in [FLAG_DF, FLAG_NT, FLAG_AC, FLAG_ID] {
        // No call of ptrace(2) sets this one.
        if bit == FLAG_ID && backend == Backend::Ptrace {
            continue;
        }
        take_turns(Platform::options().backend(backend).patching(false), "patch_flags_before", bit);
        take_turns(Platform::options().backend(backend), "patch_flags_before", bit);
        take_turns(Platform::options().backend(backend), "patch_flags_behind", bit);
    }
}

/// Bytes; for the kernel 0 is no limit.
const NO_PAGES: u64 = 1;

fn limit_pages(guest: &Guest, bytes: u64) {
    host::limit_pages(guest.subprocess.pid().unwrap(), bytes);
}

fn is_writable(guest: &Guest, addr: u64) -> bool {
    let mappings = host::mappings(guest.subprocess.pid().unwrap());
    let mapping = mappings.iter().find(|mapping| mapping.start <= addr && addr < mapping.end).unwrap();
    mapping.rights.contains('w')
}

/// The code's bytes from the edge on lie in a mapping of their own.
fn put_in_two_mappings(looped: &Loop<'_>, at: u64, edge: u64) {
    let (guest, code) = (&looped.guest, code::guest(&looped.code));
    let (first, second) = code.split_at((edge - at) as usize);
    map_pages(&guest.subprocess, edge - guest.page, guest.page, RW);
    guest.subprocess.write(at, first).unwrap();
    protect_page(guest, at, RX);
    let file = host::memfd("code", guest.page);
    file.write_all_at(second, 0).unwrap();
    guest.subprocess.map(edge, guest.page, RX, Mapping::of(&file, 0)).unwrap();
}

/// There is room for one of a site's two pages: both stay what they are, and the calls are right.
fn one_page_alone_is_not_changed(backend: Backend) {
    let mut looped = Loop::open(Platform::options().backend(backend), find("libc_wrapper"));
    let page = looped.guest.page;
    let edge = HOLE_AT + page;
    let at = edge - (looped.place("call") - looped.at) - 4;
    put_in_two_mappings(&looped, at, edge);
    looped.start_at(at, 2);
    looped.calls(2);
    let pid = looped.guest.subprocess.pid().unwrap();
    limit_pages(&looped.guest, host::all_bytes(pid) - page);
    looped.calls(WARM_CALLS);
    assert!(!is_writable(&looped.guest, edge - 1) && !is_writable(&looped.guest, edge));
    assert!(looped.code_is_original());
    looped.check_refused(PatchRefusal::Other);
    // With memory it is looked at again once something has changed there.
    limit_pages(&looped.guest, u64::MAX);
    protect_page(&looped.guest, edge, RX);
    looped.warm();
}

/// Code that goes away altogether needs no bytes back.
fn goes_without_memory(looped: &mut Loop<'_>) {
    limit_pages(&looped.guest, NO_PAGES);
    looped.guest.subprocess.unmap(looped.at, looped.guest.page).unwrap();
    let behind = looped.place("behind");
    check_fault(&looped.guest.run(), behind, Access::Execute, SIGSEGV, SEGV_MAPERR);
    limit_pages(&looped.guest, u64::MAX);
    put_code(&looped.guest, looped.at, code::guest(&looped.code));
    looped.warm();
}

fn memory_refused(backend: Backend) {
    one_page_alone_is_not_changed(backend);
    for_each_patched(backend, goes_without_memory);
}

const REWRITES: u32 = 100_000;
/// Where nothing is patched there is nothing to find out.
const REWRITES_OF_OTHERS: u32 = 1000;
/// The last one finds the site hot.
const REWRITE_CALLS: u32 = 4;
/// A part of the trampolines that a subprocess has.
const SITES_MOST: u64 = 16384 / 16;

/// mov $number,%eax; syscall; jmp to the start.
fn rewrite(guest: &Guest, number: u32) {
    let mut code = [0xb8, 0, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7];
    code[1..5].copy_from_slice(&number.to_le_bytes());
    protect_page(guest, HOLE_AT, RW);
    guest.subprocess.write(HOLE_AT, &code).unwrap();
    protect_page(guest, HOLE_AT, RX);
}

/// A page that is written and run for ever costs a bounded number of sites, and others find a place after it.
fn never_rests(backend: Backend) {
    let mut looped = Loop::open(Platform::options().backend(backend), find("libc_wrapper"));
    let mut context = started_at(&looped.guest.platform, HOLE_AT);
    map_pages(&looped.guest.subprocess, HOLE_AT, looped.guest.page, RW);
    let rewrites = if can_patch(&looped.guest) { REWRITES } else { REWRITES_OF_OTHERS };
    for number in 1000..1000 + rewrites {
        rewrite(&looped.guest, number);
        context.regs_mut().rip = HOLE_AT;
        for _ in 0..REWRITE_CALLS {
            call_of(context.switch(&looped.guest.subprocess).unwrap(), u64::from(number));
        }
    }
    let stats = looped.guest.platform.stats().unwrap();
    assert!(stats.patch_sites < SITES_MOST);
    assert_eq!(stats.refused(PatchRefusal::Full), 0);
    looped.warm();
}
