/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * While guest code runs, the loop sleeps in tg_queue_wait() and cannot watch
 * descriptors. The poller is a thread that watches them for it: it wakes the
 * queue when one is ready. It is the only other thread and touches nothing of
 * the kernel.
 *
 * It uses poll(2), not epoll: few descriptors are waited for at a time, two
 * tasks may wait for one in different ways, and there is no set of
 * registrations to keep in step with the guests' descriptor tables.
 */
#ifndef TRAPGATE_KERNEL_FD_POLLER_H
#define TRAPGATE_KERNEL_FD_POLLER_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

#include <trapgate/trapgate.h>

struct fd_poller;

/* Starts the thread. 0 or -errno. */
int fd_poller_create(tg_queue *queue, struct fd_poller **out);

/* Replaces what is watched, from now on and until one descriptor is ready. 0, -ENOMEM, or what poll(2) gave. */
int fd_poller_watch(struct fd_poller *poller, const struct pollfd *fds, size_t count);

/* True once after a descriptor was ready or could not be watched; nothing is watched then. */
bool fd_poller_take_ready(struct fd_poller *poller);

/* Ends the thread. NULL is allowed. */
void fd_poller_destroy(struct fd_poller *poller);

#endif
