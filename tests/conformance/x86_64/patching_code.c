/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Patched system calls in code that changes, goes away, is shared or is copied. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "../cases.h"
#include "../queue_drive.h"
#include "patching.h"

/* ---- code in pages of its own ---- */

/* The part of the pattern's code that lies in this page is what it was. */
static void check_original_in_page(const struct loop *loop, uint64_t page)
{
    uint64_t from = page > loop->at ? page : loop->at;
    uint64_t to = loop->at + CODE_LENGTH(loop);
    unsigned char now[256];

    if (to > page + loop->guest.page)
        to = page + loop->guest.page;
    CHECK_OK(tg_subprocess_read(loop->guest.subprocess, from, now, to - from, NULL));
    CHECK_BYTES(now, loop->pattern->code.start + (from - loop->at), to - from);
}

/* The part in this page, written again. */
static void fill_page(const struct loop *loop, uint64_t page)
{
    uint64_t from = page > loop->at ? page : loop->at;
    uint64_t to = loop->at + CODE_LENGTH(loop);

    if (to > page + loop->guest.page)
        to = page + loop->guest.page;
    CHECK_OK(tg_subprocess_write(loop->guest.subprocess, from, loop->pattern->code.start + (from - loop->at), to - from,
                                 NULL));
}

enum change {
    WRITABLE,
    UNMAPPED,
    REPLACED,
    CHANGES,
};

static void change_page(const struct loop *loop, uint64_t page, enum change change)
{
    const struct guest *guest = &loop->guest;

    switch (change) {
    case WRITABLE:
        protect_page(guest, page, PROT_RW);
        break;
    case UNMAPPED:
        CHECK_OK(tg_subprocess_unmap(guest->subprocess, page, guest->page));
        break;
    default:
        map_pages(guest->subprocess, page, guest->page, PROT_RW);
        break;
    }
}

/* The other page has its bytes; the code stops where this one is missed, and runs on when it is back. */
static void change_and_go_on(struct loop *loop, uint64_t page, uint64_t other, enum change change)
{
    const struct guest *guest = &loop->guest;

    loop_warm(loop);
    change_page(loop, page, change);
    check_original_in_page(loop, other);
    if (change == WRITABLE)
        check_original_in_page(loop, page);
    guest_run(&loop->guest);
    CHECK_KIND(&guest->event, TG_EVENT_FAULT);
    CHECK_EQ(guest->event.u.fault.access, TG_ACCESS_EXEC);
    CHECK_EQ(page_down(guest, guest->event.u.fault.addr), page);
    if (change == UNMAPPED)
        map_pages(guest->subprocess, page, guest->page, PROT_RW);
    if (change != WRITABLE)
        fill_page(loop, page);
    protect_page(guest, page, PROT_RX);
    loop_calls(loop, WARM_CALLS);
}

static void at_page_edge(uint32_t backend, const struct pattern *pattern, uint64_t in_first)
{
    const unsigned char *site = pattern->taken == BEFORE ? pattern->start : pattern->call;
    uint64_t offset = (uint64_t)(site - pattern->code.start);
    struct loop loop;
    uint64_t edge;
    int change;

    check_context("%s, %u bytes in the first page", pattern->name, (unsigned int)in_first);
    loop_open(&loop, backend, 0, pattern);
    edge = GUEST_HOLE_AT + loop.guest.page;
    loop.at = edge - offset - in_first;
    put_code(&loop.guest, loop.at, pattern->code, PROT_RX);
    loop_start(&loop, 2);
    for (change = WRITABLE; change < CHANGES; change++) {
        change_and_go_on(&loop, edge, edge - loop.guest.page, (enum change)change);
        change_and_go_on(&loop, edge - loop.guest.page, edge, (enum change)change);
    }
    loop_warm(&loop);
    loop_close(&loop);
}

static void page_edges_work(uint32_t backend)
{
    static const char *const names[] = {"mov_eax", "mov_rax", "movabs", "libc_wrapper", "two_shorts"};
    uint64_t in_first;
    size_t i;

    for (i = 0; i < ARRAY_SIZE(names); i++) {
        for (in_first = 1; in_first < 7; in_first++)
            at_page_edge(backend, find_pattern(names[i]), in_first);
    }
}

