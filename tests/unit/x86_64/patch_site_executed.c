/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Whole patched sites, executed beside the unpatched code. */
#include "unit.h"

#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include "patch_site_checks.h"
#include "patch_site_run.h"
#include "patch_site_tests.h"

#define ARITHMETIC_FLAGS 0xcd5 /* and the direction */

static const struct patch_site *running_site;

static void on_redirect(int sig, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    greg_t *rip = &uc->uc_mcontext.gregs[REG_RIP];
    const struct patch_redirect redirect = patch_redirect(running_site, (uint64_t)*rip);
    (void)info;
    switch (redirect.kind) {
    case PATCH_SYSCALL:
        bare_resume = patch_return_ip(running_site);
        *rip = (greg_t)(uintptr_t)bare_syscall;
        break;
    case PATCH_CONTINUE_AT:
        *rip = (greg_t)redirect.addr;
        break;
    default:
        siglongjmp(trapped, sig);
    }
}

static struct machine run(const struct machine *in, const uint8_t *code)
{
    memset(&run_result, 0, sizeof(run_result));
    handle_traps(on_redirect);
    if (sigsetjmp(trapped, 1) == 0)
        run_code(in, code);
    else
        fail_msg("a trap that no patch site explains");
    handle_traps(NULL);
    return run_result;
}

static struct machine random_machine(uint64_t rdi)
{
    struct machine machine;
    uint64_t *reg = &machine.rax;
    for (size_t i = 0; i < sizeof(machine) / sizeof(*reg); i++)
        reg[i] = next_random();
    machine.rdi = rdi;
    machine.r15 = SYS_getpgid;
    machine.flags = 0x202 | (next_random() & ARITHMETIC_FLAGS);
    return machine;
}

