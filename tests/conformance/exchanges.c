/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A switch with registers: what goes in, what comes out, and that nothing else happens to the context. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "allowed_interrupts.h"
#include "arch.h"
#include "cases.h"
#include "guest.h"
#include "guests.h"
#include "threads.h"

#define ROUNDS 60 /* so many that most calls come through a patched site, where there are any */

/* The embedder's own registers; by way of the editor, a context that never runs, the helpers of arch.h change them. */
struct scene {
    struct guest guest;
    tg_context *editor;
    tg_regs regs;
};

static void scene_open(struct scene *scene, uint32_t backend, struct guest_code code)
{
    guest_open(&scene->guest, backend, code);
    scene->editor = create_started_context(scene->guest.platform);
    scene->regs = (tg_regs){.size = sizeof(scene->regs)};
}

static void scene_close(struct scene *scene)
{
    tg_context_destroy(scene->editor);
    guest_close(&scene->guest);
}

static tg_context *edit(struct scene *scene)
{
    *tg_context_regs_mut(scene->editor) = scene->regs;
    return scene->editor;
}

static void edited(struct scene *scene)
{
    scene->regs = *tg_context_regs(scene->editor);
}

/* In the register that carries it. The editor stands at a call from the first time on. */
static void put_result(struct scene *scene, int64_t result)
{
    edit(scene);
    if (tg_context_set_return(scene->editor, result)) {
        CHECK_OK(tg_context_copy(scene->editor, scene->guest.context));
        CHECK_OK(tg_context_set_return(edit(scene), result));
    }
    edited(scene);
}

static void exchange(struct scene *scene, uint32_t what)
{
    struct guest *guest = &scene->guest;

    guest->event = new_event();
    CHECK_OK(tg_context_exchange(guest->context, guest->subprocess, &scene->regs, what, &guest->event));
    CHECK(guest->event.context == guest->context);
    CHECK_EQ(scene->regs.size, sizeof(scene->regs));
    CHECK_BYTES(&scene->regs, tg_context_regs(guest->context), sizeof(scene->regs));
}

#define EXCHANGE_TO_CALL(scene, what)                                                                                  \
    do {                                                                                                               \
        exchange((scene), (what));                                                                                     \
        CHECK_CALL(&(scene)->guest.event, GUEST_CALL);                                                                 \
    } while (0)

static void registers_come_out(uint32_t backend)
{
    struct scene scene;

    scene_open(&scene, backend, GUEST_CODE(counting_calls));
    for (uint64_t call = 1; call <= ROUNDS; call++) {
        memset((char *)&scene.regs + sizeof(uint32_t), 0xee, sizeof(scene.regs) - sizeof(uint32_t));
        EXCHANGE_TO_CALL(&scene, TG_EXCHANGE_NOTHING);
        CHECK_EQ(scene.guest.event.u.syscall.args[0], call);
        CHECK_EQ(arch_argument(edit(&scene), 0), call);
        CHECK_EQ(arch_ip(scene.editor), scene.guest.event.u.syscall.ip);
    }
    scene_close(&scene);
}

/* Whatever else is in regs: only the result counts, and each counts once. */
static void results_go_in(uint32_t backend)
{
    static const int64_t results[] = {0, 1, -1, -EINTR, -512, -516, INT64_MIN, INT64_MAX};
    struct scene scene;
    int64_t result = 0;

    scene_open(&scene, backend, GUEST_CODE(echo_result));
    EXCHANGE_TO_CALL(&scene, TG_EXCHANGE_NOTHING);
    for (unsigned int i = 0; i < ROUNDS; i++) {
        result = results[i % ARRAY_SIZE(results)];
        arch_fill_registers(edit(&scene), i);
        edited(&scene);
        put_result(&scene, result);
        EXCHANGE_TO_CALL(&scene, TG_EXCHANGE_RETURN);
        CHECK_EQ(scene.guest.event.u.syscall.args[0], result);
    }
    scene_close(&scene);
}

