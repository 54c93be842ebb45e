/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Words of a slot of the systrap backend, and which register is where; for the stub and for the library. */
#ifndef ARCH_X86_64_SYSTRAP_SLOT_H
#define ARCH_X86_64_SYSTRAP_SLOT_H

#define SYSTRAP_HOT_WORDS  7
#define SYSTRAP_COLD_WORDS 22

/* hot[]: what a system call needs at once */
#define HOT_RAX 0
#define HOT_RDI 1
#define HOT_RSI 2
#define HOT_RDX 3
#define HOT_R10 4
#define HOT_R8  5
#define HOT_R9  6

/* cold[] */
#define COLD_RIP     0
#define COLD_RSP     1
#define COLD_EFLAGS  2
#define COLD_RCX     3
#define COLD_R11     4
#define COLD_RBX     5
#define COLD_RBP     6
#define COLD_R12     7
#define COLD_R13     8
#define COLD_R14     9
#define COLD_R15     10
#define COLD_FS_BASE 11
#define COLD_GS_BASE 12
#define COLD_CS      13
#define COLD_SS      14
#define COLD_DS      15
#define COLD_ES      16
#define COLD_FS      17
#define COLD_GS      18
#define COLD_HIDDEN  19 /* the worker had a %gs base of its own: GS_HIDDEN */

/* Offsets in struct systrap_slot, for assembly. */
#define SLOT_HOT(n)  (8 + 8 * (n))
#define SLOT_COLD(n) (64 + 8 * (n))
#define SLOT_KICK    240
#define SLOT_RESUME  288
#define SLOT_STACK   296

/*
 * A worker's %gs base is its struct's address minus this, which is an address
 * in the upper half: patched calls add it again. A base that a guest has set
 * for itself leads to an address that no program can have mapped, and the
 * first access of a patched call faults. (The offset itself must be canonical:
 * AMD's processors check that before they add the base.)
 */
#define GS_HIDDEN 0x00007ffffffff000

#endif
