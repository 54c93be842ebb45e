/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Where the words are that the library and its stubs share on the systrap backend, and values that mean harm. */
#ifndef TESTS_HOSTILE_REGION_H
#define TESTS_HOSTILE_REGION_H

#include <stddef.h>
#include <stdint.h>

#include <trapgate/trapgate.h>

#include "stub/systrap_protocol.h"

struct region {
    uint64_t start;
    uint64_t text_size;
    uint64_t slot_size;
    uint32_t fp_offset;
    uint32_t fp_size;
};

/* The subprocess may be any of its platform. */
struct region region_of(const tg_platform *platform, tg_subprocess *subprocess);

/* The library copies nothing from there, so this asks the host. */
void region_read(const tg_subprocess *subprocess, uint64_t addr, void *buffer, size_t length);

uint64_t region_control(const struct region *region, size_t offset);
uint64_t region_worker(const struct region *region, uint32_t index);
/* offset: WORKER_COPY, WORKER_BROUGHT. */
uint64_t region_worker_place(const struct region *region, uint32_t index, uint32_t offset);
uint64_t region_slot(const struct region *region, uint32_t number);

/* Four bytes, aligned, of one of the words whose names begin so. */
uint64_t region_pick_word(const struct region *region, const char *names, uint64_t *random, const char **name);
void region_list_words(void);
/* Zeros, all ones, states, numbers of slots, addresses of the region, of the kernel and of nobody, and noise. */
uint64_t region_pick_value(const struct region *region, uint64_t *random);

#endif
