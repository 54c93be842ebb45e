/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <trapgate/trapgate.h>

#include "commands.h"
#include "standard_files.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} commands[] = {
    {"run", command_run, "run a program; all its system calls are served in user space"},
    {"trace", command_trace, "the same, and print every system call"},
    {"doctor", command_doctor, "say what works on this machine, and why not"},
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static void print_usage(FILE *to)
{
    fprintf(to, "Usage: trapgate COMMAND [OPTIONS]\n\nCommands:\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(to, "  %-8s %s\n", commands[i].name, commands[i].summary);
    fprintf(to, "\n'trapgate COMMAND --help' tells the options of a command; 'trapgate --version' the version.\n");
}

int main(int argc, char **argv)
{
    if (standard_files_fill() != 0) {
        fprintf(stderr, "trapgate: cannot open anything in the place of a standard stream that is closed: %s\n",
                strerror(errno));
        return EXIT_TRAPGATE_FAILED;
    }
    if (argc < 2) {
        print_usage(stderr);
        return EXIT_TRAPGATE_FAILED;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_usage(stdout);
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("trapgate %s (ABI %u)\n", tg_version_string(), tg_abi_version());
        return 0;
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    fprintf(stderr, "trapgate: there is no command '%s'; 'trapgate --help' lists them\n", argv[1]);
    return EXIT_TRAPGATE_FAILED;
}
