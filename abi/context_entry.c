/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Entry points: context. They check, take the context where it must stay still, and forward. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/option_arrays.h"
#include "abi/option_structs.h"
#include "abi/public_errors.h"
#include "core/attached.h"
#include "core/backend.h"
#include "core/brought.h"
#include "core/event.h"
#include "core/no_cancel.h"

#define CONTEXT_FLAGS_ALL TG_CONTEXT_ONE_THREAD

static int busy(const tg_context *context)
{
    return platform_fail(context->platform, -EBUSY, "the context is running");
}

int tg_context_create(tg_platform *platform, tg_context **out)
{
    if (!out)
        return platform_fail_null(platform, __func__);
    *out = NULL;
    if (!platform)
        return -EINVAL;
    return public_error(context_create(platform, out));
}

int tg_context_start(tg_context *context, uint64_t ip, uint64_t sp)
{
    if (!context)
        return -EINVAL;
    if (!context_take(context))
        return busy(context);
    context_start(context, ip, sp);
    context_give_back(context);
    return 0;
}

int tg_context_copy(tg_context *to, const tg_context *from)
{
    NO_CANCELLATION;
    tg_context *source = (tg_context *)(uintptr_t)from; /* its FP state may have to be fetched */
    int err = -EBUSY;

    if (!to || !from)
        return platform_fail_null(to ? to->platform : from ? from->platform : NULL, __func__);
    if (to->platform != from->platform)
        return platform_fail(to->platform, -EINVAL, "copy a context: the two belong to different platforms");
    if (to == from)
        return 0;
    if (!context_take(to))
        return busy(to);
    if (context_take_as(source, CONTEXT_READ)) {
        err = context_copy(to, source);
        context_give_back(source);
    } else {
        busy(source);
    }
    context_give_back(to);
    return public_error(err);
}

int tg_context_set_flags(tg_context *context, uint32_t flags)
{
    NO_CANCELLATION;
    int err;

    if (!context)
        return -EINVAL;
    if (flags & ~(uint32_t)CONTEXT_FLAGS_ALL)
        return platform_fail(context->platform, -EINVAL, "set context flags: unknown bits");
    if (!context_take(context))
        return busy(context);
    err = context->platform->ops->context_pull_fp(context);
    if (!err)
        context->flags = flags;
    context_give_back(context);
    return public_error(err);
}

int tg_context_set_user_data(tg_context *context, uint64_t user_data)
{
    if (!context)
        return -EINVAL;
    if (!context_take(context))
        return busy(context);
    context->user_data = user_data;
    context_give_back(context);
    return 0;
}

uint64_t tg_context_user_data(const tg_context *context)
{
    return context ? context->user_data : 0;
}

const tg_regs *tg_context_regs(const tg_context *context)
{
    tg_context *own = (tg_context *)(uintptr_t)context; /* its registers may have to be fetched */

    if (!context)
        return NULL;
    return context_is_readable(context) ? context_regs(own) : &context->regs;
}

tg_regs *tg_context_regs_mut(tg_context *context)
{
    return context && !context_is_running(context) ? context_regs_mut(context) : NULL;
}

int tg_context_get_fpstate(tg_context *context, void *buffer, size_t capacity)
{
    NO_CANCELLATION;
    int err;

    if (!context)
        return -EINVAL;
    if (!buffer || capacity < context->platform->info.fpstate_size)
        return platform_fail(context->platform, -EINVAL,
                             "read an FP state: the buffer must hold the fpstate_size of tg_info");
    if (!context_take_as(context, CONTEXT_READ))
        return busy(context);
    err = context_get_fpstate(context, buffer);
    context_give_back(context);
    return public_error(err);
}

int tg_context_set_fpstate(tg_context *context, const void *buffer, size_t length)
{
    NO_CANCELLATION;
    int err;

    if (!context)
        return -EINVAL;
    if (!buffer || length != context->platform->info.fpstate_size)
        return platform_fail(context->platform, -EINVAL,
                             "set an FP state: the length must be the fpstate_size of tg_info");
    if (!context_take(context))
        return busy(context);
    err = context_set_fpstate(context, buffer);
    context_give_back(context);
    return public_error(err);
}