/* Beside the older calls, in any order: what was said last counts. */
static void beside_other_ways(uint32_t backend)
{
    struct scene scene;

    scene_open(&scene, backend, GUEST_CODE(echo_result));
    GUEST_RUN_TO_CALL(&scene.guest);
    for (int64_t i = 0; i < ROUNDS; i++) {
        CHECK_OK(tg_context_set_return(scene.guest.context, i));
        EXCHANGE_TO_CALL(&scene, TG_EXCHANGE_NOTHING);
        CHECK_EQ(scene.guest.event.u.syscall.args[0], i);
        put_result(&scene, i + 1000);
        CHECK_OK(tg_context_set_return(scene.guest.context, i));
        EXCHANGE_TO_CALL(&scene, i % 2 ? TG_EXCHANGE_RETURN : TG_EXCHANGE_ALL);
        CHECK_EQ(scene.guest.event.u.syscall.args[0], i + 1000);
        CHECK_OK(tg_context_set_return(scene.guest.context, i));
        GUEST_RUN_TO_CALL(&scene.guest);
        CHECK_EQ(scene.guest.event.u.syscall.args[0], i);
        scene.regs = *tg_context_regs(scene.guest.context);
        CHECK(tg_context_regs_mut(scene.guest.context) != NULL);
        put_result(&scene, -i);
        EXCHANGE_TO_CALL(&scene, TG_EXCHANGE_ALL);
        CHECK_EQ(scene.guest.event.u.syscall.args[0], -i);
    }
    scene_close(&scene);
}

static void all_go_in(uint32_t backend)
{
    uint64_t before[ARCH_MAX_WORDS];
    uint64_t after[ARCH_MAX_WORDS];
    struct scene scene;

    scene_open(&scene, backend, GUEST_CODE(invert_then_call));
    scene.regs = *tg_context_regs(scene.guest.context);
    for (uint64_t i = 0; i < ROUNDS; i++) {
        unsigned int count;

        arch_fill_registers(edit(&scene), i);
        edited(&scene);
        count = arch_register_words(scene.editor, true, before);
        exchange(&scene, TG_EXCHANGE_ALL);
        CHECK_KIND(&scene.guest.event, TG_EVENT_SYSCALL);
        CHECK_EQ(arch_register_words(edit(&scene), true, after), count);
        for (unsigned int k = 0; k < count; k++)
            CHECK_EQ(after[k], ~before[k]);
    }
    scene_close(&scene);
}

/* Some rounds change nothing, some the result, some other registers, some the place; the guest counts on. */
static void some_go_in(uint32_t backend)
{
    struct scene scene;
    uint64_t count = 1;

    scene_open(&scene, backend, GUEST_CODE(counting_calls));
    scene.regs = *tg_context_regs(scene.guest.context);
    EXCHANGE_TO_CALL(&scene, TG_EXCHANGE_ALL);
    for (int i = 0; i < 4 * ROUNDS; i++) {
        if (i % 4 == 1)
            put_result(&scene, i);
        if (i % 4 == 2) {
            count = 1000 * (uint64_t)i;
            arch_set_argument(edit(&scene), 0, count);
            edited(&scene);
        }
        if (i % 4 == 3) {
            count = 0;
            arch_set_ip(edit(&scene), GUEST_CODE_AT);
            edited(&scene);
        }
        EXCHANGE_TO_CALL(&scene, TG_EXCHANGE_ALL);
        CHECK_EQ(scene.guest.event.u.syscall.args[0], ++count);
    }
    scene_close(&scene);
}

/* The registers of a fault, and on with others. */
static void after_faults(uint32_t backend)
{
    struct scene scene;
    tg_regs start;

    scene_open(&scene, backend, GUEST_CODE(invert_then_fault));
    arch_fill_registers(scene.guest.context, 0);
    start = *tg_context_regs(scene.guest.context);
    for (int i = 0; i < ROUNDS; i++) {
        scene.regs = start;
        exchange(&scene, TG_EXCHANGE_ALL);
        CHECK_FAULT(&scene.guest.event, 0, TG_ACCESS_WRITE, SIGSEGV, SEGV_MAPERR);
        CHECK_EQ(arch_ip(edit(&scene)), GUEST_PLACE(invert_then_fault, invert_then_fault_at));
        exchange(&scene, TG_EXCHANGE_ALL); /* all as it was: it faults again */
        CHECK_FAULT(&scene.guest.event, 0, TG_ACCESS_WRITE, SIGSEGV, SEGV_MAPERR);
    }
    scene_close(&scene);
}

static void refused(struct scene *scene, tg_subprocess *subprocess, uint32_t what, int expected)
{
    const tg_regs before = scene->regs;
    tg_event event = {.size = sizeof(event), .kind = 99};

    CHECK_RESULT(tg_context_exchange(scene->guest.context, subprocess, &scene->regs, what, &event), expected);
    CHECK_BYTES(&scene->regs, &before, sizeof(before));
    CHECK_EQ(event.kind, 99);
}

