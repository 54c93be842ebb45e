/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <stdio.h>

#include "commands.h"
#include "program_options.h"
#include "stats_table.h"

static void print_help(void)
{
    printf("Usage: trapgate run [OPTIONS] [--] PROGRAM [ARGUMENTS]\n\n"
           "Runs a program without letting it make a single system call to the kernel of this\n"
           "machine: a small kernel in user space serves all of them. Files are confined to the\n"
           "root folder, and there is no network.\n\n"
           "Options:\n%s"
           "  --vdso KIND      how the program looks at clocks: by the host's vDSO, or where that cannot be\n"
           "                   moved by Trapgate's (host, the default), by Trapgate's (own), or by calls,\n"
           "                   which cost an event each (none)\n"
           "  --no-answers     serve getpid and its like here too, which cost an event each then\n"
           "  --stats          print what was served, and how fast, to stderr at the end\n"
           "  --latency        the same, and how long the program's switches and their handoffs took\n"
           "  --help           this text\n\n"
           "The exit status is the program's, or 128 and the signal that ended it; %d when the\n"
           "sandbox failed, %d when the program cannot be run, %d when it is not there.\n",
           program_options_help, EXIT_TRAPGATE_FAILED, EXIT_CANNOT_RUN, EXIT_NOT_FOUND);
}

int command_run(int argc, char **argv)
{
    static const char *const extra[] = {"stats", "latency", "vdso", "no-answers", NULL};
    struct program_options options;
    int status = EXIT_TRAPGATE_FAILED;

    switch (program_options_parse(&options, argc, argv, extra)) {
    case PARSE_RUN:
        options.sandbox.platform_flags |= options.vdso;
        options.sandbox.answers = !options.no_answers;
        status = program_options_run(&options, options.stats ? stats_table_print : NULL);
        break;
    case PARSE_HELP:
        print_help();
        status = 0;
        break;
    case PARSE_ERROR:
        break;
    }
    program_options_free(&options);
    return status;
}
