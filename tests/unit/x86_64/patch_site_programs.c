/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Programs of this machine: every `syscall` instruction in them, and all that looks like a mov before one. */
#include "unit.h"

#include <elf.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arch/x86_64/patching/patch_proof.h"
#include "patch_site_checks.h"
#include "patch_site_names.h"
#include "patch_site_run.h"
#include "patch_site_tests.h"

struct text {
    uint8_t *file;
    size_t file_length;
    const uint8_t *code;
    uint64_t addr;
    size_t length;
};

#define STARTS_EVERY 1024 /* of the instructions: each takes a while */

struct coverage {
    unsigned int syscalls;
    unsigned int numbers; /* whose number could be told from the code */
    unsigned int patterns[PATCH_PATTERNS];
    unsigned int refusals[PATCH_OK];
    unsigned int misplaced; /* a mov that is none when the code is read forwards, and nothing that excuses it */
    unsigned int movs;      /* every `mov $imm32,%eax` of the code, as if a syscall followed */
    unsigned int movs_refused;
    unsigned int decoys;          /* the same bytes elsewhere */
    unsigned int decoys_accepted; /* because what is there would have faulted */
    unsigned int proven;          /* syscalls that may be patched for whoever runs the code */
    unsigned int starts;          /* of any instructions, and how many of them are proven to be some */
    unsigned int starts_proven;
    unsigned int inner_proven; /* places inside of instructions */
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

/* Is it certain that an instruction begins there, whoever says so? */
static bool is_proven(const struct text *text, size_t offset)
{
    struct patch_window window;
    if (!patch_window_open(&window, text->code, text->addr, text->length) || offset + 2 > text->length)
        return false;
    return patch_proof_starts(&window, text->addr + offset + 2) != 0;
}

/* Of some instructions: where it begins and not where it goes on. */
static void count_starts(const struct text *text, size_t offset, size_t length, struct coverage *coverage)
{
    coverage->starts++;
    coverage->starts_proven += is_proven(text, offset);
    for (size_t i = 1; i < length; i++)
        coverage->inner_proven += is_proven(text, offset + i);
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
    coverage->proven += is_proven(text, offset);
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
            count_starts(text, offset, step, coverage);
            count_syscall(text, offset, glance.age <= 8 ? glance.nr : NO_NR, previous_start(&glance, offset), coverage);
            glance.nr = NO_NR;
        } else if (step && glance.count % STARTS_EVERY == 0)
            count_starts(text, offset, step, coverage);
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
        printf("  %5u %s\n", coverage->patterns[i], pattern_name(i));
    printf("  %5u not patched\n", coverage->patterns[PATCH_NONE]);
    for (unsigned int i = 0; i < PATCH_OK; i++)
        if (coverage->refusals[i])
            printf("  %5u   %s\n", coverage->refusals[i], refusal_name(i));
    printf("  movs of the code, as if a syscall followed: %u, refused %u; the same bytes elsewhere: %u, accepted %u\n",
           coverage->movs, coverage->movs_refused, coverage->decoys, coverage->decoys_accepted);
    printf("  wrongly accepted: %u\n", coverage->misplaced);
    printf("  certain whoever runs them: %u syscalls; of instructions %u of %u, and inside %u\n", coverage->proven,
           coverage->starts_proven, coverage->starts, coverage->inner_proven);
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
        assert_int_equal(coverage.inner_proven, 0);
        assert_true(coverage.proven * 20 >= coverage.syscalls * 19);
    }
    if (absent)
        print_message("%u programs are not here\n", absent);
    if (absent == ARRAY_LENGTH(paths))
        skip();
}

int test_patches_of_programs(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_programs),
    };

    return cmocka_run_group_tests_name("programs", tests, NULL, NULL);
}

int report_patches_of(char **paths)
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