int tg_context_get_tls(const tg_context *context, uint64_t *out)
{
    if (!context || !out)
        return platform_fail_null(context ? context->platform : NULL, __func__);
    if (!context_is_readable(context))
        return busy(context);
    *out = tgi_arch.tls(tg_context_regs(context));
    return 0;
}

int tg_context_set_tls(tg_context *context, uint64_t tls)
{
    int err;

    if (!context)
        return -EINVAL;
    if (!context_take(context))
        return busy(context);
    err = tgi_arch.set_tls(context_regs_mut(context), tls);
    if (err)
        platform_fail(context->platform, err, "set the TLS register: 0x%llx is no address of a guest",
                      (unsigned long long)tls);
    context_give_back(context);
    return public_error(err);
}

int tg_context_set_word(tg_context *context, uint32_t index, uint64_t value)
{
    if (!context)
        return -EINVAL;
    if (index >= TG_CONTEXT_WORDS)
        return platform_fail(context->platform, -EINVAL, "set a word: a context has %d", TG_CONTEXT_WORDS);
    return public_error(context_set_word(context, index, value));
}

int tg_context_set_return(tg_context *context, int64_t value)
{
    if (!context)
        return -EINVAL;
    /* On the way of every call that is answered: one look, where taking would cost an exchange. */
    if (context_is_running(context))
        return busy(context);
    return public_error(context_set_return(context, value));
}

int tg_context_restart_syscall(tg_context *context)
{
    int err;

    if (!context)
        return -EINVAL;
    if (!context_take(context))
        return busy(context);
    err = context_restart_syscall(context);
    context_give_back(context);
    return public_error(err);
}

/* ---- guest memory ---- */

static int check_to_copy(const tg_context *context, const tg_subprocess *subprocess)
{
    if (!context || !subprocess)
        return platform_fail_null(context      ? context->platform
                                  : subprocess ? subprocess->platform
                                               : NULL,
                                  "copy guest memory");
    if (context->platform != subprocess->platform)
        return platform_fail(context->platform, -EINVAL,
                             "copy guest memory: the subprocess belongs to another platform");
    return 0;
}

/* 0, and then the context is taken. */
static int take_to_copy(tg_context *context, const tg_subprocess *subprocess, const void *buffer, size_t length)
{
    const int err = check_to_copy(context, subprocess);

    if (err)
        return err;
    if (length && !buffer)
        return platform_fail(context->platform, -EINVAL, "copy guest memory: the buffer is NULL");
    return context_take(context) ? 0 : busy(context);
}

static int transfer_one(tg_context *context, tg_subprocess *subprocess, tg_transfer piece, size_t *done)
{
    int err;

    if (done)
        *done = 0;
    err = take_to_copy(context, subprocess, piece.buffer, piece.length);
    if (err)
        return public_error(err);
    if (piece.length)
        err = context_transfer(context, subprocess, &piece, 1);
    context_give_back(context);
    if (done)
        *done = piece.done;
    return public_error(err);
}

int tg_context_read(tg_context *context, tg_subprocess *subprocess, uint64_t addr, void *buffer, size_t length,
                    size_t *done)
{
    NO_CANCELLATION;

    return transfer_one(context, subprocess, transfer_piece(TG_TRANSFER_READ, addr, buffer, length), done);
}

int tg_context_write(tg_context *context, tg_subprocess *subprocess, uint64_t addr, const void *buffer, size_t length,
                     size_t *done)
{
    NO_CANCELLATION;
    void *bytes = (void *)(uintptr_t)buffer;

    return transfer_one(context, subprocess, transfer_piece(TG_TRANSFER_WRITE, addr, bytes, length), done);
}

int tg_context_read_string(tg_context *context, tg_subprocess *subprocess, uint64_t addr, char *buffer, size_t capacity,
                           size_t *length)
{
    NO_CANCELLATION;

    if (!length)
        return platform_fail_null(context ? context->platform : NULL, __func__);
    return transfer_one(context, subprocess, transfer_piece(TG_TRANSFER_STRING, addr, buffer, capacity), length);
}

