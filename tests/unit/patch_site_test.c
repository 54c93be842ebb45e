/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Plans for patched `syscall` instructions, checked byte by byte, decoded and
 * executed. With `--report FILE...` prints what the planner makes of programs.
 */
#include "unit.h"

#include <Zydis/Zydis.h>
#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/ucontext.h>
#include <unistd.h>

#include "arch/x86_64/patch_site.h"

#define SITE                0x401100ull /* the syscall of most tests */
#define TABLE_ENTRY         0x00061238ull
#define TRAMPOLINE          0x7f1234567000ull
#define ENTRY               0x7f1234560040ull
#define NR                  39
#define FILLER              0x90
#define MARGIN              32 /* filler on either side */
#define PAGE                4096
#define NO_NR               (~0ull)
#define BYTES(...)          (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})
#define NO_BYTES            (const uint8_t *)"", 0
#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))

#define MOV_EAX 0xb8, NR, 0, 0, 0                  /* mov $39,%eax */
#define MOV_RAX 0x48, 0xc7, 0xc0, NR, 0, 0, 0      /* mov $39,%rax */
#define CMP_RAX 0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff /* cmp $-4095,%rax */
#define RET     0xc3

/* A window: filler, the bytes before, a syscall at SITE, the bytes behind it, filler. */
struct code {
    uint8_t bytes[160];
    size_t length;
    uint64_t addr;
};

static struct code make_code(const uint8_t *before, size_t before_length, const uint8_t *after, size_t after_length)
{
    struct code code;
    const size_t at = MARGIN + before_length;
    memset(code.bytes, FILLER, sizeof(code.bytes));
    memcpy(code.bytes + MARGIN, before, before_length);
    memcpy(code.bytes + at, "\x0f\x05", 2);
    memcpy(code.bytes + at + 2, after, after_length);
    code.length = at + 2 + after_length + MARGIN;
    code.addr = SITE - at;
    return code;
}

static struct patch_request request_for(const struct code *code, uint64_t nr)
{
    return (struct patch_request){
        .ip = SITE + 2,
        .nr = nr,
        .code = code->bytes,
        .code_addr = code->addr,
        .code_length = code->length,
        .table_entry = TABLE_ENTRY,
        .trampoline = TRAMPOLINE,
        .entry = ENTRY,
    };
}

static struct patch_plan plan_of(const struct code *code, uint64_t nr)
{
    const struct patch_request request = request_for(code, nr);
    struct patch_plan plan;
    patch_plan_make(&request, &plan);
    /* Why what is behind the call does not do says more. */
    assert_int_not_equal(plan.refusal, PATCH_REFUSED_NO_MOV);
    return plan;
}

/* Execution: small pieces of code in a page that may be written and run. */

static sigjmp_buf trapped;
static volatile uintptr_t trap_ip;
static volatile bool trap_in_first_page;

static void on_trap(int sig, siginfo_t *info, void *context)
{
    const ucontext_t *uc = context;
    trap_in_first_page = sig == SIGSEGV && info->si_code == SEGV_MAPERR && (uintptr_t)info->si_addr < PAGE;
    trap_ip = (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
    siglongjmp(trapped, sig);
}

static void handle_traps(void (*handler)(int, siginfo_t *, void *))
{
    static const int signals[] = {SIGILL, SIGSEGV, SIGBUS, SIGTRAP};
    static uint8_t stack[64 * 1024];
    const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK};
    if (handler)
        action.sa_sigaction = handler;
    else
        action.sa_handler = SIG_DFL;
    assert_int_equal(sigaltstack(&alternate, NULL), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(signals); i++)
        assert_int_equal(sigaction(signals[i], &action, NULL), 0);
}

static uint8_t *code_page(void)
{
    static uint8_t *page;
    if (!page) {
        page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_ptr_not_equal(page, MAP_FAILED);
    }
    return page;
}

static void call(const uint8_t *code)
{
    __asm__ volatile("lea -128(%%rsp), %%rsp\n\t"
                     "call *%0\n\t"
                     "lea 128(%%rsp), %%rsp"
                     :
                     : "r"(code)
                     : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");
}

/* The signal that arriving at code[offset] raises there, 0 if it gets further. */
static int trap_at(const uint8_t *code, size_t length, size_t offset)
{
    uint8_t *page = code_page();
    int sig;
    memset(page, 0xcc, 2 * PAGE);
    memcpy(page + PAGE, code, length);
    handle_traps(on_trap);
    sig = sigsetjmp(trapped, 1);
    if (!sig)
        call(page + PAGE + offset);
    handle_traps(NULL);
    return sig && trap_ip == (uintptr_t)(page + PAGE + offset) ? sig : 0;
}

static bool traps(const uint8_t *code, size_t length, size_t offset)
{
    const int sig = trap_at(code, length, offset);
    return sig == SIGILL || sig == SIGSEGV;
}

/* valgrind executes neither `in` nor invalid instructions as the processor does. */
static bool under_valgrind(void)
{
    const char *preload = getenv("LD_PRELOAD");
    return preload && strstr(preload, "vgpreload");
}

/* What every accepted plan must be like */

static const ZydisDecoder *decoder(void)
{
    static ZydisDecoder decoder;
    assert_true(ZYAN_SUCCESS(ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)));
    return &decoder;
}

static size_t instruction_length(const uint8_t *code, size_t length)
{
    ZydisDecodedInstruction instruction;
    const ZyanStatus status = ZydisDecoderDecodeInstruction(decoder(), NULL, code, length, &instruction);
    return ZYAN_SUCCESS(status) ? instruction.length : 0;
}

static uint64_t load64(const uint8_t *from)
{
    uint64_t value;
    memcpy(&value, from, sizeof(value));
    return value;
}

/* One `jmp *entry` through an absolute address, and nothing but traps behind it. */
static void check_jump(const struct patch_plan *plan, uint64_t table_entry)
{
    ZydisDecodedInstruction instruction;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    assert_true(
        ZYAN_SUCCESS(ZydisDecoderDecodeFull(decoder(), plan->replacement, plan->site.length, &instruction, operands)));
    assert_int_equal(instruction.mnemonic, ZYDIS_MNEMONIC_JMP);
    assert_int_equal(instruction.length, PATCH_JUMP_LENGTH);
    assert_int_equal(instruction.raw.prefix_count, 0);
    assert_int_equal(operands[0].type, ZYDIS_OPERAND_TYPE_MEMORY);
    assert_int_equal(operands[0].size, 64);
    assert_int_equal(operands[0].mem.base, ZYDIS_REGISTER_NONE);
    assert_int_equal(operands[0].mem.index, ZYDIS_REGISTER_NONE);
    assert_int_equal((uint64_t)operands[0].mem.disp.value, table_entry);
    assert_in_range(plan->site.length, PATCH_JUMP_LENGTH, PATCH_SITE_MAX);
    for (size_t i = PATCH_JUMP_LENGTH; i < plan->site.length; i++)
        assert_int_equal(plan->replacement[i], 0xcc);
}

/* The instruction at *offset of the trampoline must be opcode + displacement to a quad or place; says to which. */
static size_t check_rip_relative(const struct patch_plan *plan, size_t *offset, const uint8_t *opcode, size_t length)
{
    uint32_t displacement;
    size_t target;
    assert_memory_equal(plan->trampoline + *offset, opcode, length);
    assert_int_equal(instruction_length(plan->trampoline + *offset, 15), length + 4);
    memcpy(&displacement, plan->trampoline + *offset + length, sizeof(displacement));
    *offset += length + 4;
    target = *offset + displacement;
    assert_in_range(target, *offset, plan->trampoline_length - 8);
    assert_int_equal(target % 8, 0);
    return target;
}

