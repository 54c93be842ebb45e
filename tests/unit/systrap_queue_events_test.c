/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Contexts that somebody has claimed and that run on, or run already: moments
 * between two threads that no test through the ABI can choose. What the file
 * calls is here, and says when.
 */
#include "unit.h"

#include <string.h>
#include <sys/mman.h>

#include "core/event.h"
#include "core/queue_outlet.h"
#include "core/systrap/events.h"
#include "core/systrap/queue_events.h"
#include "core/systrap/queue_rouse.h"
#include "core/systrap/seats.h"
#include "core/systrap/shared_futex.h"
#include "core/systrap/systrap_queue.h"
#include "core/systrap/systrap_queue_wait.h"
#include "core/systrap/systrap_run.h"

#define SLOT_SIZE   4096
#define MEMORY_SIZE (SYSTRAP_SLOTS + SLOT_SIZE)

/* One context of one queue, in a subprocess in which a second queue has something too. */
static struct {
    struct systrap_platform systrap;
    struct tg_platform platform;
    struct systrap_subprocess subprocess;
    struct systrap_context *slot_contexts[1];
    struct systrap_context context;
    struct systrap_queue queue;
    struct systrap_queue other;
    struct queue_seat seat;
    /* What the file has called, and when. */
    uint32_t runs_again;
    bool never_rests; /* what runs again leaves the same at once, and somebody asks for it */
    uint32_t lost;
    uint32_t left;
    const struct systrap_queue *roused;
    uint32_t flight_when_roused;
    uint32_t runs_when_roused;
} world;

static uint32_t *slot_state(void)
{
    return &slot_of(&world.subprocess, 0)->state;
}

/* ---- what the file calls ---- */

bool systrap_collect(struct systrap_context *context, struct tg_event *event)
{
    (void)context;
    (void)event;
    return false;
}

void systrap_run_again(struct systrap_context *context)
{
    (void)context;
    world.runs_again++;
    *slot_state() = world.never_rests ? SLOT_EVENT : SLOT_READY;
    /* As if a waiter had come for it in this moment. */
    if (world.never_rests)
        atomic_store(&world.context.flight, ASKED_FOR);
}

void systrap_lost(struct systrap_context *context, struct tg_event *event)
{
    (void)context;
    world.lost++;
    memset(event, 0, sizeof(*event));
}

void systrap_queue_rouse(struct tg_queue *queue)
{
    world.roused = to_systrap_queue(queue);
    world.flight_when_roused = atomic_load(&world.context.flight);
    world.runs_when_roused = world.runs_again;
}

void queue_outlet_notify(const struct tg_queue *queue)
{
    (void)queue;
}

void systrap_seats_remove(struct systrap_queue *queue, bool all)
{
    (void)queue;
    (void)all;
}

void event_store(void *slot, size_t slot_size, const struct tg_event *event)
{
    (void)slot;
    (void)slot_size;
    (void)event;
}

/* Its event has been taken. */
void subprocess_leave(struct tg_subprocess *subprocess)
{
    (void)subprocess;
    world.left++;
}

/* ---- tests ---- */

static void init_queue(struct systrap_queue *queue)
{
    pthread_mutex_init(&queue->lock, NULL);
    list_init(&queue->ready);
    atomic_store(&queue->base.fd, -1);
}

static int begin(void **state)
{
    (void)state;
    memset(&world, 0, sizeof(world));
    world.systrap.slot_size = SLOT_SIZE;
    world.systrap.slots_max = 1;
    world.systrap.slots = SYSTRAP_SLOTS;
    world.platform.backend = &world.systrap;
    world.subprocess.base.platform = &world.platform;
    pthread_mutex_init(&world.subprocess.lock, NULL);
    world.subprocess.memory =
        mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_ptr_not_equal(world.subprocess.memory, MAP_FAILED);
    world.slot_contexts[0] = &world.context;
    world.subprocess.slot_contexts = world.slot_contexts;
    world.subprocess.next_slot = 1;
    world.context.base.platform = &world.platform;
    world.context.bound = &world.subprocess;
    world.context.slot = slot_of(&world.subprocess, 0);
    world.context.seat = &world.seat;
    world.context.queue = &world.queue;
    world.seat.subprocess = &world.subprocess;
    list_init(&world.seat.ready);
    list_init(&world.seat.in_ready);
    atomic_store(&world.seat.running, 1);
    init_queue(&world.queue);
    init_queue(&world.other);
    atomic_store(&world.other.seats, &world.seat);
    return 0;
}