/* Nothing changes: neither the context nor what the caller has. */
static void bad_arguments(uint32_t backend)
{
    struct scene scene;
    struct guest foreign;

    scene_open(&scene, backend, GUEST_CODE(echo_result));
    guest_open(&foreign, backend, GUEST_CODE(call_loop));
    refused(&scene, scene.guest.subprocess, TG_EXCHANGE_RETURN, -EINVAL); /* it has made no call */
    EXCHANGE_TO_CALL(&scene, TG_EXCHANGE_NOTHING);
    CHECK_OK(tg_context_set_return(scene.guest.context, 7));
    put_result(&scene, 8);
    refused(&scene, scene.guest.subprocess, TG_EXCHANGE_ALL + 1, -EINVAL);
    refused(&scene, foreign.subprocess, TG_EXCHANGE_ALL, -EINVAL);
    scene.regs.size = 3;
    refused(&scene, scene.guest.subprocess, TG_EXCHANGE_ALL, -EINVAL);
    scene.regs.size = sizeof(scene.regs);
    EXCHANGE_TO_CALL(&scene, TG_EXCHANGE_NOTHING);
    CHECK_EQ(scene.guest.event.u.syscall.args[0], 7);
    guest_close(&foreign);
    scene_close(&scene);
}

/* A call that is to be raised once more has no result; all registers may be put in. */
static void raised_again(uint32_t backend)
{
    struct scene scene;

    scene_open(&scene, backend, GUEST_CODE(counting_calls));
    for (uint64_t call = 1; call <= ROUNDS; call++) {
        EXCHANGE_TO_CALL(&scene, TG_EXCHANGE_NOTHING);
        CHECK_EQ(scene.guest.event.u.syscall.args[0], call);
        CHECK_OK(tg_context_restart_syscall(scene.guest.context));
        refused(&scene, scene.guest.subprocess, TG_EXCHANGE_RETURN, -EINVAL);
        EXCHANGE_TO_CALL(&scene, TG_EXCHANGE_NOTHING);
        CHECK_EQ(scene.guest.event.u.syscall.args[0], call);
    }
    scene_close(&scene);
}

static void fp_state_stays(uint32_t backend)
{
    struct scene scene;
    size_t size;
    unsigned char *before;
    unsigned char *after;

    scene_open(&scene, backend, GUEST_CODE(counting_calls));
    size = platform_info(scene.guest.platform).fpstate_size;
    before = malloc(size);
    after = malloc(size);
    CHECK(before && after);
    EXCHANGE_TO_CALL(&scene, TG_EXCHANGE_NOTHING);
    CHECK_OK(tg_context_get_fpstate(scene.guest.context, before, size));
    for (unsigned int i = 0; i < ROUNDS; i++) {
        const uint64_t saves = platform_stats(scene.guest.platform).fpstate_saves;

        EXCHANGE_TO_CALL(&scene, i % 2 ? TG_EXCHANGE_ALL : TG_EXCHANGE_RETURN);
        if (backend == TG_BACKEND_SYSTRAP)
            CHECK_EQ(platform_stats(scene.guest.platform).fpstate_saves, saves);
        CHECK_OK(tg_context_get_fpstate(scene.guest.context, after, size));
        CHECK_BYTES(after, before, size);
    }
    free(before);
    free(after);
    scene_close(&scene);
}

/* A dead subprocess is an event with the registers that the context has, which lives on elsewhere. */
static void of_the_dead(uint32_t backend)
{
    struct scene scene;

    scene_open(&scene, backend, GUEST_CODE(counting_calls));
    for (int i = 0; i < ROUNDS; i++)
        EXCHANGE_TO_CALL(&scene, TG_EXCHANGE_NOTHING);
    CHECK_SYSTEM(kill(tg_subprocess_pid(scene.guest.subprocess), SIGKILL));
    do
        exchange(&scene, TG_EXCHANGE_NOTHING); /* it may get around to a few calls */
    while (scene.guest.event.kind == TG_EVENT_SYSCALL);
    CHECK_DEAD(&scene.guest.event, TG_DEAD_KILLED, SIGKILL);
    refused(&scene, scene.guest.subprocess, TG_EXCHANGE_RETURN, -EINVAL);
    tg_subprocess_destroy(scene.guest.subprocess);
    scene.guest.subprocess = create_loaded_subprocess(scene.guest.platform, GUEST_CODE(counting_calls));
    arch_set_ip(edit(&scene), GUEST_CODE_AT);
    edited(&scene);
    EXCHANGE_TO_CALL(&scene, TG_EXCHANGE_ALL);
    CHECK_EQ(scene.guest.event.u.syscall.args[0], 1);
    scene_close(&scene);
}

