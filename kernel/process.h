/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A guest process: what its threads share. Processes form a tree; one that
 * ended stays as a zombie until its parent waits for it.
 */
#ifndef TRAPGATE_KERNEL_PROCESS_H
#define TRAPGATE_KERNEL_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

#include "signals.h"

struct address_space;
struct fd_table;
struct path_context;
struct sandbox;
struct task;

struct credentials {
    uint32_t uid, euid, suid, fsuid;
    uint32_t gid, egid, sgid, fsgid;
};

struct process {
    struct sandbox *sandbox;
    int32_t pid;
    int32_t pgid;
    int32_t sid;

    struct process *parent; /* NULL for the first one */
    struct process *first_child;
    struct process *next_sibling;
    struct process *next; /* all processes of the sandbox */

    struct task *tasks; /* linked by next_in_process; NULL for a zombie */
    struct address_space *space;

    struct fd_table *fd_table; /* the file side's; see files.h */
    struct path_context *paths;
    char *executable; /* absolute path as the guest sees it: /proc/self/exe */

    struct credentials credentials;
    struct rlimit limits[RLIM_NLIMITS];
    struct process_signals signals;

    bool dumpable;
    bool ending;     /* exit_group or a fatal signal: its tasks are being taken down */
    bool ended;      /* a zombie */
    bool has_execed; /* since fork: setpgid of the parent is refused then */
    int exit_signal; /* to the parent; SIGCHLD for fork */
    int wait_status; /* as wait4(2) gives it */
    struct rusage children_usage;
    struct task *vfork_parent; /* waits until this process execs or ends */
};

/* The process or task with this id, or NULL. */
struct process *process_find(struct sandbox *sandbox, int32_t pid);
struct task *process_find_task(struct sandbox *sandbox, int32_t tid);

/* Ends all threads of the process; it becomes a zombie when the last is gone. */
void process_end(struct process *process, int wait_status);

/* Frees a zombie or a process that never started. Takes it off all lists. */
void process_destroy(struct process *process);

#endif
