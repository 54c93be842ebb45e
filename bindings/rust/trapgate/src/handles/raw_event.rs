// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Events as the C library writes them.

use crate::event::{
    Access, Dead, DeathCause, Event, EventFlags, Exception, Fault, Interrupted, Syscall, Trap,
};
use crate::sys;
use std::mem::MaybeUninit;
use std::ptr;

/// Room for an event that states its size. The rest is the library's to write.
#[inline]
pub(super) fn unwritten_event() -> MaybeUninit<sys::tg_event> {
    let mut event = MaybeUninit::<sys::tg_event>::uninit();
    // SAFETY: `size` lies in the room; nothing is read.
    unsafe {
        ptr::addr_of_mut!((*event.as_mut_ptr()).size).write(std::mem::size_of::<sys::tg_event>() as u32)
    };
    event
}

#[inline]
pub(super) fn decode(raw: &sys::tg_event) -> Event {
    let flags = EventFlags(raw.flags);
    // SAFETY: `kind` says which member the library has written, and all members are integers.
    unsafe {
        match raw.kind {
            sys::TG_EVENT_SYSCALL => {
                let sys::tg_event_syscall { nr, args, ip } = raw.u.syscall;
                Event::Syscall(Syscall { nr, args, ip, arch: raw.arch, flags })
            }
            sys::TG_EVENT_FAULT => {
                let sys::tg_event_fault { addr, ip, access, signo, code, trap, error_code } = raw.u.fault;
                let (access, trap) = (Access::from_raw(access), Trap::from_raw(flags, trap, error_code));
                Event::Fault(Fault { addr, ip, access, signal: signo, code, trap, flags })
            }
            sys::TG_EVENT_EXCEPTION => {
                let sys::tg_event_exception { addr, ip, signo, code, trap_errno, trap, error_code } =
                    raw.u.exception;
                let trap = Trap::from_raw(flags, trap, error_code);
                Event::Exception(Exception { addr, ip, signal: signo, code, errno: trap_errno, trap, flags })
            }
            sys::TG_EVENT_INTERRUPTED => Event::Interrupted(Interrupted { flags }),
            sys::TG_EVENT_DEAD => Event::Dead(Dead { cause: DeathCause::from_raw(raw.u.dead), flags }),
            _ => Event::Dead(Dead { cause: DeathCause::Unknown, flags }), // what the header asks for
        }
    }
}

#[cfg(test)]
mod tests {
    //! What needs no library, so that Miri can look at it, too.
    use super::*;

    fn raw(kind: u32) -> sys::tg_event {
        sys::tg_event { kind, flags: sys::TG_FLAG_INTERRUPT_PENDING, arch: 7, ..Default::default() }
    }

    #[test]
    fn events_carry_what_their_kind_says() {
        let mut event = raw(sys::TG_EVENT_SYSCALL);
        event.u.syscall = sys::tg_event_syscall { nr: 1, args: [2, 3, 4, 5, 6, 7], ip: 8 };
        match decode(&event) {
            Event::Syscall(Syscall { nr: 1, args: [2, 3, 4, 5, 6, 7], ip: 8, arch: 7, flags }) => {
                assert!(flags.interrupt_pending() && !flags.patched())
            }
            other => panic!("{:?}", other),
        }
        let mut event = raw(sys::TG_EVENT_FAULT);
        event.flags = sys::TG_FLAG_TRAP;
        event.u.fault = sys::tg_event_fault {
            addr: 1,
            ip: 2,
            access: sys::TG_ACCESS_EXEC,
            signo: 11,
            code: 3,
            trap: 14,
            error_code: 0x15,
        };
        let trap = Some(Trap { number: 14, error_code: 0x15, derived: false });
        match decode(&event) {
            Event::Fault(Fault {
                addr: 1,
                ip: 2,
                access: Access::Execute,
                signal: 11,
                code: 3,
                trap: t,
                ..
            }) => {
                assert_eq!(t, trap)
            }
            other => panic!("{:?}", other),
        }
        let mut event = raw(sys::TG_EVENT_EXCEPTION);
        event.u.exception = sys::tg_event_exception {
            addr: 1,
            ip: 2,
            signo: 4,
            code: 5,
            trap_errno: 6,
            trap: 6,
            error_code: 0,
        };
        match decode(&event) {
            Event::Exception(Exception {
                addr: 1, ip: 2, signal: 4, code: 5, errno: 6, trap: None, ..
            }) => (),
            other => panic!("{:?}", other),
        }
        event.flags = sys::TG_FLAG_TRAP | sys::TG_FLAG_TRAP_DERIVED;
        match decode(&event) {
            Event::Exception(Exception {
                trap: Some(Trap { number: 6, error_code: 0, derived: true }),
                ..
            }) => (),
            other => panic!("{:?}", other),
        }
        assert!(matches!(decode(&raw(sys::TG_EVENT_INTERRUPTED)), Event::Interrupted(_)));
        assert!(decode(&raw(sys::TG_EVENT_INTERRUPTED)).interrupt_pending());
    }

    #[test]
    fn deaths_are_told_apart_and_the_unknown_is_one() {
        let cause = |kind, reason, status| {
            let mut event = raw(kind);
            event.u.dead = sys::tg_event_dead { reason, status };
            match decode(&event) {
                Event::Dead(dead) => dead.cause,
                other => panic!("{:?}", other),
            }
        };
        assert_eq!(cause(sys::TG_EVENT_DEAD, sys::TG_DEAD_KILLED, 9), DeathCause::Killed { signal: 9 });
        assert_eq!(cause(sys::TG_EVENT_DEAD, sys::TG_DEAD_EXITED, 3), DeathCause::Exited { status: 3 });
        assert_eq!(cause(sys::TG_EVENT_DEAD, sys::TG_DEAD_DESTROYED, 0), DeathCause::Destroyed);
        assert_eq!(cause(sys::TG_EVENT_DEAD, sys::TG_DEAD_CORRUPT, 0), DeathCause::Corrupt);
        assert_eq!(cause(sys::TG_EVENT_DEAD, 99, 0), DeathCause::Unknown);
        assert_eq!(cause(99, 0, 0), DeathCause::Unknown);
    }

    #[test]
    fn an_event_begins_with_its_size() {
        let event = unwritten_event();
        // SAFETY: the size alone is written, and the size alone is read.
        let size = unsafe { ptr::addr_of!((*event.as_ptr()).size).read() };
        assert_eq!(size as usize, std::mem::size_of::<sys::tg_event>());
    }
}
