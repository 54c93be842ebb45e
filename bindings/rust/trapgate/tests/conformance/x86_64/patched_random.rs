// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A loop of calls with random instructions around them. The test carries out the same instructions itself and compares
//! every register at every call. r13 points to data; rcx, r11 and rsp are left alone. PATCHING_SEED repeats one program.

use super::patched_memory::put_code;
use super::patching::can_patch;
use crate::cases::cases;
use crate::host::Random;
use crate::support::*;
use trapgate::*;

const SITES: usize = 6;
const WORDS: usize = 8;
const PROGRAMS: u64 = 40;
const CALLS: usize = 60;
const DATA_REGISTER: u8 = 13;
/// As the processor numbers them.
const USABLE: [u8; 11] = [0, 2, 3, 5, 6, 7, 8, 9, 10, 14, 15];

cases! { patch: random }

/// An instruction: what it is for the model, and how it is written.
#[derive(Clone, Copy, Debug)]
enum Operation {
    Not(u8),
    Negate(u8),
    Increment(u8),
    Decrement(u8),
    Add(u8, u8),
    Xor(u8, u8),
    Move(u8, u8),
    Exchange(u8, u8),
    AddByte(u8, u8),
    SubtractLong(u8, i32),
    Address(u8, u8, i32),
    Shift(u8, u8),
    SetLow(u8, u32),
    SetAll(u8, i32),
    Store(u8, usize, bool),
    AddToWord(u8, usize, bool),
    Load(u8, usize, bool),
    Compare(u8, i32),
    Nop(usize),
    Jump(usize),
    /// The number, and where the instruction is.
    Call(u32, u64),
}

struct Program {
    random: Random,
    operations: Vec<Operation>,
    code: Vec<u8>,
    registers: [u64; 16],
    words: [u64; WORDS],
    next: usize,
}

/// In the order of the processor's numbers.
fn all_registers(context: &Context) -> [u64; 16] {
    let r = context.regs();
    [
        r.rax, r.rcx, r.rdx, r.rbx, r.rsp, r.rbp, r.rsi, r.rdi, r.r8, r.r9, r.r10, r.r11, r.r12, r.r13,
        r.r14, r.r15,
    ]
}

impl Program {
    fn new(seed: u64) -> Self {
        let mut program = Program {
            random: Random::new(seed),
            operations: Vec::new(),
            code: Vec::new(),
            registers: [0; 16],
            words: [0; WORDS],
            next: 0,
        };
        for _ in 0..SITES {
            let before = program.random.below(4);
            (0..before).for_each(|_| program.add_any());
            program.add_call();
            let behind = 1 + program.random.below(5);
            (0..behind).for_each(|_| program.add_any());
        }
        program.code.push(0xe9);
        let back = -(program.code.len() as i32 + 4);
        program.code.extend(back.to_le_bytes());
        program
    }

    fn register(&mut self) -> u8 {
        USABLE[self.random.below(USABLE.len() as u64) as usize]
    }

    fn number(&mut self) -> i32 {
        self.random.below(1 << 31) as i32 ^ (self.random.below(2) as i32) << 31
    }

    fn add_any(&mut self) {
        let (to, from, number) = (self.register(), self.register(), self.number());
        let (word, wide) = (self.random.below(WORDS as u64) as usize, self.random.below(2) == 1);
        let operation = match self.random.below(20) {
            0 => Operation::Not(to),
            1 => Operation::Negate(to),
            2 => Operation::Increment(to),
            3 => Operation::Decrement(to),
            4 => Operation::Add(to, from),
            5 => Operation::Xor(to, from),
            6 => Operation::Move(to, from),
            7 => Operation::Exchange(to, from),
            8 => Operation::AddByte(to, number as u8 & 0x7f),
            9 => Operation::SubtractLong(to, number),
            10 => Operation::Address(to, from, number),
            11 => Operation::Shift(to, number as u8 & 7),
            12 => Operation::SetLow(to, number as u32),
            13 => Operation::SetAll(to, number),
            14 => Operation::Store(to, word, wide),
            15 => Operation::AddToWord(to, word, wide),
            16 => Operation::Load(to, word, wide),
            17 => Operation::Compare(to, number),
            18 => Operation::Nop(self.random.below(9) as usize),
            _ => Operation::Jump(self.random.below(5) as usize),
        };
        self.write(operation);
        self.operations.push(operation);
    }

    fn add_call(&mut self) {
        let limit = if self.random.below(2) == 1 { 100 } else { 1_000_000_000 };
        let number = 100 + self.random.below(limit) as u32;
        let bytes = number.to_le_bytes();
        match self.random.below(5) {
            0 => self.emit(&[&[0xb8], &bytes]),                // mov, 32 bits
            1 => self.emit(&[&[0x48, 0xc7, 0xc0], &bytes]),    // mov, 64 bits
            2 => self.emit(&[&[0x48, 0xb8], &bytes, &[0; 4]]), // movabs
            3 => self.emit(&[&[0x68], &bytes, &[0x58]]),       // push, pop
            _ => self.emit(&[&[0x31, 0xc0, 0x0d], &bytes]),    // xor, or
        }
        let place = self.code.len() as u64;
        self.code.extend([0x0f, 0x05]);
        self.operations.push(Operation::Call(number, place));
    }

