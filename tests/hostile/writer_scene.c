/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arch.h"
#include "clock.h"
#include "threads.h"
#include "writer_scene.h"

#define WRITER_AT (GUEST_CODE_AT + GUEST_CODE_SIZE)

void writer_scene_open(struct writer_scene *scene, uint32_t backend, struct guest_code code, struct guest_code writer)
{
    struct guest *guest = &scene->guest;
    *scene =
        (struct writer_scene){.bounded = bounded_new("the thread at work"), .changer = bounded_new("the changing one")};
    guest_open(guest, backend, code);
    load_code(guest->subprocess, WRITER_AT, writer);
    map_pages(guest->subprocess, AREA, 2 * guest->page, PROT_RW);
    for (int i = 0; i < WARM_CALLS; i++)
        GUEST_RUN_TO_CALL(guest);
    scene->writer = create_context(guest->platform);
    CHECK_OK(tg_context_start(scene->writer, WRITER_AT, GUEST_STACK_TOP));
}

void writer_scene_close(struct writer_scene *scene)
{
    BOUNDED_VOID(scene->bounded, tg_subprocess_destroy(scene->guest.subprocess));
    tg_context_destroy(scene->writer);
    tg_context_destroy(scene->guest.context);
    BOUNDED_VOID(scene->bounded, tg_platform_close(scene->guest.platform));
}

void *change_second_page(void *argument)
{
    struct writer_scene *scene = argument;
    struct guest *guest = &scene->guest;
    const uint64_t second = AREA + guest->page;
    const int file = memfd_create("second", MFD_CLOEXEC);
    CHECK(file >= 0);
    while (!atomic_load(&scene->over)) {
        CHECK_OK(BOUNDED(scene->changer, tg_subprocess_unmap(guest->subprocess, second, guest->page)));
        CHECK_SYSTEM(ftruncate(file, (off_t)guest->page));
        CHECK_OK(BOUNDED(scene->changer,
                         tg_subprocess_map(guest->subprocess, second, guest->page, PROT_RW, TG_MAP_SHARED, file, 0)));
        CHECK_SYSTEM(ftruncate(file, 0));
        CHECK_OK(BOUNDED(scene->changer, tg_subprocess_map(guest->subprocess, second, guest->page, 0, 0, -1, 0)));
        CHECK_OK(BOUNDED(scene->changer, tg_subprocess_map(guest->subprocess, second, guest->page, PROT_RW, 0, -1, 0)));
        if (scene->change_pause_ns)
            pause_ns(scene->change_pause_ns);
    }
    close(file);
    return NULL;
}

/* ---- lies ---- */

static void *run_writer(void *argument)
{
    struct writer_scene *scene = argument;
    tg_event event;
    run_context(scene->writer, scene->guest.subprocess, &event);
    CHECK_KIND(&event, TG_EVENT_DEAD);
    return NULL;
}

pthread_t writer_scene_start_lying(struct writer_scene *scene, uint64_t first_at, uint32_t first, uint64_t second_at,
                                   uint32_t second)
{
    arch_set_argument(scene->writer, 0, first_at);
    arch_set_argument(scene->writer, 1, first);
    arch_set_argument(scene->writer, 2, second_at);
    arch_set_argument(scene->writer, 4, second);
    return start_thread(run_writer, scene);
}

void writer_scene_end_lying(struct writer_scene *scene, pthread_t liar)
{
    const pid_t pid = tg_subprocess_pid(scene->guest.subprocess);
    if (pid > 0)
        kill(pid, SIGKILL);
    join_thread(liar);
    writer_scene_close(scene);
}
