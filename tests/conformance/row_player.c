/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Plays cases that are rows; rows/README.md says what each word does. */
#include "row_player.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arch.h"
#include "row_values.h"

#define MAX_HANDLES 128
#define MAX_FILES   4
#define MAX_TEXTS   16
#define MAX_WORD    128
#define LETTERS     "abcdefghijklmnopqrstuvwxyz"
#define ANY         ROW_WORDS

/* A word that stands for a text: what $NAME is replaced with. */
struct text {
    const char *name;
    const char *value;
};

struct player {
    uint32_t backend;
    struct row_scene scene;
    tg_context *contexts[MAX_HANDLES];
    tg_subprocess *subprocesses[MAX_HANDLES];
    int files[MAX_FILES];
    tg_queue *queue;
    tg_event event;
    struct text texts[MAX_TEXTS];
    size_t text_count;
};

static void play(struct player *player, size_t first, size_t end);

static uint64_t number(const struct player *player, const struct row *row, size_t word)
{
    return row_value(&player->scene, row, row->words[word]);
}

static uint64_t number_or_0(const struct player *player, const struct row *row, size_t word)
{
    return word < row->count ? number(player, row, word) : 0;
}

static size_t handle_index(const struct player *player, const struct row *row, size_t word)
{
    uint64_t index = number(player, row, word);

    if (index >= MAX_HANDLES)
        row_failed(row, "%s: there are %d", row->words[word], MAX_HANDLES);
    return (size_t)index;
}

static tg_subprocess *subprocess_of(struct player *player, const char *guest, const struct row *row)
{
    if (strcmp(guest, "nothing") == 0)
        return create_subprocess(player->scene.platform);
    return create_loaded_subprocess(player->scene.platform, row_guest(row, guest));
}

/* guest NAME [FLAGS]: a platform, with subprocess 0 and context 0 */
static int do_guest(struct player *player, const struct row *row)
{
    player->scene.platform = open_platform(player->backend, number_or_0(player, row, 2));
    player->subprocesses[0] = player->scene.subprocess = subprocess_of(player, row->words[1], row);
    player->contexts[0] = player->scene.context = create_started_context(player->scene.platform);
    return 0;
}

static int do_context(struct player *player, const struct row *row)
{
    tg_context **context = &player->contexts[handle_index(player, row, 1)];

    if (!*context)
        *context = create_started_context(player->scene.platform);
    player->scene.context = *context;
    return 0;
}

static int do_subprocess(struct player *player, const struct row *row)
{
    tg_subprocess **subprocess = &player->subprocesses[handle_index(player, row, 1)];

    if (!*subprocess && row->count < 3)
        row_failed(row, "a new subprocess needs a guest");
    if (!*subprocess)
        *subprocess = subprocess_of(player, row->words[2], row);
    player->scene.subprocess = *subprocess;
    return 0;
}

static int do_fork(struct player *player, const struct row *row)
{
    return tg_subprocess_fork(player->scene.subprocess, &player->subprocesses[handle_index(player, row, 1)]);
}

static int do_destroy(struct player *player, const struct row *row)
{
    tg_subprocess **subprocess = &player->subprocesses[handle_index(player, row, 1)];

    tg_subprocess_destroy(*subprocess);
    *subprocess = NULL;
    return 0;
}

static int do_kill(struct player *player, const struct row *row)
{
    (void)row;
    CHECK_SYSTEM(kill(tg_subprocess_pid(player->scene.subprocess), SIGKILL));
    return 0;
}

static int do_copy(struct player *player, const struct row *row)
{
    tg_context **copy = &player->contexts[handle_index(player, row, 1)];

    if (!*copy)
        *copy = create_context(player->scene.platform);
    return tg_context_copy(*copy, player->scene.context);
}

static int do_start(struct player *player, const struct row *row)
{
    return tg_context_start(player->scene.context, number(player, row, 1), number(player, row, 2));
}

