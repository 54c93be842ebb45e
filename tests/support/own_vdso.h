/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The vDSO that the kernel gave this program. */
#ifndef TESTS_SUPPORT_OWN_VDSO_H
#define TESTS_SUPPORT_OWN_VDSO_H

#include <stdint.h>

/* Where its ELF header is; 0: there is none. */
uint64_t own_vdso(void);
/* How far behind that its clock_gettime() is; a skip where it has none. */
uint64_t own_vdso_clock_offset(void);
/* The same of a copy of a vDSO's first pages. */
uint64_t vdso_clock_offset(const void *image);

#endif
