/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Entry points: subprocess. They check and forward, nothing else. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "abi/option_arrays.h"
#include "abi/option_structs.h"
#include "abi/public_errors.h"
#include "core/backend.h"
#include "core/brought.h"
#include "core/guest_clocks.h"
#include "core/no_cancel.h"

int tg_subprocess_create(tg_platform *platform, tg_subprocess **out)
{
    NO_CANCELLATION;

    if (!out)
        return platform_fail_null(platform, __func__);
    *out = NULL;
    if (!platform)
        return -EINVAL;
    return public_error(subprocess_create(platform, NULL, out));
}

int tg_subprocess_fork(tg_subprocess *subprocess, tg_subprocess **out)
{
    NO_CANCELLATION;

    if (!out)
        return platform_fail_null(subprocess ? subprocess->platform : NULL, __func__);
    *out = NULL;
    if (!subprocess)
        return -EINVAL;
    return public_error(subprocess_create(subprocess->platform, subprocess, out));
}

int tg_subprocess_reset(tg_subprocess *subprocess)
{
    NO_CANCELLATION;

    return subprocess ? public_error(subprocess_reset(subprocess)) : -EINVAL;
}

static int apply_copies(tg_subprocess *subprocess, const tg_mem_op *ops, size_t n, size_t *done)
{
    tg_mem_op few[16];
    tg_mem_op *copies = few;
    int err;

    if (n > sizeof(few) / sizeof(few[0])) {
        copies = calloc(n, sizeof(*copies));
        if (!copies)
            return platform_fail(subprocess->platform, -ENOMEM, "memory operations: no memory for %zu of them", n);
    }
    err = option_array_read(subprocess->platform, "memory operation", ops, n, copies, sizeof(*copies));
    if (!err)
        err = subprocess_check_ops(subprocess, copies, n);
    if (!err)
        err = subprocess_apply(subprocess, copies, n, done);
    if (copies != few)
        free(copies);
    return err;
}

int tg_subprocess_apply(tg_subprocess *subprocess, const tg_mem_op *ops, size_t n, size_t *done)
{
    NO_CANCELLATION;
    size_t applied = 0;
    int err = 0;

    if (done)
        *done = 0;
    if (!subprocess)
        return -EINVAL;
    if (n && !ops)
        return platform_fail(subprocess->platform, -EINVAL, "memory operations: ops is NULL");
    if (n)
        err = apply_copies(subprocess, ops, n, &applied);
    if (done)
        *done = applied;
    return public_error(err);
}

static int apply_one(tg_subprocess *subprocess, const tg_mem_op *op)
{
    return tg_subprocess_apply(subprocess, op, 1, NULL);
}

int tg_subprocess_map(tg_subprocess *subprocess, uint64_t addr, uint64_t length, uint32_t prot, uint32_t flags,
                      int32_t fd, uint64_t offset)
{
    const tg_mem_op op = {
        .size = sizeof(op),
        .kind = TG_MEM_MAP,
        .addr = addr,
        .length = length,
        .prot = prot,
        .flags = flags,
        .fd = fd,
        .offset = offset,
    };

    return apply_one(subprocess, &op);
}

int tg_subprocess_unmap(tg_subprocess *subprocess, uint64_t addr, uint64_t length)
{
    const tg_mem_op op = {.size = sizeof(op), .kind = TG_MEM_UNMAP, .addr = addr, .length = length};

    return apply_one(subprocess, &op);
}

int tg_subprocess_protect(tg_subprocess *subprocess, uint64_t addr, uint64_t length, uint32_t prot)
{
    const tg_mem_op op = {
        .size = sizeof(op),
        .kind = TG_MEM_PROTECT,
        .addr = addr,
        .length = length,
        .prot = prot,
    };

    return apply_one(subprocess, &op);
}

int tg_subprocess_set_brings(tg_subprocess *subprocess, const tg_bring *pieces, size_t n)
{
    NO_CANCELLATION;
    tg_bring *copies;
    int err;

    if (!subprocess)
        return -EINVAL;
    if (n && !pieces)
        return platform_fail(subprocess->platform, -EINVAL, "declare what calls bring: pieces is NULL");
    if (n > TG_BRING_CALLS * TG_BRING_PIECES)
        return platform_fail(subprocess->platform, -EINVAL, "declare what calls bring: more pieces than there can be");
    if (!n)
        return public_error(brought_declare(subprocess, NULL, 0));
    copies = calloc(n, sizeof(*copies));
    if (!copies)
        return platform_fail(subprocess->platform, -ENOMEM, "declare what calls bring: no memory");
    err =
        option_array_read(subprocess->platform, "declare what calls bring: piece", pieces, n, copies, sizeof(*copies));
    if (!err)
        err = brought_declare(subprocess, copies, n);
    free(copies);
    return public_error(err);
}

