// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Runs a static program with a handful of system calls served, none of them by the host:
//! `cargo run --example run_static -- /bin/busybox echo hello`

mod program;

use program::{Program, Served};
use trapgate::{Event, Platform};

fn run(arguments: &[String]) -> Result<i32, Box<dyn std::error::Error>> {
    let mut program = Program::load(&Platform::open()?, &arguments[0], arguments)?;
    loop {
        match program.context.switch(&program.subprocess)? {
            Event::Syscall(call) => match program.serve(&call)? {
                Served::Result(value) => program.context.set_return(value)?,
                Served::Exit(status) => return Ok(status),
            },
            other => return Err(format!("the program ended with {:?}", other).into()),
        }
    }
}

fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.is_empty() {
        arguments = ["/bin/busybox", "echo", "hello"].map(String::from).to_vec();
    }
    match run(&arguments) {
        Ok(status) => std::process::exit(status),
        Err(error) => {
            eprintln!("run_static: {}", error);
            std::process::exit(125)
        }
    }
}
