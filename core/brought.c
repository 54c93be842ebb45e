/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/backend.h"
#include "core/brought.h"

#define PIECE_ALIGNMENT 64 /* a cache line */

_Static_assert(TG_BRING_PIECES == 2 && TG_BRING_MAX + PIECE_ALIGNMENT + 2 <= BROUGHT_SIZE, "there is room for all");

/* ---- declaring ---- */

static int refuse(struct tg_platform *platform, size_t index, const char *what)
{
    return platform_fail(platform, -EINVAL, "declare what calls bring: piece %zu: %s", index, what);
}

static const char *check_piece(const struct tg_bring *piece)
{
    if (piece->kind < TG_BRING_BYTES || piece->kind > TG_BRING_STRING)
        return "an unknown kind";
    if (piece->nr >= TG_BRING_CALLS)
        return "a call whose number is not below TG_BRING_CALLS";
    if (piece->arg > 5)
        return "arg is not 0 to 5";
    if (piece->kind == TG_BRING_COUNTED ? piece->length_arg > 5 : piece->length_arg != 0)
        return "length_arg is not 0 to 5 for TG_BRING_COUNTED, or not 0 for others";
    if (!piece->max || piece->max > TG_BRING_MAX)
        return "max is not 1 to TG_BRING_MAX";
    if (piece->flags)
        return "flags is not 0";
    return NULL;
}

static struct bring_piece first_piece(const struct tg_bring *piece)
{
    return (struct bring_piece){
        .kind = (uint8_t)piece->kind,
        .arg = (uint8_t)piece->arg,
        .length_arg = (uint8_t)piece->length_arg,
        .max = (uint16_t)piece->max,
    };
}

/* Behind the room for the first one and a 0. */
static uint16_t place_behind(struct bring_piece first)
{
    return (uint16_t)((first.max + PIECE_ALIGNMENT) & ~(PIECE_ALIGNMENT - 1));
}

/* NULL, or what is wrong. */
static const char *add_piece(struct bring_piece of_call[TG_BRING_PIECES], const struct tg_bring *declared)
{
    struct bring_piece piece = first_piece(declared);

    if (!of_call[0].kind) {
        of_call[0] = piece;
        return NULL;
    }
    if (of_call[1].kind)
        return "a call brings TG_BRING_PIECES at most";
    if (of_call[0].max + piece.max > TG_BRING_MAX)
        return "a call brings TG_BRING_MAX bytes at most, with all its pieces";
    piece.at = place_behind(of_call[0]);
    of_call[1] = piece;
    return NULL;
}

/* wanted NULL: nothing. The mutex of the table is held. Whoever compares generations finds no piece that is not of the
 * one it knows. */
static void replace(struct tg_subprocess *subprocess, struct bring_table *table,
                    struct bring_piece (*wanted)[TG_BRING_PIECES])
{
    atomic_fetch_add(&subprocess->bring_generation, 1);
    for (size_t nr = 0; nr < TG_BRING_CALLS; nr++) {
        for (uint32_t i = 0; i < TG_BRING_PIECES; i++)
            bring_table_set(table, nr, i, wanted ? wanted[nr][i] : (struct bring_piece){0});
    }
    bring_table_tell_backend(subprocess);
    atomic_fetch_add(&subprocess->bring_generation, 1);
}

static int declare(struct tg_subprocess *subprocess, struct bring_piece (*wanted)[TG_BRING_PIECES])
{
    struct bring_table *table;

    if (!platform_is_ours(subprocess->platform))
        return platform_refuse_fork(subprocess->platform, "declare what calls bring");
    if (!subprocess_enter(subprocess))
        return platform_fail(subprocess->platform, -ESRCH,
                             "declare what calls bring: the subprocess is being destroyed");
    table = bring_table_for(subprocess);
    if (table) {
        pthread_mutex_lock(&table->lock);
        replace(subprocess, table, wanted);
        pthread_mutex_unlock(&table->lock);
    }
    subprocess_leave(subprocess);
    return table ? 0 : platform_fail(subprocess->platform, -ENOMEM, "declare what calls bring: no memory");
}

void brought_forget(struct tg_subprocess *subprocess)
{
    struct bring_table *table = bring_table_of(subprocess);

    if (!table)
        return;
    pthread_mutex_lock(&table->lock);
    replace(subprocess, table, NULL);
    pthread_mutex_unlock(&table->lock);
}

int brought_declare(struct tg_subprocess *subprocess, const struct tg_bring *pieces, size_t n)
{
    struct bring_piece(*wanted)[TG_BRING_PIECES] = calloc(TG_BRING_CALLS, sizeof(*wanted));
    int err = 0;

    if (!wanted)
        return platform_fail(subprocess->platform, -ENOMEM, "declare what calls bring: no memory");
    for (size_t i = 0; i < n && !err; i++) {
        const char *wrong = check_piece(&pieces[i]);

        if (!wrong)
            wrong = add_piece(wanted[pieces[i].nr], &pieces[i]);
        err = wrong ? refuse(subprocess->platform, i, wrong) : 0;
    }
    if (!err)
        err = declare(subprocess, wanted);
    free(wanted);
    return err;
}

/* ---- the present event's ---- */

