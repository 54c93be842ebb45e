/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Calls on a context, at rest and while it runs. */
#include <stdlib.h>
#include <string.h>

#include "arguments.h"

static char not_null;

/* A bit that no processor lets user code set, at the place where the FP state starts. */
static void bad_fpstate(struct fixture *fixture)
{
    const size_t size = fixture->info.fpstate_size;
    unsigned char *state = malloc(size);
    HOLDS(fixture, state != NULL && tg_context_get_fpstate(fixture->context, state, size) == 0);
    REFUSED_MUTE(fixture, -EINVAL, tg_context_set_fpstate(NULL, state, size));
    REFUSED(fixture, -EINVAL, tg_context_set_fpstate(fixture->context, NULL, size));
    REFUSED(fixture, -EINVAL, tg_context_set_fpstate(fixture->context, state, 0));
    REFUSED(fixture, -EINVAL, tg_context_set_fpstate(fixture->context, state, size - 1));
    REFUSED(fixture, -EINVAL, tg_context_set_fpstate(fixture->context, state, SIZE_MAX));
    REFUSED_MUTE(fixture, -EINVAL, tg_context_get_fpstate(NULL, state, size));
    REFUSED(fixture, -EINVAL, tg_context_get_fpstate(fixture->context, NULL, size));
    REFUSED(fixture, -EINVAL, tg_context_get_fpstate(fixture->context, state, 0));
    REFUSED(fixture, -EINVAL, tg_context_get_fpstate(fixture->context, state, size - 1));
    HOLDS(fixture, tg_context_set_fpstate(fixture->context, state, size) == 0);
    free(state);
}

#if defined(__x86_64__)
/* Byte of the XSAVE area, and bits that make the processor refuse it. */
static const struct {
    size_t offset;
    unsigned char bits;
} refused_bits[] = {
    {27, 0x80},  /* MXCSR bit 31 */
    {519, 0x40}, /* XSTATE_BV bit 62: no such component */
    {535, 0x80}, /* XSAVES' compacted layout */
    {536, 0x01}, /* reserved */
    {575, 0x80}, /* reserved */
};

static void refused_fpstate(struct fixture *fixture)
{
    const size_t size = fixture->info.fpstate_size;
    unsigned char *state = malloc(size);
    HOLDS(fixture, state != NULL);
    for (size_t i = 0; i < sizeof(refused_bits) / sizeof(refused_bits[0]); i++) {
        if (refused_bits[i].offset >= size)
            continue;
        HOLDS(fixture, tg_context_get_fpstate(fixture->context, state, size) == 0);
        state[refused_bits[i].offset] |= refused_bits[i].bits;
        REFUSED(fixture, -EINVAL, tg_context_set_fpstate(fixture->context, state, size));
    }
    free(state);
}
#elif defined(__aarch64__)
/* Every bit pattern is a valid FPSIMD state. */
static void refused_fpstate(struct fixture *fixture)
{
    (void)fixture;
}
#endif

static void arguments_of_tls(struct fixture *fixture)
{
    uint64_t tls;
    REFUSED_MUTE(fixture, -EINVAL, tg_context_get_tls(NULL, &tls));
    REFUSED(fixture, -EINVAL, tg_context_get_tls(fixture->context, NULL));
    REFUSED_MUTE(fixture, -EINVAL, tg_context_set_tls(NULL, 0));
    REFUSED(fixture, -EINVAL, tg_context_set_tls(fixture->context, UINT64_MAX));
    REFUSED(fixture, -EINVAL, tg_context_set_tls(fixture->context, 1ull << 63));
    HOLDS(fixture, tg_context_set_tls(fixture->context, DATA_ADDRESS) == 0);
    HOLDS(fixture, tg_context_get_tls(fixture->context, &tls) == 0 && tls == DATA_ADDRESS);
}

