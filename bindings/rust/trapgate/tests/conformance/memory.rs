// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Guest memory: mapping, batches, and copies across edges.

use crate::cases::cases;
use crate::host;
use crate::support::*;
use std::thread;
use trapgate::*;

const AREA: u64 = HOLE_AT;
const MIB: usize = 1 << 20;

cases! { memory:
    copy, copy_nothing, partial_hole, partial_long, rights, out_of_reach, forbidden, reserved, edges, noreplace,
    unmap_nothing, precommit, advise, advise_refused, batch, batch_failure, batch_checked_first, batch_long, map_limit,
    threads, running_guest,
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 7 + i / 251) as u8).collect()
}

fn zeros(addr: u64, length: u64, protection: Protection) -> Operation<'static> {
    Operation::map(addr, length, protection, Mapping::zeros())
}

/// How much was done before it failed like that.
#[track_caller]
fn stopped(result: Result<(), Partial>, errno: i32) -> usize {
    let partial = result.expect_err("has to fail");
    assert_eq!(partial.error.errno(), errno, "{}", partial.error);
    partial.done
}

fn copy(backend: Backend) {
    let guest = Guest::open(backend, "call_loop");
    let out = pattern(MIB);
    let mut back = vec![0; MIB];
    map_pages(&guest.subprocess, AREA, 2 * MIB as u64, RW);
    for length in [1, 2, 7, 8, 4095, 4096, 4097, 65536, MIB - 8] {
        for offset in [0, 1, 4090] {
            guest.subprocess.write(AREA + offset, &out[..length]).unwrap();
            back[..=length].fill(0xee);
            guest.subprocess.read(AREA + offset, &mut back[..length]).unwrap();
            assert!(back[..length] == out[..length], "{} bytes at offset {}", length, offset);
            assert_eq!(back[length], 0xee);
        }
    }
}

fn copy_nothing(backend: Backend) {
    let guest = Guest::open(backend, "call_loop");
    guest.subprocess.read(DATA_AT, &mut []).unwrap();
    guest.subprocess.write(DATA_AT, &[]).unwrap();
}

fn partial_hole(backend: Backend) {
    let guest = Guest::open(backend, "call_loop");
    let bytes = pattern(64);
    map_pages(&guest.subprocess, AREA, guest.page, RW);
    for before in (0..64).step_by(16) {
        let addr = AREA + guest.page - before as u64;
        let mut back = [0xcc; 64];
        assert_eq!(stopped(guest.subprocess.write(addr, &bytes), libc::EFAULT), before);
        assert_eq!(stopped(guest.subprocess.read(addr, &mut back), libc::EFAULT), before);
        assert_eq!(back[..before], bytes[..before]);
        assert_eq!(back[before], 0xcc);
    }
    guest.subprocess.write(AREA + guest.page - 64, &bytes).unwrap();
}

/// Many pages, then one that refuses: every byte before it is copied, however long that is.
fn partial_long(backend: Backend) {
    let guest = Guest::open(backend, "call_loop");
    let length = 128 * guest.page;
    let bytes = pattern(length as usize - 3);
    for good in (1..100).step_by(7) {
        let mut back = vec![0; bytes.len()];
        let copied = (good * guest.page) as usize - 3;
        map_pages(&guest.subprocess, AREA, length, RW);
        guest.subprocess.protect(AREA + good * guest.page, guest.page, Protection::NONE).unwrap();
        assert_eq!(stopped(guest.subprocess.write(AREA + 3, &bytes), libc::EFAULT), copied);
        assert_eq!(stopped(guest.subprocess.read(AREA + 3, &mut back), libc::EFAULT), copied);
        assert!(back[..copied] == bytes[..copied]);
        assert_eq!(back[copied], 0);
    }
}

fn rights(backend: Backend) {
    let guest = Guest::open(backend, "call_loop");
    let mut word = [42; 8];
    map_pages(&guest.subprocess, AREA, guest.page, R);
    assert_eq!(stopped(guest.subprocess.write(AREA, &word), libc::EFAULT), 0);
    assert_eq!(load(&guest.subprocess, AREA), 0);
    guest.subprocess.protect(AREA, guest.page, Protection::NONE).unwrap();
    assert_eq!(stopped(guest.subprocess.read(AREA, &mut word), libc::EFAULT), 0);
    assert_eq!(stopped(guest.subprocess.write(CODE_AT, &word), libc::EFAULT), 0);
}

fn out_of_reach(backend: Backend) {
    let guest = Guest::open(backend, "call_loop");
    let mut word = [42; 8];
    for addr in [0, 0xffff_ffff_ff60_0000, 1 << 63, u64::MAX - 7] {
        let written = guest.subprocess.write(addr, &word).unwrap_err();
        let read = guest.subprocess.read(addr, &mut word).unwrap_err();
        for partial in [written, read] {
            assert!(
                [libc::EFAULT, libc::EINVAL].contains(&partial.error.errno()),
                "{:#x}: {}",
                addr,
                partial
            );
            assert_eq!(partial.done, 0);
        }
    }
    assert_eq!(word, [42; 8]);
}

