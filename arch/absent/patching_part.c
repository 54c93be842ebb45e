/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* For architectures without patched calls. */
#include "arch/arch_patching.h"

const struct arch_patching *const tgi_arch_patching = NULL;
