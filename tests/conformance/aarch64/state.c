/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What a context has besides its general registers, and what it must not have of others. */
#include <signal.h>
#include <string.h>

#include "../cases.h"
#include "arch.h"
#include "cpu.h"
#include "guest.h"
#include "guests_aarch64.h"

#define VECTOR_BYTES 512
#define STATE_BYTES  528
#define CONTEXTS     2
#define ROUNDS       8
#define PREDICATE_AT 256
#define SIGNED       8
#define OTHER_CODE   (GUEST_CODE_AT + 0x10000)

static void set_vectors(tg_context *context, int byte)
{
    unsigned char state[STATE_BYTES];

    memset(state, 0, sizeof(state));
    memset(state, byte, VECTOR_BYTES);
    CHECK_OK(tg_context_set_fpstate(context, state, sizeof(state)));
}

static void check_stored(const struct guest *guest, int byte)
{
    unsigned char expected[VECTOR_BYTES];
    unsigned char seen[VECTOR_BYTES];

    memset(expected, byte, sizeof(expected));
    CHECK_OK(tg_subprocess_read(guest->subprocess, GUEST_DATA_AT, seen, sizeof(seen), NULL));
    CHECK_BYTES(seen, expected, sizeof(seen));
}

static void vectors_kept(uint32_t backend)
{
    tg_context *contexts[CONTEXTS];
    struct guest guest;

    guest_open(&guest, backend, GUEST_CODE(fp_store));
    CHECK_EQ(platform_info(guest.platform).fpstate_size, STATE_BYTES);
    for (int i = 0; i < CONTEXTS; i++) {
        contexts[i] = create_started_context(guest.platform);
        set_vectors(contexts[i], 0x11 * (i + 1));
    }
    for (int i = 0; i < ROUNDS * CONTEXTS; i++) {
        tg_event event = {.size = sizeof(event)};

        arch_set_argument(contexts[i % CONTEXTS], 0, GUEST_DATA_AT);
        CHECK_OK(tg_context_switch(contexts[i % CONTEXTS], guest.subprocess, &event));
        CHECK_CALL(&event, GUEST_CALL);
        check_stored(&guest, 0x11 * (i % CONTEXTS + 1));
    }
    for (int i = 0; i < CONTEXTS; i++)
        tg_context_destroy(contexts[i]);
    guest_close(&guest);
}

static void vectors_read(uint32_t backend)
{
    unsigned char vectors[VECTOR_BYTES];
    unsigned char state[STATE_BYTES];
    struct guest guest;

    for (size_t i = 0; i < sizeof(vectors); i++)
        vectors[i] = (unsigned char)(i * 7 + i / 256);
    guest_open(&guest, backend, GUEST_CODE(fp_load));
    CHECK_OK(tg_subprocess_write(guest.subprocess, GUEST_DATA_AT, vectors, sizeof(vectors), NULL));
    arch_set_argument(guest.context, 0, GUEST_DATA_AT);
    GUEST_RUN_TO_CALL(&guest);
    CHECK_OK(tg_context_get_fpstate(guest.context, state, sizeof(state)));
    CHECK_BYTES(state, vectors, sizeof(vectors));
    guest_close(&guest);
}

/* Of the vector registers what NT_PRFPREG does not have. */
static void sve_apart(uint32_t backend)
{
    static const unsigned char nothing[PREDICATE_AT];
    unsigned char seen[PREDICATE_AT + 32];
    struct guest guest;
    uint64_t length;

    if (!cpu_has(CPU_SVE))
        SKIP("this processor has no SVE");
    guest_open(&guest, backend, GUEST_CODE(sve_fault));
    load_code(guest.subprocess, OTHER_CODE, GUEST_CODE(sve_store));
    arch_set_argument(guest.context, 0, 0);
    guest_run(&guest);
    CHECK_FAULT(&guest.event, 0, TG_ACCESS_READ, SIGSEGV, SEGV_MAPERR);
    tg_context_destroy(guest.context);
    guest.context = create_started_context(guest.platform);
    arch_set_ip(guest.context, OTHER_CODE);
    arch_set_argument(guest.context, 0, GUEST_DATA_AT);
    GUEST_RUN_TO_CALL(&guest);
    length = guest.event.u.syscall.args[1];
    CHECK(length <= PREDICATE_AT);
    CHECK_OK(tg_subprocess_read(guest.subprocess, GUEST_DATA_AT, seen, sizeof(seen), NULL));
    CHECK_BYTES(seen, nothing, length);
    CHECK_BYTES(seen + PREDICATE_AT, nothing, length / 8);
    guest_close(&guest);
}

static uint64_t sign_here(uint64_t addr, uint64_t with)
{
    __asm__ volatile(".arch_extension pauth\n\tpacia %0, %1" : "+r"(addr) : "r"(with));
    return addr;
}

/* A signature has few bits: some of several may be the same by chance. */
static void own_keys(uint32_t backend)
{
    struct guest guest;
    int same = 0;

    if (!cpu_has(CPU_PAC))
        SKIP("this processor signs no pointers");
    guest_open(&guest, backend, GUEST_CODE(sign));
    for (uint64_t i = 0; i < SIGNED; i++) {
        arch_set_ip(guest.context, GUEST_CODE_AT);
        arch_set_argument(guest.context, 0, GUEST_DATA_AT);
        arch_set_argument(guest.context, 1, i);
        GUEST_RUN_TO_CALL(&guest);
        same += guest.event.u.syscall.args[0] == sign_here(GUEST_DATA_AT, i);
    }
    CHECK(same < SIGNED);
    guest_close(&guest);
}

const struct test_case state_cases[] = {
    {"state.vectors_kept", "Two contexts on one stub thread have vector registers of their own", vectors_kept},
    {"state.vectors_read", "The embedder reads the vector registers that a guest has loaded", vectors_read},
    {"state.sve_apart", "Nothing of a context's SVE registers is another context's", sve_apart},
    {"state.own_keys", "A guest does not sign pointers with the embedder's keys", own_keys},
    {0},
};
