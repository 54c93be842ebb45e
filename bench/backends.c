/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "backends.h"

#include <trapgate/trapgate.h>

#include "sample.h"

#define BACKEND_COUNT (TG_BACKEND_SYSTRAP + 1)

static double probe(const struct sample *sample)
{
    tg_probe found = {.size = sizeof(found)};
    int result = tg_platform_probe(sample->backend, &found);

    if (result != 0)
        sample_fail("tg_platform_probe: %s", tg_strerror(result));
    if (!found.available)
        sample_skip("%s: %s", found.step, found.reason);
    return 0;
}

/*
 * In a process of its own, as every sample. Only a plain "not available" is an
 * obstacle: where the probe itself fails, the benchmarks shall run and fail.
 */
const char *backend_obstacle(uint32_t backend)
{
    static struct sample_outcome outcomes[BACKEND_COUNT];
    static bool known[BACKEND_COUNT];
    struct sample sample = {.seconds = 0, .backend = backend};

    if (backend == TG_BACKEND_AUTO || backend >= BACKEND_COUNT)
        return NULL;
    if (!known[backend])
        outcomes[backend] = sample_run(probe, &sample);
    known[backend] = true;
    return outcomes[backend].skipped ? outcomes[backend].reason : NULL;
}
