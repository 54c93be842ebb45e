/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A guest that rests after a call, patched where it can be; and another context there, which writes. */
#ifndef TESTS_HOSTILE_WRITER_SCENE_H
#define TESTS_HOSTILE_WRITER_SCENE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "bounded.h"
#include "hostile.h"
#include "region.h"

#define AREA       GUEST_HOLE_AT /* two pages of the guest's */
#define WARM_CALLS 64

GUEST_DECLARE(keep_writing);
GUEST_DECLARE(claim_for_ever);

struct writer_scene {
    struct guest guest;
    struct region region; /* for whoever lies */
    tg_context *writer;
    struct bounded *bounded;
    struct bounded *changer;
    int64_t change_pause_ns; /* between two rounds of change_second_page() */
    _Atomic bool over;
};

void writer_scene_open(struct writer_scene *scene, uint32_t backend, struct guest_code code, struct guest_code writer);
void writer_scene_close(struct writer_scene *scene);

/* For a thread, until over: the second page is unmapped, of nobody's use, behind the end of its file, and there again.
 */
void *change_second_page(void *scene);

/* first and then second, and so on, to those places, by whatever the writer's code does with them. */
pthread_t writer_scene_start_lying(struct writer_scene *scene, uint64_t first_at, uint32_t first, uint64_t second_at,
                                   uint32_t second);
/* Ends the subprocess, if nobody has, and the writer with it; closes. */
void writer_scene_end_lying(struct writer_scene *scene, pthread_t liar);

#endif
