/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Whose sentence an error has, and which number. */
#include <errno.h>
#include <string.h>

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

const struct test_case error_cases[] = {
    {"error.sentences", "Each thread that fails reads its own sentence, whatever others fail at meanwhile",
     sentences_are_the_callers},
    {0},
};
