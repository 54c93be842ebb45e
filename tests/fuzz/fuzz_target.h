/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What a fuzz target is: libFuzzer calls these, and so does standalone_driver.c. */
#ifndef TESTS_FUZZ_FUZZ_TARGET_H
#define TESTS_FUZZ_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold for every input. Ends the process in the way that libFuzzer takes for a find. */
#define INVARIANT(condition)                                                                                           \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);                             \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/* Hands out the input piece by piece; zeros when it is used up. */
struct input {
    const uint8_t *next;
    size_t left;
};

static inline uint64_t take_number(struct input *input, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes && input->left > 0; i++, input->left--)
        value |= (uint64_t)*input->next++ << (8 * i);
    return value;
}

#endif
