/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "text.h"

#include <stdbool.h>
#include <string.h>

#include "guest.h"

static bool enters_kernel(const unsigned char *bytes)
{
    static const unsigned char entries[][2] = {{0x0f, 0x05}, {0xcd, 0x80}, {0x0f, 0x34}};
    for (size_t i = 0; i < ARRAY_SIZE(entries); i++)
        if (memcmp(bytes, entries[i], 2) == 0)
            return true;
    return false;
}

static void find_call_sites(struct text *text, tg_subprocess *subprocess, uint64_t start, size_t length)
{
    unsigned char bytes[SYSTRAP_TEXT_MAX];
    CHECK(length <= sizeof(bytes));
    region_read(subprocess, start, bytes, length);
    for (size_t i = 0; i + 1 < length; i++) {
        if (!enters_kernel(&bytes[i]))
            continue;
        CHECK(text->call_site_count < CALL_SITES_MAX);
        text->call_sites[text->call_site_count++] = start + i;
        if (bytes[i + 1] == 0x05 && !text->a_syscall)
            text->a_syscall = start + i;
    }
}

void text_read(struct text *text, const tg_platform *platform, tg_subprocess *subprocess)
{
    *text = (struct text){.region = region_of(platform, subprocess)};
    text->length = text->region.text_size + TRAMPOLINES_READ;
    find_call_sites(text, subprocess, text->region.start, text->region.text_size);
    CHECK(text->a_syscall != 0);
    find_call_sites(text, subprocess, text->region.start + SYSTRAP_TRAMPOLINES, TRAMPOLINES_READ);
}

uint64_t text_address(const struct text *text, size_t index)
{
    if (index < text->region.text_size)
        return text->region.start + index;
    return text->region.start + SYSTRAP_TRAMPOLINES + index - text->region.text_size;
}
