/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What a word of a row is as a number, for a player that stands somewhere. */
#ifndef TESTS_CONFORMANCE_ROW_VALUES_H
#define TESTS_CONFORMANCE_ROW_VALUES_H

#include <stdint.h>

#include "guest.h"
#include "rows.h"

#define ROW_VARIABLES 64

struct row_variable {
    const char *name;
    uint64_t value;
};

/* What names in rows refer to. */
struct row_scene {
    tg_platform *platform;
    tg_subprocess *subprocess;
    tg_context *context;
    const tg_event *event;
    struct row_variable variables[ROW_VARIABLES]; /* ends with one without a name */
};

uint64_t row_value(const struct row_scene *scene, const struct row *row, const char *text);
void row_let(struct row_scene *scene, const struct row *row, const char *name, uint64_t value);

/* The code of a guest by its name. */
struct guest_code row_guest(const struct row *row, const char *name);

#endif