static int do_set(struct player *player, const struct row *row)
{
    if (!arch_register_set(player->scene.context, row->words[1], number(player, row, 2)))
        row_failed(row, "no register is called %s", row->words[1]);
    return 0;
}

static int do_return(struct player *player, const struct row *row)
{
    return tg_context_set_return(player->scene.context, (int64_t)number(player, row, 1));
}

static int do_again(struct player *player, const struct row *row)
{
    (void)row;
    return tg_context_restart_syscall(player->scene.context);
}

static int do_interrupt(struct player *player, const struct row *row)
{
    (void)row;
    return tg_context_interrupt(player->scene.context);
}

static int do_tls(struct player *player, const struct row *row)
{
    return tg_context_set_tls(player->scene.context, number(player, row, 1));
}

static int do_data(struct player *player, const struct row *row)
{
    return tg_context_set_user_data(player->scene.context, number(player, row, 1));
}

static int do_step(struct player *player, const struct row *row)
{
    arch_set_step(player->scene.context, number(player, row, 1));
    return 0;
}

static int run_in_queue(struct player *player)
{
    size_t count = 0;
    int result = tg_queue_submit(player->queue, player->scene.context, player->scene.subprocess);

    if (result == 0)
        result = tg_queue_wait(player->queue, &player->event, 1, -1, &count);
    CHECK_EQ(count, result == 0);
    return result;
}

static int do_run(struct player *player, const struct row *row)
{
    int result;

    (void)row;
    player->event = new_event();
    if (player->queue)
        result = run_in_queue(player);
    else
        result = tg_context_switch(player->scene.context, player->scene.subprocess, &player->event);
    CHECK(result != 0 || player->event.context == player->scene.context);
    return result;
}

/* What runs from here on goes through a queue. */
static int do_queue(struct player *player, const struct row *row)
{
    (void)row;
    return tg_queue_create(player->scene.platform, &player->queue);
}

/* r, w and x, or - in their places */
static uint32_t rights(const struct row *row, size_t word)
{
    static const char all[] = "rwx";
    const char *text = row->words[word];
    uint32_t found = 0;

    if (strlen(text) != 3)
        row_failed(row, "%s are no rights", text);
    for (unsigned int i = 0; i < 3; i++) {
        if (text[i] == all[i])
            found |= 1u << i;
        else if (text[i] != '-')
            row_failed(row, "%s are no rights", text);
    }
    return found;
}

static int do_map(struct player *player, const struct row *row)
{
    return tg_subprocess_map(player->scene.subprocess, number(player, row, 1), number(player, row, 2), rights(row, 3),
                             (uint32_t)number_or_0(player, row, 4), -1, 0);
}

static int do_unmap(struct player *player, const struct row *row)
{
    return tg_subprocess_unmap(player->scene.subprocess, number(player, row, 1), number(player, row, 2));
}

static int do_protect(struct player *player, const struct row *row)
{
    return tg_subprocess_protect(player->scene.subprocess, number(player, row, 1), number(player, row, 2),
                                 rights(row, 3));
}

static int do_advise(struct player *player, const struct row *row)
{
    const tg_mem_op op = {.size = sizeof(op),
                          .kind = TG_MEM_ADVISE,
                          .addr = number(player, row, 1),
                          .length = number(player, row, 2),
                          .advice = (int32_t)number(player, row, 3)};

    return tg_subprocess_apply(player->scene.subprocess, &op, 1, NULL);
}

static int do_code(struct player *player, const struct row *row)
{
    load_code(player->scene.subprocess, number(player, row, 1), row_guest(row, row->words[2]));
    return 0;
}

static int do_store(struct player *player, const struct row *row)
{
    uint64_t value = number(player, row, 2);

    return tg_subprocess_write(player->scene.subprocess, number(player, row, 1), &value, sizeof(value), NULL);
}

static int do_load(struct player *player, const struct row *row)
{
    uint64_t value = 0;
    int result = tg_subprocess_read(player->scene.subprocess, number(player, row, 2), &value, sizeof(value), NULL);

    if (result == 0)
        row_let(&player->scene, row, row->words[1], value);
    return result;
}

