// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a guest can reach: nothing of the embedder, nothing of other guests.

use crate::cases::cases;
use crate::host::{self, HostMapping};
use crate::support::*;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use trapgate::*;

const SECRET: &str = "correct horse battery staple";

cases! { isolation:
    only_stub_pages, only_stub_pages_after_use, embedder_pages, no_secret, environment, no_writable_code, filtered,
    descriptors, descriptors_later,
}

/// Above user space, or in a range that is taken out of it.
fn is_the_librarys(info: &Info, mapping: &HostMapping) -> bool {
    let inside = |range: &std::ops::Range<u64>| range.start <= mapping.start && mapping.end <= range.end;
    mapping.start >= info.user.end || info.reserved.iter().any(inside)
}

/// The kernel shows one page of its own to every process, outside of user space.
fn is_kernel_page(mapping: &HostMapping) -> bool {
    ["[vsyscall]", "[vectors]"].contains(&mapping.name.as_str())
}

#[track_caller]
fn check_only_stub_pages(subprocess: &Subprocess) {
    let info = subprocess.platform().info().unwrap();
    let mappings = host::mappings(subprocess.pid().unwrap());
    assert!(!mappings.is_empty());
    for mapping in mappings {
        assert!(is_kernel_page(&mapping) || is_the_librarys(&info, &mapping), "{:x?}", mapping);
    }
}

fn only_stub_pages(backend: Backend) {
    let platform = open_platform(backend);
    let first = Subprocess::new(&platform).unwrap();
    let second = Subprocess::new(&platform).unwrap();
    check_only_stub_pages(&first);
    check_only_stub_pages(&second);
    check_only_stub_pages(&first.fork().unwrap());
}

/// Also after it ran, mapped, and lost everything again.
fn only_stub_pages_after_use(backend: Backend) {
    let mut guest = Guest::open(backend, "call_loop");
    guest.run_to_call();
    assert!(guest.platform.info().unwrap().user.start < CODE_AT);
    guest.subprocess.unmap(CODE_AT, HOLE_AT - CODE_AT).unwrap();
    check_only_stub_pages(&guest.subprocess);
}

/// Goes through all of the embedder's mappings and looks for each in the guest.
fn embedder_pages(backend: Backend) {
    let mut guest = Guest::open(backend, "read_calls");
    let info = guest.platform.info().unwrap();
    // The stub's pages are at a random place, above which no guest can look: one page is certainly below.
    let low = host::page_at(HOLE_AT + 0x1000_0000);
    let mut looked = Vec::new();
    for mapping in host::mappings(std::process::id()) {
        if is_kernel_page(&mapping) || is_the_librarys(&info, &mapping) {
            continue;
        }
        let event = guest.touch(mapping.start, 0);
        check_fault(&event, mapping.start, Access::Read, SIGSEGV, SEGV_MAPERR);
        looked.push(mapping.start);
    }
    assert!(looked.contains(&low));
}

fn holds_secret(memory: &File, mapping: &HostMapping) -> bool {
    let mut page = [0; 4096];
    (mapping.start..mapping.end)
        .step_by(page.len())
        .any(|addr| memory.read_exact_at(&mut page, addr).is_ok() && host::contains(&page, SECRET.as_bytes()))
}

/// The pages that the stub keeps hold nothing of the embedder's either.
fn no_secret(backend: Backend) {
    std::env::set_var("CONFORMANCE_SECRET", SECRET);
    let subprocess = Subprocess::new(&open_platform(backend)).unwrap();
    let pid = subprocess.pid().unwrap();
    let memory = File::open(format!("/proc/{}/mem", pid))
        .unwrap_or_else(|_| skip("this host does not let a process read the memory of its child"));
    for mapping in host::mappings(pid) {
        assert!(is_kernel_page(&mapping) || !holds_secret(&memory, &mapping), "{:x?}", mapping);
    }
}

fn environment(backend: Backend) {
    std::env::set_var("CONFORMANCE_SECRET", SECRET);
    let guest = Guest::open(backend, "call_loop");
    let text = std::fs::read(format!("/proc/{}/environ", guest.subprocess.pid().unwrap()));
    assert!(text.map_or(true, |bytes| bytes.is_empty()));
}

/// No page of a stub is writable and executable at once.
fn no_writable_code(backend: Backend) {
    let subprocess = Subprocess::new(&open_platform(backend)).unwrap();
    for mapping in host::mappings(subprocess.pid().unwrap()) {
        assert!(!mapping.rights.contains("wx"), "{:x?}", mapping);
    }
}

/// What remains if a guest ever got to run a call for real: a filter that cannot be taken off.
fn filtered(backend: Backend) {
    let mut guest = Guest::open(backend, "call_loop");
    guest.run_to_call();
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", guest.subprocess.pid().unwrap())).unwrap();
    for line in ["NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(status.lines().any(|found| found == line), "{}", line);
    }
}

/// The other end sees that this one is closed.
fn check_closed(mut end: UnixStream) {
    assert_eq!(end.read(&mut [0]).unwrap(), 0);
}

/// The stub cannot keep a pipe, socket or lock of the embedder open that the embedder closes.
fn descriptors(backend: Backend) {
    let (here, there) = UnixStream::pair().unwrap();
    let mut guest = Guest::open(backend, "call_loop");
    guest.run_to_call();
    drop(there);
    check_closed(here);
}

fn descriptors_later(backend: Backend) {
    let mut guest = Guest::open(backend, "call_loop");
    let (here, there) = UnixStream::pair().unwrap();
    let _copy = guest.subprocess.fork().unwrap();
    guest.run_to_call();
    drop(there);
    check_closed(here);
}
