/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The file of a descriptor that an operation maps: which it is, and what is in it, as far as nobody has to wait. */
#ifndef CORE_SYSTRAP_PATCHING_FILE_BYTES_H
#define CORE_SYSTRAP_PATCHING_FILE_BYTES_H

#include <stddef.h>

#include "core/systrap/patching/code_files.h"

/* False: it is no regular file's. */
bool file_identity_of(int fd, struct file_identity *identity);
/* False: they are not all in the host's memory, or not there, or may be somebody else's to give. */
bool file_bytes_read(int fd, uint64_t offset, uint8_t *bytes, size_t length);

#endif