int tg_subprocess_read(tg_subprocess *subprocess, uint64_t addr, void *buffer, size_t length, size_t *done)
{
    NO_CANCELLATION;
    size_t copied = 0;
    int err = 0;

    if (done)
        *done = 0;
    if (!subprocess)
        return -EINVAL;
    if (length && !buffer)
        return platform_fail(subprocess->platform, -EINVAL, "copy guest memory: the buffer is NULL");
    if (length)
        err = subprocess_read(subprocess, addr, buffer, length, &copied);
    if (done)
        *done = copied;
    return public_error(err);
}

int tg_subprocess_write(tg_subprocess *subprocess, uint64_t addr, const void *buffer, size_t length, size_t *done)
{
    NO_CANCELLATION;
    size_t copied = 0;
    int err = 0;

    if (done)
        *done = 0;
    if (!subprocess)
        return -EINVAL;
    if (length && !buffer)
        return platform_fail(subprocess->platform, -EINVAL, "copy guest memory: the buffer is NULL");
    if (length)
        err = subprocess_write(subprocess, addr, buffer, length, &copied);
    if (done)
        *done = copied;
    return public_error(err);
}

int tg_subprocess_answer(tg_subprocess *subprocess, uint32_t nr, uint32_t kind, uint64_t value)
{
    if (!subprocess)
        return -EINVAL;
    if (nr >= TG_ANSWER_CALLS)
        return platform_fail(subprocess->platform, -EINVAL, "answer calls: %u is not below %d, TG_ANSWER_CALLS", nr,
                             TG_ANSWER_CALLS);
    if (kind > TG_ANSWER_CONTEXT_WORD)
        return platform_fail(subprocess->platform, -EINVAL, "answer calls: %u is no TG_ANSWER_ kind", kind);
    if (kind == TG_ANSWER_CONTEXT_WORD && value >= TG_CONTEXT_WORDS)
        return platform_fail(subprocess->platform, -EINVAL, "answer calls: a context has %d words", TG_CONTEXT_WORDS);
    return public_error(subprocess_answer(subprocess, nr, kind, value));
}

/* n is not 0. */
static int set_copies(tg_subprocess *subprocess, const tg_clock *clocks, size_t n)
{
    tg_clock few[TG_CLOCKS];
    tg_clock *copies = n <= TG_CLOCKS ? few : calloc(n, sizeof(*copies));
    int err;

    if (!copies)
        return platform_fail(subprocess->platform, -ENOMEM, "clocks of guests: no memory for %zu of them", n);
    err = option_array_read(subprocess->platform, "clocks of guests: clock", clocks, n, copies, sizeof(*copies));
    if (!err)
        err = guest_clocks_set(subprocess, copies, n);
    if (copies != few)
        free(copies);
    return err;
}

int tg_subprocess_set_clocks(tg_subprocess *subprocess, const tg_clock *clocks, size_t n)
{
    NO_CANCELLATION;

    if (!subprocess)
        return -EINVAL;
    if (n && !clocks)
        return platform_fail(subprocess->platform, -EINVAL, "clocks of guests: clocks is NULL");
    return n ? public_error(set_copies(subprocess, clocks, n)) : 0;
}

int tg_subprocess_clock(tg_subprocess *subprocess, uint32_t clock, tg_clock *out, uint64_t *ns)
{
    NO_CANCELLATION;
    tg_clock of_guest;
    uint64_t now = 0;
    int err;

    if (!subprocess || !out)
        return platform_fail_null(subprocess ? subprocess->platform : NULL, __func__);
    err = option_struct_check(out, sizeof(out->size), sizeof(of_guest));
    if (!err)
        err = guest_clocks_get(subprocess, clock, &of_guest, &now);
    if (err)
        return public_error(err);
    option_struct_write(out, &of_guest, sizeof(of_guest));
    if (ns)
        *ns = now;
    return 0;
}

int32_t tg_subprocess_pid(const tg_subprocess *subprocess)
{
    return subprocess ? atomic_load(&subprocess->pid) : 0;
}

void tg_subprocess_destroy(tg_subprocess *subprocess)
{
    NO_CANCELLATION;

    subprocess_destroy(subprocess);
}