static int *file_of(struct player *player, const struct row *row, size_t word)
{
    uint64_t index = number(player, row, word);

    if (index >= MAX_FILES)
        row_failed(row, "%s: there are %d files", row->words[word], MAX_FILES);
    return &player->files[index];
}

/* file N SIZE: a file in memory gets this size */
static int do_file(struct player *player, const struct row *row)
{
    int *file = file_of(player, row, 1);

    if (*file == 0)
        *file = CHECK_SYSTEM(memfd_create("rows", MFD_CLOEXEC));
    CHECK_SYSTEM(ftruncate(*file, (off_t)number(player, row, 2)));
    return 0;
}

static int do_map_file(struct player *player, const struct row *row)
{
    return tg_subprocess_map(player->scene.subprocess, number(player, row, 1), number(player, row, 2), rights(row, 3),
                             (uint32_t)number(player, row, 4), *file_of(player, row, 5), number(player, row, 6));
}

static int do_file_store(struct player *player, const struct row *row)
{
    uint64_t value = number(player, row, 3);

    CHECK_SYSTEM(pwrite(*file_of(player, row, 1), &value, sizeof(value), (off_t)number(player, row, 2)));
    return 0;
}

static int do_file_load(struct player *player, const struct row *row)
{
    uint64_t value = 0;

    CHECK_SYSTEM(pread(*file_of(player, row, 2), &value, sizeof(value), (off_t)number(player, row, 3)));
    row_let(&player->scene, row, row->words[1], value);
    return 0;
}

static int do_file_close(struct player *player, const struct row *row)
{
    int *file = file_of(player, row, 1);

    CHECK_SYSTEM(close(*file));
    *file = 0;
    return 0;
}

static struct check_place place(const struct row *row)
{
    return (struct check_place){row->file, row->line};
}

static int do_call(struct player *player, const struct row *row)
{
    check_call(place(row), &player->event, number(player, row, 1));
    for (size_t i = 2; i < row->count; i++)
        check_equal(place(row), row->words[i], player->event.u.syscall.args[i - 2], number(player, row, i));
    return 0;
}

static int do_fault(struct player *player, const struct row *row)
{
    check_fault(place(row), &player->event, number(player, row, 1), (uint32_t)number(player, row, 2),
                (int)number(player, row, 3), (int)number(player, row, 4));
    return 0;
}

static int do_exception(struct player *player, const struct row *row)
{
    check_exception(place(row), &player->event, (int)number(player, row, 1), (int)number(player, row, 2));
    return 0;
}

static int do_interrupted(struct player *player, const struct row *row)
{
    check_kind(place(row), &player->event, TG_EVENT_INTERRUPTED);
    return 0;
}

static int do_dead(struct player *player, const struct row *row)
{
    check_dead(place(row), &player->event, (int)number(player, row, 1), (int)number(player, row, 2));
    return 0;
}

static bool is_true(const struct player *player, const struct row *row, size_t word)
{
    const char *operation = row->words[word + 1];
    uint64_t left = number(player, row, word);
    uint64_t right = number(player, row, word + 2);

    if (strcmp(operation, "==") == 0)
        return left == right;
    if (strcmp(operation, "!=") == 0)
        return left != right;
    if (strcmp(operation, "<=") == 0)
        return left <= right;
    row_failed(row, "%s compares nothing", operation);
}

static int do_check(struct player *player, const struct row *row)
{
    if (!is_true(player, row, 1))
        row_failed(row, "%s is 0x%llx, %s is 0x%llx", row->words[1], (unsigned long long)number(player, row, 1),
                   row->words[3], (unsigned long long)number(player, row, 3));
    return 0;
}

static int do_needs(struct player *player, const struct row *row)
{
    if (!is_true(player, row, 1))
        SKIP("%s", row_rest(row, 4));
    return 0;
}

static int do_let(struct player *player, const struct row *row)
{
    row_let(&player->scene, row, row->words[1], number(player, row, 2));
    return 0;
}

