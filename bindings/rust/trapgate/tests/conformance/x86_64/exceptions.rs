// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Exceptions of the processor: the same signal, code and address that the host kernel would deliver.

use super::native::{self, Needs};
use crate::cases::cases;
use crate::code;
use crate::support::*;
use libc::{EOPNOTSUPP, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
use trapgate::*;

const SI_KERNEL: i32 = 0x80;
const FPE_FLTDIV: i32 = 3;
const ILL_ILLOPN: i32 = 2;
const STATUS_WORD_AT: usize = 2;
const ZERO_DIVIDE: u8 = 4;

cases! { exception:
    general, opcodes, traps, divide, alignment, x87, x87_status, sse, breakpoints, again, cpuid_trap, cpuid_runs,
    tsc_trap, tsc_runs,
}

fn enter(guest: &mut Guest, name: &str) -> Event {
    load_code(&guest.subprocess, CODE_AT, code::guest(name));
    guest.restart();
    guest.set_argument(0, DATA_AT);
    guest.run()
}

/// Returns whether this machine raises the exception at all: some emulators do not. Signal 0: masked, so it calls.
fn check_one(guest: &mut Guest, name: &str, signal: i32) -> bool {
    let name = format!("raise_{}", name);
    let native = native::run(&name);
    if native.signal != signal {
        println!("{}: this machine raises signal {} natively, not {}", name, native.signal, signal);
        return false;
    }
    let event = enter(guest, &name);
    if signal == 0 {
        call(event);
        return true;
    }
    let exception = check_exception(&event, signal, native.code);
    let base = if native.addr_in_code { CODE_AT } else { 0 };
    assert_eq!(exception.addr, base + native.addr, "{}", name);
    assert_eq!((exception.ip, guest.ip()), (CODE_AT + native.ip, CODE_AT + native.ip), "{}", name);
    assert_eq!(exception.errno, 0);
    true
}

fn check_all(backend: Backend, exceptions: &[(&str, i32)]) {
    let mut guest = Guest::open(backend, "call_loop");
    let raised = exceptions.iter().filter(|(name, signal)| check_one(&mut guest, name, *signal)).count();
    if raised == 0 {
        skip("this machine raises none of these exceptions natively");
    }
}

fn general(backend: Backend) {
    check_all(
        backend,
        &[
            ("halt", SIGSEGV),
            ("port_in", SIGSEGV),
            ("port_out", SIGSEGV),
            ("cli", SIGSEGV),
            ("read_msr", SIGSEGV),
            ("load_cr0", SIGSEGV),
            ("invalidate", SIGSEGV),
            ("bad_vector", SIGSEGV),
            ("bad_segment", SIGSEGV),
            ("noncanonical", SIGSEGV),
            ("noncanonical_ss", SIGBUS),
            ("misaligned_sse", SIGSEGV),
            ("misaligned_cas", SIGSEGV),
            ("overflow_vector", SIGSEGV),
            ("too_long", SIGSEGV),
            ("bad_mxcsr", SIGSEGV),
        ],
    );
}

fn opcodes(backend: Backend) {
    check_all(
        backend,
        &[("undefined", SIGILL), ("bad_opcode", SIGILL), ("bad_lock", SIGILL), ("old_push", SIGILL)],
    );
}

fn traps(backend: Backend) {
    check_all(
        backend,
        &[("breakpoint", SIGTRAP), ("breakpoint_long", SIGTRAP), ("icebp", SIGTRAP), ("trap_flag", SIGTRAP)],
    );
}

fn divide(backend: Backend) {
    check_all(backend, &[("divide_zero", SIGFPE), ("divide_overflow", SIGFPE), ("divide_memory", SIGFPE)]);
}

fn alignment(backend: Backend) {
    check_all(backend, &[("aligned_check", SIGBUS), ("aligned_check_st", SIGBUS)]);
}

fn x87(backend: Backend) {
    check_all(
        backend,
        &[
            ("x87_divide", SIGFPE),
            ("x87_invalid", SIGFPE),
            ("x87_overflow", SIGFPE),
            ("x87_inexact", SIGFPE),
            ("x87_stack", SIGFPE),
            ("x87_masked", 0),
        ],
    );
}

fn sse(backend: Backend) {
    check_all(
        backend,
        &[
            ("sse_divide", SIGFPE),
            ("sse_invalid", SIGFPE),
            ("sse_inexact", SIGFPE),
            ("sse_overflow", SIGFPE),
            ("sse_masked", 0),
        ],
    );
}

/// The status word says why also after the event.
fn x87_status(backend: Backend) {
    if native::run("raise_x87_divide").signal != SIGFPE {
        skip("this machine does not raise x87 exceptions");
    }
    let mut guest = Guest::open(backend, "call_loop");
    check_exception(&enter(&mut guest, "raise_x87_divide"), SIGFPE, FPE_FLTDIV);
    assert_ne!(guest.context.fpstate().unwrap()[STATUS_WORD_AT] & ZERO_DIVIDE, 0);
}

fn breakpoints(backend: Backend) {
    let mut guest = Guest::open(backend, "breakpoints");
    for number in 0..2 {
        check_exception(&guest.run(), SIGTRAP, SI_KERNEL);
        assert_eq!(guest.context.regs().argument(1), number);
    }
    assert_eq!(guest.run_to_call().args[1], 2);
}

fn again(backend: Backend) {
    let mut guest = Guest::open(backend, "raise_undefined");
    for _ in 0..50 {
        let event = guest.run();
        assert_eq!(check_exception(&event, SIGILL, ILL_ILLOPN).addr, CODE_AT);
        assert_eq!(guest.ip(), CODE_AT);
    }
}

fn capabilities(backend: Backend) -> Capabilities {
    open_platform(backend).info().unwrap().capabilities
}

/// The instruction comes as an exception; behind it the guest goes on.
fn check_trapped(guest: &mut Guest, place: u64, length: u64) {
    let event = guest.run();
    assert_eq!(check_exception(&event, SIGSEGV, SI_KERNEL).ip, place);
    guest.context.regs_mut().set_instruction_pointer(place + length);
    guest.run_to_call();
}

fn cpuid_trap(backend: Backend) {
    let options = Platform::options().backend(backend).trap_cpuid(true);
    if !capabilities(backend).trap_cpuid() {
        fails(options.open(), EOPNOTSUPP);
        skip("this processor cannot trap CPUID; opening says so");
    }
    let mut guest = Guest::open_with(options, "read_cpuid");
    check_trapped(&mut guest, place("read_cpuid", "read_cpuid_at"), 2);
}

fn cpuid_runs(backend: Backend) {
    Guest::open(backend, "read_cpuid").run_to_call();
}

fn tsc_trap(backend: Backend) {
    let options = Platform::options().backend(backend).trap_tsc(true);
    if !capabilities(backend).trap_tsc() {
        fails(options.open(), EOPNOTSUPP);
        skip("this kernel cannot trap RDTSC; opening says so");
    }
    let mut guest = Guest::open_with(options, "read_tsc");
    check_trapped(&mut guest, CODE_AT, 2);
    let copy = guest.subprocess.fork().unwrap();
    guest.restart();
    check_exception(&guest.context.switch(&copy).unwrap(), SIGSEGV, SI_KERNEL);
    if native::has(Needs::Rdtscp) {
        load_code(&guest.subprocess, CODE_AT, code::guest("read_tscp"));
        guest.restart();
        check_trapped(&mut guest, CODE_AT, 3);
    }
}

fn tsc_runs(backend: Backend) {
    Guest::open(backend, "read_tsc").run_to_call();
}
