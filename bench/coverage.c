/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * How many of the system calls that real programs make go through patched
 * sites, by the counters of `trapgate run --stats`. Each program runs twice,
 * once with little and once with much to do; what lies between the two is the
 * program once it is warm.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <trapgate/trapgate.h>
#include <unistd.h>

#include "programs.h"
#include "sample.h"

/* Where scripts/bench says the command is, and the loads that are built. */
#define COMMAND_VARIABLE "TG_BENCH_COMMAND"
#define LOADS_VARIABLE   "TG_BENCH_LOADS"

/* Lines of the statistics: the words, blanks, the number. */
#define PATCHED_LABEL   "calls through patched sites"
#define UNPATCHED_LABEL "other calls"

#define ARGUMENTS_MAX 8
#define PATH_TEXT_MAX 512

/* Fewer calls than this between the two runs are no load. */
#define CALLS_MIN 1000

struct program {
    const char *path; /* without a slash: one of the built loads */
    const char *brief[ARGUMENTS_MAX];
    const char *full[ARGUMENTS_MAX];
};

struct call_counts {
    uint64_t patched;
    uint64_t unpatched;
};

#define SHELL_LOOP(count) "i=0; while [ $i -lt " count " ]; do echo $i >/dev/null; i=$((i + 1)); done"
#define SHELL_EXEC(count) "i=0; while [ $i -lt " count " ]; do /bin/true; i=$((i + 1)); done"

static const char python_file_work[] = "import os, sys, tempfile\n"
                                       "folder = tempfile.mkdtemp()\n"
                                       "for number in range(int(sys.argv[1])):\n"
                                       "    path = os.path.join(folder, str(number % 20))\n"
                                       "    with open(path, 'w') as out:\n"
                                       "        out.write('line\\n' * 100)\n"
                                       "    with open(path) as back:\n"
                                       "        assert len(back.read()) == os.stat(path).st_size\n"
                                       "    os.rename(path, path + '.old')\n"
                                       "    os.listdir(folder)\n"
                                       "    os.unlink(path + '.old')\n"
                                       "os.rmdir(folder)\n";

enum program_index {
    PROGRAM_BUSYBOX,
    PROGRAM_BUSYBOX_EXEC,
    PROGRAM_PYTHON,
    PROGRAM_GO,
    PROGRAM_FIND,
    PROGRAM_DD,
};

static const struct program programs[] = {
    [PROGRAM_BUSYBOX] = {"/bin/busybox", {"sh", "-c", SHELL_LOOP("100")}, {"sh", "-c", SHELL_LOOP("5100")}},
    [PROGRAM_BUSYBOX_EXEC] = {"/bin/busybox", {"sh", "-c", SHELL_EXEC("10")}, {"sh", "-c", SHELL_EXEC("110")}},
    [PROGRAM_PYTHON] = {"/usr/bin/python3", {"-c", python_file_work, "50"}, {"-c", python_file_work, "1050"}},
    [PROGRAM_GO] = {"goroutines", {"100"}, {"2100"}},
    [PROGRAM_FIND] = {"/usr/bin/find", {"/usr/share", "-maxdepth", "1"}, {"/usr/share", "-type", "f"}},
    [PROGRAM_DD] = {"/bin/dd",
                    {"if=/dev/zero", "of=/dev/null", "bs=512", "count=1000", "status=none"},
                    {"if=/dev/zero", "of=/dev/null", "bs=512", "count=201000", "status=none"}},
};

static void find_program(const struct program *program, char path[PATH_TEXT_MAX])
{
    const char *loads = getenv(LOADS_VARIABLE);

    if (strchr(program->path, '/'))
        snprintf(path, PATH_TEXT_MAX, "%s", program->path);
    else
        snprintf(path, PATH_TEXT_MAX, "%s/%s", loads ? loads : ".", program->path);
    if (access(path, X_OK) != 0)
        sample_skip("%s is not there", program->path);
}

static bool read_count(const char *line, const char *label, uint64_t *count)
{
    size_t length = strlen(label);

    if (strncmp(line, label, length) != 0 || line[length] != ' ')
        return false;
    *count = strtoull(line + length, NULL, 10);
    return true;
}

static struct call_counts read_counts(FILE *errors)
{
    struct call_counts counts = {0};
    bool patched = false, unpatched = false;
    char line[256];

    while (fgets(line, sizeof(line), errors)) {
        patched |= read_count(line, PATCHED_LABEL, &counts.patched);
        unpatched |= read_count(line, UNPATCHED_LABEL, &counts.unpatched);
    }
    if (!patched || !unpatched)
        sample_skip("trapgate run --stats does not say how many calls were patched");
    return counts;
}

static struct call_counts count_calls(const char *command, char *path, const char *const *arguments)
{
    char *argv[ARGUMENTS_MAX + 8] = {"trapgate", "run", "--backend", "systrap", "--stats", "--", path};
    FILE *errors = scratch_file();
    struct call_counts counts;

    for (unsigned i = 0; i < ARGUMENTS_MAX && arguments[i]; i++)
        argv[7 + i] = (char *)(uintptr_t)arguments[i];
    run_program(command, argv, NULL, errors);
    counts = read_counts(errors);
    fclose(errors);
    return counts;
}

static double coverage(const struct sample *sample)
{
    const struct program *program = &programs[sample->argument];
    const char *command = getenv(COMMAND_VARIABLE);
    struct call_counts brief, full;
    char path[PATH_TEXT_MAX];
    double patched, all;

    if (!command)
        sample_skip("%s does not say where the command is (scripts/bench does)", COMMAND_VARIABLE);
    find_program(program, path);
    brief = count_calls(command, path, program->brief);
    full = count_calls(command, path, program->full);
    patched = (double)full.patched - (double)brief.patched;
    all = patched + (double)full.unpatched - (double)brief.unpatched;
    if (all < CALLS_MIN)
        sample_fail("only %.0f calls between the two runs", all);
    return 100 * patched / all;
}

#define COVERAGE_BENCHMARK(program, index)                                                                             \
    {                                                                                                                  \
        .name = "patch.coverage." program, .unit = "%", .better = BETTER_HIGHER, .backend = TG_BACKEND_SYSTRAP,        \
        .argument = (index), .run = coverage, .samples_max = 1,                                                        \
    }

static const struct benchmark benchmarks[] = {
    COVERAGE_BENCHMARK("busybox", PROGRAM_BUSYBOX), COVERAGE_BENCHMARK("busybox_exec", PROGRAM_BUSYBOX_EXEC),
    COVERAGE_BENCHMARK("python3", PROGRAM_PYTHON),  COVERAGE_BENCHMARK("go", PROGRAM_GO),
    COVERAGE_BENCHMARK("find", PROGRAM_FIND),       COVERAGE_BENCHMARK("dd", PROGRAM_DD),
};

const struct benchmark_family coverage_family = {benchmarks, sizeof(benchmarks) / sizeof(benchmarks[0])};
