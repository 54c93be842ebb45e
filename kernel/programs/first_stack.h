/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The stack that a program starts with. */
#ifndef TRAPGATE_KERNEL_FIRST_STACK_H
#define TRAPGATE_KERNEL_FIRST_STACK_H

#include <stdbool.h>
#include <stdint.h>

struct mapping_batch;
struct process;
struct program;

/* What the loader put where, for the auxiliary vector. */
struct program_image {
    uint64_t start_address; /* where the first instruction runs: the interpreter's, if there is one */
    uint64_t entry;
    uint64_t interpreter_base;
    uint64_t headers;
    uint16_t header_size;
    uint16_t header_count;
    bool executable_stack;
};

/* Maps the stack behind what the batch has already, all of it in one go, and fills it. 0 or -errno. */
int first_stack_build(struct process *process, struct mapping_batch *batch, const struct program *program,
                      const struct program_image *image, uint64_t *stack_pointer);

#endif
