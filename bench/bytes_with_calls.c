/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What bytes that come with a patched call's event add to it, and bytes that go with its answer. */
#include <string.h>
#include <sys/syscall.h>

#include "floors/floors.h"
#include "guest.h"
#include "guest_programs.h"
#include "sample.h"
#include "timing.h"

#define CALLS_BEFORE_PATCHED 4096
#define BLOCKS               64 /* of switches alone and of switches with bytes, in turns */

struct carrying {
    struct guest guest;
    tg_context *context;
    unsigned char bytes[TG_ATTACH_MAX];
    size_t length;
};

static void step_switch(void *state)
{
    const struct carrying *carrying = state;

    guest_serve(&carrying->guest, carrying->context);
}

static void step_brought(void *state)
{
    const struct carrying *carrying = state;
    const void *bytes;
    size_t length;

    guest_serve(&carrying->guest, carrying->context);
    guest_require(carrying->guest.platform,
                  tg_context_brought(carrying->context, carrying->guest.subprocess, 0, &bytes, &length),
                  "tg_context_brought");
}

static void step_attached(void *state)
{
    const struct carrying *carrying = state;

    guest_serve(&carrying->guest, carrying->context);
    guest_require(carrying->guest.platform,
                  tg_context_attach(carrying->context, GUEST_DATA_ADDRESS, carrying->bytes, carrying->length),
                  "tg_context_attach");
}

/* What a call brings is at its first argument, which the guest leaves as it is. */
static void declare(struct carrying *carrying, size_t n)
{
    const tg_bring piece = {
        .size = sizeof(piece),
        .kind = TG_BRING_BYTES,
        .nr = SYS_getppid,
        .arg = 0,
        .max = (uint32_t)carrying->length,
    };

    guest_require(carrying->guest.platform, tg_subprocess_set_brings(carrying->guest.subprocess, &piece, n),
                  "tg_subprocess_set_brings");
}

static void open_carrying(struct carrying *carrying, const struct sample *sample)
{
    tg_info info = {.size = sizeof(info)};
    unsigned calls = 0;

    carrying->length = (size_t)sample->argument;
    memset(carrying->bytes, 1, sizeof(carrying->bytes));
    guest_open(&carrying->guest, sample, GUEST_PROGRAM(bench_syscall_loop));
    guest_require(carrying->guest.platform, tg_platform_info(carrying->guest.platform, &info), "tg_platform_info");
    if (!(info.capabilities & TG_CAP_PATCHING))
        sample_skip("the backend does not patch system calls here");
    guest_require(carrying->guest.platform,
                  tg_subprocess_map(carrying->guest.subprocess, GUEST_DATA_ADDRESS, TG_ATTACH_MAX,
                                    TG_PROT_READ | TG_PROT_WRITE, TG_MAP_POPULATE, -1, 0),
                  "tg_subprocess_map");
    carrying->context = guest_context(carrying->guest.platform, GUEST_DATA_ADDRESS, TG_CONTEXT_ONE_THREAD);
    while (!(guest_serve(&carrying->guest, carrying->context) & TG_FLAG_PATCHED))
        if (++calls == CALLS_BEFORE_PATCHED)
            sample_fail("the guest's system call is not patched after %u calls", calls);
}

/* The line's time is what the two kinds of blocks differ by, so that whatever changes with time is in both. */
static double measure(const struct sample *sample, void (*step)(void *state), size_t pieces)
{
    struct sample block = *sample;
    struct carrying carrying;
    double difference = 0;

    open_carrying(&carrying, sample);
    block.seconds = sample->seconds / (2 * BLOCKS);
    for (int i = 0; i < BLOCKS; i++) {
        declare(&carrying, 0);
        difference -= nanoseconds_per_step(&block, step_switch, &carrying);
        declare(&carrying, pieces);
        difference += nanoseconds_per_step(&block, step, &carrying);
    }
    guest_close(&carrying.guest);
    return difference / BLOCKS;
}

static double event_bytes(const struct sample *sample)
{
    return measure(sample, step_brought, 1);
}

static double answer_bytes(const struct sample *sample)
{
    return measure(sample, step_attached, 0);
}

static const struct benchmark benchmarks[] = {
    {
        .name = "systrap.event_bytes_64",
        .unit = "ns",
        .backend = TG_BACKEND_SYSTRAP,
        .argument = 64,
        .run = event_bytes,
        .floors = {{floor_read, "process_vm_readv of as many bytes"}},
    },
    {
        .name = "systrap.answer_bytes_64",
        .unit = "ns",
        .backend = TG_BACKEND_SYSTRAP,
        .argument = 64,
        .run = answer_bytes,
        .floors = {{floor_write, "process_vm_writev of as many bytes"}},
    },
};

const struct benchmark_family call_bytes_family = {benchmarks, sizeof(benchmarks) / sizeof(benchmarks[0])};
