/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A storm: in subprocess after subprocess, one guest spoils shared words while
 * others make calls through a switch and through a queue, and the embedder
 * does everything else that it can do with them.
 */
#ifndef TESTS_HOSTILE_STORM_H
#define TESTS_HOSTILE_STORM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "bounded.h"
#include "guest.h"
#include "region.h"

/* One write of a hostile guest; x86_64/hostile.S knows the layout. */
struct corruption {
    uint64_t addr;
    uint64_t value;
    uint32_t words;   /* of 4 bytes, one after the other */
    uint32_t pauses;  /* before */
    uint32_t repeats; /* to meet the moment that matters */
    uint32_t pad;
};

#define CORRUPTIONS_MAX 1024
#define CORRUPTIONS_FEW 64
#define QUEUED          3

/* What the hostile guest and the embedder share. */
struct plan {
    _Atomic uint64_t done;
    uint64_t pad[3];
    struct corruption corruptions[CORRUPTIONS_MAX];
};

struct storm {
    const char *names; /* of the words: those that begin so */
    bool answered;     /* whatever is spoilt, each call returns; otherwise a stuck one may be freed by a kill */
    uint64_t corruptions;
    int64_t end; /* of the time for it */
    uint64_t seed;
    uint64_t random;
    tg_platform *platform;
    struct region region;
    struct plan *plan;
    int plan_file;
    struct bounded *bounded[4];     /* by role: the call that it is in */
    struct bounded *flight[QUEUED]; /* submitted, and no event yet */
    /* What happened. */
    _Atomic uint64_t lives, calls, others, errors, deaths, interrupted, killed, meddled;
};

/* One subprocess from its creation to its end. */
struct life {
    struct storm *storm;
    tg_subprocess *subprocess;
    uint64_t seed;
    _Atomic bool over;
    _Atomic int running; /* actors */
};

enum role {
    SWITCHER,
    QUEUER,
    CORRUPTER,
    REFEREE,
};

struct actor {
    struct life *life;
    enum role role;
    struct bounded *bounded;
    uint64_t random;
    tg_context *contexts[QUEUED];
    size_t context_count;
    tg_queue *queue;
    bool submitted[QUEUED];
    uint64_t plan_size;
    pthread_t thread;
};

/* storm_actors.c */
void actor_open(struct actor *actor, struct life *life, enum role role);
void actor_interrupt(struct actor *actor);
void actor_close(struct actor *actor);
void *actor_run(void *actor);
/* A result that the header lists for calls with a subprocess; 0 too. */
void check_documented(struct check_place place, const char *what, int result);

#endif
