// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Threads of the embedder: who may switch what, and what is left when one ends.

use crate::cases::cases;
use crate::support::*;
use crate::{code, host};
use std::thread;
use trapgate::*;

cases! { thread:
    context_migrates, hand_back, many_one_subprocess, platforms, creator_ends, create_destroy, spinner, shared_memory,
}

fn context_migrates(backend: Backend) {
    let mut guest = Guest::open(backend, "counting_calls");
    for number in 1..=60 {
        let call = if number % 3 == 0 { guest.run_to_call() } else { in_thread(|| guest.run_to_call()) };
        assert_eq!(call.args[0], number);
    }
}

/// The stub threads of ended embedder threads are used again: their number does not follow ours.
fn hand_back(backend: Backend) {
    let mut guest = Guest::open(backend, "counting_calls");
    let pid = guest.subprocess.pid().unwrap();
    let mut after_ten = 0;
    for number in 1..=200 {
        assert_eq!(in_thread(|| guest.run_to_call()).args[0], number);
        if number == 10 {
            after_ten = host::thread_count(pid);
        }
    }
    assert!(host::thread_count(pid) <= after_ten + 4);
    assert!(guest.platform.stats().unwrap().stub_threads <= after_ten as u64 + 8);
}

fn run_own_context(platform: &Platform, subprocess: &Subprocess, rounds: u64) {
    let mut context = started_context(platform);
    for number in 1..=rounds {
        assert_eq!(call(context.switch(subprocess).unwrap()).args[0], number);
    }
}

fn many_one_subprocess(backend: Backend) {
    let guest = Guest::open(backend, "counting_calls");
    let (platform, subprocess) = (&guest.platform, &guest.subprocess);
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(move || run_own_context(platform, subprocess, 100));
        }
    });
    assert_eq!(platform.stats().unwrap().contexts, 1);
}

fn platforms(backend: Backend) {
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(move || Guest::open(backend, "counting_calls").run_to_call());
        }
    });
}

/// The thread that opened, created and switched is gone; everything works from others.
fn creator_ends(backend: Backend) {
    let mut guest = in_thread(move || {
        let mut guest = Guest::open(backend, "counting_calls");
        guest.run_to_call();
        guest
    });
    assert_eq!(guest.run_to_call().args[0], 2);
    map_pages(&guest.subprocess, HOLE_AT, guest.page, RW);
    store(&guest.subprocess, HOLE_AT, 1);
    assert_eq!(in_thread(|| guest.run_to_call()).args[0], 3);
    in_thread(move || drop(guest));
}

fn create_destroy(backend: Backend) {
    let platform = open_platform(backend);
    let create = || {
        for _ in 0..20 {
            run_own_context(&platform, &loaded_subprocess(&platform, "counting_calls"), 2);
        }
    };
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(create);
        }
    });
    let stats = platform.stats().unwrap();
    assert_eq!((stats.subprocesses, stats.contexts), (0, 0));
}

/// A guest that never calls does not keep the others of its subprocess, or of the platform, from running.
fn spinner(backend: Backend) {
    let mut guest = Guest::open(backend, "counting_calls");
    load_code(&guest.subprocess, OTHER_CODE_AT, code::guest("spin_counting"));
    let Guest { context, subprocess, platform, .. } = &mut guest;
    let subprocess = &*subprocess;
    thread::scope(|scope| {
        let mut spinners = Vec::new();
        for index in 0..4 {
            let mut spinner = started_at(platform, OTHER_CODE_AT);
            spinner.regs_mut().set_argument(0, DATA_AT + 8 * index);
            let interrupter = spinner.interrupter();
            spinners.push((interrupter, scope.spawn(move || spinner.switch(subprocess).unwrap())));
        }
        for index in 0..4 {
            wait_change(subprocess, DATA_AT + 8 * index, 0);
        }
        for number in 1..=100 {
            assert_eq!(call(context.switch(subprocess).unwrap()).args[0], number);
        }
        for (interrupter, runner) in spinners {
            interrupter.interrupt();
            check_interrupted(&runner.join().unwrap());
        }
    });
}

/// Two guests that wait for each other's word can only end when both run at the same time or in turns.
fn shared_memory(backend: Backend) {
    let mut waiting = Guest::open(backend, "wait_for_word");
    load_code(&waiting.subprocess, OTHER_CODE_AT, code::guest("write_calls"));
    waiting.set_argument(0, DATA_AT);
    let event = waiting.run_beside(|beside| {
        let mut writing = started_at(beside.platform, OTHER_CODE_AT);
        writing.regs_mut().set_argument(0, DATA_AT);
        writing.regs_mut().set_argument(1, 1);
        call(writing.switch(beside.subprocess).unwrap());
    });
    call(event);
}
