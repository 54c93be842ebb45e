/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Many patched system calls, and several contexts at one. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../cases.h"
#include "patching.h"
#include "scale.h"
#include "threads.h"

/* ---- many sites ---- */

#define MANY_AT      0x50000000ull
#define SITE_BYTES   16
#define FIRST_NUMBER 1000
#define HOT_CALLS    4 /* the last one finds the site hot */
#define TABLE_SITES  16384
#define THOUSANDS    5000

/* The sites of even numbers have their test behind, the others a jump. The last is followed by a jump to the first. */
static unsigned char *make_sites(uint32_t count)
{
    static const unsigned char even[SITE_BYTES] = {0xb8, 0,    0,    0,    0,    0x0f, 0x05, 0x48,
                                                   0x85, 0xc0, 0x48, 0x85, 0xc0, 0x90, 0x90, 0x90};
    static const unsigned char odd[SITE_BYTES] = {0xb8, 0,    0,    0,    0,    0x0f, 0x05, 0xeb,
                                                  0x07, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90};
    unsigned char *code = calloc(count + 1, SITE_BYTES);
    const int32_t back = -(int32_t)(count * SITE_BYTES + 5);
    uint32_t number;
    uint32_t i;

    CHECK(code != NULL);
    for (i = 0; i < count; i++) {
        number = FIRST_NUMBER + i;
        memcpy(code + (size_t)i * SITE_BYTES, i % 2 ? odd : even, SITE_BYTES);
        memcpy(code + (size_t)i * SITE_BYTES + 1, &number, sizeof(number));
    }
    code[(size_t)count * SITE_BYTES] = 0xe9;
    memcpy(code + (size_t)count * SITE_BYTES + 1, &back, sizeof(back));
    return code;
}

static void check_site_call(struct guest *guest, uint32_t site)
{
    guest_run(guest);
    CHECK_CALL(&guest->event, FIRST_NUMBER + site);
    CHECK_EQ(guest->event.u.syscall.ip, MANY_AT + (uint64_t)site * SITE_BYTES + 7);
}

static void heat_sites(struct guest *guest, uint32_t count)
{
    uint32_t site;
    int i;

    for (site = 0; site < count; site++) {
        for (i = 0; i < HOT_CALLS; i++) {
            arch_set_ip(guest->context, MANY_AT + (uint64_t)site * SITE_BYTES);
            check_site_call(guest, site);
        }
    }
}

static uint64_t run_through_sites(struct guest *guest, uint32_t count)
{
    uint64_t flagged = 0;
    uint32_t site;

    arch_set_ip(guest->context, MANY_AT);
    for (site = 0; site < count; site++) {
        check_site_call(guest, site);
        flagged += !!(guest->event.flags & TG_FLAG_PATCHED);
    }
    return flagged;
}

static void check_many_bytes(const struct guest *guest, const unsigned char *code, size_t length)
{
    unsigned char *now = malloc(length);

    CHECK(now != NULL);
    CHECK_OK(tg_subprocess_protect(guest->subprocess, MANY_AT, length, PROT_RW));
    CHECK_OK(tg_subprocess_read(guest->subprocess, MANY_AT, now, length, NULL));
    CHECK_BYTES(now, code, length);
    CHECK_OK(tg_subprocess_protect(guest->subprocess, MANY_AT, length, PROT_RX));
    free(now);
}

/* A number can make its mov look like the end of other instructions: a few are left alone. */
static uint64_t check_many_sites(const struct guest *guest, uint32_t count)
{
    tg_stats stats = platform_stats(guest->platform);
    uint64_t decoys = stats.patch_refusals[TG_PATCH_REFUSED_DECOY];
    uint64_t fitting = count - decoys;
    uint64_t expected = fitting < TABLE_SITES ? fitting : TABLE_SITES;

    if (!can_patch(guest))
        return 0;
    CHECK(decoys <= count / 1000);
    CHECK_EQ(stats.patch_sites, expected);
    CHECK(stats.patch_sites_after * 2 >= expected && stats.patch_sites_before * 2 >= expected - 2 * decoys);
    CHECK_EQ(stats.patch_refusals[TG_PATCH_REFUSED_FULL], fitting - expected);
    CHECK_EQ(refusals(guest), count - expected);
    return expected;
}

