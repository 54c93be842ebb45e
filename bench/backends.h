/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* backends.h - which backends work on this machine. */
#ifndef TRAPGATE_BENCH_BACKENDS_H
#define TRAPGATE_BENCH_BACKENDS_H

#include <stdint.h>

/* Why benchmarks of a backend cannot run here, or NULL when they can. Asked once per backend. */
const char *backend_obstacle(uint32_t backend);

#endif
