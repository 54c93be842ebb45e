// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What an embedder does not fetch, or never sleeps for, is lost to nobody.

use crate::cases::cases;
use crate::support::*;
use crate::{code, host};
use std::thread::available_parallelism;
use trapgate::*;

cases! { queue: destroy_keeps_calls, destroy_keeps_interrupts, poll_only }

const ROUNDS: u64 = 20;

/// Who has found the event that nobody fetches.
#[derive(Clone, Copy, PartialEq)]
enum Finder {
    Nobody,
    Descriptor,
    OtherQueue,
}

const FINDERS: [Finder; 3] = [Finder::Nobody, Finder::Descriptor, Finder::OtherQueue];

/// Runs the context in a queue that goes with its event, and gives it back.
fn run_and_drop(
    platform: &Platform,
    subprocess: &Subprocess,
    context: Context,
    finder: Finder,
    interrupt: bool,
) -> Context {
    let queue = Queue::new(platform).unwrap();
    let interrupter = context.interrupter();
    submit(&queue, context, subprocess);
    if interrupt {
        interrupter.interrupt();
    }
    if finder == Finder::Descriptor {
        assert!(host::readable(&queue.fd().unwrap(), None));
    } else {
        host::sleep_us(1000);
    }
    if finder == Finder::OtherQueue {
        // Its waiter comes by what the other context has left.
        let other = Queue::new(platform).unwrap();
        submit(&other, started_context(platform), subprocess);
        call(wait_one(&other).event);
    }
    queue.into_contexts().remove(0)
}

fn destroy_keeps_calls(backend: Backend) {
    let Guest { mut context, subprocess, platform, .. } = Guest::open(backend, "counting_calls");
    let mut calls = 0;
    for _ in 0..ROUNDS {
        for finder in FINDERS {
            context = run_and_drop(&platform, &subprocess, context, finder, false);
            calls += 1;
            assert_eq!(call(context.switch(&subprocess).unwrap()).args[0], calls);
        }
    }
}

/// It was answered, by an event that nobody fetches: the next run answers it.
fn destroy_keeps_interrupts(backend: Backend) {
    let Guest { mut context, subprocess, platform, .. } = Guest::open(backend, "call_loop");
    load_code(&subprocess, OTHER_CODE_AT, code::guest("spin"));
    for _ in 0..ROUNDS {
        for finder in FINDERS {
            context.start(OTHER_CODE_AT, STACK_TOP).unwrap();
            context = run_and_drop(&platform, &subprocess, context, finder, true);
            context.start(CODE_AT, STACK_TOP).unwrap();
            check_interrupted(&context.switch(&subprocess).unwrap());
            call(context.switch(&subprocess).unwrap());
        }
    }
}

/// As many spinners as there are processors keep all stub threads busy, unless somebody takes them away.
fn poll_only(backend: Backend) {
    let Guest { mut context, subprocess, platform, .. } = Guest::open(backend, "counting_calls");
    load_code(&subprocess, OTHER_CODE_AT, code::guest("spin"));
    let queue = Queue::new(&platform).unwrap();
    context.set_user_data(1).unwrap();
    for _ in 0..available_parallelism().unwrap().get() {
        submit(&queue, started_at(&platform, OTHER_CODE_AT), &subprocess);
    }
    for number in 1..=ROUNDS {
        submit(&queue, context, &subprocess);
        // Without an end if it never gets a turn; then the case's time limit is one.
        let completion = loop {
            if let Some(completion) = queue.wait(1, Some(NO_TIME)).unwrap().pop() {
                break completion;
            }
        };
        assert_eq!(completion.user_data, 1);
        assert_eq!(call(completion.event).args[0], number);
        context = completion.context;
    }
}
