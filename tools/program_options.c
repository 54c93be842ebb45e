/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "program_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend_names.h"
#include "commands.h"
#include "standard_files.h"

const char program_options_help[] =
    "  --backend NAME   ptrace, systrap or auto (default: auto, the fastest that works)\n"
    "  --no-patching    systrap: leave the program's code as it is (slower)\n"
    "  --root DIR       folder that the program sees as / (default: /)\n"
    "  --cwd DIR        current folder inside the root (default: this one with the root /, else /)\n"
    "  --env NAME=VALUE set a variable; may be given several times (the environment is passed on)\n";

/* The host's, and where that cannot be moved the library's. */
#define VDSO_FLAGS_DEFAULT (TG_OPEN_VDSO | TG_OPEN_VDSO_OWN)

enum option_code {
    OPTION_BACKEND = 256,
    OPTION_ROOT,
    OPTION_CWD,
    OPTION_ENV,
    OPTION_HELP,
    OPTION_STATS,
    OPTION_LATENCY,
    OPTION_NO_PATCHING,
    OPTION_VDSO,
    OPTION_NO_ANSWERS,
    OPTION_OUTPUT
};

static const struct option long_options[] = {
    {"backend", required_argument, NULL, OPTION_BACKEND},
    {"root", required_argument, NULL, OPTION_ROOT},
    {"cwd", required_argument, NULL, OPTION_CWD},
    {"env", required_argument, NULL, OPTION_ENV},
    {"help", no_argument, NULL, OPTION_HELP},
    {"stats", no_argument, NULL, OPTION_STATS},
    {"latency", no_argument, NULL, OPTION_LATENCY},
    {"no-patching", no_argument, NULL, OPTION_NO_PATCHING},
    {"vdso", required_argument, NULL, OPTION_VDSO},
    {"no-answers", no_argument, NULL, OPTION_NO_ANSWERS},
    {"output", required_argument, NULL, OPTION_OUTPUT},
    {NULL, 0, NULL, 0},
};

static int set_backend(struct program_options *options, const char *name)
{
    if (strcmp(name, "auto") == 0) {
        options->sandbox.backend = TG_BACKEND_AUTO;
        return 0;
    }
    for (size_t i = 0; i < BACKEND_NAMES; i++) {
        if (strcmp(name, backend_names[i].name) == 0) {
            options->sandbox.backend = backend_names[i].backend;
            return 0;
        }
    }
    fprintf(stderr, "trapgate: unknown backend '%s'; there are auto, ptrace and systrap\n", name);
    return -EINVAL;
}

/* The entry of a variable, or of the NULL at the end. */
static size_t find_variable(const struct program_options *options, const char *assignment)
{
    size_t length = strcspn(assignment, "=") + 1;
    size_t i = 0;

    while (options->environment[i] && strncmp(options->environment[i], assignment, length) != 0)
        i++;
    return i;
}

static int set_variable(struct program_options *options, char *assignment)
{
    size_t i;
    char **larger;

    if (!strchr(assignment, '=')) {
        fprintf(stderr, "trapgate: --env takes NAME=VALUE, not '%s'\n", assignment);
        return -EINVAL;
    }
    i = find_variable(options, assignment);
    if (i == options->environment_count) {
        larger = reallocarray(options->environment, i + 2, sizeof(*larger));
        if (!larger)
            return -ENOMEM;
        larger[i + 1] = NULL;
        options->environment = larger;
        options->environment_count++;
    }
    options->environment[i] = assignment;
    return 0;
}

static int copy_environment(struct program_options *options)
{
    size_t count = 0;

    while (environ[count])
        count++;
    options->environment = calloc(count + 1, sizeof(*options->environment));
    if (!options->environment)
        return -ENOMEM;
    memcpy(options->environment, environ, count * sizeof(*options->environment));
    options->environment_count = count;
    return 0;
}

static int refuse_foreign_option(const char *name, const char *const *extra)
{
    for (size_t i = 0; extra[i]; i++)
        if (strcmp(name, extra[i]) == 0)
            return 0;
    fprintf(stderr, "trapgate: this command has no option --%s\n", name);
    return -EINVAL;
}

static int set_vdso(struct program_options *options, const char *name, const char *const *extra)
{
    static const struct {
        const char *name;
        uint64_t flags;
    } kinds[] = {{"host", VDSO_FLAGS_DEFAULT}, {"own", TG_OPEN_VDSO_OWN}, {"none", 0}};

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(name, kinds[i].name) == 0) {
            options->vdso = kinds[i].flags;
            return refuse_foreign_option("vdso", extra);
        }
    fprintf(stderr, "trapgate: unknown vDSO '%s'; there are host, own and none\n", name);
    return -EINVAL;
}

