// SPDX-License-Identifier: Apache-2.0 OR MIT
use crate::sys;
use std::ops::{Deref, DerefMut};

/// The general registers of a guest thread. The fields have the processor's names and are those of
/// [`sys::tg_regs`]; the functions say the same without naming a processor.
///
/// ```
/// use trapgate::{Context, Platform};
///
/// # #[cfg(target_arch = "x86_64")]
/// # fn main() -> trapgate::Result<()> {
/// let mut context = Context::new(&Platform::open()?)?;
/// context.regs_mut().rdi = 7;
/// assert_eq!(context.regs().argument(0), 7);
/// # Ok(())
/// # }
/// # #[cfg(not(target_arch = "x86_64"))]
/// # fn main() {}
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Registers(sys::tg_regs);

impl Registers {
    /// For the library, with the size that they have: anybody can write another one into it.
    #[inline]
    pub(crate) fn sized(&mut self) -> &mut sys::tg_regs {
        self.0.size = std::mem::size_of::<sys::tg_regs>() as u32;
        &mut self.0
    }
}

impl Deref for Registers {
    type Target = sys::tg_regs;
    #[inline]
    fn deref(&self) -> &sys::tg_regs {
        &self.0
    }
}

impl DerefMut for Registers {
    #[inline]
    fn deref_mut(&mut self) -> &mut sys::tg_regs {
        &mut self.0
    }
}

#[cfg(target_arch = "x86_64")]
const TRAP_FLAG: u64 = 1 << 8;

#[cfg(target_arch = "x86_64")]
impl Registers {
    /// The instruction pointer; at a system call the address behind it.
    #[inline]
    pub fn instruction_pointer(&self) -> u64 {
        self.rip
    }

    /// Moves the guest.
    pub fn set_instruction_pointer(&mut self, ip: u64) {
        self.rip = ip;
    }

    /// The stack pointer.
    #[inline]
    pub fn stack_pointer(&self) -> u64 {
        self.rsp
    }

    /// Moves the stack.
    pub fn set_stack_pointer(&mut self, sp: u64) {
        self.rsp = sp;
    }

    /// The register that carries the number of a system call.
    pub fn set_syscall_number(&mut self, number: u64) {
        self.rax = number;
    }

    /// The register that carries an argument of a system call.
    ///
    /// # Panics
    /// When `index` is above 5.
    pub fn argument(&self, index: usize) -> u64 {
        [self.rdi, self.rsi, self.rdx, self.r10, self.r8, self.r9][index]
    }

    /// Sets such a register.
    ///
    /// # Panics
    /// When `index` is above 5.
    pub fn set_argument(&mut self, index: usize, value: u64) {
        let registers = &mut self.0;
        *[
            &mut registers.rdi,
            &mut registers.rsi,
            &mut registers.rdx,
            &mut registers.r10,
            &mut registers.r8,
            &mut registers.r9,
        ][index] = value;
    }

    /// Asks for a SIGTRAP after the next instruction, or stops asking.
    pub fn set_single_step(&mut self, on: bool) {
        self.eflags = if on { self.eflags | TRAP_FLAG } else { self.eflags & !TRAP_FLAG };
    }
}

#[cfg(target_arch = "aarch64")]
const SINGLE_STEP: u64 = 1 << 21;

#[cfg(target_arch = "aarch64")]
impl Registers {
    /// The instruction pointer; at a system call the address behind it.
    #[inline]
    pub fn instruction_pointer(&self) -> u64 {
        self.pc
    }

    /// Moves the guest.
    pub fn set_instruction_pointer(&mut self, ip: u64) {
        self.pc = ip;
    }

    /// The stack pointer.
    #[inline]
    pub fn stack_pointer(&self) -> u64 {
        self.sp
    }

    /// Moves the stack.
    pub fn set_stack_pointer(&mut self, sp: u64) {
        self.sp = sp;
    }

    /// The register that carries the number of a system call.
    pub fn set_syscall_number(&mut self, number: u64) {
        self.x[8] = number;
    }

    /// The register that carries an argument of a system call.
    ///
    /// # Panics
    /// When `index` is above 5.
    pub fn argument(&self, index: usize) -> u64 {
        assert!(index < 6);
        self.x[index]
    }

    /// Sets such a register.
    ///
    /// # Panics
    /// When `index` is above 5.
    pub fn set_argument(&mut self, index: usize, value: u64) {
        assert!(index < 6);
        self.0.x[index] = value;
    }

    /// Asks for a SIGTRAP after the next instruction, or stops asking.
    pub fn set_single_step(&mut self, on: bool) {
        self.pstate = if on { self.pstate | SINGLE_STEP } else { self.pstate & !SINGLE_STEP };
    }
}
