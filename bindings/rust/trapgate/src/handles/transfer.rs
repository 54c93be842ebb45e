// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Pieces of guest memory with the buffers that they borrow.

use super::{ContextHandle, SubprocessHandle};
use crate::{sys, Result};
use std::fmt;
use std::marker::PhantomData;

/// A piece of guest memory that is read or written beside others: [`Context::transfer`](crate::Context::transfer).
#[repr(transparent)]
pub struct Transfer<'a> {
    /// Its buffer is borrowed for as long as this lives, mutably unless it is only read.
    raw: sys::tg_transfer,
    buffer: PhantomData<&'a mut [u8]>,
}

impl<'a> Transfer<'a> {
    fn of(kind: u32, addr: u64, buffer: *mut u8, length: usize) -> Self {
        let buffer = buffer.cast();
        let raw = sys::tg_transfer { kind, addr, buffer, length: length as u64, ..Default::default() };
        Transfer { raw, buffer: PhantomData }
    }

    /// Guest memory to the buffer.
    pub fn read(addr: u64, buffer: &'a mut [u8]) -> Self {
        Self::of(sys::TG_TRANSFER_READ, addr, buffer.as_mut_ptr(), buffer.len())
    }

    /// The bytes to guest memory.
    pub fn write(addr: u64, bytes: &'a [u8]) -> Self {
        Self::of(sys::TG_TRANSFER_WRITE, addr, bytes.as_ptr() as *mut u8, bytes.len())
    }

    /// A string, as [`Context::read_string`](crate::Context::read_string) reads it.
    pub fn string(addr: u64, buffer: &'a mut [u8]) -> Self {
        Self::of(sys::TG_TRANSFER_STRING, addr, buffer.as_mut_ptr(), buffer.len())
    }

    /// How many bytes were moved; of a string those in front of its 0.
    pub fn done(&self) -> usize {
        self.raw.done as usize
    }
}

impl fmt::Debug for Transfer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transfer")
            .field("kind", &self.raw.kind)
            .field("addr", &self.raw.addr)
            .field("length", &self.raw.length)
            .field("done", &self.done())
            .finish()
    }
}

impl ContextHandle {
    pub(crate) fn transfer(
        &mut self,
        subprocess: &SubprocessHandle,
        pieces: &mut [Transfer<'_>],
    ) -> Result<()> {
        // SAFETY: both handles exist until the call returns, because they are borrowed. Each piece is the C struct, whose
        // buffer is borrowed and may be written for its length if it is read into; no other is the same then.
        let result = unsafe {
            sys::tg_context_transfer(
                self.raw.as_ptr(),
                subprocess.raw.as_ptr(),
                pieces.as_mut_ptr().cast(),
                pieces.len(),
            )
        };
        self.check(result)
    }
}
