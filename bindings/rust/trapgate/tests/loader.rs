// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What programs copy from the examples stands up to files and guests that mean harm: errors, and no panic.
#![cfg(target_arch = "x86_64")]

#[path = "../examples/program/mod.rs"]
mod program;

use program::{Program, Served};
use std::{fs, io, process};
use trapgate::{Event, Platform, Registers};

const ENTRY: u64 = 0x10000;
const HEADER: usize = 64;
const SEGMENT: usize = 56;
const EXTREMES: [u64; 10] =
    [0, 1, 0xfff, 1 << 31, 1 << 40, 1 << 47, (1 << 63) - 1, 1 << 63, u64::MAX - 0xfff, u64::MAX];

/// One segment that holds the file, and in its code a system call for ever.
fn good_file() -> Vec<u8> {
    let mut file = vec![0; HEADER + SEGMENT];
    let mut put = |at: usize, value: u64, size: usize| {
        file[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
    };
    put(0, 0x0001_0102_464c_457f, 8); // 64 bits, little-endian
    put(16, 2, 2); // fixed addresses
    put(24, ENTRY + (HEADER + SEGMENT) as u64, 8);
    put(32, HEADER as u64, 8);
    put(54, SEGMENT as u64, 2);
    put(56, 1, 2);
    put(HEADER, 1, 4); // to be loaded
    put(HEADER + 4, 5, 4); // read and execute
    put(HEADER + 16, ENTRY, 8);
    put(HEADER + 32, (HEADER + SEGMENT + 4) as u64, 8);
    put(HEADER + 40, 0x2000, 8);
    file.extend_from_slice(b"\x0f\x05\xeb\xfc"); // syscall; jump to it
    file
}

struct TemporaryFile(String);

impl TemporaryFile {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir();
        TemporaryFile(format!("{}/trapgate-{}-{}", folder.display(), name, process::id()))
    }

    fn load(&self, platform: &Platform, contents: &[u8]) -> io::Result<Program> {
        fs::write(&self.0, contents).unwrap();
        Program::load(platform, &self.0, &["program".to_string()])
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn malformed_files_are_errors() {
    let platform = Platform::open().unwrap();
    let file = TemporaryFile::new("malformed");
    let good = good_file();
    assert!(file.load(&platform, &good).is_ok());
    for length in 0..HEADER + SEGMENT {
        assert!(file.load(&platform, &good[..length]).is_err(), "cut at {}", length);
    }
    let numbers = [(16, 2), (24, 8), (32, 8), (54, 2), (56, 2)];
    let of_segment =
        [(0, 4), (4, 4), (8, 8), (16, 8), (32, 8), (40, 8)].map(|(at, size)| (HEADER + at, size));
    for (at, size) in numbers.into_iter().chain(of_segment) {
        for value in EXTREMES {
            let mut bad = good.clone();
            bad[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
            let _ = file.load(&platform, &bad); // whatever it says
        }
    }
}

fn set_call(registers: &mut Registers, number: i64, arguments: [u64; 4]) {
    registers.set_instruction_pointer(ENTRY + (HEADER + SEGMENT) as u64);
    registers.rax = number as u64;
    registers.rdi = arguments[0];
    registers.rsi = arguments[1];
    registers.rdx = arguments[2];
    registers.r10 = arguments[3];
}

#[test]
fn hostile_calls_have_results() {
    let platform = Platform::open().unwrap();
    let file = TemporaryFile::new("hostile");
    let mut program = file.load(&platform, &good_file()).unwrap();
    let anonymous = libc::MAP_ANONYMOUS as u64;
    let calls = [
        libc::SYS_brk,
        libc::SYS_mmap,
        libc::SYS_munmap,
        libc::SYS_mprotect,
        libc::SYS_write,
        libc::SYS_writev,
        libc::SYS_getrandom,
        libc::SYS_arch_prctl,
    ];
    for number in calls {
        for first in EXTREMES.into_iter().chain([0x1002]) {
            for second in EXTREMES {
                // Descriptor 1 would be the test's own output.
                if first == 1 && matches!(number, libc::SYS_write | libc::SYS_writev) {
                    continue;
                }
                set_call(program.context.regs_mut(), number, [first, second, second, anonymous]);
                match program.context.switch(&program.subprocess).unwrap() {
                    Event::Syscall(call) => match program.serve(&call).unwrap() {
                        Served::Result(value) => program.context.set_return(value).unwrap(),
                        Served::Exit(status) => panic!("{} ended with {}", number, status),
                    },
                    // It has unmapped its own code, or taken its rights away.
                    Event::Fault(_) => program = file.load(&platform, &good_file()).unwrap(),
                    other => panic!("{:?}", other),
                }
            }
        }
    }
}
