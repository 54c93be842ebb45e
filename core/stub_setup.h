/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The steps by which a copy of the embedder becomes a platform's first stub
 * process, and how the embedder learns which of them failed. What the backends
 * map, and where, is their own.
 */
#ifndef CORE_STUB_SETUP_H
#define CORE_STUB_SETUP_H

#include <linux/filter.h>

#include "core/backend.h"

struct stub_setup_progress;

/* A step that backends do each in their own way, in the new process. 0 or -errno. */
typedef int stub_setup_step(const struct tg_platform *platform);
/* An address in the stub's memory. */
typedef uint64_t stub_setup_place(const struct tg_platform *platform);

struct stub_setup {
    struct tg_platform *platform;
    uint64_t flags; /* TG_OPEN_* */
    struct sock_fprog filter;
    stub_setup_step *map;
    stub_setup_step *protect;
    stub_setup_step *install_handlers; /* NULL: it has none */
    stub_setup_step *try_sleep;        /* NULL: its stubs sleep in another way */
    stub_setup_place *vdso_room;       /* for stub_vdso_move() */
    struct stub_setup_progress *progress;
};

/* Makes the memory in which the new process says how far it has come; that unmaps it with the rest. 0 or -errno. */
int stub_setup_open(struct stub_setup *setup, struct open_report *report);
/* Before another try: nothing has failed. */
void stub_setup_reset(const struct stub_setup *setup);
void stub_setup_close(struct stub_setup *setup);

/* In the new process, up to and with its seccomp filter. 0, or what stub_setup_failed() will say. */
int stub_setup_run(const struct stub_setup *setup);

/* The new process has got past all steps: what it has found goes into platform->info. */
void stub_setup_learn(const struct stub_setup *setup);

/* The new process is gone. -errno of the step that failed, which the report names; 0: none did. */
int stub_setup_failed(const struct stub_setup *setup, struct open_report *report);

#endif
