// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Interrupts from where only Rust's interrupters can come from.

use crate::cases::cases;
use crate::host;
use crate::support::*;
use libc::SIGUSR1;
use std::sync::atomic::{AtomicPtr, Ordering::SeqCst};
use trapgate::*;

cases! { interrupt:
    signal_handler,
}

static INTERRUPTER_OF_HANDLER: AtomicPtr<Interrupter> = AtomicPtr::new(std::ptr::null_mut());

extern "C" fn interrupt_in_handler(_signal: libc::c_int) {
    // SAFETY: set to something that lives for ever before the signal is sent.
    unsafe { &*INTERRUPTER_OF_HANDLER.load(SeqCst) }.interrupt();
}

/// The handler runs on the very thread that sleeps in the switch.
fn signal_handler(backend: Backend) {
    let mut guest = Guest::open(backend, "spin_counting");
    guest.set_argument(0, DATA_AT);
    INTERRUPTER_OF_HANDLER.store(Box::leak(Box::new(guest.context.interrupter())), SeqCst);
    host::handle_signal(SIGUSR1, interrupt_in_handler, 0);
    let event = guest.run_beside(|beside| {
        wait_change(beside.subprocess, DATA_AT, 0);
        host::signal_thread(beside.thread, SIGUSR1);
    });
    check_interrupted(&event);
}
