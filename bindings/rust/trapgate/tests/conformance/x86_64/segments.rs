// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Thread-local storage, segments, flags, and register values that the processor does not take.

use super::native::{self, Needs};
use crate::cases::cases;
use crate::code;
use crate::support::*;
use libc::EINVAL;
use trapgate::*;

const SI_KERNEL: i32 = 0x80;
const NONCANONICAL: u64 = 1 << 63;
const KERNEL_ADDRESS: u64 = 0xffff_8880_0000_0000;
const USER_DATA: u64 = 0x2b;
const USER_CODE: u64 = 0x33;
const CARRY: u64 = 0x1;
const DIRECTION: u64 = 0x400;
const OVERFLOW: u64 = 0x800;
const IO_LEVEL: u64 = 0x3000;

cases! { segment:
    tls, tls_many, guest_sets_bases, guest_sets_kernel_base, guest_loads_odd, bad_tls, registers, loaded, flags,
    no_rights, set_rcx_r11, call_rcx_r11, bad_ip, bad_ip_after_call, bad_sp, bad_selectors,
}

fn tls(backend: Backend) {
    let mut guest = Guest::open(backend, "read_fs_gs");
    for index in 0..8 {
        store(&guest.subprocess, DATA_AT + 8 * index, 100 + index);
    }
    for index in 0..8 {
        let (fs, gs) = (DATA_AT + 8 * index, DATA_AT + 8 * (7 - index));
        guest.context.set_tls(fs).unwrap();
        guest.context.regs_mut().gs_base = gs;
        assert_eq!(guest.run_to_call().args[..2], [100 + index, 107 - index]);
        assert_eq!(guest.context.tls().unwrap(), fs);
        assert_eq!((guest.context.regs().fs_base, guest.context.regs().gs_base), (fs, gs));
    }
}

/// Contexts with different bases take turns, on one and on several threads.
fn tls_many(backend: Backend) {
    let guest = Guest::open(backend, "read_fs_gs");
    let subprocess = &guest.subprocess;
    let mut contexts = Vec::new();
    for index in 0..8 {
        let mut context = started_context(&guest.platform);
        store(subprocess, DATA_AT + 8 * index, 100 + index);
        context.set_tls(DATA_AT + 8 * index).unwrap();
        context.regs_mut().gs_base = DATA_AT + 8 * index;
        contexts.push(context);
    }
    for round in 0..4 {
        for (value, context) in (100..).zip(&mut contexts) {
            let mut run = || context.switch(subprocess).unwrap();
            let event = if round % 2 == 1 { in_thread(run) } else { run() };
            assert_eq!(call(event).args[..2], [value, value]);
        }
    }
}

fn open_with_wrfsbase(backend: Backend, name: &str) -> Guest {
    if !native::has(Needs::FsGsBase) {
        skip("this machine has no wrfsbase in user mode");
    }
    Guest::open(backend, name)
}

fn guest_sets_bases(backend: Backend) {
    let mut guest = open_with_wrfsbase(backend, "write_bases");
    store(&guest.subprocess, DATA_AT + 8, 8);
    store(&guest.subprocess, DATA_AT + 16, 16);
    guest.set_argument(0, DATA_AT + 8);
    guest.set_argument(1, DATA_AT + 16);
    guest.run_to_call();
    assert_eq!(guest.context.tls().unwrap(), DATA_AT + 8);
    assert_eq!(guest.context.regs().gs_base, DATA_AT + 16);
    assert_eq!(guest.run_to_call().args[..2], [8, 16]);
}

/// With the instruction a guest can point fs anywhere canonical, the kernel's half included. What a guest does is never an
/// error of the embedder's calls.
fn guest_sets_kernel_base(backend: Backend) {
    let mut guest = open_with_wrfsbase(backend, "write_bad_base");
    guest.set_argument(0, KERNEL_ADDRESS);
    guest.run_to_call();
    guest.context.regs_mut().rip = CODE_AT;
    guest.run_to_call();
    guest.context.regs_mut().rip = CODE_AT;
    guest.set_argument(0, NONCANONICAL);
    let event = guest.run();
    // Some emulated processors take even that.
    if !matches!(event, Event::Syscall(_)) {
        check_exception(&event, SIGSEGV, SI_KERNEL);
    }
    guest.restart();
    guest.run_to_call();
}

/// The processor takes selectors that ptrace(2) would not: null ones of any privilege level, data ones of level 0.
fn guest_loads_odd(backend: Backend) {
    let mut guest = Guest::open(backend, "load_segments");
    for selector in [1, 2, 3, USER_DATA & !3, USER_DATA & !1] {
        guest.restart();
        guest.set_argument(0, selector);
        guest.run_to_call();
        guest.run_to_call();
    }
}

fn bad_tls(backend: Backend) {
    let mut guest = Guest::open(backend, "read_fs_gs");
    guest.context.set_tls(DATA_AT).unwrap();
    for bad in [NONCANONICAL, KERNEL_ADDRESS, u64::MAX] {
        fails(guest.context.set_tls(bad), EINVAL);
        assert_eq!(guest.context.tls().unwrap(), DATA_AT);
        guest.context.regs_mut().fs_base = bad;
        fails(guest.context.switch(&guest.subprocess), EINVAL);
        guest.context.regs_mut().fs_base = DATA_AT;
        guest.context.regs_mut().gs_base = bad;
        fails(guest.context.switch(&guest.subprocess), EINVAL);
        guest.context.regs_mut().gs_base = DATA_AT;
    }
    guest.run_to_call();
}

