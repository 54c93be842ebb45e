// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A switch, and the queue with one and with sixteen contexts, on both backends.

use criterion::{criterion_group, criterion_main, Criterion};
use std::time::{Duration, Instant};
use trapgate::{Backend, Context, Event, Mapping, Platform, Protection, Queue, Subprocess};

const CODE_AT: u64 = 0x10000;

#[cfg(target_arch = "x86_64")]
const CODE: &[u8] = b"\xb8\x27\0\0\0\x0f\x05\xeb\xf7"; // again: mov $39, %eax; syscall; jmp again
#[cfg(target_arch = "aarch64")]
const CODE: &[u8] = b"\x88\x15\x80\xd2\x01\0\0\xd4\xfe\xff\xff\x17"; // again: mov x8, #172; svc #0; b again

fn open(backend: Backend) -> trapgate::Result<(Platform, Subprocess)> {
    let platform = Platform::options().backend(backend).open()?;
    let subprocess = Subprocess::new(&platform)?;
    subprocess.map(CODE_AT, 4096, Protection::READ | Protection::WRITE, Mapping::zeros())?;
    subprocess.write(CODE_AT, CODE)?;
    subprocess.protect(CODE_AT, 4096, Protection::READ | Protection::EXECUTE)?;
    Ok((platform, subprocess))
}

fn caller(platform: &Platform) -> trapgate::Result<Context> {
    let mut context = Context::new(platform)?;
    context.start(CODE_AT, 0)?;
    Ok(context)
}

fn switch(criterion: &mut Criterion, name: &str, backend: Backend) {
    let (platform, subprocess) = open(backend).unwrap();
    let mut context = caller(&platform).unwrap();
    criterion.bench_function(&format!("switch/{}", name), |bencher| {
        bencher.iter(|| match context.switch(&subprocess) {
            Ok(Event::Syscall(_)) => context.set_return(0).unwrap(),
            other => panic!("{:?}", other),
        })
    });
}

/// The time for so many events of contexts that are submitted again and again.
fn drive(queue: &Queue, subprocess: &Subprocess, events: u64) -> Duration {
    let start = Instant::now();
    let mut completions = Vec::new();
    let mut seen = 0;
    while seen < events {
        seen += queue.wait_into(&mut completions, Queue::MOST_EVENTS, None).unwrap() as u64;
        for mut completion in completions.drain(..) {
            completion.context.set_return(0).unwrap();
            queue.submit(completion.context, subprocess).unwrap();
        }
    }
    start.elapsed()
}

fn queue(criterion: &mut Criterion, name: &str, backend: Backend, contexts: usize) {
    let (platform, subprocess) = open(backend).unwrap();
    let queue = Queue::new(&platform).unwrap();
    for _ in 0..contexts {
        queue.submit(caller(&platform).unwrap(), &subprocess).unwrap();
    }
    criterion.bench_function(&format!("queue/{}/{}", name, contexts), |bencher| {
        bencher.iter_custom(|events| drive(&queue, &subprocess, events))
    });
}

fn all(criterion: &mut Criterion) {
    for (name, backend) in [("systrap", Backend::Systrap), ("ptrace", Backend::Ptrace)] {
        match backend.probe() {
            Ok(probe) if probe.available => (),
            other => {
                eprintln!("{} is left out: {:?}", name, other);
                continue;
            }
        }
        switch(criterion, name, backend);
        queue(criterion, name, backend, 1);
        queue(criterion, name, backend, 16);
    }
}

fn short() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(20)
}

criterion_group! { name = benches; config = short(); targets = all }
criterion_main!(benches);
