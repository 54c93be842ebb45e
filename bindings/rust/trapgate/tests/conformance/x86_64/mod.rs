// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What only x86-64 has.

use crate::cases::Case;

mod fp;
pub mod native;

pub fn areas() -> [&'static [Case]; 1] {
    [fp::CASES]
}
