// SPDX-License-Identifier: Apache-2.0 OR MIT
use std::error::Error as StdError;
use std::{fmt, io};

/// What functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed: the number, and a sentence that says which step failed and what to do.
///
/// What the guest does, its death included, is an [`Event`](crate::Event) and never an error.
///
/// ```
/// use trapgate::{ErrorKind, Mapping, Platform, Protection, Subprocess};
///
/// # fn main() -> trapgate::Result<()> {
/// let subprocess = Subprocess::new(&Platform::open()?)?;
/// let error = subprocess.map(0x10001, 4096, Protection::READ, Mapping::zeros()).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Invalid);
/// println!("{}", error); // the sentence says what is wrong with the address
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Error {
    errno: i32,
    message: String,
    source: io::Error,
}

/// The closed list of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// EINVAL: an argument that is never right.
    Invalid,
    /// E2BIG: a field set that the library at run time does not know.
    TooNew,
    /// ENOMEM: the host has no memory, address space or map count left.
    NoMemory,
    /// EAGAIN: the host refuses another process or thread; try again later.
    TryAgain,
    /// EMFILE: no descriptor left.
    NoDescriptors,
    /// EBUSY: in use in a way that forbids this call.
    Busy,
    /// ESRCH: the subprocess is dead.
    Dead,
    /// EFAULT: guest memory that is not there or forbids the access.
    Fault,
    /// EPERM: the host forbids what the backend needs; see [`Backend::probe`](crate::Backend::probe).
    Forbidden,
    /// EACCES: a descriptor that cannot be mapped in the way asked for.
    Access,
    /// EBADF: a descriptor that is not open.
    BadDescriptor,
    /// ENODEV: a descriptor that cannot be mapped at all.
    Unmappable,
    /// EEXIST: something is mapped there already.
    Exists,
    /// EOPNOTSUPP: this backend, machine or kernel cannot do that.
    Unsupported,
    /// EIO: the host did something that the library cannot explain.
    Unexplained,
}

/// errno values of Linux on all supported machines.
const KINDS: [(i32, ErrorKind); 15] = [
    (22, ErrorKind::Invalid),
    (7, ErrorKind::TooNew),
    (12, ErrorKind::NoMemory),
    (11, ErrorKind::TryAgain),
    (24, ErrorKind::NoDescriptors),
    (16, ErrorKind::Busy),
    (3, ErrorKind::Dead),
    (14, ErrorKind::Fault),
    (1, ErrorKind::Forbidden),
    (13, ErrorKind::Access),
    (9, ErrorKind::BadDescriptor),
    (19, ErrorKind::Unmappable),
    (17, ErrorKind::Exists),
    (95, ErrorKind::Unsupported),
    (5, ErrorKind::Unexplained),
];

impl Error {
    /// `errno` as the C library returns it, negative or not.
    pub(crate) fn new(errno: i32, message: String) -> Self {
        let errno = errno.abs();
        Error { errno, message, source: io::Error::from_raw_os_error(errno) }
    }

    /// The positive errno.
    pub fn errno(&self) -> i32 {
        self.errno
    }

    /// The same as an enum.
    pub fn kind(&self) -> ErrorKind {
        KINDS.iter().find(|(errno, _)| *errno == self.errno).map_or(ErrorKind::Unexplained, |(_, kind)| *kind)
    }

    /// The sentence: which step failed and what to do.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.source)
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        io::Error::new(error.source.kind(), error)
    }
}

/// A call that did a part of its work: so many bytes copied, or so many operations applied.
#[derive(Debug)]
pub struct Partial {
    /// How much was done before the error.
    pub done: usize,
    /// What stopped it.
    pub error: Error,
}

impl fmt::Display for Partial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (after {})", self.error, self.done)
    }
}

impl StdError for Partial {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.error)
    }
}

impl From<Partial> for Error {
    fn from(partial: Partial) -> Self {
        partial.error
    }
}
