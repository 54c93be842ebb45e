/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What /proc says about a process: its state, threads, descriptors and mappings. */
#ifndef TESTS_SUPPORT_PROC_H
#define TESTS_SUPPORT_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The number behind that word at the start of a line; 0: there is none. */
size_t proc_field(const char *path, const char *word);

struct proc_mapping {
    uint64_t start;
    uint64_t end;
    char name[128];
};

/* The letter of /proc/PID/stat, or 0 when there is no such process. */
char proc_state(pid_t pid);
/* 0 when there is no such process. */
pid_t proc_parent(pid_t pid);
/* True while the process can still run: it is there and no zombie. */
bool proc_alive(pid_t pid);
/* Waits until the process is gone or a zombie. The test's time limit ends a wait that never succeeds. */
void proc_wait_gone(pid_t pid);

/* Entries of a folder such as /proc/self/fd, without the descriptor that lists it. */
size_t proc_count(const char *folder);
size_t proc_thread_count(pid_t pid);
/* Threads of the process whose letter in /proc is another. */
size_t proc_threads_not(pid_t pid, char state);

/* Fills up to capacity mappings and returns how many there are. */
size_t proc_mappings(pid_t pid, struct proc_mapping *mappings, size_t capacity);
/* From here on there is no /proc, until proc_return(); a skip where that cannot be done. */
int proc_leave(void);
void proc_return(int root);
/* The resident bytes of the mapping that holds the address, from smaps. */
uint64_t proc_resident(pid_t pid, uint64_t addr);

#endif