static void check_trampoline(const struct patch_plan *plan, const struct patch_request *request)
{
    const struct patch_site *site = &plan->site;
    const bool after = site->pattern == PATCH_AFTER;
    const size_t syscall_offset = after ? 0 : site->before_length;
    size_t offset = 0;
    size_t target;

    assert_in_range(plan->trampoline_length, 1, PATCH_TRAMPOLINE_MAX);
    assert_int_equal(site->trampoline, request->trampoline);
    assert_int_equal(after ? site->before_length : site->after_length, 0);
    assert_memory_equal(plan->trampoline, plan->original, site->before_length);
    offset += site->before_length;
    target = check_rip_relative(plan, &offset, (const uint8_t[]){0x48, 0x8d, 0x0d}, 3);
    assert_int_equal(target, site->after_offset);
    target = check_rip_relative(plan, &offset, (const uint8_t[]){0xff, 0x25}, 2);
    assert_int_equal(load64(plan->trampoline + target), request->entry);
    for (; offset < target; offset++)
        assert_int_equal(plan->trampoline[offset], 0xcc);
    assert_int_equal(target + 16, site->after_offset);
    assert_int_equal(load64(plan->trampoline + site->after_offset - 8), request->ip);
    assert_int_equal(site->start + syscall_offset + 2, request->ip);

    offset = site->after_offset;
    assert_memory_equal(plan->trampoline + offset, plan->original + 2, site->after_length);
    offset += site->after_length;
    target = check_rip_relative(plan, &offset, (const uint8_t[]){0xff, 0x25}, 2);
    assert_int_equal(load64(plan->trampoline + target), request->ip + site->after_length);
    assert_int_equal(plan->trampoline_length, target + 8);
}

/* The instructions that were displaced start where the site says, and what comes to them is led on. */
static void check_arrivals(const struct patch_plan *plan)
{
    const struct patch_site *site = &plan->site;
    const size_t length = site->length;
    size_t offset = 0;
    unsigned int expected = 0;

    while (offset < length) {
        const struct patch_redirect redirect = patch_redirect(site, site->start + offset);
        const size_t step = instruction_length(plan->original + offset, PATCH_SITE_MAX - offset);
        assert_int_not_equal(step, 0);
        if (!offset) {
            assert_int_equal(redirect.kind, PATCH_NOT_OURS);
        } else {
            assert_true(under_valgrind() || traps(plan->replacement, length, offset));
            if (site->pattern == PATCH_AFTER) {
                expected |= 1u << offset;
                assert_int_equal(redirect.kind, PATCH_CONTINUE_AT);
                assert_memory_equal(plan->trampoline + (redirect.addr - site->trampoline), plan->original + offset,
                                    step);
                assert_int_equal(patch_original_ip(site, redirect.addr - site->trampoline), site->start + offset);
            } else {
                assert_int_equal(redirect.kind, PATCH_SYSCALL);
                assert_int_equal(site->start + offset, patch_syscall_ip(site));
            }
        }
        offset += step;
    }
    /* Nothing is cut in two. */
    assert_int_equal(offset, length);
    assert_int_equal(site->boundaries, expected);
    assert_int_equal(patch_redirect(site, site->start + length).kind, PATCH_NOT_OURS);
    assert_int_equal(patch_redirect(site, site->start - 1).kind, PATCH_NOT_OURS);
}

static void check_plan(const struct patch_plan *plan, const struct patch_request *request)
{
    const struct patch_site *site = &plan->site;
    assert_int_equal(plan->refusal, PATCH_OK);
    assert_memory_equal(plan->original, request->code + (site->start - request->code_addr), site->length);
    check_jump(plan, request->table_entry);
    check_trampoline(plan, request);
    check_arrivals(plan);
}

static struct patch_plan accepted(const struct code *code, uint64_t nr, enum patch_pattern pattern)
{
    const struct patch_request request = request_for(code, nr);
    struct patch_plan plan;
    assert_int_equal(patch_plan_make(&request, &plan), PATCH_OK);
    assert_int_equal(plan.site.pattern, pattern);
    check_plan(&plan, &request);
    return plan;
}

static void after_a_syscall(void **state)
{
    (void)state;
    static const uint8_t jump[] = {0xff, 0x24, 0xe5, 0x38, 0x12, 0x06, 0x00, 0xcc};
    static const uint8_t frame[] = {
        0x48,    0x8d, 0x0d, 0x19, 0,    0,    0,    /* lea 0x20(start),%rcx */
        0xff,    0x25, 0x03, 0,    0,    0,          /* jmp *0x10(start) */
        0xcc,    0xcc, 0xcc,                         /* */
        0x40,    0x00, 0x56, 0x34, 0x12, 0x7f, 0, 0, /* entry */
        0x02,    0x11, 0x40, 0x00, 0,    0,    0, 0, /* behind the syscall */
        CMP_RAX,                                     /* after */
        0xff,    0x25, 0x04, 0,    0,    0,          /* jmp *0x30(start) */
        0xcc,    0xcc, 0xcc, 0xcc,                   /* */
        0x08,    0x11, 0x40, 0x00, 0,    0,    0, 0, /* behind the comparison */
    };
    const struct code code = make_code(BYTES(MOV_EAX), BYTES(CMP_RAX));
    const struct patch_plan plan = accepted(&code, NR, PATCH_AFTER);
    assert_int_equal(plan.site.start, SITE);
    assert_int_equal(plan.site.length, sizeof(jump));
    assert_memory_equal(plan.replacement, jump, sizeof(jump));
    assert_int_equal(plan.trampoline_length, sizeof(frame));
    assert_memory_equal(plan.trampoline, frame, sizeof(frame));
    assert_int_equal(plan.aligned_block, 8);
    assert_int_equal(patch_redirect(&plan.site, SITE + 2).addr, TRAMPOLINE + 0x20);
    for (size_t i = 0; i < 0x20; i++)
        assert_int_equal(patch_original_ip(&plan.site, i), SITE);
    for (size_t i = 0x20; i < 0x26; i++)
        assert_int_equal(patch_original_ip(&plan.site, i), SITE + 2);
    assert_int_equal(patch_original_ip(&plan.site, 0x26), SITE + 8);
    for (int i = -300; i < 300; i++)
        assert_int_equal(patch_redirect(&plan.site, SITE + (uint64_t)i).kind,
                         i == 2 ? PATCH_CONTINUE_AT : PATCH_NOT_OURS);
    assert_true(under_valgrind() || trap_at(plan.replacement, plan.site.length, 2) == SIGSEGV);
    /* The number is of no interest here. */
    accepted(&code, NO_NR, PATCH_AFTER);
}

static void mov_to_eax(void **state)
{
    (void)state;
    static const uint8_t jump[] = {0xff, 0x24, 0x25, 0x38, 0x12, 0x06, 0x00};
    const struct code code = make_code(BYTES(MOV_EAX), BYTES(RET));
    const struct patch_plan plan = accepted(&code, NR, PATCH_BEFORE_MOV_EAX);
    assert_int_equal(plan.site.start, SITE - 5);
    assert_int_equal(plan.site.length, sizeof(jump));
    assert_memory_equal(plan.replacement, jump, sizeof(jump));
    assert_true(under_valgrind() || trap_at(plan.replacement, plan.site.length, 5) == SIGILL);
    assert_int_equal(plan.site.before_length, 5);
    assert_int_equal(plan.site.after_offset, 0x28);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(patch_original_ip(&plan.site, i), SITE - 5);
    for (size_t i = 5; i < 0x28; i++)
        assert_int_equal(patch_original_ip(&plan.site, i), SITE);
    assert_int_equal(patch_original_ip(&plan.site, 0x28), SITE + 2);
    for (int i = -300; i < 300; i++)
        assert_int_equal(patch_redirect(&plan.site, SITE - 5 + (uint64_t)i).kind,
                         i == 5 ? PATCH_SYSCALL : PATCH_NOT_OURS);
    assert_int_equal(patch_return_ip(&plan.site), SITE + 2);
}

