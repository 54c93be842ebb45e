// SPDX-License-Identifier: Apache-2.0 OR MIT

package trapgate

// #include "shim.h"
import "C"

import (
	"errors"
	"runtime"
	"syscall"
	"unsafe"
)

// ErrClosed is what errors.Is finds in the error of every call on a handle that was closed, or on a nil handle.
var ErrClosed = errors.New("trapgate: closed")

// Error is a failure of the library.
type Error struct {
	Op      string        // what was being done: "switch", "map", ...
	Errno   syscall.Errno // one of the numbers listed in trapgate.h
	Message string        // the library's sentence: which step failed, and what to do
	closed  bool
}

// Error returns the operation, the error number's text and the library's sentence.
func (e *Error) Error() string {
	text := "trapgate: " + e.Op + ": " + Strerror(e.Errno)
	if e.Message != "" {
		text += ": " + e.Message
	}
	return text
}

// Unwrap gives the error number, so that errors.Is(err, syscall.EBUSY) and errors.As work.
func (e *Error) Unwrap() error { return e.Errno }

// Is reports whether the target is ErrClosed and the handle was closed.
func (e *Error) Is(target error) bool { return target == ErrClosed && e.closed }

func errClosed(op string) error {
	return &Error{Op: op, Errno: syscall.EINVAL, Message: "the handle is closed", closed: true}
}

func errBusy(op, message string) error {
	return &Error{Op: op, Errno: syscall.EBUSY, Message: message}
}

// call makes a call of the library and an error of its result. The library keeps a sentence for each thread, so the
// goroutine stays on its thread until it has the sentence.
func (p *platformHandle) call(op string, call func() C.int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	result := call()
	if result >= 0 {
		return nil
	}
	return &Error{Op: op, Errno: syscall.Errno(-result), Message: C.GoString(C.tg_platform_last_error(p.ptr))}
}

// failed makes an error of a result and a sentence that one call into shim.c has brought together, and frees the latter.
func failed(op string, result C.int32_t, sentence *C.char) error {
	defer C.free(unsafe.Pointer(sentence))
	return &Error{Op: op, Errno: syscall.Errno(-result), Message: C.GoString(sentence)}
}

// Strerror is a short English text for an error number of the library.
func Strerror(errno syscall.Errno) string {
	return C.GoString(C.tg_strerror(C.int(errno)))
}