static void arguments_of_copies(struct fixture *fixture)
{
    tg_context *context = fixture->context;
    tg_subprocess *subprocess = fixture->subprocess;
    char buffer[8] = {0};
    size_t done = 99;
    REFUSED_MUTE(fixture, -EINVAL, tg_context_read(NULL, NULL, DATA_ADDRESS, buffer, 1, &done));
    REFUSED(fixture, -EINVAL, tg_context_read(NULL, subprocess, DATA_ADDRESS, buffer, 1, &done));
    REFUSED(fixture, -EINVAL, tg_context_read(context, NULL, DATA_ADDRESS, buffer, 1, &done));
    REFUSED(fixture, -EINVAL, tg_context_read(context, subprocess, DATA_ADDRESS, NULL, 1, &done));
    REFUSED(fixture, -ESRCH, tg_context_read(context, fixture->dead, DATA_ADDRESS, buffer, 1, &done));
    REFUSED(fixture, -EFAULT, tg_context_read(context, subprocess, 0, buffer, sizeof(buffer), &done));
    REFUSED_EITHER(fixture, -EFAULT, -EINVAL, tg_context_read(context, subprocess, UINT64_MAX, buffer, 1, &done));
    HOLDS(fixture, tg_context_read(context, subprocess, DATA_ADDRESS, buffer, 0, &done) == 0 && done == 0);
    HOLDS(fixture, tg_context_read(context, subprocess, DATA_ADDRESS, buffer, 1, NULL) == 0);
    REFUSED(fixture, -EINVAL, tg_context_write(NULL, subprocess, DATA_ADDRESS, buffer, 1, &done));
    REFUSED(fixture, -EINVAL, tg_context_write(context, NULL, DATA_ADDRESS, buffer, 1, &done));
    REFUSED(fixture, -EINVAL, tg_context_write(context, subprocess, DATA_ADDRESS, NULL, 1, &done));
    REFUSED(fixture, -ESRCH, tg_context_write(context, fixture->dead, DATA_ADDRESS, buffer, 1, &done));
    REFUSED(fixture, -EFAULT, tg_context_write(context, subprocess, CODE_ADDRESS, buffer, 1, &done));
    HOLDS(fixture, tg_context_write(context, subprocess, DATA_ADDRESS, buffer, 1, NULL) == 0);
    REFUSED(fixture, -EINVAL, tg_context_read_string(NULL, subprocess, DATA_ADDRESS, buffer, 1, &done));
    REFUSED(fixture, -EINVAL, tg_context_read_string(context, NULL, DATA_ADDRESS, buffer, 1, &done));
    REFUSED(fixture, -EINVAL, tg_context_read_string(context, subprocess, DATA_ADDRESS, NULL, 1, &done));
    REFUSED(fixture, -EINVAL, tg_context_read_string(context, subprocess, DATA_ADDRESS, buffer, 1, NULL));
    REFUSED(fixture, -EFAULT, tg_context_read_string(context, subprocess, 0, buffer, sizeof(buffer), &done));
    HOLDS(fixture, tg_context_read_string(context, subprocess, DATA_ADDRESS, buffer, 1, &done) == 0 && done == 0);
}

static void arguments_of_transfers(struct fixture *fixture)
{
    tg_context *context = fixture->context;
    tg_subprocess *subprocess = fixture->subprocess;
    char buffer[8] = {0};
    const tg_transfer good = {
        .size = sizeof(good), .kind = TG_TRANSFER_READ, .addr = DATA_ADDRESS, .buffer = buffer, .length = 1};
    tg_transfer pieces[2] = {good, good};
    REFUSED_MUTE(fixture, -EINVAL, tg_context_transfer(NULL, NULL, pieces, 2));
    REFUSED(fixture, -EINVAL, tg_context_transfer(NULL, subprocess, pieces, 2));
    REFUSED(fixture, -EINVAL, tg_context_transfer(context, NULL, pieces, 2));
    REFUSED(fixture, -EINVAL, tg_context_transfer(context, subprocess, NULL, 2));
    REFUSED(fixture, -EINVAL, tg_context_transfer(context, fixture->foreign_subprocess, pieces, 2));
    REFUSED(fixture, -EINVAL, tg_context_transfer(context, subprocess, pieces, TG_TRANSFER_PIECES + 1));
    REFUSED(fixture, -EINVAL, tg_context_transfer(context, subprocess, pieces, SIZE_MAX));
    REFUSED(fixture, -ESRCH, tg_context_transfer(context, fixture->dead, pieces, 2));
    HOLDS(fixture, tg_context_transfer(context, subprocess, NULL, 0) == 0);
    HOLDS(fixture, tg_context_transfer(context, subprocess, pieces, 2) == 0 && pieces[1].done == 1);
    pieces[1].kind = UINT32_MAX;
    REFUSED(fixture, -EINVAL, tg_context_transfer(context, subprocess, pieces, 2));
    pieces[1] = good;
    pieces[1].buffer = NULL;
    REFUSED(fixture, -EINVAL, tg_context_transfer(context, subprocess, pieces, 2));
    pieces[1] = good;
    pieces[1].size = UINT32_MAX;
    REFUSED(fixture, -EINVAL, tg_context_transfer(context, subprocess, pieces, 2));
    pieces[1] = good;
    pieces[1].addr = UINT64_MAX;
    pieces[1].length = 8;
    REFUSED(fixture, -EFAULT, tg_context_transfer(context, subprocess, pieces, 2));
    HOLDS(fixture, pieces[0].done == 1 && pieces[1].done == 0);
}

