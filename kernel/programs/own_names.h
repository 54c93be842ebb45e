/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Programs by names in /proc that are links which no walk of the host follows: they would lead to the embedder's. */
#ifndef TRAPGATE_KERNEL_OWN_NAMES_H
#define TRAPGATE_KERNEL_OWN_NAMES_H

struct process;

/*
 * The program that "/proc/self/exe" or the name of a descriptor stands for: a
 * descriptor or -errno. -ENODEV: the path is no such name.
 */
int own_name_open(const struct process *process, const char *path);

#endif