/* From one subprocess to another, with registers and without. */
static void from_place_to_place(uint32_t backend)
{
    struct scene scene;
    tg_subprocess *places[2];

    scene_open(&scene, backend, GUEST_CODE(counting_calls));
    places[0] = scene.guest.subprocess;
    places[1] = create_loaded_subprocess(scene.guest.platform, GUEST_CODE(counting_calls));
    for (uint64_t call = 1; call <= ROUNDS; call++) {
        scene.guest.subprocess = places[call / 3 % 2];
        EXCHANGE_TO_CALL(&scene, call == 1 ? TG_EXCHANGE_NOTHING : (uint32_t)call % 3);
        CHECK_EQ(scene.guest.event.u.syscall.args[0], call);
    }
    scene.guest.subprocess = places[0];
    tg_subprocess_destroy(places[1]);
    scene_close(&scene);
}

/* Interrupts come at any moment: no call is lost or made twice, and no result. */
static void beside_interrupts(uint32_t backend)
{
    struct interrupter interrupter;
    struct scene scene;
    int64_t result = 0;

    scene_open(&scene, backend, GUEST_CODE(echo_result));
    EXCHANGE_TO_CALL(&scene, TG_EXCHANGE_NOTHING);
    interrupter_start(&interrupter, scene.guest.context);
    while (result < INT64_C(4) * ROUNDS) {
        interrupter_allow(&interrupter);
        put_result(&scene, ++result);
        exchange(&scene, result % 2 ? TG_EXCHANGE_RETURN : TG_EXCHANGE_ALL);
        while (scene.guest.event.kind == TG_EVENT_INTERRUPTED)
            exchange(&scene, result % 3 ? TG_EXCHANGE_NOTHING : TG_EXCHANGE_ALL);
        CHECK_CALL(&scene.guest.event, GUEST_CALL);
        CHECK_EQ(scene.guest.event.u.syscall.args[0], result);
    }
    interrupter_end(&interrupter);
    scene_close(&scene);
}

static void *exchange_in_thread(void *arg)
{
    exchange(arg, TG_EXCHANGE_NOTHING);
    return NULL;
}

/* While it runs nobody else can, and what is given out is where the guest was. */
static void one_at_a_time(uint32_t backend)
{
    struct scene scene;
    tg_regs other = {.size = sizeof(other)};
    tg_event event = new_event();
    pthread_t thread;
    int result;

    scene_open(&scene, backend, GUEST_CODE(spin_counting));
    arch_set_argument(scene.guest.context, 0, GUEST_DATA_AT);
    thread = start_thread(exchange_in_thread, &scene);
    guest_wait_change(scene.guest.subprocess, GUEST_DATA_AT, 0);
    result = tg_context_exchange(scene.guest.context, scene.guest.subprocess, &other, TG_EXCHANGE_ALL, &event);
    CHECK_RESULT(result, -EBUSY);
    CHECK_OK(tg_context_interrupt(scene.guest.context));
    join_thread(thread);
    CHECK_KIND(&scene.guest.event, TG_EVENT_INTERRUPTED);
    CHECK_EQ(arch_argument(edit(&scene), 0), GUEST_DATA_AT);
    scene_close(&scene);
}

const struct test_case exchange_cases[] = {
    {"exchange.out", "Registers come out with each event: those of the context", registers_come_out},
    {"exchange.result", "Only the result goes in, whatever else is there, and any value as it is", results_go_in},
    {"exchange.other_ways", "Beside the calls that set a result or registers what was said last counts",
     beside_other_ways},
    {"exchange.all", "All registers go in", all_go_in},
    {"exchange.some", "Where only some have changed, or none, the others stay as they were", some_go_in},
    {"exchange.faults", "Registers of a fault come out, and it goes on with others or the same", after_faults},
    {"exchange.refused", "Bad arguments change neither the context nor what the caller has", bad_arguments},
    {"exchange.raised_again", "A call that is to be raised once more takes no result", raised_again},
    {"exchange.fp", "FP state is neither touched nor fetched", fp_state_stays},
    {"exchange.dead", "A dead subprocess is an event with registers; with them the context lives on elsewhere",
     of_the_dead},
    {"exchange.places", "Registers go along from one subprocess to another", from_place_to_place},
    {"exchange.beside_interrupts", "Interrupts lose no call and no result", beside_interrupts},
    {"exchange.busy", "A context that runs is -EBUSY; interrupted, it gives the registers of where it was",
     one_at_a_time},
    {0},
};