/* Long enough for the jump alone: the syscall stays, so that arriving there is an ordinary call. */
static void longer_movs(void **state)
{
    (void)state;
    const struct code rax = make_code(BYTES(MOV_RAX), BYTES(RET));
    const struct code negative = make_code(BYTES(0x48, 0xc7, 0xc0, 0xfe, 0xff, 0xff, 0xff), BYTES(RET));
    const struct code movabs = make_code(BYTES(0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8), BYTES(RET));
    struct patch_plan plan = accepted(&rax, NR, PATCH_BEFORE_OTHER);
    assert_int_equal(plan.site.start, SITE - 7);
    assert_int_equal(plan.site.length, 7);
    assert_int_equal(patch_redirect(&plan.site, SITE).kind, PATCH_NOT_OURS);
    assert_int_equal(patch_original_ip(&plan.site, 7), SITE);
    assert_int_equal(patch_original_ip(&plan.site, plan.site.after_offset), SITE + 2);
    plan = accepted(&negative, (uint64_t)-2, PATCH_BEFORE_OTHER);
    assert_int_equal(plan.site.start, SITE - 7);
    plan = accepted(&movabs, 0x0807060504030201, PATCH_BEFORE_OTHER);
    assert_int_equal(plan.site.start, SITE - 10);
    assert_int_equal(plan.site.length, 10);
}

/* The number that was seen must be what the instruction sets, in all 64 bits. */
static void other_numbers(void **state)
{
    (void)state;
    const struct code eax = make_code(BYTES(MOV_EAX), BYTES(RET));
    const struct code rax = make_code(BYTES(MOV_RAX), BYTES(RET));
    const struct code minus = make_code(BYTES(0xb8, 0xff, 0xff, 0xff, 0xff), BYTES(RET));
    assert_int_equal(plan_of(&eax, NR + 1).refusal_before, PATCH_REFUSED_NO_MOV);
    assert_int_equal(plan_of(&eax, NR + (1ull << 32)).refusal_before, PATCH_REFUSED_NO_MOV);
    assert_int_equal(plan_of(&rax, NR + (1ull << 32)).refusal_before, PATCH_REFUSED_NO_MOV);
    assert_int_equal(plan_of(&rax, NR | (1ull << 63)).refusal_before, PATCH_REFUSED_NO_MOV);
    assert_int_equal(plan_of(&minus, NO_NR).refusal_before, PATCH_REFUSED_NO_MOV);
    accepted(&minus, 0xffffffff, PATCH_BEFORE_MOV_EAX);
}

/* Several short instructions: each must start at a byte of the jump that traps. */
static void several_behind(void **state)
{
    (void)state;
    /* mov %rax,%rbp; test %eax,%eax: the second is met by 06 or 07. */
    const struct code at_5 = make_code(NO_BYTES, BYTES(0x48, 0x89, 0xc5, 0x85, 0xc0));
    const struct code at_4 = make_code(NO_BYTES, BYTES(0x89, 0xc2, 0x48, 0xf7, 0xda));
    const struct code at_6 = make_code(NO_BYTES, BYTES(0x48, 0x83, 0xf8, 0xff, 0x89, 0xc2, 0x90));
    struct patch_request request = request_for(&at_4, NO_NR);
    struct patch_plan plan = accepted(&at_5, NO_NR, PATCH_AFTER);
    assert_int_equal(plan.site.length, 7);
    assert_int_equal(plan.site.boundaries, 1 << 2 | 1 << 5);
    assert_int_equal(patch_redirect(&plan.site, SITE + 5).addr, TRAMPOLINE + 0x23);
    assert_int_equal(patch_original_ip(&plan.site, 0x22), SITE + 2);
    assert_int_equal(patch_original_ip(&plan.site, 0x23), SITE + 5);
    assert_int_equal(patch_original_ip(&plan.site, 0x24), SITE + 5);
    assert_int_equal(patch_original_ip(&plan.site, 0x25), SITE + 7);
    assert_int_equal(plan_of(&at_6, NO_NR).refusal, PATCH_REFUSED_NO_ROOM);
    /* The fifth byte is the second of the table entry's address. */
    request.table_entry = 0x00061238;
    assert_int_equal(patch_plan_make(&request, &plan), PATCH_REFUSED_NO_ROOM);
    request.table_entry = 0x00060638;
    assert_int_equal(patch_plan_make(&request, &plan), PATCH_OK);
    assert_int_equal(plan.site.boundaries, 1 << 2 | 1 << 4);
    check_plan(&plan, &request);
}

/* For any value of the two free bytes: what is taken for a trap is one, whatever follows. */
static void every_trap_byte(void **state)
{
    (void)state;
    const struct code at_4 = make_code(NO_BYTES, BYTES(0x89, 0xc2, 0x48, 0x3d, 1, 2, 3, 4));
    const struct code at_3 = make_code(NO_BYTES, BYTES(0x90, 0x48, 0x3d, 1, 2, 3, 4));
    unsigned int found = 0;
    for (uint32_t entry = PATCH_TABLE_START; entry < PATCH_TABLE_END; entry += 0x100) {
        struct patch_request request = request_for(&at_4, NO_NR);
        struct patch_plan plan;
        request.table_entry = entry | (entry >> 8 & 0xf8);
        if (patch_plan_make(&request, &plan) == PATCH_OK) {
            found++;
            check_plan(&plan, &request);
        }
        request = request_for(&at_3, NO_NR);
        request.table_entry = entry | (entry >> 8 & 0xf8);
        if (patch_plan_make(&request, &plan) == PATCH_OK)
            check_plan(&plan, &request);
    }
    assert_int_equal(found, 2 * 23);
}

struct neighbour_case {
    const char *what;
    enum patch_refusal refusal;
    uint8_t bytes[16];
};

