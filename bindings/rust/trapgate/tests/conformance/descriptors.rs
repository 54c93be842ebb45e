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
    unusable, zero,
}

fn put(file: &File, at: u64, value: u64) {
    file.write_all_at(&value.to_ne_bytes(), at).unwrap();
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