static int refuse_transfer(tg_context *context, size_t i, const char *why)
{
    return platform_fail(context->platform, -EINVAL, "transfer: piece %zu: %s", i, why);
}

static int read_transfers(tg_context *context, const tg_transfer *callers, size_t n, tg_transfer *copies)
{
    int err = option_array_read(context->platform, "transfer: piece", callers, n, copies, sizeof(*copies));

    for (size_t i = 0; i < n && !err; i++) {
        copies[i].done = 0;
        if (copies[i].kind < TG_TRANSFER_READ || copies[i].kind > TG_TRANSFER_STRING)
            err = refuse_transfer(context, i, "an unknown kind");
        else if (copies[i].length && !copies[i].buffer)
            err = refuse_transfer(context, i, "the buffer is NULL");
    }
    return err;
}

/* The caller's elements have one size, which may end in front of that field. */
static void store_done(tg_transfer *callers, const tg_transfer *copies, size_t n)
{
    const uint32_t stride = callers->size;

    for (size_t i = 0; i < n && stride >= sizeof(tg_transfer); i++)
        memcpy((char *)callers + i * stride + offsetof(tg_transfer, done), &copies[i].done, sizeof(copies[i].done));
}

static int transfer(tg_context *context, tg_subprocess *subprocess, tg_transfer *callers, size_t n, tg_transfer *copies)
{
    int err = read_transfers(context, callers, n, copies);

    if (err)
        return err;
    if (!context_take(context))
        return busy(context);
    err = context_transfer(context, subprocess, copies, n);
    context_give_back(context);
    store_done(callers, copies, n);
    return err;
}

static int transfer_many(tg_context *context, tg_subprocess *subprocess, tg_transfer *callers, size_t n)
{
    tg_transfer *copies = calloc(n, sizeof(*copies));
    int err;

    if (!copies)
        return platform_fail(context->platform, -ENOMEM, "transfer: no memory for %zu pieces", n);
    err = transfer(context, subprocess, callers, n, copies);
    free(copies);
    return err;
}

int tg_context_transfer(tg_context *context, tg_subprocess *subprocess, tg_transfer *pieces, size_t n)
{
    NO_CANCELLATION;
    tg_transfer few[16];
    int err = check_to_copy(context, subprocess);

    if (err)
        return err;
    if (n && !pieces)
        return platform_fail(context->platform, -EINVAL, "transfer: pieces is NULL");
    if (n > TG_TRANSFER_PIECES)
        return platform_fail(context->platform, -EINVAL, "transfer: more than TG_TRANSFER_PIECES pieces");
    if (!n)
        return context_is_running(context) ? busy(context) : 0;
    if (n > sizeof(few) / sizeof(few[0]))
        return public_error(transfer_many(context, subprocess, pieces, n));
    return public_error(transfer(context, subprocess, pieces, n, few));
}

/* ---- bytes with the event, bytes with the answer ---- */

int tg_context_brought(tg_context *context, tg_subprocess *subprocess, uint32_t piece, const void **bytes,
                       size_t *length)
{
    NO_CANCELLATION;
    int err;

    if (bytes)
        *bytes = NULL;
    if (length)
        *length = 0;
    if (!context || !subprocess || !bytes || !length)
        return platform_fail_null(context ? context->platform : subprocess ? subprocess->platform : NULL, __func__);
    if (context->platform != subprocess->platform)
        return platform_fail(context->platform, -EINVAL,
                             "take what a call has brought: the subprocess belongs to another platform");
    if (platform_is_copy(context->platform))
        return public_error(platform_refuse_fork(context->platform, "take what a call has brought"));
    if (!context_take(context))
        return busy(context);
    err = context_brought(context, subprocess, piece, bytes, length);
    context_give_back(context);
    return public_error(err);
}

int tg_context_attach(tg_context *context, uint64_t addr, const void *bytes, size_t length)
{
    int err;

    if (!context)
        return -EINVAL;
    if (length && !bytes)
        return platform_fail(context->platform, -EINVAL, "attach bytes to an answer: bytes is NULL");
    if (!context_take(context))
        return busy(context);
    err = context_attach(context, addr, bytes, length);
    context_give_back(context);
    return public_error(err);
}