static const struct neighbour_case neighbours[] = {
    {"cmp $-4095,%rax", PATCH_OK, {CMP_RAX}},
    {"cmp $imm32,%eax", PATCH_OK, {0x3d, 0, 0xf0, 0xff, 0xff}},
    {"mov $imm32,%ecx", PATCH_OK, {0xb9, 1, 2, 3, 4}},
    {"mov $imm64,%r11", PATCH_OK, {0x49, 0xbb, 1, 2, 3, 4, 5, 6, 7, 8}},
    {"lea 0x100(%rsp,%rax),%rdi", PATCH_OK, {0x48, 0x8d, 0xbc, 0x04, 0, 1, 0, 0}},
    {"nopl 0x0(%rax)", PATCH_OK, {0x0f, 0x1f, 0x80, 0, 0, 0, 0}},
    {"nopw %cs:0x0(%rax,%rax)", PATCH_OK, {0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0}},
    {"ret", PATCH_REFUSED_RELATIVE, {RET}},
    {"jmp rel32", PATCH_REFUSED_RELATIVE, {0xe9, 1, 2, 3, 4}},
    {"jae rel32", PATCH_REFUSED_RELATIVE, {0x0f, 0x83, 1, 2, 3, 4}},
    {"call rel32", PATCH_REFUSED_RELATIVE, {0xe8, 1, 2, 3, 4}},
    {"call *0x100(%rax)", PATCH_REFUSED_RELATIVE, {0xff, 0x90, 0, 1, 0, 0}},
    {"xbegin", PATCH_REFUSED_RELATIVE, {0xc7, 0xf8, 1, 2, 3, 4}},
    {"int3", PATCH_REFUSED_RELATIVE, {0xcc}},
    {"int $0x80", PATCH_REFUSED_RELATIVE, {0xcd, 0x80}},
    {"syscall", PATCH_REFUSED_RELATIVE, {0x0f, 0x05}},
    {"sysenter", PATCH_REFUSED_RELATIVE, {0x0f, 0x34}},
    {"lea 0x100(%rip),%rax", PATCH_REFUSED_RELATIVE, {0x48, 0x8d, 0x05, 0, 1, 0, 0}},
    {"mov 0x100(%rip),%rax", PATCH_REFUSED_RELATIVE, {0x48, 0x8b, 0x05, 0, 1, 0, 0}},
    {"cmpl $0,0x100(%eip)", PATCH_REFUSED_RELATIVE, {0x67, 0x83, 0x3d, 0, 1, 0, 0, 0}},
    {"mov 0x100(%rsp),%rax", PATCH_OK, {0x48, 0x8b, 0x84, 0x24, 0, 1, 0, 0}},
    {"mov %eax,%fs:0x10", PATCH_OK, {0x64, 0x89, 0x04, 0x25, 0x10, 0, 0, 0}},
    {"testb $1,0x100(%rbx)", PATCH_OK, {0xf6, 0x83, 0, 1, 0, 0, 1}},
    {"mov %gs:0x10,%eax", PATCH_REFUSED_MEMORY, {0x65, 0x8b, 0x04, 0x25, 0x10, 0, 0, 0}},
    {"mov 0x100(%rcx),%rax", PATCH_REFUSED_REGISTER, {0x48, 0x8b, 0x81, 0, 1, 0, 0}},
    {"mov %r11,0x100(%rax)", PATCH_REFUSED_REGISTER, {0x4c, 0x89, 0x98, 0, 1, 0, 0}},
    {"push $imm32", PATCH_REFUSED_REGISTER, {0x68, 1, 2, 3, 4}},
    {"add $imm32,%rsp", PATCH_REFUSED_REGISTER, {0x48, 0x81, 0xc4, 0, 1, 0, 0}},
    {"lea 0x100(%rax),%esp", PATCH_REFUSED_REGISTER, {0x8d, 0xa0, 0, 1, 0, 0}},
    {"cmp $imm32,%rcx", PATCH_REFUSED_REGISTER, {0x48, 0x81, 0xf9, 0, 1, 0, 0}},
    {"add $imm32,%r11", PATCH_REFUSED_REGISTER, {0x49, 0x81, 0xc3, 0, 1, 0, 0}},
    {"lea 0x100(%rcx),%rax", PATCH_REFUSED_REGISTER, {0x48, 0x8d, 0x81, 0, 1, 0, 0}},
    {"lea 0x100(,%r11,4),%rax", PATCH_REFUSED_REGISTER, {0x4a, 0x8d, 0x04, 0x9d, 0, 1, 0, 0}},
    {"mov $imm16,%cx", PATCH_REFUSED_REGISTER, {0x66, 0xb9, 1, 2, 0x90}},
    {"mov $imm8,%ch", PATCH_REFUSED_REGISTER, {0xb5, 1, CMP_RAX}},
    {"cmove %rax,%rcx", PATCH_REFUSED_REGISTER, {0x48, 0x0f, 0x44, 0xc8, CMP_RAX}},
    {"shl %cl,%eax", PATCH_REFUSED_REGISTER, {0xd3, 0xe0, CMP_RAX}},
    {"mov %eax,%ds", PATCH_REFUSED_UNLISTED, {0x8e, 0xd8, CMP_RAX}},
    {"mov %rax,%cr0", PATCH_REFUSED_UNLISTED, {0x0f, 0x22, 0xc0, CMP_RAX}},
    {"div %eax", PATCH_REFUSED_UNLISTED, {0xf7, 0xf0, CMP_RAX}},
    {"hlt", PATCH_REFUSED_UNLISTED, {0xf4, CMP_RAX}},
    {"ud2", PATCH_REFUSED_UNLISTED, {0x0f, 0x0b, CMP_RAX}},
    {"rdtsc", PATCH_REFUSED_UNLISTED, {0x0f, 0x31, CMP_RAX}},
    {"popf", PATCH_REFUSED_REGISTER, {0x9d, CMP_RAX}},
    {"invalid", PATCH_REFUSED_UNDECODABLE, {0x06, CMP_RAX}},
    {"endless",
     PATCH_REFUSED_UNDECODABLE,
     {0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66}},
};

static void neighbours_behind(void **state)
{
    (void)state;
    unsigned int wrong = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(neighbours); i++) {
        const struct neighbour_case *test = &neighbours[i];
        const struct code code = make_code(NO_BYTES, test->bytes, sizeof(test->bytes));
        const struct patch_plan plan = plan_of(&code, NO_NR);
        if (plan.refusal != test->refusal) {
            print_message("%s: %s\n", test->what, patch_refusal_name(plan.refusal));
            wrong++;
        } else if (plan.refusal == PATCH_OK) {
            accepted(&code, NO_NR, PATCH_AFTER);
        }
        assert_int_equal(plan.site.pattern, test->refusal == PATCH_OK ? PATCH_AFTER : PATCH_NONE);
        assert_true(plan.refusal_before == PATCH_REFUSED_NO_MOV ||
                    (test->refusal == PATCH_OK && plan.refusal_before == PATCH_OK));
    }
    assert_int_equal(wrong, 0);
}

struct decoy_case {
    const char *what;
    enum patch_refusal refusal;
    uint8_t length;
    uint8_t bytes[20];
};

/* All end with b8 27 00 00 00, right before the syscall. */
static const struct decoy_case decoys[] = {
    {"nop", PATCH_OK, 6, {0x90, MOV_EAX}},
    {"mov %r10,%rcx; nop", PATCH_OK, 9, {0x4c, 0x89, 0xd1, 0x90, MOV_EAX}},
    {"endbr64", PATCH_OK, 9, {0xf3, 0x0f, 0x1e, 0xfa, MOV_EAX}},
    {"xor %edi,%edi", PATCH_OK, 7, {0x31, 0xff, MOV_EAX}},
    {"jmp rel8 over it", PATCH_OK, 7, {0xeb, 0x05, MOV_EAX}},
    {"mov $39,%r8d", PATCH_REFUSED_DECOY, 6, {0x41, MOV_EAX}},
    {"mov $39,%eax with a prefix", PATCH_REFUSED_DECOY, 6, {0x2e, MOV_EAX}},
    {"mov $39,%eax with a rex prefix", PATCH_REFUSED_DECOY, 6, {0x40, MOV_EAX}},
    {"lea 39(%rax),%edi", PATCH_REFUSED_DECOY, 6, {0x8d, MOV_EAX}},
    {"mov 39(%r8),%edi", PATCH_REFUSED_DECOY, 7, {0x41, 0x8b, MOV_EAX}},
    {"mov %fs:39(%rax),%edi", PATCH_REFUSED_DECOY, 7, {0x64, 0x8b, MOV_EAX}},
    {"idivl 39(%rax) sets rax", PATCH_REFUSED_DECOY, 6, {0xf7, MOV_EAX}},
    {"mov 39(%rax),%edi faults", PATCH_OK, 6, {0x8b, MOV_EAX}},
    {"add %bh,39(%rax) faults", PATCH_OK, 11, {0x41, 0xba, 8, 0, 0, 0, MOV_EAX}},
    {"sarl 39(%rax) faults", PATCH_OK, 7, {0x31, 0xd2, MOV_EAX}},
    {"fistpll 39(%rax) faults", PATCH_OK, 8, {0x48, 0x89, 0xdf, MOV_EAX}},
    {"movl $39,-0x48(%rbp)", PATCH_REFUSED_DECOY, 7, {0xc7, 0x45, MOV_EAX}},
    {"movq $39,-0x48(%rsp)", PATCH_REFUSED_DECOY, 9, {0x48, 0xc7, 0x44, 0x24, MOV_EAX}},
    {"cmpl $39,0xb8001122(%rip)", PATCH_REFUSED_DECOY, 10, {0x81, 0x3d, 0x22, 0x11, 0x00, MOV_EAX}},
    {"movl $39,%fs:0xb8001122", PATCH_REFUSED_DECOY, 12, {0x64, 0xc7, 0x04, 0x25, 0x22, 0x11, 0x00, MOV_EAX}},
    {"bswap", PATCH_OK, 7, {0x0f, 0xc8, MOV_EAX}},
    {"jmpe rel32", PATCH_OK, 6, {0x0f, MOV_EAX}}, /* 0f b8 without f3 is no instruction of these processors */
    {"popcnt %ecx,%ecx", PATCH_OK, 9, {0xf3, 0x0f, 0xb8, 0xc9, MOV_EAX}},
    {"nopl 39(%rax) accesses nothing", PATCH_REFUSED_DECOY, 7, {0x0f, 0x1f, MOV_EAX}},
    {"prefetch 39(%rax) never faults", PATCH_REFUSED_DECOY, 7, {0x0f, 0x18, MOV_EAX}},
    {"movabs $imm64,%rcx", PATCH_REFUSED_DECOY, 10, {0x48, 0xb9, 0x11, 0x22, 0x33, MOV_EAX}},
    {"movabs $imm64,%rax", PATCH_REFUSED_DECOY, 10, {0x48, 0xb8, 0x11, 0x22, 0x33, MOV_EAX}},
    {"movabs %eax,moffs", PATCH_REFUSED_DECOY, 9, {0xa3, 0x11, 0x22, 0x33, MOV_EAX}},
    {"lea with many prefixes", PATCH_REFUSED_DECOY, 12, {0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x8d, MOV_EAX}},
    {"15 bytes", PATCH_REFUSED_DECOY, 15, {0x65, 0x65, 0x65, 0x65, 0x65, 0x65, 0x65, 0x65, 0x65, 0x8b, MOV_EAX}},
};

