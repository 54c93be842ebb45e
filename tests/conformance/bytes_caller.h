/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A guest that makes calls which bring bytes, and has bytes attached to the answers. */
#ifndef TESTS_CONFORMANCE_BYTES_CALLER_H
#define TESTS_CONFORMANCE_BYTES_CALLER_H

#include <stddef.h>
#include <stdint.h>

#include "guest.h"

#define AREA       GUEST_HOLE_AT
#define AREA_PAGES 4
#define WARM_CALLS 64 /* its site is patched by then, where it can be */
#define ROUNDS     200
#define PIECE(kind_, arg_, length_arg_, max_)                                                                          \
    {                                                                                                                  \
        .size = sizeof(tg_bring), .kind = (kind_), .nr = GUEST_CALL, .arg = (arg_), .length_arg = (length_arg_),       \
        .max = (max_),                                                                                                 \
    }

/* Patched calls where they can be; the arguments but the first are the test's. AREA_PAGES of memory at AREA. */
void bytes_caller_open(struct guest *guest, uint32_t backend, struct guest_code code);
/* Lets it make another call, with these arguments behind the first. */
void call_with(struct guest *guest, uint64_t second, uint64_t third);

void declare(const struct guest *guest, const tg_bring *pieces, size_t n);
void check_brought(const struct guest *guest, uint32_t piece, int expected, const void *bytes, size_t length);

void attach(const struct guest *guest, uint64_t addr, const void *bytes, size_t length);
/* The answer's result, and what the guest says in its next call that it has got. */
void answer(struct guest *guest, int64_t result, int64_t seen);

void fill(unsigned char *bytes, size_t length, unsigned int seed);
void store(const struct guest *guest, uint64_t addr, const void *bytes, size_t length);
void check_memory(tg_subprocess *subprocess, uint64_t addr, const void *expected, size_t length);

#endif
