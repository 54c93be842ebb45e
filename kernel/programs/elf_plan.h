/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Reads the head of an ELF file into a plan of what to map. Pure: a buffer in,
 * a plan out; every number in the buffer is hostile, and every number in the
 * plan is checked.
 */
#ifndef TRAPGATE_KERNEL_ELF_PLAN_H
#define TRAPGATE_KERNEL_ELF_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ELF_SEGMENTS_MAX 64

/* As much of a file as its ELF and program headers must lie in. */
#define ELF_HEAD_MAX 65536

#define ELF_INTERPRETER_MAX 4096

/* What the plan has to fit. */
struct elf_limits {
    uint16_t machine;     /* EM_* */
    uint64_t page_size;   /* a power of two */
    uint64_t address_max; /* no address of the plan is above it */
};

/*
 * One PT_LOAD. Addresses are as in the file: a position-independent program
 * adds its base. start and end are page borders.
 */
struct elf_segment {
    uint64_t start;       /* where its first page begins */
    uint64_t file_offset; /* of start: a multiple of the page size */
    uint64_t file_end;    /* behind the last byte from the file; start when there is none */
    uint64_t memory_end;  /* behind the last byte: zeros from file_end on */
    uint64_t end;         /* memory_end in whole pages */
    uint32_t prot;        /* bit 0 read, bit 1 write, bit 2 execute: as PROT_* and TG_PROT_* */
};

struct elf_plan {
    bool position_independent;
    bool executable_stack;
    uint64_t entry;
    uint64_t alignment;  /* of the base: a power of two, at least a page */
    uint64_t start, end; /* of all segments; page borders */
    uint64_t headers;    /* where the program headers are in memory, or 0 when no segment has them */
    uint16_t header_size;
    uint16_t header_count;
    uint64_t interpreter_offset; /* in the file */
    uint64_t interpreter_length; /* with its NUL; 0: there is none */
    size_t segment_count;
    struct elf_segment segments[ELF_SEGMENTS_MAX]; /* ascending, without a shared page */
};

/* 0, -ENOEXEC when it is no program for this machine, -EINVAL when its headers contradict themselves. */
int elf_plan_read(const unsigned char *head, size_t length, const struct elf_limits *limits, struct elf_plan *plan);

#endif
