/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Gives a process a new program. */
#ifndef TRAPGATE_KERNEL_EXEC_H
#define TRAPGATE_KERNEL_EXEC_H

struct program;
struct task;

/*
 * Loads the program into a new address space and makes the task, which is the
 * only one of its process, start in it. 0, or -errno with nothing changed.
 */
int exec_program(struct task *task, struct program *program);

#endif
