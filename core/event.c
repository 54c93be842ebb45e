/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <string.h>

#include "core/event.h"

void event_begin(struct tg_event *event, struct tg_context *context, uint32_t kind)
{
    memset(event, 0, sizeof(*event));
    event->size = sizeof(*event);
    event->kind = kind;
    event->arch = tgi_arch.audit_arch;
    event->context = context;
    event->user_data = context->user_data;
}

void event_syscall(struct tg_event *event, struct tg_context *context, const struct arch_syscall *syscall)
{
    event_begin(event, context, TG_EVENT_SYSCALL);
    event->arch = syscall->arch;
    event->flags = syscall->flags;
    event->u.syscall.nr = syscall->nr;
    memcpy(event->u.syscall.args, syscall->args, sizeof(syscall->args));
    event->u.syscall.ip = syscall->ip;
}

void event_dead(struct tg_event *event, struct tg_context *context, int32_t reason, int32_t status)
{
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
