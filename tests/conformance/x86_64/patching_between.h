/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A guest whose one call is patched, and what else it can be told to do from one call to the next. */
#ifndef TESTS_CONFORMANCE_X86_64_PATCHING_BETWEEN_H
#define TESTS_CONFORMANCE_X86_64_PATCHING_BETWEEN_H

#include "patching.h"

void between_open(struct guest *guest, uint32_t backend, uint64_t flags);
/* So many times round its loop, from call to call. */
void between_calls(struct guest *guest, int calls);
/* Until the call is patched, where that is what happens to it. */
void between_warm(struct guest *guest);
/* The guest goes from its call to this label of patch_between, once. */
void between_go(struct guest *guest, const unsigned char *label);

#endif
