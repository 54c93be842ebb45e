/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* For architectures without the systrap backend: core/systrap compiles, and no slot is ever made. */
#ifndef ARCH_ABSENT_SYSTRAP_SLOT_H
#define ARCH_ABSENT_SYSTRAP_SLOT_H

#define SYSTRAP_CALL_REGS  7
#define SYSTRAP_OTHER_REGS 22

#endif
