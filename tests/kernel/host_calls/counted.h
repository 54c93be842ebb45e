/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Counts what the kernel asks for: calls of the host, copies from and to a
 * guest, operations on its memory, allocations and looks at a clock. The
 * linker puts a counting function in front of each (--wrap, one for each line
 * of wrapped.h), so nothing is traced or filtered, and what the library does
 * inside of its own functions is not counted.
 */
#ifndef TRAPGATE_TESTS_KERNEL_COUNTED_H
#define TRAPGATE_TESTS_KERNEL_COUNTED_H

#include <stddef.h>

/* The calling thread is the one that counts, from 0. */
void counted_start(void);

/* Stops, and writes what was counted: "fstat 1, write 2", in the order in which they came. */
void counted_stop(char *text, size_t capacity);

/* How often one kind was counted. */
unsigned int counted_times(const char *name);

#endif
