// SPDX-License-Identifier: Apache-2.0 OR MIT
//! FP state that the embedder sets while a stub thread is about to save its own.

use super::native::{self, Needs};
use crate::cases::cases;
use crate::support::*;
use trapgate::*;

cases! { queue: fp_set_before_submit }

const CONTEXTS: u64 = 6;
const BLOCK: u64 = 4096;
const XMM_AT: usize = 160;
const SSE_BYTES: usize = 256;
const HEADER_AT: usize = 512;

fn pattern(round: u64, mark: u64) -> [u8; SSE_BYTES] {
    [1 + ((round * CONTEXTS + mark) % 251) as u8; SSE_BYTES]
}

/// What is submitted just before makes the stub thread save what it has, to be rid of the context.
fn fp_set_before_submit(backend: Backend) {
    let Guest { mut context, subprocess, platform, .. } = Guest::open(backend, "fp_look");
    // On ptrace a stub thread is stopped when its context is at rest.
    let rounds = if backend == Backend::Ptrace { 1000 } else { 20000 };
    let queue = Queue::new(&platform).unwrap();
    let mut state = context.fpstate().unwrap();
    if native::has(Needs::Xsave) {
        state[HEADER_AT] |= 3;
    }
    let mut contexts: Vec<Context> = (0..CONTEXTS).map(|mark| marked_context(&platform, mark)).collect();
    for context in &mut contexts {
        let out = DATA_AT + BLOCK * context.user_data();
        context.regs_mut().set_argument(1, out);
    }
    for round in 0..rounds {
        for context in &mut contexts {
            state[XMM_AT..XMM_AT + SSE_BYTES].copy_from_slice(&pattern(round, context.user_data()));
            context.set_fpstate(&state).unwrap();
        }
        for context in contexts.drain(..) {
            submit(&queue, context, &subprocess);
        }
        for _ in 0..CONTEXTS {
            let completion = wait_one(&queue);
            call(completion.event);
            let mut seen = [0; SSE_BYTES];
            subprocess.read(DATA_AT + BLOCK * completion.user_data, &mut seen).unwrap();
            assert_eq!(seen, pattern(round, completion.user_data));
            contexts.push(completion.context);
        }
    }
}
