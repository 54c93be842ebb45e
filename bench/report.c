/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "report.h"

#include <math.h>
#include <string.h>

#define CELL_MAX 24

/* NAN stands for "not measured"; both outputs have their own word for it. */
static double median_of(const struct series *series)
{
    return series->count != 0 ? series->median : NAN;
}

static double ratio_of(const struct measurement *measurement, unsigned floor_index)
{
    double floor = median_of(&measurement->floors[floor_index]);

    if (measurement->ours.count != 0 && floor_index == 0 && measurement->pairs.count != 0)
        return measurement->pairs.median;
    return floor != 0 ? median_of(&measurement->ours) / floor : NAN;
}

static const char *better_word(enum better better)
{
    return better == BETTER_LOWER ? "lower" : "higher";
}

static const char *number_cell(char *cell, double value)
{
    int decimals = fabs(value) < 10 ? 3 : fabs(value) < 1000 ? 1 : 0;

    if (isnan(value))
        return "-";
    snprintf(cell, CELL_MAX, "%.*f", decimals, value);
    return cell;
}

static const char *spread_cell(char *cell, const struct series *series)
{
    if (series->count < 2)
        return "-";
    snprintf(cell, CELL_MAX, "%.0f%%", series->spread * 100);
    return cell;
}

void report_table_head(FILE *out)
{
    fprintf(out, "%-27s %12s %-10s %-7s %12s %8s %7s %7s  %s\n", "name", "value", "unit", "better", "floor", "ratio",
            "spread", "(floor)", "the floor is");
}

static void print_floor(FILE *out, const struct measurement *measurement, unsigned index)
{
    char floor_number[CELL_MAX], ratio[CELL_MAX], spread[CELL_MAX], floor_spread[CELL_MAX];
    const struct series *floor = &measurement->floors[index];
    const char *what = measurement->benchmark->floors[index].what;

    if (floor->reason[0] != '\0')
        what = floor->reason;
    fprintf(out, "%12s %8s %7s %7s  %s\n", number_cell(floor_number, median_of(floor)),
            number_cell(ratio, ratio_of(measurement, index)), spread_cell(spread, &measurement->ours),
            spread_cell(floor_spread, floor), what ? what : "(none)");
}

void report_table_rows(FILE *out, const struct measurement *measurement)
{
    const struct benchmark *benchmark = measurement->benchmark;
    char value[CELL_MAX];

    fprintf(out, "%-27s %12s %-10s %-7s ", benchmark->name, number_cell(value, median_of(&measurement->ours)),
            benchmark->unit, better_word(benchmark->better));
    if (measurement->ours.skipped) {
        fprintf(out, "NOT MEASURED: %s\n", measurement->ours.reason);
        fflush(out);
        return;
    }
    for (unsigned i = 0; i < BASELINES_MAX; i++) {
        if (i > 0 && !benchmark->floors[i].run)
            continue;
        if (i > 0)
            fprintf(out, "%-27s %12s %-10s %-7s ", "", "", "", "");
        print_floor(out, measurement, i);
    }
    if (measurement->ours.reason[0] != '\0')
        fprintf(out, "%-27s FAILED: %s\n", "", measurement->ours.reason);
    fflush(out);
}

static void json_number(FILE *out, const char *key, double value)
{
    if (isnan(value))
        fprintf(out, ", \"%s\": null", key);
    else
        fprintf(out, ", \"%s\": %.6g", key, value);
}

static void json_text(FILE *out, const char *key, const char *text)
{
    fprintf(out, ", \"%s\": \"", key);
    for (const char *c = text; *c != '\0'; c++)
        if (*c == '"' || *c == '\\')
            fprintf(out, "\\%c", *c);
        else
            fputc((unsigned char)*c < ' ' ? ' ' : *c, out);
    fputc('"', out);
}

static void json_floor(FILE *out, const struct measurement *measurement, unsigned index)
{
    static const char *const keys[BASELINES_MAX][4] = {
        {"floor", "ratio", "floor_spread", "floor_is"},
        {"floor2", "ratio2", "floor2_spread", "floor2_is"},
    };
    const struct baseline *baseline = &measurement->benchmark->floors[index];
    const struct series *floor = &measurement->floors[index];

    if (index > 0 && !baseline->run)
        return;
    json_number(out, keys[index][0], median_of(floor));
    json_number(out, keys[index][1], ratio_of(measurement, index));
    json_number(out, keys[index][2], floor->count != 0 ? floor->spread : NAN);
    if (baseline->what)
        json_text(out, keys[index][3], baseline->what);
}

static void json_object(FILE *out, const struct measurement *measurement)
{
    const struct benchmark *benchmark = measurement->benchmark;
    const struct series *ours = &measurement->ours;

    fprintf(out, "  {\"name\": \"%s\"", benchmark->name);
    json_text(out, "unit", benchmark->unit);
    json_number(out, "value", median_of(ours));
    for (unsigned i = 0; i < BASELINES_MAX; i++)
        json_floor(out, measurement, i);
    json_text(out, "better", better_word(benchmark->better));
    json_number(out, "spread", ours->count != 0 ? ours->spread : NAN);
    fprintf(out, ", \"samples\": %u", ours->count);
    if (ours->reason[0] != '\0')
        json_text(out, "error", ours->reason);
    fputc('}', out);
}

void report_json(FILE *out, const struct measurement *measurements, size_t count)
{
    const char *separator = "[\n";

    for (size_t i = 0; i < count; i++) {
        if (measurements[i].ours.skipped)
            continue;
        fputs(separator, out);
        json_object(out, &measurements[i]);
        separator = ",\n";
    }
    fputs(separator[0] == '[' ? "[]\n" : "\n]\n", out);
}
