/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Many of everything at once, for long. A case runs in a process of its own
 * and ends it when something is wrong (support/check.h).
 */
#ifndef TESTS_STRESS_STRESS_H
#define TESTS_STRESS_STRESS_H

#include <stddef.h>
#include <stdint.h>

#include "scale.h" /* most cases do something as often as that says */

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if !defined(SANITIZED) && (defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__))
#define SANITIZED 1
#endif
#if !defined(SANITIZED)
#define SANITIZED 0
#endif

void stress_create_destroy(uint32_t backend);
void stress_fork_chain(uint32_t backend);
void stress_many_platforms(uint32_t backend);
void stress_shared_subprocesses(uint32_t backend);
void stress_queue_of_many(uint32_t backend);
void stress_ten_thousand(uint32_t backend);
void stress_interrupt_storm(uint32_t backend);
void stress_interrupt_storm_on_queue(uint32_t backend);
void stress_killed_beside_idle(uint32_t backend);
void stress_killed_stubs(uint32_t backend);
void stress_short_threads(uint32_t backend);
void stress_patch_races(uint32_t backend);
void stress_patch_files(uint32_t backend);
void stress_no_processes_left(uint32_t backend);
void stress_no_descriptors_left(uint32_t backend);
void stress_no_address_space_left(uint32_t backend);
void stress_no_mappings_left(uint32_t backend);
void stress_no_guest_mappings_left(uint32_t backend);

#endif
