/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Arrays of structs whose size the caller states. */
#ifndef ABI_OPTION_ARRAYS_H
#define ABI_OPTION_ARRAYS_H

#include <stddef.h>

struct tg_platform;

/*
 * Copies a caller's array, whose elements are its first one's size apart, into ours of size bytes each. On an error the
 * sentence begins with what and says which element.
 */
int option_array_read(struct tg_platform *platform, const char *what, const void *callers, size_t n, void *copies,
                      size_t size);

#endif
