/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The stub's own code, as a guest can read and run it: the blob, and the trampolines of patched calls. */
#ifndef TESTS_HOSTILE_X86_64_TEXT_H
#define TESTS_HOSTILE_X86_64_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "region.h"

#define CALL_SITES_MAX   256
#define TRAMPOLINES_READ 1024 /* the first few, for there are few */

struct text {
    struct region region;
    uint64_t call_sites[CALL_SITES_MAX]; /* wherever the bytes of an instruction that enters the kernel stand */
    size_t call_site_count;
    uint64_t a_syscall; /* the address of an instruction `syscall` */
    size_t length;      /* of all code */
};

void text_read(struct text *text, const tg_platform *platform, tg_subprocess *subprocess);
/* The address of a byte of the code, by its number. */
uint64_t text_address(const struct text *text, size_t index);

#endif
