/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "core/systrap/queue_rouse.h"
#include "core/systrap/shared_futex.h"
#include "core/systrap/shared_words.h"

/* Pairs with fill_words(). */
void systrap_queue_rouse(struct tg_queue *base)
{
    struct systrap_queue *queue = to_systrap_queue(base);

    SHARED_ADD(queue->word, 1);
    shared_futex_wake(&queue->word);
}
