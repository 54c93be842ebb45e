// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Interrupts: sticky, coalesced, never lost, never in the way of another event.

use crate::cases::cases;
use crate::host;
use crate::support::*;
use libc::SIGUSR1;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering::SeqCst};
use std::thread;
use trapgate::*;

cases! { interrupt:
    during, none_lost, pending_flag, storm, signal_handler, embedder_signals,
}

fn during(backend: Backend) {
    let mut guest = Guest::open(backend, "spin_registers");
    for round in 0..20 {
        let event = guest.run_beside(|beside| {
            if round % 2 == 1 {
                host::sleep_us(2000);
            }
            beside.interrupter.interrupt();
        });
        check_interrupted(&event);
        assert!(guest.ip() - CODE_AT < 64);
        // The first two words are the guest's counters.
        let words = words(&guest.context, false);
        assert!(words[0].wrapping_add(words[1]) <= 1);
    }
}

/// Interrupts until it is told to stop; how many were sent.
fn interrupt_until(stop: &AtomicBool, interrupter: &Interrupter, sent: &AtomicU64) {
    while !stop.load(SeqCst) {
        interrupter.interrupt();
        sent.fetch_add(1, SeqCst);
        host::sleep_us(20);
    }
}

/// Switches until an interrupt was delivered; every call on the way must be the next number.
fn switch_to_interrupt(guest: &mut Guest, calls: &mut u64) {
    loop {
        match guest.run() {
            Event::Syscall(call) => {
                *calls += 1;
                assert_eq!(call.args[0], *calls);
            }
            event => return check_interrupted(&event),
        }
    }
}

/// So many threads interrupt while so many interrupts are awaited.
fn race(backend: Backend, threads: usize, interrupts: u64) {
    let mut guest = Guest::open(backend, "counting_calls");
    let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut calls = 0;
    thread::scope(|scope| {
        for _ in 0..threads {
            let (interrupter, stop, sent) = (guest.context.interrupter(), &stop, &sent);
            scope.spawn(move || interrupt_until(stop, &interrupter, sent));
        }
        for _ in 0..interrupts {
            switch_to_interrupt(&mut guest, &mut calls);
        }
        stop.store(true, SeqCst);
    });
    assert!(sent.load(SeqCst) >= interrupts);
    // One may be left over; then the next event is the next call.
    let mut event = guest.run();
    if let Event::Interrupted(_) = event {
        event = guest.run();
    }
    assert_eq!(call(event).args[0], calls + 1);
}

fn storm(backend: Backend) {
    race(backend, 4, 500);
}

/// Each interrupt is sent once and must be answered before the next: a lost one hangs the case.
fn none_lost(backend: Backend) {
    let mut guest = Guest::open(backend, "spin");
    let mut random = host::Random::new(1);
    for _ in 0..1000 {
        let event = guest.run_beside(|beside| {
            host::sleep_us(random.below(150));
            beside.interrupter.interrupt();
        });
        check_interrupted(&event);
        assert!(!event.interrupt_pending());
    }
}

/// The flag promises an interrupt; without the flag and without a new interrupt there is none.
fn pending_flag(backend: Backend) {
    let mut guest = Guest::open(backend, "call_loop");
    let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let interrupter = guest.context.interrupter();
    thread::scope(|scope| {
        scope.spawn(|| interrupt_until(&stop, &interrupter, &sent));
        let mut promised = false;
        for _ in 0..3000 {
            let event = guest.run();
            let interrupted = matches!(event, Event::Interrupted(_));
            assert!(interrupted || !promised, "{:?}", event);
            promised = !interrupted && event.interrupt_pending();
        }
        stop.store(true, SeqCst);
    });
    guest.run();
    guest.run();
    for _ in 0..100 {
        assert!(!guest.run_to_call().flags.interrupt_pending());
    }
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

static SIGNALS_SEEN: AtomicU64 = AtomicU64::new(0);

extern "C" fn count_signal(_signal: libc::c_int) {
    SIGNALS_SEEN.fetch_add(1, SeqCst);
}

/// Signals to the embedder's thread are none of the guest's business.
fn embedder_signals(backend: Backend) {
    let mut guest = Guest::open(backend, "wait_for_word");
    guest.set_argument(0, DATA_AT);
    host::handle_signal(SIGUSR1, count_signal, 0);
    let event = guest.run_beside(|beside| {
        for number in 1..=50 {
            host::signal_thread(beside.thread, SIGUSR1);
            while SIGNALS_SEEN.load(SeqCst) < number {
                host::sleep_us(100);
            }
        }
        store(beside.subprocess, DATA_AT, 1);
    });
    call(event);
}
