/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The first stub process, which the others are made from. */
#ifndef CORE_PTRACE_TEMPLATE_H
#define CORE_PTRACE_TEMPLATE_H

#include "core/ptrace/ptrace_types.h"

int ptrace_template_start(struct tg_platform *platform, const struct tg_platform_options *options,
                          struct open_report *report);
void ptrace_template_stop(struct tg_platform *platform);

#endif