/* Its second page is one that may not be changed. */
static void page_edge_is_refused(uint32_t backend)
{
    const struct pattern *pattern = find_pattern("libc_wrapper");
    struct loop loop;
    uint64_t edge;

    loop_open(&loop, backend, 0, pattern);
    edge = GUEST_HOLE_AT + loop.guest.page;
    loop.at = edge - (uint64_t)(pattern->call - pattern->code.start) - 4;
    put_code(&loop.guest, loop.at, pattern->code, PROT_RX);
    protect_page(&loop.guest, edge, PROT_RW | TG_PROT_EXEC);
    loop_start(&loop, 2);
    loop_calls(&loop, MANY_CALLS);
    CHECK(code_is_original(&loop));
    check_refused(&loop.guest, TG_PATCH_REFUSED_PAGE_EDGE);
    loop_close(&loop);
}

/* ---- code that changes ---- */

static void writable_is_original(uint32_t backend)
{
    struct loop loop;
    size_t i;
    int round;

    for (i = 0; i < ARRAY_SIZE(patched_patterns); i++) {
        check_context("%s", patched_patterns[i].name);
        loop_open(&loop, backend, 0, &patched_patterns[i]);
        for (round = 1; round <= 5; round++) {
            loop_warm(&loop);
            if (can_patch(&loop.guest))
                CHECK_EQ(platform_stats(loop.guest.platform).patch_sites, round);
            protect_page(&loop.guest, loop.at, PROT_RW);
            CHECK(code_is_original(&loop));
            protect_page(&loop.guest, loop.at, PROT_RX);
            CHECK(code_is_original(&loop));
        }
        loop_close(&loop);
    }
}

static void check_code_words(const struct guest *guest, const unsigned char *code)
{
    uint64_t words[2];

    memcpy(words, code, sizeof(words));
    CHECK_EQ(guest->event.u.syscall.args[0], words[0]);
    CHECK_EQ(guest->event.u.syscall.args[1], words[1]);
}

/* Made writable and executable at once it is never patched again, and the guest finds its own bytes. */
static void guest_reads_original(uint32_t backend)
{
    struct guest guest;
    bool patched_once;
    int i;

    guest_open(&guest, backend, GUEST_CODE(patch_read_code));
    GUEST_RUN_TO_CALL(&guest);
    check_code_words(&guest, guest_patch_read_code_start);
    for (i = 0; i < WARM_CALLS; i++)
        GUEST_RUN_TO_CALL(&guest);
    patched_once = guest.event.flags & TG_FLAG_PATCHED;
    CHECK_EQ(patched_once, can_patch(&guest));
    protect_page(&guest, GUEST_CODE_AT, PROT_RW | TG_PROT_EXEC);
    for (i = 0; i < MANY_CALLS; i++) {
        GUEST_RUN_TO_CALL(&guest);
        check_code_words(&guest, guest_patch_read_code_start);
        CHECK_EQ(guest.event.flags & TG_FLAG_PATCHED, 0);
    }
    if (can_patch(&guest))
        CHECK_EQ(platform_stats(guest.platform).patch_refusals[TG_PATCH_REFUSED_MAPPING], 1);
    guest_close(&guest);
}

#define JIT_AT     GUEST_HOLE_AT
#define JIT_ROUNDS 150
#define JIT_CALLS  10

/* mov $0,%eax; syscall, and in the second word what goes before a return. */
static void set_jit_template(struct guest *guest, bool behind)
{
    static const unsigned char with_return[16] = {0xb8, 0, 0, 0, 0, 0x0f, 0x05, 0xc3};
    static const unsigned char with_test[16] = {0xb8, 0, 0, 0, 0, 0x0f, 0x05, 0x48, 0x85, 0xc0, 0x48, 0x85, 0xc0, 0xc3};
    tg_regs *regs = tg_context_regs_mut(guest->context);

    memcpy(&regs->r14, behind ? with_test : with_return, 8);
    memcpy(&regs->rbp, (behind ? with_test : with_return) + 8, 8);
}

static void serve_jit_protect(struct guest *guest)
{
    guest_run(guest);
    CHECK_CALL(&guest->event, SYS_mprotect);
    CHECK_EQ(guest->event.u.syscall.args[0], JIT_AT);
    CHECK_OK(tg_subprocess_protect(guest->subprocess, JIT_AT, guest->page, (uint32_t)guest->event.u.syscall.args[2]));
    CHECK_OK(tg_context_set_return(guest->context, 0));
}

