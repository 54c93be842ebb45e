/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "patch_plan.h"

#include <string.h>

#include "patch_after.h"
#include "patch_before.h"
#include "patch_bytes.h"
#include "patch_window.h"
#include "x86_64.h"

static const uint8_t syscall_code[X86_SYSCALL_LENGTH] = {0x0f, 0x05};

static bool request_is_sound(const struct patch_request *request)
{
    const uint64_t reach = PATCH_SITE_MAX;

    return request->ip >= reach && request->ip <= X86_USER_END - reach &&
           request->code_addr + request->code_length >= request->code_addr &&
           request->table_entry >= PATCH_TABLE_START && request->table_entry < PATCH_TABLE_END &&
           request->table_entry % sizeof(uint64_t) == 0 && request->trampoline % sizeof(uint64_t) == 0;
}

static enum patch_refusal site_refusal(const struct patch_request *request, const struct patch_window *window)
{
    if (!request_is_sound(request))
        return PATCH_REFUSED_OTHER;
    if (!patch_window_has(window, request->ip - X86_SYSCALL_LENGTH, request->ip))
        return PATCH_REFUSED_UNREADABLE;
    if (memcmp(patch_window_at(window, request->ip - X86_SYSCALL_LENGTH), syscall_code, X86_SYSCALL_LENGTH) != 0)
        return PATCH_REFUSED_NO_SYSCALL;
    if (patch_is_signal_return(request->nr))
        return PATCH_REFUSED_SIGNAL_RETURN;
    return PATCH_OK;
}

/*
 * Code behind the syscall can be decoded with certainty, so that it is tried
 * first. Displacing an instruction that can fault is the last resort: who looks
 * at the code of such a fault finds the jump there.
 */
static enum patch_refusal choose(const struct patch_request *request, const struct patch_window *window,
                                 struct patch_plan *plan)
{
    plan->refusal_after = patch_plan_after(request, window, false, plan);
    if (plan->refusal_after == PATCH_OK)
        return PATCH_OK;
    plan->refusal_before = patch_plan_before(request, window, plan);
    if (plan->refusal_before == PATCH_OK)
        return PATCH_OK;
    if (plan->refusal_after == PATCH_REFUSED_MEMORY) {
        plan->refusal_after = patch_plan_after(request, window, true, plan);
        if (plan->refusal_after == PATCH_OK)
            return PATCH_OK;
    }
    return plan->refusal_before == PATCH_REFUSED_NO_MOV ? plan->refusal_after : plan->refusal_before;
}

enum patch_refusal patch_plan_make(const struct patch_request *request, struct patch_plan *plan)
{
    struct patch_window window;

    memset(plan, 0, sizeof(*plan));
    plan->refusal_before = PATCH_OK;
    plan->refusal_after = PATCH_OK;
    const bool decodes = patch_window_open(&window, request->code, request->code_addr, request->code_length);
    plan->refusal = site_refusal(request, &window);
    if (plan->refusal == PATCH_OK && !decodes)
        plan->refusal = PATCH_REFUSED_UNDECODABLE;
    if (plan->refusal == PATCH_OK)
        plan->refusal = choose(request, &window, plan);
    if (plan->refusal != PATCH_OK)
        return plan->refusal;

    memcpy(plan->original, patch_window_at(&window, plan->site.start), plan->site.length);
    patch_put_trampoline(request, plan);
    return PATCH_OK;
}
