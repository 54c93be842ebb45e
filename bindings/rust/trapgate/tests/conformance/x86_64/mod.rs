// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What only x86-64 has.

use crate::cases::Case;

mod access;
mod compat;
mod exceptions;
mod fp;
pub mod native;
mod page_faults;
mod patched_edges;
mod patched_guests;
mod patched_memory;
mod patched_moves;
mod patched_random;
mod patched_runs;
mod patching;
mod queue_fp;
mod segments;

pub fn areas() -> [&'static [Case]; 15] {
    [
        access::CASES,
        page_faults::CASES,
        exceptions::CASES,
        fp::CASES,
        segments::CASES,
        compat::COMPAT,
        compat::VSYSCALL,
        patching::CASES,
        patched_memory::CASES,
        patched_edges::CASES,
        patched_runs::CASES,
        patched_guests::CASES,
        patched_random::CASES,
        patched_moves::CASES,
        queue_fp::CASES,
    ]
}
