/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The first stub process. */
#ifndef CORE_SYSTRAP_TEMPLATE_H
#define CORE_SYSTRAP_TEMPLATE_H

#include "core/systrap/systrap_types.h"

int systrap_template_start(struct tg_platform *platform, const struct tg_platform_options *options,
                           struct open_report *report);
void systrap_template_stop(struct tg_platform *platform);

#endif
