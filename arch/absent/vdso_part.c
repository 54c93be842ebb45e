/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* For architectures without a vDSO of the library's own. */
#include <stddef.h>

#include "arch/arch_vdso.h"

const struct arch_vdso *const tgi_arch_vdso = NULL;
