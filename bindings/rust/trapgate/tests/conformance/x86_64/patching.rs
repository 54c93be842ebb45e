// SPDX-License-Identifier: Apache-2.0 OR MIT
//! System calls whose code may be changed by the library. Whether it is or not, a guest sees what it would see natively:
//! every case runs on every backend, and looks at sites and bytes where the backend patches.

use crate::cases::cases;
use crate::code;
use crate::host::{self, Random};
use crate::support::*;
use trapgate::*;

/// By then a call that is to be patched is.
pub const WARM_CALLS: u64 = 12;
pub const MANY_CALLS: u64 = 300;
const DECOY_NUMBER: u64 = 0x113c_9090;

cases! { patch:
    patterns, left_alone, counted, not_wanted, flags, fp, guest_jumps_inside, embedder_moves_inside, restart,
}

/// What of the neighbours is taken when the call is patched.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    Before,
    Behind,
    Nothing(PatchRefusal),
}

/// A guest of patching.S: one call and its neighbours, for ever.
#[derive(Clone, Copy)]
pub struct Pattern {
    pub name: &'static str,
    pub taken: Taken,
    pub number: u64,
    /// Where the second instruction behind the call is, from the first, and what r15 grows by from there.
    pub inner: Option<(u64, u64)>,
    /// The guest cannot run what is behind the call.
    pub moved: bool,
}

const fn pattern(name: &'static str, taken: Taken) -> Pattern {
    Pattern { name, taken, number: GUEST_CALL, inner: None, moved: false }
}

const fn before(name: &'static str) -> Pattern {
    pattern(name, Taken::Before)
}

const fn behind(name: &'static str) -> Pattern {
    pattern(name, Taken::Behind)
}

const fn refused(name: &'static str, reason: PatchRefusal) -> Pattern {
    pattern(name, Taken::Nothing(reason))
}

pub const PATCHED: &[Pattern] = &[
    before("mov_eax"),
    before("mov_rax"),
    before("movabs"),
    before("mov_return"),
    behind("libc_inline"),
    behind("libc_wrapper"),
    behind("go_wrapper"),
    Pattern { inner: Some((3, 0)), ..behind("two_shorts") },
    Pattern { inner: Some((3, 1)), ..behind("nops_behind") },
    behind("long_lea"),
    behind("to_scratch"),
];

const LEFT_ALONE: &[Pattern] = &[
    refused("refused_relative", PatchRefusal::Relative),
    refused("refused_rcx", PatchRefusal::Register),
    refused("refused_rsp", PatchRefusal::Register),
    Pattern { moved: true, ..refused("refused_gs", PatchRefusal::Memory) },
    refused("refused_no_room", PatchRefusal::NoRoom),
    refused("refused_unlisted", PatchRefusal::Unlisted),
    Pattern { number: DECOY_NUMBER, ..refused("refused_decoy", PatchRefusal::Decoy) },
    Pattern { moved: true, ..refused("refused_undecodable", PatchRefusal::Undecodable) },
    Pattern { number: libc::SYS_rt_sigreturn as u64, ..refused("two_shorts", PatchRefusal::SignalReturn) },
];

/// The registers that a pattern inverts each time round.
fn inverted(context: &Context) -> [u64; 10] {
    let r = context.regs();
    [r.rdx, r.rsi, r.rdi, r.rbp, r.rsp, r.r8, r.r9, r.r10, r.r12, r.r14]
}

pub fn can_patch(guest: &Guest) -> bool {
    guest.platform.info().unwrap().capabilities.patching()
}

/// A context that runs a pattern, and what it has to look like.
pub struct Loop<'a> {
    pub guest: Guest,
    pub pattern: &'a Pattern,
    /// The name of the guest, and where it is.
    pub code: String,
    pub at: u64,
    words: [u64; 10],
    pub r15: u64,
    /// At a call, with what is behind it to come.
    pub stopped: bool,
    pub calls: usize,
    last: Option<Syscall>,
}

impl<'a> Loop<'a> {
    pub fn open(options: Options, pattern: &'a Pattern) -> Self {
        println!("{}", pattern.name);
        let code = format!("patch_{}", pattern.name);
        let guest = Guest::open_with(options, &code);
        let mut started = Loop {
            guest,
            pattern,
            code,
            at: CODE_AT,
            words: [0; 10],
            r15: 0,
            stopped: false,
            calls: 0,
            last: None,
        };
        started.start_at(CODE_AT, 1);
        started
    }

