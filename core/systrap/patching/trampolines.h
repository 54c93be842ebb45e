/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Trampolines, in the stub's region, and the table of pointers to them at the
 * bottom of the address space, where an absolute jump reaches it. Each belongs
 * to one site for good, and has its number.
 */
#ifndef CORE_SYSTRAP_PATCHING_TRAMPOLINES_H
#define CORE_SYSTRAP_PATCHING_TRAMPOLINES_H

#include "core/systrap/systrap_types.h"

/* How many there can be; 0: this processor has none. */
uint32_t trampolines_max(void);
uint64_t trampoline_addr(const struct systrap_subprocess *subprocess, uint32_t number);
/* Where the pointer to it is. */
uint64_t trampoline_table_entry(uint32_t number);
/* Is this address among them? Then it is so far into the one of this number, which may belong to no site. */
bool trampoline_holds(const struct systrap_subprocess *subprocess, uint64_t addr, uint32_t *number, uint64_t *offset);

/* Has the stub mapped the table? The call that does it, and that it has been made. order_lock is held. */
bool trampolines_table_is_mapped(const struct systrap_subprocess *subprocess);
struct stub_call trampolines_table_call(const struct systrap_subprocess *subprocess);
void trampolines_note_table(struct systrap_subprocess *subprocess);
/* Before the one with this number is written. 0 or -ENOMEM. Both locks are held. */
int trampolines_prepare(struct systrap_subprocess *subprocess, uint32_t number);
void trampolines_forget(struct systrap_patches *patches);
/* Writes one that nobody has used. Both locks are held, and trampolines_prepare() was successful. */
void trampoline_write(struct systrap_subprocess *subprocess, uint32_t number, const uint8_t *code, size_t length,
                      uint64_t return_ip);
/* A child that does not run has those of its mother. 0 or -ENOMEM. Both locks of the mother are held. */
int trampolines_inherit(struct systrap_subprocess *child, struct systrap_subprocess *mother);

/* By the number of a trampoline, which a guest may have made up: 0, or an address behind a call. Any thread. */
uint64_t trampoline_return_ip(const struct systrap_patches *patches, uint32_t number);

#endif
