/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <stdio.h>

#include "core/last_error.h"

/* Read and written by their thread alone; a signal handler's sentence takes another slot. */
static _Thread_local struct {
    uint32_t newest;
    struct sentence {
        uint64_t platform; /* 0: none yet */
        char text[LAST_ERROR_LENGTH];
    } slots[LAST_ERROR_SLOTS];
} sentences;

void last_error_set(uint64_t platform, const char *format, va_list args)
{
    struct sentence *slot;

    sentences.newest = (sentences.newest + 1) % LAST_ERROR_SLOTS;
    slot = &sentences.slots[sentences.newest];
    slot->platform = platform;
    vsnprintf(slot->text, sizeof(slot->text), format, args);
}

const char *last_error_get(uint64_t platform)
{
    for (uint32_t back = 0; back < LAST_ERROR_SLOTS; back++) {
        const struct sentence *slot = &sentences.slots[(sentences.newest + LAST_ERROR_SLOTS - back) % LAST_ERROR_SLOTS];

        if (slot->platform == platform)
            return slot->text;
    }
    return "";
}