static int apply_option(struct program_options *options, int code, const char *const *extra)
{
    switch (code) {
    case OPTION_BACKEND:
        return set_backend(options, optarg);
    case OPTION_ROOT:
        options->sandbox.root = optarg;
        return 0;
    case OPTION_CWD:
        options->sandbox.cwd = optarg;
        return 0;
    case OPTION_ENV:
        return set_variable(options, optarg);
    case OPTION_STATS:
        options->stats = options->sandbox.measure = true;
        return refuse_foreign_option("stats", extra);
    case OPTION_LATENCY:
        options->stats = options->sandbox.measure = true;
        options->sandbox.platform_flags |= TG_OPEN_LATENCY;
        return refuse_foreign_option("latency", extra);
    case OPTION_NO_PATCHING:
        options->sandbox.platform_flags |= TG_OPEN_NO_PATCHING;
        return 0;
    case OPTION_VDSO:
        return set_vdso(options, optarg, extra);
    case OPTION_NO_ANSWERS:
        options->no_answers = true;
        return refuse_foreign_option("no-answers", extra);
    case OPTION_OUTPUT:
        options->output = optarg;
        return refuse_foreign_option("output", extra);
    default:
        return -EINVAL;
    }
}

static enum parse_result finish(struct program_options *options, int argc, char **argv)
{
    struct sandbox_options *sandbox = &options->sandbox;

    if (optind >= argc) {
        fprintf(stderr, "trapgate: which program? For example: trapgate %s -- /bin/ls -l\n", argv[0]);
        return PARSE_ERROR;
    }
    if (!sandbox->root)
        sandbox->root = "/";
    if (!sandbox->cwd && strcmp(sandbox->root, "/") == 0)
        sandbox->cwd = getcwd(options->current, sizeof(options->current));
    sandbox->arguments = (const char *const *)&argv[optind];
    sandbox->environment = (const char *const *)options->environment;
    for (int fd = 0; fd < STANDARD_FILES; fd++)
        sandbox->standard_files[fd] = standard_file_was_open(fd);
    sandbox->message = options->message;
    sandbox->message_capacity = sizeof(options->message);
    return PARSE_RUN;
}

enum parse_result program_options_parse(struct program_options *options, int argc, char **argv,
                                        const char *const *extra)
{
    int code;

    memset(options, 0, sizeof(*options));
    options->vdso = VDSO_FLAGS_DEFAULT;
    if (copy_environment(options) != 0)
        return PARSE_ERROR;
    optind = 1;
    /* '+': the first argument that is no option is the program, the rest is the program's. */
    while ((code = getopt_long(argc, argv, "+h", long_options, NULL)) != -1) {
        if (code == OPTION_HELP || code == 'h')
            return PARSE_HELP;
        if (apply_option(options, code, extra) != 0)
            return PARSE_ERROR;
    }
    return finish(options, argc, argv);
}

void program_options_free(struct program_options *options)
{
    free(options->environment);
    options->environment = NULL;
}

/* Guests' descriptors are ours, so there shall be as many as the host allows. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static int status_of_load_failure(int err)
{
    switch (err) {
    case -ENOENT:
    case -ENOTDIR:
        return EXIT_NOT_FOUND;
    case -EACCES:
    case -ENOEXEC:
        return EXIT_CANNOT_RUN;
    default:
        return EXIT_TRAPGATE_FAILED;
    }
}

static void print_failure(const struct program_options *options, int err)
{
    fprintf(stderr, "trapgate: %s\n", options->message[0] ? options->message : tg_strerror(err));
}

int program_options_run(struct program_options *options, void (*at_end)(const struct sandbox *sandbox))
{
    struct sandbox *sandbox;
    int status, err;

    err = sandbox_create(&options->sandbox, &sandbox);
    if (err) {
        print_failure(options, err);
        return EXIT_TRAPGATE_FAILED;
    }
    raise_descriptor_limit();
    err = sandbox_load(sandbox);
    if (err) {
        print_failure(options, err);
        sandbox_destroy(sandbox);
        return status_of_load_failure(err);
    }
    err = sandbox_run(sandbox, &status);
    if (err)
        fprintf(stderr, "trapgate: the sandbox stopped: %s\n",
                options->message[0] ? options->message : tg_platform_last_error(sandbox->platform));
    else if (options->message[0])
        fprintf(stderr, "trapgate: %s\n", options->message);
    if (at_end)
        at_end(sandbox);
    sandbox_destroy(sandbox);
    if (err)
        return EXIT_TRAPGATE_FAILED;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
