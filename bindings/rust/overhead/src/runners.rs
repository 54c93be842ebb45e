// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Calls per second of many guests in one subprocess: a task each with a `Runner`, beside a thread each, and beside tasks
//! that submit to a queue on which a thread waits. The last two are the floor, whichever is faster.

use crate::executor::{run_all, BoxFuture};
use crate::{guest, Settings};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context as Polled, Poll, Waker};
use std::thread;
use std::time::Instant;
use trapgate::{Context, Event, Platform, Queue, Runner, Subprocess};

const LEAST_AT_ONCE: usize = 2000;
const MOST_AT_ONCE: usize = 100_000;
const LEAST_TURNS: f64 = 3.0;

pub struct Rates {
    pub value: f64,
    pub floor: f64,
}

struct Guests {
    platform: Platform,
    subprocess: Arc<Subprocess>,
    contexts: Vec<Context>,
}

impl Guests {
    fn open(settings: &Settings, count: usize) -> trapgate::Result<Self> {
        let (platform, subprocess, context) = guest(settings.backend)?;
        let mut contexts = vec![context];
        while contexts.len() < count {
            let mut context = Context::new(&platform)?;
            context.copy_from(&contexts[0])?;
            contexts.push(context);
        }
        Ok(Guests { platform, subprocess: Arc::new(subprocess), contexts })
    }

    /// So many calls in all, by a future for each context, which gives it back.
    fn tasks<F>(&mut self, calls: usize, serve: impl Fn(Context, Arc<Subprocess>, usize) -> F) -> f64
    where
        F: Future<Output = Context> + Send + 'static,
    {
        let each = calls / self.contexts.len();
        let done = Arc::new(Mutex::new(Vec::new()));
        let futures = self.contexts.drain(..).map(|context| -> BoxFuture {
            let (done, served) = (Arc::clone(&done), serve(context, Arc::clone(&self.subprocess), each));
            Box::pin(async move {
                let context = served.await;
                done.lock().unwrap().push(context);
            })
        });
        let futures: Vec<BoxFuture> = futures.collect();
        let count = futures.len();
        let start = Instant::now();
        run_all(futures);
        let rate = (each * count) as f64 / start.elapsed().as_secs_f64();
        self.contexts.append(&mut done.lock().unwrap());
        rate
    }

    fn runner(&mut self, calls: usize) -> f64 {
        let runner = Runner::new(&self.platform).unwrap();
        self.tasks(calls, |context, subprocess, each| {
            let mut guest = runner.adopt(context);
            async move {
                for _ in 0..each {
                    check(&guest.switch(&subprocess).await.unwrap());
                    guest.context().unwrap().set_return(0).unwrap();
                }
                guest.into_context().unwrap()
            }
        })
    }

    fn threads(&mut self, calls: usize) -> f64 {
        let (each, subprocess) = (calls / self.contexts.len(), &self.subprocess);
        let count = self.contexts.len();
        let start = Instant::now();
        thread::scope(|scope| {
            for context in self.contexts.iter_mut() {
                scope.spawn(move || {
                    for _ in 0..each {
                        check(&context.switch(subprocess).unwrap());
                        context.set_return(0).unwrap();
                    }
                });
            }
        });
        (each * count) as f64 / start.elapsed().as_secs_f64()
    }

    fn queue(&mut self, calls: usize) -> f64 {
        let queue = Arc::new(Queue::new(&self.platform).unwrap());
        let slots: Arc<Vec<Mutex<Slot>>> = Arc::new(self.contexts.iter().map(|_| Mutex::default()).collect());
        for (index, context) in self.contexts.iter_mut().enumerate() {
            context.set_user_data(index as u64).unwrap();
        }
        let (waited, served) = (Arc::clone(&queue), Arc::clone(&slots));
        let all = calls / self.contexts.len() * self.contexts.len();
        let waiter = thread::spawn(move || wait_for_all(&waited, &served, all));
        let rate = self.tasks(calls, |mut context, subprocess, each| {
            let (queue, slots) = (Arc::clone(&queue), Arc::clone(&slots));
            async move {
                for _ in 0..each {
                    let index = context.user_data() as usize;
                    queue.submit(context, &subprocess).unwrap();
                    context = Arrival(&slots[index]).await;
                    context.set_return(0).unwrap();
                }
                context
            }
        });
        waiter.join().unwrap();
        rate
    }
}

fn check(event: &Event) {
    assert!(matches!(event, Event::Syscall(_)), "{:?}", event);
}

#[derive(Default)]
struct Slot {
    came: Option<Context>,
    waker: Option<Waker>,
}

struct Arrival<'a>(&'a Mutex<Slot>);

impl Future for Arrival<'_> {
    type Output = Context;

    fn poll(self: Pin<&mut Self>, polled: &mut Polled<'_>) -> Poll<Context> {
        let mut slot = self.0.lock().unwrap();
        match slot.came.take() {
            Some(context) => Poll::Ready(context),
            None => {
                slot.waker = Some(polled.waker().clone());
                Poll::Pending
            }
        }
    }
}

fn wait_for_all(queue: &Queue, slots: &[Mutex<Slot>], mut left: usize) {
    while left > 0 {
        for completion in queue.wait(Queue::MOST_EVENTS, None).unwrap() {
            left -= 1;
            check(&completion.event);
            let waker = {
                let mut slot = slots[completion.user_data as usize].lock().unwrap();
                slot.came = Some(completion.context);
                slot.waker.take()
            };
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

fn upper_quartile(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[(0.75 * (rates.len() - 1) as f64 + 0.5) as usize]
}

/// Both ways in turns. The first turns only warm them up, and say how many calls the others have time for.
fn in_turns(guests: &mut Guests, seconds: f64, floor: fn(&mut Guests, usize) -> f64) -> Rates {
    let mut calls = LEAST_AT_ONCE.max(guests.contexts.len());
    for _ in 0..2 {
        let start = Instant::now();
        floor(guests, calls);
        guests.runner(calls);
        let possible = calls as f64 * seconds / start.elapsed().as_secs_f64() / LEAST_TURNS;
        calls = (possible as usize).clamp(LEAST_AT_ONCE, MOST_AT_ONCE);
    }
    let (mut floors, mut values) = (Vec::new(), Vec::new());
    let start = Instant::now();
    while floors.is_empty() || start.elapsed().as_secs_f64() < seconds {
        floors.push(floor(guests, calls));
        values.push(guests.runner(calls));
    }
    Rates { value: upper_quartile(values), floor: upper_quartile(floors) }
}

pub(crate) fn measure(settings: &Settings, count: usize) -> trapgate::Result<Rates> {
    let ways: [fn(&mut Guests, usize) -> f64; 2] = [Guests::threads, Guests::queue];
    let mut best = Rates { value: 0.0, floor: 0.0 };
    for way in ways {
        let rates = in_turns(&mut Guests::open(settings, count)?, settings.seconds, way);
        if rates.floor > best.floor {
            best = rates;
        }
    }
    Ok(best)
}