static int switch_checked(tg_context *context, tg_subprocess *subprocess, tg_event *event)
{
    int err = context_check_regs(context, "switch");

    return err ? err : context->platform->ops->context_switch(context, subprocess, event);
}

static int check_to_switch(const tg_context *context, const tg_subprocess *subprocess, const tg_event *event)
{
    int err;

    if (!context || !subprocess || !event)
        return platform_fail_null(context ? context->platform : subprocess ? subprocess->platform : NULL, "switch");
    if (context->platform != subprocess->platform)
        return platform_fail(context->platform, -EINVAL, "switch: the subprocess belongs to another platform");
    err = option_struct_check(event, offsetof(tg_event, u), sizeof(*event));
    return err ? platform_fail(context->platform, err, "switch: the event's size is wrong") : 0;
}

/* By whoever has taken the context to switch. */
static int switch_taken(tg_context *context, tg_subprocess *subprocess, tg_event *event)
{
    tg_event result;
    int err;

    context_start_clock(context);
    if (event->size == sizeof(result))
        return switch_checked(context, subprocess, event);
    err = switch_checked(context, subprocess, &result);
    if (!err)
        event_store(event, event->size, &result);
    return err;
}

int tg_context_switch(tg_context *context, tg_subprocess *subprocess, tg_event *event)
{
    int err = check_to_switch(context, subprocess, event);

    if (err)
        return err;
    if (!context_take_to_switch(context))
        return busy(context);
    err = switch_taken(context, subprocess, event);
    context_give_back(context);
    return public_error(err);
}

/* ---- a switch with registers ---- */

static int check_exchange(const tg_context *context, const tg_regs *regs, uint32_t what)
{
    int err;

    if (!regs)
        return platform_fail_null(context->platform, "exchange");
    if (what > TG_EXCHANGE_ALL)
        return platform_fail(context->platform, -EINVAL, "exchange: what is none of TG_EXCHANGE_*");
    err = option_struct_check(regs, sizeof(uint32_t), sizeof(*regs));
    return err ? platform_fail(context->platform, err, "exchange: the size of the registers is wrong") : 0;
}

/* On an error nothing has changed. */
static int put_in_all(tg_context *context, const tg_regs *regs)
{
    const int err = tgi_arch.regs_check(regs);

    if (err)
        return platform_fail(context->platform, err,
                             "exchange: a register holds what the processor refuses (segment selectors, segment "
                             "bases)");
    context_set_regs(context, regs);
    return 0;
}

static int put_in(tg_context *context, const tg_regs *regs, uint32_t what)
{
    switch (what) {
    case TG_EXCHANGE_RETURN:
        return context_set_return(context, tgi_arch.result(regs));
    case TG_EXCHANGE_ALL:
        return put_in_all(context, regs);
    default:
        return 0;
    }
}

/* By whoever has taken the context to switch; of the caller's registers ours is a copy where the sizes differ. */
static int exchange(tg_context *context, tg_subprocess *subprocess, tg_regs *regs, uint32_t what, tg_event *event)
{
    tg_regs ours;
    const tg_regs *in = regs;
    int err;

    if (regs->size != sizeof(ours)) {
        option_struct_read(&ours, sizeof(ours), regs);
        in = &ours;
    }
    err = put_in(context, in, what);
    if (!err)
        err = switch_taken(context, subprocess, event);
    if (!err)
        option_struct_write(regs, context_bring_regs(context), sizeof(ours));
    return err;
}

int tg_context_exchange(tg_context *context, tg_subprocess *subprocess, tg_regs *regs, uint32_t what, tg_event *event)
{
    int err = check_to_switch(context, subprocess, event);

    if (!err)
        err = check_exchange(context, regs, what);
    if (err)
        return err;
    if (!context_take_to_switch(context))
        return busy(context);
    err = exchange(context, subprocess, regs, what, event);
    context_give_back(context);
    return public_error(err);
}

int tg_context_interrupt(tg_context *context)
{
    if (!context)
        return -EINVAL;
    interrupt_raise(&context->interrupt);
    return 0;
}

void tg_context_destroy(tg_context *context)
{
    NO_CANCELLATION;

    context_destroy(context);
}