/* A guest that writes code, runs it and writes other code to the same place. */
static void guest_rewrites_code(uint32_t backend)
{
    struct guest guest;
    uint64_t round;
    int i;

    guest_open(&guest, backend, GUEST_CODE(patch_jit));
    map_pages(guest.subprocess, JIT_AT, guest.page, PROT_RW);
    tg_context_regs_mut(guest.context)->rbx = JIT_AT;
    tg_context_regs_mut(guest.context)->r12 = 1000;
    set_jit_template(&guest, false);
    for (round = 1; round <= JIT_ROUNDS; round++) {
        serve_jit_protect(&guest);
        for (i = 0; i < JIT_CALLS; i++) {
            guest_run(&guest);
            CHECK_CALL(&guest.event, 1000 + round);
        }
        serve_jit_protect(&guest);
        set_jit_template(&guest, round % 3 == 0);
    }
    /* One each round, apart from those of the guest itself. */
    if (can_patch(&guest))
        CHECK(platform_stats(guest.platform).patch_sites >= JIT_ROUNDS);
    guest_close(&guest);
}

static void rewrite_behind_call(const struct guest *guest, uint32_t value)
{
    const uint64_t immediate = GUEST_PLACE(patch_rewritten, patch_rewritten_behind) + 3;

    protect_page(guest, GUEST_CODE_AT, PROT_RW);
    CHECK_OK(tg_subprocess_write(guest->subprocess, immediate, &value, sizeof(value), NULL));
    protect_page(guest, GUEST_CODE_AT, PROT_RX);
}

/* While the context waits in its call, the code behind it is written anew: that is what runs when it goes on. */
static void rewritten_while_served(uint32_t backend)
{
    uint64_t expected = 0;
    struct guest guest;
    uint32_t value = 0x101;
    int i;

    guest_open(&guest, backend, GUEST_CODE(patch_rewritten));
    tg_context_regs_mut(guest.context)->rbx = GUEST_CALL;
    for (i = 0; i < 60; i++) {
        GUEST_RUN_TO_CALL(&guest);
        CHECK_EQ(tg_context_regs(guest.context)->r15, expected);
        if (i % 10 == 9)
            rewrite_behind_call(&guest, ++value);
        expected += value;
    }
    guest_close(&guest);
}

/* The same before anybody has heard of the call. If the guest is late it may meet the new code before it. */
static void rewritten_before_fetched(uint32_t backend)
{
    uint64_t expected = 0;
    struct guest guest;
    uint32_t value = 0x101;
    uint64_t sum;
    tg_queue *queue;
    int i;

    guest_open(&guest, backend, GUEST_CODE(patch_rewritten));
    tg_context_regs_mut(guest.context)->rbx = GUEST_CALL;
    queue = create_queue(guest.platform);
    for (i = 0; i < 60; i++) {
        CHECK_OK(tg_queue_submit(queue, guest.context, guest.subprocess));
        if (i % 10 == 9) {
            nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
            rewrite_behind_call(&guest, ++value);
        }
        guest.event = wait_one(queue);
        CHECK_CALL(&guest.event, GUEST_CALL);
        sum = tg_context_regs(guest.context)->r15;
        CHECK(sum == expected || (i % 10 == 9 && sum == expected + 1));
        expected = sum + value;
    }
    tg_queue_destroy(queue);
    guest_close(&guest);
}

static void rewritten_during_call(uint32_t backend)
{
    rewritten_while_served(backend);
    rewritten_before_fetched(backend);
}

/* The same with nothing there any more: it faults right behind the call. */
static void gone_during_call(uint32_t backend)
{
    struct loop loop;
    size_t i;

    for (i = 0; i < ARRAY_SIZE(patched_patterns); i++) {
        check_context("%s", patched_patterns[i].name);
        loop_open(&loop, backend, 0, &patched_patterns[i]);
        loop_warm(&loop);
        CHECK_OK(tg_subprocess_unmap(loop.guest.subprocess, loop.at, loop.guest.page));
        guest_run(&loop.guest);
        CHECK_FAULT(&loop.guest.event, place(&loop, patched_patterns[i].behind), TG_ACCESS_EXEC, SIGSEGV, SEGV_MAPERR);
        CHECK_EQ(loop.guest.event.u.fault.ip, place(&loop, patched_patterns[i].behind));
        put_code(&loop.guest, loop.at, patched_patterns[i].code, PROT_RX);
        loop_warm(&loop);
        loop_close(&loop);
    }
}

