// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Whose sentence an error has, and which number.

use crate::cases::cases;
use crate::host;
use crate::support::*;
use libc::EMFILE;
use trapgate::*;

cases! { error:
    no_descriptors,
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
