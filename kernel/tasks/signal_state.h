/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What processes and tasks keep of signals: actions, masks, and what is pending. */
#ifndef TRAPGATE_KERNEL_SIGNAL_STATE_H
#define TRAPGATE_KERNEL_SIGNAL_STATE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#define SIGNAL_MAX 64

/* SS_AUTODISARM: who enters a handler on the stack has none until that returns. Not in every C library's header. */
#define STACK_AUTODISARM INT32_MIN

/* Numbers come from guests: every one is looked at before it is kept or counts as an index. */
static inline bool signal_is_valid(uint64_t signo)
{
    return signo >= 1 && signo <= SIGNAL_MAX;
}

/* Bit of a signal in a mask. */
#define SIGNAL_BIT(signo) (UINT64_C(1) << ((signo)-1))

/* struct kernel_sigaction, as rt_sigaction(2) reads it. */
struct signal_action {
    uint64_t handler; /* SIG_DFL, SIG_IGN or a guest address */
    uint64_t flags;
    uint64_t restorer;
    uint64_t mask;
};

struct process_signals {
    struct signal_action actions[SIGNAL_MAX + 1]; /* signal_action_of() finds them */
    uint64_t pending;                             /* for any thread of the process */
    siginfo_t pending_info[SIGNAL_MAX + 1];
};

struct task_signals {
    uint64_t blocked;
    uint64_t pending;
    siginfo_t pending_info[SIGNAL_MAX + 1];
    uint64_t saved_mask; /* what sigsuspend, ppoll and pselect put back */
    bool has_saved_mask;
    uint64_t taking;     /* what sigtimedwait waits for */
    uint64_t stack_base; /* sigaltstack(2) */
    uint64_t stack_size; /* 0: none */
    int32_t stack_flags; /* as they were asked for */
    /* Of the last trap, and of the last page fault: every signal frame shows them, as on Linux. */
    uint64_t trap_number;
    uint64_t error_code;
    uint64_t fault_address;
};

/* What the process does with a signal; for what is no signal, nothing that means anything. */
static inline struct signal_action *signal_action_of(struct process_signals *signals, int signo)
{
    return &signals->actions[signal_is_valid((uint64_t)signo) ? signo : 0];
}

/*
 * Whether this stack pointer lies on the alternate stack. Never so for a stack
 * with SS_AUTODISARM, which a handler may leave in the middle (swapcontext).
 */
static inline bool on_alternate_stack(const struct task_signals *signals, uint64_t sp)
{
    return !(signals->stack_flags & STACK_AUTODISARM) && sp > signals->stack_base &&
           sp - signals->stack_base <= signals->stack_size;
}

static inline void forget_alternate_stack(struct task_signals *signals)
{
    signals->stack_base = 0;
    signals->stack_size = 0;
    signals->stack_flags = 0;
}

#endif
