/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Classic BPF as seccomp(2) takes it: what the kernel would refuse, and what it would answer. */
#ifndef TESTS_UNIT_BPF_SIMULATOR_H
#define TESTS_UNIT_BPF_SIMULATOR_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>

/* NULL, or why the kernel would not load this program. */
const char *bpf_objection(const struct sock_fprog *program);

/* What a program that bpf_objection() has nothing against returns for this call. */
uint32_t bpf_run(const struct sock_fprog *program, const struct seccomp_data *call);

/* Of several programs on one thread, the oldest first: the answer that the kernel acts on. */
uint32_t bpf_run_stack(const struct sock_fprog *programs, size_t n, const struct seccomp_data *call);

#endif
