// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Patched calls that are forked, stepped, interrupted, and met by several contexts.

use super::patched_memory::{check_site_is_whole, find, protect_page, put_code};
use super::patching::{can_patch, for_each_patched, Loop, Pattern, MANY_CALLS, PATCHED, WARM_CALLS};
use crate::cases::cases;
use crate::code;
use crate::host::Random;
use crate::support::*;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::thread;
use trapgate::*;

const USER_CODE: u64 = 0x33;

cases! { patch:
    turned_off, fork, fork_apart, steps, interrupts, threads, queue, wide_numbers,
}

fn require_steps(guest: &Guest) {
    if !guest.platform.info().unwrap().capabilities.single_step() {
        skip("this backend cannot run single instructions here");
    }
}

/// Patching ends in a subprocess where a context steps. Whatever pages allow by then, they allow afterwards.
fn turned_off(backend: Backend) {
    for rights in [Protection::NONE, R, RX] {
        let mut looped = Loop::open(Platform::options().backend(backend), find("libc_wrapper"));
        require_steps(&looped.guest);
        looped.warm();
        protect_page(&looped.guest, looped.at, rights);

        put_code(&looped.guest, HOLE_AT, code::guest("steps"));
        let mut stepping = started_at(&looped.guest.platform, HOLE_AT);
        stepping.regs_mut().set_single_step(true);
        check_exception(&stepping.switch(&looped.guest.subprocess).unwrap(), libc::SIGTRAP, TRAP_TRACE);

        if rights != RX {
            looped.guest.context.regs_mut().rip = looped.at;
            check_fault(&looped.guest.run(), looped.at, Access::Execute, SIGSEGV, SEGV_ACCERR);
            protect_page(&looped.guest, looped.at, RX);
            let behind = looped.place("behind");
            looped.guest.context.regs_mut().rip = behind;
        }
        assert!(looped.code_is_original());
        looped.calls(MANY_CALLS);
        assert!(!looped.last_was_patched());
        assert!(looped.code_is_original());
    }
}

fn fork_of<'a>(mother: &Loop<'a>) -> Loop<'a> {
    let mut guest = mother.guest.beside();
    guest.subprocess = Arc::new(mother.guest.subprocess.fork().unwrap());
    guest.context.copy_from(&mother.guest.context).unwrap();
    mother.with_guest(guest)
}

fn check_still_patched(looped: &mut Loop<'_>) {
    looped.call();
    assert_eq!(looped.last_was_patched(), can_patch(&looped.guest));
    assert_eq!(looped.code_is_original(), !can_patch(&looped.guest));
    looped.jump_to_call(4321);
    looped.jump_behind(0, 1);
}

/// Each makes its own code writable; the other does not notice.
fn fork(backend: Backend) {
    for_each_patched(backend, |mother| {
        let mut child = fork_of(mother);
        check_still_patched(&mut child);
        check_still_patched(mother);
        let mut grandchild = fork_of(&child);
        check_site_is_whole(&mut child);
        check_still_patched(mother);
        check_still_patched(&mut grandchild);
        check_site_is_whole(mother);
        check_still_patched(&mut child);
        drop(child);
        check_site_is_whole(&mut grandchild);
        check_site_is_whole(mother);
    });
}

fn move_to_other_code<'a>(looped: &mut Loop<'a>, pattern: &'a Pattern) {
    put_code(&looped.guest, HOLE_AT, code::guest(&format!("patch_{}", pattern.name)));
    looped.start_pattern(pattern, HOLE_AT, 5);
    looped.warm();
}

/// New sites of both, different ones at the same address.
fn fork_apart(backend: Backend) {
    let mut mother = Loop::open(Platform::options().backend(backend), find("mov_eax"));
    mother.warm();
    let mut child = fork_of(&mother);
    move_to_other_code(&mut mother, find("libc_wrapper"));
    move_to_other_code(&mut child, find("movabs"));
    check_still_patched(&mut mother);
    check_still_patched(&mut child);
    check_site_is_whole(&mut mother);
    check_still_patched(&mut child);
    check_site_is_whole(&mut child);
    drop(child);
    check_site_is_whole(&mut mother);
}

/// Whether it is a call, the instruction pointer and r15, of each step.
fn record_steps(looped: &mut Loop<'_>) -> Vec<(bool, u64, u64)> {
    let mut steps = Vec::new();
    for _ in 0..120 {
        looped.guest.context.regs_mut().set_single_step(true);
        let event = looped.guest.run();
        let is_call = matches!(event, Event::Syscall(_));
        if is_call {
            call(event);
        } else {
            check_exception(&event, libc::SIGTRAP, TRAP_TRACE);
        }
        steps.push((is_call, looped.guest.ip(), looped.guest.context.regs().r15));
    }
    looped.guest.context.regs_mut().set_single_step(false);
    assert_eq!(looped.guest.run_to_call().ip, looped.place("behind"));
    steps
}