/* Calls of other tables have other numbers. */
static bool is_native(const struct arch_syscall *call)
{
    return !(call->flags & (TG_FLAG_COMPAT | TG_FLAG_X32));
}

static void read_pieces(struct brought *brought, const struct bring_table *table, uint64_t nr)
{
    for (uint32_t i = 0; i < TG_BRING_PIECES; i++)
        brought->pieces[i] = (struct brought_piece){bring_table_piece(table, nr, i), false, 0, 0};
}

/* The pieces of two declarations could lie over each other. Pairs with replace(). */
static bool read_undisturbed(struct brought *brought, const struct tg_subprocess *subprocess,
                             const struct bring_table *table, uint64_t nr)
{
    const uint32_t generation = atomic_load(&subprocess->bring_generation);

    read_pieces(brought, table, nr);
    return generation % 2 == 0 && atomic_load(&subprocess->bring_generation) == generation;
}

static void begin(struct tg_context *context, const struct tg_subprocess *subprocess, struct brought *brought)
{
    struct bring_table *table = is_native(&context->syscall) ? bring_table_of(subprocess) : NULL;
    const uint64_t nr = context->syscall.nr;

    brought->of = context_counted(context, CONTEXT_SWITCHES);
    if (read_undisturbed(brought, subprocess, table, nr) || !table)
        return;
    pthread_mutex_lock(&table->lock);
    read_pieces(brought, table, nr);
    pthread_mutex_unlock(&table->lock);
}

/* NULL: there is no memory. */
static struct brought *brought_of(struct tg_context *context, const struct tg_subprocess *subprocess)
{
    if (!context->brought) {
        context->brought = malloc(sizeof(*context->brought));
        if (context->brought)
            context->brought->of = BROUGHT_OF_NONE;
    }
    if (context->brought && context->brought->of != context_counted(context, CONTEXT_SWITCHES))
        begin(context, subprocess, context->brought);
    return context->brought;
}

static size_t wanted_of(const struct arch_syscall *call, const struct bring_piece *piece)
{
    const uint64_t counted = piece->kind == TG_BRING_COUNTED ? call->args[piece->length_arg] : piece->max;

    return counted < piece->max ? (size_t)counted : piece->max;
}

/* 0, -EFAULT, or an error that says nothing of the memory. */
static int read_by_host(struct tg_context *context, struct tg_subprocess *subprocess, const struct bring_piece *piece,
                        size_t wanted, uint8_t *bytes, size_t *length)
{
    const bool is_string = piece->kind == TG_BRING_STRING;
    struct tg_transfer of_guest = transfer_piece(is_string ? TG_TRANSFER_STRING : TG_TRANSFER_READ,
                                                 context->syscall.args[piece->arg], bytes, wanted);
    const int err = context_transfer(context, subprocess, &of_guest, 1);

    *length = of_guest.done;
    return err == -EFAULT && *length && !is_string ? 0 : err;
}

static size_t take_from_backend(struct tg_context *context, struct tg_subprocess *subprocess,
                                const struct bring_piece *piece, size_t wanted, uint8_t *bytes)
{
    const struct backend_ops *ops = context->platform->ops;

    if (!context->is_brought || !ops->context_bring)
        return 0;
    return ops->context_bring(context, subprocess, piece, wanted, bytes);
}

/* As read_by_host(). Behind the bytes is a 0. */
static int fetch(struct tg_context *context, struct tg_subprocess *subprocess, struct brought_piece *piece,
                 uint8_t *bytes)
{
    const struct bring_piece *declared = &piece->declared;
    const size_t wanted = wanted_of(&context->syscall, declared);
    int err = 0;

    piece->length = wanted ? take_from_backend(context, subprocess, declared, wanted, bytes) : 0;
    if (wanted && !piece->length)
        err = read_by_host(context, subprocess, declared, wanted, bytes, &piece->length);
    else if (declared->kind == TG_BRING_STRING)
        piece->length = strnlen((const char *)bytes, piece->length);
    bytes[piece->length] = 0;
    return err;
}

static int fetch_once(struct tg_context *context, struct tg_subprocess *subprocess, struct brought_piece *piece,
                      uint8_t *bytes)
{
    int err;

    if (piece->known)
        return piece->error;
    err = fetch(context, subprocess, piece, bytes);
    piece->known = !err || err == -EFAULT;
    piece->error = err;
    return err;
}

int context_brought(struct tg_context *context, struct tg_subprocess *subprocess, uint32_t index, const void **bytes,
                    size_t *length)
{
    struct brought *brought = context->in_syscall ? brought_of(context, subprocess) : NULL;
    struct brought_piece *piece;
    int err;

    if (context->in_syscall && !brought)
        return platform_fail(context->platform, -ENOMEM, "take what a call has brought: no memory");
    if (!brought || index >= TG_BRING_PIECES || !brought->pieces[index].declared.kind)
        return platform_fail(context->platform, -EINVAL,
                             "take what a call has brought: the last event was not a SYSCALL for which the subprocess "
                             "has such a piece declared");
    piece = &brought->pieces[index];
    err = fetch_once(context, subprocess, piece, brought->bytes + piece->declared.at);
    if (err)
        return err;
    *bytes = brought->bytes + piece->declared.at;
    *length = piece->length;
    return 0;
}
