// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The other ways into the kernel: int 0x80, sysenter, 32-bit code, x32 numbers and the vsyscall page.

use super::native;
use crate::cases::Case;
use crate::code;
use crate::support::*;
use libc::SIGILL;
use trapgate::*;

const SI_KERNEL: i32 = 0x80;
const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;
const AUDIT_ARCH_I386: u32 = 0x4000_0003;
const I386_GETPID: u64 = 20;
const X32_BIT: u64 = 0x4000_0000;
const COMPAT_CODE: u64 = 0x23;
const VSYSCALL_PAGE: u64 = 0xffff_ffff_ff60_0000;
const VSYSCALL_STRIDE: u64 = 0x400;

mod compat_cases {
    use super::*;
    crate::cases::cases! { compat:
        int80, int80_narrow, int80_result, int80_restart, mixed, code32, code32_stub, x32, sysenter,
    }
}

mod vsyscall_cases {
    use super::*;
    crate::cases::cases! { vsyscall: gettimeofday, time, getcpu, writes_nothing, restart, elsewhere }
}

pub const COMPAT: &[Case] = compat_cases::CASES;
pub const VSYSCALL: &[Case] = vsyscall_cases::CASES;

fn open_with_int80(backend: Backend, name: &str) -> Guest {
    let guest = Guest::open(backend, name);
    if !guest.platform.info().unwrap().capabilities.syscall_arch() {
        skip("this kernel does not say which way a call came");
    }
    if native::run("int80_once").signal != 0 {
        skip("this kernel has no 32-bit entries");
    }
    guest
}

#[track_caller]
fn check_compat(event: Event, number: u64) -> Syscall {
    let call = call_of(event, number);
    assert!(call.flags.compat() && !call.flags.x32());
    assert_eq!(call.arch, AUDIT_ARCH_I386);
    call
}

fn int80(backend: Backend) {
    let mut guest = open_with_int80(backend, "int80_loop");
    for number in [0, 1, I386_GETPID, 119, 252, 1000] {
        let registers = guest.context.regs_mut();
        registers.rax = number;
        registers.rbx = 1;
        registers.rcx = 2;
        registers.rdx = 3;
        registers.rsi = 4;
        registers.rdi = 5;
        registers.rbp = 6;
        let call = check_compat(guest.run(), number);
        assert_eq!(call.args, [1, 2, 3, 4, 5, 6]);
        assert_eq!((call.ip, guest.ip()), (CODE_AT + 2, CODE_AT + 2));
    }
}

/// Arguments of the 32-bit table are 32 bits wide.
fn int80_narrow(backend: Backend) {
    let mut guest = open_with_int80(backend, "int80_loop");
    guest.context.regs_mut().rax = I386_GETPID;
    guest.context.regs_mut().rbx = 0xaaaa_aaaa_1111_1111;
    assert_eq!(check_compat(guest.run(), I386_GETPID).args[0], 0x1111_1111);
    assert_eq!(guest.context.regs().rbx, 0xaaaa_aaaa_1111_1111);
}

fn int80_result(backend: Backend) {
    let mut guest = open_with_int80(backend, "int80_echo");
    guest.run();
    for result in [0, 7, -i64::from(libc::EFAULT), -512, -516] {
        guest.context.set_return(result).unwrap();
        let call = check_compat(guest.run(), I386_GETPID);
        assert_eq!(call.args[0] as u32, result as u32);
    }
}

fn int80_restart(backend: Backend) {
    let mut guest = open_with_int80(backend, "int80_loop");
    guest.context.regs_mut().rax = I386_GETPID;
    guest.run();
    for _ in 0..3 {
        guest.context.set_return(-i64::from(libc::EINTR)).unwrap();
        guest.context.restart_syscall().unwrap();
        check_compat(guest.run(), I386_GETPID);
    }
}

/// A native call after a compat call, and the other way round: nothing sticks.
fn mixed(backend: Backend) {
    let mut guest = open_with_int80(backend, "int80_loop");
    load_code(&guest.subprocess, OTHER_CODE_AT, code::guest("call_loop"));
    for _ in 0..4 {
        guest.context.regs_mut().rax = I386_GETPID;
        guest.context.regs_mut().rip = CODE_AT;
        check_compat(guest.run(), I386_GETPID);
        guest.context.regs_mut().rip = OTHER_CODE_AT;
        let call = guest.run_to_call();
        assert_eq!(call.arch, AUDIT_ARCH_X86_64);
        assert!(!call.flags.compat());
    }
}

fn open_32_bits(backend: Backend) -> Guest {
    let guest = open_with_int80(backend, "code32");
    if native::run("code32").signal != 0 {
        skip("32-bit code does not run natively either");
    }
    guest
}

fn code32(backend: Backend) {
    let mut guest = open_32_bits(backend);
    let call = check_compat(guest.run(), I386_GETPID);
    assert_eq!((call.args[0], call.args[5]), (0x1111_1111, 0x6666_6666));
    assert_eq!(call.ip, place("code32", "code32_first") + 2);
    assert_eq!(guest.context.regs().cs, COMPAT_CODE);
    guest.context.set_return(77).unwrap();
    assert_eq!(check_compat(guest.run(), I386_GETPID).args[0], 77);
    // Back to 64 bits.
    guest.restart();
    check_compat(guest.run(), I386_GETPID);
}

