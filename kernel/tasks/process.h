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

#include "tasks/credentials.h"
#include "tasks/signal_state.h"

struct address_space;
struct fd_table;
struct interval_timer;
struct path_context;
struct sandbox;
struct task;

struct process {
    struct sandbox *sandbox;
    int32_t pid;
    int32_t pgid;
    int32_t sid;

    struct process *parent; /* NULL for the first one */
    struct process *first_child;
    struct process *next_sibling;
    struct process *next;         /* all processes of the sandbox */
    struct process *next_retired; /* burial.h */

    struct task *tasks; /* linked by next_in_process; NULL for a zombie */
    struct address_space *space;

    struct fd_table *fd_table; /* the file side's; see process_files.h */
    struct path_context *paths;
    char *executable; /* absolute path as the guest sees it: /proc/self/exe */

    struct credentials credentials;
    struct rlimit limits[RLIM_NLIMITS];
    struct process_signals signals;
    struct interval_timer *timers; /* interval_timers.c */
    int32_t next_timer_id;

    uint32_t personality; /* personality(2) */
    bool dumpable;
    bool ending;           /* exit_group or a fatal signal: its tasks are being taken down */
    bool ended;            /* a zombie */
    bool has_execed;       /* since fork: setpgid of the parent is refused then */
    int exit_signal;       /* to the parent; SIGCHLD for fork */
    int parent_end_signal; /* from the parent when it ends: PR_SET_PDEATHSIG; 0: none */
    bool adopts_orphans;   /* PR_SET_CHILD_SUBREAPER: those of its descendants */
    int wait_status;       /* as wait4(2) gives it */
    int64_t cpu_ns;        /* of programs before the last execve, and of all when it has ended */
    struct rusage children_usage;
    struct task *vfork_parent; /* waits until this process execs or ends; its vfork_child is this process */
    struct task *exec_task;    /* waits until it is the only one */
};

/* A number that no process, thread, group or session has: for the next process or thread. */
int32_t process_new_id(struct sandbox *sandbox);

/*
 * A new one, child of parent unless that is NULL, without memory, files and
 * tasks. 0, -EAGAIN when there are too many, or another -errno.
 */
int process_create(struct sandbox *sandbox, struct process *parent, struct process **out);

/* The process with this id, zombies too, or NULL. */
struct process *process_find(struct sandbox *sandbox, int32_t pid);

/*
 * Ends all threads of the process; it becomes a zombie when the last is buried.
 * Like task_end() it only marks, and may be called from inside any walk.
 */
void process_end(struct process *process, int wait_status);

/* What SIGCHLD and waitid(2) say about a zombie. */
void process_child_info(const struct process *child, siginfo_t *info);

/* Makes it a child of the parent, which may be NULL; and of nobody. */
void process_adopt(struct process *parent, struct process *child);
void process_leave_parent(struct process *child);

#endif
