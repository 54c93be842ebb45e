/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the machine below says of an instruction that reads and writes one word. */
#ifndef TESTS_CONFORMANCE_X86_64_UPDATES_H
#define TESTS_CONFORMANCE_X86_64_UPDATES_H

/* Does the error code say write when an update meets no page? If not, skips on a backend that goes by that code. */
void need_updates_that_write(uint32_t backend);

#endif
