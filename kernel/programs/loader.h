/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Puts a program into an empty address space: its segments, its interpreter,
 * and the first stack with arguments, environment and auxiliary vector.
 */
#ifndef TRAPGATE_KERNEL_LOADER_H
#define TRAPGATE_KERNEL_LOADER_H

#include <stddef.h>
#include <stdint.h>

struct address_space;
struct process;

/* Strings in one buffer, each with its NUL, one after the other. */
struct string_list {
    char *bytes;
    size_t length;
    size_t capacity;
    size_t count;
};

/* The most bytes that arguments and environment may have together, as Linux limits them for an 8 MiB stack. */
#define PROGRAM_STRINGS_MAX (2U << 20)
/* The longest single one (MAX_ARG_STRLEN). */
#define PROGRAM_STRING_MAX  (128U << 10)

int string_list_add(struct string_list *list, const char *string);
int string_list_add_first(struct string_list *list, const char *string);
void string_list_remove_first(struct string_list *list);
void string_list_free(struct string_list *list);

struct program {
    char *path; /* as the guest names it; AT_EXECFN */
    struct string_list arguments;
    struct string_list environment;
};

void program_free(struct program *program);

struct loaded_program {
    uint64_t entry;
    uint64_t stack_pointer;
    char *executable; /* the file that runs: a script's interpreter; to be freed */
};

/* 0 or -errno; the address space is of no use after a failure. May change the arguments (scripts). */
int loader_load(struct process *process, struct address_space *space, struct program *program,
                struct loaded_program *loaded);

#endif
