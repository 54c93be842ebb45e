/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Mappings that go to another address with their pages. */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arch.h"
#include "cases.h"
#include "guest.h"
#include "guests.h"

#define FROM  GUEST_HOLE_AT
#define TO    (GUEST_HOLE_AT + 0x100000)
#define PAGES 4

static tg_mem_op move_op(uint64_t addr, uint64_t length, uint64_t to)
{
    return (tg_mem_op){.size = sizeof(tg_mem_op), .kind = TG_MEM_MOVE, .addr = addr, .length = length, .offset = to};
}

static void check_nothing_there(const struct guest *guest, uint64_t addr)
{
    char byte;

    CHECK_RESULT(tg_subprocess_read(guest->subprocess, addr, &byte, 1, NULL), -EFAULT);
}

static void write_to(struct guest *guest, uint64_t addr)
{
    arch_set_argument(guest->context, 0, addr);
    guest_run(guest);
}

/* Pages with a word each, and others where the two in the middle are to go. */
static void fill_pages(const struct guest *guest)
{
    map_pages(guest->subprocess, FROM, PAGES * guest->page, PROT_RW);
    map_pages(guest->subprocess, TO, PAGES * guest->page, PROT_RW);
    for (uint64_t i = 0; i < PAGES; i++) {
        guest_store(guest->subprocess, FROM + i * guest->page, 100 + i);
        guest_store(guest->subprocess, TO + i * guest->page, 200 + i);
    }
}

static void check_pages(struct guest *guest)
{
    const uint64_t page = guest->page;

    CHECK_EQ(guest_load(guest->subprocess, FROM), 100);
    CHECK_EQ(guest_load(guest->subprocess, FROM + 3 * page), 103);
    check_nothing_there(guest, FROM + page);
    check_nothing_there(guest, FROM + 2 * page);
    CHECK_EQ(guest_load(guest->subprocess, TO), 101);
    CHECK_EQ(guest_load(guest->subprocess, TO + page), 102);
    CHECK_EQ(guest_load(guest->subprocess, TO + 2 * page), 202);
    write_to(guest, TO + page);
    CHECK_CALL(&guest->event, GUEST_CALL);
    write_to(guest, FROM + page);
    CHECK_FAULT(&guest->event, FROM + page, TG_ACCESS_WRITE, SIGSEGV, SEGV_MAPERR);
}

static void pages_move(uint32_t backend)
{
    struct guest guest;
    tg_mem_op ops[2];

    guest_open(&guest, backend, GUEST_CODE(write_calls));
    ops[0] = move_op(FROM + guest.page, 2 * guest.page, TO);
    fill_pages(&guest);
    CHECK_OK(tg_subprocess_apply(guest.subprocess, ops, 1, NULL));
    check_pages(&guest);
    /* The same among others, and with a length that is rounded up. */
    fill_pages(&guest);
    ops[0] = (tg_mem_op){.size = sizeof(tg_mem_op), .kind = TG_MEM_UNMAP, .addr = GUEST_DATA_AT, .length = 1};
    ops[1] = move_op(FROM + guest.page, guest.page + 1, TO);
    CHECK_OK(tg_subprocess_apply(guest.subprocess, ops, 2, NULL));
    guest_restart(&guest);
    check_pages(&guest);
    guest_close(&guest);
}

/* Rights go along, and so does what a shared mapping shows. */
static void kind_is_kept(uint32_t backend)
{
    int file = CHECK_SYSTEM(memfd_create("moved", MFD_CLOEXEC));
    const uint64_t value = 0x1122334455667788;
    uint64_t found = 0;
    struct guest guest;
    tg_mem_op op;

    guest_open(&guest, backend, GUEST_CODE(write_calls));
    CHECK_SYSTEM(ftruncate(file, (off_t)guest.page));
    op = move_op(FROM, guest.page, TO);
    map_pages(guest.subprocess, FROM, guest.page, TG_PROT_READ);
    CHECK_OK(tg_subprocess_apply(guest.subprocess, &op, 1, NULL));
    write_to(&guest, TO);
    CHECK_FAULT(&guest.event, TO, TG_ACCESS_WRITE, SIGSEGV, SEGV_ACCERR);
    CHECK_OK(tg_subprocess_map(guest.subprocess, FROM, guest.page, PROT_RW, TG_MAP_SHARED, file, 0));
    CHECK_OK(tg_subprocess_apply(guest.subprocess, &op, 1, NULL));
    guest_store(guest.subprocess, TO, value);
    CHECK_EQ(CHECK_SYSTEM(pread(file, &found, sizeof(found), 0)), sizeof(found));
    CHECK_EQ(found, value);
    guest_close(&guest);
    CHECK_SYSTEM(close(file));
}

static void what_cannot_move(uint32_t backend)
{
    struct guest guest;
    tg_mem_op op;
    size_t done = 99;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    op = move_op(FROM, guest.page, TO);
    CHECK_RESULT(tg_subprocess_apply(guest.subprocess, &op, 1, &done), -ENOMEM);
    CHECK_EQ(done, 0);
    CHECK(tg_platform_last_error(guest.platform)[0] != '\0');
    map_pages(guest.subprocess, FROM, 2 * guest.page, PROT_RW);
    op = move_op(FROM, 2 * guest.page, FROM + guest.page);
    CHECK_RESULT(tg_subprocess_apply(guest.subprocess, &op, 1, NULL), -EINVAL);
    op = move_op(FROM, guest.page, TO + 1);
    CHECK_RESULT(tg_subprocess_apply(guest.subprocess, &op, 1, NULL), -EINVAL);
    op = move_op(FROM, guest.page, platform_info(guest.platform).user_end);
    CHECK_RESULT(tg_subprocess_apply(guest.subprocess, &op, 1, NULL), -EINVAL);
    guest_store(guest.subprocess, FROM + guest.page, 1);
    guest_run(&guest);
    CHECK_CALL(&guest.event, GUEST_CALL);
    guest_close(&guest);
}

const struct test_case move_cases[] = {
    {"move.pages", "A mapping moves with its pages, in the place of what was there", pages_move},
    {"move.kind", "Rights and what is shared go along", kind_is_kept},
    {"move.refused", "What is not there, and what would reach into itself or out of user space, does not move",
     what_cannot_move},
    {0},
};
