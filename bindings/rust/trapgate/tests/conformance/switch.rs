// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A switch: what goes in, what comes out, and where contexts and subprocesses meet.

use crate::cases::cases;
use crate::support::*;
use std::time::Duration;
use trapgate::*;

cases! { switch:
    several_platforms, statistics, statistics_calls, spin_ns, latency,
}

fn several_platforms(backend: Backend) {
    let mut first = Guest::open(backend, "counting_calls");
    let mut second = Guest::open(backend, "counting_calls");
    first.run_to_call();
    second.run_to_call();
    first.run_to_call();
    fails(first.context.switch(&second.subprocess), libc::EINVAL);
    drop(first);
    assert_eq!(second.run_to_call().args[0], 2);
}

fn statistics(backend: Backend) {
    let mut guest = Guest::open(backend, "read_calls");
    guest.set_argument(0, DATA_AT);
    let before = guest.platform.stats().unwrap();
    guest.run_to_call();
    guest.set_argument(0, HOLE_AT);
    assert!(matches!(guest.run(), Event::Fault(_)));
    guest.context.interrupt();
    check_interrupted(&guest.run());
    let after = guest.platform.stats().unwrap();
    assert_eq!((after.subprocesses, after.contexts), (1, 1));
    assert_eq!(after.syscalls - before.syscalls, 1);
    assert_eq!(after.faults - before.faults, 1);
    assert_eq!(after.interrupts - before.interrupts, 1);
    assert!(after.switches - before.switches >= 2);
}

/// How many of a hundred calls were patched, and whether patching is there at all.
fn patched_calls(options: Options) -> (u64, bool) {
    let mut guest = Guest::open_with(options, "counting_calls");
    for _ in 0..100 {
        guest.run_to_call();
    }
    let stats = guest.platform.stats().unwrap();
    assert_eq!(stats.syscalls, 100);
    assert_eq!(stats.patched_calls + stats.unpatched_calls, 100);
    assert_eq!(stats.patch_sites, stats.patch_sites_before + stats.patch_sites_after);
    assert_eq!(stats.patch_sites > 0, stats.patched_calls > 0);
    (stats.patched_calls, guest.platform.info().unwrap().capabilities.patching())
}

fn statistics_calls(backend: Backend) {
    let options = Platform::options().backend(backend);
    let (patched, could) = patched_calls(options.clone());
    assert!(could || patched == 0);
    assert_eq!(patched_calls(options.patching(false)), (0, false));
}

fn spin_ns(backend: Backend) {
    for time in [Duration::from_nanos(1), Duration::from_millis(1), Duration::MAX] {
        let mut guest = Guest::open_with(Platform::options().backend(backend).spin(time), "counting_calls");
        for number in 1..=10 {
            assert_eq!(guest.run_to_call().args[0], number);
        }
    }
}

fn latencies(platform: &Platform) -> u64 {
    platform.stats().unwrap().switch_latency.iter().sum()
}

fn latency(backend: Backend) {
    let mut guest = Guest::open(backend, "counting_calls");
    guest.run_to_call();
    assert_eq!(latencies(&guest.platform), 0);

    let mut guest = Guest::open_with(Platform::options().backend(backend).latency(true), "counting_calls");
    assert_eq!(latencies(&guest.platform), 0);
    for _ in 0..10 {
        guest.run_to_call();
    }
    assert_eq!(latencies(&guest.platform), 10);
    let queue = Queue::new(&guest.platform).unwrap();
    submit(&queue, guest.context, &guest.subprocess);
    wait_one(&queue);
    assert_eq!(latencies(&guest.platform), 11);
}
