/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The descriptors that the library keeps, and the only place that makes them.
 * None is 0, 1 or 2, also where the embedder has closed these: whoever prints
 * or hands on its standard streams means those, and a stub's memory or a
 * queue's bell is not to be among them. All are closed by execve(2). They
 * return the descriptor or -errno.
 */
#ifndef CORE_DESCRIPTORS_H
#define CORE_DESCRIPTORS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

int descriptor_memfd(const char *name, unsigned int flags);
int descriptor_epoll(void);
int descriptor_eventfd(int flags);
int descriptor_pidfd(pid_t pid);
/* Read and write end. 0 or -errno. */
int descriptor_pipe(int ends[2], int flags);
int descriptor_open(const char *path, int flags);

/*
 * Until it is readable (true) or, now and then sooner, until the time is over.
 * INT64_MAX: no limit. A host that lets nobody wait for descriptors makes it a
 * short pause, and so does a negative descriptor.
 */
bool descriptor_wait(int fd, int64_t until_ns);

#endif
