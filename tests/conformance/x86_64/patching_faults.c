/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* An instruction that was moved with a patched call faults at its own place, as often as it runs. */
#include <signal.h>

#include "../cases.h"
#include "patching.h"
#include "updates.h"

#define DATA_WORD (GUEST_DATA_AT + 0x800)

struct memory_operand {
    struct guest_code code;
    uint64_t behind; /* the instruction that accesses DATA_WORD */
    uint32_t access;
};

static void start_at_word(struct guest *guest, uint64_t rsp, uint64_t rbp)
{
    tg_regs *regs = tg_context_regs_mut(guest->context);

    regs->rbx = GUEST_CALL;
    regs->rsp = rsp;
    regs->rbp = rbp;
    guest_store(guest->subprocess, DATA_WORD, 0);
}

static void run_to_call_with_result(struct guest *guest, uint64_t result)
{
    GUEST_RUN_TO_CALL(guest);
    CHECK_OK(tg_context_set_return(guest->context, (int64_t)result));
}

/* The fault comes with the original place and the registers of behind the call, and as often as it runs again. */
static void check_operand_fault(struct guest *guest, const struct memory_operand *operand, int code)
{
    tg_regs before = *tg_context_regs(guest->context);
    const tg_regs *regs;
    int i;

    for (i = 0; i < 3; i++) {
        guest_run(guest);
        CHECK_FAULT(&guest->event, DATA_WORD, operand->access, SIGSEGV, code);
        CHECK_EQ(guest->event.u.fault.ip, operand->behind);
        regs = tg_context_regs(guest->context);
        CHECK_EQ(regs->rip, operand->behind);
        CHECK_EQ(regs->rax, before.rax);
        CHECK_EQ(regs->rdx, before.rdx);
        CHECK_EQ(regs->rsp, before.rsp);
        CHECK_EQ(regs->r15, before.r15);
        CHECK_EQ(regs->gs_base, 0);
    }
}

static void take_data_page(struct guest *guest, bool unmap)
{
    if (unmap)
        CHECK_OK(tg_subprocess_unmap(guest->subprocess, GUEST_DATA_AT, guest->page));
    else
        protect_page(guest, GUEST_DATA_AT, TG_PROT_NONE);
}

static void give_data_page(struct guest *guest, bool unmapped, uint64_t word)
{
    if (unmapped)
        map_pages(guest->subprocess, GUEST_DATA_AT, guest->page, PROT_RW);
    else
        protect_page(guest, GUEST_DATA_AT, PROT_RW);
    guest_store(guest->subprocess, DATA_WORD, word);
}

static void check_operand_patched(const struct guest *guest)
{
    CHECK_EQ(!!(guest->event.flags & TG_FLAG_PATCHED), can_patch(guest));
    if (can_patch(guest))
        check_sites(guest, 0, 1);
}

static void displaced_store_faults(uint32_t backend)
{
    const struct memory_operand store = {GUEST_CODE(patch_store), GUEST_PLACE(patch_store, patch_store_behind),
                                         TG_ACCESS_WRITE};
    struct guest guest;
    uint64_t i;

    guest_open(&guest, backend, store.code);
    start_at_word(&guest, DATA_WORD - 0x28, 0);
    for (i = 1; i <= WARM_CALLS; i++) {
        run_to_call_with_result(&guest, i);
        CHECK_EQ(guest_load(guest.subprocess, DATA_WORD), i - 1);
    }
    check_operand_patched(&guest);
    for (; i < 40; i++) {
        take_data_page(&guest, i % 2);
        check_operand_fault(&guest, &store, i % 2 ? SEGV_MAPERR : SEGV_ACCERR);
        give_data_page(&guest, i % 2, 0);
        run_to_call_with_result(&guest, i);
        CHECK_EQ(guest_load(guest.subprocess, DATA_WORD), i - 1);
        CHECK_EQ(tg_context_regs(guest.context)->r15, i);
    }
    guest_close(&guest);
}

/* The instruction in front of it was carried out, once, and the sum shows that nothing was added twice. */
static void displaced_add_faults(uint32_t backend)
{
    const struct memory_operand add = {GUEST_CODE(patch_add), GUEST_PLACE(patch_add, patch_add_behind),
                                       TG_ACCESS_WRITE};
    struct guest guest;
    uint64_t sum = 0;
    uint64_t i;

    need_updates_that_write(backend);
    guest_open(&guest, backend, add.code);
    start_at_word(&guest, GUEST_STACK_TOP, DATA_WORD);
    for (i = 1; i <= WARM_CALLS; i++) {
        run_to_call_with_result(&guest, i);
        CHECK_EQ(guest_load(guest.subprocess, DATA_WORD), sum);
        sum += i;
    }
    check_operand_patched(&guest);
    for (; i < 40; i++) {
        take_data_page(&guest, i % 2);
        check_operand_fault(&guest, &add, i % 2 ? SEGV_MAPERR : SEGV_ACCERR);
        CHECK_EQ(tg_context_regs(guest.context)->r14, i - 1);
        give_data_page(&guest, i % 2, sum - i + 1);
        run_to_call_with_result(&guest, i);
        CHECK_EQ(guest_load(guest.subprocess, DATA_WORD), sum);
        CHECK_EQ(tg_context_regs(guest.context)->r14, i - 1);
        CHECK_EQ(tg_context_regs(guest.context)->r15, i);
        sum += i;
    }
    guest_close(&guest);
}

static void displaced_load_faults(uint32_t backend)
{
    const struct memory_operand load = {GUEST_CODE(patch_load), GUEST_PLACE(patch_load, patch_load_behind),
                                        TG_ACCESS_READ};
    struct guest guest;
    uint64_t i;

    guest_open(&guest, backend, load.code);
    start_at_word(&guest, GUEST_STACK_TOP, DATA_WORD - 0x100);
    for (i = 1; i <= WARM_CALLS; i++)
        run_to_call_with_result(&guest, i);
    check_operand_patched(&guest);
    for (; i < 40; i++) {
        take_data_page(&guest, i % 2);
        check_operand_fault(&guest, &load, i % 2 ? SEGV_MAPERR : SEGV_ACCERR);
        give_data_page(&guest, i % 2, 1000 + i);
        run_to_call_with_result(&guest, i);
        CHECK_EQ(guest.event.u.syscall.args[2], 1000 + i);
        CHECK_EQ(tg_context_regs(guest.context)->r15, i);
    }
    guest_close(&guest);
}

const struct test_case patch_fault_cases[] = {
    {"patch.store_faults", "A store behind a patched call faults at its place, and is made once",
     displaced_store_faults},
    {"patch.add_faults", "So does an addition to memory that is not the first instruction behind it",
     displaced_add_faults},
    {"patch.load_faults", "So does a load", displaced_load_faults},
    {0},
};