static void decoys_before(void **state)
{
    (void)state;
    unsigned int wrong = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(decoys); i++) {
        const struct decoy_case *test = &decoys[i];
        const struct code code = make_code(test->bytes, test->length, BYTES(RET));
        const struct patch_plan plan = plan_of(&code, NR);
        if (plan.refusal != test->refusal) {
            print_message("%s: %s\n", test->what, patch_refusal_name(plan.refusal));
            wrong++;
        } else if (plan.refusal == PATCH_OK) {
            accepted(&code, NR, PATCH_BEFORE_MOV_EAX);
        }
    }
    assert_int_equal(wrong, 0);
}

/* The first byte belongs to an instruction, and others lead from there to the syscall. */
static void decoys_of_several_instructions(void **state)
{
    (void)state;
    /* mov $0xb8,%bl and four nops; the second to last a jump; the last a return. */
    const struct code nops = make_code(BYTES(0xb3, 0xb8, 0x90, 0x90, 0x90, 0x90), BYTES(RET));
    const struct code jump = make_code(BYTES(0xb3, 0xb8, 0, 0, 0xeb, 0x10), BYTES(RET));
    const struct code ret = make_code(BYTES(0xb3, 0xb8, 0, 0, 0x90, 0xc3), BYTES(RET));
    /* add %eax,(%rax) would have faulted; 27 is no instruction; no guest has ports. */
    const struct code access = make_code(BYTES(0xb3, 0xb8, 1, 0, 0, 0), BYTES(RET));
    const struct code broken = make_code(BYTES(0xb3, 0xb8, 0x27, 0, 0, 0), BYTES(RET));
    const struct code port = make_code(BYTES(0xe6, 0xb8, 0x90, 0x90, 0x90, 0x90), BYTES(RET));
    /* A mov to eax, before which there is `add $0x48,%ebx`: not one to rax. */
    const struct code rax = make_code(BYTES(0x83, 0xc3, MOV_RAX), BYTES(RET));
    assert_int_equal(plan_of(&nops, 0x90909090).refusal, PATCH_REFUSED_DECOY);
    assert_int_equal(plan_of(&jump, 0x10eb0000).refusal, PATCH_REFUSED_DECOY);
    assert_int_equal(plan_of(&ret, 0xc3900000).refusal, PATCH_REFUSED_DECOY);
    assert_int_equal(plan_of(&rax, NR).refusal, PATCH_REFUSED_DECOY);
    accepted(&access, 1, PATCH_BEFORE_MOV_EAX);
    accepted(&broken, 0x27, PATCH_BEFORE_MOV_EAX);
    accepted(&port, 0x90909090, PATCH_BEFORE_MOV_EAX);
}

/* A fault says something of the number in rax only if rax stays what it was, and the next instruction is the next. */
static void faults_that_prove_nothing(void **state)
{
    (void)state;
    /* mov -nr(%rax),%ecx; two bytes; then cmp $0x47,%al, mov $0x47,%al, jmp . + 0x49 */
    const struct code compare =
        make_code(BYTES(0x8b, 0x88, 0x70, 0x6f, 0xc3, 0xb8, 0x90, 0x90, 0x3c, 0x47), BYTES(RET));
    const struct code change = make_code(BYTES(0x8b, 0x88, 0x70, 0x6f, 0x4f, 0xb8, 0x90, 0x90, 0xb0, 0x47), BYTES(RET));
    const struct code jump = make_code(BYTES(0x8b, 0x88, 0, 0, 0x15, 0xb8, 0, 0, 0xeb, 0x47), BYTES(RET));
    accepted(&compare, 0x473c9090, PATCH_BEFORE_MOV_EAX);
    assert_int_equal(plan_of(&change, 0x47b09090).refusal, PATCH_REFUSED_DECOY);
    assert_int_equal(plan_of(&jump, 0x47eb0000).refusal, PATCH_REFUSED_DECOY);
}

/* Only an access to the first page is known to fault. */
static void accesses_that_could_succeed(void **state)
{
    (void)state;
    const struct code below = make_code(BYTES(0x8b, 0xb8, 0xff, 0x07, 0, 0), BYTES(RET));
    const struct code at = make_code(BYTES(0x8b, 0xb8, 0x00, 0x08, 0, 0), BYTES(RET));
    accepted(&below, 0x7ff, PATCH_BEFORE_MOV_EAX);
    assert_int_equal(plan_of(&at, 0x800).refusal, PATCH_REFUSED_DECOY);
}

static void refused_requests(void **state)
{
    (void)state;
    const struct code code = make_code(BYTES(MOV_EAX), BYTES(CMP_RAX));
    const struct patch_request good = request_for(&code, NR);
    struct patch_request bad[9];
    struct patch_plan plan;
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
        bad[i] = good;
    bad[0].table_entry = PATCH_TABLE_START - 8;
    bad[1].table_entry = PATCH_TABLE_END;
    bad[2].table_entry += 4;
    bad[3].trampoline += 4;
    bad[4].ip = 1;
    bad[5].ip = UINT64_MAX;
    bad[6].ip = 0x7fffffffffff;
    bad[7].code_addr = UINT64_MAX - 4;
    bad[8].code_length = SIZE_MAX;
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        memset(&plan, 0x5a, sizeof(plan));
        assert_int_equal(patch_plan_make(&bad[i], &plan), PATCH_REFUSED_REQUEST);
        assert_int_equal(plan.site.pattern, PATCH_NONE);
    }
    assert_int_equal(patch_plan_make(&good, &plan), PATCH_OK);
}

