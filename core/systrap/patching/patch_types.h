/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What a subprocess knows of its patched calls. The words: docs/glossary.md. */
#ifndef CORE_SYSTRAP_PATCHING_PATCH_TYPES_H
#define CORE_SYSTRAP_PATCHING_PATCH_TYPES_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/systrap/patching/site_heat.h"
#include "core/systrap/patching/site_table.h"

#define RETURN_IPS_AT_ONCE 512
#define RETURN_IPS_PARTS   32

/* Behind the calls of sites, by number. What is there never moves; a part comes when it is needed. */
struct return_ips {
    _Atomic uint64_t *_Atomic parts[RETURN_IPS_PARTS];
};

struct systrap_patches {
    pthread_mutex_t lock; /* taken after order_lock */
    _Atomic bool off;     /* atomic, any thread; never false again, but by a reset */
    bool table_mapped;    /* order_lock: the pointers to the trampolines are there */

    /* Changed with order_lock and lock, read with either, but for what says otherwise. */
    struct site_table sites;               /* the filter of its pages is atomic: any thread looks at it */
    struct return_ips *_Atomic return_ips; /* atomic, any thread. Once there it never moves */
    _Atomic uint32_t undoings;             /* atomic, any thread: how often sites were undone */
    uint32_t gaps;                         /* how often pages were away for a moment */

    /* lock */
    struct heat_map heat;
};

#endif