    fn emit(&mut self, parts: &[&[u8]]) {
        parts.iter().for_each(|part| self.code.extend_from_slice(part));
    }

    /// A 64-bit instruction with a register and a register or memory operand.
    fn instruction(&mut self, opcode: u8, mode: u8, register: u8, operand: u8) {
        let prefix = 0x48 | (register >> 3) << 2 | operand >> 3;
        self.code.extend([prefix, opcode, mode << 6 | (register & 7) << 3 | (operand & 7)]);
    }

    fn word_access(&mut self, opcode: u8, register: u8, word: usize, wide: bool) {
        let offset = (word * 8) as u8;
        self.instruction(opcode, if wide { 2 } else { 1 }, register, DATA_REGISTER);
        self.code.push(offset);
        if wide {
            self.code.extend([0; 3]);
        }
    }

    fn write(&mut self, operation: Operation) {
        const NOPS: [&[u8]; 9] = [
            &[0x90],
            &[0x66, 0x90],
            &[0x0f, 0x1f, 0x00],
            &[0x0f, 0x1f, 0x40, 0x00],
            &[0x0f, 0x1f, 0x44, 0x00, 0x00],
            &[0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00],
            &[0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00],
            &[0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
            &[0x66, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
        ];
        match operation {
            Operation::Not(to) => self.instruction(0xf7, 3, 2, to),
            Operation::Negate(to) => self.instruction(0xf7, 3, 3, to),
            Operation::Increment(to) => self.instruction(0xff, 3, 0, to),
            Operation::Decrement(to) => self.instruction(0xff, 3, 1, to),
            Operation::Add(to, from) => self.instruction(0x01, 3, from, to),
            Operation::Xor(to, from) => self.instruction(0x31, 3, from, to),
            Operation::Move(to, from) => self.instruction(0x89, 3, from, to),
            Operation::Exchange(to, from) => self.instruction(0x87, 3, from, to),
            Operation::AddByte(to, number) => {
                self.instruction(0x83, 3, 0, to);
                self.code.push(number);
            }
            Operation::SubtractLong(to, number) => {
                self.instruction(0x81, 3, 5, to);
                self.code.extend(number.to_le_bytes());
            }
            Operation::Address(to, from, number) => {
                self.instruction(0x8d, 2, to, from);
                self.code.extend(number.to_le_bytes());
            }
            Operation::Shift(to, count) => {
                self.instruction(0xc1, 3, 4, to);
                self.code.push(count);
            }
            Operation::SetLow(to, number) => {
                if to >= 8 {
                    self.code.push(0x41);
                }
                self.code.push(0xb8 | (to & 7));
                self.code.extend(number.to_le_bytes());
            }
            Operation::SetAll(to, number) => {
                self.instruction(0xc7, 3, 0, to);
                self.code.extend(number.to_le_bytes());
            }
            Operation::Store(from, word, wide) => self.word_access(0x89, from, word, wide),
            Operation::AddToWord(from, word, wide) => self.word_access(0x01, from, word, wide),
            Operation::Load(to, word, wide) => self.word_access(0x8b, to, word, wide),
            Operation::Compare(to, number) => {
                self.instruction(0x81, 3, 7, to);
                self.code.extend(number.to_le_bytes());
            }
            Operation::Nop(kind) => self.code.extend_from_slice(NOPS[kind]),
            Operation::Jump(over) => {
                // Over bytes that are no code.
                self.code.extend([0xeb, over as u8]);
                (0..over).for_each(|_| {
                    let byte = self.random.below(256) as u8;
                    self.code.push(byte);
                });
            }
            Operation::Call(..) => unreachable!("written by add_call"),
        }
    }

    /// What the instruction does, to the test's own registers. The number and the place of a call.
    fn carry_out(&mut self, operation: Operation) -> Option<(u64, u64)> {
        let words = &mut self.words;
        let r = |register: u8| usize::from(register);
        let registers = &mut self.registers;
        match operation {
            Operation::Not(to) => registers[r(to)] = !registers[r(to)],
            Operation::Negate(to) => registers[r(to)] = registers[r(to)].wrapping_neg(),
            Operation::Increment(to) => registers[r(to)] = registers[r(to)].wrapping_add(1),
            Operation::Decrement(to) => registers[r(to)] = registers[r(to)].wrapping_sub(1),
            Operation::Add(to, from) => registers[r(to)] = registers[r(to)].wrapping_add(registers[r(from)]),
            Operation::Xor(to, from) => registers[r(to)] ^= registers[r(from)],
            Operation::Move(to, from) => registers[r(to)] = registers[r(from)],
            Operation::Exchange(to, from) => registers.swap(r(to), r(from)),
            Operation::AddByte(to, number) => {
                registers[r(to)] = registers[r(to)].wrapping_add(u64::from(number))
            }
            Operation::SubtractLong(to, number) => {
                registers[r(to)] = registers[r(to)].wrapping_sub(i64::from(number) as u64)
            }
            Operation::Address(to, from, number) => {
                registers[r(to)] = registers[r(from)].wrapping_add(i64::from(number) as u64)
            }
            Operation::Shift(to, count) => registers[r(to)] <<= count,
            Operation::SetLow(to, number) => registers[r(to)] = u64::from(number),
            Operation::SetAll(to, number) => registers[r(to)] = i64::from(number) as u64,
            Operation::Store(from, word, _) => words[word] = registers[r(from)],
            Operation::AddToWord(from, word, _) => words[word] = words[word].wrapping_add(registers[r(from)]),
            Operation::Load(to, word, _) => registers[r(to)] = words[word],
            Operation::Compare(..) | Operation::Nop(_) | Operation::Jump(_) => (),
            Operation::Call(number, place) => {
                registers[0] = u64::from(number);
                return Some((u64::from(number), place));
            }
        }
        None
    }

    /// Carries out all up to the next call.
    fn run_model(&mut self) -> (u64, u64) {
        loop {
            let operation = self.operations[self.next];
            self.next = (self.next + 1) % self.operations.len();
            if let Some(call) = self.carry_out(operation) {
                return call;
            }
        }
    }
}

struct Run<'a> {
    program: Program,
    guest: &'a mut Guest,
    at: u64,
}

impl<'a> Run<'a> {
    fn start(mut program: Program, guest: &'a mut Guest) -> Self {
        let at = HOLE_AT + guest.page - program.random.below(program.code.len() as u64);
        put_code(guest, at, &program.code);
        guest.context.start(at, STACK_TOP).unwrap();
        fill_registers(&mut guest.context, program.random.below(1 << 32));
        guest.context.regs_mut().r13 = DATA_AT;
        program.registers = all_registers(&guest.context);
        guest.subprocess.write(DATA_AT, &[0; 8 * WORDS]).unwrap();
        Run { program, guest, at }
    }

