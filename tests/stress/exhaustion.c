/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "exhaustion.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "soak.h"

rlim_t limit_softly(int resource, rlim_t limit)
{
    struct rlimit now;
    CHECK_SYSTEM(getrlimit((__rlimit_resource_t)resource, &now));
    const rlim_t before = now.rlim_cur;
    now.rlim_cur = limit;
    CHECK_SYSTEM(setrlimit((__rlimit_resource_t)resource, &now));
    return before;
}

size_t own_status(const char *field)
{
    char line[256];
    size_t value = 0;
    FILE *file = fopen("/proc/self/status", "re");
    CHECK(file != NULL);
    while (fgets(line, sizeof(line), file))
        if (strncmp(line, field, strlen(field)) == 0)
            value = strtoul(line + strlen(field), NULL, 10);
    fclose(file);
    CHECK(value > 0);
    return value;
}

void check_denied(const tg_platform *platform, int result, const char *call)
{
    if (result == 0)
        return;
    if (result != -ENOMEM && result != -EAGAIN && result != -EMFILE)
        check_failed(CHECK_HERE, "%s: %d (%s): %s", call, result, tg_strerror(result),
                     tg_platform_last_error(platform));
    CHECK(tg_platform_last_error(platform)[0] != '\0');
}

static void check_queue_works(tg_platform *platform, struct soaker *soaker, tg_subprocess *subprocess)
{
    tg_queue *queue = NULL;
    tg_event event = new_event();
    size_t count = 0;
    CHECK_OK(tg_queue_create(platform, &queue));
    CHECK(tg_queue_fd(queue) >= 0);
    CHECK_OK(tg_queue_submit(queue, soaker->context, subprocess));
    CHECK_OK(tg_queue_wait(queue, &event, 1, -1, &count));
    CHECK_EQ(count, 1);
    soaker_answer(soaker, &event);
    tg_queue_destroy(queue);
}

void check_all_works(tg_platform *platform)
{
    struct soaker soaker;
    tg_subprocess *subprocess = create_loaded_subprocess(platform, soak_code());
    tg_subprocess *copy = NULL;
    soaker_open(&soaker, platform, 1);
    soaker_turn(&soaker, subprocess);
    CHECK_OK(tg_subprocess_fork(subprocess, &copy));
    soaker_turn(&soaker, copy);
    check_queue_works(platform, &soaker, subprocess);
    tg_subprocess_destroy(copy);
    tg_subprocess_destroy(subprocess);
    soaker_close(&soaker);
}
