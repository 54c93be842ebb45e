// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Measures what the safe interface adds to a switch, or how fast its runner is (runners.rs). For the first, blocks of the C calls and blocks of the safe calls take turns,
//! each pair of blocks gives a difference, and the median of the differences counts. Every so many blocks both sides
//! begin anew: where memory and threads come to lie moves a switch by more than what is measured. Pairs that something
//! else has disturbed, which took twice as long as the fastest block or more, do not count, unless all are.
//!
//! It prints a JSON array with one result, which `scripts/bench` reads; the floor is the C call, and the ratio what part of
//! it the difference is.

mod executor;
mod runners;

use std::env;
use std::os::raw::c_int;
use std::ptr;
use std::time::Instant;
use trapgate::{sys, Backend, Context, Event, Mapping, Platform, Protection, Subprocess};

const CODE_AT: u64 = 0x10000;
const ROUNDS_TOGETHER: u32 = 300;
const SWITCH_OVERHEAD: &str = "rust.switch_overhead";
const RUNNER: &str = "rust.runner.";

const USAGE: &str = "usage: trapgate-overhead [--seconds S] [--backend auto|ptrace|systrap] [--name NAME]
  --seconds S     how long the calls of either side are timed, together (default 1)
  --backend NAME  where the guest runs (default auto)
  --name NAME     what to measure: rust.switch_overhead (default), or rust.runner.N: N guests
";

#[cfg(target_arch = "x86_64")]
const CODE: &[u8] = b"\xb8\x27\0\0\0\x0f\x05\xeb\xf7"; // again: mov $39, %eax; syscall; jmp again
#[cfg(target_arch = "aarch64")]
const CODE: &[u8] = b"\x88\x15\x80\xd2\x01\0\0\xd4\xfe\xff\xff\x17"; // again: mov x8, #172; svc #0; b again

/// What both sides do for a call: switch, look at the number, set the result.
trait Side {
    fn serve_a_call(&mut self) -> u64;
}

struct Raw {
    platform: *mut sys::tg_platform,
    subprocess: *mut sys::tg_subprocess,
    context: *mut sys::tg_context,
}

fn ok(result: c_int) {
    assert_eq!(result, 0);
}

impl Raw {
    fn open(backend: u32) -> Self {
        let options = sys::tg_platform_options { backend, ..Default::default() };
        let (mut platform, mut subprocess, mut context) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
        // SAFETY: handles are used in the order in which they are made, and closed once.
        unsafe {
            ok(sys::tg_platform_open(&options, &mut platform));
            ok(sys::tg_subprocess_create(platform, &mut subprocess));
            ok(sys::tg_subprocess_map(
                subprocess,
                CODE_AT,
                4096,
                sys::TG_PROT_READ | sys::TG_PROT_WRITE,
                0,
                -1,
                0,
            ));
            ok(sys::tg_subprocess_write(
                subprocess,
                CODE_AT,
                CODE.as_ptr().cast(),
                CODE.len(),
                ptr::null_mut(),
            ));
            ok(sys::tg_subprocess_protect(subprocess, CODE_AT, 4096, sys::TG_PROT_READ | sys::TG_PROT_EXEC));
            ok(sys::tg_context_create(platform, &mut context));
            ok(sys::tg_context_start(context, CODE_AT, 0));
        }
        Raw { platform, subprocess, context }
    }
}

impl Side for Raw {
    #[inline]
    fn serve_a_call(&mut self) -> u64 {
        let mut event = sys::tg_event::default();
        // SAFETY: open handles; an event of the size that it states; SYSCALL says which member is there.
        unsafe {
            ok(sys::tg_context_switch(self.context, self.subprocess, &mut event));
            assert_eq!(event.kind, sys::TG_EVENT_SYSCALL);
            ok(sys::tg_context_set_return(self.context, 0));
            event.u.syscall.nr
        }
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // SAFETY: the last call.
        unsafe { sys::tg_platform_close(self.platform) }
    }
}

struct Safe {
    subprocess: Subprocess,
    context: Context,
}

fn guest(backend: Backend) -> trapgate::Result<(Platform, Subprocess, Context)> {
    let platform = Platform::options().backend(backend).open()?;
    let subprocess = Subprocess::new(&platform)?;
    subprocess.map(CODE_AT, 4096, Protection::READ | Protection::WRITE, Mapping::zeros())?;
    subprocess.write(CODE_AT, CODE)?;
    subprocess.protect(CODE_AT, 4096, Protection::READ | Protection::EXECUTE)?;
    let mut context = Context::new(&platform)?;
    context.start(CODE_AT, 0)?;
    Ok((platform, subprocess, context))
}

impl Safe {
    fn open(backend: Backend) -> trapgate::Result<Self> {
        guest(backend).map(|(_, subprocess, context)| Safe { subprocess, context })
    }
}

