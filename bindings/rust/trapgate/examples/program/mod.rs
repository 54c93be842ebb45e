// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the examples need of a kernel: a loader for static programs, and a handful of system calls.

use std::io::{self, Write};
use trapgate::{Context, Error, Mapping, Platform, Protection, Subprocess, Syscall};

const STACK_TOP: u64 = 0x7000_0000_0000;
const STACK_SIZE: u64 = 0x80_0000;
const MAPPINGS: u64 = 0x6000_0000_0000;
const DYNAMIC_BASE: u64 = 0x5000_0000_0000;
const MOST_OUTPUT: u64 = 1 << 20;
const MOST_BREAK: u64 = 1 << 30;
const MOST_MAPPED: u64 = 1 << 30;

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

/// The parts of an ELF file that matter here. The file is a stranger's: each number in it may be any number.
struct Elf {
    entry: u64,
    table: u64,
    segments: Vec<Segment>,
}

struct Segment {
    kind: u32,
    flags: u32,
    offset: u64,
    addr: u64,
    file_size: u64,
    memory_size: u64,
}

const DYNAMIC: u64 = 3;
const LOAD: u32 = 1;
const INTERPRETER: u32 = 3;
const SEGMENT_SIZE: u64 = 56;

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not a well-formed 64-bit ELF file")
}

/// A number in the file, of up to eight bytes.
fn number(bytes: &[u8], at: u64, size: usize) -> io::Result<u64> {
    let mut word = [0; 8];
    word[..size].copy_from_slice(part_of(bytes, at, size as u64)?);
    Ok(u64::from_le_bytes(word))
}

/// A part of the file, which may reach behind its end.
fn part_of(bytes: &[u8], at: u64, length: u64) -> io::Result<&[u8]> {
    let start = usize::try_from(at).map_err(|_| malformed())?;
    let length = usize::try_from(length).map_err(|_| malformed())?;
    let end = start.checked_add(length).ok_or_else(malformed)?;
    bytes.get(start..end).ok_or_else(malformed)
}

impl Elf {
    fn parse(bytes: &[u8]) -> io::Result<Self> {
        if bytes.get(..6) != Some(b"\x7fELF\x02\x01") || number(bytes, 54, 2)? != SEGMENT_SIZE {
            return Err(malformed());
        }
        let base = if number(bytes, 16, 2)? == DYNAMIC { DYNAMIC_BASE } else { 0 };
        let (entry, table) = (number(bytes, 24, 8)?, number(bytes, 32, 8)?);
        let segments = (0..number(bytes, 56, 2)?).map(|index| {
            let at = table.checked_add(index * SEGMENT_SIZE).ok_or_else(malformed)?;
            Segment::parse(part_of(bytes, at, SEGMENT_SIZE)?, base)
        });
        let segments = segments.collect::<io::Result<Vec<_>>>()?;
        Ok(Elf { entry: entry.checked_add(base).ok_or_else(malformed)?, table, segments })
    }

    /// Where the program finds its own segment table.
    fn table_in_memory(&self) -> u64 {
        let holds = |segment: &&Segment| {
            segment.kind == LOAD && self.table.wrapping_sub(segment.offset) < segment.file_size
        };
        self.segments.iter().find(holds).map_or(0, |segment| segment.addr + (self.table - segment.offset))
    }
}

impl Segment {
    fn parse(bytes: &[u8], base: u64) -> io::Result<Self> {
        let addr = number(bytes, 16, 8)?.checked_add(base).ok_or_else(malformed)?;
        let (file_size, memory_size) = (number(bytes, 32, 8)?, number(bytes, 40, 8)?);
        addr.checked_add(memory_size).filter(|_| file_size <= memory_size).ok_or_else(malformed)?;
        Ok(Segment {
            kind: number(bytes, 0, 4)? as u32,
            flags: number(bytes, 4, 4)? as u32,
            offset: number(bytes, 8, 8)?,
            addr,
            file_size,
            memory_size,
        })
    }

