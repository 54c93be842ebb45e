/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * floors.h - the same work as the benchmarks, done with bare kernel calls: no
 * library, no checks beyond "did it work". What the mechanism costs by itself.
 */
#ifndef TRAPGATE_BENCH_FLOORS_H
#define TRAPGATE_BENCH_FLOORS_H

#include "../benchmark.h"

/* floors/switching.c: ns for one round trip; tracer and tracee on one processor. */
sample_function floor_switch;
sample_function floor_switch_fp;
sample_function floor_fault;

/* floors/many_tracees.c: calls per second of `argument` traced threads of one process, driven by one thread. */
sample_function floor_queue_one_cpu;
sample_function floor_queue_two_cpus;
sample_function floor_tracees_in_turns; /* the first one in ns for each call */

/* floors/tracer_threads.c: calls per second of `argument` threads with a tracee each, a pair per processor. */
sample_function floor_threads;

/* floors/computing.c: wall time of two computing tracees, a processor each, over that of one. */
sample_function floor_compute_two;

/* floors/processes.c */
sample_function floor_create_destroy; /* ns */
sample_function floor_first_switch;   /* ns; and one call */
sample_function floor_fork_touched;   /* ns; `argument` bytes touched */
sample_function floor_memory_at_rest; /* KiB */

/* floors/guest_memory.c: ns for mapping and unmapping one page; ns for reading or writing `argument` bytes. */
sample_function floor_map_native;
sample_function floor_map_touch;        /* and touching it */
sample_function floor_map_native_batch; /* `argument` pages mapped, then all of them unmapped; per page */
sample_function floor_map_injected;
sample_function floor_read;
sample_function floor_write;

/* floors/answers.c: ns for all registers stored and loaded again by one thread; ns for gettid. */
sample_function floor_registers;
sample_function floor_native_call;

/* floors/clock.c: ns for one look at the clock through the vDSO. */
sample_function floor_clock;

/* floors/handoffs.c: ns for one round trip between two processes through shared memory. */
sample_function floor_call_spinning; /* on two processors, both sides spin */
sample_function floor_short_call_spinning;
sample_function floor_line_out; /* what 64 bytes in a line of their own add to that, from the stub */
sample_function floor_line_in;  /* and to it */
sample_function floor_sigsys_spinning;
sample_function floor_dispatch_spinning;
sample_function floor_sigsegv_spinning;
sample_function floor_call_sleeping; /* on one processor, both sides sleep */

/* floors/handoffs.c: the same in calls per second; `argument` pairs that sleep, and one pair that spins. */
sample_function floor_pairs_sleeping;
sample_function floor_one_pair_spinning;

/* floors/ring.c: calls per second of `argument` contexts that go round through two rings, with their FP state. */
sample_function floor_ring;
/* ns for one of them when only one is on its way, each in its turn. */
sample_function floor_ring_in_turns;

/* floors/rest.c: processor time of a process that rests, in us for every second. */
sample_function floor_rest;

#endif
