/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef TESTS_CONFORMANCE_ROW_PLAYER_H
#define TESTS_CONFORMANCE_ROW_PLAYER_H

#include "rows.h"

#include <stdint.h>

/* Plays a case; returns when the library did what its rows say, ends the process otherwise. */
void row_play(const struct row_block *block, uint32_t backend);

/* Looks at every line of every file: known words, and as many as they need. */
void row_check_all(void);

#endif