static void arguments_of_exchanges(struct fixture *fixture)
{
    tg_context *context = fixture->context;
    tg_subprocess *subprocess = fixture->subprocess;
    tg_event event = {.size = sizeof(event)};
    tg_regs regs = {.size = sizeof(regs)};
    REFUSED_MUTE(fixture, -EINVAL, tg_context_exchange(NULL, NULL, &regs, TG_EXCHANGE_NOTHING, &event));
    REFUSED(fixture, -EINVAL, tg_context_exchange(NULL, subprocess, &regs, TG_EXCHANGE_NOTHING, &event));
    REFUSED(fixture, -EINVAL, tg_context_exchange(context, NULL, &regs, TG_EXCHANGE_NOTHING, &event));
    REFUSED(fixture, -EINVAL, tg_context_exchange(context, subprocess, NULL, TG_EXCHANGE_NOTHING, &event));
    REFUSED(fixture, -EINVAL, tg_context_exchange(context, subprocess, &regs, TG_EXCHANGE_NOTHING, NULL));
    REFUSED(fixture, -EINVAL, tg_context_exchange(context, subprocess, &regs, TG_EXCHANGE_ALL + 1, &event));
    REFUSED(fixture, -EINVAL, tg_context_exchange(context, subprocess, &regs, UINT32_MAX, &event));
    REFUSED(fixture, -EINVAL,
            tg_context_exchange(context, fixture->foreign_subprocess, &regs, TG_EXCHANGE_NOTHING, &event));
    event.size = sizeof(uint32_t);
    REFUSED(fixture, -EINVAL, tg_context_exchange(context, subprocess, &regs, TG_EXCHANGE_NOTHING, &event));
}

static void arguments_of_call_bytes(struct fixture *fixture)
{
    tg_context *context = fixture->context;
    tg_subprocess *subprocess = fixture->subprocess;
    const void *bytes = &context;
    size_t length = 99;
    REFUSED_MUTE(fixture, -EINVAL, tg_context_brought(NULL, NULL, 0, &bytes, &length));
    HOLDS(fixture, bytes == NULL && length == 0);
    REFUSED(fixture, -EINVAL, tg_context_brought(NULL, subprocess, 0, &bytes, &length));
    REFUSED(fixture, -EINVAL, tg_context_brought(context, NULL, 0, &bytes, &length));
    REFUSED(fixture, -EINVAL, tg_context_brought(context, subprocess, 0, NULL, &length));
    REFUSED(fixture, -EINVAL, tg_context_brought(context, subprocess, 0, &bytes, NULL));
    REFUSED(fixture, -EINVAL, tg_context_brought(context, subprocess, 0, &bytes, &length));
    REFUSED(fixture, -EINVAL, tg_context_brought(context, fixture->dead, UINT32_MAX, &bytes, &length));
    REFUSED_MUTE(fixture, -EINVAL, tg_context_attach(NULL, DATA_ADDRESS, "x", 1));
    REFUSED(fixture, -EINVAL, tg_context_attach(context, DATA_ADDRESS, NULL, 1));
    REFUSED(fixture, -EINVAL, tg_context_attach(context, DATA_ADDRESS, "x", 1));
    REFUSED(fixture, -EINVAL, tg_context_attach(context, DATA_ADDRESS, NULL, 0));
}

