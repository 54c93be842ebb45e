// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The table: names are those of the C table.

use trapgate::Backend;

pub struct Case {
    pub name: &'static str,
    pub run: fn(Backend),
}

/// The cases of an area; a case is the function of its name.
macro_rules! cases {
    ($area:ident: $($name:ident),* $(,)?) => {
        pub const CASES: &[$crate::cases::Case] = &[
            $($crate::cases::Case { name: concat!(stringify!($area), ".", stringify!($name)), run: $name },)*
        ];
    };
}
pub(crate) use cases;

pub fn all() -> impl Iterator<Item = &'static Case> {
    let areas = [
        crate::switch::CASES,
        crate::syscalls::CASES,
        crate::faults::CASES,
        crate::memory::CASES,
        crate::descriptors::CASES,
        crate::fork::CASES,
        crate::step::CASES,
        crate::interrupts::CASES,
        crate::threads::CASES,
        crate::errors::CASES,
        crate::queue::CASES,
        crate::queue_lost::CASES,
        crate::queue_fair::CASES,
        crate::isolation::CASES,
        crate::death::CASES,
        crate::embedder::CASES,
        crate::arguments::CASES,
        crate::close::CASES,
    ];
    areas.into_iter().flatten().chain(architecture())
}

#[cfg(target_arch = "x86_64")]
fn architecture() -> impl Iterator<Item = &'static Case> {
    crate::x86_64::areas().into_iter().flatten()
}

#[cfg(not(target_arch = "x86_64"))]
fn architecture() -> impl Iterator<Item = &'static Case> {
    std::iter::empty()
}
