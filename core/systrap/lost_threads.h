/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Threads of a stub that end alone. A filter that the embedder had before may
 * end the one thread that makes a call, and tells nobody: neither its process
 * nor who waits for that thread hears of it.
 */
#ifndef CORE_SYSTRAP_LOST_THREADS_H
#define CORE_SYSTRAP_LOST_THREADS_H

#include "core/systrap/systrap_types.h"

/*
 * Called once in a while by who waits for a worker or for the syscall thread.
 * True: some threads of the stub have been gone for five rounds while others
 * lived, so the subprocess was killed.
 */
bool lost_threads_look(struct systrap_subprocess *subprocess, int64_t now_ns);

#endif
