// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Bad arguments get their documented error and change nothing. What types rule out is listed in README.md.

use crate::cases::cases;
use crate::support::*;
use libc::EINVAL;
use trapgate::*;

cases! { argument:
    versions, options, auto, probe, info, context, mixed_handles, queue, sentence,
}

fn versions(_backend: Backend) {
    assert_eq!(abi_version(), sys::TG_ABI_VERSION);
    assert!(version().starts_with(&format!("{}.{}.", sys::TG_VERSION_MAJOR, sys::TG_VERSION_MINOR)));
}

fn options(backend: Backend) {
    let error = fails(Platform::options().backend(Backend::Other(77)).open(), EINVAL);
    assert!(error.message().len() > 10);
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let error = fails(Platform::options().backend(backend).raw_flags(1 << 40).open(), EINVAL);
    assert!(error.message().len() > 10);
    open_platform(backend);
}

fn auto(_backend: Backend) {
    let platform = Platform::open().unwrap();
    let probe = Backend::Auto.probe().unwrap();
    assert!(probe.available);
    assert_ne!(probe.backend, Backend::Auto);
    assert_eq!(probe.backend, platform.info().unwrap().backend);
    assert_eq!(platform.last_error(), "");
}

fn probe(backend: Backend) {
    let probe = backend.probe().unwrap();
    assert_eq!((probe.backend, probe.available, probe.step.as_str()), (backend, true, ""));
    assert!(probe.error.is_none());
    fails(Backend::Other(99).probe(), EINVAL);
}

fn info(backend: Backend) {
    let info = open_platform(backend).info().unwrap();
    assert_eq!(info.backend, backend);
    assert!(info.page_size >= 4096 && info.page_size.is_power_of_two());
    assert!(info.user.start < info.user.end);
    assert_eq!((info.user.start % info.page_size, info.user.end % info.page_size), (0, 0));
    assert!(info.fpstate_size >= 512);
    assert!(info.reserved.len() <= sys::TG_RESERVED_MAX);
    for range in &info.reserved {
        assert!(range.start < range.end);
        assert!(info.user.start <= range.start && range.end <= info.user.end);
    }
}

fn context(backend: Backend) {
    let mut guest = Guest::open(backend, "counting_calls");
    let context = &mut guest.context;
    fails(context.set_raw_flags(0x8000_0000), EINVAL);
    context.set_one_thread(true).unwrap();
    context.set_one_thread(false).unwrap();
    assert_eq!(context.user_data(), 0);
    context.set_user_data(u64::MAX).unwrap();
    assert_eq!(context.user_data(), u64::MAX);
    assert_eq!(context.regs().size as usize, std::mem::size_of::<sys::tg_regs>());
    assert_eq!(context.regs().arch, context.platform().info().unwrap().arch);
    guest.run_to_call();
}

fn mixed_handles(backend: Backend) {
    let mut first = Guest::open(backend, "counting_calls");
    let second = Guest::open(backend, "counting_calls");
    let queue = Queue::new(&first.platform).unwrap();
    fails(first.context.switch(&second.subprocess), EINVAL);
    let foreign = queue.submit(second.context, &first.subprocess).unwrap_err();
    assert_eq!(foreign.error.errno(), EINVAL);
    let foreign = queue.submit(foreign.context, &second.subprocess).unwrap_err();
    assert_eq!(foreign.error.errno(), EINVAL);
    let refused = queue.submit(first.context, &second.subprocess).unwrap_err();
    assert_eq!(refused.error.errno(), EINVAL);
    first.context = refused.context;
    assert!(queue.is_empty());
    assert_eq!(first.run_to_call().args[0], 1);
}

fn queue(backend: Backend) {
    let Guest { context, subprocess, platform, .. } = Guest::open(backend, "counting_calls");
    let queue = Queue::new(&platform).unwrap();
    fails(queue.wait(0, Some(NO_TIME)), EINVAL);
    submit(&queue, context, &subprocess);
    let mut completions = queue.wait(100_000, None).unwrap();
    assert_eq!(completions.len(), 1);
    assert_eq!(call(completions.remove(0).event).args[0], 1);
}

fn sentence(backend: Backend) {
    let mut guest = Guest::open(backend, "call_loop");
    assert_eq!(guest.platform.last_error(), "");
    let first = fails(guest.subprocess.map(HOLE_AT + 1, 1, RW, Mapping::zeros()), EINVAL);
    assert!(first.message().len() > 10);
    let text = first.message().to_string();
    let second = fails(guest.context.restart_syscall(), EINVAL);
    assert_ne!(second.message(), text);
    assert_eq!(guest.platform.last_error(), second.message());
    assert_eq!(first.message(), text);
}
