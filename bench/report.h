/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* report.h - measurements as a table for people and as JSON for programs. */
#ifndef TRAPGATE_BENCH_REPORT_H
#define TRAPGATE_BENCH_REPORT_H

#include <stdio.h>

#include "measure.h"

void report_table_head(FILE *out);
void report_table_rows(FILE *out, const struct measurement *measurement);

/* An array with one object per measurement; what could not be measured is null and has an "error"; what was skipped
   is not in it. */
void report_json(FILE *out, const struct measurement *measurements, size_t count);

#endif
