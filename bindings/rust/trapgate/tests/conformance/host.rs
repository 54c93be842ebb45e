// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the cases need of the host, as safe functions; each failure ends the case.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::unix::io::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::thread::RawPthread;
use std::path::Path;
use std::time::Duration;

#[track_caller]
fn checked(result: libc::c_int) -> libc::c_int {
    assert!(result >= 0, "{}", io::Error::last_os_error());
    result
}

pub fn sleep_us(us: u64) {
    std::thread::sleep(Duration::from_micros(us));
}

#[track_caller]
pub fn memfd(name: &str, length: u64) -> File {
    let name = CString::new(name).unwrap();
    // SAFETY: a terminated name; the descriptor is ours.
    let file = unsafe { File::from_raw_fd(checked(libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC))) };
    file.set_len(length).unwrap();
    file
}

pub fn limit_descriptors(limit: libc::rlim_t) {
    let mut now = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a struct of ours, which the second call reads.
    unsafe {
        checked(libc::getrlimit(libc::RLIMIT_NOFILE, &mut now));
        now.rlim_cur = limit;
        checked(libc::setrlimit(libc::RLIMIT_NOFILE, &now));
    }
}

/// Takes the numbers of descriptors away that nobody uses yet; gives the old limit.
pub fn take_descriptors() -> libc::rlim_t {
    let mut before = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a struct of ours; the copy is ours to close.
    let next = unsafe {
        checked(libc::getrlimit(libc::RLIMIT_NOFILE, &mut before));
        OwnedFd::from_raw_fd(checked(libc::dup(2)))
    };
    let number = next.as_raw_fd();
    drop(next);
    limit_descriptors(number as libc::rlim_t);
    before.rlim_cur
}

/// The number means this file from now on.
pub fn replace_descriptor(number: RawFd, file: &File) {
    // SAFETY: two numbers; what the first one was is closed.
    checked(unsafe { libc::dup2(file.as_raw_fd(), number) });
}

pub fn kill(pid: u32, signal: i32) {
    // SAFETY: a signal to a process.
    checked(unsafe { libc::kill(pid as i32, signal) });
}

pub fn signal_thread(thread: RawPthread, signal: i32) {
    // SAFETY: the caller keeps the thread from being joined.
    assert_eq!(unsafe { libc::pthread_kill(thread, signal) }, 0);
}

pub fn this_thread() -> RawPthread {
    // SAFETY: no arguments.
    unsafe { libc::pthread_self() }
}

/// Handlers may only do what signal handlers may.
pub fn handle_signal(signal: i32, handler: extern "C" fn(libc::c_int), flags: libc::c_int) {
    // SAFETY: zeros are an empty action; the handler has the type that the flags ask for.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = flags;
        checked(libc::sigaction(signal, &action, std::ptr::null_mut()));
    }
}

/// A child that runs the function and exits with what it returns. Only for processes with one thread.
pub fn fork(child: impl FnOnce() -> i32) -> u32 {
    // SAFETY: the child goes on with its own copy of everything and leaves by _exit.
    let pid = checked(unsafe { libc::fork() });
    if pid == 0 {
        let status = child();
        // SAFETY: ends the process.
        unsafe { libc::_exit(status) }
    }
    pid as u32
}

pub fn exit_at_once(status: i32) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(status) }
}

/// Pid and status, or the error of waitpid(2); interruptions are waited out.
pub fn wait(pid: i32, flags: i32) -> Result<(i32, i32), i32> {
    let mut status = 0;
    loop {
        // SAFETY: `status` is written.
        let found = unsafe { libc::waitpid(pid, &mut status, flags) };
        match io::Error::last_os_error().raw_os_error() {
            _ if found >= 0 => return Ok((found, status)),
            Some(libc::EINTR) => continue,
            error => return Err(error.unwrap()),
        }
    }
}

pub fn become_subreaper() {
    // SAFETY: numbers only.
    checked(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) });
}

#[track_caller]
pub fn check_no_child() {
    assert_eq!(wait(-1, libc::__WALL | libc::WNOHANG), Err(libc::ECHILD));
}

/// Does the descriptor become readable in time? None waits for ever.
pub fn readable(descriptor: &impl AsRawFd, timeout: Option<Duration>) -> bool {
    let mut ready = libc::pollfd { fd: descriptor.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let timeout = timeout.map_or(-1, |time| time.as_millis() as libc::c_int);
    // SAFETY: one struct.
    checked(unsafe { libc::poll(&mut ready, 1, timeout) }) == 1
}

pub fn pidfd(pid: u32) -> OwnedFd {
    // SAFETY: the descriptor is ours.
    unsafe { OwnedFd::from_raw_fd(checked(libc::syscall(libc::SYS_pidfd_open, pid, 0) as RawFd)) }
}

pub struct Epoll(OwnedFd);

impl Epoll {
    pub fn new() -> Self {
        // SAFETY: the descriptor is ours.
        Epoll(unsafe { OwnedFd::from_raw_fd(checked(libc::epoll_create1(libc::EPOLL_CLOEXEC))) })
    }

    pub fn add(&self, descriptor: &impl AsRawFd) {
        let mut interest = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 0 };
        let (epoll, descriptor) = (self.0.as_raw_fd(), descriptor.as_raw_fd());
        // SAFETY: the struct is read only.
        checked(unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, descriptor, &mut interest) });
    }

    pub fn wait(&self, timeout_ms: i32) -> i32 {
        let mut ready = libc::epoll_event { events: 0, u64: 0 };
        // SAFETY: room for one event.
        checked(unsafe { libc::epoll_wait(self.0.as_raw_fd(), &mut ready, 1, timeout_ms) })
    }
}

/// All memory of the C library in one heap, whose size the cases leave out.
pub fn one_heap() {
    // SAFETY: numbers only.
    assert_eq!(unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) }, 1);
}

/// The letter of /proc/PID/stat, or None when there is no such process.
pub fn process_state(pid: u32) -> Option<char> {
    let line = std::fs::read_to_string(format!("/proc/{}/stat", pid)).ok()?;
    line[line.rfind(')')? + 2..].chars().next()
}

pub fn is_alive(pid: u32) -> bool {
    !matches!(process_state(pid), None | Some('Z') | Some('X'))
}

/// Waits until the process is gone or a zombie. The time limit ends a wait that never succeeds.
pub fn wait_gone(pid: u32) {
    while is_alive(pid) {
        sleep_us(1000);
    }
}

pub fn entries(folder: impl AsRef<Path>) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

pub fn thread_count(pid: u32) -> usize {
    entries(format!("/proc/{}/task", pid))
}

#[derive(Debug)]
pub struct HostMapping {
    pub start: u64,
    pub end: u64,
    pub name: String,
}

pub fn mappings(pid: u32) -> Vec<HostMapping> {
    let text = std::fs::read_to_string(format!("/proc/{}/maps", pid)).unwrap();
    text.lines().map(parse_mapping).collect()
}

fn parse_mapping(line: &str) -> HostMapping {
    let mut words = line.split_whitespace();
    let (start, end) = words.next().and_then(|range| range.split_once('-')).expect("a range");
    let address = |text| u64::from_str_radix(text, 16).expect("an address");
    let name = words.nth(4).unwrap_or("").to_string();
    HostMapping { start: address(start), end: address(end), name }
}
