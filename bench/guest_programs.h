/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* guest_programs.h - the small programs of arch/<cpu>/guest_programs.S. */
#ifndef TRAPGATE_BENCH_GUEST_PROGRAMS_H
#define TRAPGATE_BENCH_GUEST_PROGRAMS_H

#include <stdint.h>

/* What bench_syscall_loop wants to hear from getppid. */
#define GETPPID_ANSWER 42

/* How often bench_clock_loop looks at the clock between two calls of getppid. */
#define LOOKS_AT_ONCE 100000

/* How often bench_ask_loop calls gettid between two calls of getppid, and what it wants to hear. */
#define ASKED_AT_ONCE 100000
#define GETTID_ANSWER 43

void bench_syscall_loop(uint64_t unused);
void bench_touch_loop(uint64_t address);
void bench_fault_loop(uint64_t unused);
void bench_compute(uint64_t rounds);
void bench_clock_loop(uint64_t look);
void bench_ask_loop(uint64_t unused);
void bench_injection_site(uint64_t unused);
void bench_restorer(void);

extern const char bench_syscall_loop_end[];
extern const char bench_touch_loop_end[];
extern const char bench_fault_loop_end[];
extern const char bench_compute_end[];
extern const char bench_clock_loop_end[];
extern const char bench_ask_loop_end[];
extern const char bench_restorer_end[];

#endif
