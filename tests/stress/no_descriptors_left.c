/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* No descriptor is left (RLIMIT_NOFILE). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "exhaustion.h"
#include "footprint.h"
#include "soak.h"
#include "stress.h"

#define FEW 16 /* opening a platform needs fewer descriptors than that */

/* The lowest limit that leaves this many descriptors to open, given no holes below. */
static rlim_t limit_for(size_t spare)
{
    const int lowest_free = CHECK_SYSTEM(open("/dev/null", O_RDONLY | O_CLOEXEC));
    close(lowest_free);
    return (rlim_t)lowest_free + spare;
}

/* Opens with a few descriptors less than it needs, one more each time, until it works. */
static void open_with_few(uint32_t backend)
{
    const struct footprint before = footprint_take();
    size_t spare = 0;
    int result = -EMFILE;
    while (result != 0 && spare < FEW) {
        char message[256] = "";
        const tg_platform_options options = {
            .size = sizeof(options), .backend = backend, .message = message, .message_capacity = sizeof(message)};
        tg_platform *platform = NULL;
        const rlim_t usual = limit_softly(RLIMIT_NOFILE, limit_for(spare++));
        result = tg_platform_open(&options, &platform);
        if (result != 0) {
            CHECK_RESULT(result, -EMFILE);
            CHECK(platform == NULL);
            CHECK(message[0] != '\0');
        }
        tg_platform_close(platform);
        limit_softly(RLIMIT_NOFILE, usual);
        footprint_check(&before);
    }
    CHECK_OK(result);
}

/* Every call either needs no descriptor or says that there is none. */
static void work_with_none(tg_platform *platform, struct soaker *soaker, tg_subprocess *subprocess)
{
    tg_subprocess *created = NULL;
    tg_subprocess *copy = NULL;
    tg_queue *queue = NULL;
    soaker_turn(soaker, subprocess);
    CHECK_OK(tg_subprocess_map(subprocess, GUEST_HOLE_AT, 4096, PROT_RW, 0, -1, 0));
    guest_store(subprocess, GUEST_HOLE_AT, 1);
    CHECK_OK(tg_subprocess_unmap(subprocess, GUEST_HOLE_AT, 4096));
    CHECK_DENIED(platform, tg_subprocess_create(platform, &created));
    CHECK_DENIED(platform, tg_subprocess_fork(subprocess, &copy));
    CHECK_DENIED(platform, tg_queue_create(platform, &queue));
    if (queue) {
        const int descriptor = tg_queue_fd(queue);
        CHECK_DENIED(platform, descriptor > 0 ? 0 : descriptor);
    }
    tg_queue_destroy(queue);
    tg_subprocess_destroy(copy);
    tg_subprocess_destroy(created);
}

static void work_without(uint32_t backend)
{
    struct soaker soaker;
    tg_platform *platform = open_platform(backend, 0);
    tg_subprocess *subprocess = create_loaded_subprocess(platform, soak_code());
    soaker_open(&soaker, platform, 1);
    const struct footprint before = footprint_take();
    const rlim_t usual = limit_softly(RLIMIT_NOFILE, limit_for(0));
    work_with_none(platform, &soaker, subprocess);
    limit_softly(RLIMIT_NOFILE, usual);
    footprint_check(&before);
    check_all_works(platform);
    soaker_close(&soaker);
    tg_platform_close(platform);
}

void stress_no_descriptors_left(uint32_t backend)
{
    tg_platform_close(open_platform(backend, 0));
    open_with_few(backend);
    work_without(backend);
}