void arguments_of_context(struct fixture *fixture)
{
    tg_context *out = (tg_context *)&not_null;
    REFUSED_MUTE(fixture, -EINVAL, tg_context_create(NULL, &out));
    HOLDS(fixture, out == NULL);
    REFUSED(fixture, -EINVAL, tg_context_create(fixture->platform, NULL));
    REFUSED_MUTE(fixture, -EINVAL, tg_context_start(NULL, CODE_ADDRESS, DATA_ADDRESS));
    REFUSED(fixture, -EINVAL, tg_context_copy(NULL, fixture->context));
    REFUSED(fixture, -EINVAL, tg_context_copy(fixture->context, NULL));
    REFUSED_MUTE(fixture, -EINVAL, tg_context_set_flags(NULL, 0));
    REFUSED(fixture, -EINVAL, tg_context_set_flags(fixture->context, 0x2));
    REFUSED(fixture, -EINVAL, tg_context_set_flags(fixture->context, 0x80000001));
    REFUSED_MUTE(fixture, -EINVAL, tg_context_set_user_data(NULL, 1));
    arguments_of_copies(fixture);
    arguments_of_transfers(fixture);
    arguments_of_exchanges(fixture);
    arguments_of_call_bytes(fixture);
    REFUSED_MUTE(fixture, -EINVAL, tg_context_set_word(NULL, 0, 0));
    REFUSED(fixture, -EINVAL, tg_context_set_word(fixture->context, TG_CONTEXT_WORDS, 0));
    REFUSED(fixture, -EINVAL, tg_context_set_word(fixture->context, UINT32_MAX, 0));
    HOLDS(fixture, tg_context_set_word(fixture->context, TG_CONTEXT_WORDS - 1, UINT64_MAX) == 0);
    REFUSED_MUTE(fixture, -EINVAL, tg_context_set_return(NULL, 0));
    REFUSED_MUTE(fixture, -EINVAL, tg_context_restart_syscall(NULL));
    REFUSED(fixture, -EINVAL, tg_context_restart_syscall(fixture->context));
    REFUSED_MUTE(fixture, -EINVAL, tg_context_interrupt(NULL));
    HOLDS(fixture, tg_context_user_data(NULL) == 0);
    HOLDS(fixture, tg_context_regs(NULL) == NULL);
    HOLDS(fixture, tg_context_regs_mut(NULL) == NULL);
    tg_context_destroy(NULL);
    arguments_of_tls(fixture);
    bad_fpstate(fixture);
    refused_fpstate(fixture);
}

static void restart_elsewhere(struct fixture *fixture)
{
    tg_event event = {.size = sizeof(event)};
    HOLDS(fixture, tg_context_switch(fixture->context, fixture->subprocess, &event) == 0);
    HOLDS(fixture, event.kind == TG_EVENT_SYSCALL);
    HOLDS(fixture, tg_context_start(fixture->context, CODE_ADDRESS, DATA_ADDRESS) == 0);
    REFUSED(fixture, -EINVAL, tg_context_restart_syscall(fixture->context));
}

/* Registers that would take the stub thread out of user mode's reach. */
static void refused_registers(struct fixture *fixture)
{
    tg_event event = {.size = sizeof(event)};
    tg_regs *regs = tg_context_regs_mut(fixture->context);
    const tg_regs good = *regs;
#if defined(__x86_64__)
    regs->fs_base = 1ull << 63;
    REFUSED(fixture, -EINVAL, tg_context_switch(fixture->context, fixture->subprocess, &event));
    *regs = good;
    regs->gs_base = UINT64_MAX;
    REFUSED(fixture, -EINVAL, tg_context_switch(fixture->context, fixture->subprocess, &event));
    *regs = good;
    regs->cs = 0x10;
    REFUSED(fixture, -EINVAL, tg_context_switch(fixture->context, fixture->subprocess, &event));
    *regs = good;
    regs->ss = 0x18;
    REFUSED(fixture, -EINVAL, tg_context_switch(fixture->context, fixture->subprocess, &event));
#elif defined(__aarch64__)
    regs->pstate = 0x5; /* EL1h */
    REFUSED(fixture, -EINVAL, tg_context_switch(fixture->context, fixture->subprocess, &event));
#endif
    *regs = good;
}