static int end(void **state)
{
    (void)state;
    pthread_mutex_destroy(&world.queue.lock);
    pthread_mutex_destroy(&world.other.lock);
    pthread_mutex_destroy(&world.subprocess.lock);
    return munmap(world.subprocess.memory, MEMORY_SIZE);
}

/* The other queue's waiter finds a stop of the context that is nobody's business. */
static void find_stop(void)
{
    struct sink nowhere = {.left = SIZE_MAX};

    *slot_state() = SLOT_EVENT;
    atomic_store(&world.context.flight, IN_FLIGHT);
    control_of(&world.subprocess)->done_small[0] = 1;
    systrap_queue_collect(&world.other, &nowhere);
    assert_int_equal(world.runs_again, 1);
    assert_int_equal(nowhere.count, 0);
    assert_int_equal(atomic_load(&world.context.flight), IN_FLIGHT);
}

/* It may be all that knows that something waits in the run ring, and that no worker has time for it. */
static void running_again_ends_its_queues_sleep(void **state)
{
    (void)state;
    atomic_store(&world.queue.sleeping, 1);
    find_stop();
    assert_ptr_equal(world.roused, &world.queue);
    assert_int_equal(world.runs_when_roused, 1);
    /* Later somebody can claim the context, and its queue can be gone. */
    assert_int_equal(world.flight_when_roused, STARTING);
}

static void nobody_is_roused_who_is_awake(void **state)
{
    (void)state;
    find_stop();
    assert_null(world.roused);
}

/* Who claimed it had looked at an event that was taken before: it has been started again since. */
static void what_runs_is_not_lost(void **state)
{
    (void)state;
    const uint32_t running[] = {SLOT_RUNNING, SLOT_READY, SLOT_RESUMED};
    struct sink nowhere = {.left = 0};

    for (size_t i = 0; i < sizeof(running) / sizeof(running[0]); i++) {
        *slot_state() = running[i];
        atomic_store(&world.context.flight, NOT_IN_FLIGHT);
        systrap_queue_deliver(&world.context, &world.other, &nowhere);
        assert_int_equal(world.lost, 0);
        assert_int_equal(world.left, 0);
        assert_int_equal(atomic_load(&world.context.flight), IN_FLIGHT);
        assert_ptr_equal(world.context.queue, &world.queue);
        assert_int_equal(atomic_load(&world.queue.ready_count), 0);
    }
}

/* Its guest kicks itself as often as somebody looks, and fills the ring with its number. */
static void what_never_rests_keeps_nobody(void **state)
{
    (void)state;
    struct systrap_context *found[1];
    struct sink nowhere = {.left = 0};

    world.never_rests = true;
    *slot_state() = SLOT_EVENT;
    systrap_queue_deliver(&world.context, &world.other, &nowhere);
    assert_in_range(world.runs_again, 1, 100);
    assert_int_equal(world.left, 0);
    assert_int_equal(atomic_load(&world.context.flight), IN_FLIGHT);
    /* It is not forgotten. */
    assert_int_equal(systrap_queue_scan(&world.subprocess, found, 1), 1);
    assert_ptr_equal(found[0], &world.context);
}

/* The same, and then the subprocess dies: nobody comes for it any more. */
static void what_never_rests_and_dies_is_delivered(void **state)
{
    (void)state;
    struct sink nowhere = {.left = 0};

    world.never_rests = true;
    *slot_state() = SLOT_RUNNING;
    atomic_store(&world.subprocess.base.death, SUBPROCESS_DEAD);
    atomic_store(&world.context.flight, ASKED_FOR);
    assert_true(systrap_queue_take_off(&world.context, false));
    assert_int_equal(atomic_load(&world.context.flight), NOT_IN_FLIGHT);
    systrap_queue_deliver(&world.context, &world.other, &nowhere);
    assert_int_equal(world.lost, 1);
    assert_int_equal(world.left, 1);
    assert_int_equal(atomic_load(&world.queue.ready_count), 1);
    assert_ptr_equal(systrap_queue_pop_ready(&world.queue), &world.context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(running_again_ends_its_queues_sleep, begin, end),
        cmocka_unit_test_setup_teardown(nobody_is_roused_who_is_awake, begin, end),
        cmocka_unit_test_setup_teardown(what_runs_is_not_lost, begin, end),
        cmocka_unit_test_setup_teardown(what_never_rests_keeps_nobody, begin, end),
        cmocka_unit_test_setup_teardown(what_never_rests_and_dies_is_delivered, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
