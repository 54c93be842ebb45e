// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a name in a row is as a number.

use crate::support::*;
use trapgate::*;

pub fn event_value(event: &Event, context: &Context, name: &str) -> Option<u64> {
    Some(match (event, name) {
        (_, "flags") => event.flags().bits().into(),
        (_, "user_data") => context.user_data(),
        (Event::Syscall(_), "kind") => 1,
        (Event::Fault(_), "kind") => 2,
        (Event::Exception(_), "kind") => 3,
        (Event::Interrupted(_), "kind") => 4,
        (Event::Dead(_), "kind") => 5,
        (Event::Syscall(call), "nr") => call.nr,
        (Event::Syscall(call), "ip") => call.ip,
        (Event::Syscall(call), "arch") => call.arch.into(),
        (Event::Syscall(call), _) => *call.args.get(name.strip_prefix("arg")?.parse::<usize>().ok()?)?,
        (Event::Fault(fault), "addr") => fault.addr,
        (Event::Fault(fault), "ip") => fault.ip,
        (Event::Fault(fault), "access") => access_number(fault.access),
        (Event::Fault(fault), "signo") => fault.signal as u64,
        (Event::Fault(fault), "code") => fault.code as u64,
        (Event::Fault(Fault { trap: Some(trap), .. }), "trap") => trap.number.into(),
        (Event::Fault(Fault { trap: Some(trap), .. }), "error_code") => trap.error_code,
        (Event::Exception(exception), "addr") => exception.addr,
        (Event::Exception(exception), "ip") => exception.ip,
        (Event::Exception(exception), "signo") => exception.signal as u64,
        (Event::Exception(exception), "code") => exception.code as u64,
        (Event::Exception(exception), "errno") => exception.errno as u64,
        (Event::Exception(Exception { trap: Some(trap), .. }), "trap") => trap.number.into(),
        (Event::Exception(Exception { trap: Some(trap), .. }), "error_code") => trap.error_code,
        (Event::Dead(dead), "reason") => death(dead.cause).0,
        (Event::Dead(dead), "status") => death(dead.cause).1,
        _ => return None,
    })
}

fn access_number(access: Access) -> u64 {
    match access {
        Access::Read => 1,
        Access::Write => 2,
        Access::Execute => 4,
        _ => 0,
    }
}

fn death(cause: DeathCause) -> (u64, u64) {
    match cause {
        DeathCause::Killed { signal } => (1, signal as u64),
        DeathCause::Exited { status } => (2, status as u64),
        DeathCause::Destroyed => (3, 0),
        DeathCause::Corrupt => (4, 0),
        _ => (0, 0),
    }
}

pub fn info_value(platform: &Platform, name: &str) -> Option<u64> {
    let info = platform.info().unwrap();
    Some(match name {
        "page_size" => info.page_size,
        "capabilities" => info.capabilities.bits(),
        "arch" => info.arch.into(),
        _ => return None,
    })
}

pub fn stats_value(platform: &Platform, name: &str) -> Option<u64> {
    let stats = platform.stats().unwrap();
    Some(match name {
        "subprocesses" => stats.subprocesses,
        "contexts" => stats.contexts,
        "switches" => stats.switches,
        "syscalls" => stats.syscalls,
        "faults" => stats.faults,
        "interrupts" => stats.interrupts,
        _ => return None,
    })
}

#[cfg(target_arch = "x86_64")]
pub fn cpu_value(name: &str) -> Option<u64> {
    use crate::x86_64::native::{has, Needs};
    Some(u64::from(has(match name {
        "any" => Needs::Nothing,
        "xsave" => Needs::Xsave,
        "avx2" => Needs::Avx2,
        "avx512f" => Needs::Avx512,
        "fsgsbase" => Needs::FsGsBase,
        "rdtscp" => Needs::Rdtscp,
        "cx16" => Needs::Cx16,
        _ => return None,
    })))
}

/// The signal that a guest raises without the library.
#[cfg(target_arch = "x86_64")]
pub fn native_signal(guest: &str) -> Option<u64> {
    Some(crate::x86_64::native::run(guest) as u64)
}

#[cfg(not(target_arch = "x86_64"))]
pub fn native_signal(_guest: &str) -> Option<u64> {
    None
}

#[cfg(not(target_arch = "x86_64"))]
pub fn cpu_value(_name: &str) -> Option<u64> {
    None
}

pub fn register(context: &Context, name: &str) -> Option<u64> {
    let registers = context.regs();
    match name {
        "ip" => Some(registers.instruction_pointer()),
        "sp" => Some(registers.stack_pointer()),
        "tls" => Some(context.tls().unwrap()),
        _ => match argument(name) {
            Some(index) => Some(registers.argument(index)),
            None => special(&mut registers.clone(), name).map(|register| *register),
        },
    }
}

pub fn set_register(context: &mut Context, name: &str, value: u64) -> Option<()> {
    let registers = context.regs_mut();
    match name {
        "ip" => registers.set_instruction_pointer(value),
        "sp" => registers.set_stack_pointer(value),
        "nr" => registers.set_syscall_number(value),
        _ => match argument(name) {
            Some(index) => registers.set_argument(index, value),
            None => *special(registers, name)? = value,
        },
    }
    Some(())
}

fn argument(name: &str) -> Option<usize> {
    name.strip_prefix("arg")?.parse().ok().filter(|index| *index < 6)
}

#[cfg(target_arch = "x86_64")]
fn special<'a>(registers: &'a mut Registers, name: &str) -> Option<&'a mut u64> {
    macro_rules! fields {
        ($($field:ident)*) => { match name { $(stringify!($field) => &mut registers.$field,)* _ => return None } };
    }
    Some(
        fields!(r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base
        ds es fs gs),
    )
}

#[cfg(not(target_arch = "x86_64"))]
fn special<'a>(_registers: &'a mut Registers, _name: &str) -> Option<&'a mut u64> {
    None
}

/// Where a label is when its guest is loaded.
pub fn label(text: &str) -> Option<u64> {
    let (guest, label) = text.split_once(':')?;
    Some(place(guest, label))
}

pub fn literal(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}
