// SPDX-License-Identifier: Apache-2.0 OR MIT
//! FP and vector state as the embedder reads and sets it.

use crate::cases::cases;
use crate::support::*;
use libc::EINVAL;
use trapgate::*;

const BLOCK: u64 = 4096;
const SSE_BYTES: usize = 256;
const XMM: std::ops::Range<usize> = 160..160 + SSE_BYTES;

cases! { fp:
    get_set,
}

/// The contents of all SSE registers, different ones for each seed.
fn registers(seed: usize) -> Vec<u8> {
    (seed..seed + SSE_BYTES).map(|i| (i * 7 + i / 251) as u8).collect()
}

fn get_set(backend: Backend) {
    let mut guest = Guest::open(backend, "fp_load_once");
    for (seed, one_thread) in [(10, false), (11, true)] {
        guest.restart();
        guest.context.set_one_thread(one_thread).unwrap();
        guest.subprocess.write(DATA_AT, &registers(seed)).unwrap();
        guest.set_argument(0, DATA_AT);
        guest.set_argument(1, DATA_AT + BLOCK);
        guest.run_to_call();
        let mut state = guest.context.fpstate().unwrap();
        assert_eq!(state[XMM], registers(seed));

        state[XMM].copy_from_slice(&registers(seed + 10));
        guest.context.set_fpstate(&state).unwrap();
        assert_eq!(guest.context.fpstate().unwrap()[XMM], registers(seed + 10));
        guest.run_to_call();
        let mut stored = [0; SSE_BYTES];
        guest.subprocess.read(DATA_AT + BLOCK, &mut stored).unwrap();
        assert_eq!(stored[..], registers(seed + 10));
    }
    let length = guest.context.fpstate().unwrap().len();
    fails(guest.context.read_fpstate(&mut vec![0; length - 1]), EINVAL);
    for wrong in [length - 1, length + 1, 0] {
        fails(guest.context.set_fpstate(&vec![0; wrong]), EINVAL);
    }
}
