// SPDX-License-Identifier: Apache-2.0 OR MIT
//! An executor of a few lines: as many threads as there are processors, and one queue of tasks that are ready.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Wake, Waker};
use std::thread;

pub type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

struct Task {
    future: Mutex<Option<BoxFuture>>,
    queued: AtomicBool,
    ready: Arc<Ready>,
}

#[derive(Default)]
struct State {
    tasks: VecDeque<Arc<Task>>,
    left: usize,
}

#[derive(Default)]
struct Ready {
    state: Mutex<State>,
    changed: Condvar,
}

impl Ready {
    fn next(&self) -> Option<Arc<Task>> {
        let mut state = self.state.lock().unwrap();
        loop {
            if state.left == 0 {
                return None;
            }
            match state.tasks.pop_front() {
                Some(task) => return Some(task),
                None => state = self.changed.wait(state).unwrap(),
            }
        }
    }

    fn one_is_over(&self) {
        let mut state = self.state.lock().unwrap();
        state.left -= 1;
        if state.left == 0 {
            self.changed.notify_all();
        }
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        if !self.queued.swap(true, Ordering::SeqCst) {
            let ready = Arc::clone(&self.ready);
            ready.state.lock().unwrap().tasks.push_back(self);
            ready.changed.notify_one();
        }
    }
}

fn work(ready: &Ready) {
    while let Some(task) = ready.next() {
        task.queued.store(false, Ordering::SeqCst);
        let mut future = task.future.lock().unwrap();
        let waker = Waker::from(Arc::clone(&task));
        let over = match future.as_mut() {
            Some(running) => running.as_mut().poll(&mut Context::from_waker(&waker)).is_ready(),
            None => false,
        };
        if over {
            *future = None;
            ready.one_is_over();
        }
    }
}

/// Runs them all to their ends.
pub fn run_all(futures: Vec<BoxFuture>) {
    let ready = Arc::new(Ready::default());
    ready.state.lock().unwrap().left = futures.len();
    for future in futures {
        let task = Task {
            future: Mutex::new(Some(future)),
            queued: AtomicBool::new(false),
            ready: Arc::clone(&ready),
        };
        Arc::new(task).wake();
    }
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| work(&ready));
        }
    });
}
