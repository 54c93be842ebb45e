/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* For how long both sides spin before they sleep: learnt when the platform is opened, changed while it is open. */
#ifndef CORE_SYSTRAP_SPIN_TIME_H
#define CORE_SYSTRAP_SPIN_TIME_H

#include "core/systrap/systrap_types.h"

/* Once, where there are processors enough. wanted_ns: as tg_platform_options.spin_ns. */
void spin_time_learn(struct systrap_platform *sp, uint64_t wanted_ns);
/* The same again, any thread: who spins just now is not stopped. */
void systrap_set_spin(struct tg_platform *platform, uint64_t wanted_ns);

#endif