static void nothing_to_patch(void **state)
{
    (void)state;
    struct code code = make_code(BYTES(MOV_EAX), BYTES(CMP_RAX));
    const struct code restorer = make_code(BYTES(0x48, 0xc7, 0xc0, 15, 0, 0, 0), BYTES(CMP_RAX));
    struct patch_plan plan = accepted(&code, NR, PATCH_AFTER);
    assert_int_equal(plan_of(&restorer, 15).refusal, PATCH_REFUSED_SIGNAL_RETURN);
    assert_int_equal(plan_of(&restorer, 0x40000201).refusal, PATCH_REFUSED_SIGNAL_RETURN);
    /* Once more, after it was patched. */
    memcpy(code.bytes + (SITE - code.addr), plan.replacement, plan.site.length);
    assert_int_equal(plan_of(&code, NR).refusal, PATCH_REFUSED_NO_SYSCALL);
    memcpy(code.bytes + (SITE - code.addr), "\xcd\x80", 2);
    assert_int_equal(plan_of(&code, NR).refusal, PATCH_REFUSED_NO_SYSCALL);
}

/* Plans with exactly the bytes [from, to) of the code, in memory that ends there. */
static enum patch_refusal plan_part(const struct code *code, size_t from, size_t to, struct patch_plan *plan)
{
    struct patch_request request = request_for(code, NR);
    uint8_t *part = malloc(to > from ? to - from : 1);
    enum patch_refusal refusal;
    assert_non_null(part);
    memcpy(part, code->bytes + from, to - from);
    request.code = part;
    request.code_addr = code->addr + from;
    request.code_length = to - from;
    refusal = patch_plan_make(&request, plan);
    if (refusal == PATCH_OK)
        check_trampoline(plan, &request);
    free(part);
    return refusal;
}

static void windows_cut_short(void **state)
{
    (void)state;
    const struct code before = make_code(BYTES(MOV_EAX), BYTES(RET));
    const struct code after = make_code(NO_BYTES, BYTES(CMP_RAX));
    const struct code both = make_code(BYTES(MOV_EAX), BYTES(CMP_RAX));
    const struct code longest = make_code(BYTES(0x48, 0xb8, NR, 0, 0, 0, 0, 0, 0, 0), BYTES(RET));
    /* 4 bytes, and then a nop of 15. */
    const struct code late = make_code(NO_BYTES, BYTES(0x48, 0x83, 0xf8, 0xff, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
                                                       0x66, 0x66, 0x66, 0x66, 0x66, 0x0f, 0x1f, 0xc0));
    const size_t at = SITE - before.addr;
    struct patch_plan plan;
    for (size_t from = 0; from <= before.length; from++) {
        for (size_t to = from; to <= before.length; to++) {
            const bool known = from <= at - 5 - 14 && to >= at + 2;
            assert_int_equal(plan_part(&before, from, to, &plan), known ? PATCH_OK : PATCH_REFUSED_UNKNOWN_BYTES);
        }
    }
    for (size_t from = 0; from <= after.length; from++) {
        for (size_t to = from; to <= after.length; to++) {
            const bool known = from <= MARGIN && to >= MARGIN + 8;
            assert_int_equal(plan_part(&after, from, to, &plan), known ? PATCH_OK : PATCH_REFUSED_UNKNOWN_BYTES);
        }
    }
    /* What the header says is the most that is needed. */
    assert_int_equal(plan_part(&longest, at + 5 - PATCH_WINDOW_BEFORE, at + 5 + 2, &plan), PATCH_OK);
    assert_int_equal(plan_part(&longest, at + 6 - PATCH_WINDOW_BEFORE, at + 5 + 2, &plan), PATCH_REFUSED_UNKNOWN_BYTES);
    plan_part(&late, MARGIN, MARGIN + PATCH_WINDOW_AFTER, &plan);
    assert_int_equal(plan.refusal_after, PATCH_REFUSED_NO_ROOM);
    plan_part(&late, MARGIN, MARGIN + PATCH_WINDOW_AFTER - 1, &plan);
    assert_int_equal(plan.refusal_after, PATCH_REFUSED_UNKNOWN_BYTES);
    for (size_t to = at; to <= both.length; to++) {
        const enum patch_pattern pattern = to >= at + 8   ? PATCH_AFTER
                                           : to >= at + 2 ? PATCH_BEFORE_MOV_EAX
                                                          : PATCH_NONE;
        plan_part(&both, 0, to, &plan);
        assert_int_equal(plan.site.pattern, pattern);
    }
}

/* Each place in a page, and at its end in two: whether both may be changed is for others to know. */
static void page_edges(void **state)
{
    (void)state;
    const struct code before = make_code(BYTES(MOV_EAX), BYTES(RET));
    const struct code after = make_code(NO_BYTES, BYTES(CMP_RAX));
    for (unsigned int place = 0; place < PAGE; place++) {
        struct patch_request request = request_for(&before, NR);
        struct patch_plan plan;
        const unsigned int in_8 = place % 8 <= 1;
        const unsigned int in_16 = place % 16 <= 9;
        const unsigned int block = in_8 ? 8 : in_16 ? 16 : 0;
        request.code_addr += 0x402000 + place - (SITE - 5);
        request.ip += 0x402000 + place - (SITE - 5);
        assert_int_equal(patch_plan_make(&request, &plan), PATCH_OK);
        assert_int_equal(plan.aligned_block, block);
        request = request_for(&after, NR);
        request.code_addr += 0x402000 + place - SITE;
        request.ip += 0x402000 + place - SITE;
        assert_int_equal(patch_plan_make(&request, &plan), PATCH_OK);
        assert_int_equal(plan.aligned_block, block);
    }
}

static uint64_t random_state = 0x9e3779b97f4a7c15;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static uint32_t random_below(uint32_t limit)
{
    return (uint32_t)(next_random() >> 32) % limit;
}

/* Bytes that make acceptance likely, among others. */
static void random_code(uint8_t *bytes, size_t length, uint64_t nr)
{
    for (size_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)next_random();
    if (random_below(2)) {
        const size_t behind = length / 2 + 2;
        const struct neighbour_case *test = &neighbours[random_below(ARRAY_LENGTH(neighbours))];
        memcpy(bytes + behind, test->bytes, 8);
    }
    if (random_below(2))
        memset(bytes + length / 2 - 20, FILLER, 15);
    if (random_below(4)) {
        bytes[length / 2 - 5] = 0xb8;
        for (int i = 0; i < 4; i++)
            bytes[length / 2 - 4 + i] = (uint8_t)(nr >> 8 * i);
    }
    memcpy(bytes + length / 2, "\x0f\x05", 2);
}

static void random_windows(void **state)
{
    (void)state;
    const unsigned int rounds = under_valgrind() ? 5000 : 100000;
    unsigned int count[PATCH_PATTERNS] = {0};
    uint8_t bytes[64];
    for (unsigned int i = 0; i < rounds; i++) {
        const uint64_t nr = random_below(2) ? random_below(450) : (uint32_t)next_random();
        struct patch_plan plan;
        struct patch_request request = {
            .nr = nr,
            .code = bytes,
            .code_addr = 0x400000 + random_below(1 << 20),
            .code_length = sizeof(bytes),
            .table_entry = PATCH_TABLE_START + 8ull * random_below(0x4000),
            .trampoline = TRAMPOLINE + 128ull * random_below(10000),
            .entry = next_random(),
        };
        request.ip = request.code_addr + sizeof(bytes) / 2 + 2;
        random_code(bytes, sizeof(bytes), nr);
        if (patch_plan_make(&request, &plan) == PATCH_OK)
            check_plan(&plan, &request);
        assert_int_equal(plan.refusal == PATCH_OK, plan.site.pattern != PATCH_NONE);
        count[plan.site.pattern]++;
    }
    assert_true(count[PATCH_NONE] > rounds / 20);
    assert_true(count[PATCH_AFTER] > rounds / 50);
    assert_true(count[PATCH_BEFORE_MOV_EAX] > rounds / 50);
}

