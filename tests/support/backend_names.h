/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Backends as the command lines of tests name them. */
#ifndef SUPPORT_BACKEND_NAMES_H
#define SUPPORT_BACKEND_NAMES_H

#include <stdint.h>
#include <string.h>

#include <trapgate/trapgate.h>

/* TG_BACKEND_AUTO: there is none of that name. */
static inline uint32_t backend_by_name(const char *name)
{
    static const struct {
        const char *name;
        uint32_t backend;
    } backends[] = {{"ptrace", TG_BACKEND_PTRACE}, {"systrap", TG_BACKEND_SYSTRAP}};

    for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++) {
        if (strcmp(name, backends[i].name) == 0)
            return backends[i].backend;
    }
    return TG_BACKEND_AUTO;
}

#endif
