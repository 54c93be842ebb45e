/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What bytes that come with a patched call's event add to it, and bytes that go with its answer. */
#include <sys/syscall.h>

#include "floors/floors.h"
#include "guest_programs.h"
#include "patched_guest.h"

static void step_brought(void *state)
{
    const struct patched_guest *patched = state;
    const void *bytes;
    size_t length;

    guest_serve(&patched->guest, patched->context);
    guest_require(patched->guest.platform,
                  tg_context_brought(patched->context, patched->guest.subprocess, 0, &bytes, &length),
                  "tg_context_brought");
}

static void step_attached(void *state)
{
    const struct patched_guest *patched = state;

    guest_serve(&patched->guest, patched->context);
    guest_require(patched->guest.platform,
                  tg_context_attach(patched->context, GUEST_DATA_ADDRESS, patched->bytes, patched->length),
                  "tg_context_attach");
}

/* What a call brings is at its first argument, which the guest leaves as it is. */
static void declare(struct patched_guest *patched, bool steps)
{
    const tg_bring piece = {
        .size = sizeof(piece),
        .kind = TG_BRING_BYTES,
        .nr = SYS_getppid,
        .arg = 0,
        .max = (uint32_t)patched->length,
    };

    guest_require(patched->guest.platform, tg_subprocess_set_brings(patched->guest.subprocess, &piece, steps),
                  "tg_subprocess_set_brings");
}

static double event_bytes(const struct sample *sample)
{
    return added_to_switch(sample, step_brought, declare);
}

static double answer_bytes(const struct sample *sample)
{
    return added_to_switch(sample, step_attached, NULL);
}

static const struct benchmark benchmarks[] = {
    {
        .name = "systrap.event_bytes_64",
        .unit = "ns",
        .backend = TG_BACKEND_SYSTRAP,
        .argument = 64,
        .run = event_bytes,
        .floors =
            {
                {floor_read, "process_vm_readv of as many bytes"},
                {floor_line_out, "what a line more adds to a bare short call"},
            },
    },
    {
        .name = "systrap.answer_bytes_64",
        .unit = "ns",
        .backend = TG_BACKEND_SYSTRAP,
        .argument = 64,
        .run = answer_bytes,
        .floors =
            {
                {floor_write, "process_vm_writev of as many bytes"},
                {floor_line_in, "what a line more adds to a bare short call"},
            },
    },
};

const struct benchmark_family call_bytes_family = {benchmarks, sizeof(benchmarks) / sizeof(benchmarks[0])};
