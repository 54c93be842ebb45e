/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Guests that leave things behind for whoever comes after tg_subprocess_reset(). */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "arch.h"
#include "bounded.h"
#include "hostile.h"
#include "proc.h"
#include "region.h"

#define SECRET        0x5ec4e75ec4e7a1b2ull
#define OTHER_CODE_AT (GUEST_CODE_AT + GUEST_CODE_SIZE)
#define XMM_AT        160 /* in an FP image */
#define XMM_END       416
#define WARM_CALLS    64
#define UNUSED_SLOT   5
#define UNUSED_WORKER 7
#define ANSWERED_CALL 300
#define MAPPINGS_MAX  64
#define CHUNK         65536

/* ---- leaving ---- */

static void write_word(struct guest *guest, uint64_t addr, uint64_t value)
{
    arch_set_argument(guest->context, 0, addr);
    arch_set_argument(guest->context, 1, value);
    GUEST_RUN_TO_CALL(guest);
}

static void write_words(struct guest *guest, uint64_t addr, uint64_t length, uint64_t value)
{
    for (uint64_t at = 0; at < length; at += sizeof(value))
        write_word(guest, addr + at, value);
}

/* Where the guest itself can write, and need not fear to fall over it. */
static void leave_in_region(struct guest *guest)
{
    const struct region region = region_of(guest->platform, guest->subprocess);
    const uint64_t worker = region_worker(&region, UNUSED_WORKER);

    write_words(guest, region_slot(&region, UNUSED_SLOT), 512, SECRET);
    write_words(guest, region_slot(&region, UNUSED_SLOT) + region.fp_offset, region.fp_size, SECRET);
    write_words(guest, region_worker_place(&region, 0, 0), 512, SECRET);
    write_words(guest, region_worker_place(&region, UNUSED_WORKER, 0), 512, SECRET);
    write_words(guest, region_worker_place(&region, 0, WORKER_COPY), 512, SECRET);
    write_words(guest, region_worker_place(&region, 0, WORKER_BROUGHT), 512, SECRET);
    write_words(guest, worker, sizeof(struct systrap_worker) & ~7u, SECRET);
    write_words(guest, region_control(&region, offsetof(struct systrap_control, run_small)) + 512, 512, SECRET);
    write_words(guest, region_control(&region, offsetof(struct systrap_control, done_large)), 512, SECRET);
    write_word(guest, region_control(&region, offsetof(struct systrap_control, done_large) + 4 * RING_LARGE - 8),
               SECRET);
    /* The word by which workers know that somebody sleeps: the library's number again. */
    write_word(guest, region_control(&region, offsetof(struct systrap_control, doorbell)), SECRET);
}

static void leave_in_registers(const struct guest *guest)
{
    const uint32_t size = platform_info(guest->platform).fpstate_size;
    unsigned char *image = malloc(size);
    const uint64_t secret = SECRET;

    CHECK(image != NULL);
    CHECK_OK(tg_context_get_fpstate(guest->context, image, size));
    for (size_t at = XMM_AT; at < XMM_END; at += sizeof(secret))
        memcpy(image + at, &secret, sizeof(secret));
    CHECK_OK(tg_context_set_fpstate(guest->context, image, size));
    free(image);
    for (unsigned int i = 2; i < 6; i++)
        arch_set_argument(guest->context, i, secret);
    CHECK_OK(tg_context_set_tls(guest->context, GUEST_DATA_AT));
}

static void leave_by_embedder(const struct guest *guest)
{
    const tg_clock clock = {.size = sizeof(clock), .clock = CLOCK_MONOTONIC, .kind = TG_CLOCK_TIME, .base_ns = SECRET};
    const tg_bring piece = {
        .size = sizeof(piece), .kind = TG_BRING_BYTES, .nr = GUEST_CALL, .arg = 0, .max = sizeof(uint64_t)};

    CHECK_OK(tg_subprocess_answer(guest->subprocess, ANSWERED_CALL, TG_ANSWER_VALUE, SECRET));
    CHECK_OK(tg_context_set_word(guest->context, 0, SECRET));
    CHECK_OK(tg_subprocess_set_clocks(guest->subprocess, &clock, 1));
    CHECK_OK(tg_subprocess_set_brings(guest->subprocess, &piece, 1));
}

/* ---- looking ---- */

static bool is_kernel_page(const struct proc_mapping *mapping)
{
    return strcmp(mapping->name, "[vsyscall]") == 0 || strcmp(mapping->name, "[vvar]") == 0 ||
           strcmp(mapping->name, "[vvar_vclock]") == 0;
}

static void look_through(int memory, const struct proc_mapping *mapping)
{
    static unsigned char bytes[CHUNK];
    const uint64_t secret = SECRET;
    uint64_t at = mapping->start;

    while (at < mapping->end) {
        const uint64_t left = mapping->end - at;
        const ssize_t n = pread(memory, bytes, left < sizeof(bytes) ? left : sizeof(bytes), (off_t)at);
        const unsigned char *found = n > 0 ? memmem(bytes, (size_t)n, &secret, sizeof(secret)) : NULL;

        if (found)
            check_failed(CHECK_HERE, "0x%llx (%s) holds what the last guest left",
                         (unsigned long long)(at + (uint64_t)(found - bytes)), mapping->name);
        at += n > 0 ? (uint64_t)n : sizeof(bytes);
    }
}

