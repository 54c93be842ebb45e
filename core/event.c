/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <string.h>

#include "core/attached.h"
#include "core/event.h"

/* All but the union. */
static void fill_head(struct tg_event *event, struct tg_context *context, uint32_t kind)
{
    event->size = sizeof(*event);
    event->kind = kind;
    event->flags = 0;
    event->arch = tgi_arch.audit_arch;
    event->context = context;
    event->user_data = context->user_data;
}

void event_begin(struct tg_event *event, struct tg_context *context, uint32_t kind)
{
    fill_head(event, context, kind);
    memset(&event->u, 0, sizeof(event->u));
}

/* The common one: no byte is written twice. */
void event_syscall(struct tg_event *event, struct tg_context *context, const struct arch_syscall *syscall)
{
    fill_head(event, context, TG_EVENT_SYSCALL);
    event->arch = syscall->arch;
    event->flags = syscall->flags;
    event->u.syscall.nr = syscall->nr;
    memcpy(event->u.syscall.args, syscall->args, sizeof(syscall->args));
    event->u.syscall.ip = syscall->ip;
    memset((char *)&event->u + sizeof(event->u.syscall), 0, sizeof(event->u) - sizeof(event->u.syscall));
}

bool event_is_fault(const siginfo_t *info)
{
    if (info->si_signo == SIGSEGV)
        return info->si_code != SI_KERNEL;
    return info->si_signo == SIGBUS && info->si_code != BUS_ADRALN && info->si_code != SI_KERNEL;
}

void event_fault(struct tg_event *event, struct tg_context *context, const siginfo_t *info, uint32_t access,
                 const struct arch_exception *exception)
{
    count(context->platform, COUNTER_FAULTS);
    event_begin(event, context, TG_EVENT_FAULT);
    event->u.fault.addr = (uint64_t)(uintptr_t)info->si_addr;
    event->u.fault.ip = tgi_arch.ip(&context->regs);
    event->u.fault.access = access;
    event->u.fault.signo = info->si_signo;
    event->u.fault.code = info->si_code;
    event->u.fault.trap = exception->number;
    event->u.fault.error_code = exception->error_code;
    event->flags = exception->flags;
}

void event_exception(struct tg_event *event, struct tg_context *context, const siginfo_t *info,
                     const struct arch_exception *exception)
{
    count(context->platform, COUNTER_EXCEPTIONS);
    event_begin(event, context, TG_EVENT_EXCEPTION);
    event->u.exception.addr = info->si_code == SI_KERNEL ? 0 : (uint64_t)(uintptr_t)info->si_addr;
    event->u.exception.ip = tgi_arch.ip(&context->regs);
    event->u.exception.signo = info->si_signo;
    event->u.exception.code = info->si_code;
    event->u.exception.trap_errno = info->si_errno;
    event->u.exception.trap = exception->number;
    event->u.exception.error_code = exception->error_code;
    event->flags = exception->flags;
}

void event_dead(struct tg_event *event, struct tg_context *context, int32_t reason, int32_t status)
{
    /* Meant for the one that has died: no other subprocess is to find it in its memory. */
    context_drop_attached(context);
    event_begin(event, context, TG_EVENT_DEAD);
    event->u.dead.reason = reason;
    event->u.dead.status = status;
}

void event_store(void *slot, size_t slot_size, const struct tg_event *event)
{
    size_t length = slot_size < sizeof(*event) ? slot_size : sizeof(*event);

    memcpy((char *)slot + sizeof(event->size), (const char *)event + sizeof(event->size), length - sizeof(event->size));
    if (slot_size > length)
        memset((char *)slot + length, 0, slot_size - length);
}
