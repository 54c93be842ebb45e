/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Reads the files of rows. */
#include "rows.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#define MAX_ROWS   8192
#define MAX_WORDS  65536
#define MAX_BLOCKS 512
#define MAX_DEPTH  16

static struct row rows[MAX_ROWS];
static struct row_block blocks[MAX_BLOCKS];
static struct row_book book = {.rows = rows, .blocks = blocks};
static char *all_words[MAX_WORDS]; /* of all rows, one behind the other */
static size_t words_used;

void row_failed(const struct row *row, const char *format, ...)
{
    char text[256];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    check_failed((struct check_place){row->file, row->line}, "%s", text);
}

static void *copy_of(const void *from, size_t length)
{
    void *copy = malloc(length);

    CHECK(copy != NULL);
    return memcpy(copy, from, length);
}

/* Takes the line apart; a word that begins with # and what follows is a comment. */
static size_t split(char *line, char **words, size_t room)
{
    size_t count = 0;
    char *left = NULL;
    char *word;

    for (word = strtok_r(line, " ", &left); word && *word != '#'; word = strtok_r(NULL, " ", &left)) {
        CHECK(count < room);
        words[count++] = word;
    }
    return count;
}

/* At the end of the row, which is the last one. */
static void append(struct row *row, char *const *words, size_t count)
{
    if (row->count + count > ROW_WORDS)
        row_failed(row, "too many words");
    CHECK(words_used + count <= MAX_WORDS);
    memcpy(&all_words[words_used], words, count * sizeof(*words));
    words_used += count;
    row->count += count;
}

static void read_line(const char *file, int number, char *line)
{
    char *words[ROW_WORDS];
    size_t count = split(line, words, ROW_WORDS);

    if (count == 0)
        return;
    CHECK(book.row_count < MAX_ROWS);
    /* A line that begins with | goes on with the words of the line before. */
    if (strcmp(words[0], "|") == 0 && book.row_count > 0) {
        append(&rows[book.row_count - 1], words + 1, count - 1);
        return;
    }
    rows[book.row_count] =
        (struct row){.file = file, .line = number, .index = book.row_count, .words = &all_words[words_used]};
    append(&rows[book.row_count++], words, count);
}

static void read_file(const struct row_file *file)
{
    char *text = copy_of(file->text, strlen(file->text) + 1);
    char *line;
    int number = 0;

    while ((line = strsep(&text, "\n")))
        read_line(file->name, ++number, line);
}

static int is_one_of(const char *word, const char *const *words)
{
    while (*words && strcmp(word, *words) != 0)
        words++;
    return *words != NULL;
}

static void add_block(size_t head)
{
    const struct row *row = &rows[head];

    if (row->count < 2)
        row_failed(row, "%s without a name", row->words[0]);
    if (row_block_find(row->words[0], row->words[1]))
        row_failed(row, "%s is there twice", row->words[1]);
    CHECK(book.block_count < MAX_BLOCKS);
    blocks[book.block_count++] = (struct row_block){.head = row, .first = head + 1, .end = row->end};
}

/* Finds the end of each block, and the blocks that are not inside of another. */
static void find_blocks(void)
{
    static const char *const outer[] = {"case", "part", NULL};
    static const char *const inner[] = {"each", "times", "when", NULL};
    size_t open[MAX_DEPTH];
    size_t depth = 0;

    for (size_t i = 0; i < book.row_count; i++) {
        const char *word = rows[i].words[0];

        if (strcmp(word, "define") == 0 && depth == 0) {
            add_block(i);
        } else if (is_one_of(word, depth == 0 ? outer : inner)) {
            if (depth == MAX_DEPTH)
                row_failed(&rows[i], "too deep");
            open[depth++] = i;
        } else if (depth == 0) {
            row_failed(&rows[i], "%s outside of a case or part", word);
        } else if (strcmp(word, "end") == 0) {
            rows[open[--depth]].end = i;
            if (depth == 0)
                add_block(open[0]);
        }
    }
    if (depth > 0)
        row_failed(&rows[open[depth - 1]], "%s without end", rows[open[depth - 1]].words[0]);
}

const struct row_book *row_book(void)
{
    if (book.row_count == 0) {
        for (const struct row_file *file = row_files; file->name; file++)
            read_file(file);
        find_blocks();
    }
    return &book;
}

const struct row_block *row_block_find(const char *kind, const char *name)
{
    for (size_t i = 0; i < book.block_count; i++) {
        const struct row *head = blocks[i].head;

        if (strcmp(head->words[0], kind) == 0 && strcmp(head->words[1], name) == 0)
            return &blocks[i];
    }
    return NULL;
}

const char *row_rest(const struct row *row, size_t first)
{
    char text[512] = "";
    size_t length = 0;

    for (size_t i = first; i < row->count && length < sizeof(text); i++)
        length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%s", i > first ? " " : "", row->words[i]);
    return copy_of(text, strlen(text) + 1);
}
