// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What only x86-64 has.

use crate::cases::Case;

mod access;
mod compat;
mod exceptions;
mod fp;
pub mod native;
mod patched_memory;
mod patching;
mod segments;

pub fn areas() -> [&'static [Case]; 8] {
    [
        access::CASES,
        exceptions::CASES,
        fp::CASES,
        segments::CASES,
        compat::COMPAT,
        compat::VSYSCALL,
        patching::CASES,
        patched_memory::CASES,
    ]
}