void arguments_of_switch(struct fixture *fixture)
{
    tg_event event = {.size = sizeof(event)};
    REFUSED(fixture, -EINVAL, tg_context_switch(NULL, fixture->subprocess, &event));
    REFUSED(fixture, -EINVAL, tg_context_switch(fixture->context, NULL, &event));
    REFUSED(fixture, -EINVAL, tg_context_switch(fixture->context, fixture->subprocess, NULL));
    REFUSED(fixture, -EINVAL, tg_context_switch(fixture->context, fixture->foreign_subprocess, &event));
    REFUSED(fixture, -EINVAL, tg_context_switch(fixture->foreign_context, fixture->subprocess, &event));
    event.size = 0;
    REFUSED(fixture, -EINVAL, tg_context_switch(fixture->context, fixture->subprocess, &event));
    refused_registers(fixture);
    restart_elsewhere(fixture);
    event.size = sizeof(event);
    HOLDS(fixture, tg_context_switch(fixture->context, fixture->dead, &event) == 0);
    HOLDS(fixture, event.kind == TG_EVENT_DEAD && event.u.dead.reason == TG_DEAD_KILLED);
}

void arguments_of_busy_context(struct fixture *fixture)
{
    const size_t size = fixture->info.fpstate_size;
    tg_event event = {.size = sizeof(event)};
    tg_regs regs = {.size = sizeof(regs)};
    tg_context *busy = NULL;
    void *state = malloc(size);
    const void *bytes;
    size_t length;
    char byte = 0;
    tg_transfer piece = {
        .size = sizeof(piece), .kind = TG_TRANSFER_READ, .addr = DATA_ADDRESS, .buffer = &byte, .length = 1};
    HOLDS(fixture, state != NULL && tg_context_get_fpstate(fixture->context, state, size) == 0);
    HOLDS(fixture, tg_context_create(fixture->platform, &busy) == 0);
    struct spinner *spinner = spinner_start(fixture, busy, fixture->subprocess);

    REFUSED(fixture, -EBUSY, tg_context_switch(busy, fixture->subprocess, &event));
    REFUSED(fixture, -EBUSY, tg_context_exchange(busy, fixture->subprocess, &regs, TG_EXCHANGE_ALL, &event));
    REFUSED(fixture, -EBUSY, tg_queue_submit(fixture->queue, busy, fixture->subprocess));
    REFUSED(fixture, -EBUSY, tg_context_start(busy, CODE_ADDRESS, DATA_ADDRESS));
    REFUSED(fixture, -EBUSY, tg_context_copy(busy, fixture->context));
    REFUSED(fixture, -EBUSY, tg_context_copy(fixture->context, busy));
    REFUSED(fixture, -EBUSY, tg_context_set_flags(busy, TG_CONTEXT_ONE_THREAD));
    REFUSED(fixture, -EBUSY, tg_context_get_fpstate(busy, state, size));
    REFUSED(fixture, -EBUSY, tg_context_set_fpstate(busy, state, size));
    REFUSED(fixture, -EBUSY, tg_context_set_return(busy, 0));
    REFUSED(fixture, -EBUSY, tg_context_read(busy, fixture->subprocess, DATA_ADDRESS, &byte, 1, NULL));
    REFUSED(fixture, -EBUSY, tg_context_write(busy, fixture->subprocess, DATA_ADDRESS, &byte, 1, NULL));
    REFUSED(fixture, -EBUSY, tg_context_read_string(busy, fixture->subprocess, DATA_ADDRESS, &byte, 1, &length));
    REFUSED(fixture, -EBUSY, tg_context_transfer(busy, fixture->subprocess, &piece, 1));
    REFUSED(fixture, -EBUSY, tg_context_brought(busy, fixture->subprocess, 0, &bytes, &length));
    REFUSED(fixture, -EBUSY, tg_context_attach(busy, DATA_ADDRESS, &byte, 1));
    REFUSED(fixture, -EBUSY, tg_context_restart_syscall(busy));
    HOLDS(fixture, tg_context_regs_mut(busy) == NULL);

    spinner_stop(fixture, spinner);
    tg_context_destroy(busy);
    free(state);
}