static void many_sites(uint32_t backend, uint32_t count, bool undo)
{
    size_t length = (size_t)(count + 1) * SITE_BYTES;
    unsigned char *code = make_sites(count);
    struct guest guest;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    put_code(&guest, MANY_AT, (struct guest_code){code, code + length}, PROT_RX);
    heat_sites(&guest, count);
    CHECK_EQ(run_through_sites(&guest, count), check_many_sites(&guest, count));
    if (undo) {
        check_many_bytes(&guest, code, length);
        run_through_sites(&guest, count);
    }
    guest_close(&guest);
    free(code);
}

static void thousands_of_sites(uint32_t backend)
{
    many_sites(backend, (uint32_t)scaled(THOUSANDS), true);
}

/* ---- no room for another mapping ---- */

#define CROWD_AT    0x100000000000ull
#define CROWD_BATCH 256
#define CROWD_MAX   100000 /* where the host allows more this would take long */

static size_t mapping_limit(void)
{
    FILE *file = fopen("/proc/sys/vm/max_map_count", "re");
    size_t limit = SIZE_MAX;

    if (file && fscanf(file, "%zu", &limit) != 1)
        limit = SIZE_MAX;
    if (file)
        fclose(file);
    return limit;
}

/* Maps every second page until the host refuses. How many bytes that goes over. */
static uint64_t crowd(const struct guest *guest)
{
    tg_mem_op ops[CROWD_BATCH];
    uint64_t pages = 0;
    size_t done = CROWD_BATCH;
    size_t i;

    while (done == CROWD_BATCH) {
        for (i = 0; i < CROWD_BATCH; i++)
            ops[i] = (tg_mem_op){.size = sizeof(tg_mem_op),
                                 .kind = TG_MEM_MAP,
                                 .addr = CROWD_AT + 2 * (pages + i) * guest->page,
                                 .length = guest->page,
                                 .prot = TG_PROT_READ,
                                 .fd = -1};
        if (tg_subprocess_apply(guest->subprocess, ops, CROWD_BATCH, &done) == 0)
            CHECK_EQ(done, CROWD_BATCH);
        pages += done;
    }
    return 2 * pages * guest->page;
}

static void calls_at(struct loop *loop, uint64_t at, bool patched)
{
    loop->at = at;
    loop_start(loop, at);
    loop_calls(loop, WARM_CALLS);
    CHECK_EQ(last_was_patched(loop), patched);
}

/* A site that cannot get its bytes back stays one, and gets them later. What is to be done with its page waits too. */
static void check_undo_is_refused(struct loop *loop)
{
    CHECK_RESULT(tg_subprocess_protect(loop->guest.subprocess, loop->at, loop->guest.page, TG_PROT_NONE), -ENOMEM);
    loop_calls(loop, WARM_CALLS);
    CHECK(last_was_patched(loop));
}

/* Code in the middle of a mapping, which is split when it changes. Others stay patched, and new ones are later. */
static void sites_without_mappings(uint32_t backend)
{
    struct loop loop;
    uint64_t crowded;
    uint64_t middle;

    loop_open(&loop, backend, 0, &patched_patterns[0]);
    if (!can_patch(&loop.guest) || mapping_limit() > CROWD_MAX) {
        loop_close(&loop);
        return;
    }
    middle = GUEST_HOLE_AT + loop.guest.page;
    map_pages(loop.guest.subprocess, GUEST_HOLE_AT, 3 * loop.guest.page, PROT_RW);
    CHECK_OK(tg_subprocess_write(loop.guest.subprocess, middle, loop.pattern->code.start, CODE_LENGTH(&loop), NULL));
    CHECK_OK(tg_subprocess_protect(loop.guest.subprocess, GUEST_HOLE_AT, 3 * loop.guest.page, PROT_RX));
    loop_warm(&loop);
    crowded = crowd(&loop.guest);
    calls_at(&loop, middle, false);
    CHECK_EQ(platform_stats(loop.guest.platform).patch_refusals[TG_PATCH_REFUSED_OTHER], 1);
    CHECK_EQ(refusals(&loop.guest), 1);
    calls_at(&loop, GUEST_CODE_AT, true);
    check_undo_is_refused(&loop);
    CHECK_OK(tg_subprocess_unmap(loop.guest.subprocess, CROWD_AT, crowded));
    protect_page(&loop.guest, middle, PROT_RX);
    calls_at(&loop, middle, true);
    check_site_is_whole(&loop);
    calls_at(&loop, GUEST_CODE_AT, true);
    check_site_is_whole(&loop);
    loop_close(&loop);
}

