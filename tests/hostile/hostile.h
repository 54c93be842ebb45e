/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Guests and stubs that do their worst: the embedder lives on, gets an event
 * for everything within a bounded time, and keeps nothing of it. A case runs
 * in a process of its own and ends it when something is wrong
 * (support/check.h); a call that does not return is found by bounded.h.
 */
#ifndef TESTS_HOSTILE_HOSTILE_H
#define TESTS_HOSTILE_HOSTILE_H

#include <stdint.h>

#include "guest.h"
#include "guests.h"

/* The seed of everything random in a case: HOSTILE_SEED in the environment, or the time. Printed at the start. */
uint64_t hostile_seed(void);
/* A number from the environment, or the default. */
uint64_t hostile_setting(const char *name, uint64_t otherwise);
/* Skips the case on backends that share no memory with guests. */
void need_shared_memory(uint32_t backend);

void hostile_corrupt_control(uint32_t backend);
void hostile_corrupt_workers(uint32_t backend);
void hostile_corrupt_slots(uint32_t backend);
void hostile_corrupt_fpstate(uint32_t backend);
void hostile_corrupt_stacks(uint32_t backend);
void hostile_corrupt_everything(uint32_t backend);
void hostile_corrupt_answered(uint32_t backend);

void hostile_threads_killed(uint32_t backend);
void hostile_threads_stopped(uint32_t backend);
void hostile_killed_unfetched(uint32_t backend);
void hostile_made_stopped(uint32_t backend);
void hostile_stopped_destroyed(uint32_t backend);

void hostile_calls_from_guest(uint32_t backend);
void hostile_calls_from_stub(uint32_t backend);
void hostile_stub_code_anywhere(uint32_t backend);
void hostile_stub_pages_stay(uint32_t backend);
void hostile_stepped_into_stub(uint32_t backend);
void hostile_sealed(uint32_t backend);
void hostile_file_sealed(uint32_t backend);
void hostile_file_small(uint32_t backend);

void hostile_sigreturn_blocks_call(uint32_t backend);
void hostile_sigreturn_blocks_kick(uint32_t backend);
void hostile_sigreturn_blocks_kick_destroyed(uint32_t backend);
void hostile_sigreturn_blocks_kick_unqueued(uint32_t backend);
void hostile_sigreturn_blocks_kick_closed(uint32_t backend);
void hostile_sigreturn_moves_stack(uint32_t backend);
void hostile_sigreturn_moves_stack_destroyed(uint32_t backend);

void hostile_carried_unmapped(uint32_t backend);
void hostile_carried_forged(uint32_t backend);
void hostile_carried_lies(uint32_t backend);
void hostile_carried_elsewhere(uint32_t backend);
void hostile_answers_change(uint32_t backend);
void hostile_answers_forged(uint32_t backend);

void hostile_copied_unmapped(uint32_t backend);
void hostile_copied_lies(uint32_t backend);
void hostile_copied_for_ever(uint32_t backend);
void hostile_copied_elsewhere(uint32_t backend);

void hostile_reset_leftovers(uint32_t backend);
void hostile_reset_runs_on(uint32_t backend);

void hostile_forged_answer(uint32_t backend);
void hostile_forged_held(uint32_t backend);
void hostile_cleared_waiting(uint32_t backend);
void hostile_forged_event_killed(uint32_t backend);
void hostile_forged_gone(uint32_t backend);
void hostile_forged_signal(uint32_t backend);
void hostile_forged_registers(uint32_t backend);
void hostile_short_waits(uint32_t backend);
void hostile_forged_times(uint32_t backend);
void hostile_forged_done(uint32_t backend);
void hostile_forged_nonsense(uint32_t backend);
void hostile_forged_running(uint32_t backend);
void hostile_forged_kicks(uint32_t backend);
void hostile_hidden_interrupt(uint32_t backend);

/* For hostile_rounds, whose library looks more often after what it waits for. */
void hostile_sigreturn_blocks_kick_queued(uint32_t backend);
void hostile_seems_moving(uint32_t backend);
void hostile_stopped_now_and_then(uint32_t backend);
void hostile_watched_often(uint32_t backend);
void hostile_starved(uint32_t backend);
void hostile_watched_without_proc(uint32_t backend);
void hostile_frozen_destroyed(uint32_t backend);
void hostile_frozen_closed(uint32_t backend);
void hostile_frozen_waited(uint32_t backend);
void hostile_stopped_without_proc(uint32_t backend);
void hostile_stopped_operations(uint32_t backend);
void hostile_stopped_queue(uint32_t backend);
void hostile_stopped_context(uint32_t backend);
void hostile_stopped_subprocess(uint32_t backend);
void hostile_stopped_elsewhere(uint32_t backend);
void hostile_stopped_backlog(uint32_t backend);
void hostile_stopped_backlog_served(uint32_t backend);
void hostile_stopped_backlog_left(uint32_t backend);
void hostile_stopped_backlog_long(uint32_t backend);
void hostile_stopped_backlog_needed(uint32_t backend);
void hostile_stopped_hot_call(uint32_t backend);
void hostile_stopped_hot_call_left(uint32_t backend);

void hostile_patched_orders(uint32_t backend);
void hostile_patched_never_writable(uint32_t backend);

void hostile_many_in_one(uint32_t backend);
void hostile_many_on_queue(uint32_t backend);

#endif
