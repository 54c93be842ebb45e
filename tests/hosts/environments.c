/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "hosts.h"

#include <unistd.h>

#include "check.h"
#include "guest.h"

static void usual(uint32_t backend)
{
    (void)backend;
}

static void close_standard_streams(uint32_t backend)
{
    (void)backend;
    for (int fd = 0; fd < 3; fd++)
        CHECK_SYSTEM(close(fd));
}

static void close_output(uint32_t backend)
{
    (void)backend;
    CHECK_SYSTEM(close(1));
}

const struct environment environments[] = {
    {"usual", usual, {WORKS}, {WORKS}},
    {"no_standard_streams", close_standard_streams, {WORKS}, {WORKS}},
    {"no_output", close_output, {WORKS}, {WORKS}},
};

const size_t environment_count = ARRAY_SIZE(environments);