/* With less than a quarter of the rounds the table is not filled: on an emulated processor that takes a minute. */
static uint32_t more_than_fit(void)
{
    const uint32_t all = TABLE_SITES + 300;

    return scaled(100) < 25 ? (uint32_t)scaled(all) : all;
}

static void more_sites_than_fit(uint32_t backend)
{
    tg_platform *platform = open_platform(backend, 0);
    bool patching = platform_info(platform).capabilities & TG_CAP_PATCHING;

    tg_platform_close(platform);
    many_sites(backend, patching ? more_than_fit() : 300, false);
    sites_without_mappings(backend);
}

/* ---- several at one site ---- */

#define RUNNERS      4
#define RUNNER_CALLS 25
#define FRESH_ROUNDS 66

struct runner {
    struct loop loop;
    pthread_barrier_t *start;
    const _Atomic bool *over;
};

static void *run_loop(void *argument)
{
    struct runner *runner = argument;

    pthread_barrier_wait(runner->start);
    loop_calls(&runner->loop, RUNNER_CALLS);
    return NULL;
}

static void runners_start(struct runner runners[RUNNERS], const struct loop *loop, pthread_barrier_t *start)
{
    int i;

    for (i = 0; i < RUNNERS; i++) {
        runners[i] = (struct runner){.loop = *loop, .start = start};
        runners[i].loop.guest.context = create_context(loop->guest.platform);
        loop_start(&runners[i].loop, (uint64_t)i * 100);
    }
}

static void runners_end(struct runner runners[RUNNERS])
{
    int i;

    for (i = 0; i < RUNNERS; i++)
        tg_context_destroy(runners[i].loop.guest.context);
}

/* Four threads meet a site that nobody has been at; each round the code is new, and some lies in two pages. */
static void fresh_code(struct loop *loop, unsigned int round)
{
    loop->pattern = &patched_patterns[round % ARRAY_SIZE(patched_patterns)];
    loop->at = GUEST_HOLE_AT + loop->guest.page - round % (uint64_t)CODE_LENGTH(loop);
    check_context("round %u, %s", round, loop->pattern->name);
    put_code(&loop->guest, loop->at, loop->pattern->code, PROT_RX);
}

static void threads_at_fresh_site(uint32_t backend)
{
    struct runner runners[RUNNERS];
    pthread_t threads[RUNNERS];
    pthread_barrier_t start;
    struct loop loop;
    unsigned int round;
    int i;

    CHECK_EQ(pthread_barrier_init(&start, NULL, RUNNERS), 0);
    loop_open(&loop, backend, 0, &patched_patterns[0]);
    for (round = 0; round < FRESH_ROUNDS; round++) {
        fresh_code(&loop, round);
        runners_start(runners, &loop, &start);
        for (i = 0; i < RUNNERS; i++)
            threads[i] = start_thread(run_loop, &runners[i]);
        for (i = 0; i < RUNNERS; i++)
            join_thread(threads[i]);
        CHECK_EQ(code_is_original(&loop), !can_patch(&loop.guest));
        runners_end(runners);
    }
    if (can_patch(&loop.guest))
        CHECK_EQ(platform_stats(loop.guest.platform).patch_sites, FRESH_ROUNDS);
    loop_close(&loop);
    pthread_barrier_destroy(&start);
}

static void submit_runner(tg_queue *queue, struct runner *runner)
{
    loop_expect(&runner->loop);
    CHECK_OK(tg_queue_submit(queue, runner->loop.guest.context, runner->loop.guest.subprocess));
}

