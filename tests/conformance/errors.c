/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Whose sentence an error has, and which number. */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cases.h"
#include "guest.h"
#include "guests.h"
#include "threads.h"

#define ROUNDS 25000

/* A call that fails each time, and a piece of its sentence that no other call's has. */
struct mistake {
    int (*make)(struct guest *guest);
    int error;
    const char *words;
    struct guest *guest;
    pthread_t thread;
};

static int map_at_odd_address(struct guest *guest)
{
    return tg_subprocess_map(guest->subprocess, GUEST_HOLE_AT + 1, guest->page, PROT_RW, 0, -1, 0);
}

static int protect_nothing(struct guest *guest)
{
    return tg_subprocess_protect(guest->subprocess, GUEST_HOLE_AT, 0, PROT_RW);
}

static int read_hole(struct guest *guest)
{
    char byte;

    return tg_subprocess_read(guest->subprocess, GUEST_HOLE_AT, &byte, sizeof(byte), NULL);
}

static int set_unknown_flags(struct guest *guest)
{
    return tg_context_set_flags(guest->context, ~0u);
}

static void *make_mistakes(void *argument)
{
    const struct mistake *mistake = argument;
    int i;

    for (i = 0; i < ROUNDS; i++) {
        const char *sentence;

        CHECK_RESULT(mistake->make(mistake->guest), mistake->error);
        sentence = tg_platform_last_error(mistake->guest->platform);
        if (!strstr(sentence, mistake->words))
            check_failed(CHECK_HERE, "round %d: '%s' does not say '%s'", i, sentence, mistake->words);
    }
    return NULL;
}

static void sentences_are_the_callers(uint32_t backend)
{
    struct guest guest;
    struct mistake mistakes[] = {
        {map_at_odd_address, -EINVAL, "multiple of the page size", &guest, 0},
        {protect_nothing, -EINVAL, "length is 0", &guest, 0},
        {read_hole, -EFAULT, "access", &guest, 0},
        {set_unknown_flags, -EINVAL, "set context flags", &guest, 0},
    };
    size_t i;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    for (i = 0; i < ARRAY_SIZE(mistakes); i++)
        mistakes[i].thread = start_thread(make_mistakes, &mistakes[i]);
    for (i = 0; i < ARRAY_SIZE(mistakes); i++)
        join_thread(mistakes[i].thread);
    CHECK_EQ(tg_platform_last_error(guest.platform)[0], '\0');
    guest_close(&guest);
}

/* Takes the numbers of descriptors away that nobody uses yet; gives the old limit. */
static struct rlimit take_descriptors(void)
{
    struct rlimit before;
    struct rlimit now;
    int next = CHECK_SYSTEM(dup(STDERR_FILENO));

    close(next);
    CHECK_SYSTEM(getrlimit(RLIMIT_NOFILE, &before));
    now = (struct rlimit){.rlim_cur = (rlim_t)next, .rlim_max = before.rlim_max};
    CHECK_SYSTEM(setrlimit(RLIMIT_NOFILE, &now));
    return before;
}

/* Not every backend needs descriptors for everything. */
static void check_none_left(struct guest *guest, int result)
{
    if (!result)
        return;
    CHECK_RESULT(result, -EMFILE);
    CHECK(strstr(tg_platform_last_error(guest->platform), "RLIMIT_NOFILE"));
}

static void no_descriptor_is_left(uint32_t backend)
{
    tg_platform_options options = {.size = sizeof(options), .backend = backend};
    tg_probe probe = {.size = sizeof(probe)};
    tg_subprocess *made = NULL;
    tg_subprocess *copy = NULL;
    tg_platform *other;
    struct guest guest;
    struct rlimit before;
    tg_queue *queue;
    int opened;

    guest_open(&guest, backend, GUEST_CODE(call_loop));
    CHECK_OK(tg_queue_create(guest.platform, &queue));
    before = take_descriptors();
    check_none_left(&guest, tg_subprocess_create(guest.platform, &made));
    check_none_left(&guest, tg_subprocess_fork(guest.subprocess, &copy));
    CHECK_RESULT(tg_queue_fd(queue), -EMFILE);
    opened = tg_platform_open(&options, &other);
    if (opened)
        CHECK_RESULT(opened, -EMFILE);
    else
        tg_platform_close(other);
    CHECK_OK(tg_platform_probe(backend, &probe));
    CHECK_EQ(probe.error, opened);
    GUEST_RUN_TO_CALL(&guest);
    CHECK_SYSTEM(setrlimit(RLIMIT_NOFILE, &before));
    if (!made)
        CHECK_OK(tg_subprocess_create(guest.platform, &made));
    tg_subprocess_destroy(made);
    tg_subprocess_destroy(copy);
    CHECK(tg_queue_fd(queue) > 2);
    tg_queue_destroy(queue);
    guest_close(&guest);
}

const struct test_case error_cases[] = {
    {"error.sentences", "Each thread that fails reads its own sentence, whatever others fail at meanwhile",
     sentences_are_the_callers},
    {"error.no_descriptors",
     "Where no descriptor is left the error is -EMFILE, and everything works once there are some",
     no_descriptor_is_left},
    {0},
};
