// SPDX-License-Identifier: Apache-2.0 OR MIT
//! FP and vector state as the embedder reads and sets it.

use super::native::{self, Needs};
use crate::cases::cases;
use crate::host;
use crate::support::*;
use libc::{EBUSY, EINVAL};
use trapgate::*;

const BLOCK: u64 = 4096;
const SSE_BYTES: usize = 256;
const INITIAL_MXCSR: u32 = 0x1f80;
const MXCSR_AT: usize = 24;
const XMM_AT: usize = 160;
const HEADER_AT: usize = 512;

cases! { fp:
    get_set, refused, one_thread,
}

fn any(length: usize, seed: u64) -> Vec<u8> {
    let mut random = host::Random::new(seed);
    (0..length).map(|_| random.below(256) as u8).collect()
}

fn read(subprocess: &Subprocess, addr: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    subprocess.read(addr, &mut bytes).unwrap();
    bytes
}

/// Puts a pattern of SSE registers at the first block, for a guest that stores them to the second.
fn prepare(guest: &mut Guest, seed: u64) -> Vec<u8> {
    let pattern = any(SSE_BYTES, seed);
    guest.subprocess.write(DATA_AT, &pattern).unwrap();
    guest.set_argument(0, DATA_AT);
    guest.set_argument(1, DATA_AT + BLOCK);
    pattern
}

fn xmm(state: &[u8]) -> &[u8] {
    &state[XMM_AT..XMM_AT + SSE_BYTES]
}

fn put_xmm(state: &mut [u8], pattern: &[u8]) {
    state[XMM_AT..XMM_AT + SSE_BYTES].copy_from_slice(pattern);
}

fn get_set(backend: Backend) {
    let mut guest = Guest::open(backend, "fp_load_once");
    for one_thread in [false, true] {
        guest.restart();
        guest.context.set_one_thread(one_thread).unwrap();
        let pattern = prepare(&mut guest, 10);
        guest.run_to_call();
        let mut state = guest.context.fpstate().unwrap();
        assert_eq!(xmm(&state), pattern);

        let pattern = any(SSE_BYTES, 20);
        put_xmm(&mut state, &pattern);
        guest.context.set_fpstate(&state).unwrap();
        assert_eq!(xmm(&guest.context.fpstate().unwrap()), pattern);
        guest.run_to_call();
        assert_eq!(read(&guest.subprocess, DATA_AT + BLOCK, SSE_BYTES), pattern);
    }
}

#[track_caller]
fn refuses(context: &mut Context, state: &[u8], at: usize, value: &[u8]) {
    let mut bad = state.to_vec();
    bad[at..at + value.len()].copy_from_slice(value);
    fails(context.set_fpstate(&bad), EINVAL);
}

fn refused(backend: Backend) {
    let mut guest = Guest::open(backend, "fp_load_once");
    let pattern = prepare(&mut guest, 3);
    guest.run_to_call();
    let mut state = guest.context.fpstate().unwrap();
    let length = state.len();
    fails(guest.context.read_fpstate(&mut vec![0; length - 1]), EINVAL);
    let longer = vec![0; length + 1];
    for wrong in [&state[..length - 1], &longer, &[]] {
        fails(guest.context.set_fpstate(wrong), EINVAL);
    }
    put_xmm(&mut state, &[0; SSE_BYTES]);
    refuses(&mut guest.context, &state, MXCSR_AT, &(0xffff_0000 | INITIAL_MXCSR).to_ne_bytes());
    if native::has(Needs::Xsave) {
        refuses(&mut guest.context, &state, HEADER_AT, &(1_u64 << 62 | 3).to_ne_bytes());
        refuses(&mut guest.context, &state, HEADER_AT + 8, &(1_u64 << 63).to_ne_bytes());
        refuses(&mut guest.context, &state, HEADER_AT + 16, &1_u64.to_ne_bytes());
    }
    assert_eq!(xmm(&guest.context.fpstate().unwrap()), pattern);
    guest.run_to_call();
}

fn start_one_thread(guest: &mut Guest, seed: u64) -> Vec<u8> {
    guest.restart();
    guest.context.set_one_thread(true).unwrap();
    let pattern = prepare(guest, seed);
    guest.run_to_call();
    pattern
}

/// What another thread gets while the first keeps the state in the stub: 0 or an errno for a read, a copy and a switch.
fn from_elsewhere(guest: &mut Guest) -> [i32; 3] {
    fn errno<T>(result: Result<T>) -> i32 {
        result.map_or_else(|error| error.errno(), |_| 0)
    }
    in_thread(|| {
        let mut copy = Context::new(&guest.platform).unwrap();
        let read = errno(guest.context.fpstate());
        let copied = errno(copy.copy_from(&guest.context));
        [read, copied, errno(guest.context.switch(&guest.subprocess))]
    })
}

fn one_thread(backend: Backend) {
    // On other backends a state belongs to no thread, and the flag changes nothing.
    let expected = if backend == Backend::Ptrace { [EBUSY; 3] } else { [0; 3] };
    let mut guest = Guest::open(backend, "fp_load_once");

    let pattern = start_one_thread(&mut guest, 13);
    assert_eq!(from_elsewhere(&mut guest), expected);
    guest.run_to_call();
    assert_eq!(xmm(&guest.context.fpstate().unwrap()), pattern);
    assert_eq!(from_elsewhere(&mut guest), [0; 3]);

    let pattern = start_one_thread(&mut guest, 14);
    assert_eq!(from_elsewhere(&mut guest), expected);
    guest.context.set_one_thread(false).unwrap();
    assert_eq!(from_elsewhere(&mut guest), [0; 3]);
    assert_eq!(xmm(&guest.context.fpstate().unwrap()), pattern);
}
