/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* For architectures without the ptrace backend. */
#include "arch/arch_ptrace.h"

const struct arch_ptrace *const tgi_arch_ptrace = NULL;