fn registers(backend: Backend) {
    let mut guest = Guest::open(backend, "read_segments");
    for _ in 0..3 {
        assert_eq!(guest.run_to_call().args[4..], [USER_CODE, USER_DATA]);
        assert_eq!((guest.context.regs().cs, guest.context.regs().ss), (USER_CODE, USER_DATA));
    }
}

fn loaded(backend: Backend) {
    let mut guest = Guest::open(backend, "load_segments");
    let mut other = started_context(&guest.platform);
    guest.set_argument(0, USER_DATA);
    guest.run_to_call();
    assert_eq!(guest.context.regs().ds, USER_DATA);
    // Another context loads the null selector in between.
    call(other.switch(&guest.subprocess).unwrap());
    assert_eq!(guest.run_to_call().args[..2], [USER_DATA, USER_DATA]);
    assert_eq!(call(other.switch(&guest.subprocess).unwrap()).args[0], 0);
}

fn flags(backend: Backend) {
    let watched = CARRY | DIRECTION | OVERFLOW;
    let mut guest = Guest::open(backend, "keep_flags");
    for wanted in [0, CARRY, DIRECTION, OVERFLOW, watched] {
        guest.set_argument(0, wanted | 0x202);
        guest.run_to_call();
        assert_eq!(guest.context.regs().eflags & watched, wanted);
        assert_eq!(guest.run_to_call().args[0] & watched, wanted);
    }
}

/// Flags that would give a guest rights are refused or dropped, never taken.
fn no_rights(backend: Backend) {
    let mut guest = Guest::open(backend, "call_loop");
    guest.context.regs_mut().eflags |= IO_LEVEL;
    match guest.context.switch(&guest.subprocess) {
        Ok(_) => assert_eq!(guest.context.regs().eflags & IO_LEVEL, 0),
        Err(error) => assert_eq!(error.errno(), EINVAL),
    }
    guest.restart();
    guest.run_to_call();
}

/// As rt_sigreturn needs it: the embedder sets rcx and r11 at a call, and the guest sees them.
fn set_rcx_r11(backend: Backend) {
    let mut guest = Guest::open(backend, "echo_rcx_r11");
    guest.context.regs_mut().r12 = GUEST_CALL;
    guest.run_to_call();
    let values = [0x1122_3344_5566_7788, 0x99aa_bbcc_ddee_ff00];
    guest.context.regs_mut().rcx = values[0];
    guest.context.regs_mut().r11 = values[1];
    assert_eq!(guest.run_to_call().args[..2], values);
}

/// Untouched, they are what the instruction leaves: the address behind it, and the flags.
fn call_rcx_r11(backend: Backend) {
    let mut guest = Guest::open(backend, "echo_rcx_r11");
    guest.context.regs_mut().r12 = GUEST_CALL;
    let call = guest.run_to_call();
    let registers = guest.context.regs();
    assert_eq!((registers.rcx, registers.r11), (call.ip, registers.eflags));
}

fn bad_ip(backend: Backend) {
    let mut guest = Guest::open(backend, "call_loop");
    for bad in [NONCANONICAL, 0x8000_0000_0000, 0x7fff_ffff_f000, KERNEL_ADDRESS, u64::MAX] {
        guest.restart();
        guest.context.regs_mut().rip = bad;
        match guest.run() {
            Event::Fault(fault) => {
                assert_eq!((fault.signal, fault.access, fault.ip), (SIGSEGV, Access::Execute, bad))
            }
            event => drop(check_exception(&event, SIGSEGV, SI_KERNEL)),
        }
        guest.restart();
        guest.run_to_call();
    }
}

/// After a call the kernel would take its fast way out, which some processors cannot do to such addresses.
fn bad_ip_after_call(backend: Backend) {
    let mut guest = Guest::open(backend, "call_loop");
    guest.run_to_call();
    guest.context.regs_mut().rip = NONCANONICAL;
    guest.context.regs_mut().rcx = NONCANONICAL;
    check_exception(&guest.run(), SIGSEGV, SI_KERNEL);
    guest.restart();
    guest.run_to_call();
}

/// A call needs no stack, so the pointer may be anything; a push through it is a stack fault.
fn bad_sp(backend: Backend) {
    let mut guest = Guest::open(backend, "call_loop");
    for bad in [NONCANONICAL, 0x8000_0000_0000, KERNEL_ADDRESS, u64::MAX, 0] {
        guest.context.start(CODE_AT, bad).unwrap();
        guest.run_to_call();
        assert_eq!(guest.sp(), bad);
        guest.run_to_call();
    }
    load_code(&guest.subprocess, CODE_AT, code::guest("jump_by_return"));
    guest.context.start(CODE_AT, NONCANONICAL).unwrap();
    let event = guest.run();
    check_exception(&event, native::run("raise_noncanonical_ss").signal, SI_KERNEL);
}

/// Selectors that user mode cannot have: refused, or set right; never an error of another kind, never a dead stub.
fn bad_selectors(backend: Backend) {
    let mut guest = Guest::open(backend, "call_loop");
    for bad in [0, 0x10, 0x18, 0xffff, 0x100_0033] {
        for stack in [false, true] {
            guest.restart();
            let registers = guest.context.regs_mut();
            *(if stack { &mut registers.ss } else { &mut registers.cs }) = bad;
            match guest.context.switch(&guest.subprocess) {
                Ok(event) => assert!(!matches!(event, Event::Dead(_)), "selector {:#x}: {:?}", bad, event),
                Err(error) => assert_eq!(error.errno(), EINVAL, "selector {:#x}", bad),
            }
        }
        guest.restart();
        guest.run_to_call();
    }
}
