/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef TRAPGATE_GO_NATIVE_H
#define TRAPGATE_GO_NATIVE_H

#include <stddef.h>
#include <stdint.h>

struct native_signal {
    int32_t number;
    int32_t code;
    int32_t addr_in_code;
    uint32_t writes; /* the access was called a write */
    uint64_t addr;
    uint64_t ip;
};

int native_run(const void *code, size_t length, struct native_signal *seen);
int native_updates_are_writes(void);

#endif
