/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The ELF planner of the reference kernel: whatever a file says, the plan is one that can be carried out. */
#include <elf.h>
#include <errno.h>

#include "fuzz_target.h"
#include "programs/elf_plan.h"

static const struct elf_limits machines[] = {
    {.machine = EM_X86_64, .page_size = 4096, .address_max = 0x7ffffffff000},
    {.machine = EM_AARCH64, .page_size = 16384, .address_max = 0x7fffffffff},
    {.machine = EM_AARCH64, .page_size = 65536, .address_max = 0xffffffffffff},
};

static void check_segment(const struct elf_segment *segment, const struct elf_limits *limits)
{
    const uint64_t mask = limits->page_size - 1;
    INVARIANT((segment->start & mask) == 0 && (segment->end & mask) == 0);
    INVARIANT((segment->file_offset & mask) == 0 && segment->file_offset <= INT64_MAX);
    INVARIANT(segment->start <= segment->file_end && segment->file_end <= segment->memory_end);
    INVARIANT(segment->memory_end <= segment->end && segment->end - segment->memory_end <= mask);
    INVARIANT(segment->start < segment->end);
    INVARIANT(segment->memory_end <= limits->address_max);
    INVARIANT((segment->prot & ~7u) == 0);
    /* What is mapped from the file lies at offsets that a file can have. */
    INVARIANT(segment->file_end - segment->start <= (uint64_t)INT64_MAX - segment->file_offset);
}

static int headers_are_inside(const struct elf_plan *plan)
{
    const uint64_t bytes = (uint64_t)plan->header_size * plan->header_count;
    for (size_t i = 0; i < plan->segment_count; i++) {
        const struct elf_segment *segment = &plan->segments[i];
        if (plan->headers >= segment->start && plan->headers <= segment->file_end &&
            bytes <= segment->file_end - plan->headers)
            return 1;
    }
    return 0;
}

static void check_plan(const struct elf_plan *plan, const struct elf_limits *limits)
{
    INVARIANT(plan->segment_count >= 1 && plan->segment_count <= ELF_SEGMENTS_MAX);
    for (size_t i = 0; i < plan->segment_count; i++) {
        check_segment(&plan->segments[i], limits);
        INVARIANT(i == 0 || plan->segments[i - 1].end <= plan->segments[i].start);
    }
    INVARIANT(plan->start == plan->segments[0].start);
    INVARIANT(plan->end == plan->segments[plan->segment_count - 1].end);
    INVARIANT(plan->alignment >= limits->page_size && (plan->alignment & (plan->alignment - 1)) == 0);
    INVARIANT(plan->entry <= limits->address_max);
    INVARIANT(plan->headers == 0 || headers_are_inside(plan));
    INVARIANT(plan->interpreter_length <= ELF_INTERPRETER_MAX);
    INVARIANT(plan->interpreter_length != 1);
    INVARIANT(plan->interpreter_offset <= INT64_MAX);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++) {
        struct elf_plan plan;
        const int result = elf_plan_read(data, size, &machines[i], &plan);
        INVARIANT(result == 0 || result == -ENOEXEC || result == -EINVAL);
        if (result == 0)
            check_plan(&plan, &machines[i]);
    }
    return 0;
}
