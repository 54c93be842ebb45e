/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * trapgate/regs.h - picks the register layout of the machine that the header
 * is compiled for. This is the only place that asks.
 */
#ifndef TRAPGATE_REGS_H
#define TRAPGATE_REGS_H

#if defined(__x86_64__) && !defined(__ILP32__)
#include <trapgate/regs_x86_64.h>
#elif defined(__aarch64__) && !defined(__ILP32__)
#include <trapgate/regs_aarch64.h>
#else
#error "Trapgate supports x86-64 and AArch64 (LP64) only"
#endif

#endif