fn forbidden(backend: Backend) {
    host::forbid_memory_copies();
    copy(backend);
    partial_hole(backend);
    partial_long(backend);
    rights(backend);
    out_of_reach(backend);
    let mut guest = Guest::open(backend, "call_loop");
    for _ in 0..100 {
        guest.run_to_call();
    }
    if guest.platform.info().unwrap().capabilities.patching() {
        assert_eq!(guest.platform.stats().unwrap().patch_sites, 1);
    }
}

fn reserved(backend: Backend) {
    let mut guest = Guest::open(backend, "call_loop");
    let (page, info) = (guest.page, guest.platform.info().unwrap());
    let subprocess = &guest.subprocess;
    let map = |addr, length| subprocess.map(addr, length, RW, Mapping::zeros());
    for range in &info.reserved {
        assert!(range.start < range.end);
        assert!(subprocess.write(range.start, b"x").is_err());
        fails(map(range.start, page), libc::EINVAL);
        fails(subprocess.unmap(range.start, page), libc::EINVAL);
        fails(subprocess.unmap(range.start - page, 2 * page), libc::EINVAL);
        fails(subprocess.protect(range.end - page, page, RW), libc::EINVAL);
    }
    fails(map(info.user.end, page), libc::EINVAL);
    fails(map(info.user.end - page, 2 * page), libc::EINVAL);
    if info.user.start >= page {
        fails(map(info.user.start - page, page), libc::EINVAL);
    }
    guest.run_to_call();
    guest.subprocess.read(CODE_AT, &mut [0]).unwrap();
}

fn edges(backend: Backend) {
    let mut guest = Guest::open(backend, "write_calls");
    let info = guest.platform.info().unwrap();
    for edge in [info.user.start, info.user.end - guest.page] {
        if info.reserved.iter().any(|range| range.contains(&edge)) {
            continue;
        }
        map_pages(&guest.subprocess, edge, guest.page, RW);
        call(guest.touch(edge, 99));
        assert_eq!(load(&guest.subprocess, edge), 99);
        guest.subprocess.unmap(edge, guest.page).unwrap();
    }
}

fn noreplace(backend: Backend) {
    let guest = Guest::open(backend, "call_loop");
    let map = |addr, mapping| guest.subprocess.map(addr, guest.page, RW, mapping);
    store(&guest.subprocess, DATA_AT, 7);
    fails(map(DATA_AT, Mapping::zeros().no_replace()), libc::EEXIST);
    assert_eq!(load(&guest.subprocess, DATA_AT), 7);
    map(AREA, Mapping::zeros().no_replace()).unwrap();
    assert_eq!(load(&guest.subprocess, AREA), 0);
    map(DATA_AT, Mapping::zeros()).unwrap();
    assert_eq!(load(&guest.subprocess, DATA_AT), 0);
}

fn unmap_nothing(backend: Backend) {
    let guest = Guest::open(backend, "call_loop");
    guest.subprocess.unmap(AREA, 16 * guest.page).unwrap();
    fails(guest.subprocess.protect(AREA, guest.page, RW), libc::ENOMEM);
}

fn precommit(backend: Backend) {
    let guest = Guest::open(backend, "call_loop");
    let (pid, length, other) = (guest.subprocess.pid().unwrap(), 64 * guest.page, AREA + (1 << 24));
    guest.subprocess.map(AREA, length, RW, Mapping::zeros().populate()).unwrap();
    assert_eq!(host::resident(pid, AREA), length);
    guest.subprocess.map(other, length, RW, Mapping::zeros().no_reserve()).unwrap();
    assert_eq!(host::resident(pid, other), 0);
}

fn advise(backend: Backend) {
    let guest = Guest::open(backend, "call_loop");
    store(&guest.subprocess, DATA_AT, 5);
    guest.subprocess.apply(&[Operation::advise(DATA_AT, guest.page, libc::MADV_DONTNEED)]).unwrap();
    assert_eq!(load(&guest.subprocess, DATA_AT), 0);
    guest.subprocess.apply(&[Operation::advise(DATA_AT, guest.page, libc::MADV_WILLNEED)]).unwrap();
}

/// Advice that would change what a fork copies or reach other processes is not on the list.
fn advise_refused(backend: Backend) {
    let guest = Guest::open(backend, "call_loop");
    for advice in [libc::MADV_DONTFORK, libc::MADV_HWPOISON, libc::MADV_MERGEABLE, 9999, -1] {
        let result = guest.subprocess.apply(&[Operation::advise(DATA_AT, guest.page, advice)]);
        assert_eq!(stopped(result, libc::EINVAL), 0);
    }
}

