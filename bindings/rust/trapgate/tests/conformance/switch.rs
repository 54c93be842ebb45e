// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A switch: what goes in, what comes out, and where contexts and subprocesses meet.

use crate::cases::cases;
use crate::support::*;
use std::time::Duration;
use trapgate::*;

cases! { switch:
    statistics_calls, spin_ns, set_spin, latency,
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
    assert_eq!(patched_calls(options.patching(false).placement(false)), (0, false));
}

fn spin_ns(backend: Backend) {
    for time in [Duration::from_nanos(1), Duration::from_millis(1), Duration::MAX] {
        let mut guest = Guest::open_with(Platform::options().backend(backend).spin(time), "counting_calls");
        for number in 1..=10 {
            assert_eq!(guest.run_to_call().args[0], number);
        }
    }
}

fn set_spin(backend: Backend) {
    let mut guest = Guest::open(backend, "counting_calls");
    for (number, nanoseconds) in [1, 0, 1_000_000, 1, u64::MAX].iter().enumerate() {
        guest.platform.set_spin(Duration::from_nanos(*nanoseconds)).unwrap();
        assert_eq!(guest.run_to_call().args[0], number as u64 + 1);
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