/* Advice that leaves the bytes alone leaves sites alone. */
static void advice_keeps_sites(uint32_t backend)
{
    static const int advice[] = {MADV_WILLNEED, MADV_NOHUGEPAGE, MADV_HUGEPAGE};
    struct loop loop;
    size_t i;
    size_t j;

    for (i = 0; i < ARRAY_SIZE(patched_patterns); i++) {
        loop_open(&loop, backend, 0, &patched_patterns[i]);
        for (j = 0; j < ARRAY_SIZE(advice); j++) {
            tg_mem_op op = {.size = sizeof(op), .kind = TG_MEM_ADVISE, .addr = loop.at, .advice = advice[j]};

            check_context("%s, advice %d", patched_patterns[i].name, advice[j]);
            op.length = loop.guest.page;
            loop_warm(&loop);
            /* Not every kernel knows the one about huge pages. */
            tg_subprocess_apply(loop.guest.subprocess, &op, 1, NULL);
            check_site_is_whole(&loop);
        }
        loop_close(&loop);
    }
}

/* Operations that fail, or come behind one that fails, change nothing. */
static void failed_operations_keep_sites(uint32_t backend)
{
    struct loop loop;
    size_t done;
    size_t i;

    for (i = 0; i < ARRAY_SIZE(patched_patterns); i++) {
        check_context("%s", patched_patterns[i].name);
        loop_open(&loop, backend, 0, &patched_patterns[i]);
        loop_warm(&loop);
        {
            tg_mem_op ops[] = {
                {.size = sizeof(ops[0]), .kind = TG_MEM_MAP, .addr = loop.at, .length = loop.guest.page, .fd = -1},
                {.size = sizeof(ops[0]), .kind = TG_MEM_UNMAP, .addr = loop.at, .length = loop.guest.page},
            };

            ops[0].flags = TG_MAP_NOREPLACE;
            CHECK_RESULT(tg_subprocess_apply(loop.guest.subprocess, ops, ARRAY_SIZE(ops), &done), -EEXIST);
            CHECK_EQ(done, 0);
        }
        check_site_is_whole(&loop);
        loop_close(&loop);
    }
}

/* Pages that nobody can read for a while: made writable from there, the bytes are the original ones. */
static void unreadable_then_writable(uint32_t backend)
{
    struct loop loop;
    size_t i;

    for (i = 0; i < ARRAY_SIZE(patched_patterns); i++) {
        check_context("%s", patched_patterns[i].name);
        loop_open(&loop, backend, 0, &patched_patterns[i]);
        loop_warm(&loop);
        protect_page(&loop.guest, loop.at, TG_PROT_NONE);
        protect_page(&loop.guest, loop.at, PROT_RW);
        CHECK(code_is_original(&loop));
        protect_page(&loop.guest, loop.at, PROT_RX);
        loop_warm(&loop);
        protect_page(&loop.guest, loop.at, TG_PROT_NONE);
        protect_page(&loop.guest, loop.at, PROT_RX);
        check_site_is_whole(&loop);
        loop_close(&loop);
    }
}

/* ---- mappings that are left alone ---- */

static int code_file(struct guest_code code)
{
    size_t length = (size_t)(code.end - code.start);
    int file = CHECK_SYSTEM(memfd_create("code", MFD_CLOEXEC));

    CHECK_SYSTEM(ftruncate(file, GUEST_CODE_SIZE));
    CHECK_EQ(CHECK_SYSTEM(pwrite(file, code.start, length, 0)), length);
    return file;
}

static void check_file(int file, struct guest_code code)
{
    size_t length = (size_t)(code.end - code.start);
    unsigned char now[256];

    CHECK(length <= sizeof(now));
    CHECK_EQ(CHECK_SYSTEM(pread(file, now, length, 0)), length);
    CHECK_BYTES(now, code.start, length);
}

static void run_in_file(uint32_t backend, const struct pattern *pattern, uint32_t prot, uint32_t flags, bool is_patched)
{
    int file = code_file(pattern->code);
    struct loop loop;

    loop_open(&loop, backend, 0, pattern);
    loop.at = GUEST_HOLE_AT;
    CHECK_OK(tg_subprocess_map(loop.guest.subprocess, loop.at, loop.guest.page, prot, flags, file, 0));
    loop_start(&loop, 3);
    loop_calls(&loop, MANY_CALLS);
    is_patched &= can_patch(&loop.guest);
    CHECK_EQ(last_was_patched(&loop), is_patched);
    CHECK_EQ(code_is_original(&loop), !is_patched);
    check_file(file, pattern->code);
    if (!is_patched)
        check_refused(&loop.guest, TG_PATCH_REFUSED_MAPPING);
    loop_close(&loop);
    check_file(file, pattern->code);
    close(file);
}

