// SPDX-License-Identifier: Apache-2.0 OR MIT
//! FP and vector state: x87, SSE, AVX, AVX-512 and the control words, kept wherever a context goes. Each scenario runs
//! once for each part of the state.

use super::native::{self, Needs};
use crate::cases::cases;
use crate::support::*;
use crate::{code, host};
use libc::{EBUSY, EINVAL};
use trapgate::*;

const BLOCK: u64 = 4096;
const SSE_BYTES: usize = 256;
const INITIAL_FCW: u16 = 0x37f;
const INITIAL_MXCSR: u32 = 0x1f80;
const FCW_AT: usize = 0;
const MXCSR_AT: usize = 24;
const XMM_AT: usize = 160;
const HEADER_AT: usize = 512;

cases! { fp:
    calls, shared_stub, shared_stub_lazy, subprocesses, threads, fork, queue, death, faults, interrupts, clean, initial,
    get_set, set_first, refused, one_thread, one_thread_ends,
}

/// A part of the state, and the guest that loads it from one block, calls, stores it to another, and calls.
struct Part {
    guest: &'static str,
    bytes: usize,
    needs: Needs,
    pattern: fn(usize, u64) -> Vec<u8>,
}

const PARTS: [Part; 5] = [
    Part { guest: "fp_x87", bytes: 64, needs: Needs::Nothing, pattern: doubles },
    Part { guest: "fp_sse", bytes: SSE_BYTES, needs: Needs::Nothing, pattern: any },
    Part { guest: "fp_avx", bytes: 512, needs: Needs::Avx2, pattern: any },
    Part { guest: "fp_avx512", bytes: 2064, needs: Needs::Avx512, pattern: any },
    Part { guest: "fp_control", bytes: 8, needs: Needs::Nothing, pattern: control_words },
];

fn any(length: usize, seed: u64) -> Vec<u8> {
    let mut random = host::Random::new(seed);
    (0..length).map(|_| random.below(256) as u8).collect()
}

/// Numbers that a load and a store as double do not change.
fn doubles(length: usize, seed: u64) -> Vec<u8> {
    (0..length as u64).step_by(8).flat_map(|at| ((seed * 1000 + at) as f64 + 0.5).to_ne_bytes()).collect()
}

/// Rounding modes and masks that differ with the seed; seed 0 has MXCSR 0, everything unmasked.
fn control_words(_length: usize, seed: u64) -> Vec<u8> {
    let fcw = INITIAL_FCW ^ ((seed as u16 & 3) << 10);
    let modes = (seed as u32 & 3) << 13 ^ (seed as u32 & 4) << 13;
    let mxcsr = if seed == 0 { 0 } else { INITIAL_MXCSR ^ modes };
    [fcw.to_ne_bytes().as_slice(), &[0; 2], &mxcsr.to_ne_bytes()].concat()
}

fn read(subprocess: &Subprocess, addr: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    subprocess.read(addr, &mut bytes).unwrap();
    bytes
}

/// One context with its input and output blocks in the guest's data.
struct Fp<'a> {
    part: &'a Part,
    context: Context,
    input: u64,
    output: u64,
    seed: u64,
}

impl<'a> Fp<'a> {
    fn new(platform: &Platform, part: &'a Part, index: u64) -> Self {
        let (input, output) = (DATA_AT + 2 * BLOCK * index, DATA_AT + 2 * BLOCK * index + BLOCK);
        let mut context = started_context(platform);
        context.regs_mut().set_argument(0, input);
        context.regs_mut().set_argument(1, output);
        Fp { part, context, input, output, seed: index }
    }

    /// Puts the next pattern in place and runs to the first call: the state is loaded and nowhere else.
    fn load(&mut self, subprocess: &Subprocess) {
        self.seed += 16;
        let seed = if self.seed % 64 == 0 { 0 } else { self.seed };
        subprocess.write(self.input, &(self.part.pattern)(self.part.bytes, seed)).unwrap();
        call(self.context.switch(subprocess).unwrap());
    }

    /// Runs to the second call and compares what the guest stored with what it loaded.
    fn check(&mut self, subprocess: &Subprocess) {
        call(self.context.switch(subprocess).unwrap());
        self.compare(subprocess);
    }

    fn compare(&self, subprocess: &Subprocess) {
        let stored = read(subprocess, self.output, self.part.bytes);
        assert!(stored == read(subprocess, self.input, self.part.bytes), "{}", self.part.guest);
    }

    /// The input block as it is in another subprocess.
    fn bring_input(&self, from: &Subprocess, to: &Subprocess) {
        to.write(self.input, &read(from, self.input, self.part.bytes)).unwrap();
    }
}

