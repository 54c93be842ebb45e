// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Clocks of guests, where the vDSO is the library's: [`Options::own_vdso`](crate::Options::own_vdso).

use crate::handles::PlatformHandle;
use crate::{Platform, Result};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use trapgate_sys as sys;

/// The time that guests read of a clock: `base_ns + (counter - base_counter) * multiplier / 2^32`, and `base_ns` while
/// the counter is below `base_counter`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockLine {
    /// Of [`Platform::counter`].
    pub base_counter: u64,
    /// Nanoseconds since the clock's epoch.
    pub base_ns: u64,
    /// Nanoseconds for each tick of the counter, in 2^-32. Zero: it stands still, and the counter is not read.
    pub multiplier: u64,
    /// By this change the clock does not go back for any thread of the guest: if it would, it stands still meanwhile.
    pub forward: bool,
}

impl ClockLine {
    /// A clock that stands still.
    pub fn standing(ns: u64) -> Self {
        ClockLine { base_ns: ns, ..Default::default() }
    }

    pub(crate) fn to_raw(clock: u32, line: Option<Self>) -> sys::tg_clock {
        let mut raw = sys::tg_clock { clock, ..Default::default() };
        if let Some(line) = line {
            raw.kind = sys::TG_CLOCK_TIME;
            raw.flags = if line.forward { sys::TG_CLOCK_FORWARD } else { 0 };
            raw.base_counter = line.base_counter;
            raw.base_ns = line.base_ns;
            raw.multiplier = line.multiplier;
        }
        raw
    }

    pub(crate) fn from_raw(raw: &sys::tg_clock) -> Option<Self> {
        let line = ClockLine {
            base_counter: raw.base_counter,
            base_ns: raw.base_ns,
            multiplier: raw.multiplier,
            forward: raw.flags & sys::TG_CLOCK_FORWARD != 0,
        };
        Some(line).filter(|_| raw.kind == sys::TG_CLOCK_TIME)
    }
}

/// A clock of the host's that guests' clocks follow.
pub struct HostClock {
    platform: Arc<PlatformHandle>,
    state: sys::tg_host_clock,
}

impl HostClock {
    /// `CLOCK_REALTIME` (0), `CLOCK_MONOTONIC` (1), ... of the host.
    pub fn new(platform: &Platform, clock: u32) -> Self {
        let state = sys::tg_host_clock { clock, ..Default::default() };
        HostClock { platform: Arc::clone(&platform.handle), state }
    }

    /// One look at the clock, and what makes a guest's follow it: for [`Subprocess::set_clocks`], as it is or with
    /// `base_ns` moved, in any number of subprocesses. To be called again and again, in intervals of about the same
    /// length or at most twice the one before, a millisecond or more. `None`: guests make calls, as after the first one
    /// and where the counter is not to be relied on.
    ///
    /// # Errors
    /// `Invalid` for a clock that the host does not have.
    ///
    /// [`Subprocess::set_clocks`]: crate::Subprocess::set_clocks
    pub fn follow(&mut self) -> Result<Option<ClockLine>> {
        self.platform.follow_clock(&mut self.state).map(|raw| ClockLine::from_raw(&raw))
    }

    /// How far guests were off when the clock was looked at last, before that was put right.
    pub fn error(&self) -> Duration {
        Duration::from_nanos(self.state.error_ns)
    }
}

impl fmt::Debug for HostClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.state.fmt(f)
    }
}
