// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Prints the system calls of a static program to stderr, the program's own output goes where it wants:
//! `cargo run --example trace -- /bin/busybox true`

mod program;

use program::{Program, Served};
use trapgate::{Event, Platform, Syscall};

/// The names of the calls that this kernel knows.
fn name(call: &Syscall) -> String {
    let known = [
        (libc::SYS_brk, "brk"),
        (libc::SYS_exit, "exit"),
        (libc::SYS_exit_group, "exit_group"),
        (libc::SYS_getpid, "getpid"),
        (libc::SYS_getrandom, "getrandom"),
        (libc::SYS_ioctl, "ioctl"),
        (libc::SYS_mmap, "mmap"),
        (libc::SYS_mprotect, "mprotect"),
        (libc::SYS_munmap, "munmap"),
        (libc::SYS_set_tid_address, "set_tid_address"),
        (libc::SYS_write, "write"),
        (libc::SYS_writev, "writev"),
        #[cfg(target_arch = "x86_64")]
        (libc::SYS_arch_prctl, "arch_prctl"),
    ];
    let found = known.iter().find(|(number, _)| *number == call.nr as i64);
    found.map_or_else(|| format!("call_{}", call.nr), |(_, name)| name.to_string())
}

fn trace(arguments: &[String]) -> Result<i32, Box<dyn std::error::Error>> {
    let mut program = Program::load(&Platform::open()?, &arguments[0], arguments)?;
    loop {
        match program.context.switch(&program.subprocess)? {
            Event::Syscall(call) => {
                let [first, second, third, ..] = call.args;
                eprint!("{}({:#x}, {:#x}, {:#x})", name(&call), first, second, third);
                match program.serve(&call)? {
                    Served::Result(value) => {
                        eprintln!(" = {}", value);
                        program.context.set_return(value)?;
                    }
                    Served::Exit(status) => {
                        eprintln!();
                        return Ok(status);
                    }
                }
            }
            other => return Err(format!("the program ended with {:?}", other).into()),
        }
    }
}

fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.is_empty() {
        arguments = ["/bin/busybox", "true"].map(String::from).to_vec();
    }
    match trace(&arguments) {
        Ok(status) => std::process::exit(status),
        Err(error) => {
            eprintln!("trace: {}", error);
            std::process::exit(125)
        }
    }
}
