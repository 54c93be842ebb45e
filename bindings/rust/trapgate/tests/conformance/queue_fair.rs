// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Subprocesses of a queue beside one that always has events: their share of them, and of what keeps them going.

use crate::cases::cases;
use crate::support::*;
use crate::{code, host};
use std::sync::Barrier;
use std::thread;
use trapgate::*;

cases! { queue: fair_one, fair_many, fair_interrupted, fair_fd, fair_backlog, threads, fd_beside_wake }

const ROUNDS: usize = 40;
/// Of a millisecond each, at most.
const SETTLE_LOOKS: usize = 100;

/// Contexts of one subprocess that make calls for ever.
struct Crowd {
    subprocess: Subprocess,
    callers: usize,
    /// Before each submit.
    interrupted: bool,
    events: usize,
}

/// A queue, and the crowds that share it.
struct Market {
    queue: Queue,
    crowds: Vec<Crowd>,
    /// Of each caller: its crowd, and the word that it writes to before it calls.
    callers: Vec<(usize, u64)>,
    platform: Platform,
}

impl Market {
    fn open(backend: Backend) -> Self {
        let platform = open_platform(backend);
        let queue = Queue::new(&platform).unwrap();
        // From now on this thread starts what it submits, also where only one that has waited does.
        wait_nothing(&queue, NO_TIME);
        Market { queue, crowds: Vec::new(), callers: Vec::new(), platform }
    }

    fn add(&mut self, callers: usize, interrupted: bool) {
        let subprocess = loaded_subprocess(&self.platform, "write_calls");
        self.crowds.push(Crowd { subprocess, callers, interrupted, events: 0 });
        for i in 0..callers as u64 {
            self.callers.push((self.crowds.len() - 1, DATA_AT + 8 * i));
        }
    }

    fn submit(&self, context: Context) {
        let (crowd, word) = self.callers[context.user_data() as usize];
        let crowd = &self.crowds[crowd];
        store(&crowd.subprocess, word, 0);
        if crowd.interrupted {
            context.interrupter().interrupt();
        }
        submit(&self.queue, context, &crowd.subprocess);
    }

    fn submit_all(&self) {
        for (mark, (_, word)) in self.callers.iter().enumerate() {
            let mut context = marked_context(&self.platform, mark as u64);
            context.regs_mut().set_argument(0, *word);
            context.regs_mut().set_argument(1, 1);
            self.submit(context);
        }
    }

    fn all_have_called(&self) -> bool {
        self.callers.iter().all(|(crowd, word)| {
            let crowd = &self.crowds[*crowd];
            crowd.interrupted || load(&crowd.subprocess, *word) != 0
        })
    }

    /// The embedder has something else to do: whoever can leave an event has left one.
    fn settle(&self) {
        for _ in 0..SETTLE_LOOKS {
            host::sleep_us(1000);
            if self.all_have_called() {
                return;
            }
        }
    }

    fn serve(&mut self, capacity: usize) {
        for completion in self.queue.wait(capacity, None).unwrap() {
            let crowd = &mut self.crowds[self.callers[completion.user_data as usize].0];
            if crowd.interrupted {
                check_interrupted(&completion.event);
            } else {
                call(completion.event);
            }
            crowd.events += 1;
            self.submit(completion.context);
        }
    }

    /// A quarter of what each crowd could have if all shared alike, and its callers were enough.
    fn serve_fairly(&mut self, capacity: usize) {
        self.submit_all();
        for _ in 0..ROUNDS {
            self.settle();
            self.serve(capacity);
        }
        for crowd in &self.crowds {
            let share = (1000 * capacity / self.crowds.len()).min(1000 * crowd.callers);
            assert!(
                4000 * crowd.events >= ROUNDS * share,
                "{} callers, capacity {}: {} events in {} rounds",
                crowd.callers,
                capacity,
                crowd.events,
                ROUNDS
            );
        }
    }
}

fn fair_one(backend: Backend) {
    for (capacity, callers) in [(8, 16), (16, 48), (1, 4), (2, 16)] {
        for sizes in [[1, callers], [callers, 1]] {
            let mut market = Market::open(backend);
            sizes.iter().for_each(|size| market.add(*size, false));
            market.serve_fairly(capacity);
        }
    }
}

fn fair_many(backend: Backend) {
    for capacity in 1..=3 {
        let mut market = Market::open(backend);
        (0..5).for_each(|_| market.add(4, false));
        market.serve_fairly(capacity);
    }
}

/// Their events are there before they run.
fn fair_interrupted(backend: Backend) {
    for capacity in [1, 2, 4, 8] {
        let mut market = Market::open(backend);
        market.add(1, false);
        market.add(16, true);
        market.serve_fairly(capacity);
    }
}

fn fair_fd(backend: Backend) {
    for sizes in [[1, 24], [24, 1]] {
        let mut market = Market::open(backend);
        market.queue.fd().unwrap();
        sizes.iter().for_each(|size| market.add(*size, false));
        market.serve_fairly(2);
    }
}

/// As many computing contexts as processors keep all stub threads of the caller's subprocess, unless somebody sees to it.
fn fair_backlog(backend: Backend) {
    let mut market = Market::open(backend);
    market.add(16, false);
    market.add(1, false);
    load_code(&market.crowds[1].subprocess, OTHER_CODE_AT, code::guest("spin"));
    for _ in 0..thread::available_parallelism().unwrap().get() {
        submit(&market.queue, started_at(&market.platform, OTHER_CODE_AT), &market.crowds[1].subprocess);
    }
    market.submit_all();
    // Without an end if the caller never gets a turn; then the case's time limit is one.
    while market.crowds[1].events < 10 {
        host::sleep_us(5000);
        market.serve(2);
    }
}

fn threads(backend: Backend) {
    const SUBPROCESSES: u64 = 48;
    if backend != Backend::Systrap {
        skip("on this backend the thread that waits makes one stub thread for each context that runs");
    }
    let market = Market::open(backend);
    let before = market.platform.stats().unwrap().stub_threads;
    let mut kept = Vec::new();
    for _ in 0..SUBPROCESSES {
        let subprocess = loaded_subprocess(&market.platform, "call_loop");
        submit(&market.queue, started_context(&market.platform), &subprocess);
        kept.push(subprocess);
        let completion = loop {
            if let Some(completion) = market.queue.wait(1, Some(NO_TIME)).unwrap().pop() {
                break completion;
            }
        };
        call(completion.event);
    }
    let threads = market.platform.stats().unwrap().stub_threads - before;
    assert!(threads >= 2 * SUBPROCESSES, "{} threads", threads);
    assert!(threads - 2 * SUBPROCESSES <= SUBPROCESSES / 4, "{} threads", threads);
}

/// Whichever comes first, the descriptor shows it.
fn fd_beside_wake(backend: Backend) {
    let platform = open_platform(backend);
    for _ in 0..50 {
        let queue = Queue::new(&platform).unwrap();
        let both = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                both.wait();
                queue.wake();
            });
            both.wait();
            queue.fd().unwrap();
        });
        assert!(host::readable(&queue.fd().unwrap(), Some(NO_TIME)));
        assert!(queue.wait(1, None).unwrap().is_empty());
    }
}
