/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The files that pack put into the launcher; PACKED_LOADER and PACKED_PROGRAM name two of them. */
#ifndef TESTS_CONFORMANCE_SINGLE_FILE_PACKED_H
#define TESTS_CONFORMANCE_SINGLE_FILE_PACKED_H

struct packed_file {
    const char *name;
    const char *start;
    const char *end;
};

/* Ends with an entry without a name. */
extern const struct packed_file packed_files[];

#endif
