/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Filling events and handing them to callers whose struct may be shorter or longer than ours. */
#ifndef CORE_EVENT_H
#define CORE_EVENT_H

#include "core/handles.h"

/* The parts that every event has, and nothing else. */
void event_begin(struct tg_event *event, struct tg_context *context, uint32_t kind);
void event_syscall(struct tg_event *event, struct tg_context *context, const struct arch_syscall *syscall);
/* Page faults and the end of a file have an address; protection errors of other kinds have none. */
bool event_is_fault(const siginfo_t *info);
/* The context's registers are in the handle. */
void event_fault(struct tg_event *event, struct tg_context *context, const siginfo_t *info, uint32_t access,
                 const struct arch_exception *exception);
void event_exception(struct tg_event *event, struct tg_context *context, const siginfo_t *info,
                     const struct arch_exception *exception);
void event_dead(struct tg_event *event, struct tg_context *context, int32_t reason, int32_t status);

/* Copies what fits into the caller's struct of that size; its size field stays. */
void event_store(void *slot, size_t slot_size, const struct tg_event *event);

#endif
