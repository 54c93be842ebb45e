/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the library knows of mappings, and what patching follows from it: nobody has to ask the host. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include "../cases.h"
#include "patching.h"

/* ---- without /proc ---- */

static void enter_own_mounts(void)
{
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) && unshare(CLONE_NEWNS))
        SKIP("this process gets no mounts of its own: %s", strerror(errno));
    CHECK_SYSTEM(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
}

static void leave_proc(void)
{
    CHECK_SYSTEM(mount("none", "/proc", "tmpfs", 0, NULL));
    CHECK_EQ(access("/proc/self/maps", F_OK), -1);
}

static void patched_without_proc(uint32_t backend)
{
    struct loop loop;
    size_t i;

    enter_own_mounts();
    loop_open(&loop, backend, 0, &patched_patterns[0]);
    leave_proc();
    for (i = 0; i < PATCHED_PATTERNS; i++) {
        check_context("%s", patched_patterns[i].name);
        loop.pattern = &patched_patterns[i];
        loop.at = GUEST_HOLE_AT + 2 * i * loop.guest.page;
        put_code(&loop.guest, loop.at, loop.pattern->code, PROT_RX);
        loop_start(&loop, i);
        loop_warm(&loop);
        check_site_is_whole(&loop);
    }
    loop_close(&loop);
}

/* ---- operations that fail ---- */

/* mprotect(2) changes what comes before a hole: code there may be writable now. */
static void half_protected(uint32_t backend)
{
    struct loop loop;

    loop_open(&loop, backend, 0, find_pattern("libc_wrapper"));
    loop.at = GUEST_HOLE_AT;
    put_code(&loop.guest, loop.at, loop.pattern->code, PROT_RX);
    loop_start(&loop, 1);
    CHECK_RESULT(tg_subprocess_protect(loop.guest.subprocess, loop.at, 2 * loop.guest.page, PROT_RW | TG_PROT_EXEC),
                 -ENOMEM);
    loop_calls(&loop, MANY_CALLS);
    CHECK(!last_was_patched(&loop));
    CHECK(code_is_original(&loop));
    check_refused(&loop.guest, TG_PATCH_REFUSED_MAPPING);
    protect_page(&loop.guest, loop.at, PROT_RX);
    loop_warm(&loop);
    check_site_is_whole(&loop);
    loop_close(&loop);
}

/* A mapping that a child or its mother changes is its own alone. */
static void forks_know_their_own(uint32_t backend)
{
    struct loop mother;
    struct loop child;

    loop_open(&mother, backend, 0, find_pattern("mov_eax"));
    child = mother;
    CHECK_OK(tg_subprocess_fork(mother.guest.subprocess, &child.guest.subprocess));
    child.guest.context = create_context(mother.guest.platform);
    loop_start(&child, 7);
    protect_page(&mother.guest, mother.at, PROT_RW | TG_PROT_EXEC);
    loop_warm(&child);
    loop_calls(&mother, MANY_CALLS);
    CHECK(!last_was_patched(&mother));
    protect_page(&mother.guest, mother.at, PROT_RX);
    protect_page(&child.guest, child.at, PROT_RW | TG_PROT_EXEC);
    loop_warm(&mother);
    loop_calls(&child, MANY_CALLS);
    CHECK(!last_was_patched(&child));
    tg_context_destroy(child.guest.context);
    tg_subprocess_destroy(child.guest.subprocess);
    loop_close(&mother);
}

const struct test_case patch_map_cases[] = {
    {"patch.without_proc", "Code is patched where there is no /proc", patched_without_proc},
    {"patch.half_protected", "Code whose rights are in doubt after an operation that failed is left alone",
     half_protected},
    {"patch.fork_rights", "Mother and child each know the rights of their own code", forks_know_their_own},
    {0},
};
