/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "programs/first_stack.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/random.h>
#include <unistd.h>

#include "arch.h"
#include "memory/address_space.h"
#include "memory/guest_copy.h"
#include "memory/mapping_batch.h"
#include "programs/loader.h"
#include "tasks/process.h"
#include "tasks/sandbox_state.h"

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

#define STACK_SIZE      (UINT64_C(8) << 20)
#define STACK_ALIGNMENT UINT64_C(16)
#define RANDOM_BYTES    16
#define AUX_MAX         24

/*
 * From the top down: the program's path, environment strings, argument
 * strings, the platform's name, random bytes, then the table of words: argc,
 * pointers to arguments, pointers to environment, auxiliary vector.
 */
struct stack_plan {
    uint64_t path;
    uint64_t environment;
    uint64_t arguments;
    uint64_t platform;
    uint64_t random;
    uint64_t words;
    size_t word_count;
};

struct aux_vector {
    uint64_t words[2 * AUX_MAX];
    size_t count;
};

static void add_aux(struct aux_vector *aux, uint64_t type, uint64_t value)
{
    aux->words[aux->count++] = type;
    aux->words[aux->count++] = value;
}

static void fill_aux(struct aux_vector *aux, const struct process *process, const struct program_image *image,
                     const struct stack_plan *plan)
{
    const struct credentials *ids = &process->credentials;

    add_aux(aux, AT_HWCAP, getauxval(AT_HWCAP));
    add_aux(aux, AT_HWCAP2, getauxval(AT_HWCAP2));
    add_aux(aux, AT_PAGESZ, process->sandbox->info.page_size);
    add_aux(aux, AT_CLKTCK, (uint64_t)sysconf(_SC_CLK_TCK));
    add_aux(aux, AT_PHDR, image->headers);
    add_aux(aux, AT_PHENT, image->header_size);
    add_aux(aux, AT_PHNUM, image->header_count);
    add_aux(aux, AT_BASE, image->interpreter_base);
    add_aux(aux, AT_FLAGS, 0);
    add_aux(aux, AT_ENTRY, image->entry);
    add_aux(aux, AT_UID, ids->uid);
    add_aux(aux, AT_EUID, ids->euid);
    add_aux(aux, AT_GID, ids->gid);
    add_aux(aux, AT_EGID, ids->egid);
    add_aux(aux, AT_SECURE, 0);
    add_aux(aux, AT_RANDOM, plan->random);
    add_aux(aux, AT_EXECFN, plan->path);
    add_aux(aux, AT_PLATFORM, plan->platform);
    if (getauxval(AT_MINSIGSTKSZ))
        add_aux(aux, AT_MINSIGSTKSZ, getauxval(AT_MINSIGSTKSZ));
    if (process->sandbox->info.vdso)
        add_aux(aux, AT_SYSINFO_EHDR, process->sandbox->info.vdso);
    add_aux(aux, AT_NULL, 0);
}

static struct stack_plan plan_stack(uint64_t top, const struct program *program)
{
    struct stack_plan plan;

    /* Linux leaves one word free at the very top. */
    plan.path = top - sizeof(uint64_t) - (strlen(program->path) + 1);
    plan.environment = plan.path - program->environment.length;
    plan.arguments = plan.environment - program->arguments.length;
    plan.platform = plan.arguments - (strlen(arch_name) + 1);
    plan.random = (plan.platform - RANDOM_BYTES) & ~(STACK_ALIGNMENT - 1);
    plan.word_count = 1 + program->arguments.count + 1 + program->environment.count + 1 + (size_t)2 * AUX_MAX;
    plan.words = (plan.random - plan.word_count * sizeof(uint64_t)) & ~(STACK_ALIGNMENT - 1);
    return plan;
}

/* Pointers to the strings of a list that lies at an address, and a null pointer. */
static size_t add_pointers(uint64_t *words, const struct string_list *list, uint64_t address)
{
    size_t offset = 0;

    for (size_t i = 0; i < list->count; i++) {
        words[i] = address + offset;
        offset += strlen(list->bytes + offset) + 1;
    }
    words[list->count] = 0;
    return list->count + 1;
}

static void fill_words(uint64_t *words, const struct program *program, const struct stack_plan *plan,
                       const struct aux_vector *aux)
{
    size_t n = 0;

    words[n++] = program->arguments.count;
    n += add_pointers(words + n, &program->arguments, plan->arguments);
    n += add_pointers(words + n, &program->environment, plan->environment);
    memcpy(words + n, aux->words, aux->count * sizeof(*words));
}

/* Copies what belongs at a guest address into the stack's own copy, which starts with the words. */
static void put(unsigned char *stack, const struct stack_plan *plan, uint64_t address, const void *bytes, size_t length)
{
    if (length)
        memcpy(stack + (address - plan->words), bytes, length);
}

/* All of it in one copy: the words, and the strings above them. */
static int write_stack(struct address_space *space, const struct program *program, const struct stack_plan *plan,
                       const struct aux_vector *aux)
{
    size_t size = (size_t)(space->stack_top - plan->words);
    unsigned char random[RANDOM_BYTES];
    unsigned char *stack;
    int err;

    if (getrandom(random, sizeof(random), 0) != sizeof(random))
        return -EIO;
    stack = calloc(1, size);
    if (!stack)
        return -ENOMEM;
    fill_words((uint64_t *)(void *)stack, program, plan, aux);
    put(stack, plan, plan->random, random, sizeof(random));
    put(stack, plan, plan->platform, arch_name, strlen(arch_name) + 1);
    put(stack, plan, plan->arguments, program->arguments.bytes, program->arguments.length);
    put(stack, plan, plan->environment, program->environment.bytes, program->environment.length);
    put(stack, plan, plan->path, program->path, strlen(program->path) + 1);
    err = guest_write(space->subprocess, plan->words, stack, size);
    free(stack);
    return err;
}

int first_stack_build(struct process *process, struct mapping_batch *batch, const struct program *program,
                      const struct program_image *image, uint64_t *stack_pointer)
{
    struct address_space *space = batch->space;
    struct vma stack = {.start = space->stack_top - STACK_SIZE,
                        .end = space->stack_top,
                        .prot = TG_PROT_READ | TG_PROT_WRITE,
                        .flags = VMA_STACK};
    struct stack_plan plan = plan_stack(space->stack_top, program);
    struct aux_vector aux = {.count = 0};
    int err;

    if (image->executable_stack)
        stack.prot |= TG_PROT_EXEC;
    if (space->stack_top - plan.words > STACK_SIZE / 2)
        return -E2BIG;
    err = mapping_batch_add(batch, &stack, TG_MAP_NORESERVE, -1);
    if (!err)
        err = mapping_batch_apply(batch);
    if (err)
        return err;
    fill_aux(&aux, process, image, &plan);
    space->args_start = plan.arguments;
    space->args_end = plan.arguments + program->arguments.length;
    space->env_start = plan.environment;
    space->env_end = plan.environment + program->environment.length;
    *stack_pointer = plan.words;
    return write_stack(space, program, &plan, &aux);
}
