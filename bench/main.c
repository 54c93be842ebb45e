/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* trapgate_bench - the library and the floors under it, in one run. docs/performance.md says how to read it. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

static const struct benchmark_family *const families[] = {
    &switch_family,     &queue_family,    &thread_family,       &context_family,    &oversubscribed_family,
    &subprocess_family, &memory_family,   &context_copy_family, &call_bytes_family, &answer_family,
    &vdso_family,       &coverage_family, &binding_family,
};

#define FAMILY_COUNT (sizeof(families) / sizeof(families[0]))

static const struct measure_plan full_plan = {.samples = 9, .seconds = 0.2, .rest_seconds = 10};
static const struct measure_plan quick_plan = {.samples = 5, .seconds = 0.05, .rest_seconds = 1};

/* Who asks for a time of his own gets rests that are longer by this much, up to those of the full plan. */
#define REST_FACTOR 50

struct settings {
    struct measure_plan plan;
    const char *json_path;
    const char *filter;
    bool list;
};

static const struct option long_options[] = {
    {"quick", no_argument, NULL, 'q'},
    {"json", required_argument, NULL, 'j'},
    {"filter", required_argument, NULL, 'f'},
    {"samples", required_argument, NULL, 's'},
    {"sample-ms", required_argument, NULL, 'm'},
    {"floors", no_argument, NULL, 'F'},
    {"list", no_argument, NULL, 'l'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static const char usage_text[] =
    "usage: bench [--quick] [--json FILE] [--filter NAME] [--floors] [--list] [--samples N] [--sample-ms MS]\n"
    "  --quick         fewer and shorter samples; ends within a minute\n"
    "  --json FILE     also write the results as a JSON array\n"
    "  --filter NAME   only benchmarks whose name contains NAME\n"
    "  --floors        only the floors, also those of backends that do not work here\n"
    "  --list          print the names and end\n"
    "  --samples N     samples of each benchmark and of each floor\n"
    "  --sample-ms MS  the timed part of one sample; what measures rest takes 50 times as long, ten seconds at most\n";

/* The program's own argument errors; EXIT_FAILURE is for benchmarks that could not be measured. */
#define EXIT_USAGE 2

static long number_argument(const char *text, long low, long high)
{
    char *end = NULL;
    long number;

    errno = 0;
    number = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || number < low || number > high) {
        fprintf(stderr, "bench: \"%s\" is not a number from %ld to %ld\n", text, low, high);
        exit(EXIT_USAGE);
    }
    return number;
}

static double rest_for(double seconds)
{
    double rest = REST_FACTOR * seconds;

    if (rest > full_plan.rest_seconds)
        rest = full_plan.rest_seconds;
    return rest;
}

static struct settings parse_arguments(int argc, char **argv)
{
    struct settings settings = {.plan = full_plan, .filter = ""};
    int option;

    while ((option = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
        switch (option) {
        case 'q':
            settings.plan = quick_plan;
            break;
        case 'j':
            settings.json_path = optarg;
            break;
        case 'f':
            settings.filter = optarg;
            break;
        case 's':
            settings.plan.samples = (unsigned)number_argument(optarg, 1, SAMPLES_MAX);
            break;
        case 'm':
            settings.plan.seconds = (double)number_argument(optarg, 1, 10000) / 1000;
            settings.plan.rest_seconds = rest_for(settings.plan.seconds);
            break;
        case 'F':
            settings.plan.floors_only = true;
            break;
        case 'l':
            settings.list = true;
            break;
        default:
            fputs(usage_text, option == 'h' ? stdout : stderr);
            exit(option == 'h' ? EXIT_SUCCESS : EXIT_USAGE);
        }
    }
    if (optind != argc) {
        fprintf(stderr, "bench: unexpected \"%s\"\n%s", argv[optind], usage_text);
        exit(EXIT_USAGE);
    }
    return settings;
}

/* The chosen benchmarks in table order; the caller frees the array. */
static const struct benchmark **choose(const char *filter, size_t *count)
{
    const struct benchmark **chosen;
    size_t total = 0;

    for (size_t f = 0; f < FAMILY_COUNT; f++)
        total += families[f]->count;
    *count = 0;
    chosen = calloc(total, sizeof(const struct benchmark *));
    if (!chosen)
        return NULL;
    for (size_t f = 0; f < FAMILY_COUNT; f++)
        for (size_t b = 0; b < families[f]->count; b++)
            if (strstr(families[f]->benchmarks[b].name, filter))
                chosen[(*count)++] = &families[f]->benchmarks[b];
    return chosen;
}

static bool write_json(const char *path, const struct measurement *measurements, size_t count)
{
    FILE *out = fopen(path, "w");
    bool written;

    if (out) {
        report_json(out, measurements, count);
        written = !ferror(out);
        if (fclose(out) == 0 && written)
            return true;
    }
    fprintf(stderr, "bench: %s: %s\n", path, strerror(errno));
    return false;
}

/* Everything that was asked for has a value, or could not have one on this machine. */
static bool measure_all(const struct settings *settings, const struct benchmark **chosen, size_t count,
                        struct measurement *measurements)
{
    bool complete = true;

    report_table_head(stdout);
    fflush(stdout);
    for (size_t i = 0; i < count; i++) {
        measure(chosen[i], &settings->plan, &measurements[i]);
        report_table_rows(stdout, &measurements[i]);
        complete = complete && measurements[i].complete;
    }
    printf("\nratio = value / floor, of medians; where both come from the same samples, the median of theirs. Up to %u"
           " samples of %.0f ms, ours and floors in turns; spread = (largest - smallest) / median.\n",
           settings->plan.samples, settings->plan.seconds * 1000);
    return complete;
}

int main(int argc, char **argv)
{
    struct settings settings = parse_arguments(argc, argv);
    struct measurement *measurements;
    size_t count;
    const struct benchmark **chosen = choose(settings.filter, &count);
    bool good = chosen != NULL && count > 0;

    if (!good)
        fprintf(stderr, "bench: no benchmark has a name with \"%s\" in it\n", settings.filter);
    if (good && settings.list) {
        for (size_t i = 0; i < count; i++)
            puts(chosen[i]->name);
    } else if (good) {
        measurements = calloc(count, sizeof(*measurements));
        good = measurements && measure_all(&settings, chosen, count, measurements);
        if (measurements && settings.json_path)
            good = write_json(settings.json_path, measurements, count) && good;
        free(measurements);
    }
    free(chosen);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