fn batch(backend: Backend) {
    let mut guest = Guest::open(backend, "write_calls");
    let page = guest.page;
    let operations = [
        zeros(AREA, 4 * page, Protection::NONE),
        Operation::protect(AREA, 3 * page, RW),
        Operation::unmap(AREA + page, page),
        zeros(AREA + page, page, R),
        Operation::advise(AREA, page, libc::MADV_DONTNEED),
    ];
    guest.subprocess.apply(&operations).unwrap();
    guest.set_argument(0, AREA + 2 * page);
    guest.run_to_call();
    for addr in [AREA + page, AREA + 3 * page] {
        guest.set_argument(0, addr);
        check_fault(&guest.run(), addr, Access::Write, SIGSEGV, SEGV_ACCERR);
    }
}

fn batch_failure(backend: Backend) {
    let guest = Guest::open(backend, "call_loop");
    let page = guest.page;
    let operations = [
        zeros(AREA, page, RW),
        zeros(AREA + page, page, RW),
        Operation::protect(AREA + 8 * page, page, RW), // nothing is mapped there
        zeros(AREA + 2 * page, page, RW),
    ];
    assert_eq!(stopped(guest.subprocess.apply(&operations), libc::ENOMEM), 2);
    store(&guest.subprocess, AREA + page, 1);
    fails(guest.subprocess.read(AREA + 2 * page, &mut [0; 8]), libc::EFAULT);
    assert!(!guest.platform.last_error().is_empty());
    fails(guest.subprocess.apply(&operations), libc::ENOMEM);
}

/// A bad argument anywhere means that nothing runs.
fn batch_checked_first(backend: Backend) {
    let guest = Guest::open(backend, "call_loop");
    let operations = [zeros(AREA, guest.page, RW), zeros(AREA + guest.page + 1, guest.page, RW)];
    assert_eq!(stopped(guest.subprocess.apply(&operations), libc::EINVAL), 0);
    fails(guest.subprocess.read(AREA, &mut [0]), libc::EFAULT);
}

fn batch_long(backend: Backend) {
    let guest = Guest::open(backend, "call_loop");
    let places: Vec<u64> = (0..1000).map(|index| AREA + 2 * index * guest.page).collect();
    let maps: Vec<Operation> = places.iter().map(|addr| zeros(*addr, guest.page, RW)).collect();
    guest.subprocess.apply(&maps).unwrap();
    for (mark, addr) in (0..).zip(&places) {
        store(&guest.subprocess, *addr, mark);
    }
    for (mark, addr) in (0..).zip(&places) {
        assert_eq!(load(&guest.subprocess, *addr), mark);
    }
    let unmaps: Vec<Operation> = places.iter().map(|addr| Operation::unmap(*addr, guest.page)).collect();
    guest.subprocess.apply(&unmaps).unwrap();
    fails(guest.subprocess.read(AREA, &mut [0]), libc::EFAULT);
}

/// The host's limit on mappings per process: an error, and everything goes on afterwards.
fn map_limit(backend: Backend) {
    const MOST: u64 = 1 << 18;
    let mut guest = Guest::open(backend, "write_calls");
    let page = guest.page;
    let mut total = 0;
    let stop = loop {
        let right = |index| if index % 2 == 1 { RW } else { R };
        let operation = |index| zeros(AREA + index * page, page, right(index));
        let operations: Vec<Operation> = (total..total + 1024).map(operation).collect();
        match guest.subprocess.apply(&operations) {
            Ok(()) => total += 1024,
            Err(partial) => break partial,
        }
        if total >= MOST {
            skip("this host allows more mappings");
        }
    };
    total += stop.done as u64;
    assert_eq!(stop.error.kind(), ErrorKind::NoMemory);
    guest.set_argument(0, AREA + page);
    guest.run_to_call();
    guest.subprocess.unmap(AREA, total * page).unwrap();
    map_pages(&guest.subprocess, AREA, 2 * page, RW);
    guest.run_to_call();
}

fn map_and_unmap(subprocess: &Subprocess, addr: u64, page: u64) {
    for round in 1..=200 {
        map_pages(subprocess, addr, page, RW);
        store(subprocess, addr, round);
        assert_eq!(load(subprocess, addr), round);
        subprocess.unmap(addr, page).unwrap();
    }
}

fn threads(backend: Backend) {
    let mut guest = Guest::open(backend, "counting_calls");
    let Guest { context, subprocess, page, .. } = &mut guest;
    let (subprocess, page) = (&*subprocess, *page);
    thread::scope(|scope| {
        for index in 0..4 {
            scope.spawn(move || map_and_unmap(subprocess, AREA + index * 16 * page, page));
        }
        for number in 1..=500 {
            assert_eq!(call(context.switch(subprocess).unwrap()).args[0], number);
        }
    });
}

fn running_guest(backend: Backend) {
    let mut guest = Guest::open(backend, "spin_counting");
    let page = guest.page;
    guest.set_argument(0, DATA_AT);
    let event = guest.run_beside(|beside| {
        wait_change(beside.subprocess, DATA_AT, 0);
        map_and_unmap(beside.subprocess, AREA, page);
        let before = load(beside.subprocess, DATA_AT);
        wait_change(beside.subprocess, DATA_AT, before);
        beside.interrupter.interrupt();
    });
    check_interrupted(&event);
}
