/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "patching_between.h"

void between_open(struct guest *guest, uint32_t backend, uint64_t flags)
{
    guest_open_flags(guest, backend, flags, GUEST_CODE(patch_between));
    tg_context_regs_mut(guest->context)->r13 = GUEST_CODE_AT;
}

void between_calls(struct guest *guest, int calls)
{
    uint64_t r15;

    while (calls-- > 0) {
        r15 = tg_context_regs(guest->context)->r15;
        GUEST_RUN_TO_CALL(guest);
        CHECK_EQ(guest->event.u.syscall.ip, GUEST_PLACE(patch_between, patch_between_behind));
        CHECK_EQ(tg_context_regs(guest->context)->r15, r15 + 1);
    }
}

void between_warm(struct guest *guest)
{
    between_calls(guest, WARM_CALLS);
    CHECK_EQ(!!(guest->event.flags & TG_FLAG_PATCHED), can_patch(guest));
}

void between_go(struct guest *guest, const unsigned char *label)
{
    tg_context_regs_mut(guest->context)->r13 = GUEST_CODE_AT + (uint64_t)(label - guest_patch_between);
}
