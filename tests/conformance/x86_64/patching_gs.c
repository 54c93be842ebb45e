/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Patched calls work with the gs base: what a guest that uses gs itself finds there. */
#include <signal.h>
#include <string.h>

#include "../cases.h"
#include "cpu.h"
#include "patching_between.h"

static void check_gs_fault(struct guest *guest)
{
    guest_run(guest);
    CHECK_FAULT(&guest->event, 0, TG_ACCESS_READ, SIGSEGV, SEGV_MAPERR);
    CHECK_EQ(guest->event.u.fault.ip, GUEST_PLACE(patch_between, patch_between_read_gs));
    CHECK_EQ(tg_context_regs(guest->context)->gs_base, 0);
}

static bool between_is_original(const struct guest *guest)
{
    return bytes_are_original(guest, GUEST_CODE_AT, (struct guest_code)GUEST_CODE(patch_between));
}

/* A guest that uses the register that patched calls work with: it is not patched any more. */
static void check_gives_up(struct guest *guest)
{
    between_calls(guest, WARM_CALLS);
    CHECK(!(guest->event.flags & TG_FLAG_PATCHED));
    CHECK(between_is_original(guest));
}

/* Accesses through other registers fault as those through the hidden base do; no patching ends for them. */
static void addresses_without_gs(uint32_t backend)
{
    static const uint64_t wild[] = {UINT64_C(0xffff800000000000), UINT64_MAX - 7, UINT64_C(0x8000000000000000),
                                    UINT64_C(0x800000000000)};
    struct guest guest;
    size_t i;

    between_open(&guest, backend, 0);
    between_warm(&guest);
    for (i = 0; i < ARRAY_SIZE(wild); i++) {
        tg_context_regs_mut(guest.context)->rbx = wild[i];
        between_go(&guest, guest_patch_between_read_at);
        guest_run(&guest);
        CHECK(guest.event.kind == TG_EVENT_FAULT || guest.event.kind == TG_EVENT_EXCEPTION);
        CHECK_EQ(tg_context_regs(guest.context)->rip, GUEST_PLACE(patch_between, patch_between_read_at));
        arch_set_ip(guest.context, GUEST_CODE_AT);
        between_calls(&guest, 2);
        CHECK_EQ(!!(guest.event.flags & TG_FLAG_PATCHED), can_patch(&guest));
    }
    guest_close(&guest);
}

static void gs_read_without_base(uint32_t backend)
{
    struct guest guest;

    between_open(&guest, backend, 0);
    between_warm(&guest);
    between_go(&guest, guest_patch_between_read_gs);
    check_gs_fault(&guest);
    check_gs_fault(&guest);
    CHECK_EQ(platform_stats(guest.platform).faults, 2);
    arch_set_ip(guest.context, GUEST_CODE_AT);
    check_gives_up(&guest);
    guest_close(&guest);
    addresses_without_gs(backend);
}

static void gs_base_by_embedder(uint32_t backend)
{
    struct guest guest;
    int i;

    between_open(&guest, backend, 0);
    guest_store(guest.subprocess, GUEST_DATA_AT, 4711);
    between_warm(&guest);
    tg_context_regs_mut(guest.context)->gs_base = GUEST_DATA_AT;
    for (i = 0; i < WARM_CALLS; i++) {
        between_go(&guest, guest_patch_between_read_gs);
        between_calls(&guest, 1);
        CHECK_EQ(guest.event.u.syscall.args[0], 4711);
        CHECK_EQ(tg_context_regs(guest.context)->gs_base, GUEST_DATA_AT);
    }
    check_gives_up(&guest);
    guest_close(&guest);
}

static void gs_base_by_guest(uint32_t backend)
{
    struct guest guest;
    int i;

    if (!cpu_has(CPU_FSGSBASE))
        SKIP("this machine has no wrgsbase in user mode");
    between_open(&guest, backend, 0);
    guest_store(guest.subprocess, GUEST_DATA_AT, 4711);
    tg_context_regs_mut(guest.context)->rbx = GUEST_DATA_AT;
    between_warm(&guest);
    between_go(&guest, guest_patch_between_set_base);
    between_calls(&guest, 1);
    CHECK_EQ(tg_context_regs(guest.context)->gs_base, GUEST_DATA_AT);
    for (i = 0; i < WARM_CALLS; i++) {
        between_go(&guest, guest_patch_between_read_gs);
        between_calls(&guest, 1);
        CHECK_EQ(guest.event.u.syscall.args[0], 4711);
        CHECK_EQ(tg_context_regs(guest.context)->gs_base, GUEST_DATA_AT);
    }
    check_gives_up(&guest);
    guest_close(&guest);
}

/* Without a base of its own it is 0, also for the instruction that reads it: where nothing is hidden in it. */
static void gs_base_is_read(uint32_t backend)
{
    struct guest guest;

    if (!cpu_has(CPU_FSGSBASE))
        SKIP("this machine has no rdgsbase in user mode");
    between_open(&guest, backend, TG_OPEN_NO_PATCHING);
    tg_context_regs_mut(guest.context)->rdi = 1;
    between_warm(&guest);
    between_go(&guest, guest_patch_between_get_base);
    between_calls(&guest, 1);
    CHECK_EQ(guest.event.u.syscall.args[0], 0);
    guest_close(&guest);
}

static void gs_null_selector(uint32_t backend)
{
    struct guest guest;
    int i;

    between_open(&guest, backend, 0);
    between_warm(&guest);
    for (i = 0; i < WARM_CALLS; i++) {
        between_go(&guest, guest_patch_between_load_null);
        between_calls(&guest, 4);
        CHECK_EQ(tg_context_regs(guest.context)->gs_base, 0);
    }
    CHECK_EQ(platform_stats(guest.platform).faults, 0);
    guest_close(&guest);
}

const struct test_case patch_gs_cases[] = {
    {"patch.gs_unset", "A read through gs without a base faults as it would natively; it alone ends patching",
     gs_read_without_base},
    {"patch.gs_embedder", "A base of gs that the embedder sets is the guest's", gs_base_by_embedder},
    {"patch.gs_guest", "So is one that the guest sets by instruction", gs_base_by_guest},
    {"patch.gs_base_read", "Without patching, a guest without a base of gs reads 0 by instruction", gs_base_is_read},
    {"patch.gs_null", "A null selector in gs disturbs nothing", gs_null_selector},
    {0},
};
