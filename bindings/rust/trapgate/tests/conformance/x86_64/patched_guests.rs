// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Guests that step themselves or use gs between patched calls, and guests with very many calls.

use super::native::{self, Needs};
use super::patched_memory::put_code;
use super::patching::{can_patch, WARM_CALLS};
use crate::cases::cases;
use crate::code;
use crate::support::*;
use trapgate::*;

cases! { patch: guest_steps, gs_unset, gs_embedder, gs_guest, gs_base_read, gs_null, thousands, full }

/// A guest that calls for ever, and between two calls goes once to the place in r13.
struct Between(Guest);

impl Between {
    fn open(options: Options) -> Self {
        let mut guest = Guest::open_with(options, "patch_between");
        guest.context.regs_mut().r13 = CODE_AT;
        Between(guest)
    }

    fn go(&mut self, label: &str) {
        self.0.context.regs_mut().r13 = place("patch_between", &format!("patch_between_{}", label));
    }

    fn calls(&mut self, count: u64) -> Syscall {
        let behind = place("patch_between", "patch_between_behind");
        let one = |_| {
            let r15 = self.0.context.regs().r15;
            let call = self.0.run_to_call();
            assert_eq!((call.ip, self.0.context.regs().r15), (behind, r15 + 1));
            call
        };
        (0..count).map(one).last().unwrap()
    }

    fn warm(&mut self) {
        assert_eq!(self.calls(WARM_CALLS).flags.patched(), can_patch(&self.0));
    }

    /// A guest that uses the register that patched calls work with: it is not patched any more.
    fn check_gives_up(&mut self) {
        assert!(!self.calls(WARM_CALLS).flags.patched());
        let original = code::guest("patch_between");
        let mut now = vec![0; original.len()];
        self.0.subprocess.read(CODE_AT, &mut now).unwrap();
        assert_eq!(now, original);
    }

    fn gs_base(&self) -> u64 {
        self.0.context.regs().gs_base
    }
}

/// Whether it is a call, and where. The registers are left alone, so that nobody learns from them that the guest steps.
fn record_own_steps(guest: &mut Between) -> Vec<(bool, u64)> {
    guest.go("set_steps");
    let step = |_| match guest.0.run() {
        event @ Event::Syscall(_) => (true, call(event).ip),
        event => (false, check_exception(&event, libc::SIGTRAP, TRAP_TRACE).ip),
    };
    (0..120).map(step).collect()
}

/// A guest that sets the trap flag by itself.
fn guest_steps(backend: Backend) {
    let options = Platform::options().backend(backend);
    let mut guest = Between::open(options.clone());
    let mut twin = Between::open(options.patching(false));
    guest.warm();
    twin.warm();
    let steps = record_own_steps(&mut guest);
    assert_eq!(steps, record_own_steps(&mut twin));
    assert!(steps.iter().filter(|(is_call, _)| *is_call).count() >= 3);
}

fn gs_unset(backend: Backend) {
    let mut guest = Between::open(Platform::options().backend(backend));
    guest.warm();
    guest.go("read_gs");
    for _ in 0..2 {
        let event = guest.0.run();
        let fault = check_fault(&event, 0, Access::Read, SIGSEGV, SEGV_MAPERR);
        assert_eq!(fault.ip, place("patch_between", "patch_between_read_gs"));
        assert_eq!(guest.gs_base(), 0);
    }
    assert_eq!(guest.0.platform.stats().unwrap().faults, 2);
    guest.0.context.regs_mut().rip = CODE_AT;
    guest.check_gives_up();
}

/// What the guest reads through its base.
fn check_reads_through_gs(guest: &mut Between) {
    for _ in 0..WARM_CALLS {
        guest.go("read_gs");
        assert_eq!(guest.calls(1).args[0], 4711);
        assert_eq!(guest.gs_base(), DATA_AT);
    }
    guest.check_gives_up();
}

fn gs_embedder(backend: Backend) {
    let mut guest = Between::open(Platform::options().backend(backend));
    store(&guest.0.subprocess, DATA_AT, 4711);
    guest.warm();
    guest.0.context.regs_mut().gs_base = DATA_AT;
    check_reads_through_gs(&mut guest);
}

fn require_base_instructions() {
    if !native::has(Needs::FsGsBase) {
        skip("this machine has no wrgsbase in user mode");
    }
}

fn gs_guest(backend: Backend) {
    require_base_instructions();
    let mut guest = Between::open(Platform::options().backend(backend));
    store(&guest.0.subprocess, DATA_AT, 4711);
    guest.0.context.regs_mut().rbx = DATA_AT;
    guest.warm();
    guest.go("set_base");
    guest.calls(1);
    assert_eq!(guest.gs_base(), DATA_AT);
    check_reads_through_gs(&mut guest);
}