impl Side for Safe {
    #[inline]
    fn serve_a_call(&mut self) -> u64 {
        match self.context.switch(&self.subprocess) {
            Ok(Event::Syscall(call)) => {
                self.context.set_return(0).unwrap();
                call.nr
            }
            other => panic!("{:?}", other),
        }
    }
}

/// Nanoseconds for each call of a block.
fn block(side: &mut impl Side, calls: u32) -> f64 {
    side.serve_a_call(); // wakes up what has slept meanwhile
    let start = Instant::now();
    let mut numbers = 0;
    for _ in 0..calls {
        numbers += side.serve_a_call();
    }
    let elapsed = start.elapsed().as_nanos() as f64;
    assert!(numbers > 0);
    elapsed / f64::from(calls)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().expect("at least one pair")
}

struct Settings {
    seconds: f64,
    backend: Backend,
    guests: Option<usize>, // of a runner
}

/// None when the arguments are not understood.
fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Settings> {
    let mut settings = Settings { seconds: 1.0, backend: Backend::Auto, guests: None };
    while let Some(option) = arguments.next() {
        let value = arguments.next()?;
        match (option.as_str(), value.as_str()) {
            ("--seconds", seconds) => settings.seconds = seconds.parse().ok()?,
            ("--backend", "auto") => settings.backend = Backend::Auto,
            ("--backend", "ptrace") => settings.backend = Backend::Ptrace,
            ("--backend", "systrap") => settings.backend = Backend::Systrap,
            ("--name", SWITCH_OVERHEAD) => (),
            ("--name", name) => {
                let guests = name.strip_prefix(RUNNER)?.parse().ok()?;
                settings.guests = Some(guests).filter(|guests| *guests > 0);
            }
            _ => return None,
        }
    }
    Some(settings)
}

/// Pairs of blocks, until one side has been timed for so long.
fn measure(settings: &Settings) -> trapgate::Result<Vec<(f64, f64)>> {
    let (raw_backend, calls) = match settings.backend {
        Backend::Ptrace => (sys::TG_BACKEND_PTRACE, 20), // a switch takes so long that fewer do
        _ => (sys::TG_BACKEND_SYSTRAP, 200),
    };
    let mut pairs = Vec::new();
    let mut left = settings.seconds * 1e9;
    while pairs.is_empty() || left > 0.0 {
        let mut raw = Raw::open(raw_backend);
        let mut safe = Safe::open(settings.backend)?;
        block(&mut raw, calls);
        block(&mut safe, calls);
        for round in 0..ROUNDS_TOGETHER {
            // The order changes, so that what a block leaves behind helps both alike.
            let (first, second);
            if round % 2 == 0 {
                first = block(&mut raw, calls);
                second = block(&mut safe, calls);
            } else {
                second = block(&mut safe, calls);
                first = block(&mut raw, calls);
            }
            pairs.push((first, second));
            left -= first * f64::from(calls);
            if left <= 0.0 {
                break;
            }
        }
    }
    Ok(pairs)
}

fn undisturbed(pairs: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let fastest = pairs.iter().map(|(first, second)| first.min(*second)).fold(f64::INFINITY, f64::min);
    let counted: Vec<_> =
        pairs.iter().filter(|(first, second)| first.max(*second) < 2.0 * fastest).copied().collect();
    if counted.is_empty() {
        pairs.to_vec()
    } else {
        counted
    }
}

fn main() -> trapgate::Result<()> {
    let mut settings = match parse(env::args().skip(1)) {
        Some(settings) => settings,
        None => {
            eprint!("{}", USAGE);
            std::process::exit(2);
        }
    };
    if settings.backend == Backend::Auto {
        settings.backend = Platform::open()?.info()?.backend;
    }
    match settings.guests {
        None => switch_overhead(&settings),
        Some(guests) => {
            let rates = runners::measure(&settings, guests)?;
            report(&format!("{}{}", RUNNER, guests), "calls/s", rates.value, rates.floor);
            Ok(())
        }
    }
}

fn switch_overhead(settings: &Settings) -> trapgate::Result<()> {
    let pairs = undisturbed(&measure(settings)?);
    let floor = median(pairs.iter().map(|(first, _)| *first).collect());
    let value = median(pairs.iter().map(|(first, second)| second - first).collect());
    report(SWITCH_OVERHEAD, "ns", value, floor);
    Ok(())
}

fn report(name: &str, unit: &str, value: f64, floor: f64) {
    println!(
        "[{{\"name\":\"{}\",\"unit\":\"{}\",\"value\":{:.2},\"floor\":{:.2},\"ratio\":{:.4}}}]",
        name,
        unit,
        value,
        floor,
        value / floor
    );
}
