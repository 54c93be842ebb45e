/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What the ends of threads and processes mean for others, and when their
 * memory goes: task_end() and process_end() only mark.
 */
#ifndef TRAPGATE_KERNEL_BURIAL_H
#define TRAPGATE_KERNEL_BURIAL_H

struct process;
struct sandbox;

/*
 * The loop's, between two events, when nothing walks over tasks or processes:
 * tells others of the tasks that have ended, makes zombies of processes without
 * tasks, and frees what is gone. Nothing else frees a task or a process.
 */
void tasks_bury(struct sandbox *sandbox);

/*
 * Takes a zombie, or a process that never started, off everything that leads to
 * it. Its memory stays until the loop calls processes_free_retired(), so a walk
 * over processes that stands at this one can go on.
 */
void process_retire(struct process *process);
void processes_free_retired(struct sandbox *sandbox);

#endif
