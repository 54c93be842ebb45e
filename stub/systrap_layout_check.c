/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The numbers that the systrap stub's assembly uses are the offsets of the structs that C uses. */
#include <stddef.h>

#include "systrap_protocol.h"

_Static_assert(offsetof(struct systrap_orders, request) == ORDERS_REQUEST, "request");
_Static_assert(offsetof(struct systrap_orders, count) == ORDERS_COUNT, "count");
_Static_assert(offsetof(struct systrap_orders, go) == ORDERS_GO, "go");
_Static_assert(offsetof(struct systrap_orders, pauses) == ORDERS_PAUSES, "pauses");
_Static_assert(offsetof(struct systrap_orders, calls) == ORDERS_CALLS, "calls");
_Static_assert(offsetof(struct systrap_config, program_length) == CONFIG_GUEST_PROGRAM, "guest program");
_Static_assert(offsetof(struct systrap_config, signal_mask) == CONFIG_SIGNAL_MASK, "signal mask");
_Static_assert(offsetof(struct systrap_config, begin_mask) == CONFIG_BEGIN_MASK, "begin mask");
_Static_assert(offsetof(struct systrap_config, spin_pauses) == CONFIG_SPIN_PAUSES, "spin pauses");
_Static_assert(offsetof(struct systrap_config, stacks) == CONFIG_STACKS, "stacks");
_Static_assert(offsetof(struct systrap_config, cpus) == CONFIG_CPUS, "cpus");
_Static_assert(offsetof(struct systrap_config, cpus_size) == CONFIG_CPUS_SIZE, "size of cpus");
_Static_assert(sizeof(((struct systrap_config *)0)->stacks[0]) == CONFIG_STACK_SIZE, "stack_t");
_Static_assert(offsetof(struct systrap_control, reply) == CONTROL_REPLY, "reply");
_Static_assert(offsetof(struct systrap_control, reply_waiting) == CONTROL_REPLY_WAITING, "reply_waiting");
_Static_assert(offsetof(struct systrap_slot, other_regs) == 64, "what an embedder looks at first is one cache line");
_Static_assert(offsetof(struct systrap_slot, code) % 64 == 0, "what it looks at for an unpatched call is one more");
_Static_assert(offsetof(struct systrap_worker, slot) == WORKER_SLOT, "slot");