    /// Puts the context at the code, wherever it is now, with registers of its own.
    pub fn start_at(&mut self, at: u64, seed: u64) {
        self.at = at;
        self.guest.context.start(at, STACK_TOP).unwrap();
        fill_registers(&mut self.guest.context, seed);
        let start = self.place("start");
        self.guest.context.regs_mut().rbx = self.pattern.number;
        self.guest.context.regs_mut().r13 = start;
        self.words = inverted(&self.guest.context);
        self.r15 = self.guest.context.regs().r15;
        self.stopped = false;
        self.calls = 0;
    }

    /// The same loop, at the same place in it, of another guest.
    pub fn with_guest(&self, guest: Guest) -> Loop<'a> {
        let (code, last) = (self.code.clone(), self.last.clone());
        Loop { guest, code, last, ..*self }
    }

    /// From now on it runs another pattern, which somebody has put there.
    pub fn start_pattern(&mut self, pattern: &'a Pattern, at: u64, seed: u64) {
        self.pattern = pattern;
        self.code = format!("patch_{}", pattern.name);
        self.start_at(at, seed);
    }

    pub fn place(&self, label: &str) -> u64 {
        self.at + code::offset(&self.code, &format!("{}_{}", self.code, label))
    }

    fn invert(&mut self) {
        self.words = self.words.map(|word| !word);
    }

    /// Runs to this pattern's call with this number; every register is what it has to be.
    #[track_caller]
    fn run_to(&mut self, number: u64) {
        let event = self.guest.run();
        self.check(event, number);
    }

    #[track_caller]
    fn check(&mut self, event: Event, number: u64) {
        let call = call_of(event, number);
        let registers = self.guest.context.regs();
        assert_eq!(call.ip, self.place("behind"));
        assert_eq!(call.args, [0, 1, 2, 3, 4, 5].map(|index| registers.argument(index)));
        assert_eq!(inverted(&self.guest.context), self.words);
        assert_eq!((registers.rax, registers.rbx), (number, self.pattern.number));
        assert_eq!((registers.r13, registers.r15), (self.place("start"), self.r15));
        assert_eq!((registers.rip, registers.gs_base), (self.place("behind"), 0));
        self.last = Some(call);
        self.stopped = true;
        self.calls += 1;
    }

    /// Once round the loop, from call to call: what it has to look like at the next one.
    pub fn expect(&mut self) {
        if self.stopped && self.pattern.moved {
            let start = self.place("start");
            self.guest.context.regs_mut().rip = start;
        } else {
            self.r15 = self.r15.wrapping_add(u64::from(self.stopped));
            self.invert();
        }
    }

    /// The event is the call that is expected; it gets a result.
    #[track_caller]
    pub fn answer(&mut self, event: Event) {
        let results = [0, 7, -22, -4095, -4096, i64::MIN, i64::MAX];
        self.check(event, self.pattern.number);
        self.guest.context.set_return(results[self.calls % results.len()]).unwrap();
    }

    pub fn call(&mut self) {
        self.expect();
        let event = self.guest.run();
        self.answer(event);
    }

    pub fn calls(&mut self, count: u64) {
        (0..count).for_each(|_| self.call());
    }

    /// In the stub itself. The embedder reads what the guest wrote in any case.
    pub fn code_is_original(&self) -> bool {
        let original = code::guest(&self.code);
        let mut now = vec![0; original.len()];
        self.guest.subprocess.read(self.at, &mut now).unwrap();
        assert_eq!(now, original);
        host::bytes_of(self.guest.subprocess.pid().unwrap(), self.at, original.len()) == original
    }

    pub fn last_was_patched(&self) -> bool {
        self.last.as_ref().map_or(false, |call| call.flags.patched())
    }

    /// Calls until the site is patched, where that is what happens to it.
    pub fn warm(&mut self) {
        let expected = can_patch(&self.guest) && !matches!(self.pattern.taken, Taken::Nothing(_));
        self.calls(WARM_CALLS);
        assert_eq!(self.last_was_patched(), expected);
        assert_eq!(self.code_is_original(), !expected);
    }

    pub fn check_sites(&self, before: u64, behind: u64) {
        let stats = self.guest.platform.stats().unwrap();
        assert_eq!((stats.patch_sites_before, stats.patch_sites_after), (before, behind));
        assert_eq!(stats.patch_sites, before + behind);
    }

    /// One site was looked at, and left alone for this reason.
    pub fn check_refused(&self, reason: PatchRefusal) {
        if can_patch(&self.guest) {
            let stats = self.guest.platform.stats().unwrap();
            assert_eq!(stats.refused(reason), 1);
            assert_eq!(stats.patch_refusals.iter().sum::<u64>(), 1);
            self.check_sites(0, 0);
        }
    }

    /// To the call itself, with the number as the result of the call before.
    pub fn jump_to_call(&mut self, number: u64) {
        self.guest.context.set_return(number as i64).unwrap();
        let to = self.place("call");
        self.guest.context.regs_mut().r13 = to;
        self.r15 = self.r15.wrapping_add(1);
        self.invert();
        self.run_to(number);
    }

    /// Behind it, without a call; from there it comes round to the start.
    pub fn jump_behind(&mut self, offset: u64, adds: u64) {
        let to = self.place("behind") + offset;
        self.guest.context.regs_mut().r13 = to;
        self.r15 = self.r15.wrapping_add(1 + adds);
        self.run_to(self.pattern.number);
    }
}

