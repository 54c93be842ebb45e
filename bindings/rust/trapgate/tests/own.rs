// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the C library does not know of: ownership, moves between threads, drops in every order, and what errors say.

use std::error::Error as StdError;
use std::io;
use std::sync::mpsc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use trapgate::*;

const CODE_AT: u64 = 0x10000;

/// again: getpid; jump again
#[cfg(target_arch = "x86_64")]
const CALLS: &[u8] = b"\xb8\x27\0\0\0\x0f\x05\xeb\xf7";
#[cfg(target_arch = "aarch64")]
const CALLS: &[u8] = b"\x88\x15\x80\xd2\x01\0\0\xd4\xfe\xff\xff\x17";

/// again: jump again
#[cfg(target_arch = "x86_64")]
const SPINS: &[u8] = b"\xeb\xfe";
#[cfg(target_arch = "aarch64")]
const SPINS: &[u8] = b"\0\0\0\x14";

const CALL: u64 = libc::SYS_getpid as u64;

fn backends() -> Vec<Platform> {
    let open = |backend: &Backend| Platform::options().backend(*backend).open();
    let platforms: Vec<Platform> =
        [Backend::Ptrace, Backend::Systrap].iter().filter_map(|backend| open(backend).ok()).collect();
    assert!(!platforms.is_empty(), "no backend works here: see `trapgate doctor`");
    platforms
}

fn subprocess(platform: &Platform, code: &[u8]) -> Subprocess {
    let subprocess = Subprocess::new(platform).unwrap();
    subprocess.map(CODE_AT, 4096, Protection::READ | Protection::WRITE, Mapping::zeros()).unwrap();
    subprocess.write(CODE_AT, code).unwrap();
    subprocess.protect(CODE_AT, 4096, Protection::READ | Protection::EXECUTE).unwrap();
    subprocess
}

fn context(platform: &Platform) -> Context {
    let mut context = Context::new(platform).unwrap();
    context.start(CODE_AT, 0).unwrap();
    context
}

#[track_caller]
fn check_call(event: Event) {
    assert!(matches!(&event, Event::Syscall(call) if call.nr == CALL), "{:?}", event);
}

fn is_send<T: Send>() {}
fn is_sync<T: Sync>() {}
fn is_clone<T: Clone>() {}

#[test]
fn threads_may_have_what_they_may_have() {
    is_send::<Platform>();
    is_sync::<Platform>();
    is_clone::<Platform>();
    is_send::<Subprocess>();
    is_sync::<Subprocess>();
    is_send::<Queue>();
    is_sync::<Queue>();
    is_send::<Context>();
    is_send::<Interrupter>();
    is_sync::<Interrupter>();
    is_clone::<Interrupter>();
    is_send::<Completion>();
    is_send::<Error>();
    is_sync::<Error>();
    // That a context is not Sync is a doctest that must not compile.
}

#[test]
fn a_context_goes_round_through_threads() {
    for platform in backends() {
        let home = Arc::new(subprocess(&platform, CALLS));
        let (last, mut inbox) = mpsc::channel::<Context>();
        for _ in 0..8 {
            let (next, after) = mpsc::channel();
            let (from, home) = (std::mem::replace(&mut inbox, after), Arc::clone(&home));
            thread::spawn(move || {
                for mut context in from {
                    check_call(context.switch(&home).unwrap());
                    next.send(context).unwrap();
                }
            });
        }
        let mut travels = context(&platform);
        for round in 0..10 {
            travels.set_user_data(round).unwrap();
            last.send(travels).unwrap();
            travels = inbox.recv().unwrap();
            assert_eq!(travels.user_data(), round);
        }
        check_call(travels.switch(&home).unwrap());
        assert_eq!(platform.stats().unwrap().syscalls, 81);
    }
}