static void run_queue(tg_queue *queue, struct runner runners[RUNNERS])
{
    unsigned int left = RUNNERS;
    struct loop *loop;
    tg_event event;
    size_t count;

    while (left > 0) {
        event = new_event();
        CHECK_OK(tg_queue_wait(queue, &event, 1, -1, &count));
        CHECK_EQ(count, 1);
        CHECK(event.user_data < RUNNERS);
        loop = &runners[event.user_data].loop;
        loop->guest.event = event;
        loop_answer(loop);
        if (loop->calls == RUNNER_CALLS)
            left--;
        else
            submit_runner(queue, &runners[event.user_data]);
    }
}

static void queue_at_fresh_site(uint32_t backend)
{
    struct runner runners[RUNNERS];
    tg_queue *queue = NULL;
    struct loop loop;
    unsigned int round;
    uint64_t i;

    loop_open(&loop, backend, 0, &patched_patterns[0]);
    CHECK_OK(tg_queue_create(loop.guest.platform, &queue));
    for (round = 0; round < FRESH_ROUNDS; round++) {
        fresh_code(&loop, round);
        runners_start(runners, &loop, NULL);
        for (i = 0; i < RUNNERS; i++) {
            CHECK_OK(tg_context_set_user_data(runners[i].loop.guest.context, i));
            submit_runner(queue, &runners[i]);
        }
        run_queue(queue, runners);
        CHECK_EQ(code_is_original(&loop), !can_patch(&loop.guest));
        runners_end(runners);
    }
    tg_queue_destroy(queue);
    loop_close(&loop);
}

#define GONE_ROUNDS 100

/* The same code with an invalid instruction in the place of its call. */
static void put_code_without_call(const struct loop *loop)
{
    unsigned char code[256];
    const size_t length = CODE_LENGTH(loop);

    CHECK(length <= sizeof(code));
    memcpy(code, loop->pattern->code.start, length);
    code[loop->pattern->call - loop->pattern->code.start + 1] = 0x0b;
    put_code(&loop->guest, loop->at, (struct guest_code){code, code + length}, PROT_RX);
}

/* Most contexts make the call and nobody looks at the events before its code is gone. */
static void calls_then_other_code(tg_queue *queue, const struct loop *loop, unsigned int round)
{
    struct runner runners[RUNNERS];
    tg_event event;
    size_t count;
    uint64_t i;

    put_code(&loop->guest, loop->at, loop->pattern->code, PROT_RX);
    runners_start(runners, loop, NULL);
    for (i = 0; i < RUNNERS; i++)
        submit_runner(queue, &runners[i]);
    nanosleep(&(struct timespec){.tv_nsec = 1000000L * (long)(round + 1)}, NULL);
    put_code_without_call(loop);
    for (i = 0; i < RUNNERS; i++) {
        event = new_event();
        CHECK_OK(tg_queue_wait(queue, &event, 1, -1, &count));
        CHECK_EQ(count, 1);
        CHECK(event.kind == TG_EVENT_SYSCALL || event.kind == TG_EVENT_FAULT || event.kind == TG_EVENT_EXCEPTION);
    }
    runners_end(runners);
}

/* Calls whose events come late enough are of a site that is none by then. Where they all came sooner, once more. */
static void queue_at_code_that_is_gone(uint32_t backend)
{
    unsigned int rounds;
    uint64_t seen = 0;
    tg_queue *queue;
    struct loop loop;
    unsigned int round;

    loop_open(&loop, backend, 0, &patched_patterns[0]);
    loop.at = GUEST_HOLE_AT;
    rounds = can_patch(&loop.guest) ? GONE_ROUNDS : 1;
    CHECK_OK(tg_queue_create(loop.guest.platform, &queue));
    for (round = 0; round < rounds && seen == 0; round++) {
        calls_then_other_code(queue, &loop, round);
        seen = platform_stats(loop.guest.platform).patch_refusals[TG_PATCH_REFUSED_NO_SYSCALL];
    }
    CHECK_EQ(seen, can_patch(&loop.guest));
    CHECK_EQ(refusals(&loop.guest), seen);
    CHECK_EQ(platform_stats(loop.guest.platform).patch_sites, 0);
    tg_queue_destroy(queue);
    loop_close(&loop);
}

