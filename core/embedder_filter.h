/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What an embedder that filters its own system calls must allow. */
#ifndef CORE_EMBEDDER_FILTER_H
#define CORE_EMBEDDER_FILTER_H

#include "core/backend.h"

/* Adds the rules to a filter of libseccomp's. 0 or -errno. */
int embedder_filter_allow(const struct tg_platform *platform, void *filter);

#endif
