// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Descriptors of the embedder mapped into guests.

use crate::cases::cases;
use crate::host;
use crate::support::*;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::os::unix::io::AsRawFd;
use trapgate::*;

const AREA: u64 = HOLE_AT;

cases! { descriptor:
    shared, private, offset, closed, two_subprocesses, reused_number, unusable, read_only, zero,
}

fn put(file: &File, at: u64, value: u64) {
    file.write_all_at(&value.to_ne_bytes(), at).unwrap();
}

fn get(file: &File, at: u64) -> u64 {
    let mut word = [0; 8];
    file.read_exact_at(&mut word, at).unwrap();
    u64::from_ne_bytes(word)
}

/// The descriptor is opened after the platform and the subprocess are there.
fn shared(backend: Backend) {
    let mut guest = Guest::open(backend, "write_calls");
    let file = host::memfd("shared", 2 * guest.page);
    guest.subprocess.map(AREA, guest.page, RW, Mapping::of(&file, 0).shared()).unwrap();
    call(guest.touch(AREA + 8, 11));
    assert_eq!(get(&file, 8), 11);
    put(&file, 8, 22);
    assert_eq!(load(&guest.subprocess, AREA + 8), 22);
    store(&guest.subprocess, AREA + 8, 33);
    assert_eq!(get(&file, 8), 33);
}

fn private(backend: Backend) {
    let mut guest = Guest::open(backend, "write_calls");
    let file = host::memfd("private", guest.page);
    put(&file, 0, 5);
    guest.subprocess.map(AREA, guest.page, RW, Mapping::of(&file, 0)).unwrap();
    assert_eq!(load(&guest.subprocess, AREA), 5);
    call(guest.touch(AREA, 6));
    assert_eq!(load(&guest.subprocess, AREA), 6);
    assert_eq!(get(&file, 0), 5);
}

fn offset(backend: Backend) {
    let mut guest = Guest::open(backend, "read_calls");
    let page = guest.page;
    let file = host::memfd("pages", 8 * page);
    for index in 0..8 {
        put(&file, index * page, 100 + index);
    }
    guest.subprocess.map(AREA, 2 * page, R, Mapping::of(&file, 5 * page).shared()).unwrap();
    for (addr, value) in [(AREA, 105), (AREA + page, 106)] {
        guest.set_argument(0, addr);
        assert_eq!(guest.run_to_call().args[1], value);
    }
}

fn closed(backend: Backend) {
    let mut guest = Guest::open(backend, "read_calls");
    let file = host::memfd("closed", guest.page);
    put(&file, 0, 71);
    guest.subprocess.map(AREA, guest.page, R, Mapping::of(&file, 0).shared()).unwrap();
    drop(file);
    guest.set_argument(0, AREA);
    assert_eq!(guest.run_to_call().args[1], 71);
}

fn two_subprocesses(backend: Backend) {
    let mut guest = Guest::open(backend, "write_calls");
    let page = guest.page;
    let other = loaded_subprocess(&guest.platform, "write_calls");
    let file = host::memfd("shared", page);
    guest.subprocess.map(AREA, page, RW, Mapping::of(&file, 0).shared()).unwrap();
    other.map(AREA + page, page, R, Mapping::of(&file, 0).shared()).unwrap();
    call(guest.touch(AREA, 9));
    assert_eq!(load(&other, AREA + page), 9);
}

/// A number that is closed and opened again means the new file.
fn reused_number(backend: Backend) {
    let guest = Guest::open(backend, "read_calls");
    let page = guest.page;
    let first = host::memfd("first", page);
    let number = first.as_raw_fd();
    put(&first, 0, 1);
    guest.subprocess.map(AREA, page, R, Mapping::of(&first, 0).shared()).unwrap();
    drop(first);
    let second = host::memfd("second", page);
    assert_eq!(second.as_raw_fd(), number);
    put(&second, 0, 2);
    guest.subprocess.map(AREA + page, page, R, Mapping::of(&second, 0).shared()).unwrap();
    assert_eq!(load(&guest.subprocess, AREA), 1);
    assert_eq!(load(&guest.subprocess, AREA + page), 2);
}

fn open_read_only(length: u64) -> File {
    let file = host::memfd("read-only", length);
    File::open(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap()
}

/// A descriptor that is not open cannot be named: a mapping borrows its descriptor.
fn unusable(backend: Backend) {
    let guest = Guest::open(backend, "call_loop");
    let (page, subprocess) = (guest.page, &guest.subprocess);
    let read_only = open_read_only(page);
    let (pipe, _other_end) = host::pipe();
    fails(subprocess.map(AREA, page, RW, Mapping::of(&read_only, 0).shared()), libc::EACCES);
    subprocess.map(AREA, page, RW, Mapping::of(&read_only, 0)).unwrap();
    fails(subprocess.map(AREA + page, page, R, Mapping::of(&pipe, 0).shared()), libc::ENODEV);
    fails(subprocess.read(AREA + page, &mut [0]), libc::EFAULT);
    assert!(!guest.platform.last_error().is_empty());
}

/// A read-only descriptor stays read-only: the guest's mapping cannot be made writable later.
fn read_only(backend: Backend) {
    let guest = Guest::open(backend, "call_loop");
    let file = open_read_only(guest.page);
    guest.subprocess.map(AREA, guest.page, R, Mapping::of(&file, 0).shared()).unwrap();
    fails(guest.subprocess.protect(AREA, guest.page, RW), libc::EACCES);
}

/// Here a descriptor is always meant; flags that contradict it are refused.
fn zero(backend: Backend) {
    let guest = Guest::open(backend, "call_loop");
    let file = host::memfd("standard input", guest.page);
    put(&file, 0, 42);
    host::replace_descriptor(0, &file);
    let input = std::io::stdin();
    guest.subprocess.map(AREA, guest.page, R, Mapping::of(&input, 0)).unwrap();
    assert_eq!(load(&guest.subprocess, AREA), 42);
    let forgotten = Mapping::zeros().with_flags(trapgate::sys::TG_MAP_FD);
    fails(guest.subprocess.map(AREA, guest.page, R, forgotten), libc::EINVAL);
}
