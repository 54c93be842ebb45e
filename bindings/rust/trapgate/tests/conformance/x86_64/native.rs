// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Runs guest code as an ordinary process of the host, without the library: what the kernel says there is what the
//! library has to say. And what this processor lets user code do.

use crate::code;
use crate::host;
use std::arch::asm;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

const AREA_SIZE: usize = 65536;
/// Code that never ends ends here, without a signal to report.
const LIMIT_SECONDS: u32 = 10;
const BREAKPOINT: u8 = 0xcc;

/// Where the child has the code, and how long that is.
static PLACE: AtomicU64 = AtomicU64::new(0);
static LENGTH: AtomicU64 = AtomicU64::new(0);

fn pages(length: usize, flags: i32) -> *mut u8 {
    let (rights, flags) = (libc::PROT_READ | libc::PROT_WRITE, flags | libc::MAP_ANONYMOUS);
    // SAFETY: new pages, wherever the kernel puts them.
    let area = unsafe { libc::mmap(ptr::null_mut(), length, rights, flags, -1, 0) };
    assert_ne!(area, libc::MAP_FAILED);
    area.cast()
}

extern "C" fn record(signal: i32, _info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel gives valid pointers. The alignment check flag stays set in handlers, so it goes first.
    let ip = unsafe {
        asm!("pushfq", "and qword ptr [rsp], -0x40001", "popfq");
        (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs[libc::REG_RIP as usize] as u64
    };
    let offset = ip.wrapping_sub(PLACE.load(SeqCst));
    let at_its_end = signal == libc::SIGTRAP && offset > LENGTH.load(SeqCst) && offset < AREA_SIZE as u64;
    host::exit_at_once(if at_its_end { 0 } else { signal })
}

fn run_and_record(code: &[u8]) -> ! {
    let stack = pages(AREA_SIZE, libc::MAP_PRIVATE | libc::MAP_32BIT);
    let data = pages(AREA_SIZE, libc::MAP_PRIVATE);
    let area = pages(AREA_SIZE, libc::MAP_PRIVATE | libc::MAP_32BIT);
    // SAFETY: a child that ends in the handler. All areas are new and larger than what is put there.
    unsafe {
        libc::alarm(LIMIT_SECONDS);
        let alternate = libc::stack_t {
            ss_sp: pages(AREA_SIZE, libc::MAP_PRIVATE).cast(),
            ss_flags: 0,
            ss_size: AREA_SIZE,
        };
        assert_eq!(libc::sigaltstack(&alternate, ptr::null_mut()), 0);
        for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGSYS] {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = record as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            assert_eq!(libc::sigaction(signal, &action, ptr::null_mut()), 0);
        }
        PLACE.store(area as u64, SeqCst);
        LENGTH.store(code.len() as u64, SeqCst);
        ptr::write_bytes(area, BREAKPOINT, AREA_SIZE);
        ptr::copy_nonoverlapping(code.as_ptr(), area, code.len());
        assert_eq!(libc::mprotect(area.cast(), AREA_SIZE, libc::PROT_READ | libc::PROT_EXEC), 0);
        asm!("mov rsp, {stack}", "jmp {code}", stack = in(reg) stack.add(AREA_SIZE), code = in(reg) area,
            in("rdi") data, options(noreturn));
    }
}

/// The signal that a guest of that name dies of natively; 0: it ran to its end without one.
pub fn run(name: &str) -> i32 {
    let code = code::guest(name);
    let child = host::fork(|| run_and_record(code));
    let (found, status) = host::wait(child as i32, 0).unwrap();
    assert_eq!(found as u32, child);
    if libc::WIFSIGNALED(status) {
        libc::WTERMSIG(status)
    } else {
        libc::WEXITSTATUS(status)
    }
}

/// What a form of code needs of the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    Nothing,
    Xsave,
    Avx2,
    Avx512,
    FsGsBase,
    Rdtscp,
    Cx16,
}

pub fn has(needs: Needs) -> bool {
    match needs {
        Needs::Nothing => true,
        Needs::Xsave => is_x86_feature_detected!("xsave"),
        Needs::Avx2 => is_x86_feature_detected!("avx2"),
        Needs::Avx512 => is_x86_feature_detected!("avx512f"),
        // The kernel has to allow it, too: HWCAP2_FSGSBASE.
        // SAFETY: a number.
        Needs::FsGsBase => unsafe { libc::getauxval(libc::AT_HWCAP2) & 2 != 0 },
        Needs::Rdtscp => std::fs::read_to_string("/proc/cpuinfo").unwrap().contains(" rdtscp "),
        Needs::Cx16 => is_x86_feature_detected!("cmpxchg16b"),
    }
}