static void push_text(struct player *player, const struct row *row, const char *name, const char *value)
{
    if (player->text_count == MAX_TEXTS)
        row_failed(row, "too many names");
    player->texts[player->text_count++] = (struct text){.name = name, .value = value};
}

static void play_body(struct player *player, const struct row *row)
{
    play(player, row->index + 1, row->end);
}

static int do_times(struct player *player, const struct row *row)
{
    uint64_t times = number(player, row, 1);
    char text[24];

    for (uint64_t i = 0; i < times; i++) {
        snprintf(text, sizeof(text), "%llu", (unsigned long long)i);
        push_text(player, row, row->count > 2 ? row->words[2] : "", text);
        play_body(player, row);
        player->text_count--;
    }
    return 0;
}

/* each NAME... : VALUE... takes as many values at a time as there are names. */
static int do_each(struct player *player, const struct row *row)
{
    size_t names = 0;

    while (names + 1 < row->count && strcmp(row->words[names + 1], ":") != 0)
        names++;
    if (names == 0 || (row->count - names - 2) % names != 0)
        row_failed(row, "values for each of %zu names", names);
    for (size_t at = names + 2; at < row->count; at += names) {
        for (size_t i = 0; i < names; i++)
            push_text(player, row, row->words[1 + i], row->words[at + i]);
        play_body(player, row);
        player->text_count -= names;
    }
    return 0;
}

static int do_when(struct player *player, const struct row *row)
{
    if (is_true(player, row, 1))
        play_body(player, row);
    return 0;
}

static int do_refused(struct player *player, const struct row *row);

static const struct verb {
    const char *name;
    size_t least; /* words behind it */
    size_t most;
    int (*act)(struct player *player, const struct row *row); /* what the library says */
} verbs[] = {
    {"guest", 1, 2, do_guest},
    {"context", 1, 1, do_context},
    {"subprocess", 1, 2, do_subprocess},
    {"fork", 1, 1, do_fork},
    {"destroy", 1, 1, do_destroy},
    {"kill", 0, 0, do_kill},
    {"copy", 1, 1, do_copy},
    {"start", 2, 2, do_start},
    {"set", 2, 2, do_set},
    {"return", 1, 1, do_return},
    {"again", 0, 0, do_again},
    {"interrupt", 0, 0, do_interrupt},
    {"tls", 1, 1, do_tls},
    {"data", 1, 1, do_data},
    {"step", 1, 1, do_step},
    {"run", 0, 0, do_run},
    {"queue", 0, 0, do_queue},
    {"map", 3, 4, do_map},
    {"unmap", 2, 2, do_unmap},
    {"protect", 3, 3, do_protect},
    {"advise", 3, 3, do_advise},
    {"code", 2, 2, do_code},
    {"store", 2, 2, do_store},
    {"load", 2, 2, do_load},
    {"file", 2, 2, do_file},
    {"map_file", 6, 6, do_map_file},
    {"file_store", 3, 3, do_file_store},
    {"file_load", 3, 3, do_file_load},
    {"file_close", 1, 1, do_file_close},
    {"call", 1, 7, do_call},
    {"fault", 4, 4, do_fault},
    {"exception", 2, 2, do_exception},
    {"interrupted", 0, 0, do_interrupted},
    {"dead", 2, 2, do_dead},
    {"check", 3, 3, do_check},
    {"needs", 4, ANY, do_needs},
    {"let", 2, 2, do_let},
    {"refused", 2, ANY, do_refused},
    {"times", 1, 2, do_times},
    {"each", 3, ANY, do_each},
    {"when", 3, 3, do_when},
    {"end", 0, 0, NULL},
};

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    }
    return NULL;
}

/* refused ERRNO STATEMENT: the library answers with the error, and a handle or event that would come out of it does
 * not. */
static int do_refused(struct player *player, const struct row *row)
{
    struct row statement = *row;

    statement.words += 2;
    statement.count -= 2;
    check_result(place(row), statement.words[0], find_verb(statement.words[0])->act(player, &statement),
                 -(int)number(player, row, 1));
    return 0;
}