pub fn for_each_patched(backend: Backend, scenario: impl Fn(&mut Loop<'_>)) {
    for pattern in PATCHED {
        let mut guest = Loop::open(Platform::options().backend(backend), pattern);
        guest.warm();
        scenario(&mut guest);
    }
}

fn patterns(backend: Backend) {
    for_each_patched(backend, |guest| {
        guest.calls(MANY_CALLS);
        assert_eq!(guest.last_was_patched(), can_patch(&guest.guest));
        if can_patch(&guest.guest) {
            let taken = guest.pattern.taken;
            guest.check_sites(u64::from(taken == Taken::Before), u64::from(taken == Taken::Behind));
        }
    });
}

fn left_alone(backend: Backend) {
    for pattern in LEFT_ALONE {
        let mut guest = Loop::open(Platform::options().backend(backend), pattern);
        guest.warm();
        guest.calls(MANY_CALLS);
        assert!(guest.code_is_original());
        assert_eq!(guest.guest.platform.stats().unwrap().patched_calls, 0);
        if let Taken::Nothing(reason) = pattern.taken {
            guest.check_refused(reason);
        }
    }
}

fn counted(backend: Backend) {
    let mut guest = Guest::open(backend, "patch_between");
    guest.context.regs_mut().r13 = CODE_AT;
    let flagged = (0..MANY_CALLS).filter(|_| guest.run_to_call().flags.patched()).count() as u64;
    let stats = guest.platform.stats().unwrap();
    assert_eq!(stats.patched_calls, flagged);
    assert_eq!(stats.patched_calls + stats.unpatched_calls, MANY_CALLS);
    if can_patch(&guest) {
        assert!(flagged >= MANY_CALLS - WARM_CALLS);
    } else {
        assert_eq!(flagged, 0);
    }
}

fn not_wanted(backend: Backend) {
    for pattern in PATCHED {
        let mut guest = Loop::open(Platform::options().backend(backend).patching(false), pattern);
        assert!(!can_patch(&guest.guest));
        guest.warm();
        guest.calls(50);
        assert!(guest.code_is_original());
        guest.check_sites(0, 0);
        assert_eq!(guest.guest.platform.stats().unwrap().patch_refusals.iter().sum::<u64>(), 0);
    }
}

/// CF PF AF ZF SF OF, DF, AC, ID
const FLAGS_WATCHED: u64 = 0x8d5 | 0x400 | 0x4_0000 | 0x20_0000;

fn flags_through(backend: Backend, name: &str) {
    let mut random = Random::new(1);
    let mut guest = Guest::open(backend, name);
    let mut last = None;
    let mut patched = false;
    guest.context.regs_mut().rbx = DATA_AT;
    for round in 0..MANY_CALLS {
        let flags = random.below(1 << 30) & FLAGS_WATCHED | 0x202;
        store(&guest.subprocess, DATA_AT, flags);
        patched = guest.run_to_call().flags.patched();
        // The flags that the last call came back with were stored meanwhile.
        if let Some(last) = last {
            assert_eq!(load(&guest.subprocess, DATA_AT + 8) & FLAGS_WATCHED, last);
        }
        last = Some(flags & FLAGS_WATCHED);
        // Every other time nobody asks for the registers, and they stay in the stub.
        if round % 2 == 1 {
            assert_eq!(guest.context.regs().eflags & FLAGS_WATCHED, flags & FLAGS_WATCHED);
        }
    }
    assert_eq!(patched, can_patch(&guest));
}

fn flags(backend: Backend) {
    flags_through(backend, "patch_flags_before");
    flags_through(backend, "patch_flags_behind");
}

/// Where the kernel's register set has vector register 15, and the header's word of what is in use.
const XMM15_AT: usize = 160 + 15 * 16;
const HEADER_AT: usize = 512;

fn start_fp(context: &mut Context, data: u64) {
    let mut state = context.fpstate().unwrap();
    state[XMM15_AT..XMM15_AT + 8].copy_from_slice(&1_u64.to_ne_bytes());
    state[HEADER_AT] |= 3;
    context.set_fpstate(&state).unwrap();
    context.regs_mut().rbx = data;
}

/// Two contexts on one stub take turns at the same site; now and then the embedder reads the state of one.
fn fp(backend: Backend) {
    let mut guest = Guest::open(backend, "patch_fp");
    let mut other = started_context(&guest.platform);
    let mut patched = false;
    start_fp(&mut guest.context, DATA_AT);
    start_fp(&mut other, DATA_AT + 8);
    for number in 1..=MANY_CALLS {
        let own = guest.run_to_call();
        patched = own.flags.patched();
        assert_eq!((own.args[0], own.args[1], load(&guest.subprocess, DATA_AT)), (number, number, number));
        if number % 16 == 0 {
            guest.context.fpstate().unwrap();
        }
        if number % 3 == 0 {
            let third = number / 3;
            let call = call(other.switch(&guest.subprocess).unwrap());
            assert_eq!(
                (call.args[0], call.args[1], load(&guest.subprocess, DATA_AT + 8)),
                (third, third, third)
            );
        }
    }
    assert_eq!(patched, can_patch(&guest));
}

fn guest_jumps_inside(backend: Backend) {
    for_each_patched(backend, |guest| {
        for round in 0..10 {
            guest.jump_to_call(1000 + round);
            guest.jump_behind(0, 1);
            guest.call();
            guest.jump_to_call(GUEST_CALL);
            guest.jump_to_call(0x1234_5678 + round);
            guest.jump_behind(0, 1);
            guest.jump_behind(0, 1);
            if let Some((inner, adds)) = guest.pattern.inner {
                guest.jump_behind(inner, adds);
            }
        }
        guest.calls(WARM_CALLS);
    });
}

/// As a signal handler's return, or a debugger, would: to the start, to the call, and behind it.
fn embedder_moves_inside(backend: Backend) {
    for_each_patched(backend, |guest| {
        let (start, at_call, behind) = (guest.place("start"), guest.place("call"), guest.place("behind"));
        let (inner, adds) = guest.pattern.inner.unwrap_or((0, 1));
        for round in 0..10 {
            guest.guest.context.regs_mut().rip = start;
            guest.run_to(GUEST_CALL);
            let registers = guest.guest.context.regs_mut();
            registers.rip = at_call;
            registers.rax = 2000 + round;
            guest.run_to(2000 + round);
            guest.guest.context.regs_mut().rip = behind;
            guest.call();
            guest.guest.context.regs_mut().rip = behind + inner;
            guest.r15 = guest.r15.wrapping_add(adds).wrapping_sub(1);
            guest.call();
        }
    });
}

fn restart(backend: Backend) {
    for_each_patched(backend, |guest| {
        for _ in 0..20 {
            guest.call();
            let arguments = guest.last.as_ref().unwrap().args;
            guest.guest.context.restart_syscall().unwrap();
            guest.run_to(GUEST_CALL);
            assert_eq!(guest.last.as_ref().unwrap().args, arguments);
        }
    });
}
