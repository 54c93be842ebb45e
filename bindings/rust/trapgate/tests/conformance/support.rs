// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A guest that cases can run: a platform, a subprocess with code, a stack and data at known addresses, and a context
//! that stands at the code.

use crate::{code, host};
use std::os::unix::thread::RawPthread;
use std::sync::{mpsc, Arc};
use std::thread;
use std::time::Duration;
use trapgate::*;

pub const CODE_AT: u64 = 0x1000_0000;
pub const CODE_SIZE: u64 = 0x1_0000;
/// A second code area, for cases that need two kinds of guests in one subprocess.
pub const OTHER_CODE_AT: u64 = CODE_AT + CODE_SIZE;
pub const STACK_AT: u64 = 0x2000_0000;
pub const STACK_SIZE: u64 = 0x1_0000;
pub const STACK_TOP: u64 = STACK_AT + STACK_SIZE;
pub const DATA_AT: u64 = 0x3000_0000;
pub const DATA_SIZE: u64 = 0x10_0000;
/// Never mapped by the helpers.
pub const HOLE_AT: u64 = 0x4000_0000;

/// The call that guests make when they have nothing special to say.
pub const GUEST_CALL: u64 = libc::SYS_getpid as u64;

pub const R: Protection = Protection::READ;
pub const RW: Protection = Protection::from_bits(sys::TG_PROT_READ | sys::TG_PROT_WRITE);
pub const RX: Protection = Protection::from_bits(sys::TG_PROT_READ | sys::TG_PROT_EXEC);

pub const SIGSEGV: i32 = libc::SIGSEGV;
pub const SEGV_ACCERR: i32 = 2;

pub const SKIPPED: i32 = 77;

/// Ends the case: it does not apply here.
pub fn skip(reason: &str) -> ! {
    println!("skipped: {}", reason);
    std::process::exit(SKIPPED)
}

/// A call that has to fail, and with which errno.
#[track_caller]
pub fn fails<T, E: Into<Error>>(result: Result<T, E>, errno: i32) -> Error {
    match result {
        Ok(_) => panic!("worked, and errno {} was expected", errno),
        Err(error) => {
            let error = error.into();
            assert_eq!(error.errno(), errno, "{}", error);
            assert!(!error.message().is_empty());
            error
        }
    }
}

pub fn open_platform(backend: Backend) -> Platform {
    Platform::options().backend(backend).open().unwrap()
}

pub fn map_pages(subprocess: &Subprocess, addr: u64, length: u64, protection: Protection) {
    subprocess.map(addr, length, protection, Mapping::zeros()).unwrap();
}

/// Puts code into pages; they end up readable and executable.
pub fn load_code(subprocess: &Subprocess, addr: u64, code: &[u8]) {
    map_pages(subprocess, addr, code.len() as u64, RW);
    subprocess.write(addr, code).unwrap();
    subprocess.protect(addr, code.len() as u64, RX).unwrap();
}

pub fn loaded_subprocess(platform: &Platform, name: &str) -> Subprocess {
    let subprocess = Subprocess::new(platform).unwrap();
    load_code(&subprocess, CODE_AT, code::guest(name));
    map_pages(&subprocess, STACK_AT, STACK_SIZE, RW);
    map_pages(&subprocess, DATA_AT, DATA_SIZE, RW);
    subprocess
}

pub fn started_at(platform: &Platform, ip: u64) -> Context {
    let mut context = Context::new(platform).unwrap();
    context.start(ip, STACK_TOP).unwrap();
    context
}

pub fn started_context(platform: &Platform) -> Context {
    started_at(platform, CODE_AT)
}

/// A started context with user data.
pub fn marked_context(platform: &Platform, mark: u64) -> Context {
    let mut context = started_context(platform);
    context.set_user_data(mark).unwrap();
    context
}

pub fn load(subprocess: &Subprocess, addr: u64) -> u64 {
    let mut word = [0; 8];
    subprocess.read(addr, &mut word).unwrap();
    u64::from_ne_bytes(word)
}

pub fn store(subprocess: &Subprocess, addr: u64, value: u64) {
    subprocess.write(addr, &value.to_ne_bytes()).unwrap();
}

/// Waits until the guest has changed the word. The time limit ends a wait that never succeeds.
pub fn wait_change(subprocess: &Subprocess, addr: u64, old: u64) {
    while load(subprocess, addr) == old {
        host::sleep_us(100);
    }
}

