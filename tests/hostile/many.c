/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* More contexts than any table of a fixed size would have: in one subprocess, and on one queue. */
#include <stdio.h>
#include <stdlib.h>

#include "bounded.h"
#include "footprint.h"
#include "hostile.h"
#include "soak.h"
#include "stress.h"

#define IN_ONE   5000
#define ON_QUEUE 10000
#define AT_ONCE  1000 /* the others are blocked in the embedder */
#define TURNS    3
#define BATCH    64
#define FOREVER  (-1)

struct crowd {
    tg_platform *platform;
    tg_subprocess *subprocess;
    struct soaker *soakers;
    size_t size;
    struct bounded *bounded;
};

static void crowd_open(struct crowd *crowd, uint32_t backend, size_t size)
{
    *crowd = (struct crowd){.platform = open_platform(backend, 0), .size = size, .bounded = bounded_new("the thread")};
    crowd->subprocess = create_loaded_subprocess(crowd->platform, soak_code());
    crowd->soakers = calloc(size, sizeof(crowd->soakers[0]));
    CHECK(crowd->soakers != NULL);
    for (size_t i = 0; i < size; i++) {
        soaker_open(&crowd->soakers[i], crowd->platform, i << 32);
        CHECK_OK(tg_context_set_user_data(crowd->soakers[i].context, i));
    }
}

/* Half of them before their subprocess, half of them after. */
static void crowd_close(struct crowd *crowd)
{
    for (size_t i = 0; i < crowd->size / 2; i++)
        soaker_close(&crowd->soakers[i]);
    BOUNDED_VOID(crowd->bounded, tg_subprocess_destroy(crowd->subprocess));
    for (size_t i = crowd->size / 2; i < crowd->size; i++)
        soaker_close(&crowd->soakers[i]);
    free(crowd->soakers);
    BOUNDED_VOID(crowd->bounded, tg_platform_close(crowd->platform));
}

static void check_turns(const struct crowd *crowd)
{
    for (size_t i = 0; i < crowd->size; i++)
        CHECK_EQ(crowd->soakers[i].turns, TURNS);
}

void hostile_many_in_one(uint32_t backend)
{
    const struct footprint before = footprint_take();
    struct crowd crowd;
    crowd_open(&crowd, backend, scaled(IN_ONE));
    for (size_t turn = 0; turn < TURNS; turn++)
        for (size_t i = 0; i < crowd.size; i++)
            BOUNDED_VOID(crowd.bounded, soaker_turn(&crowd.soakers[i], crowd.subprocess));
    check_turns(&crowd);
    crowd_close(&crowd);
    footprint_check(&before);
}

/* Those who wait for their turn in the embedder: most, at any moment. */
struct line {
    size_t *indices;
    size_t size;
    size_t head;
    size_t count;
};

static void step_back(struct line *line, size_t index)
{
    line->indices[(line->head + line->count++) % line->size] = index;
}

static size_t next_in(struct line *line)
{
    const size_t index = line->indices[line->head];
    line->head = (line->head + 1) % line->size;
    line->count--;
    return index;
}

static size_t take_turns(struct crowd *crowd, tg_queue *queue, struct line *line)
{
    tg_event events[BATCH];
    size_t count = 0;
    for (size_t i = 0; i < BATCH; i++)
        events[i] = new_event();
    CHECK_OK(BOUNDED(crowd->bounded, tg_queue_wait(queue, events, BATCH, FOREVER, &count)));
    CHECK(count > 0 && count <= BATCH);
    for (size_t i = 0; i < count; i++) {
        CHECK(events[i].user_data < crowd->size);
        struct soaker *soaker = &crowd->soakers[events[i].user_data];
        soaker_answer(soaker, &events[i]);
        if (soaker->turns < TURNS)
            step_back(line, events[i].user_data);
    }
    return count;
}

void hostile_many_on_queue(uint32_t backend)
{
    const struct footprint before = footprint_take();
    struct crowd crowd;
    tg_queue *queue = NULL;
    size_t running = 0;
    crowd_open(&crowd, backend, scaled(ON_QUEUE));
    CHECK_OK(tg_queue_create(crowd.platform, &queue));
    struct line line = {.indices = calloc(crowd.size, sizeof(line.indices[0])), .size = crowd.size};
    CHECK(line.indices != NULL);
    for (size_t i = 0; i < crowd.size; i++)
        step_back(&line, i);
    while (line.count > 0 || running > 0) {
        for (; line.count > 0 && running < AT_ONCE; running++)
            CHECK_OK(tg_queue_submit(queue, crowd.soakers[next_in(&line)].context, crowd.subprocess));
        running -= take_turns(&crowd, queue, &line);
    }
    check_turns(&crowd);
    free(line.indices);
    tg_queue_destroy(queue);
    crowd_close(&crowd);
    footprint_check(&before);
}
