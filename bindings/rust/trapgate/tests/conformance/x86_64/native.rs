// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Runs guest code as an ordinary process of the host, without the library: what the kernel says there is what the
//! library has to say. And what this processor lets user code do.

use crate::code;
use crate::host;
use std::arch::asm;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering::SeqCst};

const AREA_SIZE: usize = 65536;
/// Code that never ends ends here, without a signal to report.
const LIMIT_SECONDS: u32 = 10;
const BREAKPOINT: u8 = 0xcc;

/// What the code died of; addresses in the code are offsets.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Signal {
    /// 0: the code ran to its end without a signal.
    pub signal: i32,
    pub code: i32,
    pub addr_in_code: bool,
    pub addr: u64,
    pub ip: u64,
}

/// Shared with the child, which fills in what it saw.
#[repr(C)]
struct Run {
    seen: Signal,
    code: u64,
    length: u64,
}

static CURRENT: AtomicPtr<Run> = AtomicPtr::new(ptr::null_mut());

fn pages(length: usize, flags: i32) -> *mut u8 {
    let (rights, flags) = (libc::PROT_READ | libc::PROT_WRITE, flags | libc::MAP_ANONYMOUS);
    // SAFETY: new pages, wherever the kernel puts them.
    let area = unsafe { libc::mmap(ptr::null_mut(), length, rights, flags, -1, 0) };
    assert_ne!(area, libc::MAP_FAILED);
    area.cast()
}

extern "C" fn record(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: in the child alone, after CURRENT was set; the kernel gives valid pointers. The alignment check flag stays
    // set in handlers, so it goes first.
    unsafe {
        asm!("pushfq", "and qword ptr [rsp], -0x40001", "popfq");
        let run = &mut *CURRENT.load(SeqCst);
        let addr = (*info).si_addr() as u64;
        let registers = &(*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs;
        let ip = (registers[libc::REG_RIP as usize] as u64).wrapping_sub(run.code);
        let offset = addr.wrapping_sub(run.code);
        let addr_in_code = offset < AREA_SIZE as u64;
        if !(signal == libc::SIGTRAP && ip > run.length && ip < AREA_SIZE as u64) {
            let addr = if addr_in_code { offset } else { addr };
            run.seen = Signal { signal, code: (*info).si_code, addr_in_code, addr, ip };
        }
    }
    host::exit_at_once(0)
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
        let run = &mut *CURRENT.load(SeqCst);
        run.code = area as u64;
        run.length = code.len() as u64;
        ptr::write_bytes(area, BREAKPOINT, AREA_SIZE);
        ptr::copy_nonoverlapping(code.as_ptr(), area, code.len());
        assert_eq!(libc::mprotect(area.cast(), AREA_SIZE, libc::PROT_READ | libc::PROT_EXEC), 0);
        asm!("mov rsp, {stack}", "jmp {code}", stack = in(reg) stack.add(AREA_SIZE), code = in(reg) area,
            in("rdi") data, options(noreturn));
    }
}

/// What a guest of that name does natively.
pub fn run(name: &str) -> Signal {
    let code = code::guest(name);
    let shared = pages(std::mem::size_of::<Run>(), libc::MAP_SHARED).cast::<Run>();
    CURRENT.store(shared, SeqCst);
    let child = host::fork(|| run_and_record(code));
    let (found, status) = host::wait(child as i32, 0).unwrap();
    assert_eq!(found as u32, child);
    if libc::WIFSIGNALED(status) {
        return Signal { signal: libc::WTERMSIG(status), ..Signal::default() };
    }
    assert_eq!(status, 0);
    // SAFETY: zeros, or what the child has written before it ended.
    unsafe { (*shared).seen }
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