static void names(void **state)
{
    (void)state;
    for (unsigned int i = 0; i < PATCH_REFUSALS; i++) {
        assert_non_null(patch_refusal_name(i));
        for (unsigned int j = 0; j < i; j++)
            assert_string_not_equal(patch_refusal_name(i), patch_refusal_name(j));
    }
    for (unsigned int i = 0; i < PATCH_PATTERNS; i++)
        assert_non_null(patch_pattern_name(i));
    assert_string_equal(patch_refusal_name(PATCH_REFUSALS), "?");
    assert_string_equal(patch_pattern_name(PATCH_PATTERNS), "?");
    assert_true(sizeof(struct patch_site) <= 24);
}

/* Whole patched sites, executed beside the unpatched code */

struct machine {
    uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15, flags;
};

#define ARITHMETIC_FLAGS 0xcd5 /* and the direction */

void run_code(const struct machine *in, const void *code);
extern const uint8_t run_exit[];
extern const uint8_t fake_entry[];
extern const uint8_t bare_syscall[];
extern struct machine run_result;
extern uint64_t entry_rcx;
extern uint64_t bare_resume;

/*
 * run_code loads the registers and jumps; code ends by a jump to run_exit,
 * which stores them. fake_entry is the stub's common entry with a host kernel
 * behind it. bare_syscall is the call of a thread that trapped.
 */
__asm__("    .pushsection .bss\n"
        "    .balign 8\n"
        "    .globl run_result, entry_rcx, bare_resume\n"
        "run_result:  .zero 17 * 8\n"
        "entry_rcx:   .zero 8\n"
        "bare_resume: .zero 8\n"
        "run_target:  .zero 8\n"
        "run_stack:   .zero 8\n"
        "    .popsection\n"
        "    .pushsection .text\n"
        "    .globl run_code, run_exit, fake_entry, bare_syscall\n"
        "run_code:\n"
        "    push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
        "    mov %rsi, run_target(%rip)\n"
        "    mov %rsp, run_stack(%rip)\n"
        "    pushq 128(%rdi)\n"
        "    popfq\n"
        "    mov (%rdi), %rax; mov 8(%rdi), %rbx; mov 16(%rdi), %rcx; mov 24(%rdi), %rdx\n"
        "    mov 32(%rdi), %rsi; mov 48(%rdi), %rbp; mov 64(%rdi), %r8; mov 72(%rdi), %r9\n"
        "    mov 80(%rdi), %r10; mov 88(%rdi), %r11; mov 96(%rdi), %r12; mov 104(%rdi), %r13\n"
        "    mov 112(%rdi), %r14; mov 120(%rdi), %r15; mov 40(%rdi), %rdi\n"
        "    jmp *run_target(%rip)\n"
        "run_exit:\n"
        "    mov %rax, run_result(%rip)\n"
        "    mov %rbx, run_result+8(%rip)\n"
        "    mov %rcx, run_result+16(%rip)\n"
        "    mov %rdx, run_result+24(%rip)\n"
        "    mov %rsi, run_result+32(%rip)\n"
        "    mov %rdi, run_result+40(%rip)\n"
        "    mov %rbp, run_result+48(%rip)\n"
        "    mov %rsp, run_result+56(%rip)\n"
        "    mov %r8, run_result+64(%rip)\n"
        "    mov %r9, run_result+72(%rip)\n"
        "    mov %r10, run_result+80(%rip)\n"
        "    mov %r11, run_result+88(%rip)\n"
        "    mov %r12, run_result+96(%rip)\n"
        "    mov %r13, run_result+104(%rip)\n"
        "    mov %r14, run_result+112(%rip)\n"
        "    mov %r15, run_result+120(%rip)\n"
        "    mov run_stack(%rip), %rsp\n"
        "    pushfq\n"
        "    popq run_result+128(%rip)\n"
        "    cld\n"
        "    pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
        "    ret\n"
        "fake_entry:\n"
        "    mov %rcx, entry_rcx(%rip)\n"
        "    syscall\n"
        "    mov entry_rcx(%rip), %rcx\n"
        "    jmp *%rcx\n"
        "bare_syscall:\n"
        "    syscall\n"
        "    jmp *bare_resume(%rip)\n"
        "    .popsection\n");

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

/* Programs of this machine */

struct text {
    uint8_t *file;
    size_t file_length;
    const uint8_t *code;
    uint64_t addr;
    size_t length;
};

struct coverage {
    unsigned int syscalls;
    unsigned int numbers; /* whose number could be told from the code */
    unsigned int patterns[PATCH_PATTERNS];
    unsigned int refusals[PATCH_REFUSALS];
    unsigned int misplaced; /* a mov that is none when the code is read forwards, and nothing that excuses it */
    unsigned int movs;      /* every `mov $imm32,%eax` of the code, as if a syscall followed */
    unsigned int movs_refused;
    unsigned int decoys;          /* the same bytes elsewhere */
    unsigned int decoys_accepted; /* because what is there would have faulted */
};

static bool find_text(struct text *text)
{
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)text->file;
    const Elf64_Shdr *sections;
    const char *section_names;
    if (text->file_length < sizeof(*header) || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
        header->e_machine != EM_X86_64 || header->e_shoff + header->e_shnum * sizeof(*sections) > text->file_length ||
        header->e_shstrndx >= header->e_shnum)
        return false;
    sections = (const Elf64_Shdr *)(text->file + header->e_shoff);
    section_names = (const char *)text->file + sections[header->e_shstrndx].sh_offset;
    for (unsigned int i = 0; i < header->e_shnum; i++) {
        if (strcmp(section_names + sections[i].sh_name, ".text") != 0)
            continue;
        text->code = text->file + sections[i].sh_offset;
        text->addr = sections[i].sh_addr;
        text->length = sections[i].sh_size;
        return true;
    }
    return false;
}

static bool open_text(const char *path, struct text *text)
{
    struct stat stat;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    memset(text, 0, sizeof(*text));
    if (fd < 0)
        return false;
    if (fstat(fd, &stat) == 0 && stat.st_size > 0) {
        text->file_length = (size_t)stat.st_size;
        text->file = mmap(NULL, text->file_length, PROT_READ, MAP_PRIVATE, fd, 0);
    }
    close(fd);
    if (text->file && text->file != MAP_FAILED && find_text(text))
        return true;
    if (text->file && text->file != MAP_FAILED)
        munmap(text->file, text->file_length);
    return false;
}

/* What the last instructions say about rax, as far as a glance tells. */
struct glance {
    uint64_t nr;
    unsigned int age;  /* instructions since */
    size_t recent[16]; /* where the last ones start */
    unsigned int count;
};

/* Where the last instruction before the offset starts. */
static size_t previous_start(const struct glance *glance, size_t offset)
{
    for (unsigned int i = glance->count; i > 0 && glance->count - i < ARRAY_LENGTH(glance->recent); i--) {
        const size_t start = glance->recent[(i - 1) % ARRAY_LENGTH(glance->recent)];
        if (start < offset)
            return start;
    }
    return 0;
}

static bool sets_eax(const uint8_t *code, size_t length, uint64_t *nr)
{
    uint32_t value;
    const size_t opcode = length - 4;
    if (!(length == 5 && code[0] == 0xb8) && !(length == 7 && !memcmp(code, "\x48\xc7\xc0", 3)))
        return false;
    memcpy(&value, code + opcode, sizeof(value));
    *nr = length == 5 ? value : (uint64_t)(int64_t)(int32_t)value;
    return true;
}

