// SPDX-License-Identifier: Apache-2.0 OR MIT

// Package trapgate runs untrusted Linux code and hands every system call, fault and signal that it raises to the
// program that uses the package. The host kernel runs none of them.
//
// # The words
//
// A [Platform] is one opened backend: ptrace or systrap. A [Subprocess] is a guest address space. A [Context] is the
// machine state of one guest thread. A switch runs a context in a subprocess until there is an [Event], which says why
// it came back. A [Queue] runs many contexts for one goroutine, and a [Runner] runs many contexts for many goroutines.
//
// # Which call to use
//
// [Context.Switch] blocks an operating system thread for as long as the guest runs. That is the fastest way to drive one
// context, or a few. With many contexts use a Runner: each guest thread is then a goroutine that costs no thread.
//
// # Threads
//
// Everything works from every goroutine. A context runs in one place at a time; what is not possible while it runs
// fails with EBUSY. Nothing needs runtime.LockOSThread to be correct. On the ptrace backend a stub thread belongs to
// the operating system thread that first used it, so a goroutine that makes a series of switches there is served best
// by one thread: lock it for the series, or use a Runner.
//
// # Closing
//
// Every handle has a Close that may be called at any time, from any goroutine and more than once, in any order:
// closing a platform closes all that was made from it, and what runs comes back with an error. Handles that are dropped
// are closed by finalizers, some time; programs should not rely on that.
//
// # Errors
//
// Failures of the library are of type [*Error]: errors.Is(err, syscall.EBUSY) works, and the text says which step
// failed. What the guest does, its death included, is an event and never an error. When a context.Context ends a call,
// the error is that of the context.Context.
package trapgate
