/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What the arch-neutral tests need to know of a processor; one file for each.
 */
#ifndef TESTS_SUPPORT_ARCH_H
#define TESTS_SUPPORT_ARCH_H

#include <stdbool.h>
#include <stdint.h>

#include <trapgate/trapgate.h>

uint64_t arch_ip(const tg_context *context);
uint64_t arch_sp(const tg_context *context);
void arch_set_ip(tg_context *context, uint64_t ip);

/* The registers that carry system call arguments; guests take their input in them. */
uint64_t arch_argument(const tg_context *context, unsigned int index);
void arch_set_argument(tg_context *context, unsigned int index, uint64_t value);
void arch_set_call_number(tg_context *context, uint64_t number);

/* Asks for a trap after the next instruction, or stops asking. */
void arch_set_step(tg_context *context, bool on);

/* The length of the instruction that makes a system call. */
uint64_t arch_call_length(void);

/* Gives every general register apart from ip, sp and flags a value of its own, derived from the seed. */
void arch_fill_registers(tg_context *context, uint64_t seed);

/* By the names that tests/conformance/rows use; false: there is no such register or feature. */
bool arch_register_get(const tg_context *context, const char *name, uint64_t *value);
bool arch_register_set(tg_context *context, const char *name, uint64_t value);
bool arch_cpu_has(const char *feature, uint64_t *has);

/*
 * The general registers but ip and flags as plain words: to compare before and
 * after. Words that a system call instruction destroys are left out if asked.
 */
#define ARCH_MAX_WORDS 32
unsigned int arch_register_words(const tg_context *context, bool skip_call_clobbered, uint64_t words[ARCH_MAX_WORDS]);

#endif