static void queue_at_sites(uint32_t backend)
{
    queue_at_fresh_site(backend);
    queue_at_code_that_is_gone(backend);
}

/* ---- arriving while it changes ---- */

#define CHANGE_ROUNDS 400

/* Runs into the place behind the call again and again; the code may be away meanwhile. */
static void *arrive_behind(void *argument)
{
    struct runner *runner = argument;
    struct loop *loop = &runner->loop;

    while (!*runner->over) {
        if (loop->stopped && loop->calls % 2)
            arch_set_ip(loop->guest.context, place(loop, loop->pattern->behind));
        loop_expect(loop);
        do {
            guest_run(&loop->guest);
            if (loop->guest.event.kind == TG_EVENT_FAULT)
                CHECK_EQ(loop->guest.event.u.fault.access, TG_ACCESS_EXEC);
        } while (loop->guest.event.kind == TG_EVENT_FAULT);
        loop_answer(loop);
    }
    return NULL;
}

static void take_away_and_put_back(const struct loop *loop)
{
    CHECK_OK(tg_subprocess_unmap(loop->guest.subprocess, page_down(&loop->guest, loop->at), loop->guest.page));
    put_code(&loop->guest, loop->at, loop->pattern->code, PROT_RX);
}

static void make_writable_and_back(const struct loop *loop)
{
    protect_page(&loop->guest, loop->at, PROT_RW);
    CHECK(code_is_original(loop));
    protect_page(&loop->guest, loop->at, PROT_RX);
}

static void change_under(uint32_t backend, const char *name, void (*change)(const struct loop *loop))
{
    _Atomic bool over = false;
    struct runner runners[2];
    pthread_t threads[2];
    struct loop loop;
    int i;

    check_context("%s", name);
    loop_open(&loop, backend, 0, find_pattern(name));
    for (i = 0; i < 2; i++) {
        runners[i] = (struct runner){.loop = loop, .over = &over};
        runners[i].loop.guest.context = create_context(loop.guest.platform);
        loop_start(&runners[i].loop, (uint64_t)i * 100);
        threads[i] = start_thread(arrive_behind, &runners[i]);
    }
    for (i = 0; i < CHANGE_ROUNDS; i++) {
        change(&loop);
        /* Long enough for the code to be patched once more, now and then. */
        nanosleep(&(struct timespec){.tv_nsec = 300000}, NULL);
    }
    over = true;
    for (i = 0; i < 2; i++) {
        join_thread(threads[i]);
        tg_context_destroy(runners[i].loop.guest.context);
    }
    CHECK_EQ(platform_stats(loop.guest.platform).exceptions, 0);
    /* Nor did the library take any of it for something that forbids patching. */
    loop_start(&loop, 1000);
    loop_warm(&loop);
    loop_close(&loop);
}

static void unmapped_under_arrivals(uint32_t backend)
{
    change_under(backend, "libc_wrapper", take_away_and_put_back);
    change_under(backend, "mov_eax", take_away_and_put_back);
}

static void writable_under_arrivals(uint32_t backend)
{
    change_under(backend, "libc_wrapper", make_writable_and_back);
    change_under(backend, "mov_eax", make_writable_and_back);
}

/* ---- one context in several subprocesses ---- */

/* The same code at the same place, patched by calls of others, behind so many other sites. */
static tg_subprocess *warm_subprocess(const struct loop *loop, unsigned int other_sites)
{
    struct loop other = *loop;
    unsigned int i;

    other.guest.subprocess = create_loaded_subprocess(loop->guest.platform, loop->pattern->code);
    other.guest.context = create_context(loop->guest.platform);
    for (i = 0; i < other_sites; i++) {
        other.at = GUEST_HOLE_AT + i * loop->guest.page;
        put_code(&other.guest, other.at, loop->pattern->code, PROT_RX);
        loop_start(&other, i);
        loop_warm(&other);
    }
    other.at = loop->at;
    loop_start(&other, other_sites);
    loop_warm(&other);
    tg_context_destroy(other.guest.context);
    return other.guest.subprocess;
}

