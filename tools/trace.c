/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "call_formats.h"
#include "commands.h"
#include "memory/guest_copy.h"
#include "memory/task_memory.h"
#include "program_options.h"
#include "syscall_names.h"
#include "tasks/task.h"

#define STRING_SHOWN 96

static FILE *output;

/* The thread whose line is not ended yet; 0: none. A waiting call lets others in between. */
static int32_t open_line;

static const char *name_of(uint64_t nr, char buffer[32])
{
    const char *name = syscall_name(nr);

    if (name)
        return name;
    snprintf(buffer, 32, "call_%" PRIu64, nr);
    return buffer;
}

static void print_string(struct task *task, uint64_t addr)
{
    char text[STRING_SHOWN];
    ssize_t length = guest_read_string(task_memory(task), addr, text, sizeof(text));

    if (length == -EFAULT) {
        fprintf(output, "%#" PRIx64, addr);
        return;
    }
    text[sizeof(text) - 1] = '\0';
    fputc('"', output);
    for (const char *c = text; *c; c++) {
        if (*c >= ' ' && *c < 127 && *c != '"' && *c != '\\')
            fputc(*c, output);
        else
            fprintf(output, "\\%03o", (unsigned char)*c);
    }
    fprintf(output, length < 0 ? "\"..." : "\"");
}

static void print_value(struct task *task, char letter, uint64_t value)
{
    switch (letter) {
    case 'd':
        /* Small negative numbers come as 32 bits: AT_FDCWD, -1. */
        fprintf(output, "%" PRId64, value >> 32 == 0 ? (int64_t)(int32_t)value : (int64_t)value);
        break;
    case 'u':
        fprintf(output, "%" PRIu64, value);
        break;
    case 'o':
        fprintf(output, "%#" PRIo64, value & 07777777);
        break;
    case 's':
        print_string(task, value);
        break;
    default:
        fprintf(output, "%#" PRIx64, value);
        break;
    }
}

static void end_open_line(void)
{
    if (open_line)
        fprintf(output, " <unfinished ...>\n");
    open_line = 0;
}

static void print_enter(struct task *task, uint64_t nr, const uint64_t args[6])
{
    char buffer[32];
    const char *name = name_of(nr, buffer);
    const char *format = call_format(name) + 1;

    end_open_line();
    fprintf(output, "[%" PRId32 "] %s(", task->tid, name);
    for (size_t i = 0; format[i] && i < 6; i++) {
        if (i)
            fprintf(output, ", ");
        print_value(task, format[i], args[i]);
    }
    fprintf(output, ")");
    open_line = task->tid;
}

static void print_result(struct task *task, char letter, int64_t result)
{
    if (result < 0 && result >= -4095)
        fprintf(output, "-1 %s (%s)", strerrorname_np((int)-result), strerror((int)-result));
    else if (letter == 'd')
        fprintf(output, "%" PRId64, result);
    else
        print_value(task, letter, (uint64_t)result);
}

static void print_exit(struct task *task, uint64_t nr, int64_t result)
{
    char buffer[32];
    const char *name = name_of(nr, buffer);

    if (open_line != task->tid) {
        end_open_line();
        fprintf(output, "[%" PRId32 "] <... %s resumed>", task->tid, name);
    }
    fprintf(output, " = ");
    if (result == SYSCALL_NO_RESULT)
        fputc('?', output);
    else
        print_result(task, call_format(name)[0], result);
    fputc('\n', output);
    open_line = 0;
}

static void print_help(void)
{
    printf("Usage: trapgate trace [OPTIONS] [--] PROGRAM [ARGUMENTS]\n\n"
           "Runs a program as 'trapgate run' does and prints each of its system calls with its\n"
           "thread, arguments and result.\n\n"
           "Options:\n%s"
           "  --output FILE    write the lines there instead of to stderr\n"
           "  --help           this text\n\n"
           "The exit status is the same as with 'trapgate run'.\n",
           program_options_help);
}

static int trace_program(struct program_options *options)
{
    int status;

    output = options->output ? fopen(options->output, "we") : stderr;
    if (!output) {
        fprintf(stderr, "trapgate: cannot write %s: %s\n", options->output, strerror(errno));
        return EXIT_TRAPGATE_FAILED;
    }
    options->sandbox.on_enter = print_enter;
    options->sandbox.on_exit = print_exit;
    status = program_options_run(options, NULL);
    end_open_line();
    fprintf(output, "+++ exit status %d +++\n", status);
    if (options->output && fclose(output) != 0)
        fprintf(stderr, "trapgate: cannot write %s: %s\n", options->output, strerror(errno));
    return status;
}

int command_trace(int argc, char **argv)
{
    static const char *const extra[] = {"output", NULL};
    struct program_options options;
    int status = EXIT_TRAPGATE_FAILED;

    switch (program_options_parse(&options, argc, argv, extra)) {
    case PARSE_RUN:
        status = trace_program(&options);
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