/// Where a label of a guest is once it is loaded.
pub fn place(name: &str, label: &str) -> u64 {
    CODE_AT + code::offset(name, label)
}

pub struct Guest {
    pub context: Context,
    /// Shared by the contexts that run in it.
    pub subprocess: Arc<Subprocess>,
    pub platform: Platform,
    pub page: u64,
}

impl Guest {
    pub fn open(backend: Backend, name: &str) -> Self {
        Self::open_with(Platform::options().backend(backend), name)
    }

    pub fn open_with(options: Options, name: &str) -> Self {
        let platform = options.open().unwrap();
        let subprocess = Arc::new(loaded_subprocess(&platform, name));
        let context = started_context(&platform);
        let page = platform.info().unwrap().page_size;
        Guest { context, subprocess, platform, page }
    }

    /// Back to the first instruction, with a new context's registers.
    pub fn restart(&mut self) {
        self.context.start(CODE_AT, STACK_TOP).unwrap();
    }

    pub fn run(&mut self) -> Event {
        self.context.switch(&self.subprocess).unwrap()
    }

    #[track_caller]
    pub fn run_to_call(&mut self) -> Syscall {
        call(self.run())
    }

    pub fn set_argument(&mut self, index: usize, value: u64) {
        self.context.regs_mut().set_argument(index, value);
    }

    /// Runs the context in a thread of its own while the function does something beside it.
    pub fn run_beside(&mut self, beside: impl FnOnce(&Beside<'_>)) -> Event {
        let Guest { context, subprocess, platform, .. } = self;
        let interrupter = context.interrupter();
        let (report, thread) = mpsc::channel();
        let subprocess: &Subprocess = subprocess;
        thread::scope(|scope| {
            let runner = scope.spawn(move || {
                report.send(host::this_thread()).unwrap();
                context.switch(subprocess).unwrap()
            });
            let thread = thread.recv().unwrap();
            beside(&Beside { subprocess, platform, interrupter, thread });
            runner.join().unwrap()
        })
    }
}

/// What is left for others while a guest runs.
pub struct Beside<'a> {
    pub subprocess: &'a Subprocess,
    pub platform: &'a Platform,
    pub interrupter: Interrupter,
    pub thread: RawPthread,
}

/// Runs the function in a thread of its own.
pub fn in_thread<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(run).join().unwrap())
}

/// A system call that guests make.
#[track_caller]
pub fn call(event: Event) -> Syscall {
    call_of(event, GUEST_CALL)
}

#[track_caller]
pub fn call_of(event: Event, number: u64) -> Syscall {
    match event {
        Event::Syscall(call) => {
            assert_eq!(call.nr, number);
            call
        }
        other => panic!("{:?} is not call {}", other, number),
    }
}

#[track_caller]
pub fn check_fault(event: &Event, addr: u64, access: Access, signal: i32, code: i32) -> Fault {
    match event {
        Event::Fault(fault)
            if (fault.addr, fault.access, fault.signal, fault.code) == (addr, access, signal, code) =>
        {
            fault.clone()
        }
        other => panic!(
            "{:x?} is not a fault at {:#x}, {:?}, signal {} code {}",
            other, addr, access, signal, code
        ),
    }
}

#[track_caller]
pub fn check_interrupted(event: &Event) {
    assert!(matches!(event, Event::Interrupted(_)), "{:x?} is not an interrupt", event);
}

#[track_caller]
pub fn check_dead(event: &Event, cause: DeathCause) {
    assert!(matches!(event, Event::Dead(dead) if dead.cause == cause), "{:x?} is not {:?}", event, cause);
}

#[track_caller]
pub fn check_killed(event: &Event) {
    check_dead(event, DeathCause::Killed { signal: libc::SIGKILL });
}

/// Waits for as long as it takes.
pub fn wait_one(queue: &Queue) -> Completion {
    let mut completions = queue.wait(1, None).unwrap();
    assert_eq!(completions.len(), 1);
    completions.remove(0)
}

/// Looks for a moment and finds nothing.
#[track_caller]
pub fn wait_nothing(queue: &Queue, time: Duration) {
    assert!(queue.wait(1, Some(time)).unwrap().is_empty());
}

pub const NO_TIME: Duration = Duration::ZERO;
pub const MOMENT: Duration = Duration::from_millis(1);

pub fn submit(queue: &Queue, context: Context, subprocess: &Subprocess) {
    queue.submit(context, subprocess).unwrap();
}
