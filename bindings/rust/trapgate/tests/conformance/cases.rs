// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The table: names are those of the C table.

use crate::player;
use crate::rows::Book;
use trapgate::Backend;

pub struct Case {
    pub name: &'static str,
    pub run: fn(Backend),
}

/// What to do for a case, whether it is a function here or rows.
pub fn find(name: &str) -> Option<Box<dyn Fn(Backend)>> {
    if let Some(case) = written().find(|case| case.name == name) {
        return Some(Box::new(case.run));
    }
    let name = Book::get().cases().find(|case| *case == name)?;
    Some(Box::new(move |backend| player::play(name, backend)))
}

/// The names of all cases.
pub fn all() -> impl Iterator<Item = &'static str> {
    player::check_all();
    Book::get().cases().chain(written().map(|case| case.name))
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

fn written() -> impl Iterator<Item = &'static Case> {
    let areas = [
        crate::switch::CASES,
        crate::memory::CASES,
        crate::descriptors::CASES,
        crate::fork::CASES,
        crate::interrupts::CASES,
        crate::errors::CASES,
        crate::queue::CASES,
        crate::death::CASES,
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
