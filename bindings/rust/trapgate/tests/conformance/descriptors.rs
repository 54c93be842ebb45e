// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Descriptors of the embedder mapped into guests.

use crate::cases::cases;
use crate::host;
use crate::support::*;
use std::os::unix::fs::FileExt;
use trapgate::*;

const AREA: u64 = HOLE_AT;

cases! { descriptor:
    zero,
}

/// Here a descriptor is always meant; flags that contradict it are refused.
fn zero(backend: Backend) {
    let guest = Guest::open(backend, "call_loop");
    let file = host::memfd("standard input", guest.page);
    file.write_all_at(&[42], 0).unwrap();
    host::replace_descriptor(0, &file);
    let input = std::io::stdin();
    guest.subprocess.map(AREA, guest.page, R, Mapping::of(&input, 0)).unwrap();
    assert_eq!(load(&guest.subprocess, AREA), 42);
    let forgotten = Mapping::zeros().with_flags(trapgate::sys::TG_MAP_FD);
    fails(guest.subprocess.map(AREA, guest.page, R, forgotten), libc::EINVAL);
}
