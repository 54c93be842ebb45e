// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the examples need of a kernel: a loader for static programs, and a handful of system calls.

use std::io::{self, Write};
use trapgate::{Context, Error, Mapping, Platform, Protection, Subprocess, Syscall};

const STACK_TOP: u64 = 0x7000_0000_0000;
const STACK_SIZE: u64 = 0x80_0000;
const MAPPINGS: u64 = 0x6000_0000_0000;
const DYNAMIC_BASE: u64 = 0x5000_0000_0000;
const MOST_OUTPUT: u64 = 1 << 20;

/// A loaded program and the little that its kernel remembers.
pub struct Program {
    pub subprocess: Subprocess,
    pub context: Context,
    page: u64,
    break_start: u64,
    break_end: u64,
    next_mapping: u64,
}

/// What became of a system call.
pub enum Served {
    Result(i64),
    Exit(i32),
}

/// The parts of an ELF file that matter here.
struct Elf<'a> {
    bytes: &'a [u8],
    base: u64,
}

struct Segment {
    kind: u32,
    flags: u32,
    offset: u64,
    addr: u64,
    file_size: u64,
    memory_size: u64,
}

impl<'a> Elf<'a> {
    fn parse(bytes: &'a [u8]) -> io::Result<Self> {
        let elf = Elf { bytes, base: 0 };
        if bytes.len() < 64 || &bytes[..6] != b"\x7fELF\x02\x01" {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not a 64-bit ELF file"));
        }
        let base = if elf.number(16, 2) == 3 { DYNAMIC_BASE } else { 0 };
        Ok(Elf { bytes, base })
    }

    fn number(&self, at: u64, size: usize) -> u64 {
        let at = at as usize;
        let mut word = [0; 8];
        word[..size].copy_from_slice(&self.bytes[at..at + size]);
        u64::from_le_bytes(word)
    }

    fn entry(&self) -> u64 {
        self.base + self.number(24, 8)
    }

    fn segment_count(&self) -> u64 {
        self.number(56, 2)
    }

    fn segments(&self) -> impl Iterator<Item = Segment> + '_ {
        let (table, size) = (self.number(32, 8), self.number(54, 2));
        (0..self.segment_count()).map(move |index| {
            let at = table + index * size;
            Segment {
                kind: self.number(at, 4) as u32,
                flags: self.number(at + 4, 4) as u32,
                offset: self.number(at + 8, 8),
                addr: self.base + self.number(at + 16, 8),
                file_size: self.number(at + 32, 8),
                memory_size: self.number(at + 40, 8),
            }
        })
    }

    /// Where the program finds its own segment table.
    fn table_in_memory(&self) -> u64 {
        let table = self.number(32, 8);
        let holds = |segment: &Segment| segment.kind == 1 && segment.offset <= table;
        self.segments().find(holds).map_or(0, |segment| segment.addr + table - segment.offset)
    }
}

fn protection(flags: u32) -> Protection {
    let mut protection = Protection::NONE;
    for (bit, right) in [(4, Protection::READ), (2, Protection::WRITE), (1, Protection::EXECUTE)] {
        if flags & bit != 0 {
            protection |= right;
        }
    }
    protection
}

