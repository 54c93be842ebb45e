// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Copies of a subprocess.

use crate::cases::cases;
use crate::code;
use crate::support::*;
use trapgate::*;

cases! { fork:
    running,
}

fn running(backend: Backend) {
    let mut guest = Guest::open(backend, "spin_counting");
    load_code(&guest.subprocess, OTHER_CODE_AT, code::guest("counting_calls"));
    guest.set_argument(0, DATA_AT);
    let event = guest.run_beside(|beside| {
        wait_change(beside.subprocess, DATA_AT, 0);
        for _ in 0..5 {
            let copy = beside.subprocess.fork().unwrap();
            let seen = load(&copy, DATA_AT);
            assert_ne!(seen, 0);
            wait_change(beside.subprocess, DATA_AT, seen);
            // Nobody runs in the copy, so its word stands still.
            assert_eq!(load(&copy, DATA_AT), seen);
            call(started_at(beside.platform, OTHER_CODE_AT).switch(&copy).unwrap());
        }
        beside.interrupter.interrupt();
    });
    check_interrupted(&event);
}