#[test]
fn interrupters_of_many_threads_reach_their_context() {
    for platform in backends() {
        let home = subprocess(&platform, SPINS);
        let mut spinner = context(&platform);
        for _ in 0..20 {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    let interrupter = spinner.interrupter();
                    thread::spawn(move || interrupter.clone().interrupt())
                })
                .collect();
            assert!(matches!(spinner.switch(&home).unwrap(), Event::Interrupted(_)));
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            // What came too late is the next event, or there is nothing more to come.
            spinner.interrupt();
            assert!(matches!(spinner.switch(&home).unwrap(), Event::Interrupted(_)));
        }
    }
}

#[test]
fn an_interrupter_outlives_its_context() {
    for platform in backends() {
        let interrupter = context(&platform).interrupter();
        interrupter.interrupt();
        drop(platform);
        interrupter.interrupt();
        thread::spawn(move || interrupter.interrupt()).join().unwrap();
    }
}

#[test]
fn handles_are_dropped_in_every_order() {
    for platform in backends() {
        let backend = platform.info().unwrap().backend;
        drop(platform);
        for order in permutations(5) {
            drop_in_order(backend, &order);
        }
    }
}

/// A platform's five kinds of handles, with a guest that runs in the queue meanwhile.
fn drop_in_order(backend: Backend, order: &[usize]) {
    let platform = Platform::options().backend(backend).open().unwrap();
    let home = subprocess(&platform, SPINS);
    let queue = Queue::new(&platform).unwrap();
    let idle = context(&platform);
    let running = context(&platform);
    let interrupter = running.interrupter();
    let pid = home.pid().unwrap();
    queue.submit(running, &home).unwrap();
    assert!(queue.wait(1, Some(Duration::ZERO)).unwrap().is_empty());
    let mut handles: Vec<Option<Box<dyn std::any::Any>>> = vec![
        Some(Box::new(platform)),
        Some(Box::new(home)),
        Some(Box::new(queue)),
        Some(Box::new(idle)),
        Some(Box::new(interrupter)),
    ];
    for index in order {
        handles[*index] = None;
    }
    assert!(!std::path::Path::new(&format!("/proc/{}", pid)).exists(), "order {:?}", order);
}

fn permutations(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let insert = |shorter: Vec<usize>| {
        (0..count).map(move |at| {
            let mut longer = shorter.clone();
            longer.insert(at, count - 1);
            longer
        })
    };
    permutations(count - 1).into_iter().flat_map(insert).collect()
}

#[test]
fn a_subprocess_keeps_its_platform() {
    for platform in backends() {
        let home = subprocess(&platform, CALLS);
        let mut calls = context(&platform);
        drop(platform);
        check_call(calls.switch(&home).unwrap());
        let copy = home.fork().unwrap();
        drop(home);
        check_call(calls.switch(&copy).unwrap());
        assert_eq!(copy.platform().stats().unwrap().subprocesses, 1);
    }
}

#[test]
fn a_refused_context_comes_back() {
    for platform in backends() {
        let home = subprocess(&platform, CALLS);
        let other = Platform::options().backend(platform.info().unwrap().backend).open().unwrap();
        let queue = Queue::new(&other).unwrap();
        let mut refused = queue.submit(context(&platform), &home).unwrap_err();
        assert_eq!(refused.error.kind(), ErrorKind::Invalid);
        assert!(queue.is_empty());
        check_call(refused.context.switch(&home).unwrap());
    }
}

#[test]
fn a_queue_gives_back_what_it_ran() {
    for platform in backends() {
        let home = subprocess(&platform, SPINS);
        let queue = Queue::new(&platform).unwrap();
        for mark in 0..5 {
            let mut spinner = context(&platform);
            spinner.set_user_data(mark).unwrap();
            queue.submit(spinner, &home).unwrap();
        }
        assert_eq!(queue.len(), 5);
        assert!(queue.wait(1, Some(Duration::from_millis(1))).unwrap().is_empty());
        let mut marks: Vec<u64> = queue.into_contexts().iter().map(Context::user_data).collect();
        marks.sort_unstable();
        assert_eq!(marks, [0, 1, 2, 3, 4]);
        assert_eq!(platform.stats().unwrap().contexts, 0);
    }
}