fn for_each_part(backend: Backend, scenario: fn(&Guest, &Part)) {
    for part in &PARTS {
        if native::has(part.needs) {
            println!("{}", part.guest);
            scenario(&Guest::open(backend, part.guest), part);
        } else {
            println!("{}: not on this processor", part.guest);
        }
    }
}

fn calls(backend: Backend) {
    for_each_part(backend, |guest, part| {
        let mut fp = Fp::new(&guest.platform, part, 0);
        for _ in 0..8 {
            fp.load(&guest.subprocess);
            fp.check(&guest.subprocess);
        }
    });
}

/// Many contexts take turns on one stub thread: each finds its own state.
fn in_turns(guest: &Guest, part: &Part, one_thread: bool) {
    let mut contexts: Vec<Fp> = (0..12).map(|index| Fp::new(&guest.platform, part, index)).collect();
    for fp in &mut contexts {
        fp.context.set_one_thread(one_thread).unwrap();
    }
    for _ in 0..5 {
        contexts.iter_mut().for_each(|fp| fp.load(&guest.subprocess));
        contexts.iter_mut().rev().for_each(|fp| fp.check(&guest.subprocess));
    }
}

fn shared_stub(backend: Backend) {
    for_each_part(backend, |guest, part| in_turns(guest, part, false));
}

fn shared_stub_lazy(backend: Backend) {
    for_each_part(backend, |guest, part| in_turns(guest, part, true));
}

/// Loaded in one address space, stored in another that has the same input only because we copy it.
fn across_subprocesses(guest: &Guest, part: &Part, one_thread: bool) {
    let other = loaded_subprocess(&guest.platform, part.guest);
    let mut fp = Fp::new(&guest.platform, part, 0);
    let mut noise = Fp::new(&guest.platform, part, 1);
    fp.context.set_one_thread(one_thread).unwrap();
    let home: &Subprocess = &guest.subprocess;
    for round in 0..6 {
        let (from, to) = if round % 2 == 1 { (&other, home) } else { (home, &other) };
        noise.load(to);
        fp.load(from);
        noise.check(to);
        fp.bring_input(from, to);
        fp.check(to);
    }
}

fn subprocesses(backend: Backend) {
    for_each_part(backend, |guest, part| {
        across_subprocesses(guest, part, false);
        across_subprocesses(guest, part, true);
    });
}

fn threads(backend: Backend) {
    for_each_part(backend, |guest, part| {
        let home = &guest.subprocess;
        let mut fp = Fp::new(&guest.platform, part, 0);
        let mut noise = Fp::new(&guest.platform, part, 1);
        for _ in 0..6 {
            in_thread(|| fp.load(home));
            in_thread(|| noise.load(home));
            fp.check(home);
            noise.check(home);
            fp.load(home);
            noise.load(home);
            in_thread(|| fp.check(home));
            in_thread(|| noise.check(home));
        }
    });
}

fn fork(backend: Backend) {
    for_each_part(backend, |guest, part| {
        let mut parent = Fp::new(&guest.platform, part, 0);
        let mut child = Fp::new(&guest.platform, part, 0);
        parent.load(&guest.subprocess);
        let copy = guest.subprocess.fork().unwrap();
        child.context.copy_from(&parent.context).unwrap();
        child.seed = parent.seed;
        child.check(&copy);
        child.load(&copy);
        parent.check(&guest.subprocess);
        child.check(&copy);
    });
}

fn queue(backend: Backend) {
    for_each_part(backend, |guest, part| {
        let queue = Queue::new(&guest.platform).unwrap();
        let mut blocks = Vec::new();
        for index in 0..10 {
            let mut fp = Fp::new(&guest.platform, part, index);
            guest.subprocess.write(fp.input, &(part.pattern)(part.bytes, index)).unwrap();
            fp.context.set_user_data(index).unwrap();
            fp.context.set_one_thread(index % 2 == 1).unwrap();
            blocks.push((fp.input, fp.output));
            submit(&queue, fp.context, &guest.subprocess);
        }
        let mut calls = [0; 10];
        for _ in 0..80 {
            let completion = wait_one(&queue);
            let index = completion.user_data as usize;
            call(completion.event);
            calls[index] += 1;
            if calls[index] % 2 == 0 {
                let (input, output) = blocks[index];
                let stored = read(&guest.subprocess, output, part.bytes);
                assert!(stored == read(&guest.subprocess, input, part.bytes));
            }
            if calls[index] < 8 {
                submit(&queue, completion.context, &guest.subprocess);
            }
        }
        assert_eq!(calls, [8; 10]);
    });
}

