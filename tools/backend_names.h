/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Backends as users name them. */
#ifndef TOOLS_BACKEND_NAMES_H
#define TOOLS_BACKEND_NAMES_H

#include <stdint.h>

#include <trapgate/trapgate.h>

static const struct {
    const char *name;
    uint32_t backend;
} backend_names[] = {
    {"ptrace", TG_BACKEND_PTRACE},
    {"systrap", TG_BACKEND_SYSTRAP},
};

#define BACKEND_NAMES (sizeof(backend_names) / sizeof(backend_names[0]))

#endif