#[test]
fn a_death_ends_what_the_queue_runs() {
    for platform in backends() {
        let home = subprocess(&platform, SPINS);
        let queue = Queue::new(&platform).unwrap();
        queue.submit(context(&platform), &home).unwrap();
        assert!(queue.wait(1, Some(Duration::from_millis(1))).unwrap().is_empty());
        drop(home);
        let completions = queue.wait(8, None).unwrap();
        assert_eq!(completions.len(), 1);
        let Completion { event, .. } = &completions[0];
        assert!(matches!(event, Event::Dead(dead) if dead.cause == DeathCause::Destroyed), "{:?}", event);
    }
}

#[test]
fn errors_say_what_and_why() {
    for platform in backends() {
        let home = subprocess(&platform, CALLS);
        let error = home.map(CODE_AT + 1, 4096, Protection::READ, Mapping::zeros()).unwrap_err();
        assert_eq!((error.errno(), error.kind()), (libc::EINVAL, ErrorKind::Invalid));
        assert_eq!(error.to_string(), error.message());
        assert_eq!(platform.last_error(), error.message());
        let source = error.source().and_then(|source| source.downcast_ref::<io::Error>()).unwrap();
        assert_eq!(source.raw_os_error(), Some(libc::EINVAL));
        let converted = io::Error::from(error);
        assert_eq!(converted.kind(), io::ErrorKind::InvalidInput);

        let partial = home.write(CODE_AT + 4096 - 3, &[0; 8]).unwrap_err();
        assert_eq!((partial.done, partial.error.kind()), (0, ErrorKind::Fault));
        assert!(partial.to_string().contains(partial.error.message()));
        assert!(partial.source().is_some());
        let error = Error::from(partial);
        assert_eq!(error.errno(), libc::EFAULT);
    }
    let error = Platform::options().backend(Backend::Other(9)).open().unwrap_err();
    assert!(error.message().len() > 10, "{}", error);
}

#[test]
fn texts_of_one_thread_are_not_those_of_another() {
    for platform in backends() {
        let home = &subprocess(&platform, CALLS);
        let mistakes: [(&str, &(dyn Fn() -> Error + Sync)); 4] = [
            ("multiple of the page size", &|| {
                home.map(CODE_AT + 1, 4096, Protection::READ, Mapping::zeros()).unwrap_err()
            }),
            ("the length is 0", &|| home.protect(CODE_AT, 0, Protection::READ).unwrap_err()),
            ("no access", &|| home.read(CODE_AT + 4096, &mut [0]).unwrap_err().error),
            ("no address of a guest", &|| Context::new(&platform).unwrap().set_tls(u64::MAX).unwrap_err()),
        ];
        thread::scope(|scope| {
            for (words, mistake) in mistakes {
                scope.spawn(move || {
                    for round in 0..25_000 {
                        let error = mistake();
                        assert!(
                            error.message().contains(words),
                            "round {}: {:?} without {}",
                            round,
                            error,
                            words
                        );
                    }
                });
            }
        });
    }
}

#[test]
fn everything_can_be_shown() {
    for platform in backends() {
        let home = subprocess(&platform, CALLS);
        let queue = Queue::new(&platform).unwrap();
        let mut calls = context(&platform);
        let event = calls.switch(&home).unwrap();
        let operation = Operation::unmap(CODE_AT, 4096);
        let shown =
            format!("{:?}", (&platform, &home, &queue, &calls, &event, &operation, calls.interrupter()));
        for word in ["Platform", "Subprocess", "Queue", "Context", "Syscall", "tg_mem_op", "Interrupter"] {
            assert!(shown.contains(word), "{} is not in {}", word, shown);
        }
    }
}

#[test]
fn mappings_say_what_they_are_to_be() {
    let zeros = Mapping::zeros();
    for (mapping, flags) in [
        (zeros, 0),
        (zeros.shared(), sys::TG_MAP_SHARED),
        (zeros.populate(), sys::TG_MAP_POPULATE),
        (zeros.no_reserve(), sys::TG_MAP_NORESERVE),
        (zeros.no_replace(), sys::TG_MAP_NOREPLACE),
    ] {
        let shown = format!("{:?}", Operation::map(CODE_AT, 4096, Protection::READ, mapping));
        assert!(shown.contains(&format!(" flags: {},", flags)), "{}", shown);
    }
}

