/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* guest_registers.h - what benchmarks set in a guest's registers; arch/<cpu>/guest_registers.c. */
#ifndef TRAPGATE_BENCH_GUEST_REGISTERS_H
#define TRAPGATE_BENCH_GUEST_REGISTERS_H

#include <trapgate/trapgate.h>

/* The first argument of a function of the C calling convention. */
void guest_registers_set_argument(tg_regs *registers, uint64_t argument);

#endif
