/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The two seccomp programs of a systrap stub. BASE is loaded once, by the
 * first stub process, and every stub inherits it. GUEST is loaded on top by
 * each worker thread before its first guest instruction; of the two answers
 * the kernel takes the stricter. Whatever is not allowed is trapped: SIGSYS,
 * which the backend makes an event of.
 */
#ifndef CORE_SYSTRAP_STUB_FILTERS_H
#define CORE_SYSTRAP_STUB_FILTERS_H

#include <linux/filter.h>
#include <sched.h>
#include <stdint.h>

#include "stub/systrap_protocol.h"

/* All stub memory of a platform lies in one region of this size, aligned to it. */
#define STUB_REGION_SIZE ((uint64_t)SYSTRAP_REGION_SIZE)

/* The two clone(2) calls of stub code; BASE allows exactly these flags. */
/* A new stub process, without an exit signal; the host writes down its number before its mother can end. */
#define SYSTRAP_CLONE_PROCESS_FLAGS (CLONE_PARENT | CLONE_FILES | CLONE_PARENT_SETTID)
#define SYSTRAP_CLONE_WORKER_FLAGS  (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM)

struct stub_filter_layout {
    uint64_t region_start;
    /* Stub code, [text_start, text_end). It ends below the region's last byte. */
    uint64_t text_start;
    uint64_t text_end;
    /* Of the struct sock_fprog of GUEST, in the region; what it says and points at must be read only for guests. */
    uint64_t guest_program;
    /* Of the processors where workers run, read only for guests too. */
    uint64_t cpus;
};

/*
 * Builds both programs. 0 or -errno; -EINVAL: the layout breaks one of the rules
 * above. Free both with free(program->filter); on an error there is nothing to free.
 */
int stub_filters_build(const struct stub_filter_layout *layout, struct sock_fprog *base, struct sock_fprog *guest);

#endif