#[cfg(feature = "tokio")]
mod awaited {
    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    #[test]
    fn a_queue_is_awaited() {
        for platform in backends() {
            runtime().block_on(async {
                let home = subprocess(&platform, CALLS);
                let mut queue = AsyncQueue::new(Queue::new(&platform).unwrap()).unwrap();
                for _ in 0..8 {
                    queue.submit(context(&platform), &home).unwrap();
                }
                let mut seen = 0;
                while seen < 200 {
                    for completion in queue.wait(16).await.unwrap() {
                        check_call(completion.event);
                        seen += 1;
                        queue.submit(completion.context, &home).unwrap();
                    }
                }
            });
        }
    }

    #[test]
    fn a_wait_that_is_given_up_loses_nothing() {
        for platform in backends() {
            runtime().block_on(async {
                let home = subprocess(&platform, SPINS);
                let mut queue = AsyncQueue::new(Queue::new(&platform).unwrap()).unwrap();
                let spinner = context(&platform);
                let interrupter = spinner.interrupter();
                queue.submit(spinner, &home).unwrap();
                let nothing = tokio::time::timeout(Duration::from_millis(20), queue.wait(1)).await;
                assert!(nothing.is_err());
                interrupter.interrupt();
                let completions = queue.wait(1).await.unwrap();
                assert!(matches!(completions[0].event, Event::Interrupted(_)));
                assert!(queue.queue().is_empty());
            });
        }
    }
}

#[test]
fn calls_with_known_results_need_no_event() {
    for platform in backends() {
        let subprocess = subprocess(&platform, CALLS);
        let mut context = context(&platform);
        let invalid = |result: trapgate::Result<()>| assert_eq!(result.unwrap_err().errno(), libc::EINVAL);
        invalid(subprocess.answer(sys::TG_ANSWER_CALLS, Answer::Value(1)));
        invalid(subprocess.answer(1, Answer::ContextWord(sys::TG_CONTEXT_WORDS)));
        invalid(context.set_word(sys::TG_CONTEXT_WORDS, 1));
        for _ in 0..64 {
            check_call(context.switch(&subprocess).unwrap());
        }
        // From now on the guest makes no events where the backend answers, and is interrupted.
        context.set_word(2, 5).unwrap();
        subprocess.answer(CALL as u32, Answer::ContextWord(2)).unwrap();
        subprocess.answer(CALL as u32, Answer::Value(-1)).unwrap();
        let interrupter = context.interrupter();
        let interruption = thread::spawn(move || {
            thread::sleep(Duration::from_millis(20));
            interrupter.interrupt();
        });
        while !matches!(context.switch(&subprocess).unwrap(), Event::Interrupted(_)) {}
        interruption.join().unwrap();
        assert_eq!(
            platform.stats().unwrap().answered_calls != 0,
            platform.info().unwrap().capabilities.answers()
        );
        subprocess.answer(CALL as u32, Answer::Event).unwrap();
        check_call(context.switch(&subprocess).unwrap());
    }
}

#[test]
fn a_context_copies_what_its_calls_point_to() {
    const DATA_AT: u64 = 0x20_0000;
    for platform in backends() {
        let subprocess = subprocess(&platform, CALLS);
        subprocess.map(DATA_AT, 4096, Protection::READ | Protection::WRITE, Mapping::zeros()).unwrap();
        let mut context = context(&platform);
        check_call(context.switch(&subprocess).unwrap());
        context.write_memory(&subprocess, DATA_AT + 4090, b"path\0").unwrap();
        let mut buffer = [0xff; 16];
        assert_eq!(context.read_string(&subprocess, DATA_AT + 4090, &mut buffer).unwrap(), 4);
        assert_eq!(&buffer[..5], b"path\0");
        assert_eq!(context.read_string(&subprocess, DATA_AT + 4090, &mut buffer[..4]).unwrap(), 4);
        let partial = context.read_memory(&subprocess, DATA_AT + 4090, &mut buffer).unwrap_err();
        assert_eq!((partial.done, partial.error.errno()), (6, libc::EFAULT));
        let partial = context.write_memory(&subprocess, CODE_AT, b"x").unwrap_err();
        assert_eq!((partial.done, partial.error.errno()), (0, libc::EFAULT));
        check_call(context.switch(&subprocess).unwrap());
    }
}

