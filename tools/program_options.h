/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The options that run and trace share: which program runs, where, and on what. */
#ifndef TRAPGATE_TOOLS_PROGRAM_OPTIONS_H
#define TRAPGATE_TOOLS_PROGRAM_OPTIONS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "loop/sandbox.h"

struct program_options {
    struct sandbox_options sandbox;
    bool stats;
    uint64_t vdso;      /* run: TG_OPEN_VDSO and TG_OPEN_VDSO_OWN; 0: clocks are looked at by calls */
    bool no_answers;    /* run: every call is served by the kernel */
    const char *output; /* trace: where the lines go, or NULL */
    char **environment; /* owned: what sandbox.environment points to */
    size_t environment_count;
    char current[PATH_MAX];
    char message[512];
};

/* What parsing came to. */
enum parse_result { PARSE_RUN, PARSE_HELP, PARSE_ERROR };

/*
 * Reads the arguments of a subcommand; extra names the long options beyond the
 * common ones that it has, NULL at the end. An error is told on stderr.
 */
enum parse_result program_options_parse(struct program_options *options, int argc, char **argv,
                                        const char *const *extra);

/* The help lines of the common options. */
extern const char program_options_help[];

/* Runs the program; the exit status. at_end, if not NULL, is called once it has ended. */
int program_options_run(struct program_options *options, void (*at_end)(const struct sandbox *sandbox));

void program_options_free(struct program_options *options);

#endif
