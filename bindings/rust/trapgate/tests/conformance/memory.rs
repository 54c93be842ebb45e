// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Guest memory: mapping, batches, and copies across edges.

use crate::cases::cases;
use crate::support::*;
use trapgate::*;

const AREA: u64 = HOLE_AT;
const MIB: usize = 1 << 20;

cases! { memory:
    copy, partial_hole, batch, batch_failure,
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
    let moves =
        [zeros(AREA + 8 * page, page, RW), Operation::move_to(AREA + 8 * page, page, AREA + 6 * page)];
    guest.subprocess.apply(&[]).unwrap();
    guest.subprocess.apply(&operations).unwrap();
    guest.set_argument(0, AREA + 2 * page);
    guest.run_to_call();
    guest.subprocess.apply(&moves).unwrap();
    store(&guest.subprocess, AREA + 6 * page, 1);
    fails(guest.subprocess.read(AREA + 8 * page, &mut [0; 8]), libc::EFAULT);
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
