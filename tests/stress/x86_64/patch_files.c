/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Subprocesses come and go that all map one file of code, run a little of it
 * and end, while somebody writes to the file: the number of a call is one byte
 * of it, that is changed for ever, and its length, so that the file is another
 * one by what the host says. Whatever is remembered of it and patched, a call
 * has one of the two numbers.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arch.h"
#include "clock.h"
#include "file_code.h"
#include "footprint.h"
#include "soak.h"
#include "stress.h"
#include "threads.h"

#define MAPPERS    4
#define ROUNDS     500 /* of each mapper */
#define CALLS      6   /* from the site, in one subprocess */
#define PLACES     3   /* of the file, in one subprocess */
#define AT         0x50000000ull
#define IN_FILE    512
#define FILE_PAGES 2
#define LIMIT_NS   INT64_C(5000000000)

struct files {
    tg_platform *platform;
    uint64_t page;
    int file;
    unsigned char *bytes;
    size_t rounds;
    int64_t end;
    _Atomic bool over;
    _Atomic uint64_t first_calls; /* of a subprocess, and those that were patched already */
    _Atomic uint64_t first_patched;
};

static void map_file(const struct files *files, tg_subprocess *subprocess, uint64_t at)
{
    CHECK_OK(tg_subprocess_map(subprocess, at, FILE_PAGES * files->page, PROT_RX, 0, files->file, 0));
}

static void check_number(const tg_event *event, uint64_t at)
{
    CHECK_KIND(event, TG_EVENT_SYSCALL);
    CHECK(event->u.syscall.nr == FILE_CODE_NUMBER || event->u.syscall.nr == FILE_CODE_NUMBER + 1);
    CHECK_EQ(event->u.syscall.ip, at + IN_FILE + FILE_CODE_IP);
}

static void run_file(struct files *files, tg_subprocess *subprocess, tg_context *context, uint64_t at)
{
    tg_event event = new_event();
    CHECK_OK(tg_context_start(context, at + IN_FILE, GUEST_STACK_TOP));
    for (int i = 0; i < CALLS; i++) {
        run_context(context, subprocess, &event);
        check_number(&event, at);
        if (i == 0) {
            atomic_fetch_add(&files->first_calls, 1);
            atomic_fetch_add(&files->first_patched, !!(event.flags & TG_FLAG_PATCHED));
        }
    }
}

static void map_and_run(struct files *files, tg_context *context)
{
    tg_subprocess *subprocess = create_subprocess(files->platform);
    for (uint64_t i = 0; i < PLACES; i++) {
        const uint64_t at = AT + i * 16 * files->page;
        map_file(files, subprocess, at);
        run_file(files, subprocess, context, at);
    }
    map_file(files, subprocess, AT);
    run_file(files, subprocess, context, AT);
    tg_subprocess_destroy(subprocess);
}

static void *map_often(void *argument)
{
    struct files *files = argument;
    tg_context *context = create_context(files->platform);
    for (size_t i = 0; i < files->rounds && clock_ns() < files->end; i++)
        map_and_run(files, context);
    tg_context_destroy(context);
    return NULL;
}

/* Half of the time nothing but the byte changes, without a call. */
static void *write_often(void *argument)
{
    struct files *files = argument;
    const off_t length = (off_t)(FILE_PAGES * files->page);
    for (uint64_t i = 0; !atomic_load(&files->over); i++) {
        files->bytes[IN_FILE + FILE_CODE_BYTE] ^= 1;
        if (i / 16 % 2)
            CHECK_SYSTEM(ftruncate(files->file, length + (off_t)(i % 16)));
        pause_ns(200000);
    }
    return NULL;
}

static void files_open(struct files *files, uint32_t backend, size_t rounds)
{
    *files = (struct files){.platform = open_platform(backend, 0), .rounds = rounds, .end = clock_ns() + LIMIT_NS};
    files->page = platform_info(files->platform).page_size;
    files->file = CHECK_SYSTEM(memfd_create("code", MFD_CLOEXEC));
    CHECK_SYSTEM(ftruncate(files->file, (off_t)(FILE_PAGES * files->page)));
    files->bytes = mmap(NULL, FILE_PAGES * files->page, PROT_READ | PROT_WRITE, MAP_SHARED, files->file, 0);
    CHECK(files->bytes != MAP_FAILED);
    memset(files->bytes, FILE_CODE_FILLER, FILE_PAGES * files->page);
    memcpy(files->bytes + IN_FILE, file_code, sizeof(file_code));
}

static void files_close(struct files *files, bool report)
{
    if (report)
        printf("%llu first calls, %llu of them patched\n", (unsigned long long)atomic_load(&files->first_calls),
               (unsigned long long)atomic_load(&files->first_patched));
    CHECK_SYSTEM(munmap(files->bytes, FILE_PAGES * files->page));
    CHECK_SYSTEM(close(files->file));
    CHECK_EQ(platform_stats(files->platform).subprocesses, 0);
    tg_platform_close(files->platform);
}

static void run_files(uint32_t backend, size_t rounds, bool report)
{
    static struct files files;
    pthread_t mappers[MAPPERS];
    pthread_t writer;
    files_open(&files, backend, rounds);
    writer = start_thread(write_often, &files);
    for (size_t i = 0; i < MAPPERS; i++)
        mappers[i] = start_thread(map_often, &files);
    for (size_t i = 0; i < MAPPERS; i++)
        join_thread(mappers[i]);
    atomic_store(&files.over, true);
    join_thread(writer);
    files_close(&files, report);
}

void stress_patch_files(uint32_t backend)
{
    run_files(backend, 3, false);
    const struct footprint before = footprint_take();
    run_files(backend, scaled(ROUNDS), true);
    footprint_check(&before);
}