fn death(backend: Backend) {
    for_each_part(backend, |guest, part| {
        let doomed = loaded_subprocess(&guest.platform, part.guest);
        let mut fp = Fp::new(&guest.platform, part, 0);
        fp.load(&doomed);
        fp.bring_input(&doomed, &guest.subprocess);
        host::kill(doomed.pid().unwrap(), libc::SIGKILL);
        check_killed(&fp.context.switch(&doomed).unwrap());
        fp.check(&guest.subprocess);
    });
}

/// Puts a pattern of SSE registers at the first block, for a guest that stores them to the second.
fn prepare(guest: &mut Guest, seed: u64) -> Vec<u8> {
    let pattern = any(SSE_BYTES, seed);
    guest.subprocess.write(DATA_AT, &pattern).unwrap();
    guest.set_argument(0, DATA_AT);
    guest.set_argument(1, DATA_AT + BLOCK);
    pattern
}

fn faults(backend: Backend) {
    let mut guest = Guest::open(backend, "fp_fault");
    let pattern = prepare(&mut guest, 9);
    guest.set_argument(2, HOLE_AT);
    check_fault(&guest.run(), HOLE_AT, Access::Read, SIGSEGV, SEGV_MAPERR);
    map_pages(&guest.subprocess, HOLE_AT, guest.page, RW);
    guest.run_to_call();
    assert_eq!(read(&guest.subprocess, DATA_AT + BLOCK, SSE_BYTES), pattern);
}

fn interrupts(backend: Backend) {
    let mut guest = Guest::open(backend, "fp_spin");
    let pattern = prepare(&mut guest, 10);
    guest.set_argument(2, DATA_AT + 2 * BLOCK);
    for _ in 0..20 {
        let event = guest.run_beside(|beside| {
            wait_change(beside.subprocess, DATA_AT + 2 * BLOCK, 0);
            beside.interrupter.interrupt();
        });
        check_interrupted(&event);
    }
    store(&guest.subprocess, DATA_AT + 2 * BLOCK + 8, 1);
    guest.run_to_call();
    assert_eq!(read(&guest.subprocess, DATA_AT + BLOCK, SSE_BYTES), pattern);
}

fn word16(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes([bytes[at], bytes[at + 1]])
}

fn word32(bytes: &[u8], at: usize) -> u32 {
    u32::from(word16(bytes, at)) | u32::from(word16(bytes, at + 2)) << 16
}

fn clean(backend: Backend) {
    let mut guest = Guest::open(backend, "fp_look");
    load_code(&guest.subprocess, OTHER_CODE_AT, code::guest("fp_sse"));
    guest.subprocess.write(DATA_AT, &any(SSE_BYTES, 1)).unwrap();
    for _ in 0..3 {
        // Somebody else's registers are in the stub.
        let mut dirty = started_at(&guest.platform, OTHER_CODE_AT);
        dirty.regs_mut().set_argument(0, DATA_AT);
        dirty.regs_mut().set_argument(1, DATA_AT + BLOCK);
        call(dirty.switch(&guest.subprocess).unwrap());

        guest.restart();
        guest.set_argument(1, DATA_AT + 2 * BLOCK);
        guest.run_to_call();
        let seen = read(&guest.subprocess, DATA_AT + 2 * BLOCK, SSE_BYTES + 8);
        assert_eq!(seen[..SSE_BYTES], [0; SSE_BYTES]);
        assert_eq!((word16(&seen, SSE_BYTES), word32(&seen, SSE_BYTES + 4)), (INITIAL_FCW, INITIAL_MXCSR));
    }
}

fn initial(backend: Backend) {
    let mut guest = Guest::open(backend, "fp_look");
    let state = guest.context.fpstate().unwrap();
    assert_eq!((word16(&state, FCW_AT), word32(&state, MXCSR_AT)), (INITIAL_FCW, INITIAL_MXCSR));
    guest.context.set_fpstate(&state).unwrap();
    guest.set_argument(1, DATA_AT);
    guest.run_to_call();
}

fn xmm(state: &[u8]) -> &[u8] {
    &state[XMM_AT..XMM_AT + SSE_BYTES]
}

fn put_xmm(state: &mut [u8], pattern: &[u8]) {
    state[XMM_AT..XMM_AT + SSE_BYTES].copy_from_slice(pattern);
}

fn get_set(backend: Backend) {
    let mut guest = Guest::open(backend, "fp_load_once");
    for one_thread in [false, true] {
        guest.restart();
        guest.context.set_one_thread(one_thread).unwrap();
        let pattern = prepare(&mut guest, 10);
        guest.run_to_call();
        let mut state = guest.context.fpstate().unwrap();
        assert_eq!(xmm(&state), pattern);

        let pattern = any(SSE_BYTES, 20);
        put_xmm(&mut state, &pattern);
        guest.context.set_fpstate(&state).unwrap();
        assert_eq!(xmm(&guest.context.fpstate().unwrap()), pattern);
        guest.run_to_call();
        assert_eq!(read(&guest.subprocess, DATA_AT + BLOCK, SSE_BYTES), pattern);
    }
}

