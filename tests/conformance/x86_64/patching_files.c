/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Code of files: what was hot in one subprocess is patched from the start in the next one that maps the file, and
 * nothing that a guest does to be patched itself changes what others run.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../cases.h"
#include "patching.h"

#define CODE_IN_FILE 256 /* what lies before it is looked at too */
#define FILE_PAGES   2
#define CODE_AT      (GUEST_HOLE_AT + CODE_IN_FILE)
#define NOP          0x90
#define HOT_CALLS    4 /* from a place in a file, in all subprocesses together */

/* ---- files ---- */

static size_t length_of(struct guest_code code)
{
    return (size_t)(code.end - code.start);
}

static void write_file(int file, size_t offset, const void *bytes, size_t length)
{
    CHECK_EQ(CHECK_SYSTEM(pwrite(file, bytes, length, (off_t)offset)), length);
}

/* The code among instructions that do nothing. */
static int open_file(const struct guest *guest, struct guest_code code)
{
    int file = CHECK_SYSTEM(memfd_create("code", MFD_CLOEXEC));
    unsigned char nops[4096];
    size_t i;

    memset(nops, NOP, sizeof(nops));
    for (i = 0; i < FILE_PAGES * guest->page; i += sizeof(nops))
        write_file(file, i, nops, sizeof(nops));
    write_file(file, CODE_IN_FILE, code.start, length_of(code));
    return file;
}

static void map_file(const struct guest *guest, uint64_t at, int file)
{
    CHECK_OK(tg_subprocess_map(guest->subprocess, at, FILE_PAGES * guest->page, PROT_RX, 0, file, 0));
}

/* A subprocess of the same platform that has the file, and a context that runs it. */
static void other_open(struct loop *other, const struct loop *loop, int file)
{
    *other = *loop;
    other->guest.subprocess = create_loaded_subprocess(loop->guest.platform, loop->pattern->code);
    other->guest.context = create_context(loop->guest.platform);
    other->at = CODE_AT;
    map_file(&other->guest, GUEST_HOLE_AT, file);
    loop_start(other, 5);
}

static void other_close(struct loop *other)
{
    tg_context_destroy(other->guest.context);
    tg_subprocess_destroy(other->guest.subprocess);
}

/* A subprocess in which the pattern is hot in a file, which gets it. */
static int open_hot_file(struct loop *loop, uint32_t backend, uint64_t flags, const char *name)
{
    int file;

    loop_open(loop, backend, flags, find_pattern(name));
    file = open_file(&loop->guest, loop->pattern->code);
    loop->at = CODE_AT;
    map_file(&loop->guest, GUEST_HOLE_AT, file);
    loop_start(loop, 3);
    loop_calls(loop, WARM_CALLS);
    return file;
}

static void close_hot_file(struct loop *loop, int file)
{
    loop_close(loop);
    CHECK_SYSTEM(close(file));
}

/* Its first call is patched, or not; what it runs is right in any case. */
static void check_first_call(const struct loop *loop, int file, bool patched)
{
    struct loop other;

    other_open(&other, loop, file);
    loop_call(&other);
    CHECK_EQ(last_was_patched(&other), patched);
    loop_warm(&other);
    check_site_is_whole(&other);
    other_close(&other);
}

/* ---- what is remembered ---- */

static void patched_from_the_start(uint32_t backend)
{
    struct loop loop;
    size_t i;
    int file;

    for (i = 0; i < PATCHED_PATTERNS; i++) {
        check_context("%s", patched_patterns[i].name);
        file = open_hot_file(&loop, backend, 0, patched_patterns[i].name);
        check_first_call(&loop, file, can_patch(&loop.guest));
        check_first_call(&loop, file, can_patch(&loop.guest));
        close_hot_file(&loop, file);
    }
}

