/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* How much of what a test does many times, where all of it would take too long: tests/README.md. */
#ifndef TESTS_SUPPORT_SCALE_H
#define TESTS_SUPPORT_SCALE_H

#include <stddef.h>

/* A count, scaled by the percentage in TG_TEST_SCALE; at least 1. */
size_t scaled(size_t count);

#endif
