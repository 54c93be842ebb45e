/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The two clone(2) calls that are made inside stubs; the stub's filter allows exactly these. */
#ifndef CORE_PTRACE_STUB_CLONE_H
#define CORE_PTRACE_STUB_CLONE_H

#include <sched.h>

#define STUB_CLONE_THREAD_FLAGS (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM)

/*
 * A child of the embedder's, whatever stub makes it; it shares the embedder's
 * descriptors so that they can be mapped, and it has no exit signal, so that
 * neither SIGCHLD nor waitpid(-1) in the embedder ever knows of it.
 */
#define STUB_CLONE_PROCESS_FLAGS (CLONE_PARENT | CLONE_FILES)

#endif
