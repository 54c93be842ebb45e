/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What a platform remembers of system calls in files: from which places many
 * came, in whatever subprocess, and the bytes around those that may be patched
 * for every program that has them. No more than a hint where to look when the
 * file is mapped again.
 *
 * It is bounded. Of files the one goes that has been mapped least, what lies
 * long back counting little; so one guest's many files do not put out the one
 * that all others run. Of a file's sites any may go.
 */
#ifndef CORE_SYSTRAP_PATCHING_SITE_MEMORY_H
#define CORE_SYSTRAP_PATCHING_SITE_MEMORY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

#include "core/systrap/patching/code_files.h"

#define FILES_REMEMBERED 64
#define SITES_REMEMBERED 64 /* of one file */
#define SITES_COUNTED    128
#define CALLS_REMEMBERED 4 /* from one site of a file before it is looked at, without those that were patched */
#define SITE_CODE        96

/* A place in a file from which calls come. */
struct remembered_site {
    uint64_t offset; /* of what is behind the call */
    uint64_t nr;     /* that one of them had */
    uint32_t starts; /* arch_patching.proven_starts() */
    uint32_t length; /* of the code that follows */
    uint8_t code[SITE_CODE];
};

struct remembered_file;

struct site_memory {
    pthread_mutex_t lock; /* what follows; taken last, nothing is locked while it is held */
    struct remembered_file *files[FILES_REMEMBERED];
    uint64_t random;
    _Atomic uint32_t learned; /* read by any thread: a site that it misses is found the next time */
};

void site_memory_init(struct site_memory *memory);
void site_memory_destroy(struct site_memory *memory);

/* One more call from there that was not patched. True: the site is worth a look, until somebody says what it is. */
bool site_memory_count(struct site_memory *memory, const struct file_identity *identity, uint64_t offset);
/* What a look has found; starts is 0: the site is none for others. */
void site_memory_learn(struct site_memory *memory, const struct file_identity *identity,
                       const struct remembered_site *site);
/*
 * The sites in the part of a file that is mapped there, in order, and in
 * file->learned what that is by now. How many, SITES_REMEMBERED at most; 0 too
 * when there are no others than the last time.
 */
size_t site_memory_map(struct site_memory *memory, struct code_file *file, struct remembered_site *sites);
/* Changes whenever a site comes to be remembered. Any thread. */
uint32_t site_memory_learned(const struct site_memory *memory);

#endif
