/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What the stub blob and the library agree on. Read by C and by assembly, so
 * only preprocessor constants here; stub/layout_check.c asserts them against
 * the structs of the C side.
 *
 * The stub's memory, at the same address in every subprocess of a platform:
 *
 *   start                      the blob: code only, read and execute
 *   start + text size          one batch page: read only for the guest, written
 *                              by the library through ptrace
 *
 * No stub code uses a stack or any memory but the batch page, so nothing that
 * the guest can write decides what stub code does.
 */
#ifndef STUB_PROTOCOL_H
#define STUB_PROTOCOL_H

#define STUB_PROTOCOL_VERSION 1

/* What a stub exits with when one of its calls fails, so that the library can name that. */
#define STUB_EXIT_SWEEP       2 /* munmap */
#define STUB_EXIT_PRCTL       3
#define STUB_EXIT_PARENT      4 /* getppid, or it has another parent by now */
#define STUB_EXIT_SIGALTSTACK 5
#define STUB_EXIT_SIGMASK     6
#define STUB_EXIT_SECCOMP     7
/* What kills a worker that cannot return from its handler. Its filter lets it exit no more. */
#define STUB_SIGNAL_SIGRETURN SIGTRAP

/* struct stub_call, an entry of the batch page. */
#define STUB_CALL_NR   0
#define STUB_CALL_ARG0 8
#define STUB_CALL_ARG1 16
#define STUB_CALL_ARG2 24
#define STUB_CALL_ARG3 32
#define STUB_CALL_ARG4 40
#define STUB_CALL_ARG5 48
#define STUB_CALL_SIZE 56

/*
 * The cookie: a 64-bit secret of the platform. The stub's seccomp filter lets
 * a system call that changes something pass only when it carries the cookie
 * where the kernel ignores it. It travels in registers and is never in memory
 * that a guest can read.
 *
 *   munmap             argument 2
 *   mprotect, madvise  argument 3
 *   mremap, clone      argument 5
 *   mmap               its upper half in the upper half of argument 3 (flags),
 *                      its lower half in the upper half of argument 4 (fd)
 */

#ifndef __ASSEMBLER__
#include <stdint.h>

struct stub_call {
    uint64_t nr;
    uint64_t args[6];
};
#endif

#endif
