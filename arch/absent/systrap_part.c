/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* For architectures without the systrap backend. */
#include "arch/arch_systrap.h"

const struct arch_systrap *const tgi_arch_systrap = NULL;
