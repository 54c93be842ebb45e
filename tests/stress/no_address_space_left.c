/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The embedder's address space is full (RLIMIT_AS). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "exhaustion.h"
#include "footprint.h"
#include "soak.h"
#include "stress.h"

#define SPARE_BYTES  (8u << 20)
#define CONTEXTS_MAX 100000

struct crowd {
    tg_platform *platform;
    tg_context **contexts;
    size_t count;
};

static void fill(struct crowd *crowd)
{
    int result = 0;
    while (crowd->count < CONTEXTS_MAX) {
        result = tg_context_create(crowd->platform, &crowd->contexts[crowd->count]);
        if (result != 0)
            break;
        crowd->count++;
    }
    CHECK_RESULT(result, -ENOMEM);
    CHECK(crowd->count > 0);
    CHECK(crowd->contexts[crowd->count] == NULL);
    CHECK(tg_platform_last_error(crowd->platform)[0] != '\0');
    CHECK_EQ(platform_stats(crowd->platform).contexts, crowd->count);
}

static void drop(struct crowd *crowd)
{
    while (crowd->count > 0)
        tg_context_destroy(crowd->contexts[--crowd->count]);
}

/* What the existing handles do needs no memory; what would make new ones says so. */
static void work_with_none(struct crowd *crowd, tg_subprocess *subprocess)
{
    tg_queue *queue = NULL;
    tg_subprocess *created = NULL;
    tg_subprocess *copy = NULL;
    tg_event event = new_event();
    CHECK_OK(tg_context_start(crowd->contexts[0], GUEST_CODE_AT, GUEST_STACK_TOP));
    CHECK_DENIED(crowd->platform, tg_context_switch(crowd->contexts[0], subprocess, &event));
    CHECK_DENIED(crowd->platform, tg_subprocess_map(subprocess, GUEST_HOLE_AT, 4096, PROT_RW, 0, -1, 0));
    CHECK_DENIED(crowd->platform, tg_queue_create(crowd->platform, &queue));
    CHECK_DENIED(crowd->platform, tg_subprocess_create(crowd->platform, &created));
    CHECK_DENIED(crowd->platform, tg_subprocess_fork(subprocess, &copy));
    tg_queue_destroy(queue);
    tg_subprocess_destroy(created);
    tg_subprocess_destroy(copy);
}

/* Opening needs a thread with a stack. */
static void open_with_little(uint32_t backend)
{
    const struct footprint before = footprint_take();
    char message[256] = "";
    const tg_platform_options options = {
        .size = sizeof(options), .backend = backend, .message = message, .message_capacity = sizeof(message)};
    tg_platform *platform = NULL;
    const rlim_t usual = limit_softly(RLIMIT_AS, own_status("VmSize:") * 1024);
    const int result = tg_platform_open(&options, &platform);
    tg_platform_close(platform);
    limit_softly(RLIMIT_AS, usual);
    if (result != 0) {
        CHECK(result == -ENOMEM || result == -EAGAIN);
        CHECK(platform == NULL && message[0] != '\0');
    }
    footprint_check(&before);
}

void stress_no_address_space_left(uint32_t backend)
{
    if (SANITIZED)
        SKIP("sanitizers need an address space without limit");
    struct crowd crowd = {.platform = open_platform(backend, 0)};
    crowd.contexts = calloc(CONTEXTS_MAX + 1, sizeof(crowd.contexts[0]));
    CHECK(crowd.contexts != NULL);
    check_all_works(crowd.platform);
    tg_subprocess *subprocess = create_loaded_subprocess(crowd.platform, soak_code());
    const struct footprint before = footprint_take();

    const rlim_t usual = limit_softly(RLIMIT_AS, own_status("VmSize:") * 1024 + SPARE_BYTES);
    fill(&crowd);
    work_with_none(&crowd, subprocess);
    drop(&crowd);
    fill(&crowd);
    drop(&crowd);
    limit_softly(RLIMIT_AS, usual);

    check_all_works(crowd.platform);
    footprint_check(&before);
    tg_subprocess_destroy(subprocess);
    tg_platform_close(crowd.platform);
    free(crowd.contexts);
    open_with_little(backend);
}
