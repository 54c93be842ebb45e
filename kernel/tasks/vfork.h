/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Who waits until a process of vfork(2) execs or ends. */
#ifndef TRAPGATE_KERNEL_VFORK_H
#define TRAPGATE_KERNEL_VFORK_H

struct process;
struct task;

/* A task of the parent waits until the process execs or ends. */
void vfork_set_parent(struct process *process, struct task *parent);

/* Lets that task go on; or forgets it, because it ends itself. Harmless when there is none. */
void vfork_release_parent(struct process *process);
void vfork_forget(struct process *process);

#endif
