/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The guests that only AArch64 has; what each does is written at its code. */
#ifndef TESTS_GUESTS_AARCH64_GUESTS_AARCH64_H
#define TESTS_GUESTS_AARCH64_GUESTS_AARCH64_H

#include "guests.h"

GUEST_DECLARE(fp_store);
GUEST_DECLARE(fp_load);
GUEST_DECLARE(sve_fault);
GUEST_DECLARE(sve_store);
GUEST_DECLARE(sign);

#endif
