/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <stddef.h>

#include "core/systrap/patching/code_files.h"

/* One of which nothing is left, or a new one, or the oldest. */
static struct code_file *place_for(struct code_files *files)
{
    for (uint32_t i = 0; i < files->count; i++) {
        if (files->files[i].start == files->files[i].end)
            return &files->files[i];
    }
    if (files->count < CODE_FILES)
        return &files->files[files->count++];
    files->oldest = (files->oldest + 1) % CODE_FILES;
    return &files->files[files->oldest];
}

void code_files_add(struct code_files *files, const struct code_file *file)
{
    *place_for(files) = *file;
}

void code_files_cut(struct code_files *files, uint64_t start, uint64_t end)
{
    for (uint32_t i = 0; i < files->count; i++) {
        struct code_file *file = &files->files[i];

        if (start < file->end && end > file->start)
            file->end = start > file->start ? start : file->start;
    }
}

struct code_file *code_files_find(struct code_files *files, uint64_t addr)
{
    for (uint32_t i = 0; i < files->count; i++) {
        struct code_file *file = &files->files[i];

        if (addr >= file->start && addr < file->end)
            return file;
    }
    return NULL;
}
