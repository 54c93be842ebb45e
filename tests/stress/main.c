/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * stress BACKEND CASE   runs one case: 0 right, 1 wrong, 77 skipped
 * stress --list         the names
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <trapgate/trapgate.h>

#include "backend_names.h"
#include "stress.h"

static const struct stress_case {
    const char *name;
    void (*run)(uint32_t backend);
} cases[] = {
    {"create_destroy", stress_create_destroy},
    {"fork_chain", stress_fork_chain},
    {"many_platforms", stress_many_platforms},
    {"shared_subprocesses", stress_shared_subprocesses},
    {"queue_of_many", stress_queue_of_many},
    {"ten_thousand", stress_ten_thousand},
    {"interrupt_storm", stress_interrupt_storm},
    {"interrupt_storm_on_queue", stress_interrupt_storm_on_queue},
    {"killed_beside_idle", stress_killed_beside_idle},
    {"killed_stubs", stress_killed_stubs},
    {"short_threads", stress_short_threads},
    {"patch_races", stress_patch_races},
    {"patch_files", stress_patch_files},
    {"no_processes_left", stress_no_processes_left},
    {"no_descriptors_left", stress_no_descriptors_left},
    {"no_address_space_left", stress_no_address_space_left},
    {"no_mappings_left", stress_no_mappings_left},
    {"no_guest_mappings_left", stress_no_guest_mappings_left},
};

#define CASE_COUNT (sizeof(cases) / sizeof(cases[0]))

static int list(void)
{
    for (size_t i = 0; i < CASE_COUNT; i++)
        puts(cases[i].name);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--list") == 0)
        return list();
    const uint32_t backend = argc == 3 ? backend_by_name(argv[1]) : TG_BACKEND_AUTO;
    if (backend == TG_BACKEND_AUTO) {
        fprintf(stderr, "usage: stress ptrace|systrap CASE\n       stress --list\n");
        return 2;
    }
    /* One arena: what threads allocate then shows in the footprint as little as it can. */
    mallopt(M_ARENA_MAX, 1);
    for (size_t i = 0; i < CASE_COUNT; i++) {
        if (strcmp(cases[i].name, argv[2]) != 0)
            continue;
        cases[i].run(backend);
        return 0;
    }
    fprintf(stderr, "no case is called %s\n", argv[2]);
    return 2;
}
