/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Sites of files that were hot before: noted as calls come, and patched when
 * the file is mapped to be run again, in whatever subprocess. What is
 * remembered says where to look. Whether a site is patched is decided by the
 * bytes that are there then, as for a hot one.
 */
#ifndef CORE_SYSTRAP_PATCHING_REMEMBERED_SITES_H
#define CORE_SYSTRAP_PATCHING_REMEMBERED_SITES_H

#include "core/systrap/patching/site_batch.h"
#include "core/systrap/systrap_types.h"

/* A call that was not patched, the patches' lock is held. True: it is worth remembered_sites_learn(). */
bool remembered_sites_count(struct systrap_subprocess *subprocess, const struct arch_syscall *syscall);
/* Looks at its site for others; order_lock and the patches' lock are held. */
void remembered_sites_learn(struct systrap_subprocess *subprocess, const struct arch_syscall *syscall);

/* Files that an order maps to be run, and what is patched in them by the same order. */
#define FILES_AT_ONCE 4

struct mapped_files {
    struct code_file files[FILES_AT_ONCE];
    uint32_t count;
    struct site_batch batch;
    size_t calls; /* that put the batch; 0: there is none */
};

/*
 * The order has n calls, for these operations; order_lock and the patches' lock
 * are held. Adds those that patch what is remembered of the files, and says how
 * many in mapped->calls.
 */
void remembered_sites_add_calls(struct systrap_subprocess *subprocess, const struct tg_mem_op *ops, size_t n,
                                struct mapped_files *mapped);
/* The host has made, or refused (result), an operation. The same locks. */
void remembered_sites_note_op(struct systrap_subprocess *subprocess, const struct tg_mem_op *op,
                              const struct mapped_files *mapped, int64_t result);
/* Patches what is remembered of files that are mapped, as far as there is news of them. The same locks. */
void remembered_sites_renew(struct systrap_subprocess *subprocess);

#endif
