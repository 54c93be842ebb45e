// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Threads of the embedder: who may switch what, and what is left when one ends.

use crate::cases::cases;
use crate::support::*;
use std::thread;
use trapgate::*;

cases! { thread:
    context_migrates, many_one_subprocess, platforms, create_destroy,
}

fn context_migrates(backend: Backend) {
    let mut guest = Guest::open(backend, "counting_calls");
    for number in 1..=60 {
        let call = if number % 3 == 0 { guest.run_to_call() } else { in_thread(|| guest.run_to_call()) };
        assert_eq!(call.args[0], number);
    }
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