/// Stepped, a loop that was patched shows the same instructions as one that never was.
fn steps(backend: Backend) {
    for_each_patched(backend, |looped| {
        require_steps(&looped.guest);
        let mut twin = Loop::open(Platform::options().backend(backend).patching(false), looped.pattern);
        twin.warm();
        let steps = record_steps(looped);
        assert_eq!(steps, record_steps(&mut twin));
        assert!(steps.iter().filter(|(is_call, _, _)| *is_call).count() >= 3);
        assert!(looped.code_is_original());
    });
}

/// It is in its own code, and nowhere that the registers would not fit to.
#[track_caller]
fn check_place(looped: &Loop<'_>) {
    let registers = looped.guest.context.regs();
    let length = code::guest(&looped.code).len() as u64;
    assert!(registers.rip >= looped.at && registers.rip < looped.at + length);
    assert_eq!((registers.rbx, registers.gs_base, registers.cs), (looped.pattern.number, 0, USER_CODE));
    let ahead = looped.r15.wrapping_sub(registers.r15);
    assert!(ahead <= 1, "r15 is {} behind", ahead);
}

/// Each call arrives once and in order, however often the loop is interrupted on its way through the site.
fn interrupts(backend: Backend) {
    for name in ["mov_eax", "movabs", "libc_wrapper", "nops_behind"] {
        let mut looped = Loop::open(Platform::options().backend(backend), find(name));
        looped.warm();
        let over = AtomicBool::new(false);
        let interrupter = looped.guest.context.interrupter();
        let mut interrupts = 0;
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut random = Random::new(1);
                while !over.load(SeqCst) {
                    interrupter.interrupt();
                    (0..random.below(20_000)).for_each(|_| std::hint::spin_loop());
                }
            });
            while interrupts < 100 {
                looped.expect();
                let mut event = looped.guest.run();
                while let Event::Interrupted(_) = event {
                    check_place(&looped);
                    interrupts += 1;
                    event = looped.guest.run();
                }
                looped.answer(event);
            }
            over.store(true, SeqCst);
        });
    }
}

const RUNNERS: usize = 4;
const RUNNER_CALLS: usize = 25;
const FRESH_ROUNDS: usize = 66;

/// A site that nobody has been at; each round the code is new, and some lies in two pages. Four loops stand before it.
fn runners_at_fresh_code<'a>(looped: &mut Loop<'a>, round: usize) -> Vec<Loop<'a>> {
    let pattern = &PATCHED[round % PATCHED.len()];
    let code = code::guest(&format!("patch_{}", pattern.name));
    let at = HOLE_AT + looped.guest.page - round as u64 % code.len() as u64;
    put_code(&looped.guest, at, code);
    looped.start_pattern(pattern, at, 1);
    let runner = |index| {
        let mut runner = looped.with_guest(looped.guest.beside());
        runner.start_at(at, index * 100);
        runner
    };
    (0..RUNNERS as u64).map(runner).collect()
}

fn check_after_round(looped: &Loop<'_>) {
    assert_eq!(looped.code_is_original(), !can_patch(&looped.guest));
}

fn threads(backend: Backend) {
    let mut looped = Loop::open(Platform::options().backend(backend), &PATCHED[0]);
    for round in 0..FRESH_ROUNDS {
        let runners = runners_at_fresh_code(&mut looped, round);
        let start = Barrier::new(RUNNERS);
        thread::scope(|scope| {
            for mut runner in runners {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    runner.calls(RUNNER_CALLS as u64);
                });
            }
        });
        check_after_round(&looped);
    }
    if can_patch(&looped.guest) {
        assert_eq!(looped.guest.platform.stats().unwrap().patch_sites, FRESH_ROUNDS as u64);
    }
}

/// A loop's context is in the queue while it runs; an idle one takes its place.
fn submit_runner(queue: &Queue, runner: &mut Loop<'_>) {
    let idle = Context::new(&runner.guest.platform).unwrap();
    runner.expect();
    submit(queue, std::mem::replace(&mut runner.guest.context, idle), &runner.guest.subprocess);
}

fn queue(backend: Backend) {
    let mut looped = Loop::open(Platform::options().backend(backend), &PATCHED[0]);
    let queue = Queue::new(&looped.guest.platform).unwrap();
    for round in 0..FRESH_ROUNDS {
        let mut runners = runners_at_fresh_code(&mut looped, round);
        for (mark, runner) in (0..).zip(&mut runners) {
            runner.guest.context.set_user_data(mark).unwrap();
            submit_runner(&queue, runner);
        }
        let mut left = RUNNERS;
        while left > 0 {
            let completion = wait_one(&queue);
            let runner = &mut runners[completion.user_data as usize];
            runner.guest.context = completion.context;
            runner.answer(completion.event);
            if runner.calls == RUNNER_CALLS {
                left -= 1;
            } else {
                submit_runner(&queue, runner);
            }
        }
        check_after_round(&looped);
    }
}

/// The kernel looks at the low half of the register alone, patched or not.
fn wide_numbers(backend: Backend) {
    let wide = 0x1234_5678_0000_0000 + GUEST_CALL;
    let mut looped = Loop::open(Platform::options().backend(backend), find("libc_wrapper"));
    looped.guest.context.regs_mut().rbx = wide;
    for _ in 0..WARM_CALLS {
        looped.guest.run_to_call();
        assert_eq!(looped.guest.context.regs().rax, wide);
    }
}