/// again: count in argument 0; argument 1 is the last result; getpid; jump again
#[cfg(target_arch = "x86_64")]
const COUNTS: &[u8] = b"\x89\xc6\x48\xff\xc7\xb8\x27\0\0\0\x0f\x05\xeb\xf2";

#[cfg(target_arch = "x86_64")]
#[test]
fn registers_go_in_and_come_out_with_a_switch() {
    for platform in backends() {
        let subprocess = subprocess(&platform, COUNTS);
        let mut context = context(&platform);
        let mut regs = Registers::default();
        let refused = context.exchange(&subprocess, &mut regs, Exchange::Return).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
        assert_eq!(regs, Registers::default());
        let mut check = |regs: &mut Registers, what, calls, result| {
            regs.size = u32::MAX; // of no consequence
            check_call(context.exchange(&subprocess, regs, what).unwrap());
            assert_eq!((regs.argument(0), regs.argument(1)), (calls, result));
            assert_eq!(regs, context.regs());
        };
        check(&mut regs, Exchange::Nothing, 1, 0);
        for calls in (2..100).step_by(2) {
            regs.rax = calls;
            check(&mut regs, Exchange::Return, calls, calls);
            regs.rax = 7;
            check(&mut regs, Exchange::All, calls + 1, 7);
        }
        regs.rdi = 1000;
        check(&mut regs, Exchange::All, 1001, CALL);
    }
}

#[test]
fn a_context_moves_several_pieces() {
    const DATA_AT: u64 = 0x20_0000;
    for platform in backends() {
        let subprocess = subprocess(&platform, CALLS);
        subprocess.map(DATA_AT, 4096, Protection::READ | Protection::WRITE, Mapping::zeros()).unwrap();
        let mut context = context(&platform);
        check_call(context.switch(&subprocess).unwrap());
        let (mut read, mut string, mut nothing, mut edge) = ([0xff; 4], [0xff; 16], [0xff; 8], [0xff; 16]);
        let mut pieces = [
            Transfer::write(DATA_AT + 4090, b"path\0"),
            Transfer::read(DATA_AT + 4090, &mut read),
            Transfer::string(DATA_AT + 4090, &mut string),
        ];
        context.transfer(&subprocess, &mut pieces).unwrap();
        assert_eq!(pieces.iter().map(Transfer::done).collect::<Vec<_>>(), [5, 4, 4]);
        assert_eq!((&read, &string[..5]), (b"path", &b"path\0"[..]));
        let mut pieces = [
            Transfer::read(DATA_AT + 4090, &mut edge),
            Transfer::string(DATA_AT, &mut nothing),
            Transfer::write(DATA_AT, b"x"),
        ];
        let error = context.transfer(&subprocess, &mut pieces).unwrap_err();
        assert_eq!(error.errno(), libc::EFAULT);
        assert_eq!(pieces.iter().map(Transfer::done).collect::<Vec<_>>(), [6, 0, 0]);
        let mut many: Vec<_> = (0..1025).map(|_| Transfer::write(DATA_AT, b"")).collect();
        assert_eq!(context.transfer(&subprocess, &mut many).unwrap_err().errno(), libc::EINVAL);
        context.transfer(&subprocess, &mut many[..1024]).unwrap();
        context.transfer(&subprocess, &mut []).unwrap();
        check_call(context.switch(&subprocess).unwrap());
    }
}

