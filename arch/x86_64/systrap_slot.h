/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Words of a slot of the systrap backend, and which register is where; for the stub and for the library. */
#ifndef ARCH_X86_64_SYSTRAP_SLOT_H
#define ARCH_X86_64_SYSTRAP_SLOT_H

#define SYSTRAP_CALL_REGS  7
#define SYSTRAP_OTHER_REGS 22

/* call_regs[]: what a system call needs at once */
#define CALL_RAX 0
#define CALL_RDI 1
#define CALL_RSI 2
#define CALL_RDX 3
#define CALL_R10 4
#define CALL_R8  5
#define CALL_R9  6

/* other_regs[] */
#define OTHER_RIP     0
#define OTHER_RSP     1
#define OTHER_EFLAGS  2
#define OTHER_RCX     3
#define OTHER_R11     4
#define OTHER_RBX     5
#define OTHER_RBP     6
#define OTHER_R12     7
#define OTHER_R13     8
#define OTHER_R14     9
#define OTHER_R15     10
#define OTHER_FS_BASE 11
#define OTHER_GS_BASE 12
#define OTHER_CS      13
#define OTHER_SS      14
#define OTHER_DS      15
#define OTHER_ES      16
#define OTHER_FS      17
#define OTHER_GS      18
#define OTHER_HIDDEN  19 /* the worker had a %gs base of its own: GS_HIDDEN */

/* Offsets in struct systrap_slot, for assembly. */
#define SLOT_CALL(n)  (8 + 8 * (n))
#define SLOT_OTHER(n) (64 + 8 * (n))
#define SLOT_KICK     240
#define SLOT_RESUME   288
#define SLOT_STACK    296

/*
 * A worker's %gs base is its struct's address minus this, which is an address
 * in the upper half: patched calls add it again. A base that a guest has set
 * for itself leads to an address that no program can have mapped, and the
 * first access of a patched call faults. (The offset itself must be canonical:
 * AMD's processors check that before they add the base.)
 */
#define GS_HIDDEN 0x00007ffffffff000

#endif