static uint8_t *table_page(void)
{
    static uint8_t *page;
    if (!page)
        page = mmap((void *)PATCH_TABLE_START, PAGE, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    return page == (uint8_t *)PATCH_TABLE_START ? page : NULL;
}

struct sequence {
    const char *what;
    enum patch_pattern pattern;
    uint8_t syscall_offset;
    uint8_t length;
    uint8_t bytes[40];
};

#define GETPGID 0xb8, SYS_getpgid, 0, 0, 0

static const struct sequence sequences[] = {
    {"glibc: compare, then branch on it",
     PATCH_AFTER,
     5,
     22,
     {GETPGID, 0x0f, 0x05, CMP_RAX, 0x73, 0x04, 0xff, 0xc3, 0xff, 0xc3, 0x48, 0x19, 0xd2}},
    {"Go: the number comes in a register",
     PATCH_AFTER,
     3,
     17,
     {0x4c, 0x89, 0xf8, 0x0f, 0x05, CMP_RAX, 0x0f, 0x96, 0xc3, 0x48, 0x11, 0xd2}},
    {"two instructions behind", PATCH_AFTER, 5, 12, {GETPGID, 0x0f, 0x05, 0x48, 0x89, 0xc5, 0x85, 0xc0}},
    {"one that reads the flags", PATCH_AFTER, 5, 13, {GETPGID, 0x0f, 0x05, 0x0f, 0x92, 0xc3, 0x83, 0xd2, 0x11}},
    {"mov to eax alone", PATCH_BEFORE_MOV_EAX, 5, 7, {GETPGID, 0x0f, 0x05}},
    {"mov to rax", PATCH_BEFORE_OTHER, 7, 9, {0x48, 0xc7, 0xc0, SYS_getpgid, 0, 0, 0, 0x0f, 0x05}},
    {"mov of 64 bits to rax", PATCH_BEFORE_OTHER, 10, 12, {0x48, 0xb8, SYS_getpgid, 0, 0, 0, 0, 0, 0, 0, 0x0f, 0x05}},
};

/* The sequence in a page of its own, followed by a jump to run_exit; returns its address. */
static uint8_t *place_sequence(const struct sequence *sequence)
{
    static const uint8_t jump[] = {0xff, 0x25, 0, 0, 0, 0};
    const uint64_t target = (uintptr_t)run_exit;
    uint8_t *code = code_page() + 0x100;
    uint8_t *end = code + sequence->length;
    memset(code_page(), FILLER, 2 * PAGE);
    memcpy(code, sequence->bytes, sequence->length);
    memcpy(end, jump, sizeof(jump));
    memcpy(end + sizeof(jump), &target, sizeof(target));
    return code;
}

static void patch_sequence(const struct sequence *sequence, uint8_t *code, struct patch_plan *plan)
{
    uint8_t *trampoline = code_page() + PAGE;
    const uint64_t pointer = (uintptr_t)trampoline;
    const struct patch_request request = {
        .ip = (uintptr_t)code + sequence->syscall_offset + 2,
        .nr = SYS_getpgid,
        .code = code_page(),
        .code_addr = (uintptr_t)code_page(),
        .code_length = PAGE,
        .table_entry = PATCH_TABLE_START + 0x238,
        .trampoline = pointer,
        .entry = (uintptr_t)fake_entry,
    };
    assert_int_equal(patch_plan_make(&request, plan), PATCH_OK);
    assert_int_equal(plan->site.pattern, sequence->pattern);
    memcpy((uint8_t *)(uintptr_t)plan->site.start, plan->replacement, plan->site.length);
    memcpy(trampoline, plan->trampoline, plan->trampoline_length);
    memcpy(table_page() + 0x238, &pointer, sizeof(pointer));
}

static void same_machine(const struct machine *expected, struct machine result, bool scratch_too)
{
    if (!scratch_too) {
        result.rcx = expected->rcx;
        result.r11 = expected->r11;
    }
    assert_memory_equal(&result, expected, sizeof(result));
}

/* Comes in at each instruction of the sequence up to the end of the site, patched and not. */
static void run_sequence(const struct sequence *sequence, uint64_t rdi)
{
    uint8_t *code = place_sequence(sequence);
    struct machine in[sizeof(sequence->bytes)];
    struct machine expected[sizeof(sequence->bytes)];
    bool start[sizeof(sequence->bytes)] = {false};
    const size_t syscall_offset = sequence->syscall_offset;
    struct patch_plan plan;

    for (size_t offset = 0; offset < sequence->length;) {
        start[offset] = true;
        in[offset] = random_machine(rdi);
        if (offset == syscall_offset)
            in[offset].rax = SYS_getpgid;
        expected[offset] = run(&in[offset], code + offset);
        offset += instruction_length(code + offset, 15);
    }
    patch_sequence(sequence, code, &plan);
    running_site = &plan.site;
    for (size_t offset = 0; offset < sequence->length; offset++) {
        const bool calls = offset <= syscall_offset;
        struct machine result;
        if (!start[offset])
            continue;
        entry_rcx = 0;
        result = run(&in[offset], code + offset);
        same_machine(&expected[offset], result, !calls);
        if (code + offset == (uint8_t *)(uintptr_t)plan.site.start) {
            const uint64_t *ip = (const uint64_t *)(uintptr_t)entry_rcx - 1;
            assert_int_equal(entry_rcx, plan.site.trampoline + plan.site.after_offset);
            assert_int_equal(*ip, patch_return_ip(&plan.site));
        }
    }
    running_site = NULL;
}

static void executed_trampolines(void **state)
{
    (void)state;
    static const struct patch_site none;
    if (under_valgrind() || !table_page())
        skip();
    running_site = &none;
    for (size_t i = 0; i < ARRAY_LENGTH(sequences); i++) {
        for (int round = 0; round < 20; round++) {
            run_sequence(&sequences[i], (uint64_t)-1);
            run_sequence(&sequences[i], 0);
        }
    }
}

int test_patches_executed(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(executed_trampolines),
    };

    return cmocka_run_group_tests_name("executed", tests, NULL, NULL);
}
