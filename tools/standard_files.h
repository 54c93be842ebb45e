/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Descriptors 0, 1 and 2. A number among them that is free would go to the next
 * file that the command or the library opens, and from there to the guest and to
 * whatever the command prints.
 */
#ifndef TRAPGATE_TOOLS_STANDARD_FILES_H
#define TRAPGATE_TOOLS_STANDARD_FILES_H

#include <stdbool.h>

#define STANDARD_FILES 3

/*
 * Before anything else: puts /dev/null on those that are closed. 0, or -errno
 * when one of them stays closed: nothing may be opened then.
 */
int standard_files_fill(void);

/* Whether the descriptor was open when the command was started: only then it is the guest's. */
bool standard_file_was_open(int fd);

#endif
