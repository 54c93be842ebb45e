/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "programs/elf_plan.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

static bool is_power_of_two(uint64_t value)
{
    return value && (value & (value - 1)) == 0;
}

/* The kernel supports 64-bit little-endian machines only, and runs on them. */
static int check_header(const Elf64_Ehdr *header, const struct elf_limits *limits)
{
    if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 || header->e_ident[EI_CLASS] != ELFCLASS64 ||
        header->e_ident[EI_DATA] != ELFDATA2LSB)
        return -ENOEXEC;
    if (header->e_machine != limits->machine || (header->e_type != ET_EXEC && header->e_type != ET_DYN))
        return -ENOEXEC;
    if (header->e_phentsize != sizeof(Elf64_Phdr) || header->e_phnum == 0)
        return -ENOEXEC;
    return 0;
}

static int add_segment(struct elf_plan *plan, const Elf64_Phdr *program, const struct elf_limits *limits)
{
    uint64_t mask = limits->page_size - 1;
    struct elf_segment segment;
    const struct elf_segment *last = plan->segment_count ? &plan->segments[plan->segment_count - 1] : NULL;

    if (program->p_memsz == 0)
        return program->p_filesz == 0 ? 0 : -EINVAL;
    if (program->p_filesz > program->p_memsz || program->p_vaddr > limits->address_max ||
        program->p_memsz > limits->address_max - program->p_vaddr)
        return -EINVAL;
    if (((program->p_vaddr ^ program->p_offset) & mask) || program->p_offset > INT64_MAX ||
        program->p_filesz > (uint64_t)INT64_MAX - program->p_offset)
        return -EINVAL;
    if (plan->segment_count == ELF_SEGMENTS_MAX)
        return -EINVAL;
    segment.start = program->p_vaddr & ~mask;
    segment.file_offset = program->p_offset & ~mask;
    segment.file_end = program->p_filesz ? program->p_vaddr + program->p_filesz : segment.start;
    segment.memory_end = program->p_vaddr + program->p_memsz;
    segment.end = (segment.memory_end + mask) & ~mask;
    segment.prot =
        ((program->p_flags & PF_R) ? 1 : 0) | ((program->p_flags & PF_W) ? 2 : 0) | ((program->p_flags & PF_X) ? 4 : 0);
    if (last && segment.start < last->end)
        return -EINVAL;
    plan->segments[plan->segment_count++] = segment;
    return 0;
}

static int note_alignment(struct elf_plan *plan, const Elf64_Phdr *program, const struct elf_limits *limits)
{
    if (program->p_align <= plan->alignment)
        return 0;
    /* Larger than any real one, and larger than what a base could be chosen for. */
    if (!is_power_of_two(program->p_align) || program->p_align > limits->address_max / 4)
        return -EINVAL;
    plan->alignment = program->p_align;
    return 0;
}

static int read_program_header(struct elf_plan *plan, const Elf64_Phdr *program, const struct elf_limits *limits)
{
    int err;

    switch (program->p_type) {
    case PT_LOAD:
        err = note_alignment(plan, program, limits);
        return err ? err : add_segment(plan, program, limits);
    case PT_INTERP:
        if (program->p_filesz < 2 || program->p_filesz > ELF_INTERPRETER_MAX || program->p_offset > INT64_MAX)
            return -EINVAL;
        plan->interpreter_offset = program->p_offset;
        plan->interpreter_length = program->p_filesz;
        return 0;
    case PT_GNU_STACK:
        plan->executable_stack = (program->p_flags & PF_X) != 0;
        return 0;
    default:
        return 0;
    }
}

/* The segment whose part of the file has the program headers in it says where they are in memory. */
static void find_headers(struct elf_plan *plan, const Elf64_Ehdr *header)
{
    uint64_t size = (uint64_t)header->e_phnum * sizeof(Elf64_Phdr);

    for (size_t i = 0; i < plan->segment_count; i++) {
        const struct elf_segment *segment = &plan->segments[i];
        uint64_t file_bytes = segment->file_end > segment->start ? segment->file_end - segment->start : 0;

        if (header->e_phoff >= segment->file_offset && header->e_phoff - segment->file_offset <= file_bytes &&
            size <= file_bytes - (header->e_phoff - segment->file_offset)) {
            plan->headers = segment->start + (header->e_phoff - segment->file_offset);
            return;
        }
    }
}

int elf_plan_read(const unsigned char *head, size_t length, const struct elf_limits *limits, struct elf_plan *plan)
{
    Elf64_Ehdr header;
    Elf64_Phdr program;
    int err;

    memset(plan, 0, sizeof(*plan));
    if (length < sizeof(header))
        return -ENOEXEC;
    memcpy(&header, head, sizeof(header));
    err = check_header(&header, limits);
    if (err)
        return err;
    if (header.e_phoff > length || (uint64_t)header.e_phnum * sizeof(program) > length - header.e_phoff)
        return -ENOEXEC;
    plan->alignment = limits->page_size;
    for (size_t i = 0; i < header.e_phnum; i++) {
        memcpy(&program, head + header.e_phoff + i * sizeof(program), sizeof(program));
        err = read_program_header(plan, &program, limits);
        if (err)
            return err;
    }
    if (plan->segment_count == 0 || header.e_entry > limits->address_max)
        return -EINVAL;
    plan->position_independent = header.e_type == ET_DYN;
    plan->entry = header.e_entry;
    plan->start = plan->segments[0].start;
    plan->end = plan->segments[plan->segment_count - 1].end;
    plan->header_size = header.e_phentsize;
    plan->header_count = header.e_phnum;
    find_headers(plan, &header);
    return 0;
}
