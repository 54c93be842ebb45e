// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Runs untrusted Linux code and hands every system call, fault and signal that it raises to the program.
//!
//! | word | meaning |
//! |---|---|
//! | guest | the code that runs inside; untrusted |
//! | [`Platform`] | one opened backend: ptrace or systrap |
//! | [`Subprocess`] | a guest address space, held by a stub process |
//! | [`Context`] | the machine state of one guest thread |
//! | [`Context::switch`] | runs a context in a subprocess until there is an event |
//! | [`Event`] | why a switch came back |
//! | [`Queue`] | runs many contexts for one waiting thread |
//! | [`Runner`] | switches contexts in futures |
//!
//! ```
//! use trapgate::{Context, Event, Mapping, Platform, Protection, Subprocess};
//!
//! # #[cfg(target_arch = "x86_64")]
//! # fn main() -> trapgate::Result<()> {
//! let code = b"\xb8\x27\0\0\0\x0f\x05\x89\xc7\xb8\x3c\0\0\0\x0f\x05"; // x86-64: exit(getpid())
//! let platform = Platform::open()?;
//! let subprocess = Subprocess::new(&platform)?;
//! subprocess.map(0x10000, 4096, Protection::ALL, Mapping::zeros())?;
//! subprocess.write(0x10000, code)?;
//! let mut context = Context::new(&platform)?;
//! context.start(0x10000, 0)?;
//! let mut calls = Vec::new();
//! while let Event::Syscall(call) = context.switch(&subprocess)? {
//!     calls.push((call.nr, call.args[0]));
//!     if call.nr == 60 {
//!         break;
//!     }
//!     context.set_return(1234)?; // what getpid() returns to the guest
//! }
//! assert_eq!(calls, [(39, 0), (60, 1234)]);
//! # Ok(())
//! # }
//! # #[cfg(not(target_arch = "x86_64"))]
//! # fn main() {}
//! ```
//!
//! # Who keeps whom alive
//!
//! Contexts, subprocesses and queues keep their platform open; it closes when the last of them is dropped. A context
//! that runs belongs to its [`Queue`], which hands it back with its event. Dropping a [`Subprocess`] kills the guest
//! in it: contexts that a queue runs there come back with [`Event::Dead`].
//!
//! # Threads
//!
//! | type | `Send` | `Sync` | because |
//! |---|---|---|---|
//! | [`Platform`], [`Subprocess`], [`Queue`] | yes | yes | their functions may be called by several threads at once |
//! | [`Runner`] | yes | yes | adopting a context is safe from several threads at once |
//! | [`RunnerContext`] | yes | no | as the context in it |
//! | [`Context`] | yes | no | it works in every thread, in one at a time |
//! | [`Interrupter`] | yes | yes | interrupting is allowed at any time, in signal handlers too |
//!
//! What is wrong does not compile. A context that runs in a queue cannot be touched:
//!
//! ```compile_fail,E0382
//! # fn f(queue: trapgate::Queue, mut context: trapgate::Context, home: trapgate::Subprocess) -> trapgate::Result<()> {
//! queue.submit(context, &home)?;
//! context.switch(&home)?;
//! # Ok(())
//! # }
//! ```
//!
//! Two threads cannot look at one context, and a switch holds on to its subprocess:
//!
//! ```compile_fail,E0277
//! fn is_sync<T: Sync>() {}
//! is_sync::<trapgate::Context>();
//! ```
//!
//! ```compile_fail,E0505
//! # fn f(mut context: trapgate::Context, home: trapgate::Subprocess) {
//! std::thread::scope(|scope| {
//!     scope.spawn(|| context.switch(&home));
//!     drop(home);
//! });
//! # }
//! ```
//!
//! A descriptor stays open until it is mapped:
//!
//! ```compile_fail,E0505
//! # fn f(file: std::fs::File, home: trapgate::Subprocess) {
//! let mapping = trapgate::Mapping::of(&file, 0);
//! drop(file);
//! home.map(0x10000, 4096, trapgate::Protection::READ, mapping);
//! # }
//! ```
//!
//! A thread that ends by the raw exit(2) system call kills the ptrace subprocesses that it used; that costs guests
//! and no memory safety. Programs that call `waitpid(-1)` while another thread switches should read the project's page
//! about threads first.
//!
//! # Features
//!
//! `static` links the archive of an installed library, `vendored` builds the library from sources in the package, and
//! `tokio` adds `AsyncQueue`, a queue that is awaited.

#![deny(missing_docs, unsafe_code, unsafe_op_in_unsafe_fn)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(missing_debug_implementations, clippy::undocumented_unsafe_blocks)]

#[cfg(feature = "tokio")]
mod async_queue;
mod clock;
mod context;
mod error;
mod event;
#[allow(unsafe_code)] // the only place: everything else is built on its safe functions
mod handles;
mod platform;
mod queue;
mod registers;
mod runner;
mod subprocess;

#[cfg(feature = "tokio")]
#[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
pub use async_queue::AsyncQueue;
pub use clock::{ClockLine, HostClock};
pub use context::{Context, Exchange, Interrupter};
pub use error::{Error, ErrorKind, Partial, Result};
pub use event::{Access, Dead, DeathCause, Event, EventFlags, Exception, Fault, Interrupted, Syscall, Trap};
pub use handles::Transfer;
pub use platform::{Backend, Capabilities, Info, Options, PatchRefusal, Platform, Probe, Stats, VdsoKind};
pub use queue::{Completion, Queue, Refused};
pub use registers::Registers;
pub use runner::{Resting, Runner, RunnerContext, Switching};
pub use subprocess::{Answer, Bring, Mapping, Operation, Protection, Subprocess};

pub use trapgate_sys as sys;

/// The ABI version of the C library at run time; [`sys::TG_ABI_VERSION`] is the one that this crate was written for.
pub fn abi_version() -> u32 {
    handles::abi_version()
}

/// The release of the C library at run time, such as "0.1.0".
pub fn version() -> &'static str {
    handles::version()
}
