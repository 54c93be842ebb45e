/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the library knows of mappings, and what patching follows from it: nobody has to ask the host. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
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

/* For whoever looks at the process when it ends, as a sanitizer does. */
static void come_back_to_proc(void)
{
    CHECK_SYSTEM(umount("/proc"));
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
    come_back_to_proc();
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

/* ---- operations elsewhere ---- */

static uint64_t stops_that_were_no_events(const struct guest *guest)
{
    return platform_stats(guest->platform).spurious_stops;
}

/* What is mapped and unmapped while a call waits has nothing to do with its code: it goes back the short way. */
static void mapped_elsewhere(uint32_t backend)
{
    struct loop loop;

    loop_open(&loop, backend, 0, &patched_patterns[0]);
    for (size_t i = 0; i < PATCHED_PATTERNS; i++) {
        const uint64_t elsewhere = GUEST_HOLE_AT + 0x100000;
        uint64_t before;

        check_context("%s", patched_patterns[i].name);
        loop.pattern = &patched_patterns[i];
        loop.at = GUEST_HOLE_AT + 2 * i * loop.guest.page;
        put_code(&loop.guest, loop.at, loop.pattern->code, PROT_RX);
        loop_start(&loop, i);
        loop_warm(&loop);
        before = stops_that_were_no_events(&loop.guest);
        for (unsigned int calls = 0; calls < MANY_CALLS / 10; calls++) {
            map_pages(loop.guest.subprocess, elsewhere, loop.guest.page, PROT_RW);
            loop_call(&loop);
            CHECK_OK(tg_subprocess_unmap(loop.guest.subprocess, elsewhere, loop.guest.page));
            loop_call(&loop);
        }
        CHECK_EQ(stops_that_were_no_events(&loop.guest), before);
        check_site_is_whole(&loop);
    }
    loop_close(&loop);
}

/* ---- code of a descriptor ---- */

/* Said to be code it is patched in a shared mapping too, and the descriptor keeps its bytes. */
static void shared_code_is_patched(uint32_t backend)
{
    const struct pattern *pattern = find_pattern("libc_wrapper");
    const size_t length = (size_t)(pattern->code.end - pattern->code.start);
    int file = CHECK_SYSTEM(memfd_create("code", MFD_CLOEXEC));
    unsigned char now[256];
    struct loop loop;

    CHECK_SYSTEM(ftruncate(file, GUEST_CODE_SIZE));
    CHECK_EQ(CHECK_SYSTEM(pwrite(file, pattern->code.start, length, 0)), length);
    loop_open(&loop, backend, 0, pattern);
    loop.at = GUEST_HOLE_AT;
    CHECK_OK(tg_subprocess_map(loop.guest.subprocess, loop.at, loop.guest.page, PROT_RX, TG_MAP_SHARED | TG_MAP_CODE,
                               file, 0));
    loop_start(&loop, 3);
    loop_warm(&loop);
    check_site_is_whole(&loop);
    CHECK_EQ(CHECK_SYSTEM(pread(file, now, length, 0)), length);
    CHECK_BYTES(now, pattern->code.start, length);
    loop_close(&loop);
    CHECK_SYSTEM(close(file));
}

/* ---- reading ---- */

/* In any part, across pages of which some are patched and some are not, and up to the first that is not there. */
static void reads_what_was_written(uint32_t backend)
{
    const struct pattern *pattern = find_pattern("mov_eax");
    const size_t length = (size_t)(pattern->code.end - pattern->code.start);
    unsigned char *expected;
    unsigned char *now;
    struct loop loop;
    size_t all;
    size_t done;
    size_t i;

    loop_open(&loop, backend, 0, pattern);
    all = 8 * loop.guest.page;
    expected = calloc(2, all);
    CHECK(expected != NULL);
    now = expected + all;
    map_pages(loop.guest.subprocess, GUEST_HOLE_AT, all, PROT_RW);
    for (i = 0; i < 8; i += 2)
        memcpy(expected + (i + 1) * loop.guest.page - 20, pattern->code.start, length);
    CHECK_OK(tg_subprocess_write(loop.guest.subprocess, GUEST_HOLE_AT, expected, all - length, NULL));
    memset(expected + all - length, 0, length);
    CHECK_OK(tg_subprocess_protect(loop.guest.subprocess, GUEST_HOLE_AT, all, PROT_RX));
    for (i = 0; i < 6; i += 2) {
        loop.at = GUEST_HOLE_AT + (i + 1) * loop.guest.page - 20;
        loop_start(&loop, i);
        loop_warm(&loop);
    }
    CHECK_RESULT(tg_subprocess_read(loop.guest.subprocess, GUEST_HOLE_AT, now, all + 1, &done), -EFAULT);
    CHECK_EQ(done, all);
    CHECK_BYTES(now, expected, all);
    for (i = 0; i + 64 < all; i += 41) {
        CHECK_OK(tg_subprocess_read(loop.guest.subprocess, GUEST_HOLE_AT + i, now, 1 + i % 64, NULL));
        CHECK_BYTES(now, expected + i, 1 + i % 64);
    }
    loop_close(&loop);
    free(expected);
}

/* ---- moving ---- */

static void move_page(const struct guest *guest, uint64_t from, uint64_t to)
{
    const tg_mem_op op = {.size = sizeof(op), .kind = TG_MEM_MOVE, .addr = from, .length = guest->page, .offset = to};

    CHECK_OK(tg_subprocess_apply(guest->subprocess, &op, 1, NULL));
}

static void warm_at(struct loop *loop, uint64_t at, const struct pattern *pattern, uint64_t seed)
{
    loop->at = at;
    loop->pattern = pattern;
    loop_start(loop, seed);
    loop_warm(loop);
}

/* Its bytes are its own again where it goes, and whoever is to go on where it was finds nothing. */
static void moved_code(uint32_t backend)
{
    const uint64_t there = GUEST_HOLE_AT + 0x100000;
    struct loop loop;

    loop_open(&loop, backend, 0, &patched_patterns[0]);
    for (size_t i = 0; i < PATCHED_PATTERNS; i++) {
        const struct pattern *pattern = &patched_patterns[i];
        const struct pattern *other = &patched_patterns[(i + 1) % PATCHED_PATTERNS];

        check_context("%s over %s", pattern->name, other->name);
        put_code(&loop.guest, there, other->code, PROT_RX);
        warm_at(&loop, there, other, i);
        put_code(&loop.guest, GUEST_HOLE_AT, pattern->code, PROT_RX);
        warm_at(&loop, GUEST_HOLE_AT, pattern, i);
        move_page(&loop.guest, GUEST_HOLE_AT, there);
        guest_run(&loop.guest);
        CHECK_FAULT(&loop.guest.event, place(&loop, pattern->behind), TG_ACCESS_EXEC, SIGSEGV, SEGV_MAPERR);
        CHECK(bytes_are_original(&loop.guest, there, pattern->code));
        warm_at(&loop, there, pattern, i + 1);
        check_site_is_whole(&loop);
    }
    loop_close(&loop);
}

const struct test_case patch_map_cases[] = {
    {"patch.without_proc", "Code is patched where there is no /proc", patched_without_proc},
    {"patch.half_protected", "Code whose rights are in doubt after an operation that failed is left alone",
     half_protected},
    {"patch.mapped_elsewhere",
     "A patched call goes back the short way whatever is mapped or unmapped elsewhere meanwhile", mapped_elsewhere},
    {"patch.shared_code", "Code in a shared mapping that is said to be code is patched, and the file keeps its bytes",
     shared_code_is_patched},
    {"patch.read", "The embedder reads patched code as it was written, in any part", reads_what_was_written},
    {"patch.moved", "Code that moves has its own bytes where it goes, and is patched there anew", moved_code},
    {"patch.fork_rights", "Mother and child each know the rights of their own code", forks_know_their_own},
    {0},
};