/// A stub thread that was in 32-bit code serves the library and other contexts like any other.
fn code32_stub(backend: Backend) {
    let mut guest = open_32_bits(backend);
    load_code(&guest.subprocess, OTHER_CODE_AT, code::guest("counting_calls"));
    let mut other = started_at(&guest.platform, OTHER_CODE_AT);
    check_compat(guest.run(), I386_GETPID);
    map_pages(&guest.subprocess, HOLE_AT, guest.page, RW);
    assert_eq!(call(other.switch(&guest.subprocess).unwrap()).args[0], 1);
    guest.context.set_return(78).unwrap();
    assert_eq!(check_compat(guest.run(), I386_GETPID).args[0], 78);
    assert_eq!(call(other.switch(&guest.subprocess).unwrap()).args[0], 2);
}

fn x32(backend: Backend) {
    let mut guest = Guest::open(backend, "raw_call_loop");
    for _ in 0..3 {
        guest.context.regs_mut().set_syscall_number(X32_BIT | GUEST_CALL);
        guest.set_argument(0, 55);
        let call = call_of(guest.run(), X32_BIT | GUEST_CALL);
        assert_eq!((call.arch, call.args[0]), (AUDIT_ARCH_X86_64, 55));
        assert!(call.flags.x32() && !call.flags.compat());
    }
}

/// On some processors this is a call, on others an undefined instruction.
fn sysenter(backend: Backend) {
    let native = native::run("sysenter_once");
    let mut guest = Guest::open(backend, "sysenter_once");
    match guest.run() {
        event if native.signal == SIGILL => {
            check_exception(&event, SIGILL, native.code);
            assert_eq!(guest.ip(), CODE_AT + native.ip);
            println!("sysenter is an undefined instruction here");
        }
        event @ Event::Syscall(_) => drop(check_compat(event, I386_GETPID)),
        event => drop(check_exception(&event, native.signal, native.code)),
    }
    load_code(&guest.subprocess, CODE_AT, code::guest("call_loop"));
    guest.restart();
    guest.run_to_call();
}

fn open_vsyscall(backend: Backend, entry: u64) -> Guest {
    let mut guest = Guest::open(backend, "vsyscall_loop");
    guest.set_argument(0, DATA_AT);
    guest.set_argument(1, DATA_AT + 8);
    guest.set_argument(2, entry);
    guest
}

/// A page that cannot be mapped does not go away: its entries come as calls, or as fetch faults to serve.
fn serve(guest: &mut Guest, entry: u64, number: u64, result: i64) {
    let calls = guest.platform.info().unwrap().capabilities.vsyscall();
    match guest.run() {
        Event::Fault(fault) if !calls => {
            assert_eq!((fault.addr, fault.access, fault.signal), (entry, Access::Execute, SIGSEGV));
            let return_to = load(&guest.subprocess, guest.sp());
            let registers = guest.context.regs_mut();
            registers.rip = return_to;
            registers.rsp += 8;
            registers.rax = result as u64;
        }
        event => {
            let call = call_of(event, number);
            assert!(call.flags.vsyscall());
            assert_eq!(call.args[..2], [DATA_AT, DATA_AT + 8]);
            guest.context.set_return(result).unwrap();
        }
    }
}

fn check_vsyscall(backend: Backend, index: u64, number: libc::c_long) {
    let entry = VSYSCALL_PAGE + index * VSYSCALL_STRIDE;
    let mut guest = open_vsyscall(backend, entry);
    for result in 1001..=1005 {
        serve(&mut guest, entry, number as u64, result);
        let call = guest.run_to_call();
        assert!(!call.flags.vsyscall());
        assert_eq!(call.args[0], result as u64);
        assert_eq!(guest.sp(), STACK_TOP);
    }
}

fn gettimeofday(backend: Backend) {
    check_vsyscall(backend, 0, libc::SYS_gettimeofday);
}

fn time(backend: Backend) {
    check_vsyscall(backend, 1, libc::SYS_time);
}

fn getcpu(backend: Backend) {
    check_vsyscall(backend, 2, libc::SYS_getcpu);
}

/// Whatever the entry, the guest's memory is written by the embedder alone.
fn writes_nothing(backend: Backend) {
    let mut guest = open_vsyscall(backend, VSYSCALL_PAGE);
    serve(&mut guest, VSYSCALL_PAGE, libc::SYS_gettimeofday as u64, 0);
    guest.run_to_call();
    assert_eq!(load(&guest.subprocess, DATA_AT), 0);
    assert_eq!(load(&guest.subprocess, DATA_AT + 8), 0);
}

fn restart(backend: Backend) {
    let mut guest = open_vsyscall(backend, VSYSCALL_PAGE + VSYSCALL_STRIDE);
    if !guest.platform.info().unwrap().capabilities.vsyscall() {
        skip("vsyscalls come as faults here");
    }
    for round in 0..3 {
        let call = call_of(guest.run(), libc::SYS_time as u64);
        assert!(call.flags.vsyscall());
        guest.context.set_return(-i64::from(libc::EINTR)).unwrap();
        if round < 2 {
            guest.context.restart_syscall().unwrap();
        }
    }
    assert_eq!(guest.run_to_call().args[0] as i64, -i64::from(libc::EINTR));
    assert_eq!(guest.sp(), STACK_TOP);
}

/// The middle of the page is no entry.
fn elsewhere(backend: Backend) {
    let mut guest = Guest::open(backend, "jump");
    for offset in [1, 0x10, 0x401, 0xc00, 0xff8] {
        let target = VSYSCALL_PAGE + offset;
        match guest.touch(target, 0) {
            Event::Fault(fault) => {
                assert_eq!((fault.addr, fault.access, fault.signal), (target, Access::Execute, SIGSEGV))
            }
            // A kernel that emulates the page says only that this is no entry.
            event => drop(check_exception(&event, SIGSEGV, SI_KERNEL)),
        }
        assert_eq!(guest.ip(), target);
    }
}
