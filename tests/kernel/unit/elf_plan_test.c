/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "programs/elf_plan.h"

static const struct elf_limits limits = {.machine = EM_X86_64, .page_size = 4096, .address_max = UINT64_C(1) << 47};

/* A program with a text and a data segment and an interpreter. */
struct image {
    Elf64_Ehdr header;
    Elf64_Phdr programs[4];
};

static struct image good_image(void)
{
    struct image image = {
        .header = {.e_type = ET_DYN,
                   .e_machine = EM_X86_64,
                   .e_entry = 0x1040,
                   .e_phoff = sizeof(Elf64_Ehdr),
                   .e_phentsize = sizeof(Elf64_Phdr),
                   .e_phnum = 4},
        .programs = {{.p_type = PT_INTERP, .p_offset = 0x300, .p_filesz = 28},
                     {.p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_filesz = 0x1800, .p_memsz = 0x1800},
                     {.p_type = PT_LOAD,
                      .p_flags = PF_R | PF_W,
                      .p_offset = 0x2e00,
                      .p_vaddr = 0x3e00,
                      .p_filesz = 0x300,
                      .p_memsz = 0x2300,
                      .p_align = 0x1000},
                     {.p_type = PT_GNU_STACK, .p_flags = PF_R | PF_W}},
    };

    memcpy(image.header.e_ident, ELFMAG, SELFMAG);
    image.header.e_ident[EI_CLASS] = ELFCLASS64;
    image.header.e_ident[EI_DATA] = ELFDATA2LSB;
    return image;
}

static int read_image(const struct image *image, struct elf_plan *plan)
{
    return elf_plan_read((const unsigned char *)image, sizeof(*image), &limits, plan);
}

static void a_good_image_is_planned(void **state)
{
    struct image image = good_image();
    struct elf_plan plan;

    (void)state;
    assert_int_equal(read_image(&image, &plan), 0);
    assert_true(plan.position_independent);
    assert_false(plan.executable_stack);
    assert_int_equal(plan.entry, 0x1040);
    assert_int_equal(plan.start, 0);
    assert_int_equal(plan.end, 0x7000);
    assert_int_equal(plan.headers, sizeof(Elf64_Ehdr));
    assert_int_equal(plan.header_count, 4);
    assert_int_equal(plan.interpreter_offset, 0x300);
    assert_int_equal(plan.interpreter_length, 28);
    assert_int_equal(plan.segment_count, 2);
    assert_int_equal(plan.segments[1].start, 0x3000);
    assert_int_equal(plan.segments[1].file_offset, 0x2000);
    assert_int_equal(plan.segments[1].file_end, 0x4100);
    assert_int_equal(plan.segments[1].memory_end, 0x6100);
    assert_int_equal(plan.segments[1].end, 0x7000);
    assert_int_equal(plan.segments[1].prot, 3);
}

static void other_files_are_no_programs(void **state)
{
    struct image image = good_image();
    struct elf_plan plan;

    (void)state;
    assert_int_equal(elf_plan_read((const unsigned char *)"#!/bin/sh\n", 10, &limits, &plan), -ENOEXEC);
    assert_int_equal(elf_plan_read((const unsigned char *)&image, sizeof(image.header) - 1, &limits, &plan), -ENOEXEC);
    assert_int_equal(elf_plan_read((const unsigned char *)&image, sizeof(image) - 1, &limits, &plan), -ENOEXEC);
    image.header.e_machine = EM_AARCH64;
    assert_int_equal(read_image(&image, &plan), -ENOEXEC);
    image = good_image();
    image.header.e_ident[EI_CLASS] = ELFCLASS32;
    assert_int_equal(read_image(&image, &plan), -ENOEXEC);
    image = good_image();
    image.header.e_type = ET_REL;
    assert_int_equal(read_image(&image, &plan), -ENOEXEC);
    image = good_image();
    image.header.e_phoff = UINT64_MAX - 8;
    assert_int_equal(read_image(&image, &plan), -ENOEXEC);
    image = good_image();
    image.header.e_phentsize = 1;
    assert_int_equal(read_image(&image, &plan), -ENOEXEC);
}

static void contradictions_are_refused(void **state)
{
    static const struct {
        uint64_t offset, vaddr, filesz, memsz, align;
    } bad[] = {
        {0x2e00, 0x3e00, 0x300, 0x200, 0x1000},            /* more in the file than in memory */
        {0x2e01, 0x3e00, 0x300, 0x300, 0x1000},            /* not at the same place in its page */
        {0x0e00, 0x1200, 0x300, 0x300, 0},                 /* the same */
        {0x0e00, 0x0e00, 0x300, 0x300, 0},                 /* shares a page with the segment before */
        {0x2e00, UINT64_MAX - 0x1ff, 0x100, 0x100, 0},     /* above all addresses */
        {0x2e00, 0x3e00, 0x300, UINT64_MAX, 0},            /* wraps */
        {0x8000000000002e00, 0x3e00, 0x300, 0x300, 0},     /* no file is that long */
        {0x2e00, 0x3e00, 0x300, 0x300, 0x3000},            /* no power of two */
        {0x2e00, 0x3e00, 0x300, 0x300, UINT64_C(1) << 60}, /* no base could have it */
        {0x2e00, 0x3e00, 0x300, 0, 0},                     /* nothing in memory, something in the file */
    };
    struct elf_plan plan;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct image image = good_image();
        Elf64_Phdr *data = &image.programs[2];
        data->p_offset = bad[i].offset;
        data->p_vaddr = bad[i].vaddr;
        data->p_filesz = bad[i].filesz;
        data->p_memsz = bad[i].memsz;
        data->p_align = bad[i].align;
        assert_int_equal(read_image(&image, &plan), -EINVAL);
    }
}

static void strange_but_valid(void **state)
{
    struct image image = good_image();
    struct elf_plan plan;

    (void)state;
    image.programs[2].p_filesz = 0;
    image.programs[3].p_flags |= PF_X;
    assert_int_equal(read_image(&image, &plan), 0);
    assert_int_equal(plan.segments[1].file_end, plan.segments[1].start);
    assert_true(plan.executable_stack);
    image = good_image();
    image.programs[1].p_type = PT_NULL;
    assert_int_equal(read_image(&image, &plan), 0);
    assert_int_equal(plan.headers, 0);
    image.programs[2].p_type = PT_NULL;
    assert_int_equal(read_image(&image, &plan), -EINVAL);
    image = good_image();
    image.programs[0].p_filesz = ELF_INTERPRETER_MAX + 1;
    assert_int_equal(read_image(&image, &plan), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_image_is_planned),
        cmocka_unit_test(other_files_are_no_programs),
        cmocka_unit_test(contradictions_are_refused),
        cmocka_unit_test(strange_but_valid),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