/* At another address, and again where it was before. */
static void patched_elsewhere(uint32_t backend)
{
    struct loop loop;
    struct loop other;
    int file = open_hot_file(&loop, backend, 0, "libc_wrapper");
    int i;

    other_open(&other, &loop, file);
    for (i = 0; i < 4; i++) {
        const uint64_t at = GUEST_HOLE_AT + (uint64_t)(i % 2) * 16 * loop.guest.page;

        CHECK_OK(tg_subprocess_unmap(other.guest.subprocess, at, FILE_PAGES * loop.guest.page));
        map_file(&other.guest, at, file);
        other.at = at + CODE_IN_FILE;
        loop_start(&other, 7);
        loop_call(&other);
        CHECK_EQ(last_was_patched(&other), can_patch(&other.guest));
    }
    other_close(&other);
    close_hot_file(&loop, file);
}

/* In one order with the mapping's neighbours; what a later operation of it replaces is not touched. */
static void mapped_with_others(uint32_t backend)
{
    struct loop loop;
    struct loop other;
    int file = open_hot_file(&loop, backend, 0, "libc_wrapper");
    const uint64_t length = FILE_PAGES * loop.guest.page;
    tg_mem_op ops[3] = {
        {.size = sizeof(tg_mem_op),
         .kind = TG_MEM_MAP,
         .addr = GUEST_HOLE_AT + length,
         .length = length,
         .prot = PROT_RX,
         .fd = file},
        {.size = sizeof(tg_mem_op),
         .kind = TG_MEM_MAP,
         .addr = GUEST_HOLE_AT + 2 * length,
         .length = length,
         .prot = PROT_RX,
         .fd = file},
        {.size = sizeof(tg_mem_op),
         .kind = TG_MEM_PROTECT,
         .addr = GUEST_HOLE_AT + length,
         .length = length,
         .prot = TG_PROT_READ,
         .fd = -1},
    };
    size_t done;

    other_open(&other, &loop, file);
    CHECK_OK(tg_subprocess_apply(other.guest.subprocess, ops, ARRAY_SIZE(ops), &done));
    CHECK_EQ(done, ARRAY_SIZE(ops));
    other.at = GUEST_HOLE_AT + length + CODE_IN_FILE;
    CHECK(code_is_original(&other));
    other.at += length;
    loop_start(&other, 7);
    loop_call(&other);
    CHECK_EQ(last_was_patched(&other), can_patch(&other.guest));
    other_close(&other);
    close_hot_file(&loop, file);
}

/* Nobody calls often, but many do once: the mother gets it before her next child. */
static void patched_in_children(uint32_t backend)
{
    struct loop mother;
    struct loop child;
    int file;
    int i;

    loop_open(&mother, backend, 0, find_pattern("libc_inline"));
    file = open_file(&mother.guest, mother.pattern->code);
    mother.at = CODE_AT;
    map_file(&mother.guest, GUEST_HOLE_AT, file);
    for (i = 0; i <= HOT_CALLS; i++) {
        child = mother;
        CHECK_OK(tg_subprocess_fork(mother.guest.subprocess, &child.guest.subprocess));
        child.guest.context = create_context(mother.guest.platform);
        loop_start(&child, 7);
        loop_call(&child);
        CHECK_EQ(last_was_patched(&child), i == HOT_CALLS && can_patch(&mother.guest));
        other_close(&child);
    }
    close_hot_file(&mother, file);
}

/* ---- what is not ---- */

static void not_wanted(uint32_t backend)
{
    struct loop loop;
    struct loop other;
    int file = open_hot_file(&loop, backend, TG_OPEN_NO_PATCHING, "libc_wrapper");

    other_open(&other, &loop, file);
    loop_calls(&other, WARM_CALLS);
    CHECK(!last_was_patched(&other));
    CHECK(code_is_original(&other));
    other_close(&other);
    close_hot_file(&loop, file);
}

