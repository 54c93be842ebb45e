/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Reading and writing structs whose size the caller states, older and newer ones. */
#ifndef ABI_OPTION_STRUCTS_H
#define ABI_OPTION_STRUCTS_H

#include <stddef.h>
#include <stdint.h>

/* Larger than any struct of this library will ever be: a size above is a mistake, not a newer header. */
#define OPTION_STRUCT_MAX 65536

/*
 * Copies a caller's struct of its stated size into ours of known bytes; what it
 * does not have is zero. -EINVAL: a size that cannot be; -E2BIG: bytes that we
 * do not know are not zero.
 */
int option_struct_read(void *ours, size_t known, const void *callers);

/* May a struct of the caller's size be written? The same errors. least: the bytes it must have. */
int option_struct_check(const void *callers, size_t least, size_t known);

/* Copies ours to the caller's; its size field stays, what we do not know becomes zero. */
void option_struct_write(void *callers, const void *ours, size_t known);

#endif
