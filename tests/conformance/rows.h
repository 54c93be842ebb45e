/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Cases that are data: the files in rows/, which C, Rust and Go play alike.
 * rows/README.md describes the language.
 */
#ifndef TESTS_CONFORMANCE_ROWS_H
#define TESTS_CONFORMANCE_ROWS_H

#include <stddef.h>

#define ROW_WORDS 256

/* One line: its words, and for one that opens a block the line of its end. */
struct row {
    const char *file;
    int line;
    size_t index; /* in the book */
    size_t count;
    char **words;
    size_t end;
};

/* `case NAME SENTENCE`, `part NAME PARAMETER...` or `define NAME VALUE`. */
struct row_block {
    const struct row *head;
    size_t first; /* the lines between head and end */
    size_t end;
};

struct row_book {
    struct row *rows;
    size_t row_count;
    struct row_block *blocks;
    size_t block_count;
};

/* A file of rows inside of this program. */
struct row_file {
    const char *name;
    const char *text;
};
extern const struct row_file row_files[]; /* ends with one without a name */

/* Ends the process: what is wrong, with file and line. */
_Noreturn void row_failed(const struct row *row, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Reads every file, once. */
const struct row_book *row_book(void);

/* The block that a line like this starts; NULL if there is none. */
const struct row_block *row_block_find(const char *kind, const char *name);

/* The words from this one on, as one text that is never freed. */
const char *row_rest(const struct row *row, size_t first);

#endif
