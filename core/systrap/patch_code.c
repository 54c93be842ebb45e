/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A patch's bytes, as the orders to the stub's syscall thread that put them into its code. */
#include <errno.h>
#include <linux/membarrier.h>
#include <string.h>
#include <sys/mman.h>

#include "core/systrap/patch_code.h"

struct batch {
    struct systrap_subprocess *subprocess;
    size_t calls;
    size_t data;
};

static void add_call(struct batch *batch, struct stub_call call)
{
    orders_of(batch->subprocess)->calls[batch->calls++] = call;
}

/* Bytes that a call is to write; where they are in the file. */
static uint64_t add_data(struct batch *batch, const void *data, size_t size)
{
    uint64_t at = SYSTRAP_WINDOW + batch->data;

    memcpy(batch->subprocess->memory + at, data, size);
    batch->data += size;
    return at;
}

static void add_protect(struct batch *batch, const struct arch_patch *site, int protection)
{
    uint64_t start = patch_page_of(batch->subprocess, site->start);
    uint64_t end =
        patch_page_of(batch->subprocess, patch_last_byte(site)) + batch->subprocess->base.platform->info.page_size;

    add_call(batch,
             (struct stub_call){.nr = tgi_arch.syscalls.mprotect, .args = {start, end - start, (uint64_t)protection}});
}

static void add_barrier(struct batch *batch, int command)
{
    add_call(batch, (struct stub_call){.nr = tgi_arch.syscalls.membarrier, .args = {(uint64_t)command}});
}

/* The stub reads its own file into its own memory, which no permission is needed for. */
static void add_write(struct batch *batch, uint64_t addr, uint64_t from, size_t length)
{
    add_call(batch, (struct stub_call){.nr = tgi_arch.syscalls.pread64,
                                       .args = {(uint64_t)batch->subprocess->file, addr, length, from}});
}

/* Each of these bytes by itself, so that nobody ever sees a part of an instruction that starts there. */
static void add_writes_of_starts(struct batch *batch, const struct arch_patch *site, uint64_t from)
{
    for (uint32_t i = 0; i < site->length; i++) {
        if (site->starts >> i & 1)
            add_write(batch, site->start + i, from + i, tgi_arch.systrap.trap_length);
    }
}

static void add_calls_that_write(struct batch *batch, const struct arch_patch *site, const uint8_t *bytes)
{
    uint8_t trapping[ARCH_PATCH_BYTES];
    uint64_t trapping_at;
    uint64_t bytes_at;

    memcpy(trapping, bytes, site->length);
    for (uint32_t i = 1; i < site->length; i++) {
        if (site->starts >> i & 1)
            trapping[i] = site->replacement[i];
    }
    trapping[0] = tgi_arch.systrap.trap_byte;
    trapping_at = add_data(batch, trapping, site->length);
    bytes_at = add_data(batch, bytes, site->length);
    add_writes_of_starts(batch, site, trapping_at);
    add_barrier(batch, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE);
    add_write(batch, site->start + tgi_arch.systrap.trap_length, trapping_at + tgi_arch.systrap.trap_length,
              site->length - tgi_arch.systrap.trap_length);
    add_barrier(batch, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE);
    add_writes_of_starts(batch, site, bytes_at);
    add_barrier(batch, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE);
}

/* Nothing was written, but a page may be left writable. -EIO: it is. */
static int protect_again(struct systrap_subprocess *subprocess, const struct arch_patch *site, int err)
{
    struct batch batch = {.subprocess = subprocess};
    struct answer answer;

    add_protect(&batch, site, PROT_READ | PROT_EXEC);
    if (orders_give(subprocess, batch.calls, &answer))
        return -ESRCH;
    return answer.left ? -EIO : err;
}

int patch_code_change(struct systrap_subprocess *subprocess, const struct arch_patch *site, const uint8_t *bytes)
{
    struct batch batch = {.subprocess = subprocess};
    struct answer answer;
    int err;

    add_protect(&batch, site, PROT_READ | PROT_WRITE | PROT_EXEC);
    add_calls_that_write(&batch, site, bytes);
    add_protect(&batch, site, PROT_READ | PROT_EXEC);
    err = orders_give(subprocess, batch.calls, &answer);
    if (err || answer.left == 0)
        return err;
    /* What comes before the first write was made, or has failed at the second of two pages. */
    if (answer.left == batch.calls || answer.left + 1 == batch.calls)
        return protect_again(subprocess, site, (int)answer.result);
    return -EIO;
}

void patch_code_register(struct systrap_subprocess *template)
{
    struct batch batch = {.subprocess = template};
    struct answer answer;

    pthread_mutex_lock(&template->order_lock);
    add_barrier(&batch, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE);
    orders_give(template, batch.calls, &answer);
    pthread_mutex_unlock(&template->order_lock);
}

bool patch_code_is(struct systrap_subprocess *subprocess, const struct arch_patch *patch, const uint8_t *bytes)
{
    uint8_t now[ARCH_PATCH_BYTES];
    size_t done = 0;

    subprocess_read(&subprocess->base, patch->start, now, patch->length, &done);
    return done == patch->length && memcmp(now, bytes, done) == 0;
}
