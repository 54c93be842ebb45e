/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Copies of a subprocess. */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arch.h"
#include "cases.h"
#include "guest.h"
#include "guests.h"
#include "threads.h"

#define AREA GUEST_HOLE_AT

static tg_subprocess *fork_of(tg_subprocess *subprocess)
{
    tg_subprocess *copy = NULL;

    CHECK_OK(tg_subprocess_fork(subprocess, &copy));
    CHECK(copy != NULL);
    return copy;
}

static void guest_writes(struct guest *guest, tg_subprocess *subprocess, uint64_t addr, uint64_t value)
{
    guest_restart(guest);
    arch_set_argument(guest->context, 0, addr);
    arch_set_argument(guest->context, 1, value);
    run_context(guest->context, subprocess, &guest->event);
    CHECK_CALL(&guest->event, GUEST_CALL);
}

static void private_pages_part(uint32_t backend)
{
    struct guest guest;
    tg_subprocess *copy;

    guest_open(&guest, backend, GUEST_CODE(write_calls));
    guest_writes(&guest, guest.subprocess, GUEST_DATA_AT, 1);
    copy = fork_of(guest.subprocess);
    CHECK(tg_subprocess_pid(copy) != tg_subprocess_pid(guest.subprocess));
    CHECK_EQ(guest_load(copy, GUEST_DATA_AT), 1);
    guest_writes(&guest, guest.subprocess, GUEST_DATA_AT, 2);
    CHECK_EQ(guest_load(copy, GUEST_DATA_AT), 1);
    guest_writes(&guest, copy, GUEST_DATA_AT, 3);
    CHECK_EQ(guest_load(guest.subprocess, GUEST_DATA_AT), 2);
    CHECK_EQ(guest_load(copy, GUEST_DATA_AT), 3);
    guest_store(copy, GUEST_DATA_AT + 8, 4);
    CHECK_EQ(guest_load(guest.subprocess, GUEST_DATA_AT + 8), 0);
    tg_subprocess_destroy(copy);
    guest_close(&guest);
}

static void shared_mappings_stay_shared(uint32_t backend)
{
    struct guest guest;
    tg_subprocess *copy;
    int file = CHECK_SYSTEM(memfd_create("shared", MFD_CLOEXEC));

    guest_open(&guest, backend, GUEST_CODE(write_calls));
    CHECK_SYSTEM(ftruncate(file, (off_t)guest.page));
    CHECK_OK(tg_subprocess_map(guest.subprocess, AREA, guest.page, PROT_RW, TG_MAP_SHARED, file, 0));
    CHECK_OK(tg_subprocess_map(guest.subprocess, AREA + guest.page, guest.page, PROT_RW, TG_MAP_SHARED, -1, 0));
    copy = fork_of(guest.subprocess);
    guest_writes(&guest, guest.subprocess, AREA, 1);
    CHECK_EQ(guest_load(copy, AREA), 1);
    guest_writes(&guest, copy, AREA, 2);
    CHECK_EQ(guest_load(guest.subprocess, AREA), 2);
    guest_writes(&guest, copy, AREA + guest.page, 3);
    CHECK_EQ(guest_load(guest.subprocess, AREA + guest.page), 3);
    tg_subprocess_destroy(copy);
    close(file);
    guest_close(&guest);
}

static void layout_is_copied(uint32_t backend)
{
    struct guest guest;
    tg_subprocess *copy;

    guest_open(&guest, backend, GUEST_CODE(write_calls));
    map_pages(guest.subprocess, AREA, guest.page, TG_PROT_READ);
    copy = fork_of(guest.subprocess);
    CHECK_OK(tg_subprocess_unmap(guest.subprocess, AREA, guest.page));
    arch_set_argument(guest.context, 0, AREA);
    run_context(guest.context, copy, &guest.event);
    CHECK_FAULT(&guest.event, AREA, TG_ACCESS_WRITE, SIGSEGV, SEGV_ACCERR);
    map_pages(copy, AREA + guest.page, guest.page, PROT_RW);
    arch_set_argument(guest.context, 0, AREA + guest.page);
    guest_run(&guest);
    CHECK_FAULT(&guest.event, AREA + guest.page, TG_ACCESS_WRITE, SIGSEGV, SEGV_MAPERR);
    tg_subprocess_destroy(copy);
    guest_close(&guest);
}

static void context_goes_on_in_the_copy(uint32_t backend)
{
    struct guest guest;
    tg_subprocess *copy;
    tg_context *child;
    tg_event event;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    GUEST_RUN_TO_CALL(&guest);
    copy = fork_of(guest.subprocess);
    child = create_context(guest.platform);
    CHECK_OK(tg_context_copy(child, guest.context));
    CHECK_OK(tg_context_set_return(child, 0));
    run_context(child, copy, &event);
    CHECK_CALL(&event, GUEST_CALL);
    CHECK_EQ(event.u.syscall.args[0], 2);
    GUEST_RUN_TO_CALL(&guest);
    CHECK_EQ(guest.event.u.syscall.args[0], 2);
    tg_context_destroy(child);
    tg_subprocess_destroy(copy);
    guest_close(&guest);
}

