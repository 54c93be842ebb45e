/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What calls bring along with their event: of most calls that take a path or a few bytes the kernel need not ask for
 * them. */
#ifndef TRAPGATE_KERNEL_BRINGS_H
#define TRAPGATE_KERNEL_BRINGS_H

#include <stdbool.h>
#include <stdint.h>

#include <trapgate/trapgate.h>

/* Longer ones are read as if the call brought nothing. */
#define BRING_STRING_MAX 256
#define BRING_BYTES_MAX  512

/* Calls in this address space bring theirs. Copies have it. Without, all goes on by asking. */
void brings_declare(tg_subprocess *subprocess);

/* Does the call bring such a piece that begins at this address? */
bool brings_string(uint64_t nr, const uint64_t args[6], uint64_t addr);
bool brings_bytes(uint64_t nr, const uint64_t args[6], uint64_t addr);

#endif
