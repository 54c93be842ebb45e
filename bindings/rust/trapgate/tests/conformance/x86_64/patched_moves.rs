// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Contexts that are stopped in patched calls and go on elsewhere, and those that arrive at code while it changes.

use super::patched_memory::{find, protect_page, put_code};
use super::patching::{for_each_patched, Loop, WARM_CALLS};
use crate::cases::cases;
use crate::support::*;
use crate::{code, host};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::Arc;
use std::thread;
use trapgate::*;

cases! { patch: subprocesses, copy, death, unmapped_under, writable_under }

/// The same code at the same place in a subprocess of its own.
fn fresh_subprocess(looped: &Loop<'_>) -> Arc<Subprocess> {
    Arc::new(loaded_subprocess(&looped.guest.platform, &looped.code))
}

/// There patched by calls of others, behind so many other sites.
fn warm_subprocess(looped: &Loop<'_>, other_sites: u64) -> Arc<Subprocess> {
    let mut guest = looped.guest.beside();
    guest.subprocess = fresh_subprocess(looped);
    let mut other = looped.with_guest(guest);
    for index in 0..other_sites {
        let at = HOLE_AT + index * other.guest.page;
        put_code(&other.guest, at, code::guest(&other.code));
        other.start_at(at, index);
        other.warm();
    }
    other.start_at(looped.at, other_sites);
    other.warm();
    Arc::clone(&other.guest.subprocess)
}

/// Stopped in a patched call of one subprocess it goes on in another, where that site has another number, or is none.
fn subprocesses(backend: Backend) {
    for_each_patched(backend, |looped| {
        let homes = [
            Arc::clone(&looped.guest.subprocess),
            warm_subprocess(looped, 1),
            warm_subprocess(looped, 2),
            fresh_subprocess(looped),
        ];
        for home in homes.iter().cycle().take(61) {
            looped.guest.subprocess = Arc::clone(home);
            looped.call();
        }
    });
}

/// A copy of a context that is stopped in a patched call.
fn copy(backend: Backend) {
    for_each_patched(backend, |looped| {
        let mut copy = looped.with_guest(looped.guest.beside());
        for _ in 0..10 {
            copy = looped.with_guest(copy.guest);
            copy.guest.context.copy_from(&looped.guest.context).unwrap();
            copy.calls(3);
            looped.call();
            copy.jump_to_call(77);
        }
    });
}

/// Its subprocess dies; in another one the context goes on with what it had.
fn death(backend: Backend) {
    for_each_patched(backend, |looped| {
        for round in 0..4 {
            host::kill(looped.guest.subprocess.pid().unwrap(), libc::SIGKILL);
            check_killed(&looped.guest.run());
            let warm = round % 2 == 1;
            looped.guest.subprocess =
                if warm { warm_subprocess(looped, 1) } else { fresh_subprocess(looped) };
            looped.warm();
        }
        looped.calls(WARM_CALLS);
    });
}

/// Runs into the place behind the call again and again; the code may be away meanwhile.
fn arrive_behind(mut looped: Loop<'_>, over: &AtomicBool) {
    while !over.load(SeqCst) {
        if looped.stopped && looped.calls % 2 == 1 {
            let behind = looped.place("behind");
            looped.guest.context.regs_mut().rip = behind;
        }
        looped.expect();
        let mut event = looped.guest.run();
        while let Event::Fault(fault) = event {
            assert_eq!(fault.access, Access::Execute);
            event = looped.guest.run();
        }
        looped.answer(event);
    }
}

fn change_under(backend: Backend, name: &str, change: fn(&Loop<'_>)) {
    let mut looped = Loop::open(Platform::options().backend(backend), find(name));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for index in 0..2 {
            let mut runner = looped.with_guest(looped.guest.beside());
            runner.start_at(looped.at, index * 100);
            let over = &over;
            scope.spawn(move || arrive_behind(runner, over));
        }
        for _ in 0..400 {
            change(&looped);
            // Long enough for the code to be patched once more, now and then.
            host::sleep_us(300);
        }
        over.store(true, SeqCst);
    });
    assert_eq!(looped.guest.platform.stats().unwrap().exceptions, 0);
    // Nor did the library take any of it for something that forbids patching.
    looped.start_at(looped.at, 1000);
    looped.warm();
}

fn unmapped_under(backend: Backend) {
    for name in ["libc_wrapper", "mov_eax"] {
        change_under(backend, name, |looped| {
            looped.guest.subprocess.unmap(looped.at & !(looped.guest.page - 1), looped.guest.page).unwrap();
            put_code(&looped.guest, looped.at, code::guest(&looped.code));
        });
    }
}

fn writable_under(backend: Backend) {
    for name in ["libc_wrapper", "mov_eax"] {
        change_under(backend, name, |looped| {
            protect_page(&looped.guest, looped.at, RW);
            assert!(looped.code_is_original());
            protect_page(&looped.guest, looped.at, RX);
        });
    }
}