static void generations(uint32_t backend)
{
    enum { DEPTH = 12 };
    tg_subprocess *line[DEPTH];
    struct guest guest;
    unsigned int i;

    guest_open(&guest, backend, GUEST_CODE(write_calls));
    line[0] = guest.subprocess;
    for (i = 1; i < DEPTH; i++) {
        guest_store(line[i - 1], GUEST_DATA_AT + 8 * i, i);
        line[i] = fork_of(line[i - 1]);
    }
    /* The ancestors go first: nobody depends on them. */
    for (i = 0; i < DEPTH - 1; i++)
        tg_subprocess_destroy(line[i]);
    for (i = 1; i < DEPTH; i++)
        CHECK_EQ(guest_load(line[DEPTH - 1], GUEST_DATA_AT + 8 * i), i);
    guest.subprocess = line[DEPTH - 1];
    guest_writes(&guest, guest.subprocess, GUEST_DATA_AT, 1);
    guest_close(&guest);
}

static void while_contexts_run(uint32_t backend)
{
    struct guest guest;
    tg_subprocess *copy;
    tg_context *other;
    pthread_t thread;
    tg_event event;
    uint64_t seen;
    int i;

    guest_open(&guest, backend, GUEST_CODE(spin_counting));
    load_code(guest.subprocess, GUEST_CODE_AT + GUEST_CODE_SIZE, GUEST_CODE(counting_calls));
    arch_set_argument(guest.context, 0, GUEST_DATA_AT);
    thread = start_thread(guest_run_thread, &guest);
    guest_wait_change(guest.subprocess, GUEST_DATA_AT, 0);
    for (i = 0; i < 5; i++) {
        copy = fork_of(guest.subprocess);
        seen = guest_load(copy, GUEST_DATA_AT);
        CHECK(seen != 0);
        guest_wait_change(guest.subprocess, GUEST_DATA_AT, seen);
        /* Nobody runs in the copy, so its word stands still. */
        CHECK_EQ(guest_load(copy, GUEST_DATA_AT), seen);
        other = create_context(guest.platform);
        CHECK_OK(tg_context_start(other, GUEST_CODE_AT + GUEST_CODE_SIZE, GUEST_STACK_TOP));
        run_context(other, copy, &event);
        CHECK_CALL(&event, GUEST_CALL);
        tg_context_destroy(other);
        tg_subprocess_destroy(copy);
    }
    CHECK_OK(tg_context_interrupt(guest.context));
    join_thread(thread);
    CHECK_KIND(&guest.event, TG_EVENT_INTERRUPTED);
    guest_close(&guest);
}

static void of_a_dead_one(uint32_t backend)
{
    struct guest guest;
    tg_subprocess *copy = (tg_subprocess *)&guest;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    CHECK_SYSTEM(kill(tg_subprocess_pid(guest.subprocess), SIGKILL));
    guest_run(&guest);
    CHECK_KIND(&guest.event, TG_EVENT_DEAD);
    CHECK_RESULT(tg_subprocess_fork(guest.subprocess, &copy), -ESRCH);
    CHECK(copy == NULL);
    guest_close(&guest);
}

/* A death does not spread to the family. */
static void parent_dies(uint32_t backend)
{
    struct guest guest;
    tg_subprocess *copy;

    guest_open(&guest, backend, GUEST_CODE(counting_calls));
    copy = fork_of(guest.subprocess);
    CHECK_SYSTEM(kill(tg_subprocess_pid(guest.subprocess), SIGKILL));
    guest_run(&guest);
    CHECK_KIND(&guest.event, TG_EVENT_DEAD);
    run_context(guest.context, copy, &guest.event);
    CHECK_CALL(&guest.event, GUEST_CALL);
    guest_store(copy, GUEST_DATA_AT, 8);
    CHECK_EQ(guest_load(copy, GUEST_DATA_AT), 8);
    tg_subprocess_destroy(copy);
    guest_close(&guest);
}

const struct test_case fork_cases[] = {
    {"fork.private", "Private pages are copy-on-write in both directions", private_pages_part},
    {"fork.shared", "Shared mappings, of files and anonymous, stay shared", shared_mappings_stay_shared},
    {"fork.layout", "Addresses and rights are copied, later changes are not", layout_is_copied},
    {"fork.context", "A copied context goes on in the copied subprocess", context_goes_on_in_the_copy},
    {"fork.generations", "A fork of a fork of a fork lives on after its ancestors", generations},
    {"fork.running", "A subprocess is copied while a context runs in it", while_contexts_run},
    {"fork.dead", "A dead subprocess cannot be copied", of_a_dead_one},
    {"fork.parent_dies", "The copy does not die with the original", parent_dies},
    {0},
};