    /// Runs to the call that the model says, and compares everything.
    fn run(&mut self, (number, place): (u64, u64)) {
        let call = call_of(self.guest.run(), number);
        assert_eq!(call.ip, self.at + place + 2);
        let registers = all_registers(&self.guest.context);
        for index in (0..16).filter(|index| ![1, 11].contains(index)) {
            assert_eq!(registers[index], self.program.registers[index], "register {}", index);
        }
        for (index, word) in (0..).zip(&self.program.words) {
            assert_eq!(load(&self.guest.subprocess, DATA_AT + 8 * index), *word);
        }
    }

    fn check_bytes(&self) {
        let page = self.guest.page;
        let first = self.at & !(page - 1);
        let length = ((self.at + self.program.code.len() as u64 - 1) & !(page - 1)) + page - first;
        let mut now = vec![0; self.program.code.len()];
        self.guest.subprocess.protect(first, length, RW).unwrap();
        self.guest.subprocess.read(self.at, &mut now).unwrap();
        assert_eq!(now, self.program.code);
        self.guest.subprocess.protect(first, length, RX).unwrap();
    }

    /// Things that a guest must not notice: a restart, a jump to the call, code made writable and executable again.
    fn disturb(&mut self, call: (u64, u64)) {
        match self.program.random.below(32) {
            0 | 1 => {
                self.guest.context.restart_syscall().unwrap();
                self.run(call);
            }
            2 | 3 => {
                self.guest.context.regs_mut().rip = self.at + call.1;
                self.run(call);
            }
            4 => self.check_bytes(),
            _ => (),
        }
    }

    fn calls(&mut self) {
        for _ in 0..CALLS {
            let call = self.program.run_model();
            self.run(call);
            self.disturb(call);
            let result = self.program.random.below(4096) as i64 - 4096;
            self.program.registers[0] = result as u64;
            self.guest.context.set_return(result).unwrap();
        }
        self.check_bytes();
    }
}

fn random(backend: Backend) {
    let wanted = std::env::var("PATCHING_SEED").ok().and_then(|text| text.parse().ok());
    let first = wanted.unwrap_or(u64::from(std::process::id()) * 1000);
    let count = if wanted.is_some() { 1 } else { PROGRAMS };
    let mut guest = Guest::open(backend, "call_loop");
    for seed in first..first + count {
        println!("PATCHING_SEED={}", seed);
        Run::start(Program::new(seed), &mut guest).calls();
    }
    if can_patch(&guest) {
        assert!(guest.platform.stats().unwrap().patch_sites > count);
    }
}
