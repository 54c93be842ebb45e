// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The conformance table of `tests/conformance`, through the safe interface.
//!
//!     conformance BACKEND CASE        runs one case in this process: 0 right, 1 wrong, 77 skipped
//!     conformance BACKEND all         runs every case in a process of its own and counts
//!     conformance --list              the names
//!     conformance --check README.md   does README.md here or this program have every case of that table, and no other?
//!
//! TRAPGATE_TEST_GUESTS names the file guests.so of the C build, which holds the guests; it is read, never loaded.

mod cases;
mod code;
mod host;
mod player;
mod row_values;
mod rows;
mod runner;
mod support;

mod arguments;
mod close;
mod death;
mod descriptors;
mod errors;
mod fork;
mod interrupts;
mod memory;
mod queue;
mod switch;
#[cfg(target_arch = "x86_64")]
mod x86_64;

fn main() {
    std::process::exit(runner::main());
}
