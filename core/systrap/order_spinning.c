/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "core/systrap/order_spinning.h"

#include "core/clock.h"
#include "core/systrap/shared_words.h"
#include "core/systrap/spinning.h"

/* To begin with it the thread has to go to another processor: for who maps again and again, not for a start. */
#define SPIN_ROW 32

/*
 * For the syscall thread, besides this thread, those of the embedder that spin and the workers that are awake. What a
 * guest writes about its workers decides only whether its own orders sleep.
 */
static bool is_processor_to_spare(const struct systrap_subprocess *subprocess)
{
    const struct systrap_platform *sp = systrap_platform(subprocess->base.platform);
    const uint32_t awake = SHARED_LOAD(control_of(subprocess)->awake);

    return sp->spin_ns && awake < sp->workers_max && 2 + awake + atomic_load(&sp->spinners) <= sp->workers_max;
}

/* One syscall thread of the platform at a time, while its order lasts and as long as it may spin after that. */
static bool claim_spin(struct systrap_platform *sp, struct systrap_order_spins *spins, int64_t now)
{
    int64_t until = atomic_load(&sp->order_spin_until);
    const int64_t wanted = now + 2 * sp->spin_ns;

    if (until > now && until != spins->claimed_until)
        return false;
    if (!atomic_compare_exchange_strong(&sp->order_spin_until, &until, wanted))
        return false;
    spins->claimed_until = wanted;
    return true;
}

static bool is_to_spin(struct systrap_subprocess *subprocess, int64_t now)
{
    struct systrap_platform *sp = systrap_platform(subprocess->base.platform);
    struct systrap_order_spins *spins = &subprocess->order_spins;

    /* A thread or process that the order makes needs the processor more. */
    return orders_of(subprocess)->calls[0].nr != tgi_arch.syscalls.clone && spin_is_worth_it(sp, spins->futile) &&
           is_processor_to_spare(subprocess) && claim_spin(sp, spins, now);
}

uint32_t order_pauses(struct systrap_subprocess *subprocess)
{
    const struct systrap_platform *sp = systrap_platform(subprocess->base.platform);
    struct systrap_order_spins *spins = &subprocess->order_spins;
    const int64_t now = clock_monotonic_ns();
    const bool at_once = now - spins->replied_at < sp->spin_ns;

    spins->meets_spinner = at_once && spins->granted;
    spins->row = at_once ? spins->row + 1 : 0;
    spins->granted = spins->row >= SPIN_ROW && is_to_spin(subprocess, now);
    return spins->granted ? atomic_load(&sp->spin_pauses) : 0;
}

struct awaited {
    const uint32_t *reply;
    uint32_t sequence;
};

static bool has_come(const void *arg)
{
    const struct awaited *awaited = arg;

    return SHARED_LOAD(*awaited->reply) == awaited->sequence;
}

bool order_spin_for_reply(struct systrap_subprocess *subprocess, uint32_t sequence)
{
    struct tg_platform *platform = subprocess->base.platform;
    struct systrap_order_spins *spins = &subprocess->order_spins;
    const struct awaited awaited = {.reply = &control_of(subprocess)->reply, .sequence = sequence};

    if (!spins->granted || !is_processor_to_spare(subprocess))
        return false;
    if (spins->meets_spinner || spin_is_worth_it(systrap_platform(platform), spins->futile))
        return spin_until(platform, systrap_platform(platform)->spin_ns, &spins->futile, has_come, &awaited);
    spins->futile++;
    return false;
}

void order_replied(struct systrap_subprocess *subprocess)
{
    subprocess->order_spins.replied_at = clock_monotonic_ns();
}
