/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The last step of opening: a guest makes a call, so that what works is known and not hoped for. */
#ifndef CORE_TRIAL_H
#define CORE_TRIAL_H

#include "core/backend.h"

/* 0, or an error with the report filled. Leaves nothing behind, in the counters neither. */
int trial_run(struct tg_platform *platform, struct open_report *report);

#endif
