/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A host that refuses a call: for a child process of a test, which keeps the filter until it ends. */
#ifndef TESTS_SUPPORT_REFUSE_H
#define TESTS_SUPPORT_REFUSE_H

#include <stdint.h>

/* From here on the system call with that number is EPERM. */
void refuse_call(uint32_t number);

#endif
