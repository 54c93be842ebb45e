// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Whose sentence an error has, and which number.

use crate::cases::cases;
use crate::host;
use crate::support::*;
use libc::{EFAULT, EINVAL, EMFILE};
use std::thread;
use trapgate::*;

const ROUNDS: u32 = 25_000;

cases! { error:
    sentences, no_descriptors,
}

fn sentences(backend: Backend) {
    let guest = Guest::open(backend, "call_loop");
    let Guest { subprocess, page, .. } = &guest;
    let mistakes: [(&str, i32, &(dyn Fn() -> Error + Sync)); 3] = [
        ("multiple of the page size", EINVAL, &|| {
            subprocess.map(HOLE_AT + 1, *page, RW, Mapping::zeros()).unwrap_err()
        }),
        ("length is 0", EINVAL, &|| subprocess.protect(HOLE_AT, 0, RW).unwrap_err()),
        ("no access", EFAULT, &|| subprocess.read(HOLE_AT, &mut [0]).unwrap_err().error),
    ];
    thread::scope(|scope| {
        for (words, errno, mistake) in &mistakes {
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let error = mistake();
                    assert_eq!(error.errno(), *errno);
                    assert!(error.message().contains(words), "round {}: {} without {}", round, error, words);
                }
            });
        }
    });
    assert_eq!(guest.platform.last_error(), "");
}

/// Not every backend needs descriptors for everything.
fn check_none_left<T>(result: Result<T>) {
    if let Err(error) = result {
        assert_eq!((error.errno(), error.kind()), (EMFILE, ErrorKind::NoDescriptors));
        assert!(error.message().contains("RLIMIT_NOFILE"), "{}", error);
    }
}

fn no_descriptors(backend: Backend) {
    let mut guest = Guest::open(backend, "call_loop");
    let queue = Queue::new(&guest.platform).unwrap();
    let before = host::take_descriptors();
    check_none_left(Subprocess::new(&guest.platform));
    check_none_left(guest.subprocess.fork());
    fails(queue.fd(), EMFILE);
    guest.run_to_call();
    host::limit_descriptors(before);
    drop(Subprocess::new(&guest.platform).unwrap());
    queue.fd().unwrap();
}
