/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Memory of the guests: code, a stack, a shared page of words that both sides see, and an arena to map and unmap. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "answers.h"
#include "guest.h"
#include "guests.h"
#include "model.h"

#define PAGE      4096
#define CODE_STEP 256
#define WORDS_AT  GUEST_DATA_AT

const uint64_t guests_code_at = GUEST_CODE_AT;
const uint64_t guests_code_size = PAGE;
const uint64_t guests_arena_at = GUEST_HOLE_AT;
const uint64_t guests_arena_size = 64 * PAGE;
const uint64_t guests_stack_top = GUEST_STACK_TOP;

static const struct guest_code codes[] = {
    GUEST_INIT(counting_calls), GUEST_INIT(spin_counting), GUEST_INIT(call_loop),         GUEST_INIT(read_calls),
    GUEST_INIT(write_calls),    GUEST_INIT(steps),         GUEST_INIT(invert_then_fault), GUEST_INIT(invert_then_call),
    GUEST_INIT(jump),           GUEST_INIT(raw_call_loop), GUEST_INIT(spin_registers),    GUEST_INIT(read_then_write),
    GUEST_INIT(ask_and_tell),
};

#define CODES (sizeof(codes) / sizeof(codes[0]))

static int words_file;
static uint64_t *words;
static unsigned char code_page[PAGE];

void guests_init(void)
{
    words_file = memfd_create("words", MFD_CLOEXEC);
    if (words_file < 0 || ftruncate(words_file, PAGE))
        wrong("memfd: %m");
    words = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, words_file, 0);
    if (words == MAP_FAILED)
        wrong("mmap: %m");
    for (size_t i = 0; i < CODES; i++)
        memcpy(code_page + i * CODE_STEP, codes[i].start, (size_t)(codes[i].end - codes[i].start));
}

uint64_t guests_word(uint64_t number)
{
    return __atomic_load_n(&words[number], __ATOMIC_SEQ_CST);
}

uint64_t guests_word_address(uint64_t number)
{
    return WORDS_AT + 8 * number;
}

uint64_t guests_code(struct thread *thread, enum guest_kind kind)
{
    uint64_t index = kind == GUEST_COUNTS ? 0 : kind == GUEST_SPINS ? 1 : 2 + random_below(thread, CODES - 2);

    return GUEST_CODE_AT + index * CODE_STEP;
}

int guests_load(tg_subprocess *subprocess)
{
    const tg_mem_op ops[] = {
        {.size = sizeof(ops[0]), .kind = TG_MEM_MAP, .addr = GUEST_CODE_AT, .length = PAGE, .prot = PROT_RW, .fd = -1},
        {.size = sizeof(ops[0]),
         .kind = TG_MEM_MAP,
         .addr = GUEST_STACK_AT,
         .length = PAGE * 16,
         .prot = PROT_RW,
         .fd = -1},
        {.size = sizeof(ops[0]),
         .kind = TG_MEM_MAP,
         .addr = WORDS_AT,
         .length = PAGE,
         .prot = PROT_RW,
         .flags = TG_MAP_SHARED,
         .fd = words_file},
    };
    int err = tg_subprocess_apply(subprocess, ops, 3, NULL);

    if (!err)
        err = tg_subprocess_write(subprocess, GUEST_CODE_AT, code_page, PAGE, NULL);
    return err ? err : tg_subprocess_protect(subprocess, GUEST_CODE_AT, PAGE, PROT_RX);
}