static const char *text_of(const struct player *player, const struct row *row, const char *name, size_t length)
{
    for (size_t i = player->text_count; i > 0; i--) {
        const struct text *text = &player->texts[i - 1];

        if (strlen(text->name) == length && strncmp(text->name, name, length) == 0)
            return text->value;
    }
    row_failed(row, "nothing is called $%.*s", (int)length, name);
}

/* The word with each $NAME replaced, to be freed. Names are letters. */
static char *replaced(const struct player *player, const struct row *row, const char *word)
{
    char text[MAX_WORD] = "";
    size_t length = 0;

    while (*word && length < sizeof(text)) {
        size_t plain = strcspn(word, "$");
        size_t name = word[plain] ? strspn(word + plain + 1, LETTERS) : 0;

        length += (size_t)snprintf(text + length, sizeof(text) - length, "%.*s%s", (int)plain, word,
                                   word[plain] ? text_of(player, row, word + plain + 1, name) : "");
        word += plain + (word[plain] ? 1 + name : 0);
    }
    if (length >= sizeof(text))
        row_failed(row, "a word of %zu characters", length);
    return strdup(text);
}

static void act_part(struct player *player, const struct row_block *part, const struct row *row)
{
    size_t before = player->text_count;

    for (size_t i = 1; i < row->count; i++)
        push_text(player, row, part->head->words[i + 1], row->words[i]);
    play(player, part->first, part->end);
    player->text_count = before;
}

static void act(struct player *player, const struct row *row)
{
    const struct verb *verb = find_verb(row->words[0]);
    struct row now = *row;
    char *words[ROW_WORDS];

    for (size_t i = 0; i < row->count; i++)
        words[i] = replaced(player, row, row->words[i]);
    now.words = words;
    if (verb)
        check_result(place(row), row->words[0], verb->act(player, &now), 0);
    else
        act_part(player, row_block_find("part", row->words[0]), &now);
    for (size_t i = 0; i < row->count; i++)
        free(words[i]);
}

static void play(struct player *player, size_t first, size_t end)
{
    const struct row *rows = row_book()->rows;

    for (size_t i = first; i < end; i++) {
        act(player, &rows[i]);
        if (rows[i].end)
            i = rows[i].end;
    }
}

static void close_all(struct player *player)
{
    tg_queue_destroy(player->queue);
    for (size_t i = 0; i < MAX_HANDLES; i++) {
        tg_context_destroy(player->contexts[i]);
        tg_subprocess_destroy(player->subprocesses[i]);
    }
    for (size_t i = 0; i < MAX_FILES; i++) {
        if (player->files[i] > 0)
            close(player->files[i]);
    }
    tg_platform_close(player->scene.platform);
}

void row_play(const struct row_block *block, uint32_t backend)
{
    static struct player player;

    player = (struct player){.backend = backend};
    player.scene.event = &player.event;
    play(&player, block->first, block->end);
    close_all(&player);
}

static void check_row(const struct row *row, size_t first)
{
    const struct verb *verb = find_verb(row->words[first]);
    const struct row_block *part = row_block_find("part", row->words[first]);
    size_t behind = row->count - first - 1;

    if (!verb && (!part || first > 0))
        row_failed(row, "nothing is called %s", row->words[first]);
    if (verb ? behind < verb->least || behind > verb->most : behind != part->head->count - 2)
        row_failed(row, "%s with %zu words", row->words[first], behind);
    if (verb && verb->act == do_refused)
        check_row(row, first + 2);
}

void row_check_all(void)
{
    const struct row_book *book = row_book();

    for (size_t i = 0; i < book->block_count; i++) {
        const struct row_block *block = &book->blocks[i];

        if (strcmp(block->head->words[0], "define") == 0) {
            if (block->head->count != 3)
                row_failed(block->head, "define NAME VALUE");
            continue;
        }
        for (size_t row = block->first; row < block->end; row++)
            check_row(&book->rows[row], 0);
    }
}