/* Other code in its place, whatever the host says of when the file was changed; and only something nearby. */
static void changed_files(uint32_t backend)
{
    const struct pattern *after = find_pattern("two_shorts");
    struct loop loop;
    unsigned char *bytes;
    int file = open_hot_file(&loop, backend, 0, "libc_wrapper");

    bytes = mmap(NULL, FILE_PAGES * loop.guest.page, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    CHECK(bytes != MAP_FAILED);
    bytes[CODE_IN_FILE - 2] = 0xf8; /* clc */
    check_first_call(&loop, file, false);
    bytes[CODE_IN_FILE - 2] = NOP;
    memcpy(bytes + CODE_IN_FILE, after->code.start, length_of(after->code));
    loop.pattern = after;
    check_first_call(&loop, file, false);
    CHECK_SYSTEM(munmap(bytes, FILE_PAGES * loop.guest.page));
    write_file(file, CODE_IN_FILE - 1, "\xf8", 1);
    check_first_call(&loop, file, false);
    close_hot_file(&loop, file);
}

/* The pages are read only where they are changed: an embedder that writes the file later finds it as it was. */
static void files_keep_their_bytes(uint32_t backend)
{
    unsigned char now[256];
    struct loop loop;
    int file = open_hot_file(&loop, backend, 0, "mov_eax");
    const size_t length = length_of(loop.pattern->code);

    check_first_call(&loop, file, can_patch(&loop.guest));
    CHECK(length <= sizeof(now));
    CHECK_EQ(CHECK_SYSTEM(pread(file, now, length, CODE_IN_FILE)), length);
    CHECK_BYTES(now, loop.pattern->code.start, length);
    close_hot_file(&loop, file);
}

/* ---- guests that want others to be patched wrongly ---- */

/* Calls from a place of the code again and again, with a number of its choice. */
static void call_from(struct guest *guest, uint64_t at, int calls)
{
    while (calls-- > 0) {
        tg_regs *regs = tg_context_regs_mut(guest->context);

        regs->rip = at;
        regs->rax = GUEST_CALL;
        GUEST_RUN_TO_CALL(guest);
        CHECK_EQ(guest->event.u.syscall.ip, at + 2);
    }
}

/* The first guest calls from there until it is patched itself; the second one's code is as it was. */
static void patched_for_one_alone(struct guest *guest, uint32_t backend, struct guest_code code, uint64_t call,
                                  int *file)
{
    tg_subprocess *first;

    guest_open(guest, backend, code);
    *file = open_file(guest, code);
    map_file(guest, GUEST_HOLE_AT, *file);
    call_from(guest, CODE_AT + call, WARM_CALLS);
    CHECK_EQ(!!(guest->event.flags & TG_FLAG_PATCHED), can_patch(guest));
    first = guest->subprocess;
    guest->subprocess = create_loaded_subprocess(guest->platform, code);
    map_file(guest, GUEST_HOLE_AT, *file);
    CHECK(bytes_are_original(guest, CODE_AT, code));
    tg_subprocess_destroy(first);
}

static void inner_calls(uint32_t backend)
{
    struct guest guest;
    int file;
    int i;

    patched_for_one_alone(&guest, backend, GUEST_CODE(patch_inner),
                          (uint64_t)(guest_patch_inner_movabs - guest_patch_inner) + 2, &file);
    CHECK_OK(tg_context_start(guest.context, CODE_AT, GUEST_STACK_TOP));
    for (i = 0; i < WARM_CALLS; i++) {
        GUEST_RUN_TO_CALL(&guest);
        CHECK_EQ(guest.event.u.syscall.args[0], 0xfffff0013d48050full);
    }
    guest_close(&guest);
    CHECK_SYSTEM(close(file));
}

static void signal_returns(uint32_t backend)
{
    struct guest guest;
    int file;

    patched_for_one_alone(&guest, backend, GUEST_CODE(patch_restorer),
                          (uint64_t)(guest_patch_restorer_call - guest_patch_restorer), &file);
    guest_close(&guest);
    CHECK_SYSTEM(close(file));
}

/* ---- bounds ---- */

/* More files than are remembered: the one that everybody maps stays. */
static void many_files(uint32_t backend)
{
    const int files = 100;
    struct loop loop;
    struct loop other;
    int common = open_hot_file(&loop, backend, 0, "libc_wrapper");
    int i;

    check_first_call(&loop, common, can_patch(&loop.guest));
    check_first_call(&loop, common, can_patch(&loop.guest));
    other_open(&other, &loop, common);
    for (i = 0; i < files; i++) {
        int file = open_file(&other.guest, loop.pattern->code);

        map_file(&other.guest, GUEST_HOLE_AT, file);
        loop_start(&other, 5);
        loop_calls(&other, HOT_CALLS);
        CHECK_SYSTEM(close(file));
    }
    other_close(&other);
    check_first_call(&loop, common, can_patch(&loop.guest));
    close_hot_file(&loop, common);
}

#define SITES      200
#define SITE_BYTES 16
#define SITES_MOST 64 /* of a file that are remembered */

/* A file full of calls: no more of them are patched when it is mapped than are remembered of one file. */
static void many_sites(uint32_t backend)
{
    static const unsigned char site[SITE_BYTES] = {0xb8, GUEST_CALL, 0,    0,    0,    0x0f, 0x05, 0x48,
                                                   0x85, 0xc0,       0x48, 0x85, 0xc0, 0x90, 0x90, 0x90};
    unsigned char sites[SITES * SITE_BYTES];
    const struct guest_code code = {sites, sites + sizeof(sites)};
    uint64_t before;
    struct guest guest;
    int file;
    int i;

    for (i = 0; i < SITES; i++)
        memcpy(sites + (size_t)i * SITE_BYTES, site, SITE_BYTES);
    guest_open(&guest, backend, GUEST_CODE(patch_restorer));
    file = open_file(&guest, code);
    map_file(&guest, GUEST_HOLE_AT, file);
    for (i = 0; i < SITES; i++)
        call_from(&guest, CODE_AT + (uint64_t)i * SITE_BYTES + 5, HOT_CALLS);
    before = platform_stats(guest.platform).patch_sites;
    map_file(&guest, GUEST_HOLE_AT + 16 * guest.page, file);
    if (can_patch(&guest)) {
        const uint64_t put = platform_stats(guest.platform).patch_sites - before;

        CHECK(put > SITES_MOST / 2 && put <= SITES_MOST);
    }
    for (i = 0; i < SITES; i++)
        call_from(&guest, CODE_AT + 16 * guest.page + (uint64_t)i * SITE_BYTES + 5, 1);
    guest_close(&guest);
    CHECK_SYSTEM(close(file));
}

const struct test_case patch_file_cases[] = {
    {"patch.file_remembered", "Calls that were hot in a file are patched from the start in the next subprocess",
     patched_from_the_start},
    {"patch.file_elsewhere", "Wherever the file is mapped, and however often", patched_elsewhere},
    {"patch.file_with_others", "Also together with other operations, but for what one of these changes",
     mapped_with_others},
    {"patch.file_children", "What many children call once each is patched in those that come later",
     patched_in_children},
    {"patch.file_not_wanted", "With TG_OPEN_NO_PATCHING nothing of a file is remembered", not_wanted},
    {"patch.file_changed", "What is not as it was in a file is not patched until it is hot there", changed_files},
    {"patch.file_keeps_bytes", "The file keeps its bytes", files_keep_their_bytes},
    {"patch.file_inner_calls", "A guest that calls from inside an instruction of a file has nobody else patched there",
     inner_calls},
    {"patch.file_signal_return", "Nor has one that makes another call from where signals return", signal_returns},
    {"patch.file_many", "A file that is mapped often is remembered beside many others", many_files},
    {"patch.file_many_sites", "A mapping patches no more sites than are remembered of a file", many_sites},
    {0},
};
