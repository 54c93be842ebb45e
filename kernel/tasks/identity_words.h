/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Who a task is, for the calls that only ask for that: getpid(2) and its like.
 * Where the library can it answers them by itself, from words of the task's
 * context: processes may share an address space, so nothing of it is the
 * address space's. Whoever changes an answer tells the library.
 */
#ifndef TRAPGATE_KERNEL_IDENTITY_WORDS_H
#define TRAPGATE_KERNEL_IDENTITY_WORDS_H

#include <stdint.h>

#include <trapgate/trapgate.h>

struct process;
struct sandbox;
struct task;

enum identity_word {
    IDENTITY_PID,
    IDENTITY_PPID, /* 0: nobody in here */
    IDENTITY_TID,
    IDENTITY_UID,
    IDENTITY_EUID,
    IDENTITY_GID,
    IDENTITY_EGID,
    IDENTITY_WORDS
};

uint32_t identity_word(const struct task *task, enum identity_word word);

/* Calls in this address space may be answered by the library, if the sandbox's options say so. Copies have it. */
void identity_words_offer(const struct sandbox *sandbox, tg_subprocess *subprocess);

/* New, or something of it has changed. At any time, also while it runs. */
void identity_words_tell(const struct task *task);
void identity_words_tell_all(const struct process *process);

#endif