static void shared_is_left_alone(uint32_t backend)
{
    size_t i;

    for (i = 0; i < ARRAY_SIZE(patched_patterns); i++) {
        check_context("%s", patched_patterns[i].name);
        run_in_file(backend, &patched_patterns[i], PROT_RX, TG_MAP_SHARED, false);
    }
}

/* Before any other call is patched. In its new mapping it is looked at again. */
static void writable_for_a_while(uint32_t backend, const struct pattern *pattern)
{
    struct loop loop;

    loop_open(&loop, backend, 0, pattern);
    protect_page(&loop.guest, loop.at, PROT_RW | TG_PROT_EXEC);
    loop_calls(&loop, WARM_CALLS);
    CHECK(code_is_original(&loop));
    check_refused(&loop.guest, TG_PATCH_REFUSED_MAPPING);
    protect_page(&loop.guest, loop.at, PROT_RX);
    loop_warm(&loop);
    loop_close(&loop);
}

static void writable_is_left_alone(uint32_t backend)
{
    size_t i;

    for (i = 0; i < ARRAY_SIZE(patched_patterns); i++) {
        check_context("%s", patched_patterns[i].name);
        run_in_file(backend, &patched_patterns[i], PROT_RW | TG_PROT_EXEC, 0, false);
        run_in_file(backend, &patched_patterns[i], PROT_RW | TG_PROT_EXEC, TG_MAP_SHARED, false);
        writable_for_a_while(backend, &patched_patterns[i]);
    }
}

static void private_files_keep_bytes(uint32_t backend)
{
    size_t i;

    for (i = 0; i < ARRAY_SIZE(patched_patterns); i++) {
        check_context("%s", patched_patterns[i].name);
        run_in_file(backend, &patched_patterns[i], PROT_RX, 0, true);
    }
}

/* Patching ends in a subprocess where a context steps. Whatever pages allow by then, they allow afterwards. */
static void turn_off_by_step(const struct guest *guest)
{
    struct guest other = *guest;

    put_code(guest, GUEST_HOLE_AT, GUEST_CODE(steps), PROT_RX);
    other.context = create_context(guest->platform);
    CHECK_OK(tg_context_start(other.context, GUEST_HOLE_AT, GUEST_STACK_TOP));
    arch_set_step(other.context, true);
    guest_run(&other);
    CHECK_EXCEPTION(&other.event, SIGTRAP, TRAP_TRACE);
    tg_context_destroy(other.context);
}

static void turned_off_without_access(uint32_t backend)
{
    static const uint32_t rights[] = {TG_PROT_NONE, TG_PROT_READ, PROT_RX};
    struct loop loop;
    size_t i;

    for (i = 0; i < ARRAY_SIZE(rights); i++) {
        check_context("with rights %u", rights[i]);
        loop_open(&loop, backend, 0, find_pattern("libc_wrapper"));
        if (!(platform_info(loop.guest.platform).capabilities & TG_CAP_SINGLE_STEP))
            SKIP("this backend cannot run single instructions here");
        loop_warm(&loop);
        protect_page(&loop.guest, loop.at, rights[i]);
        turn_off_by_step(&loop.guest);
        if (rights[i] != PROT_RX) {
            arch_set_ip(loop.guest.context, loop.at);
            guest_run(&loop.guest);
            CHECK_FAULT(&loop.guest.event, loop.at, TG_ACCESS_EXEC, SIGSEGV, SEGV_ACCERR);
            protect_page(&loop.guest, loop.at, PROT_RX);
            arch_set_ip(loop.guest.context, place(&loop, loop.pattern->behind));
        }
        CHECK(code_is_original(&loop));
        loop_calls(&loop, MANY_CALLS);
        CHECK(!last_was_patched(&loop));
        CHECK(code_is_original(&loop));
        loop_close(&loop);
    }
}

/* ---- forks ---- */

