/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* How whoever waits on a queue hears that there is something: by its word, or by its descriptor. */
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/systrap/queue_outlet.h"
#include "core/systrap/shared_futex.h"
#include "core/systrap/shared_words.h"

/* Pairs with fill_words(). */
void systrap_queue_rouse(struct systrap_queue *queue)
{
    SHARED_ADD(queue->word, 1);
    shared_futex_wake(&queue->word);
}

/* By its number, for write(3) is a point of cancellation. Pairs with start_service(). */
void systrap_queue_ring_fd(const struct systrap_queue *queue)
{
    const int fd = atomic_load(&queue->fd);
    const uint64_t one = 1;

    while (fd >= 0 && syscall(SYS_write, fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
}
