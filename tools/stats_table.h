/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef TRAPGATE_TOOLS_STATS_TABLE_H
#define TRAPGATE_TOOLS_STATS_TABLE_H

struct sandbox;

/* What a sandbox served, as an aligned table on stderr. */
void stats_table_print(const struct sandbox *sandbox);

#endif
