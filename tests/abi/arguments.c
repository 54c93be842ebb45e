/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* usage: arguments BACKEND FAMILY */
#include <stdio.h>
#include <string.h>

#include "arguments.h"
#include "backend_names.h"

static const struct family {
    const char *name;
    void (*run)(struct fixture *);
} families[] = {
    {"version", arguments_of_version},
    {"platform", arguments_of_platform},
    {"subprocess", arguments_of_subprocess},
    {"memory_operations", arguments_of_memory_operations},
    {"memory_access", arguments_of_memory_access},
    {"reset", arguments_of_reset},
    {"brings", arguments_of_brings},
    {"context", arguments_of_context},
    {"switch", arguments_of_switch},
    {"busy_context", arguments_of_busy_context},
    {"queue", arguments_of_queue},
    {"struct_sizes", arguments_of_struct_sizes},
};

static const struct family *find_family(const char *name)
{
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
        if (strcmp(families[i].name, name) == 0)
            return &families[i];
    return NULL;
}

int main(int argc, char **argv)
{
    const struct family *family = argc == 3 ? find_family(argv[2]) : NULL;
    struct fixture fixture = {.backend = argc == 3 ? backend_by_name(argv[1]) : TG_BACKEND_AUTO};
    if (!family || fixture.backend == TG_BACKEND_AUTO) {
        fprintf(stderr, "usage: arguments BACKEND FAMILY\n");
        return 2;
    }
    fixture_open(&fixture);
    family->run(&fixture);
    fixture_still_works(&fixture);
    fixture_close(&fixture);
    printf("%s: %u checks, %u failed\n", family->name, fixture.calls, fixture.failures);
    return fixture.failures ? 1 : 0;
}