/// Without a base of its own it is 0, also for the instruction that reads it: where nothing is hidden in it.
fn gs_base_read(backend: Backend) {
    require_base_instructions();
    let mut guest = Between::open(Platform::options().backend(backend).patching(false));
    guest.0.context.regs_mut().rdi = 1;
    guest.warm();
    guest.go("get_base");
    assert_eq!(guest.calls(1).args[0], 0);
}

fn gs_null(backend: Backend) {
    let mut guest = Between::open(Platform::options().backend(backend));
    guest.warm();
    for _ in 0..WARM_CALLS {
        guest.go("load_null");
        guest.calls(4);
        assert_eq!(guest.gs_base(), 0);
    }
    assert_eq!(guest.0.platform.stats().unwrap().faults, 0);
}

const MANY_AT: u64 = 0x5000_0000;
const SITE_BYTES: u64 = 16;
const FIRST_NUMBER: u64 = 1000;
/// The last one finds the site hot.
const HOT_CALLS: u64 = 4;
const TABLE_SITES: u64 = 16384;

/// mov $number, %eax; syscall. The sites of even numbers have tests behind, the others a jump. The last is followed by a
/// jump to the first.
fn make_sites(count: u64) -> Vec<u8> {
    let even = *b"\xb8\0\0\0\0\x0f\x05\x48\x85\xc0\x48\x85\xc0\x90\x90\x90";
    let odd = *b"\xb8\0\0\0\0\x0f\x05\xeb\x07\x90\x90\x90\x90\x90\x90\x90";
    let mut code = Vec::new();
    for site in 0..count {
        let mut bytes = if site % 2 == 1 { odd } else { even };
        bytes[1..5].copy_from_slice(&((FIRST_NUMBER + site) as u32).to_le_bytes());
        code.extend(bytes);
    }
    code.push(0xe9);
    code.extend((-((count * SITE_BYTES + 5) as i32)).to_le_bytes());
    code.resize(((count + 1) * SITE_BYTES) as usize, 0);
    code
}

fn check_site(guest: &mut Guest, site: u64) -> Syscall {
    let call = call_of(guest.run(), FIRST_NUMBER + site);
    assert_eq!(call.ip, MANY_AT + site * SITE_BYTES + 7);
    call
}

/// How many of the calls came through patched sites.
fn run_through(guest: &mut Guest, count: u64) -> u64 {
    guest.context.regs_mut().rip = MANY_AT;
    (0..count).filter(|site| check_site(guest, *site).flags.patched()).count() as u64
}

/// How many sites are patched. A number can make its mov look like the end of other instructions: a few are left alone.
fn count_sites(guest: &Guest, count: u64) -> u64 {
    let stats = guest.platform.stats().unwrap();
    if !can_patch(guest) {
        return 0;
    }
    let decoys = stats.refused(PatchRefusal::Decoy);
    let fitting = count - decoys;
    let expected = fitting.min(TABLE_SITES);
    assert!(decoys <= count / 1000);
    assert_eq!(stats.patch_sites, expected);
    assert!(stats.patch_sites_after * 2 >= expected && stats.patch_sites_before * 2 + 2 * decoys >= expected);
    assert_eq!(stats.refused(PatchRefusal::Full), fitting - expected);
    assert_eq!(stats.patch_refusals.iter().sum::<u64>(), count - expected);
    expected
}

fn many_sites(backend: Backend, count: u64, undo: bool) {
    let code = make_sites(count);
    let length = code.len() as u64;
    let mut guest = Guest::open(backend, "call_loop");
    put_code(&guest, MANY_AT, &code);
    for site in 0..count {
        for _ in 0..HOT_CALLS {
            guest.context.regs_mut().rip = MANY_AT + site * SITE_BYTES;
            check_site(&mut guest, site);
        }
    }
    let patched = run_through(&mut guest, count);
    assert_eq!(patched, count_sites(&guest, count));

    if undo {
        let mut now = vec![0; code.len()];
        guest.subprocess.protect(MANY_AT, length, RW).unwrap();
        guest.subprocess.read(MANY_AT, &mut now).unwrap();
        assert!(now == code);
        guest.subprocess.protect(MANY_AT, length, RX).unwrap();
        run_through(&mut guest, count);
    }
}

fn thousands(backend: Backend) {
    many_sites(backend, 5000, true);
}

fn full(backend: Backend) {
    let patching = open_platform(backend).info().unwrap().capabilities.patching();
    many_sites(backend, if patching { TABLE_SITES + 300 } else { 300 }, false);
}