static void check_memory(const struct guest *guest)
{
    const pid_t pid = tg_subprocess_pid(guest->subprocess);
    struct proc_mapping mappings[MAPPINGS_MAX];
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/mem", pid);
    const int memory = open(path, O_RDONLY | O_CLOEXEC);
    if (memory < 0)
        SKIP("this host does not let a process read the memory of its child: %m");
    const size_t count = proc_mappings(pid, mappings, MAPPINGS_MAX);
    CHECK(count > 0 && count <= MAPPINGS_MAX);
    for (size_t i = 0; i < count; i++)
        if (!is_kernel_page(&mappings[i]))
            look_through(memory, &mappings[i]);
    close(memory);
}

static void check_code_gone(const struct guest *guest)
{
    static const unsigned char none[4096];
    unsigned char bytes[sizeof(none)];
    const uint64_t region = platform_info(guest->platform).user_end;

    region_read(guest->subprocess, region + SYSTRAP_TRAMPOLINES, bytes, sizeof(bytes));
    CHECK_BYTES(bytes, none, sizeof(none));
    region_read(guest->subprocess, region + SYSTRAP_TABLE, bytes, sizeof(bytes));
    CHECK_BYTES(bytes, none, sizeof(none));
}

/* The next guest has a new context's registers, and nothing else when it is over. */
static void check_next_guest(struct guest *guest)
{
    const uint32_t size = platform_info(guest->platform).fpstate_size;
    tg_context *context = create_started_context(guest->platform);
    const uint64_t secret = SECRET;
    uint64_t words[ARCH_MAX_WORDS];
    unsigned char *image = malloc(size);

    CHECK(image != NULL);
    load_code(guest->subprocess, GUEST_CODE_AT, GUEST_CODE(counting_calls));
    for (uint64_t i = 1; i <= WARM_CALLS; i++) {
        run_context(context, guest->subprocess, &guest->event);
        CHECK_CALL(&guest->event, GUEST_CALL);
        CHECK_EQ(guest->event.u.syscall.args[0], i);
        const unsigned int n = arch_register_words(context, false, words);
        for (unsigned int word = 0; word < n; word++)
            CHECK(words[word] != secret);
    }
    CHECK_OK(tg_context_get_fpstate(context, image, size));
    CHECK(!memmem(image, size, &secret, sizeof(secret)));
    free(image);
    tg_context_destroy(context);
}

void hostile_reset_leftovers(uint32_t backend)
{
    struct guest guest;
    guest_open_flags(&guest, backend, TG_OPEN_VDSO_OWN, GUEST_CODE(write_calls));
    const bool shares = backend == TG_BACKEND_SYSTRAP;
    for (int round = 0; round < 2; round++) {
        leave_in_registers(&guest);
        for (int i = 0; i < WARM_CALLS; i++)
            write_word(&guest, GUEST_DATA_AT, SECRET);
        leave_by_embedder(&guest);
        if (shares)
            leave_in_region(&guest);
        CHECK_OK(tg_subprocess_reset(guest.subprocess));
        check_memory(&guest);
        if (shares)
            check_code_gone(&guest);
        check_next_guest(&guest);
        check_memory(&guest);
        CHECK_OK(tg_subprocess_reset(guest.subprocess));
        load_code(guest.subprocess, GUEST_CODE_AT, GUEST_CODE(write_calls));
        map_pages(guest.subprocess, GUEST_DATA_AT, GUEST_DATA_SIZE, PROT_RW);
        guest_restart(&guest);
    }
    guest_close(&guest);
}

/* ---- a worker of the last guest's ---- */

GUEST_DECLARE(keep_writing);

/*
 * The guest says in its slot that it has left an event, and runs on: nothing
 * that the library sees there differs from a guest at rest. Its thread must not
 * be there when another guest comes.
 */
void hostile_reset_runs_on(uint32_t backend)
{
    struct guest guest;
    need_shared_memory(backend);
    guest_open(&guest, backend, GUEST_CODE(write_calls));
    struct bounded *bounded = bounded_new("the resetting thread");
    const struct region region = region_of(guest.platform, guest.subprocess);
    const pid_t pid = tg_subprocess_pid(guest.subprocess);
    write_word(&guest, GUEST_DATA_AT, 1);
    load_code(guest.subprocess, OTHER_CODE_AT, GUEST_CODE(keep_writing));
    CHECK_OK(tg_context_start(guest.context, OTHER_CODE_AT, GUEST_STACK_TOP));
    arch_set_argument(guest.context, 0, region_slot(&region, 0) + offsetof(struct systrap_slot, state));
    arch_set_argument(guest.context, 1, SLOT_EVENT);
    arch_set_argument(guest.context, 2, GUEST_DATA_AT + sizeof(uint32_t));
    arch_set_argument(guest.context, 4, 1);
    guest_run(&guest);
    guest_wait_change(guest.subprocess, GUEST_DATA_AT, 1);
    CHECK_RESULT(BOUNDED(bounded, tg_subprocess_reset(guest.subprocess)), -ESRCH);
    CHECK_EQ(tg_subprocess_pid(guest.subprocess), 0);
    proc_wait_gone(pid);
    guest_close(&guest);
}
