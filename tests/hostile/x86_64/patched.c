/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Guests with as many patched calls as they can have: what they make a call of
 * the embedder cost is bounded, in orders to the stub, which do not depend on
 * how busy the machine is. And one that waits for its code to be writable.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "../hostile.h"
#include "arch.h"
#include "threads.h"

#define CODE_AT     0x50000000ull
#define PAGES       530 /* some more than can be patched at one time */
#define PAGES_MOST  512
#define SITE_OFFSET 64
#define SITE_EDGE   4 /* bytes of it lie in the page before */
#define HOT_CALLS   4
#define UNDO_ORDERS 20 /* 30 pages or more in one order, and the operation itself */
#define GONE_ORDERS 12 /* what was set aside, the two edges, and the operation itself */

static const unsigned char site[] = {0xb8, 39,   0,    0,    0,    0x0f, 0x05, 0x48,
                                     0x85, 0xc0, 0x48, 0x85, 0xc0, 0x90, 0x90, 0xf4};
static const unsigned char read_gs[] = {0x65, 0x48, 0x8b, 0x04, 0x25, 0x10, 0, 0, 0, 0xf4};

static void open_patching(struct guest *guest)
{
    need_shared_memory(TG_BACKEND_SYSTRAP);
    guest_open(guest, TG_BACKEND_SYSTRAP, (struct guest_code){read_gs, read_gs + sizeof(read_gs)});
    if (!(platform_info(guest->platform).capabilities & TG_CAP_PATCHING))
        SKIP("nothing is patched here");
}

/* ---- many pages ---- */

/* In each page one site, and one that begins in the page before it. */
static void load_sites(const struct guest *guest)
{
    const size_t length = PAGES * guest->page;
    unsigned char *code = calloc(1, length);

    CHECK(code != NULL);
    for (size_t page = 0; page < PAGES; page++) {
        memcpy(code + page * guest->page + SITE_OFFSET, site, sizeof(site));
        if (page > 0)
            memcpy(code + page * guest->page - SITE_EDGE, site, sizeof(site));
    }
    map_pages(guest->subprocess, CODE_AT, length, PROT_RW);
    CHECK_OK(tg_subprocess_write(guest->subprocess, CODE_AT, code, length, NULL));
    CHECK_OK(tg_subprocess_protect(guest->subprocess, CODE_AT, length, PROT_RX));
    free(code);
}

static void heat_site(struct guest *guest, uint64_t at)
{
    for (int i = 0; i < HOT_CALLS; i++) {
        arch_set_ip(guest->context, at);
        GUEST_RUN_TO_CALL(guest);
    }
}

static void heat_sites(struct guest *guest)
{
    const uint64_t before = platform_stats(guest->platform).patch_sites;
    uint64_t sites;

    for (uint64_t page = 0; page < PAGES; page++) {
        heat_site(guest, CODE_AT + page * guest->page + SITE_OFFSET);
        if (page > 0)
            heat_site(guest, CODE_AT + page * guest->page - SITE_EDGE);
    }
    sites = platform_stats(guest->platform).patch_sites - before;
    CHECK_EQ(sites, 2 * PAGES_MOST - 1);
    CHECK(platform_stats(guest->platform).patch_refusals[TG_PATCH_REFUSED_FULL] > 0);
}

static uint64_t orders_of(const struct guest *guest)
{
    return platform_stats(guest->platform).injections;
}

void hostile_patched_orders(uint32_t backend)
{
    struct guest guest;
    uint64_t before;

    need_shared_memory(backend);
    open_patching(&guest);
    load_sites(&guest);
    heat_sites(&guest);
    before = orders_of(&guest);
    CHECK_OK(tg_subprocess_unmap(guest.subprocess, CODE_AT, PAGES * guest.page));
    CHECK(orders_of(&guest) - before <= GONE_ORDERS);
    load_sites(&guest);
    heat_sites(&guest);
    before = orders_of(&guest);
    CHECK_OK(tg_subprocess_protect(guest.subprocess, CODE_AT, PAGES * guest.page, PROT_RW));
    CHECK(orders_of(&guest) - before <= UNDO_ORDERS);
    CHECK_OK(tg_subprocess_protect(guest.subprocess, CODE_AT, PAGES * guest.page, PROT_RX));
    heat_sites(&guest);
    before = orders_of(&guest);
    arch_set_ip(guest.context, GUEST_CODE_AT);
    guest_run(&guest);
    CHECK_KIND(&guest.event, TG_EVENT_FAULT);
    CHECK(orders_of(&guest) - before <= UNDO_ORDERS);
    guest_close(&guest);
}

/* ---- a writer ---- */

#define WRITER_AT (GUEST_CODE_AT + GUEST_CODE_SIZE)
#define TARGET    (CODE_AT + 2048)
#define ROUNDS    40
#define SITES     100 /* none reaches the target */

/* mov %rbx,(%rdi); mov $1000,%eax; syscall: comes to its call once the write has worked. */
static const unsigned char writer_code[] = {0x48, 0x89, 0x1f, 0xb8, 0xe8, 0x03, 0, 0, 0x0f, 0x05, 0xf4};

struct writer {
    struct guest guest;
    atomic_bool over;
};

static void *keep_writing(void *argument)
{
    struct writer *writer = argument;

    while (!atomic_load(&writer->over)) {
        guest_run(&writer->guest);
        if (writer->guest.event.kind == TG_EVENT_INTERRUPTED)
            continue;
        CHECK_KIND(&writer->guest.event, TG_EVENT_FAULT);
        CHECK_EQ(writer->guest.event.u.fault.addr, TARGET);
    }
    return NULL;
}

static uint64_t site_at(uint64_t number)
{
    return CODE_AT + number * sizeof(site);
}

static void load_page_of_sites(const struct guest *guest)
{
    unsigned char code[SITES * sizeof(site)];

    for (size_t i = 0; i < SITES; i++)
        memcpy(code + i * sizeof(site), site, sizeof(site));
    load_code(guest->subprocess, CODE_AT, (struct guest_code){code, code + sizeof(code)});
}

/* A page that the embedder has never given the right to be written to is not written to while its calls are patched. */
void hostile_patched_never_writable(uint32_t backend)
{
    struct writer writer = {0};
    struct guest guest;
    pthread_t thread;

    need_shared_memory(backend);
    open_patching(&guest);
    load_page_of_sites(&guest);
    load_code(guest.subprocess, WRITER_AT, (struct guest_code){writer_code, writer_code + sizeof(writer_code)});
    writer.guest = guest;
    writer.guest.context = create_context(guest.platform);
    CHECK_OK(tg_context_start(writer.guest.context, WRITER_AT, GUEST_STACK_TOP));
    arch_set_argument(writer.guest.context, 0, TARGET);
    thread = start_thread(keep_writing, &writer);
    for (int round = 0; round < ROUNDS; round++) {
        for (uint64_t i = 0; i < SITES; i++)
            heat_site(&guest, site_at(i));
        /* Neither writable nor executable for a moment: the calls are patched anew. */
        CHECK_OK(tg_subprocess_protect(guest.subprocess, CODE_AT, guest.page, TG_PROT_READ));
        CHECK_OK(tg_subprocess_protect(guest.subprocess, CODE_AT, guest.page, PROT_RX));
    }
    CHECK(platform_stats(guest.platform).patch_sites >= ROUNDS * SITES / 2);
    atomic_store(&writer.over, true);
    CHECK_OK(tg_context_interrupt(writer.guest.context));
    join_thread(thread);
    tg_context_destroy(writer.guest.context);
    guest_close(&guest);
}
