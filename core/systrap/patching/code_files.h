/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Where code of files is mapped in a subprocess, as far as it is certain that
 * it is the file's: from a mapping that was made to be read and run until
 * anything else is done there. As many as there is room for, the oldest goes
 * first.
 *
 * Plain data: whoever calls holds the patches' lock.
 */
#ifndef CORE_SYSTRAP_PATCHING_CODE_FILES_H
#define CORE_SYSTRAP_PATCHING_CODE_FILES_H

#include <stdbool.h>
#include <stdint.h>

#define CODE_FILES 64

/* Which file, and in which state. A hint: what bytes it has is looked at. */
struct file_identity {
    uint64_t device;
    uint64_t inode;
    uint64_t size;
    int64_t changed_s; /* when it was, or what is known of it */
    int64_t changed_ns;
};

struct code_file {
    uint64_t start;
    uint64_t end;
    uint64_t offset; /* in the file, of what is at start */
    struct file_identity identity;
    uint32_t learned; /* site_memory_map(): what was known of the file when its sites were patched here */
};

struct code_files {
    struct code_file files[CODE_FILES];
    uint32_t count;
    uint32_t oldest;  /* once there are as many as there can be */
    uint32_t learned; /* site_memory_learned() when they were looked at together */
};

void code_files_add(struct code_files *files, const struct code_file *file);
/* What was in this range is not the file's any more; of a mapping the part in front of it stays. */
void code_files_cut(struct code_files *files, uint64_t start, uint64_t end);
/* The one that holds addr, or NULL. */
struct code_file *code_files_find(struct code_files *files, uint64_t addr);

#endif
