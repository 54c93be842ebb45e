/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * System calls whose code may be changed by the library. Whether it is or not, a guest sees what it would see natively:
 * every case runs on every backend, and looks at sites and bytes where TG_CAP_PATCHING is.
 */
#ifndef TESTS_CONFORMANCE_X86_64_PATCHING_H
#define TESTS_CONFORMANCE_X86_64_PATCHING_H

#include <stdbool.h>

#include "arch.h"
#include "guest.h"
#include "guests_x86_64.h"

/* By then a call that is to be patched is. */
#define WARM_CALLS 12
#define MANY_CALLS 300

/* ---- one call and its neighbours, for ever: PATTERN of guests/x86_64/patching.S ---- */

#define INVERTED_REGISTERS 10
#define PATCHED_PATTERNS   11

enum taken {
    LEFT_ALONE,
    BEFORE,
    BEHIND,
};

struct pattern {
    const char *name;
    struct guest_code code;
    const unsigned char *start;  /* of what comes before the call */
    const unsigned char *call;   /* the instruction */
    const unsigned char *behind; /* the next one */
    uint64_t number;             /* 0: GUEST_CALL */
    enum taken taken;
    uint32_t reason;   /* TG_PATCH_REFUSED_*, for LEFT_ALONE */
    uint64_t inner;    /* where the second instruction behind the call is, from the first; 0: not asked */
    uint64_t inner_by; /* what r15 grows by from there */
    bool moved;        /* the guest cannot run what is behind the call */
};

#define PATTERN(pattern_name, ...)                                                                                     \
    {                                                                                                                  \
        .name = #pattern_name, .code = GUEST_INIT(patch_##pattern_name), .start = guest_patch_##pattern_name##_start,  \
        .call = guest_patch_##pattern_name##_call, .behind = guest_patch_##pattern_name##_behind, __VA_ARGS__          \
    }

/* Those that are patched. */
extern const struct pattern patched_patterns[PATCHED_PATTERNS];

/* A context that runs a pattern, and what it has to look like. */
struct loop {
    struct guest guest;
    const struct pattern *pattern;
    uint64_t at; /* where the code is */
    uint64_t words[INVERTED_REGISTERS];
    uint64_t r15;
    bool stopped; /* at a call, with what is behind it to come */
    uint64_t calls;
};

#define CODE_LENGTH(loop) ((size_t)((loop)->pattern->code.end - (loop)->pattern->code.start))

const struct pattern *find_pattern(const char *name);
uint64_t number_of(const struct pattern *pattern);
bool can_patch(const struct guest *guest);
uint64_t place(const struct loop *loop, const unsigned char *label);
uint64_t word_of(const tg_regs *regs, size_t offset);

/* Puts the context at the code, with registers of its own. */
void loop_start(struct loop *loop, uint64_t seed);
void loop_open(struct loop *loop, uint32_t backend, uint64_t flags, const struct pattern *pattern);
void loop_close(struct loop *loop);

/* The event is this pattern's call with this number, and every register is what it has to be. */
void check_loop_call(struct loop *loop, uint64_t number);
/* Once round the loop, from call to call: what it has to look like at the next one. */
void loop_expect(struct loop *loop);
void loop_answer(struct loop *loop);
void loop_call(struct loop *loop);
void loop_calls(struct loop *loop, unsigned int calls);

/* In the stub itself: what a guest finds that reads its own code. The embedder reads the original bytes in any case. */
bool bytes_are_original(const struct guest *guest, uint64_t at, struct guest_code code);
bool code_is_original(const struct loop *loop);
bool last_was_patched(const struct loop *loop);
/* Calls until the site is patched, where that is what happens to it. */
void loop_warm(struct loop *loop);

void check_sites(const struct guest *guest, uint64_t before, uint64_t behind);
uint64_t refusals(const struct guest *guest);
/* One site was looked at, and left alone for this reason. */
void check_refused(const struct guest *guest, uint32_t reason);

/* To the call itself, with the number of a result. */
void loop_jump_to_call(struct loop *loop, uint64_t number);
/* Behind it, without a call; from there it comes round to the start. */
void loop_jump_behind(struct loop *loop, uint64_t offset, uint64_t adds);

uint64_t page_down(const struct guest *guest, uint64_t addr);
/* The code at any address, in fresh pages. */
void put_code(const struct guest *guest, uint64_t addr, struct guest_code code, uint32_t prot);
void protect_page(const struct guest *guest, uint64_t addr, uint32_t prot);

/* Everything of a site works: it can be arrived at inside, and has its bytes when it is made writable. */
void check_site_is_whole(struct loop *loop);

#endif
