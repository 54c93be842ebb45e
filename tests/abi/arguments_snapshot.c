/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What a refused call must leave as it was. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arguments.h"

#define SENTENCE_MAX 512

struct sentence {
    const char *where;
    char text[SENTENCE_MAX];
};

struct snapshot {
    struct sentence sentence;
    struct sentence foreign_sentence;
    tg_stats stats;
    char *maps; /* of the guest */
    tg_regs regs;
    uint64_t tls;
    uint64_t user_data;
    void *fpstate;
    int descriptors;
};

static void *allocate(size_t size)
{
    void *memory = calloc(1, size);
    if (!memory) {
        perror("calloc");
        exit(1);
    }
    return memory;
}

static char *read_maps(int32_t pid)
{
    enum { CAPACITY = 1 << 16 };
    char path[64];
    char *text = allocate(CAPACITY);
    snprintf(path, sizeof(path), "/proc/%d/maps", pid);
    FILE *file = fopen(path, "re");
    if (file) {
        size_t length = fread(text, 1, CAPACITY - 1, file);
        text[length] = '\0';
        fclose(file);
    }
    return text;
}

static int count_descriptors(void)
{
    int count = 0;
    DIR *directory = opendir("/proc/self/fd");
    while (directory && readdir(directory))
        count++;
    if (directory)
        closedir(directory);
    return count;
}

/*
 * A failure that is known to leave a sentence, so that a later look can tell a
 * new sentence from an old one.
 */
static void mark_sentence(tg_platform *platform, struct sentence *sentence)
{
    tg_platform_info(platform, NULL);
    sentence->where = tg_platform_last_error(platform);
    snprintf(sentence->text, sizeof(sentence->text), "%s", sentence->where);
}

/* Texts stay for 16 more failures, so a new one has another place or other words. */
static bool has_new_sentence(tg_platform *platform, const struct sentence *old)
{
    const char *now = tg_platform_last_error(platform);
    return now[0] != '\0' && (now != old->where || strncmp(now, old->text, SENTENCE_MAX - 1) != 0);
}

static void record_state(struct fixture *fixture, struct snapshot *snapshot)
{
    snapshot->stats.size = sizeof(snapshot->stats);
    tg_platform_stats(fixture->platform, &snapshot->stats);
    snapshot->maps = read_maps(tg_subprocess_pid(fixture->subprocess));
    memcpy(&snapshot->regs, tg_context_regs(fixture->context), sizeof(snapshot->regs));
    tg_context_get_tls(fixture->context, &snapshot->tls);
    snapshot->user_data = tg_context_user_data(fixture->context);
    snapshot->fpstate = allocate(fixture->info.fpstate_size);
    tg_context_get_fpstate(fixture->context, snapshot->fpstate, fixture->info.fpstate_size);
    snapshot->descriptors = count_descriptors();
}

struct snapshot *snapshot_take(struct fixture *fixture)
{
    struct snapshot *snapshot = allocate(sizeof(*snapshot));
    record_state(fixture, snapshot);
    mark_sentence(fixture->platform, &snapshot->sentence);
    mark_sentence(fixture->foreign_platform, &snapshot->foreign_sentence);
    return snapshot;
}

static void snapshot_free(struct snapshot *snapshot)
{
    free(snapshot->maps);
    free(snapshot->fpstate);
    free(snapshot);
}

/* Names what differs, or NULL. */
static const char *difference(const struct fixture *fixture, const struct snapshot *a, const struct snapshot *b)
{
    /* The systrap backend adds threads of its own accord while contexts wait for one. */
    bool threads_stay = fixture->backend == TG_BACKEND_PTRACE;

    if (a->stats.subprocesses != b->stats.subprocesses)
        return "the number of subprocesses";
    if (threads_stay && a->stats.stub_threads != b->stats.stub_threads)
        return "the number of stub threads";
    if (a->stats.contexts != b->stats.contexts)
        return "the number of contexts";
    if (strcmp(a->maps, b->maps) != 0)
        return "the guest's mappings";
    if (memcmp(&a->regs, &b->regs, sizeof(a->regs)) != 0)
        return "the registers";
    if (a->tls != b->tls || a->user_data != b->user_data)
        return "the thread-local storage register or the user data";
    if (memcmp(a->fpstate, b->fpstate, fixture->info.fpstate_size) != 0)
        return "the FP state";
    if (a->descriptors != b->descriptors)
        return "the number of open descriptors";
    return NULL;
}

static void report(struct fixture *fixture, const struct expectation *expectation, const char *what)
{
    fixture->failures++;
    printf("%s:%d: %s\n    %s\n", expectation->file, expectation->line, expectation->call, what);
}

void check_refused(struct fixture *fixture, const struct expectation *expectation, int result, struct snapshot *before)
{
    char text[256];
    fixture->calls++;
    if (result != expectation->results[0] && result != expectation->results[1]) {
        snprintf(text, sizeof(text), "returned %d (%s), expected %d (%s)", result, tg_strerror(result),
                 expectation->results[0], tg_strerror(expectation->results[0]));
        report(fixture, expectation, text);
    }
    if (expectation->sentence && !has_new_sentence(fixture->platform, &before->sentence) &&
        !has_new_sentence(fixture->foreign_platform, &before->foreign_sentence))
        report(fixture, expectation, "left no sentence");

    struct snapshot after = {0};
    record_state(fixture, &after);
    const char *changed = difference(fixture, before, &after);
    if (changed) {
        snprintf(text, sizeof(text), "changed %s", changed);
        report(fixture, expectation, text);
    }
    free(after.maps);
    free(after.fpstate);
    snapshot_free(before);
}

void check_condition(struct fixture *fixture, const char *file, int line, const char *text, bool holds)
{
    fixture->calls++;
    if (!holds) {
        fixture->failures++;
        printf("%s:%d: does not hold: %s\n", file, line, text);
    }
}
