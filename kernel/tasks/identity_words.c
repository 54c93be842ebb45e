/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "tasks/identity_words.h"

#include <sys/syscall.h>

#include "tasks/sandbox_state.h"
#include "tasks/task.h"

_Static_assert(IDENTITY_WORDS <= TG_CONTEXT_WORDS, "a context has as many words");

static const uint32_t calls[IDENTITY_WORDS] = {
    [IDENTITY_PID] = SYS_getpid,   [IDENTITY_PPID] = SYS_getppid, [IDENTITY_TID] = SYS_gettid,
    [IDENTITY_UID] = SYS_getuid,   [IDENTITY_EUID] = SYS_geteuid, [IDENTITY_GID] = SYS_getgid,
    [IDENTITY_EGID] = SYS_getegid,
};

uint32_t identity_word(const struct task *task, enum identity_word word)
{
    const struct process *process = task->process;
    const struct credentials *ids = &process->credentials;
    const uint32_t words[IDENTITY_WORDS] = {
        [IDENTITY_PID] = (uint32_t)process->pid,
        [IDENTITY_PPID] = process->parent ? (uint32_t)process->parent->pid : 0,
        [IDENTITY_TID] = (uint32_t)task->tid,
        [IDENTITY_UID] = ids->uid,
        [IDENTITY_EUID] = ids->euid,
        [IDENTITY_GID] = ids->gid,
        [IDENTITY_EGID] = ids->egid,
    };

    return words[word];
}

void identity_words_offer(const struct sandbox *sandbox, tg_subprocess *subprocess)
{
    if (!sandbox->options.answers)
        return;
    for (uint32_t word = 0; word < IDENTITY_WORDS; word++)
        tg_subprocess_answer(subprocess, calls[word], TG_ANSWER_CONTEXT_WORD, word);
}

void identity_words_tell(const struct task *task)
{
    if (!task->sandbox->options.answers)
        return;
    for (uint32_t word = 0; word < IDENTITY_WORDS; word++)
        tg_context_set_word(task->context, word, identity_word(task, (enum identity_word)word));
}

void identity_words_tell_all(const struct process *process)
{
    for (const struct task *task = process->tasks; task; task = task->next_in_process)
        identity_words_tell(task);
}