/// A set before the first switch, and a start afterwards.
fn set_first(backend: Backend) {
    let mut guest = Guest::open(backend, "fp_look");
    let pattern = any(SSE_BYTES, 5);
    let mut state = guest.context.fpstate().unwrap();
    put_xmm(&mut state, &pattern);
    if native::has(Needs::Xsave) {
        state[HEADER_AT] |= 3;
    }
    guest.context.set_fpstate(&state).unwrap();
    guest.set_argument(1, DATA_AT);
    guest.run_to_call();
    assert_eq!(read(&guest.subprocess, DATA_AT, SSE_BYTES), pattern);
    guest.restart();
    guest.set_argument(1, DATA_AT);
    guest.run_to_call();
    assert_eq!(read(&guest.subprocess, DATA_AT, SSE_BYTES), [0; SSE_BYTES]);
}

#[track_caller]
fn refuses(context: &mut Context, state: &[u8], at: usize, value: &[u8]) {
    let mut bad = state.to_vec();
    bad[at..at + value.len()].copy_from_slice(value);
    fails(context.set_fpstate(&bad), EINVAL);
}

fn refused(backend: Backend) {
    let mut guest = Guest::open(backend, "fp_load_once");
    let pattern = prepare(&mut guest, 3);
    guest.run_to_call();
    let mut state = guest.context.fpstate().unwrap();
    let length = state.len();
    fails(guest.context.read_fpstate(&mut vec![0; length - 1]), EINVAL);
    let longer = vec![0; length + 1];
    for wrong in [&state[..length - 1], &longer, &[]] {
        fails(guest.context.set_fpstate(wrong), EINVAL);
    }
    put_xmm(&mut state, &[0; SSE_BYTES]);
    refuses(&mut guest.context, &state, MXCSR_AT, &(0xffff_0000 | INITIAL_MXCSR).to_ne_bytes());
    if native::has(Needs::Xsave) {
        refuses(&mut guest.context, &state, HEADER_AT, &(1_u64 << 62 | 3).to_ne_bytes());
        refuses(&mut guest.context, &state, HEADER_AT + 8, &(1_u64 << 63).to_ne_bytes());
        refuses(&mut guest.context, &state, HEADER_AT + 16, &1_u64.to_ne_bytes());
    }
    assert_eq!(xmm(&guest.context.fpstate().unwrap()), pattern);
    guest.run_to_call();
}

fn start_one_thread(guest: &mut Guest, seed: u64) -> Vec<u8> {
    guest.restart();
    guest.context.set_one_thread(true).unwrap();
    let pattern = prepare(guest, seed);
    guest.run_to_call();
    pattern
}

/// What another thread gets while the first keeps the state in the stub: 0 or an errno for a read, a copy and a switch.
fn from_elsewhere(guest: &mut Guest) -> [i32; 3] {
    fn errno<T>(result: Result<T>) -> i32 {
        result.map_or_else(|error| error.errno(), |_| 0)
    }
    in_thread(|| {
        let mut copy = Context::new(&guest.platform).unwrap();
        let read = errno(guest.context.fpstate());
        let copied = errno(copy.copy_from(&guest.context));
        [read, copied, errno(guest.context.switch(&guest.subprocess))]
    })
}

fn one_thread(backend: Backend) {
    // On other backends a state belongs to no thread, and the flag changes nothing.
    let expected = if backend == Backend::Ptrace { [EBUSY; 3] } else { [0; 3] };
    let mut guest = Guest::open(backend, "fp_load_once");

    let pattern = start_one_thread(&mut guest, 13);
    assert_eq!(from_elsewhere(&mut guest), expected);
    guest.run_to_call();
    assert_eq!(xmm(&guest.context.fpstate().unwrap()), pattern);
    assert_eq!(from_elsewhere(&mut guest), [0; 3]);

    let pattern = start_one_thread(&mut guest, 14);
    assert_eq!(from_elsewhere(&mut guest), expected);
    guest.context.set_one_thread(false).unwrap();
    assert_eq!(from_elsewhere(&mut guest), [0; 3]);
    assert_eq!(xmm(&guest.context.fpstate().unwrap()), pattern);
}

/// The thread that kept the state ends: the state is not lost with it.
fn one_thread_ends(backend: Backend) {
    let mut guest = Guest::open(backend, "fp_load_once");
    let pattern = in_thread(|| start_one_thread(&mut guest, 12));
    assert_eq!(xmm(&guest.context.fpstate().unwrap()), pattern);
    guest.run_to_call();
}