static void fork_loop(const struct loop *mother, struct loop *child)
{
    *child = *mother;
    CHECK_OK(tg_subprocess_fork(mother->guest.subprocess, &child->guest.subprocess));
    child->guest.context = create_context(mother->guest.platform);
    CHECK_OK(tg_context_copy(child->guest.context, mother->guest.context));
}

static void end_fork(struct loop *child)
{
    tg_context_destroy(child->guest.context);
    tg_subprocess_destroy(child->guest.subprocess);
}

static void check_still_patched(struct loop *loop)
{
    loop_call(loop);
    CHECK_EQ(last_was_patched(loop), can_patch(&loop->guest));
    CHECK_EQ(code_is_original(loop), !can_patch(&loop->guest));
    loop_jump_to_call(loop, 4321);
    loop_jump_behind(loop, 0, 1);
}

/* Each makes its own code writable; the other does not notice. */
static void forks_undo_their_own(uint32_t backend)
{
    struct loop mother;
    struct loop child;
    struct loop grandchild;
    size_t i;

    for (i = 0; i < ARRAY_SIZE(patched_patterns); i++) {
        check_context("%s", patched_patterns[i].name);
        loop_open(&mother, backend, 0, &patched_patterns[i]);
        loop_warm(&mother);
        fork_loop(&mother, &child);
        check_still_patched(&child);
        check_still_patched(&mother);
        fork_loop(&child, &grandchild);
        check_site_is_whole(&child);
        check_still_patched(&mother);
        check_still_patched(&grandchild);
        check_site_is_whole(&mother);
        check_still_patched(&child);
        end_fork(&child);
        check_site_is_whole(&grandchild);
        check_site_is_whole(&mother);
        end_fork(&grandchild);
        loop_close(&mother);
    }
}

static void move_to_other_code(struct loop *loop, const struct pattern *pattern)
{
    loop->pattern = pattern;
    loop->at = GUEST_HOLE_AT;
    put_code(&loop->guest, loop->at, pattern->code, PROT_RX);
    loop_start(loop, 5);
    loop_warm(loop);
}

/* New sites of both, different ones at the same address. */
static void forks_go_their_own_way(uint32_t backend)
{
    struct loop mother;
    struct loop child;

    loop_open(&mother, backend, 0, find_pattern("mov_eax"));
    loop_warm(&mother);
    fork_loop(&mother, &child);
    move_to_other_code(&mother, find_pattern("libc_wrapper"));
    move_to_other_code(&child, find_pattern("movabs"));
    check_still_patched(&mother);
    check_still_patched(&child);
    check_site_is_whole(&mother);
    check_still_patched(&child);
    check_site_is_whole(&child);
    end_fork(&child);
    check_site_is_whole(&mother);
    loop_close(&mother);
}

const struct test_case patch_code_cases[] = {
    {"patch.page_edge", "Sites in two pages work, and lose no byte when one of the pages changes", page_edges_work},
    {"patch.page_edge_refused", "Sites in two pages are left alone when one may not be changed", page_edge_is_refused},
    {"patch.made_writable", "Code that is made writable has its original bytes", writable_is_original},
    {"patch.guest_reads", "A guest finds the original bytes in code that it may write", guest_reads_original},
    {"patch.rewritten", "Code that is rewritten again and again at one address makes the calls it says",
     guest_rewrites_code},
    {"patch.rewritten_during_call", "Code that is rewritten behind a call that is being served runs as rewritten",
     rewritten_during_call},
    {"patch.gone_during_call", "Code that is unmapped under a call that is being served faults right behind it",
     gone_during_call},
    {"patch.advice", "Advice about the memory of code changes nothing", advice_keeps_sites},
    {"patch.failed_operations", "Memory operations that fail change nothing", failed_operations_keep_sites},
    {"patch.no_access", "Code without access rights for a while is what it was", unreadable_then_writable},
    {"patch.turned_off", "When patching ends, pages keep the rights that they have", turned_off_without_access},
    {"patch.shared_mapping", "Code in a shared mapping is never written to", shared_is_left_alone},
    {"patch.writable_mapping", "Nor is code that is writable, for as long as it is", writable_is_left_alone},
    {"patch.private_file", "Code in a private mapping of a file is, and the file keeps its bytes",
     private_files_keep_bytes},
    {"patch.fork", "Mother, child and grandchild go on with patched code, and each undoes its own",
     forks_undo_their_own},
    {"patch.fork_apart", "New sites of mother and child at one address do not mix", forks_go_their_own_way},
    {0},
};