    /// The pages that it needs. The end of a segment that ends close to that of the address space is out of reach.
    fn pages(&self, page: u64) -> io::Result<(u64, u64)> {
        let end = round_up(self.addr + self.memory_size, page).ok_or_else(malformed)?;
        Ok((self.addr / page * page, end))
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
        if elf.segments.iter().any(|segment| segment.kind == INTERPRETER) {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "not a static program"));
        }
        let page = platform.info()?.page_size;
        let subprocess = Subprocess::new(platform)?;
        let mut break_start = 0;
        for segment in elf.segments.iter().filter(|segment| segment.kind == LOAD && segment.memory_size > 0) {
            let (start, end) = segment.pages(page)?;
            subprocess.map(start, end - start, Protection::READ | Protection::WRITE, Mapping::zeros())?;
            let part = part_of(&bytes, segment.offset, segment.file_size)?;
            subprocess.write(segment.addr, part).map_err(Error::from)?;
            subprocess.protect(start, end - start, protection(segment.flags))?;
            break_start = break_start.max(end);
        }
        let rights = Protection::READ | Protection::WRITE;
        subprocess.map(STACK_TOP - STACK_SIZE, STACK_SIZE, rights, Mapping::zeros())?;
        let stack_pointer = push_arguments(&subprocess, &elf, page, arguments)?;
        let mut context = Context::new(platform)?;
        context.start(elf.entry, stack_pointer)?;
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
            libc::SYS_brk => self.set_break(first),
            libc::SYS_mmap => self.map(call),
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
            if self.subprocess.read(vector.wrapping_add(16 * index), &mut entry).is_err() {
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

    fn set_break(&mut self, wanted: u64) -> i64 {
        let most = self.break_start + MOST_BREAK;
        if wanted < self.break_start || wanted > most {
            return self.break_end as i64; // what the guest asks for may be any number
        }
        let rights = Protection::READ | Protection::WRITE;
        if let (Some(old), Some(new)) = (round_up(self.break_end, self.page), round_up(wanted, self.page)) {
            if new > old && self.subprocess.map(old, new - old, rights, Mapping::zeros()).is_err() {
                return self.break_end as i64;
            }
            self.break_end = wanted;
        }
        self.break_end as i64
    }

    fn map(&mut self, call: &Syscall) -> i64 {
        let [_, length, rights, flags, ..] = call.args;
        if flags & libc::MAP_ANONYMOUS as u64 == 0 || length == 0 || length > MOST_MAPPED {
            return -i64::from(libc::ENODEV);
        }
        let addr = self.next_mapping;
        let rights = Protection::from_bits(rights as u32 & 7);
        match (round_up(length, self.page), self.subprocess.map(addr, length, rights, Mapping::zeros())) {
            (Some(taken), Ok(())) => self.next_mapping += taken,
            _ => return -i64::from(libc::ENOMEM),
        }
        addr as i64
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

fn round_up(value: u64, page: u64) -> Option<u64> {
    value.checked_add(page - 1).map(|value| value / page * page)
}

fn errno(result: trapgate::Result<()>) -> i64 {
    result.map_or_else(|error| -i64::from(error.errno()), |()| 0)
}

/// Argument count, arguments, environment and auxiliary vector as a program finds them at its start.
fn push_arguments(subprocess: &Subprocess, elf: &Elf, page: u64, arguments: &[String]) -> io::Result<u64> {
    let mut strings = vec![0x5a; 16]; // AT_RANDOM
    let mut offsets = Vec::new();
    for argument in arguments {
        offsets.push(strings.len() as u64);
        strings.extend_from_slice(argument.as_bytes());
        strings.push(0);
    }
    if strings.len() as u64 + 64 * arguments.len() as u64 > STACK_SIZE / 4 {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "more arguments than the stack has room for",
        ));
    }
    let strings_at = (STACK_TOP - strings.len() as u64) / 16 * 16;
    let mut words = vec![arguments.len() as u64];
    words.extend(offsets.iter().map(|offset| strings_at + offset));
    words.extend([0, 0]); // the ends of arguments and environment
    let auxiliary = [
        (libc::AT_PHDR, elf.table_in_memory()),
        (libc::AT_PHENT, SEGMENT_SIZE),
        (libc::AT_PHNUM, elf.segments.len() as u64),
        (libc::AT_PAGESZ, page),
        (libc::AT_ENTRY, elf.entry),
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
