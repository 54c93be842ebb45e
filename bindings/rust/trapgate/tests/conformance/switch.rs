// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A switch: what goes in, what comes out, and where contexts and subprocesses meet.

use crate::cases::cases;
use crate::host;
use crate::support::*;
use std::thread;
use std::time::Duration;
use trapgate::*;

const MANY: u64 = 4200;
const MEASURED_CALLS: u64 = 50;
const DELAY: Duration = Duration::from_millis(40);
const DELAY_BUCKET: usize = 24; // from 17 ms on
const DELAY_TRIES: usize = 50;

cases! { switch:
    starts_where_told, empty_space, registers_call, registers_fault, embedder_moves_guest, partial_restore,
    many_contexts, many_subprocesses, thousands_of_contexts, copy, start_again, several_platforms, statistics,
    statistics_calls, spin_ns, latency, latency_handoffs,
}

fn starts_where_told(backend: Backend) {
    let mut guest = Guest::open(backend, "call_loop");
    assert_eq!((guest.ip(), guest.sp()), (CODE_AT, STACK_TOP));
    guest.run_to_call();
    assert_eq!(guest.sp(), STACK_TOP);
}

fn empty_space(backend: Backend) {
    let platform = open_platform(backend);
    let subprocess = Subprocess::new(&platform).unwrap();
    let mut context = started_context(&platform);
    let event = context.switch(&subprocess).unwrap();
    let fault = check_fault(&event, CODE_AT, Access::Execute, SIGSEGV, SEGV_MAPERR);
    assert_eq!((fault.ip, context.regs().instruction_pointer()), (CODE_AT, CODE_AT));
}

fn inverted(words: Vec<u64>) -> Vec<u64> {
    words.into_iter().map(|word| !word).collect()
}

fn registers_call(backend: Backend) {
    let mut guest = Guest::open(backend, "invert_then_call");
    for seed in 0..100 {
        fill_registers(&mut guest.context, seed);
        let before = words(&guest.context, true);
        assert!(matches!(guest.run(), Event::Syscall(_)));
        assert_eq!(words(&guest.context, true), inverted(before));
    }
}

fn registers_fault(backend: Backend) {
    let mut guest = Guest::open(backend, "invert_then_fault");
    for seed in 0..100 {
        guest.restart();
        fill_registers(&mut guest.context, seed);
        let before = words(&guest.context, false);
        let event = guest.run();
        let fault = check_fault(&event, 0, Access::Write, SIGSEGV, SEGV_MAPERR);
        assert_eq!(fault.ip, place("invert_then_fault", "invert_then_fault_at"));
        assert_eq!(guest.ip(), fault.ip);
        assert_eq!(words(&guest.context, false), inverted(before));
    }
}

fn embedder_moves_guest(backend: Backend) {
    let mut guest = Guest::open(backend, "counting_calls");
    for _ in 0..3 {
        assert_eq!(guest.run_to_call().args[0], 1);
        guest.context.regs_mut().set_instruction_pointer(CODE_AT);
    }
}

fn partial_restore(backend: Backend) {
    let mut guest = Guest::open(backend, "read_calls");
    guest.set_argument(0, HOLE_AT);
    check_fault(&guest.run(), HOLE_AT, Access::Read, SIGSEGV, SEGV_MAPERR);
    store(&guest.subprocess, DATA_AT, 77);
    guest.set_argument(0, DATA_AT);
    assert_eq!(guest.run_to_call().args[1], 77);
}

fn many_contexts(backend: Backend) {
    let guest = Guest::open(backend, "counting_calls");
    let mut contexts: Vec<Context> = (0..100).map(|_| started_context(&guest.platform)).collect();
    for round in 1..=5 {
        for context in &mut contexts {
            assert_eq!(call(context.switch(&guest.subprocess).unwrap()).args[0], round);
        }
    }
}

fn many_subprocesses(backend: Backend) {
    let platform = open_platform(backend);
    let subprocesses: Vec<Subprocess> = (0..16).map(|_| loaded_subprocess(&platform, "read_calls")).collect();
    let mut context = started_context(&platform);
    for (mark, subprocess) in (1000..).zip(&subprocesses) {
        store(subprocess, DATA_AT, mark);
    }
    context.regs_mut().set_argument(0, DATA_AT);
    for _ in 0..5 {
        for (mark, subprocess) in (1000..).zip(&subprocesses) {
            assert_eq!(call(context.switch(subprocess).unwrap()).args[1], mark);
        }
    }
}