/* Stopped in a patched call of one subprocess it goes on in another, where that site has another number, or is none. */
static void context_wanders(uint32_t backend)
{
    tg_subprocess *subprocesses[4];
    struct loop loop;
    size_t i;
    int n;

    for (i = 0; i < PATCHED_PATTERNS; i++) {
        check_context("%s", patched_patterns[i].name);
        loop_open(&loop, backend, 0, &patched_patterns[i]);
        subprocesses[0] = loop.guest.subprocess;
        subprocesses[1] = warm_subprocess(&loop, 1);
        subprocesses[2] = warm_subprocess(&loop, 2);
        subprocesses[3] = create_loaded_subprocess(loop.guest.platform, loop.pattern->code);
        loop_warm(&loop);
        for (n = 0; n < 60; n++) {
            loop.guest.subprocess = subprocesses[n % 4];
            loop_call(&loop);
        }
        for (n = 1; n < 4; n++)
            tg_subprocess_destroy(subprocesses[n]);
        loop.guest.subprocess = subprocesses[0];
        loop_call(&loop);
        loop_close(&loop);
    }
}

/* A copy of a context that is stopped in a patched call. */
static void copies_go_on(uint32_t backend)
{
    struct loop loop;
    struct loop copy;
    size_t i;
    int n;

    for (i = 0; i < PATCHED_PATTERNS; i++) {
        check_context("%s", patched_patterns[i].name);
        loop_open(&loop, backend, 0, &patched_patterns[i]);
        loop_warm(&loop);
        copy = loop;
        copy.guest.context = create_context(loop.guest.platform);
        for (n = 0; n < 10; n++) {
            copy = (struct loop){
                .guest = copy.guest, .pattern = loop.pattern, .at = loop.at, .r15 = loop.r15, .stopped = loop.stopped};
            memcpy(copy.words, loop.words, sizeof(copy.words));
            CHECK_OK(tg_context_copy(copy.guest.context, loop.guest.context));
            loop_calls(&copy, 3);
            loop_call(&loop);
            loop_jump_to_call(&copy, 77);
        }
        tg_context_destroy(copy.guest.context);
        loop_close(&loop);
    }
}

/* Its subprocess dies; in another one the context goes on with what it had. */
static void context_survives_death(uint32_t backend)
{
    tg_subprocess *dead;
    struct loop loop;
    size_t i;
    int n;

    for (i = 0; i < PATCHED_PATTERNS; i++) {
        check_context("%s", patched_patterns[i].name);
        loop_open(&loop, backend, 0, &patched_patterns[i]);
        for (n = 0; n < 4; n++) {
            loop_warm(&loop);
            dead = loop.guest.subprocess;
            CHECK_SYSTEM(kill(tg_subprocess_pid(dead), SIGKILL));
            guest_run(&loop.guest);
            CHECK_DEAD(&loop.guest.event, TG_DEAD_KILLED, SIGKILL);
            loop.guest.subprocess =
                n % 2 ? warm_subprocess(&loop, 1) : create_loaded_subprocess(loop.guest.platform, loop.pattern->code);
            tg_subprocess_destroy(dead);
        }
        loop_calls(&loop, WARM_CALLS);
        loop_close(&loop);
    }
}

const struct test_case patch_many_cases[] = {
    {"patch.thousands", "Five thousand sites are patched, called and undone", thousands_of_sites},
    {"patch.full", "Sites that find no place are left alone, and all calls are right", more_sites_than_fit},
    {"patch.threads", "Four threads run through a site while it is patched", threads_at_fresh_site},
    {"patch.queue", "So do four contexts of one queue; calls whose code is gone before their events are seen are right",
     queue_at_sites},
    {"patch.subprocesses", "A context that goes from one subprocess to another in a patched call goes on there",
     context_wanders},
    {"patch.copy", "So does a copy of it", copies_go_on},
    {"patch.death", "So does one whose subprocess was killed", context_survives_death},
    {"patch.unmapped_under", "Contexts that arrive at code while it is unmapped and comes back see nothing else",
     unmapped_under_arrivals},
    {"patch.writable_under", "Nor do they while it is made writable and executable again", writable_under_arrivals},
    {0},
};