impl Program {
    /// Loads a static program with its arguments.
    pub fn load(platform: &Platform, path: &str, arguments: &[String]) -> io::Result<Self> {
        let bytes = std::fs::read(path)?;
        let elf = Elf::parse(&bytes)?;
        if elf.segments().any(|segment| segment.kind == 3) {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "not a static program"));
        }
        let page = platform.info()?.page_size;
        let subprocess = Subprocess::new(platform)?;
        let mut break_start = 0;
        for segment in elf.segments().filter(|segment| segment.kind == 1) {
            let start = segment.addr / page * page;
            let end = (segment.addr + segment.memory_size + page - 1) / page * page;
            subprocess.map(start, end - start, Protection::READ | Protection::WRITE, Mapping::zeros())?;
            let from = segment.offset as usize;
            let part = &bytes[from..from + segment.file_size as usize];
            subprocess.write(segment.addr, part).map_err(Error::from)?;
            subprocess.protect(start, end - start, protection(segment.flags))?;
            break_start = break_start.max(end);
        }
        let rights = Protection::READ | Protection::WRITE;
        subprocess.map(STACK_TOP - STACK_SIZE, STACK_SIZE, rights, Mapping::zeros())?;
        let stack_pointer = push_arguments(&subprocess, &elf, page, arguments)?;
        let mut context = Context::new(platform)?;
        context.start(elf.entry(), stack_pointer)?;
        let next_mapping = MAPPINGS;
        Ok(Program { subprocess, context, page, break_start, break_end: break_start, next_mapping })
    }

    /// Does what a system call asks for. What is not served here does not exist.
    pub fn serve(&mut self, call: &Syscall) -> trapgate::Result<Served> {
        let [first, second, third, ..] = call.args;
        let result = match call.nr as i64 {
            libc::SYS_exit | libc::SYS_exit_group => return Ok(Served::Exit(first as i32)),
            libc::SYS_write => self.write(first, second, third),
            libc::SYS_writev => self.write_vector(first, second, third),
            libc::SYS_brk => self.set_break(first)?,
            libc::SYS_mmap => self.map(call)?,
            libc::SYS_munmap => errno(self.subprocess.unmap(first, second)),
            libc::SYS_mprotect => self.protect(first, second, third),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_arch_prctl if first == 0x1002 => errno(self.context.set_tls(second)), // ARCH_SET_FS
            libc::SYS_set_tid_address | libc::SYS_getpid => 1,
            libc::SYS_getrandom => self.random(first, second),
            libc::SYS_ioctl => -i64::from(libc::ENOTTY),
            _ => -i64::from(libc::ENOSYS),
        };
        Ok(Served::Result(result))
    }

    fn write(&self, descriptor: u64, addr: u64, length: u64) -> i64 {
        let mut bytes = vec![0; length.min(MOST_OUTPUT) as usize];
        if let Err(partial) = self.subprocess.read(addr, &mut bytes) {
            bytes.truncate(partial.done);
        }
        let written = match descriptor {
            _ if bytes.is_empty() && length > 0 => return -i64::from(libc::EFAULT),
            1 => io::stdout().write_all(&bytes),
            2 => io::stderr().write_all(&bytes),
            _ => return -i64::from(libc::EBADF),
        };
        written.map_or(-i64::from(libc::EIO), |()| bytes.len() as i64)
    }

    fn write_vector(&self, descriptor: u64, vector: u64, count: u64) -> i64 {
        let mut total = 0;
        for index in 0..count.min(1024) {
            let mut entry = [0; 16];
            if self.subprocess.read(vector + 16 * index, &mut entry).is_err() {
                return -i64::from(libc::EFAULT);
            }
            let (addr, length) = entry.split_at(8);
            let word = |bytes: &[u8]| bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
            match self.write(descriptor, word(addr), word(length)) {
                written if written >= 0 => total += written,
                error => return error,
            }
        }
        total
    }

    fn set_break(&mut self, wanted: u64) -> trapgate::Result<i64> {
        let (old, new) = (round_up(self.break_end, self.page), round_up(wanted, self.page));
        if wanted < self.break_start || new > self.break_start + (1 << 30) {
            return Ok(self.break_end as i64);
        }
        if new > old {
            self.subprocess.map(old, new - old, Protection::READ | Protection::WRITE, Mapping::zeros())?;
        }
        self.break_end = wanted;
        Ok(wanted as i64)
    }

    fn map(&mut self, call: &Syscall) -> trapgate::Result<i64> {
        let [_, length, rights, flags, ..] = call.args;
        if flags & libc::MAP_ANONYMOUS as u64 == 0 || length == 0 || length > 1 << 30 {
            return Ok(-i64::from(libc::ENODEV));
        }
        let addr = self.next_mapping;
        self.next_mapping += round_up(length, self.page);
        self.subprocess.map(addr, length, Protection::from_bits(rights as u32 & 7), Mapping::zeros())?;
        Ok(addr as i64)
    }

    fn protect(&self, addr: u64, length: u64, rights: u64) -> i64 {
        errno(self.subprocess.protect(addr, length, Protection::from_bits(rights as u32 & 7)))
    }

    /// Not random at all: the example is to do the same each time.
    fn random(&self, addr: u64, length: u64) -> i64 {
        let bytes = vec![0x5a; length.min(256) as usize];
        match self.subprocess.write(addr, &bytes) {
            Ok(()) => bytes.len() as i64,
            Err(_) => -i64::from(libc::EFAULT),
        }
    }
}

fn round_up(value: u64, page: u64) -> u64 {
    (value + page - 1) / page * page
}

fn errno(result: trapgate::Result<()>) -> i64 {
    result.map_or_else(|error| -i64::from(error.errno()), |()| 0)
}

/// Argument count, arguments, environment and auxiliary vector as a program finds them at its start.
fn push_arguments(
    subprocess: &Subprocess,
    elf: &Elf<'_>,
    page: u64,
    arguments: &[String],
) -> io::Result<u64> {
    let mut strings = vec![0x5a; 16]; // AT_RANDOM
    let mut offsets = Vec::new();
    for argument in arguments {
        offsets.push(strings.len() as u64);
        strings.extend_from_slice(argument.as_bytes());
        strings.push(0);
    }
    let strings_at = (STACK_TOP - strings.len() as u64) / 16 * 16;
    let mut words = vec![arguments.len() as u64];
    words.extend(offsets.iter().map(|offset| strings_at + offset));
    words.extend([0, 0]); // the ends of arguments and environment
    let auxiliary = [
        (libc::AT_PHDR, elf.table_in_memory()),
        (libc::AT_PHENT, 56),
        (libc::AT_PHNUM, elf.segment_count()),
        (libc::AT_PAGESZ, page),
        (libc::AT_ENTRY, elf.entry()),
        (libc::AT_RANDOM, strings_at),
        (libc::AT_NULL, 0),
    ];
    words.extend(auxiliary.iter().flat_map(|(key, value)| [*key, *value]));
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let stack_pointer = (strings_at - bytes.len() as u64) / 16 * 16;
    subprocess.write(strings_at, &strings).map_err(Error::from)?;
    subprocess.write(stack_pointer, &bytes).map_err(Error::from)?;
    Ok(stack_pointer)
}
