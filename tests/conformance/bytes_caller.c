/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <string.h>

#include "arch.h"
#include "bytes_caller.h"
#include "guests.h"

void bytes_caller_open(struct guest *guest, uint32_t backend, struct guest_code code)
{
    guest_open(guest, backend, code);
    map_pages(guest->subprocess, AREA, AREA_PAGES * guest->page, PROT_RW);
    for (int i = 0; i < WARM_CALLS; i++)
        GUEST_RUN_TO_CALL(guest);
}

void declare(const struct guest *guest, const tg_bring *pieces, size_t n)
{
    CHECK_OK(tg_subprocess_set_brings(guest->subprocess, pieces, n));
}

void fill(unsigned char *bytes, size_t length, unsigned int seed)
{
    for (size_t i = 0; i < length; i++)
        bytes[i] = (unsigned char)(i * 7 + i / 251 + seed + 1);
}

void store(const struct guest *guest, uint64_t addr, const void *bytes, size_t length)
{
    CHECK_OK(tg_subprocess_write(guest->subprocess, addr, bytes, length, NULL));
}

void check_memory(tg_subprocess *subprocess, uint64_t addr, const void *expected, size_t length)
{
    unsigned char bytes[8192];

    CHECK_OK(tg_subprocess_read(subprocess, addr, bytes, length, NULL));
    CHECK_BYTES(bytes, expected, length);
}

void call_with(struct guest *guest, uint64_t second, uint64_t third)
{
    arch_set_argument(guest->context, 1, second);
    arch_set_argument(guest->context, 2, third);
    GUEST_RUN_TO_CALL(guest);
}

void check_brought(const struct guest *guest, uint32_t piece, int expected, const void *bytes, size_t length)
{
    const void *first = &length;
    const void *again = &length;
    size_t found = 99;

    CHECK_RESULT(tg_context_brought(guest->context, guest->subprocess, piece, &first, &found), expected);
    CHECK_EQ(found, expected ? 0 : length);
    CHECK(expected ? first == NULL : first != NULL);
    CHECK_RESULT(tg_context_brought(guest->context, guest->subprocess, piece, &again, &found), expected);
    CHECK(again == first);
    if (expected)
        return;
    CHECK_BYTES(first, bytes, length);
    CHECK_EQ(((const unsigned char *)first)[length], 0);
}

void attach(const struct guest *guest, uint64_t addr, const void *bytes, size_t length)
{
    CHECK_OK(tg_context_attach(guest->context, addr, bytes, length));
}

void answer(struct guest *guest, int64_t result, int64_t seen)
{
    CHECK_OK(tg_context_set_return(guest->context, result));
    GUEST_RUN_TO_CALL(guest);
    CHECK_EQ((int64_t)guest->event.u.syscall.args[0], seen);
}