fn thousands_of_contexts(backend: Backend) {
    let guest = Guest::open(backend, "counting_calls");
    let mut contexts: Vec<Context> = (0..MANY).map(|mark| marked_context(&guest.platform, mark)).collect();
    assert_eq!(guest.platform.stats().unwrap().contexts, MANY + 1);
    for (mark, context) in (0..).zip(&mut contexts) {
        assert_eq!(call(context.switch(&guest.subprocess).unwrap()).args[0], 1);
        assert_eq!(context.user_data(), mark);
    }
    drop(contexts);
    assert_eq!(guest.platform.stats().unwrap().contexts, 1);
}

fn copy(backend: Backend) {
    let mut guest = Guest::open(backend, "counting_calls");
    guest.run_to_call();
    guest.run_to_call();
    let mut copy = Context::new(&guest.platform).unwrap();
    copy.copy_from(&guest.context).unwrap();
    copy.set_return(0).unwrap();
    assert_eq!(call(copy.switch(&guest.subprocess).unwrap()).args[0], 3);
    assert_eq!(guest.run_to_call().args[0], 3);
}

fn start_again(backend: Backend) {
    let mut guest = Guest::open(backend, "call_loop");
    fill_registers(&mut guest.context, 3);
    guest.context.set_tls(DATA_AT).unwrap();
    guest.restart();
    assert!(words(&guest.context, false).iter().all(|word| [0, STACK_TOP].contains(word)));
    assert_eq!(guest.ip(), CODE_AT);
    assert_eq!(guest.context.tls().unwrap(), 0);
    guest.run_to_call();
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

fn handoffs(platform: &Platform) -> (u64, u64) {
    let stats = platform.stats().unwrap();
    (stats.resume_latency.iter().sum(), stats.event_latency.iter().sum())
}

fn handoffs_unmeasured(options: Options) {
    let mut guest = Guest::open_with(options, "counting_calls");
    for _ in 0..MEASURED_CALLS {
        guest.run_to_call();
    }
    assert_eq!(handoffs(&guest.platform), (0, 0));
}

/// A stub that is stopped goes on late.
fn late_resume(queue: &Queue, context: Context, subprocess: &Subprocess) -> Context {
    let pid = subprocess.pid().unwrap();
    host::kill(pid, libc::SIGSTOP);
    while host::process_state(pid) != Some('T') {
        thread::sleep(Duration::from_millis(1));
    }
    thread::sleep(DELAY);
    submit(queue, context, subprocess);
    thread::sleep(DELAY);
    host::kill(pid, libc::SIGCONT);
    wait_one(queue).context
}

fn latency_handoffs(backend: Backend) {
    let options = Platform::options().backend(backend);
    handoffs_unmeasured(options.clone());
    let options = options.latency(true);
    let Guest { mut context, subprocess, platform, .. } = Guest::open_with(options.clone(), "counting_calls");
    if platform.info().unwrap().capabilities.trap_tsc() {
        handoffs_unmeasured(options.clone().trap_tsc(true));
    }
    if backend != Backend::Systrap {
        return handoffs_unmeasured(options);
    }
    for _ in 0..MEASURED_CALLS {
        context.switch(&subprocess).unwrap();
    }
    let starts = MEASURED_CALLS + platform.stats().unwrap().spurious_stops;
    assert_eq!(handoffs(&platform), (starts, starts));
    let queue = Queue::new(&platform).unwrap();
    context = late_resume(&queue, context, &subprocess);
    assert!(platform.stats().unwrap().resume_latency[DELAY_BUCKET..].iter().sum::<u64>() > 0);
    for _ in 0..DELAY_TRIES {
        submit(&queue, context, &subprocess);
        thread::sleep(DELAY);
        context = wait_one(&queue).context;
        if platform.stats().unwrap().event_latency[DELAY_BUCKET..].iter().sum::<u64>() > 0 {
            return;
        }
    }
    panic!("no event was taken late");
}
