/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What differs between processors: registers of a call, the signal frame, and
 * a few names. One folder for each architecture implements it.
 */
#ifndef TRAPGATE_KERNEL_ARCH_H
#define TRAPGATE_KERNEL_ARCH_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

#include <trapgate/trapgate.h>

struct signal_action;
struct task;

extern const uint16_t arch_elf_machine;
extern const char arch_name[]; /* AT_PLATFORM and uname(2) */

extern const uint32_t arch_page_fault; /* the trap number of a page fault */

/*
 * Where Linux loads position-independent programs: from here on, by chance and
 * below here plus the range. Sanitizers have shadow memory for nowhere else.
 */
extern const uint64_t arch_program_base;
extern const uint64_t arch_program_range;

/* The calls with SYSCALL_NR_OLDER that this processor has, by their names. */
struct older_call {
    const char *name;
    uint32_t nr;
};

extern const struct older_call arch_older_calls[];
extern const size_t arch_older_calls_count;

uint64_t arch_stack_pointer(const tg_context *context);

/* What clone(2) was asked for; the order of its arguments differs. */
struct clone_request {
    uint64_t flags;
    uint64_t stack; /* 0: as the parent's */
    uint64_t parent_tid;
    uint64_t child_tid;
    uint64_t tls;
};

void arch_clone_request(const uint64_t args[6], struct clone_request *request);

/* Makes a copied context come out of the parent's clone as the child: result 0, its own stack unless 0. */
void arch_become_child(tg_context *context, uint64_t stack);

/*
 * Puts a signal frame on the stack that the action asks for and sends the task
 * to the handler. saved_mask is what the handler's return puts back.
 * 0 or -EFAULT when the stack cannot take it.
 */
int arch_push_signal_frame(struct task *task, const siginfo_t *info, const struct signal_action *action,
                           uint64_t saved_mask);

/*
 * rt_sigreturn: takes registers and FP state from the frame, and the mask. 0 or -EFAULT. As on Linux an FP state that
 * no processor takes costs that alone: a handler that is told of it returns to where the frame said.
 */
int arch_pop_signal_frame(struct task *task, uint64_t *saved_mask);

#endif
