/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The beginning of a stub's seccomp program: where a call comes from, which libseccomp does not know. */
#ifndef CORE_FILTER_ORIGIN_H
#define CORE_FILTER_ORIGIN_H

#include <linux/filter.h>
#include <stdint.h>

#define FILTER_ORIGIN_LENGTH 6

/*
 * Calls that no instruction of [text_start, text_end) makes get `elsewhere`, SECCOMP_RET_*; the others go on behind the
 * prefix. The text and its end must have one upper half.
 */
void filter_origin(uint64_t text_start, uint64_t text_end, uint32_t elsewhere,
                   struct sock_filter prefix[FILTER_ORIGIN_LENGTH]);

#endif
