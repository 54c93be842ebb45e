// SPDX-License-Identifier: Apache-2.0 OR MIT
//! System calls of the native table: in, out, and again.

use crate::cases::cases;
use crate::host;
use crate::support::*;
use trapgate::*;

cases! { syscall:
    carries_everything, any_number, minus_one, result, result_and_interrupt, never_on_host, restart, restart_refused,
    restart_and_interrupt, result_refused,
}

fn set_call(context: &mut Context, number: u64, arguments: [u64; 6]) {
    let registers = context.regs_mut();
    registers.set_syscall_number(number);
    for (index, value) in arguments.into_iter().enumerate() {
        registers.set_argument(index, value);
    }
}

fn carries_everything(backend: Backend) {
    let arguments = [1, u64::MAX, 1 << 63, 0x7fff_ffff_ffff, 0x1234_5678_9abc_def0, 0];
    let mut guest = Guest::open(backend, "raw_call_loop");
    guest.context.set_user_data(0xfeed_face_cafe_beef).unwrap();
    set_call(&mut guest.context, libc::SYS_write as u64, arguments);
    let call = call_of(guest.run(), libc::SYS_write as u64);
    assert_eq!(call.args, arguments);
    for (index, value) in arguments.into_iter().enumerate() {
        assert_eq!(guest.context.regs().argument(index), value);
    }
    assert_eq!(call.ip, CODE_AT + CALL_LENGTH);
    assert_eq!(guest.ip(), call.ip);
    assert_eq!(call.arch, guest.platform.info().unwrap().arch);
    assert_eq!(guest.context.user_data(), 0xfeed_face_cafe_beef);
    assert_eq!(call.flags.bits() & !(sys::TG_FLAG_PATCHED | sys::TG_FLAG_PATCHABLE), 0);
}

fn any_number(backend: Backend) {
    let mut guest = Guest::open(backend, "raw_call_loop");
    for number in [0, 1, GUEST_CALL, libc::SYS_restart_syscall as u64, 511, 1000, 4096, 0x3fff_ffff] {
        set_call(&mut guest.context, number, [0; 6]);
        call_of(guest.run(), number);
    }
}

fn minus_one(backend: Backend) {
    let mut guest = Guest::open(backend, "raw_call_loop");
    for _ in 0..3 {
        set_call(&mut guest.context, u64::MAX, [5, 6, 7, 8, 9, 10]);
        match guest.run() {
            Event::Syscall(call) => assert_eq!((call.nr as i32, call.args[5]), (-1, 10)),
            other => panic!("{:?}", other),
        }
        guest.context.set_return(-i64::from(libc::ENOSYS)).unwrap();
    }
}

fn result(backend: Backend) {
    let values = [0, 1, -1, -4, -512, -513, -514, -515, -516, -517, -4095, i64::MAX, i64::MIN];
    let mut guest = Guest::open(backend, "echo_result");
    guest.run_to_call();
    for value in values {
        guest.context.set_return(value).unwrap();
        assert_eq!(guest.run_to_call().args[0] as i64, value);
    }
}

/// The kernel would go back to the instruction when it sees such a result at a signal.
fn result_and_interrupt(backend: Backend) {
    let mut guest = Guest::open(backend, "echo_result");
    guest.run_to_call();
    for code in [-512, -513, -514, -516] {
        guest.context.set_return(code).unwrap();
        guest.context.interrupt();
        check_interrupted(&guest.run());
        assert_eq!(guest.run_to_call().args[0] as i64, code);
    }
}

/// Calls that would end, stop or change the stub if the host ever ran them.
fn never_on_host(backend: Backend) {
    let numbers = [
        libc::SYS_exit_group,
        libc::SYS_exit,
        libc::SYS_kill,
        libc::SYS_execve,
        libc::SYS_munmap,
        libc::SYS_ppoll,
        libc::SYS_reboot,
        libc::SYS_clone,
        libc::SYS_rt_sigreturn,
    ];
    let mut guest = Guest::open(backend, "raw_call_loop");
    let pid = guest.subprocess.pid().unwrap();
    for number in numbers {
        set_call(&mut guest.context, number as u64, [u64::from(pid), 9, 0, 0, 0, 0]);
        call_of(guest.run(), number as u64);
        guest.context.set_return(0).unwrap();
    }
    assert_eq!(guest.subprocess.pid(), Some(pid));
    assert!(host::is_alive(pid));
}

fn restart(backend: Backend) {
    let arguments = [11, 12, 13, 14, 15, 16];
    let mut guest = Guest::open(backend, "raw_call_loop");
    set_call(&mut guest.context, libc::SYS_futex as u64, arguments);
    guest.run();
    for round in 0..5 {
        if round % 2 == 1 {
            guest.context.set_return(-i64::from(libc::EINTR)).unwrap();
        }
        guest.context.restart_syscall().unwrap();
        let call = call_of(guest.run(), libc::SYS_futex as u64);
        assert_eq!((call.args, call.ip), (arguments, CODE_AT + CALL_LENGTH));
    }
}

fn restart_refused(backend: Backend) {
    let mut guest = Guest::open(backend, "read_calls");
    fails(guest.context.restart_syscall(), libc::EINVAL);
    guest.set_argument(0, HOLE_AT);
    assert!(matches!(guest.run(), Event::Fault(_)));
    fails(guest.context.restart_syscall(), libc::EINVAL);
    guest.set_argument(0, DATA_AT);
    guest.run_to_call();
    guest.context.regs_mut().set_instruction_pointer(CODE_AT);
    fails(guest.context.restart_syscall(), libc::EINVAL);
    guest.run_to_call();
}

/// It would overwrite a register that the guest computes with.
fn result_refused(backend: Backend) {
    let mut guest = Guest::open(backend, "read_calls");
    let mut copy = Context::new(&guest.platform).unwrap();
    fails(guest.context.set_return(1), libc::EINVAL);
    assert!(matches!(guest.touch(HOLE_AT, 0), Event::Fault(_)));
    fails(guest.context.set_return(1), libc::EINVAL);
    call(guest.touch(DATA_AT, 0));
    copy.copy_from(&guest.context).unwrap();
    copy.set_return(1).unwrap();
    guest.context.set_return(1).unwrap();
    guest.context.restart_syscall().unwrap();
    fails(guest.context.set_return(1), libc::EINVAL);
    guest.run_to_call();
    guest.context.start(CODE_AT, STACK_TOP).unwrap();
    fails(guest.context.set_return(1), libc::EINVAL);
}

fn restart_and_interrupt(backend: Backend) {
    let mut guest = Guest::open(backend, "counting_calls");
    guest.run_to_call();
    guest.context.restart_syscall().unwrap();
    guest.context.interrupt();
    check_interrupted(&guest.run());
    assert_eq!(guest.run_to_call().args[0], 1);
    assert_eq!(guest.run_to_call().args[0], 2);
}