#[test]
fn a_call_brings_bytes_and_its_answer_takes_some() {
    const DATA_AT: u64 = 0x20_0000;
    for platform in backends() {
        let subprocess = subprocess(&platform, CALLS);
        subprocess.map(DATA_AT, 4096, Protection::READ | Protection::WRITE, Mapping::zeros()).unwrap();
        subprocess.write(DATA_AT + 4090, b"path\0x").unwrap();
        let mut context = context(&platform);
        check_call(context.switch(&subprocess).unwrap());
        assert_eq!(context.brought(&subprocess, 0).unwrap_err().errno(), libc::EINVAL);
        subprocess.set_brings(&[Bring::string(CALL, 5, 64), Bring::counted(CALL, 5, 4, 64)]).unwrap();
        context.regs_mut().set_argument(5, DATA_AT + 4090);
        context.regs_mut().set_argument(4, 16);
        check_call(context.switch(&subprocess).unwrap());
        assert_eq!(context.brought(&subprocess, 0).unwrap(), b"path");
        assert_eq!(context.brought(&subprocess, 1).unwrap(), b"path\0x");
        assert_eq!(context.brought(&subprocess, 2).unwrap_err().errno(), libc::EINVAL);
        context.attach(DATA_AT, b"answer").unwrap();
        let mut buffer = [0; 6];
        subprocess.read(DATA_AT, &mut buffer).unwrap();
        assert_eq!(&buffer, &[0; 6]);
        check_call(context.switch(&subprocess).unwrap());
        subprocess.read(DATA_AT, &mut buffer).unwrap();
        assert_eq!(&buffer, b"answer");
        assert_eq!(context.attach(DATA_AT, &[0; 4097]).unwrap_err().errno(), libc::EINVAL);
        assert_eq!(subprocess.set_brings(&[Bring::bytes(512, 0, 8)]).unwrap_err().errno(), libc::EINVAL);
        subprocess.set_brings(&[]).unwrap();
    }
}

#[test]
fn a_reset_subprocess_is_empty_and_runs_the_next_program() {
    for platform in backends() {
        let subprocess = subprocess(&platform, CALLS);
        let pid = subprocess.pid();
        let mut context = context(&platform);
        check_call(context.switch(&subprocess).unwrap());
        subprocess.reset().unwrap();
        assert_eq!(subprocess.pid(), pid);
        assert_eq!(subprocess.read(CODE_AT, &mut [0]).unwrap_err().error.errno(), libc::EFAULT);
        subprocess.map(CODE_AT, 4096, Protection::READ | Protection::WRITE, Mapping::zeros()).unwrap();
        subprocess.write(CODE_AT, CALLS).unwrap();
        subprocess.protect(CODE_AT, 4096, Protection::READ | Protection::EXECUTE).unwrap();
        context.start(CODE_AT, 0).unwrap();
        check_call(context.switch(&subprocess).unwrap());
    }
}

#[test]
fn clocks_are_what_they_were_set_to() {
    const REALTIME: u32 = libc::CLOCK_REALTIME as u32;
    const MONOTONIC: u32 = libc::CLOCK_MONOTONIC as u32;

    for backend in [Backend::Ptrace, Backend::Systrap] {
        let platform = match Platform::options().backend(backend).own_vdso(true).open() {
            Ok(platform) => platform,
            Err(_) => continue,
        };
        if platform.info().unwrap().vdso_kind != VdsoKind::Own {
            continue;
        }
        let subprocess = subprocess(&platform, CALLS);
        let standing = ClockLine::standing(77);
        let refused = subprocess.set_clocks(&[(sys::TG_CLOCKS, None)]).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
        subprocess.set_clocks(&[(REALTIME, None), (MONOTONIC, Some(standing))]).unwrap();
        let copy = subprocess.fork().unwrap();
        assert_eq!(copy.clock(MONOTONIC).unwrap(), Some((standing, 77)));
        assert_eq!(copy.clock(REALTIME).unwrap(), None);
        let mut host = HostClock::new(&platform, MONOTONIC);
        assert_eq!(host.follow().unwrap(), None);
        for _ in 0..2 {
            thread::sleep(Duration::from_millis(2));
            let line = host.follow().unwrap();
            subprocess.set_clocks(&[(MONOTONIC, line)]).unwrap();
            assert!(line.is_none() || platform.counter() > 0, "{:?}", host);
        }
        println!("off by {:?}", host.error());
        assert!(HostClock::new(&platform, 77).follow().is_err());
    }
}
