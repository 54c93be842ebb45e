/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Files in memory that the library shares with stubs. */
#ifndef CORE_MEMORY_FILE_H
#define CORE_MEMORY_FILE_H

#include <stdint.h>

/*
 * A descriptor of an empty file of that size, or -errno; -EFBIG: RLIMIT_FSIZE
 * is smaller. *call names what failed.
 */
int memory_file_create(const char *name, uint64_t size, const char **call);
/* A larger size, in which what is new is zero. The same errors. */
int memory_file_grow(int file, uint64_t size);
/*
 * From here on nobody can write(2) to it, make it smaller or map it anew to
 * write, whoever holds a descriptor; mappings that are there stay as they are.
 * 0 or -errno.
 */
int memory_file_seal(int file);

#endif