static void count_syscall(const struct text *text, size_t offset, uint64_t nr, size_t previous,
                          struct coverage *coverage)
{
    struct patch_plan plan;
    const struct patch_request request = {
        .ip = text->addr + offset + 2,
        .nr = nr,
        .code = text->code,
        .code_addr = text->addr,
        .code_length = text->length,
        .table_entry = TABLE_ENTRY,
        .trampoline = TRAMPOLINE,
        .entry = ENTRY,
    };
    coverage->syscalls++;
    coverage->numbers += nr != NO_NR;
    patch_plan_make(&request, &plan);
    coverage->patterns[plan.site.pattern]++;
    if (plan.refusal != PATCH_OK) {
        coverage->refusals[plan.refusal]++;
        return;
    }
    check_plan(&plan, &request);
    if (plan.site.pattern != PATCH_AFTER && plan.site.start != text->addr + previous)
        coverage->misplaced++;
}

/* Behind the last instruction in [from, to) that goes elsewhere; from if there is none. */
static size_t last_line(const struct code *code, size_t from, size_t to)
{
    size_t line = from;
    while (from < to) {
        ZydisDecodedInstruction instruction;
        if (ZYAN_FAILED(ZydisDecoderDecodeInstruction(decoder(), NULL, code->bytes + from, to - from, &instruction)))
            break;
        from += instruction.length;
        if (instruction.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE || instruction.meta.category == ZYDIS_CATEGORY_RET ||
            instruction.meta.category == ZYDIS_CATEGORY_SYSCALL)
            line = from;
    }
    return line;
}

__attribute__((noinline)) static void run_to_trap(const struct machine *in, const uint8_t *code)
{
    trap_in_first_page = false;
    handle_traps(on_trap);
    if (sigsetjmp(trapped, 1) == 0)
        run_code(in, code);
    handle_traps(NULL);
}

/*
 * The bytes before a syscall at SITE were taken for a mov, although the code
 * has another instruction there: could that have come to the syscall with the
 * number in rax? Executed, in a place where every other register is no address.
 */
static bool decoy_faults(const struct code *code, uint64_t nr, size_t from)
{
    const size_t end = SITE - code->addr;
    const size_t line = last_line(code, from, end);
    uint8_t *const start = code_page() + PAGE;
    struct machine machine;
    uint64_t *reg = &machine.rax;
    memset(code_page(), 0xcc, 2 * PAGE);
    memcpy(start, code->bytes + line, end - line);
    for (size_t i = 0; i < sizeof(machine) / sizeof(*reg); i++)
        reg[i] = 0x8000ull << 32;
    machine.flags = 0x202;
    machine.rax = nr;
    run_to_trap(&machine, start);
    return trap_in_first_page && trap_ip - (uintptr_t)start < end - line;
}

/* Before an instruction at `offset`: would the bytes there be taken for a mov if it were a syscall? */
static void count_mov(const struct text *text, size_t offset, const struct glance *glance, struct coverage *coverage)
{
    struct code code;
    struct patch_plan plan;
    uint32_t nr;
    const bool real = previous_start(glance, offset - 4) + 5 == offset;
    const size_t covering = previous_start(glance, offset - 5);
    if (offset < MARGIN || text->code[offset - 5] != 0xb8)
        return;
    memset(&code, FILLER, sizeof(code));
    memcpy(code.bytes, text->code + offset - MARGIN, MARGIN);
    memcpy(code.bytes + MARGIN, "\x0f\x05\xc3", 3);
    code.length = MARGIN + 3;
    code.addr = SITE - MARGIN;
    memcpy(&nr, text->code + offset - 4, sizeof(nr));
    plan = plan_of(&code, nr);
    if (real) {
        coverage->movs++;
        coverage->movs_refused += plan.refusal != PATCH_OK;
    } else {
        coverage->decoys++;
        if (plan.refusal == PATCH_OK) {
            coverage->decoys_accepted++;
            if (!under_valgrind() && !decoy_faults(&code, nr, MARGIN - (offset - covering)))
                coverage->misplaced++;
        }
    }
}

static void scan(const struct text *text, struct coverage *coverage)
{
    struct glance glance = {.nr = NO_NR};
    size_t offset = 0;
    while (offset < text->length) {
        size_t step = instruction_length(text->code + offset, text->length - offset);
        if (step == 2 && !memcmp(text->code + offset, "\x0f\x05", 2)) {
            count_syscall(text, offset, glance.age <= 8 ? glance.nr : NO_NR, previous_start(&glance, offset), coverage);
            glance.nr = NO_NR;
        }
        count_mov(text, offset, &glance, coverage);
        if (step && sets_eax(text->code + offset, step, &glance.nr))
            glance.age = 0;
        glance.age++;
        glance.recent[glance.count++ % ARRAY_LENGTH(glance.recent)] = offset;
        offset += step ? step : 1;
    }
}

static void print_coverage(const char *path, const struct coverage *coverage)
{
    printf("%s: %u syscalls, %u with a number\n", path, coverage->syscalls, coverage->numbers);
    for (unsigned int i = PATCH_NONE + 1; i < PATCH_PATTERNS; i++)
        printf("  %5u %s\n", coverage->patterns[i], patch_pattern_name(i));
    printf("  %5u not patched\n", coverage->patterns[PATCH_NONE]);
    for (unsigned int i = PATCH_OK + 1; i < PATCH_REFUSALS; i++)
        if (coverage->refusals[i])
            printf("  %5u   %s\n", coverage->refusals[i], patch_refusal_name(i));
    printf("  movs of the code, as if a syscall followed: %u, refused %u; the same bytes elsewhere: %u, accepted %u\n",
           coverage->movs, coverage->movs_refused, coverage->decoys, coverage->decoys_accepted);
    printf("  wrongly accepted: %u\n", coverage->misplaced);
}

static bool scan_file(const char *path, struct coverage *coverage)
{
    struct text text;
    memset(coverage, 0, sizeof(*coverage));
    if (!open_text(path, &text))
        return false;
    scan(&text, coverage);
    munmap(text.file, text.file_length);
    return true;
}

/* Every syscall of real programs: what is accepted is right, and most of them are. */
static void real_programs(void **state)
{
    (void)state;
    static const char *const paths[] = {"/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2",
                                        "/usr/bin/busybox", "/usr/bin/python3"};
    unsigned int absent = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
        struct coverage coverage;
        if (!scan_file(paths[i], &coverage)) {
            absent++;
            continue;
        }
        assert_int_equal(coverage.misplaced, 0);
        assert_true(coverage.patterns[PATCH_NONE] * 10 <= coverage.syscalls);
    }
    if (absent)
        print_message("%u programs are not here\n", absent);
    if (absent == ARRAY_LENGTH(paths))
        skip();
}

static int report(char **paths)
{
    int absent = 0;
    for (; *paths; paths++) {
        struct coverage coverage;
        if (scan_file(*paths, &coverage)) {
            print_coverage(*paths, &coverage);
        } else {
            printf("%s: cannot be read\n", *paths);
            absent = 1;
        }
    }
    return absent;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_a_syscall),
        cmocka_unit_test(mov_to_eax),
        cmocka_unit_test(longer_movs),
        cmocka_unit_test(other_numbers),
        cmocka_unit_test(several_behind),
        cmocka_unit_test(every_trap_byte),
        cmocka_unit_test(neighbours_behind),
        cmocka_unit_test(decoys_before),
        cmocka_unit_test(decoys_of_several_instructions),
        cmocka_unit_test(faults_that_prove_nothing),
        cmocka_unit_test(accesses_that_could_succeed),
        cmocka_unit_test(refused_requests),
        cmocka_unit_test(nothing_to_patch),
        cmocka_unit_test(windows_cut_short),
        cmocka_unit_test(page_edges),
        cmocka_unit_test(random_windows),
        cmocka_unit_test(names),
        cmocka_unit_test(executed_trampolines),
        cmocka_unit_test(real_programs),
    };
    if (argc > 2 && strcmp(argv[1], "--report") == 0)
        return report(argv + 2);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
